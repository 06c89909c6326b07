"""Muon: momentum made orthogonal, for matrices."""

import math
import re
from typing import Any

import numpy as np

from npdl.optimizers.base import Optimizer
from npdl.schedules.exact import whole_power

LEAST = 1e-7
"""Norm by which a matrix is divided at least."""


class Muon(Optimizer):
    """Muon: the momentum of a weight matrix X is replaced by an orthogonal matrix near it. AdamW serves the rest.

        m = μ m + (1 − μ) g
        X = (1 − μ) g + μ m                             nesterov, else X = m
        X = X / max(‖X‖, 1e-7)
        A = X Xᵀ;  X = a X + (b A + c A²) X             `ns_steps` times, with XᵀX where rows are more than columns
        p = (1 − η λ) p − η √max(1, rows / columns) X

    With `rms_rate` r the factor of the last line is r √max(rows, columns) instead: an element of the step is then about
    as large as one of AdamW's, and one learning rate serves both (Liu et al.).

    A weight is a matrix if it has two axes, or three: then it is a stack of them. Embeddings, weights that
    `exclude_layers` finds, vectors and all else take a step of AdamW with learning rate η · adam_lr_ratio. Formulas as
    in PyTorch, which has no part for the rest and computes X in bfloat16; names and defaults as in Keras.

    Args:
        learning_rate: η.
        adam_beta_1, adam_beta_2, epsilon: of AdamW.
        weight_decay: λ; None is 0.
        name: kept for you.
        exclude_layers: regular expressions; AdamW serves the weights in whose path "layer/name" one is found. Usually
            the last layer's name.
        exclude_embeddings: whether AdamW serves the embeddings.
        muon_a, muon_b, muon_c: a, b, c, Newton and Schulz's polynomial.
        adam_lr_ratio: AdamW's learning rate by η.
        momentum: μ.
        ns_steps: how often the polynomial is taken.
        nesterov: look ahead along the momentum.
        adam_weight_decay: λ of the weights that AdamW serves; None is `weight_decay`.
        rms_rate: r, None or above 0. Keras' is 0.2.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError, TypeError: a number out of range, ns_steps not from 1 to 99.

    References:
        Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.
        Liu et al., Muon is scalable for LLM training, 2025.

    >>> Muon(0.02, exclude_layers=["logits"])
    Muon(learning_rate=0.02, exclude_layers=['logits'])
    """

    def __init__(
        self, learning_rate=0.001, adam_beta_1=0.9, adam_beta_2=0.999, epsilon=1e-7, weight_decay=0.1, name="muon",
        exclude_layers=None, exclude_embeddings=True, muon_a=3.4445, muon_b=-4.7750, muon_c=2.0315, adam_lr_ratio=0.1,
        momentum=0.95, ns_steps=6, nesterov=True, adam_weight_decay=None, rms_rate=None, **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.adam_beta_1 = self.check("adam_beta_1", adam_beta_1, below=1, example=0.9)
        self.adam_beta_2 = self.check("adam_beta_2", adam_beta_2, below=1, example=0.999)
        self.epsilon = self.check("epsilon", epsilon, example=1e-7)
        self.exclude_layers, self.exclude_embeddings = exclude_layers, bool(exclude_embeddings)
        self.muon_a, self.muon_b, self.muon_c = float(muon_a), float(muon_b), float(muon_c)
        self.adam_lr_ratio = self.check("adam_lr_ratio", adam_lr_ratio, example=0.1)
        self.momentum = self.check("momentum", momentum, below=1, example=0.95)
        self.ns_steps, self.nesterov = ns_steps, bool(nesterov)
        if isinstance(ns_steps, bool) or not isinstance(ns_steps, int) or not 1 <= ns_steps < 100:
            raise ValueError(f"Muon: ns_steps must be a whole number from 1 to 99, got {ns_steps!r}; pass e.g. 6")
        self.adam_weight_decay, self.rms_rate = adam_weight_decay, rms_rate
        if adam_weight_decay is not None:
            self.check("adam_weight_decay", adam_weight_decay, example=0.004)
        if rms_rate is not None:
            self.check("rms_rate", rms_rate, example=0.2)
        self._matrices: list[tuple[int, int, int]] = []  # start, rows, columns of each
        self._whole = np.zeros((0, 5))  # a segment for each
        self._work: dict[str, Any] = {}

    def slots(self):
        return ("m", "v")

    def __getstate__(self):
        return {**super().__getstate__(), "_work": {}}

    def is_matrix(self, weight):
        """Whether Muon's own step serves a `Weight`."""
        if len(weight.shape) not in (2, 3) or (self.exclude_embeddings and "embedding" in weight.path.lower()):
            return False
        return not any(re.search(pattern, weight.path) for pattern in self.exclude_layers or ())

    def decay_of(self, weight):
        adamw = self.adam_weight_decay is not None and not self.is_matrix(weight)
        return self.adam_weight_decay if adamw else self.weight_decay

    def arrange(self, segments, weights):
        matrices, rest, step = segments.copy(), segments.copy(), segments.copy()
        self._matrices = []
        for row, weight in enumerate(weights):
            if not self.is_matrix(weight):
                matrices[row, 4] = step[row, 4] = 0
                continue
            rest[row, 4] = 0
            rows, columns = weight.shape[-2:]
            ratio = math.sqrt(max(1.0, rows / columns))
            if self.rms_rate is not None:
                ratio = self.rms_rate * math.sqrt(max(rows, columns))
            step[row, 2], step[row, 3] = segments[row, 2] * ratio, segments[row, 3] / (ratio or 1.0)
            if weight.trainable and rows * columns:
                places = range(weight.start, weight.stop, rows * columns)
                self._matrices += [(place, rows, columns) for place in places]
        rows = [(start, start + rows * columns, 1.0, 0.0, 1.0) for start, rows, columns in self._matrices]
        self._whole = np.array(rows).reshape(-1, 5)
        rest[:, 2] *= self.adam_lr_ratio
        rest[:, 3] /= self.adam_lr_ratio or 1.0
        return matrices, rest, step

    def update(self, k, p, g, segments):
        matrices, rest, step = segments
        m, t, rate = self.state["m"], self.iterations + 1, self.learning_rate
        bias_1, bias_2 = 1 - whole_power(self.adam_beta_1, t), 1 - whole_power(self.adam_beta_2, t)
        hyper = np.array([rate, self.adam_beta_1, self.adam_beta_2, bias_1, bias_2, self.epsilon])
        k.adamw(p, g, m, self.state["v"], rest, hyper)
        u = self._memory("u", p.size, p.dtype)
        k.muon(u, g, m, matrices, np.array([self.momentum, self.nesterov], np.float64))
        if self._matrices:  # X = X / max(‖X‖, 1e-7)
            k.combine(u, u, self._whole, np.array([0.0, 1 / LEAST]))
            k.clip_norm(u, self._whole, np.array([1.0, 0.0]))
        for start, rows, columns in self._matrices:
            self._orthogonalize(k, u[start : start + rows * columns], rows, columns)
        k.sgd(p, u, None, step, np.array([rate, 0, 0, 1.0]))

    def _memory(self, name, size, dtype):
        """A flat array of working memory, kept for the next call."""
        held = self._work.get(name)
        if held is None or held.size < size or self._work["device"] is not self._device:
            if self._work.get("device") is not self._device:
                self._work = {"device": self._device}
            held = self._work[name] = self._device.zeros((size,), dtype)
        return held[:size]

    def _orthogonalize(self, k, x, rows, columns):
        """x, the flat matrix, by Newton and Schulz's iteration."""
        whole, side = _all(x.size), min(rows, columns)
        gram, square = (self._memory(name, side * side, x.dtype) for name in ("gram", "square"))
        product, tall = self._memory("product", x.size, x.dtype), rows > columns
        polynomial = np.array([self.muon_b, self.muon_c])
        for _ in range(self.ns_steps):
            matrix, a, b = x.reshape(rows, columns), gram.reshape(side, side), square.reshape(side, side)
            k.matmul(matrix, matrix, out=a, transpose_a=tall, transpose_b=not tall)
            k.matmul(a, a, out=b)
            k.combine(gram, square, _all(gram.size), polynomial)
            k.matmul(*((matrix, a) if tall else (a, matrix)), out=product.reshape(rows, columns))
            k.combine(x, product, whole, np.array([self.muon_a, 1.0]))


def _all(size):
    """One segment, of all elements."""
    return np.array([[0, size, 1.0, 0, 1.0]])
