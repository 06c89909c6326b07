"""Orthogonal: random matrices that keep lengths."""

import math

import numpy as np

from npdl import random
from npdl.initializers.base import Initializer, check_seed


class Orthogonal(Initializer):
    """gain times a random matrix with orthonormal columns (rows, where it is wide), every one equally likely.

    All axes but the last are one. With m rows and n ≤ m columns (else of the transpose),

        Q = H₁ H₂ ... Hₙ [I; 0] D,  Hₖ = I − 2 vₖvₖᵀ / vₖᵀvₖ,  vₖ = gₖ + s |gₖ| e,  D = diag(−s)

    where gₖ is column k of a normal (m, n) matrix from the diagonal down, e its first axis and s = sign(gₖ[0]). It is
    distributed as what Keras takes, the Q of a normal matrix's QR decomposition with a positive diagonal of R, without
    the decomposition: what a reflection makes of the next columns is again normal, and independent of it.

    Args:
        gain: factor.
        seed: see `Initializer`.

    Raises:
        ValueError: a shape of fewer than two axes.

    References: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning, 2013.
    Stewart, The efficient generation of random orthogonal matrices, 1980.
    """

    def __init__(self, gain=1.0, seed=None):
        self.gain, self.seed = gain, check_seed(seed)

    def values(self, shape, key):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs a weight of at least two axes, got shape {shape}; use RandomNormal")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        m, n = max(rows, columns), min(rows, columns)
        g = random.normal(key, (m, n))
        q = np.eye(m, n)
        for k in range(n - 1, -1, -1):
            v = g[k:, k].copy()
            s = math.copysign(1.0, v[0])
            v[0] += s * math.sqrt(_sum(v * v))
            part = q[k:, k:]
            part -= (v * (2.0 / _sum(v * v)))[:, None] * _sum(v[:, None] * part)  # Hₖ q
            part[:, 0] *= -s
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


def _sum(x):
    """Σ over the first axis by adding the halves until one is left: one order on every machine. Overwrites x."""
    while len(x) > 1:
        half = (len(x) + 1) // 2
        x[: len(x) - half] += x[half:]
        x = x[:half]
    return x[0]
