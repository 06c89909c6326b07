"""Find the line y = 2x + 3 in noisy points: the smallest net there is.

It teaches what training is. A Dense layer with one unit computes y = w x + b; mean squared error says how far its
answers are from the points; gradient descent moves w and b downhill, a little at every batch.

    python examples/linear_regression.py
"""

import sys

import numpy as np

from npdl import Sequential, layers, optimizers

SLOPE, INTERCEPT = 2, 3
MUST_REACH = 0.05  # how far the learnt slope and intercept may be from these

# 500 points on the line, with noise: x and y have one row a sample.
rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, size=(500, 1))
y = SLOPE * x + INTERCEPT + 0.1 * rng.standard_normal(x.shape)

model = Sequential([layers.Dense(1)], seed=0)
model.compile(optimizers.SGD(learning_rate=0.05), loss="mse")
model.fit(x, y, batch_size=25, epochs=15, verbose=2)

# The layer's weights are what was learnt: kernel (1, 1) is the slope, bias (1,) the intercept.
kernel, bias = model.layers[0].get_weights()
slope, intercept = kernel.item(), bias.item()
print(f"learnt    y = {slope:.3f} x + {intercept:.3f}")
print(f"the truth y = {SLOPE} x + {INTERCEPT}")

# For a line the best answer is known, by least squares: the same two numbers without any training.
best_slope, best_intercept = np.polyfit(x.ravel(), y.ravel(), 1)
print(f"least squares says {best_slope:.3f} x + {best_intercept:.3f}")

error = max(abs(slope - SLOPE), abs(intercept - INTERCEPT))
print(f"largest error {error:.4f} (must be at most {MUST_REACH})")
if error > MUST_REACH:
    sys.exit("the learnt line is too far off")
