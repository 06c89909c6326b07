"""Train ResNet-20 on CIFAR-10, on photographs that are mirrored and moved at random, with 274,049 parameters.

It teaches the usual recipe of image classifiers: residual blocks, batch normalization, SGD with momentum and weight
decay, and augmentation as layers of the model: they work while it trains, and let every image through afterwards.

    python examples/resnet20_cifar10.py                                2 epochs of 5,000 images, under a minute
    python examples/resnet20_cifar10.py --images 50000 --epochs 100    what it is made for: hours
"""

import argparse
import sys
import time

from npdl import Sequential, datasets, layers, optimizers

parser = argparse.ArgumentParser(description="Train ResNet-20 on CIFAR-10.")
parser.add_argument("--images", type=int, default=5_000)
parser.add_argument("--epochs", type=int, default=2)
options = parser.parse_args()
MUST_REACH = 28.0  # percent of 2,000 test images

(x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
x_train, y_train = x_train[: options.images].astype("float32"), y_train[: options.images]
x_test, y_test = x_test[:2_000].astype("float32"), y_test[:2_000]


def normalized(filters, strides=1, kernel=3):
    """A convolution without a bias, and batch normalization, which has one."""
    convolution = layers.Conv2D(
        filters, kernel, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal"
    )
    return [convolution, layers.BatchNormalization(momentum=0.9)]


def block(filters, strides):
    """relu(layers(x) + x); where it halves the image, x goes through a convolution of one pixel."""
    inside = [*normalized(filters, strides), layers.ReLU(), *normalized(filters)]
    return layers.Residual(inside, normalized(filters, strides, 1) if strides > 1 else None, activation="relu")


normalization = layers.Normalization()  # each colour with mean 0 and deviation 1
normalization.adapt(x_train)
model = Sequential(
    [
        layers.Input((32, 32, 3)),
        normalization,
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(1 / 8, 1 / 8, "constant", "nearest"),  # a crop of the image with 4 pixels around it
        *normalized(16),
        layers.ReLU(),
        *(block(filters, 2 if filters > 16 and not n else 1) for filters in (16, 32, 64) for n in range(3)),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10),
    ],
    seed=0,
)
model.summary()

sgd = optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
start = time.perf_counter()
model.fit(x_train, y_train, batch_size=64, epochs=options.epochs)
print(f"trained for {time.perf_counter() - start:.1f} s")

loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy {100 * accuracy:.2f} % (must reach {MUST_REACH} %)")
if 100 * accuracy < MUST_REACH:
    sys.exit("the accuracy falls short")
