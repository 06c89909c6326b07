"""What brings small numbers to 0."""

import numpy as np

from npdl.activations.base import Activation


class _Threshold(Activation):
    """What functions with a threshold share."""

    def __init__(self, threshold=0.5):
        if not threshold >= 0:
            kind = type(self).__name__
            raise ValueError(f"threshold must be at least 0, got {threshold!r}; pass e.g. {kind}(0.5)")
        self.threshold = threshold
        self.constants = (threshold,)

    def derivative(self, y):
        return (y != 0).astype(y.dtype)


class HardShrink(_Threshold):
    """y = z where |z| > threshold, else 0;  a' = 1 where y ≠ 0, else 0"""

    name, code = "hard_shrink", 21

    def __call__(self, z):
        return np.where(np.abs(z) <= self.threshold, z.dtype.type(0), z)


class SoftShrink(_Threshold):
    """y = z − min(max(z, −threshold), threshold): z brought nearer to 0;  a' = 1 where y ≠ 0, else 0"""

    name, code = "soft_shrink", 22

    def __call__(self, z):
        return (z - np.clip(z, -self.threshold, self.threshold)).astype(z.dtype)


class TanhShrink(Activation):
    """y = z − tanh(z);  a' = tanh²(z)"""

    name, code, needs = "tanh_shrink", 23, "z"

    def __call__(self, z):
        return z - np.tanh(z)

    def derivative(self, z):
        return np.tanh(z) ** 2


class Threshold(Activation):
    """y = z where z > threshold, else default_value;  a' = 1 where z > threshold, else 0"""

    name, code, needs = "threshold", 24, "z"

    def __init__(self, threshold, default_value):
        self.threshold, self.default_value = threshold, default_value
        self.constants = (threshold, default_value)

    def __call__(self, z):
        return np.where(z <= self.threshold, z.dtype.type(self.default_value), z)

    def derivative(self, z):
        return (z > self.threshold).astype(z.dtype)


hard_shrink, soft_shrink, tanh_shrink = HardShrink(), SoftShrink(), TanhShrink()
