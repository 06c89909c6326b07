"""Smooth rectifiers, and the exponential."""

import math
import numbers

import numpy as np

from npdl.activations.base import Activation
from npdl.activations.sigmoids import sigmoid


class Softplus(Activation):
    """y = ln(1 + eᶻ), computed as max(z, 0) + ln(1 + e^−|z|);  a' = σ(z) = 1 − e⁻ʸ, and more generally

        y = ln(1 + e^(β z)) / β      a' = σ(β z)        y = z,  a' = 1  where β z > threshold

    The plain form needs no threshold: it neither overflows nor loses digits. PyTorch's has beta=1, threshold=20.
    """

    name, code = "softplus", 14

    def __init__(self, beta=1.0, threshold=None):
        right = isinstance(beta, numbers.Real) and 0 < beta < math.inf
        if not right or (threshold is not None and not isinstance(threshold, numbers.Real)):
            raise ValueError(
                f"Softplus needs beta above 0 and threshold to be a number or None, got beta={beta!r}, "
                f"threshold={threshold!r}; pass e.g. Softplus(beta=1.0, threshold=20)"
            )
        self.beta, self.threshold, self.plain = beta, threshold, beta == 1 and threshold is None
        code, self.needs = (14, "y") if self.plain else (27, "z")
        self.code = None if type(self).code is None else code
        self.constants = () if self.plain else (beta, math.inf if threshold is None else threshold, 1 / beta)

    def __call__(self, z):
        if self.plain:
            return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
        beta, top, inverse = map(z.dtype.type, self.constants)
        scaled = beta * z
        return np.where(scaled > top, z, inverse * (np.maximum(scaled, 0) + np.log1p(np.exp(-np.abs(scaled)))))

    def derivative(self, saved):
        if self.plain:
            return -np.expm1(-saved)
        beta, top, _ = map(saved.dtype.type, self.constants)
        return np.where(beta * saved > top, 1, sigmoid(beta * saved)).astype(saved.dtype)


class Squareplus(Activation):
    """y = ½ (z + r), r = √(z² + b);  a' = ½ (1 + z/r) = y² / (y² + b/4)

    For z < 0, where the sum would cancel, y = ½ b / (r − z).

    Reference: Barron, Squareplus: A Softplus-Like Algebraic Rectifier, 2021.
    """

    name, code = "squareplus", 25

    def __init__(self, b=4):
        if not b > 0:
            raise ValueError(f"b must be above 0, got {b!r}; pass e.g. Squareplus(4), or activations.relu for b = 0")
        self.b = b
        self.constants = (b,)

    def __call__(self, z):
        a, b = np.abs(z), z.dtype.type(self.b)
        near = np.minimum(a, 1e18)  # the square of more is out of range, and r = |z| long before
        double = a + np.maximum(a, np.sqrt(near * near + b))
        return np.where(z < 0, b / double, double) / 2

    def derivative(self, y):
        square = np.minimum(y, 1e18) ** 2
        return square / (square + y.dtype.type(self.b / 4))


class SparsePlus(Activation):
    """y = 0 where z ≤ −1, z where z ≥ 1, else ¼ (z + 1)²;  a' = min(max(½ (z + 1), 0), 1) = min(√y, 1)"""

    name, code = "sparse_plus", 26

    def __call__(self, z):
        return np.where(z >= 1, z, (np.maximum(z, -1) + 1) ** 2 / 4)

    def derivative(self, y):
        return np.minimum(np.sqrt(y), 1)


class Exponential(Activation):
    """y = eᶻ;  a' = y"""

    name, code = "exponential", 18

    def __call__(self, z):
        return np.exp(z)

    def derivative(self, y):
        return y


softplus, squareplus, sparse_plus, exponential = Softplus(), Squareplus(), SparsePlus(), Exponential()
