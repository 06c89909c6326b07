"""The rectifiers: 0, a slope or an exponential on the negative side."""

import math

import numpy as np

from npdl.activations.base import Activation


class ReLU(Activation):
    """y = max(z, 0), and more generally

        y = max_value                           z >= max_value
        y = z                       threshold <= z <  max_value
        y = negative_slope · (z − threshold)    z <  threshold

    a'(z) = 1, 0 or negative_slope likewise; 0 at the kink z = 0 of the plain form, as in PyTorch and TensorFlow. Of
    z = −0 the plain form makes +0, the others, such as max_value=6, −0.
    """

    name, code = "relu", 1

    def __init__(self, negative_slope=0.0, max_value=None, threshold=0.0):
        self.negative_slope, self.max_value, self.threshold = negative_slope, max_value, threshold
        self.plain = negative_slope == 0 and max_value is None and threshold == 0
        code, self.needs = (1, "y") if self.plain else (2, "z")
        self.code = None if type(self).code is None else code
        self.constants = (negative_slope, math.inf if max_value is None else max_value, threshold)

    def __call__(self, z):
        slope, top, threshold = self.constants
        if self.plain:
            return np.maximum(z, 0)
        return np.where(z >= top, top, np.where(z >= threshold, z, slope * (z - threshold))).astype(z.dtype)

    def derivative(self, saved):
        slope, top, threshold = self.constants
        if self.plain:
            return (saved > 0).astype(saved.dtype)
        return np.where(saved >= top, 0, np.where(saved > threshold, 1, slope)).astype(saved.dtype)


class ReLU6(ReLU):
    """y = min(max(z, 0), 6);  a' = 1 where 0 < z < 6, else 0

    Reference: Krizhevsky, Convolutional Deep Belief Networks on CIFAR-10, 2010.
    """

    name = "relu6"

    def __init__(self):
        super().__init__(max_value=6.0)


class LeakyReLU(Activation):
    """y = z where z > 0, else negative_slope · z;  a' = 1 where y > 0, else negative_slope"""

    name, code = "leaky_relu", 3

    def __init__(self, negative_slope=0.2):
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"negative_slope must be at least 0, got {negative_slope!r}; pass e.g. LeakyReLU(0.2)")
        self.negative_slope = negative_slope
        self.constants = (negative_slope,)

    def __call__(self, z):
        return np.where(z > 0, z, z.dtype.type(self.negative_slope) * z)

    def derivative(self, y):
        return np.where(y > 0, 1, self.negative_slope).astype(y.dtype)


class ELU(Activation):
    """y = z where z > 0, else α (eᶻ − 1);  a' = 1 where y > 0, else y + α"""

    name, code = "elu", 4

    def __init__(self, alpha=1.0):
        if alpha < 0:
            raise ValueError(f"alpha must be at least 0, got {alpha!r}; pass e.g. ELU(1.0)")
        self.alpha = alpha
        self.constants = (alpha,)

    def __call__(self, z):
        return np.where(z > 0, z, z.dtype.type(self.alpha) * np.expm1(np.minimum(z, 0)))

    def derivative(self, y):
        return np.where(y > 0, 1, y + y.dtype.type(self.alpha)).astype(y.dtype)


class _ExponentialUnit(Activation):
    """y = s z where z > 0, else A (e^(B z) − 1);  a' = s where y > 0, else B (y + A), with constants = (s, A, B)"""

    code = 12

    def __call__(self, z):
        s, a, b = self.constants
        return np.where(z > 0, s * z, a * np.expm1(b * np.minimum(z, 0))).astype(z.dtype)

    def derivative(self, y):
        s, a, b = self.constants
        return np.where(y > 0, s, b * (y + a)).astype(y.dtype)


class SELU(_ExponentialUnit):
    """y = s z where z > 0, else s α (eᶻ − 1);  a' = s where y > 0, else y + s α

    s = 1.0507 and α = 1.6733 keep mean 0 and variance 1 from layer to layer, with `lecun_normal` weights.

    Reference: Klambauer, Unterthiner, Mayr and Hochreiter, Self-Normalizing Neural Networks, 2017.
    """

    name = "selu"
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    constants = (scale, scale * alpha, 1.0)


class CELU(_ExponentialUnit):
    """y = z where z > 0, else α (e^(z/α) − 1);  a' = 1 where y > 0, else 1 + y/α

    Reference: Barron, Continuously Differentiable Exponential Linear Units, 2017.
    """

    name = "celu"

    def __init__(self, alpha=1.0):
        if not alpha > 0:
            raise ValueError(f"alpha must be above 0, got {alpha!r}; pass e.g. CELU(1.0)")
        self.alpha = alpha
        self.constants = (1.0, alpha, 1 / alpha)


relu, relu6, leaky_relu, elu, selu, celu = ReLU(), ReLU6(), LeakyReLU(), ELU(), SELU(), CELU()
