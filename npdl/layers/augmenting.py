"""Augmentation: the base of the layers that change images at random while training.

They are layers of the model, as in Keras, and not a step of the data pipeline: saved with it, off in inference without
a word, run by the device's kernels inside the step's reused memory, and drawn by (seed, place of the layer, step,
sample), so that neither threads nor the order of calls change an image. Each has a backward, so it may stand anywhere,
behind a learnt layer too. A layer does it on batches outside a model as well: `layer.init(shape)(x, training=True)`.

What changes the targets too cannot be a layer, which does not see them: `npdl.data.MixUp` and `CutMix` are functions of
a batch (x, y).
"""

import math

import numpy as np

from npdl import random
from npdl.kernels.counted import drawn, through
from npdl.kernels.reference.image import FILL_MODES, INTERPOLATIONS
from npdl.layers import arguments, spatial
from npdl.layers.base import Layer


class Augmentation(Layer):
    """What they share: random numbers of each sample, and that nothing happens in inference.

    What the host makes of these numbers goes to a kernel as `self.made(function, shape)` gives it: a GPU that repeats
    the step has it made anew for each.
    """

    def __init__(self, seed, data_format=None, **base):
        super().__init__(**base)
        self.seed = None if seed is None else random.check_seed(seed)
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.places(self, input_shape, 2)
        return input_shape

    def key(self, purpose):
        """Of the random numbers."""
        return self.random_key(purpose) if self.seed is None else random.key(self.seed, purpose)

    def draw(self, samples, *spans):
        """One float64 array of `samples` evenly distributed numbers for each (lower, upper)."""
        u = random.per_sample(self.key(type(self).__name__), self.step, samples, len(spans))
        return [low + (high - low) * u[:, i] for i, (low, high) in enumerate(spans)]

    def made(self, function, shape):
        """function(shape), a host array of what `draw` gives in this step."""

        def at(step):
            before, self.step = self.step, step
            try:
                return function(shape)
            finally:
                self.step = before

        return drawn(at, self.step)


class Moved(Augmentation):
    """Images sampled through an affine map; a subclass writes `maps(shape)`.

    forward     y[n, i, j] = x[n] at (v, u),        u = a₀ j + a₁ i + a₂,  v = b₀ j + b₁ i + b₂
    backward    dx = the transpose: dy[n, i, j] goes to the pixels that y[n, i, j] was made of, with their weights
    """

    def __init__(self, fill_mode, interpolation, seed, fill_value, data_format, **base):
        super().__init__(seed, data_format, **base)
        self.fill_mode = arguments.one_of(self, "fill_mode", fill_mode, FILL_MODES)
        self.interpolation = arguments.one_of(self, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value = float(fill_value)

    def maps(self, shape):
        """(N, 6) numbers a₀, a₁, a₂, b₀, b₁, b₂ for x of that shape."""
        raise NotImplementedError(f"{type(self).__name__} needs maps(self, shape)")

    def forward(self, x, training=False):
        if self.passes(training):
            return x
        maps = self.made(self.maps, x.shape)
        self.step += 1
        y = self.buffer("y", x.shape)
        self.k.affine_sample(
            x, maps, out=y, interpolation=self.interpolation, fill_mode=self.fill_mode, fill_value=self.fill_value
        )
        self.save(maps)
        return y

    def backward(self, dy):
        if (maps := self.saved()) is None:
            return dy
        dx = self.buffer("dx", dy.shape)
        self.k.affine_sample_grad(dy, maps, out=dx, interpolation=self.interpolation, fill_mode=self.fill_mode)
        return dx


def column_of(numbers, i):
    """Column i of host numbers (N, columns), as (N, 1, 1, 1); of what `made` gave it is made anew with them."""
    return through(lambda given: given[:, i].reshape(-1, 1, 1, 1), numbers)


def affine_maps(samples, a, b):
    """(N, 6) float64 from the three numbers of a and of b, each one number or one a sample."""
    maps = np.empty((samples, 6))
    for column, values in enumerate((*a, *b)):
        maps[:, column] = values
    return maps


def cosine_sine(turns):
    """(cos 2πt, sin 2πt) in float64, to 2 ulps, from operations only that every machine rounds alike.

    t = q/4 + r,  |r| ≤ 1/8;  the series of cos 2πr and sin 2πr; and q quarter turns, which are exact.
    """
    quarters = np.floor(4.0 * turns + 0.5)
    angle = (turns - 0.25 * quarters) * (2.0 * math.pi)
    square, cosine, sine = angle * angle, 1.0, 1.0
    for n in range(18, 0, -2):
        cosine, sine = 1.0 - square * cosine / (n * (n - 1)), 1.0 - square * sine / (n * (n + 1))
    sine, turned = angle * sine, quarters % 4
    return (
        np.choose(turned.astype(int), [cosine, -sine, -cosine, sine]),
        np.choose(turned.astype(int), [sine, cosine, -sine, -cosine]),
    )
