"""Classify MNIST's handwritten digits with two Dense layers.

It teaches how far a net gets that knows nothing of pictures: 784 pixels in a row, 128 hidden units, 10 digits. The
labels stay whole numbers (that is what "sparse" means), and no softmax is needed: the loss takes the raw outputs.

    python examples/mnist_mlp.py [--epochs 6]
"""

import argparse
import sys

from npdl import Sequential, datasets, layers

MUST_REACH = 97.0  # percent of the test images

parser = argparse.ArgumentParser(description="Train a 784-128-10 net on MNIST.")
parser.add_argument("--epochs", type=int, default=6)
options = parser.parse_args()

(x_train, y_train), (x_test, y_test) = datasets.mnist.load_data()
x_train = x_train.reshape(-1, 784).astype("float32") / 255  # bytes 0..255 become 0..1
x_test = x_test.reshape(-1, 784).astype("float32") / 255

model = Sequential(
    [
        layers.Input((784,)),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ],
    seed=0,
)
model.summary()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=64, epochs=options.epochs, validation_data=(x_test, y_test))

loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy {100 * accuracy:.2f} % (must reach {MUST_REACH} %)")
if 100 * accuracy < MUST_REACH:
    sys.exit("the accuracy falls short")
