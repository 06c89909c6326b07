"""Tell ten kinds of things apart in CIFAR-10's small colour photographs, with 2,175,626 parameters.

It teaches the same recipe on harder pictures: three channels, more filters, and a net that is large enough to learn its
training images by heart, which the gap between accuracy and val_accuracy of the full run shows.

    python examples/cifar10_cnn.py            2 epochs of 10,000 images, under a minute
    python examples/cifar10_cnn.py --full     10 epochs of all 50,000 images: must reach 62.0 %
"""

import argparse
import sys
import time

from npdl import Sequential, datasets, layers, optimizers

parser = argparse.ArgumentParser(description="Train a CNN on CIFAR-10.")
parser.add_argument("--full", action="store_true", help="10 epochs of all 50,000 images")
options = parser.parse_args()
images, epochs, must_reach = (50_000, 10, 62.0) if options.full else (10_000, 2, 46.0)  # percent of the test images

(x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
x_train, y_train = x_train[:images].astype("float32") / 255, y_train[:images]
x_test = x_test.astype("float32") / 255

model = Sequential(
    [
        layers.Input((32, 32, 3)),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),  # 32 x 32 -> 16 x 16
        layers.Conv2D(128, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),  # -> 8 x 8
        layers.Flatten(),  # -> 8,192 numbers
        layers.Dense(256, activation="relu"),
        layers.Dense(10),
    ],
    seed=0,
)
model.summary()
assert model.count_params() == 2_175_626

model.compile(optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
start = time.perf_counter()
watch = (x_test, y_test) if options.full else None  # the short run is tested once, at its end
history = model.fit(x_train, y_train, batch_size=64, epochs=epochs, validation_data=watch)
seconds = time.perf_counter() - start

if options.full:
    print("epoch  training loss  training accuracy  test accuracy")
    curve = zip(*(history.history[name] for name in ("loss", "accuracy", "val_accuracy")), strict=True)
    for epoch, (loss, training, test) in enumerate(curve, 1):
        print(f"{epoch:5}  {loss:13.4f}  {100 * training:15.2f} %  {100 * test:11.2f} %")

loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"trained for {seconds:.1f} s")
print(f"test accuracy {100 * accuracy:.2f} % (must reach {must_reach} %)")
if 100 * accuracy < must_reach:
    sys.exit("the accuracy falls short")
