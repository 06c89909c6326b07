"""Gated units: z times a share of it that grows with z."""

import math

import numpy as np

from npdl.activations.base import Activation
from npdl.activations.sigmoids import sigmoid

_erf = np.frompyfunc(math.erf, 1, 1)


class GELU(Activation):
    """y = z Φ(z), Φ(z) = ½ (1 + erf(z/√2));  a' = Φ(z) + z φ(z), φ(z) = e^(−z²/2) / √(2π)

    approximate=True: y = ½ z (1 + t), t = tanh(u), u = √(2/π) (z + 0.044715 z³);  a' = ½ (1 + t) + ½ z (1 − t²) u'

    Reference: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """

    name, code, needs, keeps_slope = "gelu", 5, "z", True

    def __init__(self, approximate=False):
        self.approximate = approximate
        self.code = 6 if approximate and type(self).code else type(self).code

    def _tanh(self, z):
        c = math.sqrt(2 / math.pi)
        z = np.clip(z, -30, 30)  # tanh(u) is ±1 long before; z³ stays in range
        return np.tanh(c * (z + 0.044715 * z**3)), c * (1 + 3 * 0.044715 * z**2)

    def __call__(self, z):
        if self.approximate:
            return (0.5 * z * (1 + self._tanh(z)[0])).astype(z.dtype)
        return (z * 0.5 * (1 + _erf(z / math.sqrt(2)).astype(z.dtype))).astype(z.dtype)

    def derivative(self, z):
        if self.approximate:
            t, slope = self._tanh(z)
            return (0.5 * (1 + t) + 0.5 * z * (1 - t * t) * slope).astype(z.dtype)
        near = np.clip(z, -40, 40)  # e^(−z²/2) is 0 long before
        density = np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi)
        return (0.5 * (1 + _erf(z / math.sqrt(2)).astype(z.dtype)) + z * density).astype(z.dtype)


class SiLU(Activation):
    """y = z σ(z), σ the sigmoid;  a' = σ + z σ (1 − σ)

    Reference: Ramachandran, Zoph and Le, Swish: A Self-Gated Activation Function, 2017.
    """

    name, code, needs = "silu", 13, "z"

    def __call__(self, z):
        return np.maximum(z, -750) * sigmoid(z)  # −infinity · 0 is not a number

    def derivative(self, z):
        s = sigmoid(z)
        return (s + np.clip(z, -750, 750) * s * sigmoid(-z)).astype(z.dtype)


class Mish(Activation):
    """y = z t, t = tanh(ln(1 + eᶻ)) = n / (n + 2), n = e (e + 2), e = eᶻ;  a' = t + 4 z e (1 + e) / (n + 2)²

    Reference: Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019.
    """

    name, code, needs = "mish", 17, "z"

    def _parts(self, z):
        e = np.exp(np.minimum(z, 40))  # from there on t is 1, and e² stays in range
        n = e * (e + 2)
        return e, n, n / (n + 2)

    def __call__(self, z):
        return np.maximum(z, -750) * self._parts(z)[2]  # −infinity · 0 is not a number

    def derivative(self, z):
        e, n, t = self._parts(z)
        return t + np.clip(z, -750, 40) * (4 * e / (n + 2)) * ((1 + e) / (n + 2))


class HardSiLU(Activation):
    """y = z h(z), h(z) = min(max(z/6 + ½, 0), 1);  a' = 0 where z ≤ −3, 1 where z ≥ 3, else z/3 + ½

    Reference: Howard and others, Searching for MobileNetV3, 2019.
    """

    name, code, needs = "hard_silu", 20, "z"

    def __call__(self, z):
        return np.maximum(z, -3) * np.clip(z / 6 + 0.5, 0, 1)

    def derivative(self, z):
        return np.where(z <= -3, 0, np.where(z >= 3, 1, z / 3 + 0.5)).astype(z.dtype)


gelu, silu, mish, hard_silu = GELU(), SiLU(), Mish(), HardSiLU()
swish, hard_swish = silu, hard_silu
