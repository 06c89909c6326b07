"""Sigmoids: from one limit to another."""

import numpy as np

from npdl.activations.base import Activation


class Sigmoid(Activation):
    """y = 1 / (1 + e⁻ᶻ), computed from e^−|z| so that nothing overflows;  a' = y (1 − y)"""

    name, code = "sigmoid", 7

    def __call__(self, z):
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1, e) / (1 + e)

    def derivative(self, y):
        return y * (1 - y)


class LogSigmoid(Activation):
    """y = ln σ(z) = −ln(1 + e⁻ᶻ);  a' = σ(−z) = 1 − eʸ"""

    name, code = "log_sigmoid", 15

    def __call__(self, z):
        return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))

    def derivative(self, y):
        return -np.expm1(y)


class Tanh(Activation):
    """y = tanh(z);  a' = 1 − y²"""

    name, code = "tanh", 8

    def __call__(self, z):
        return np.tanh(z)

    def derivative(self, y):
        return 1 - y * y


class Softsign(Activation):
    """y = z / (1 + |z|);  a' = 1 / (1 + |z|)²"""

    name, code, needs = "softsign", 16, "z"

    def __call__(self, z):
        near = np.clip(z, -1e30, 1e30)  # infinity / infinity is not a number
        return near / (1 + np.abs(near))

    def derivative(self, z):
        return (1 / (1 + np.abs(z))) ** 2


class _Clipped(Activation):
    """y = min(max(a z + b, lowest), 1);  a' = a where lowest < y < 1, else 0, with constants = (a, b, lowest)"""

    code = 19

    def __call__(self, z):
        a, b, lowest = self.constants
        return np.clip(a * z + b, lowest, 1).astype(z.dtype)

    def derivative(self, y):
        a, _, lowest = self.constants
        return np.where((y > lowest) & (y < 1), a, 0).astype(y.dtype)


class HardSigmoid(_Clipped):
    """y = min(max(z/6 + ½, 0), 1);  a' = 1/6 where 0 < y < 1, else 0"""

    name, constants = "hard_sigmoid", (1 / 6, 0.5, 0.0)


class SparseSigmoid(_Clipped):
    """y = min(max((z + 1)/2, 0), 1);  a' = ½ where 0 < y < 1, else 0"""

    name, constants = "sparse_sigmoid", (0.5, 0.5, 0.0)


class HardTanh(_Clipped):
    """y = min(max(z, −1), 1);  a' = 1 where −1 < y < 1, else 0"""

    name, constants = "hard_tanh", (1.0, 0.0, -1.0)


sigmoid, log_sigmoid, tanh, softsign = Sigmoid(), LogSigmoid(), Tanh(), Softsign()
hard_sigmoid, sparse_sigmoid, hard_tanh = HardSigmoid(), SparseSigmoid(), HardTanh()
