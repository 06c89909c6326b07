"""Read handwritten digits with a small convolutional net: the whole road from pictures to a trained model.

It teaches the usual five steps: load the data, stack layers, compile, fit, evaluate. The data are scikit-learn's own
1,797 digits of 8 x 8 pixels, so no network is needed. It writes two pictures: how the loss fell, and what the trained
net says about test images that it never saw.

    python examples/digits.py [--epochs 15] [--out DIR]
"""

import argparse
import sys
from pathlib import Path

from npdl import Sequential, datasets, layers, viz

MUST_REACH = 97.0  # percent of the test images

parser = argparse.ArgumentParser(description="Train a small CNN on 8 x 8 handwritten digits.")
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the pictures go (this folder)")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

# 1. The data: 1,437 images to learn from, 360 to be tested on. Pixels are 0..16; a net likes numbers around 0..1, and
#    a convolution wants a channel axis: (N, 8, 8) becomes (N, 8, 8, 1).
(x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
x_train = (x_train / 16.0)[..., None]
x_test = (x_test / 16.0)[..., None]

# 2. The layers: two convolutions look for strokes, pooling halves the image, a Dense layer votes for one of 10 digits.
model = Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(10, activation="softmax"),
    ],
    seed=0,
)
model.summary()

# 3. and 4. How to learn, and learning: a tenth of the training images is held out to watch the progress.
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, batch_size=32, epochs=options.epochs, validation_split=0.1)

# 5. What it is worth, on images it never saw.
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
probabilities = model.predict(x_test)

loss_picture = options.out / "digits_loss.png"
history.plot(path=loss_picture)
predictions_picture = options.out / "digits_predictions.png"
viz.prediction_grid(x_test, y_test, probabilities, path=predictions_picture)

print(f"loss curve:  {loss_picture.resolve()}")
print(f"predictions: {predictions_picture.resolve()}")
print(f"test accuracy {100 * accuracy:.2f} % (must reach {MUST_REACH} %)")
if 100 * accuracy < MUST_REACH:
    sys.exit("the accuracy falls short")
