"""GaussianNoise and GaussianDropout: normally distributed noise while training."""

import math
import numbers

from npdl import random
from npdl.layers.base import Layer
from npdl.layers.dropout import Dropout


class GaussianNoise(Layer):
    """Additive Gaussian noise: in training each number gets a normally distributed one added.

        forward     y = x + stddev · z      z ~ N(0, 1);        in inference y = x
        backward    dx = dy

    The noise z is computed from (seed, place of the layer, step, sample, element), as `Dropout`'s mask is.

    Shapes: x, y (N, ...).
    Saves: nothing; the gradient does not depend on the noise.

    Args:
        stddev: deviation of the noise, at least 0.
        seed: of the noise; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: stddev below 0, no seed.

    >>> GaussianNoise(0.1).init(input_shape=(4,)).output_shape
    (4,)
    """

    def __init__(self, stddev, seed=None, **base):
        super().__init__(**base)
        if not isinstance(stddev, numbers.Real) or isinstance(stddev, bool) or not 0 <= stddev < math.inf:
            raise ValueError(
                f"GaussianNoise needs a stddev of at least 0, got {stddev!r}; pass e.g. GaussianNoise(0.1)"
            )
        self.stddev, self.seed = float(stddev), None if seed is None else random.check_seed(seed)

    def forward(self, x, training=False):
        if self.passes(training, self.stddev == 0):
            return x
        self.save()
        purpose = "gaussian_noise"
        key = self.random_key(purpose) if self.seed is None else random.key(self.seed, purpose)
        y = self.buffer("y", x.shape)
        self.k.gaussian_noise(x, self.stddev, key, self.step, out=y)  # y = x + stddev z
        self.step += 1
        return y

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        return dy


class GaussianDropout(Dropout):
    """Multiplicative Gaussian noise: in training each number is multiplied by a normally distributed one of mean 1.

        forward     y = x m         m = 1 + s z,  z ~ N(0, 1),  s = √(rate / (1 − rate));       in inference y = x
        backward    dx = dy m

    m has the mean and the variance of `Dropout`'s mask. Backward computes it again from the step.

    Shapes: x, y (N, ...).
    Saves: the step.

    Args:
        rate: as of `Dropout`, in [0, 1).
        seed: of the noise; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: rate outside [0, 1), no seed.

    Reference: Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014, section 10.

    >>> GaussianDropout(0.1).init(input_shape=(4,)).output_shape
    (4,)
    """

    purpose = "gaussian_dropout"

    def __init__(self, rate, seed=None, **base):
        super().__init__(rate, seed=seed, **base)

    def draw(self, x, step, out):
        self.k.gaussian_dropout(x, math.sqrt(self.rate / (1 - self.rate)), self.key(), step, out=out)
