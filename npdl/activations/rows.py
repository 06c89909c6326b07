"""Functions of whole rows."""

import numpy as np

from npdl.activations.base import Activation
from npdl.activations.sigmoids import sigmoid


class Softmax(Activation):
    """y = eᶻ⁻ᵐ / Σ eᶻ⁻ᵐ along `axis`, m = max z;  dz = y (dy − Σ dy y)"""

    name, code = "softmax", 9

    def __init__(self, axis=-1):
        self.axis = axis
        self.constants = (axis,)

    def __call__(self, z):
        e = np.exp(z - z.max(axis=self.axis, keepdims=True))
        return e / e.sum(axis=self.axis, keepdims=True)

    def derivative(self, y):
        raise TypeError("softmax is not elementwise; gradient(dy, y) computes dz")

    def gradient(self, dy, y):
        return y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))


class LogSoftmax(Activation):
    """y = z − m − ln Σ eᶻ⁻ᵐ along `axis`, m = max z;  dz = dy − eʸ Σ dy"""

    name, code = "log_softmax", 10

    def __init__(self, axis=-1):
        self.axis = axis
        self.constants = (axis,)

    def __call__(self, z):
        z = z - z.max(axis=self.axis, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=self.axis, keepdims=True))

    def derivative(self, y):
        raise TypeError(f"{self.name} is not elementwise; gradient(dy, y) computes dz")

    def gradient(self, dy, y):
        return dy - np.exp(y) * dy.sum(axis=self.axis, keepdims=True)


class Sparsemax(LogSoftmax):
    """y = max(z − τ, 0) along `axis`, with the τ that makes Σ y = 1: the nearest point to z among probabilities.

        τ = (Σ z − 1) / k over the k largest z, for the largest k with z₍ₖ₎ > τ
        dz = dy − Σ dy / k where y > 0, else 0, the sum over the k places where y > 0

    Reference: Martins and Astudillo, From Softmax to Sparsemax, 2016.
    """

    name, code = "sparsemax", 11

    def __call__(self, z):
        z = np.moveaxis(z - z.max(axis=self.axis, keepdims=True), self.axis, -1)
        largest = -np.sort(-z, axis=-1)
        tau = (np.cumsum(largest, axis=-1) - 1) / np.arange(1, z.shape[-1] + 1)
        k = (largest > tau).sum(axis=-1, keepdims=True)
        return np.moveaxis(np.maximum(z - np.take_along_axis(tau, k - 1, axis=-1), 0), -1, self.axis).astype(z.dtype)

    def gradient(self, dy, y):
        there = y > 0
        mean = np.where(there, dy, 0).sum(axis=self.axis, keepdims=True) / there.sum(axis=self.axis, keepdims=True)
        return np.where(there, dy - mean, 0).astype(dy.dtype)


class GLU(Activation):
    """y = a σ(b), z = (a, b) cut in two halves along `axis`;  da = dy σ(b),  db = dy a σ(b) (1 − σ(b))

    y is half as long as z, so no layer takes it as `activation=`: `layers.GLU` is the layer.

    Reference: Dauphin, Fan, Auli and Grangier, Language Modeling with Gated Convolutional Networks, 2016.
    """

    name, needs = "glu", "z"

    def __init__(self, axis=-1):
        self.axis = axis

    def _halves(self, z):
        if z.shape[self.axis] % 2:
            raise ValueError(f"glu cuts axis {self.axis} in two halves, got shape {z.shape}; make it an even number")
        return np.split(z, 2, axis=self.axis)

    def __call__(self, z):
        a, b = self._halves(z)
        return a * sigmoid(b)

    def derivative(self, z):
        raise TypeError("glu is not elementwise; gradient(dy, z) computes dz")

    def gradient(self, dy, z):
        a, b = self._halves(z)
        s = sigmoid(b)
        return np.concatenate([dy * s, dy * a * s * sigmoid(-b)], axis=self.axis)


softmax, log_softmax, sparsemax, glu = Softmax(), LogSoftmax(), Sparsemax(), GLU()
