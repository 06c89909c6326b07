"""Initializers of independent random numbers."""

from npdl import random
from npdl.initializers.base import Initializer, check_seed


class RandomUniform(Initializer):
    """Uniform on [minval, maxval).

    Args:
        minval, maxval: limits.
        seed: see `Initializer`.
    """

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        if not minval < maxval:
            raise ValueError(f"RandomUniform needs minval < maxval, got minval={minval}, maxval={maxval}; swap them")
        self.minval, self.maxval, self.seed = minval, maxval, check_seed(seed)

    def values(self, shape, key):
        return random.uniform(key, shape, self.minval, self.maxval)


class RandomNormal(Initializer):
    """Normal.

    Args:
        mean, stddev: of the distribution.
        seed: see `Initializer`.
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = mean, _not_negative(self, stddev), check_seed(seed)

    def values(self, shape, key):
        return random.normal(key, shape, self.mean, self.stddev)


class TruncatedNormal(Initializer):
    """Normal, cut off at two stddev from the mean (which leaves a standard deviation of 0.8796 stddev).

    Args:
        mean, stddev: of the distribution before it is cut.
        seed: see `Initializer`.
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = mean, _not_negative(self, stddev), check_seed(seed)

    def values(self, shape, key):
        return random.truncated_normal(key, shape, self.mean, self.stddev)


def _not_negative(initializer, stddev):
    if not stddev >= 0:
        raise ValueError(
            f"{type(initializer).__name__} needs stddev of at least 0, got {stddev!r}; pass e.g. stddev=0.05"
        )
    return stddev
