"""Tell whether two handwritten digits are the same number: one net looks at both, and their distance decides.

It teaches nets with two inputs and shared weights: `npdl.Model`, a net called twice, and a loss that looks at both
outputs at once; it pulls like pairs together and pushes others apart (Hadsell, Chopra and LeCun, 2006):

    L = t d² + (1 − t) max(m − d, 0)²        t = 1 for a pair of one digit, else 0 · d = ‖a − b‖ · m the margin

Then it is asked about pairs of images that it never saw.

    python examples/siamese_digits.py [--epochs 15]
"""

import argparse
import sys

import numpy as np

from npdl import Model, Sequential, datasets, layers, losses

MUST_REACH = 95.0  # percent of the pairs of test images
MARGIN = 1.0

parser = argparse.ArgumentParser(description="Train a Siamese net on pairs of 8 x 8 handwritten digits.")
parser.add_argument("--epochs", type=int, default=15)
options = parser.parse_args()


def pairs(x, y, count, rng):
    """(first images, second images, 1 where both are one digit): every other pair alike."""
    first, alike = rng.integers(0, len(x), count), np.arange(count) % 2
    second = np.array([rng.choice(np.flatnonzero((y == y[i]) == same)) for i, same in zip(first, alike)])
    return x[first], x[second], alike


# 1. Pairs of images, as many of one digit as of two.
(x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
rng = np.random.default_rng(0)
a, b, alike = pairs(x_train[..., None] / 16.0, y_train, 6000, rng)
a_new, b_new, alike_new = pairs(x_test[..., None] / 16.0, y_test, 1000, rng)

# 2. One encoder makes 16 numbers of an image. Called on both inputs it has one set of weights and two gradients, which
#    are added up.
encoder = Sequential(
    [
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(16),
    ],
    name="encoder",
)
left, right = layers.Input((8, 8, 1), name="left"), layers.Input((8, 8, 1), name="right")
model = Model([left, right], [encoder(left), encoder(right)], seed=0)
model.summary()

# 3. Learning: one loss for the two outputs, in their order, and one target a pair.
model.compile("adam", losses.ContrastiveLoss(MARGIN))
model.fit([a, b], alike, epochs=options.epochs, batch_size=64, verbose=2)

# 4. A pair is called alike where its distance is below half the margin.
a_code, b_code = model.predict([a_new, b_new])
distance = np.sqrt(((a_code - b_code) ** 2).sum(axis=1))
accuracy = 100 * ((distance < MARGIN / 2) == (alike_new == 1)).mean()
for name, kind in (("alike", 1), ("not alike", 0)):
    print(f"mean distance of test images that are {name}: {distance[alike_new == kind].mean():.2f}")
print(f"pairs of test images {accuracy:.2f} % right (must reach {MUST_REACH} %)")
if accuracy < MUST_REACH:
    sys.exit("the accuracy falls short")
