"""Find the discs among the shapes of a picture, pixel by pixel, with a U-Net of 118,945 parameters.

It teaches segmentation: a net that goes down to coarse maps, which know what there is, and up again to fine ones, which
know where; skip connections of the functional `Model`; a loss (Dice) that compares regions instead of pixels; and the
same flips for pictures and masks, by a function of each batch.

    python examples/unet_shapes.py                 5 epochs, under a minute
    python examples/unet_shapes.py --epochs 30     better
"""

import argparse
import sys
import time

import numpy as np

import npdl
from npdl import layers, losses, optimizers

SIZE = 48
MUST_REACH = 0.70  # intersection over union of true and found discs, on pictures that it never saw


def draw(count, seed):
    """(pictures, masks): noisy pictures of a few shapes over each other, and where the discs among them are seen."""
    rng = np.random.default_rng(seed)
    pictures = rng.normal(0.3, 0.08, (count, SIZE, SIZE, 1)).astype("float32")
    masks = np.zeros(pictures.shape, "float32")
    y, x = np.mgrid[:SIZE, :SIZE]
    for picture, mask in zip(pictures[..., 0], masks[..., 0], strict=True):
        for kind in rng.permutation(["disc", "disc", "square", "triangle", "ring"]):
            (v, u), r = rng.uniform(8, SIZE - 8, 2), rng.uniform(4, 9)
            down, right = y - v, x - u
            inside = {
                "disc": down**2 + right**2 < r**2,
                "square": np.maximum(abs(down), abs(right)) < 0.9 * r,
                "triangle": (down < 0.7 * r) & (down > 2 * abs(right) - 1.2 * r),
                "ring": abs(np.hypot(down, right) - 0.8 * r) < 0.3 * r,
            }[kind]
            picture[inside] += rng.uniform(0.3, 0.6) - picture[inside].mean() + 0.3  # in a grey of its own
            mask[inside] = kind == "disc"
    return pictures, masks


def twice(x, filters):
    """Two convolutions, each normalized, then ReLU."""
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return x


def unet():
    """Down to a quarter of the size and up again, each time beside what the way down had at that size."""
    x = layers.Input((SIZE, SIZE, 1))
    fine = twice(x, 16)
    middle = twice(layers.MaxPooling2D(2)(fine), 32)
    coarse = twice(layers.MaxPooling2D(2)(middle), 64)
    for skip, filters in ((middle, 32), (fine, 16)):
        coarse = layers.UpSampling2D(2, interpolation="bilinear")(coarse)
        coarse = twice(layers.Concatenate()([skip, coarse]), filters)
    return npdl.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(coarse), seed=0)


def flips(x, y, place):
    """Pictures and their masks mirrored alike: by numbers of the seed, the epoch and the picture alone."""
    key = npdl.random.key(place.seed, "flips")
    across, down = npdl.random.per_sample(key, place.epoch, len(x), 2, place.first).T[:, :, None, None, None] < 0.5
    return tuple(np.where(down, part[:, ::-1], part) for part in (np.where(across, a[:, :, ::-1], a) for a in (x, y)))


parser = argparse.ArgumentParser(description="Train a U-Net on drawn shapes.")
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()
(x, y), (x_test, y_test) = draw(800, seed=1), draw(200, seed=2)
model = unet()
model.summary()
model.compile(optimizers.Adam(3e-3), losses.Dice())
start = time.perf_counter()
model.fit(npdl.data.Mapped(flips, x, y), batch_size=16, epochs=options.epochs)
print(f"trained for {time.perf_counter() - start:.1f} s")

found, true = model.predict(x_test) > 0.5, y_test > 0.5
score = (found & true).sum() / (found | true).sum()
print(f"intersection over union {score:.3f} (must reach {MUST_REACH:.2f})")
if score < MUST_REACH:
    sys.exit("the masks fall short")
