"""Predict the price of a house in California from eight numbers about its district.

It teaches regression: the answer is a number, not a class. Counts are taken as logarithms, inputs and prices
standardised by the training rows alone; training stops when rows held out no longer gain from it; and R² says which
share of the prices' variance the net explains: 0 is as good as always saying the mean, 1 is perfect.

    python examples/california_housing.py
"""

import sys

import numpy as np

from npdl import Sequential, callbacks, datasets, layers

MUST_REACH = 0.75  # R² on the test rows

(x_train, y_train), (x_test, y_test) = datasets.california_housing.load_data()
y_train = y_train.reshape(-1, 1)  # one column, like the net's output: shapes are never broadcast silently
y_test = y_test.reshape(-1, 1)

for x in (x_train, x_test):
    x[:, 3:7] = np.log(x[:, 3:7])  # rooms, bedrooms, people, households: from a handful to tens of thousands
mean, deviation = x_train.mean(axis=0), x_train.std(axis=0)
x_train, x_test = (x_train - mean) / deviation, (x_test - mean) / deviation
price, spread = y_train.mean(), y_train.std()

model = Sequential(
    [
        layers.Input((8,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(1),
    ],
    seed=0,
)
model.compile("adam", "mse", metrics=["r2_score"])
model.fit(
    x_train,
    (y_train - price) / spread,
    batch_size=64,
    epochs=30,
    validation_split=0.1,
    callbacks=[callbacks.EarlyStopping(patience=5, restore_best_weights=True)],
)

predicted = model.predict(x_test) * spread + price  # back to dollars
residual = predicted - y_test
r2 = 1 - np.sum(residual**2) / np.sum((y_test - y_test.mean()) ** 2)
print(f"typical error {np.median(np.abs(residual)):,.0f} dollars, prices are around {np.median(y_test):,.0f} dollars")
print(f"R² on the test rows {r2:.3f} (must reach {MUST_REACH})")
if r2 < MUST_REACH:
    sys.exit("R² falls short")
