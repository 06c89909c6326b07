"""Adafactor: Adam's divisor from row and column means alone."""

import math

import numpy as np

from npdl.optimizers.base import Optimizer
from npdl.schedules.exact import power


class Adafactor(Optimizer):
    """Adafactor: of a matrix M x N it keeps M + N numbers instead of Adam's 2 M N.

        c = tᵟ                                                      δ = beta_2_decay, t = 1, 2, ... the step
        r = r + c (mean of g² over a row − r)                       k = k + c (mean of g² over a column − k)
        v = r kᵀ / max(mean of r, ε₁)                               vectors: v = v + c (g² − v)
        u = g / √max(v, ε₁²)                                        u = u / max(1, rms(u) / clip_threshold)
        p = (1 − η λ) p − min(η, 1 / √t) max(ε₂, rms(p)) u          rms: root mean square

    A tensor of more than two axes is a stack of matrices in its last two. The formulas are PyTorch's, the names and
    defaults Keras' (η = 0.001, ε₁ = 1e-30; PyTorch has 0.01 and the dtype's epsilon). In Keras ε₁ is added to g².

    Args:
        learning_rate: η.
        beta_2_decay: δ, from −1 to 0.
        epsilon_1: ε₁, keeps the divisor from 0; never less than the dtype's smallest normal number.
        epsilon_2: ε₂, the least size of a tensor that is reckoned with.
        clip_threshold: how large the root mean square of u may be.
        relative_step: False takes η as it is instead of min(η, 1 / √t).
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: a number negative or not finite, beta_2_decay above 0, clip_threshold 0.

    References:
        Shazeer and Stern, Adafactor: adaptive learning rates with sublinear memory cost, 2018.

    >>> Adafactor(0.01)
    Adafactor(learning_rate=0.01)
    """

    def __init__(
        self, learning_rate=0.001, beta_2_decay=-0.8, epsilon_1=1e-30, epsilon_2=1e-3, clip_threshold=1.0,
        relative_step=True, weight_decay=None, name="adafactor", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        if not -math.inf < beta_2_decay <= 0:
            raise ValueError(f"Adafactor: beta_2_decay must be at most 0, got {beta_2_decay!r}; pass e.g. -0.8")
        self.beta_2_decay = float(beta_2_decay)
        self.epsilon_1 = self.check("epsilon_1", epsilon_1, example=1e-30)
        self.epsilon_2 = self.check("epsilon_2", epsilon_2, example=1e-3)
        self.clip_threshold = self.check("clip_threshold", clip_threshold, example=1.0)
        if clip_threshold == 0:
            raise ValueError("Adafactor: clip_threshold must be more than 0, got 0; pass e.g. clip_threshold=1.0")
        self.relative_step = bool(relative_step)
        self._shapes = None

    def slots(self):
        return ("factors",)

    def length(self, name, store):
        if name != "factors":
            return super().length(name, store)
        shapes = _shapes([weight for weight in store.weights if weight.trained])
        return sum(count * (rows + columns) for count, rows, columns, _ in shapes)

    def arrange(self, segments, weights):
        self._shapes = np.array(_shapes(weights), np.int64).reshape(-1, 4)
        return segments

    def update(self, k, p, g, segments):
        t = self.iterations + 1
        rate = self.learning_rate
        rho = min(rate, 1 / math.sqrt(t)) if self.relative_step else rate
        rest = power(t, self.beta_2_decay) if self.beta_2_decay else 1.0
        hyper = np.array([rate, rho, rest, self.epsilon_1, self.epsilon_2, self.clip_threshold])
        k.adafactor(p, g, self.state["factors"], self._shapes, segments, hyper)


def _shapes(weights):
    """[matrices, rows, columns, place of its numbers] of each weight; a vector has no rows."""
    shapes, place = [], 0
    for weight in weights:
        *stack, columns = weight.shape or (1,)
        rows = stack.pop() if stack else 0
        shapes.append([math.prod(stack), rows, columns, place])
        place += shapes[-1][0] * (rows + columns)
    return shapes
