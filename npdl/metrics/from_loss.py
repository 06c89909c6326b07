"""Losses as metrics: the mean of a loss over the samples, and what is made of it."""

import copy
import math

import numpy as np

from npdl import devices, losses
from npdl.losses.targets import as_numbers, check_labels_shape
from npdl.metrics.base import Averaged, MeanOfSamples, weighted_rows


class MeanOfLoss(MeanOfSamples):
    """Weighted mean of a loss over the samples,  Σ wₙ Lₙ / Σ wₙ,  computed in float64.

    Args:
        loss: name or object of npdl.losses, for one output.
        name: None is the loss's.
        dtype: as of `Metric`.

    >>> MeanOfLoss("huber")([[0.0, 0.0]], [[0.5, -3.0]])
    1.3125
    """

    def __init__(self, loss, name=None, dtype=None):
        self.loss = losses.get(loss)
        super().__init__(name or self.loss.name, dtype)

    def values(self, y_true, y_pred):
        loss = copy.copy(self.loss)
        loss.attach(devices.get("reference"))
        loss.check_settings()
        p = np.ascontiguousarray(y_pred, np.float64)
        out = np.empty(len(p))
        loss.validate(y_true, p.shape)
        loss.values(loss.prepare(y_true, p.dtype, p.shape), p, out)
        return out

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = as_numbers(self.name, y_true), as_numbers(self.name, y_pred)
        t, w = weighted_rows(y_true, sample_weight)
        p, _ = weighted_rows(y_pred, sample_weight) if len(y_pred) == len(y_true) else (y_pred, None)
        if len(t):
            self.add(self.values(t, p), w)

    def get_config(self):
        """Its arguments; the loss as class and arguments."""
        return {"loss": losses.serialize(self.loss), "name": self.name, "dtype": self.dtype}


class _Named(MeanOfLoss):
    """A metric of a loss that a subclass makes; its arguments are those of its own."""

    get_config = MeanOfSamples.get_config


class MeanAbsolutePercentageError(_Named):
    """Mean of 100 |p − t| / max(|t|, 10⁻⁷) over all entries; y_true t and y_pred p (N, ...).

    >>> MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]])
    37.5
    """

    def __init__(self, name="mean_absolute_percentage_error", dtype=None):
        super().__init__(losses.MeanAbsolutePercentageError(), name, dtype)


class MeanSquaredLogarithmicError(_Named):
    """Mean of (ln(1 + p) − ln(1 + t))² over all entries; y_true t and y_pred p (N, ...), at least 10⁻⁷.

    >>> round(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 3.0]]), 6)
    0.480453
    """

    def __init__(self, name="mean_squared_logarithmic_error", dtype=None):
        super().__init__(losses.MeanSquaredLogarithmicError(), name, dtype)


class LogCoshError(_Named):
    """Mean of ln cosh(p − t) over all entries; y_true t and y_pred p (N, ...).

    >>> round(LogCoshError()([[0.0, 0.0]], [[1.0, -3.0]]), 6)
    1.371555
    """

    def __init__(self, name="logcosh", dtype=None):
        super().__init__(losses.LogCosh(), name, dtype)


class Poisson(_Named):
    """Mean of p − t ln(p + 10⁻⁷) over all entries; y_true t and y_pred p (N, ...).

    >>> Poisson()([[0.0, 0.0]], [[1.0, 2.0]])
    1.5
    """

    def __init__(self, name="poisson", dtype=None):
        super().__init__(losses.Poisson(), name, dtype)


class KLDivergence(_Named):
    """Mean of Σ_c t_c ln(t_c / p_c) over all positions; y_true t and y_pred p (N, ..., C).

    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 6)
    0.143841
    """

    def __init__(self, name="kl_divergence", dtype=None):
        super().__init__(losses.KLDivergence(), name, dtype)


class Hinge(_Named):
    """Mean of max(1 − t p, 0) over all entries; y_true t of −1 and 1, or 0 and 1, and y_pred p (N, ...).

    >>> Hinge()([[1.0, -1.0]], [[0.5, 0.5]])
    1.0
    """

    def __init__(self, name="hinge", dtype=None):
        super().__init__(losses.Hinge(), name, dtype)


class SquaredHinge(_Named):
    """Mean of max(1 − t p, 0)² over all entries; y_true t of −1 and 1, or 0 and 1, and y_pred p (N, ...).

    >>> SquaredHinge()([[1.0, -1.0]], [[0.5, 0.5]])
    1.25
    """

    def __init__(self, name="squared_hinge", dtype=None):
        super().__init__(losses.SquaredHinge(), name, dtype)


class CategoricalHinge(_Named):
    """Mean of max(max_c (1 − t_c) p_c − Σ t p + 1, 0) over all positions; y_true t and y_pred p (N, ..., C).

    >>> CategoricalHinge()([[0.0, 1.0, 0.0]], [[0.5, 1.0, 0.75]])
    0.75
    """

    def __init__(self, name="categorical_hinge", dtype=None):
        super().__init__(losses.CategoricalHinge(), name, dtype)


class CosineSimilarity(_Named):
    """Mean cosine of the angle between y_true and y_pred, (N, ..., C), over all positions.

    Args:
        name, dtype: as of `Metric`.
        axis: -1.

    >>> round(CosineSimilarity()([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]), 6)
    0.5
    """

    def __init__(self, name="cosine_similarity", dtype=None, axis=-1):
        super().__init__(losses.CosineSimilarity(axis=axis), name, dtype)
        self.axis = axis

    def values(self, y_true, y_pred):
        return -super().values(y_true, y_pred)


class BinaryCrossentropy(_Named):
    """Mean binary cross-entropy over all entries; y_true and y_pred (N, ...).

    Args:
        name, dtype: as of `Metric`.
        from_logits, label_smoothing: as of `npdl.losses.BinaryCrossentropy`.

    >>> round(BinaryCrossentropy()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 6)
    0.814924
    """

    def __init__(self, name="binary_crossentropy", dtype=None, from_logits=False, label_smoothing=0):
        self.from_logits, self.label_smoothing = from_logits, label_smoothing
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name, dtype)


class CategoricalCrossentropy(_Named):
    """Mean categorical cross-entropy over all positions; y_true and y_pred (N, ..., C).

    Args:
        name, dtype: as of `Metric`.
        from_logits, label_smoothing, axis: as of `npdl.losses.CategoricalCrossentropy`.

    >>> round(CategoricalCrossentropy()([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]), 6)
    1.176939
    """

    def __init__(self, name="categorical_crossentropy", dtype=None, from_logits=False, label_smoothing=0, axis=-1):
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis
        super().__init__(losses.CategoricalCrossentropy(from_logits, label_smoothing, axis), name, dtype)


class SparseCategoricalCrossentropy(Averaged):
    """Mean sparse categorical cross-entropy over all positions; y_true (N, ...) or (N, ..., 1), y_pred (N, ..., C).

    Args:
        name, dtype: as of `Metric`.
        from_logits, axis: as of `npdl.losses.SparseCategoricalCrossentropy`.
        ignore_class: a label whose positions do not count; None: there is none.

    >>> round(SparseCategoricalCrossentropy()([1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]), 6)
    1.176939
    """

    def __init__(
        self, name="sparse_categorical_crossentropy", dtype=None, from_logits=False, ignore_class=None, axis=-1
    ):
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis
        self._loss = MeanOfLoss(losses.SparseCategoricalCrossentropy(from_logits, axis=axis))
        super().__init__(name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = as_numbers(self.name, y_true), as_numbers(self.name, y_pred)
        check_labels_shape(self.name, y_true.shape, y_pred.shape)
        labels, w = weighted_rows(y_true.reshape(y_pred.shape[:-1]), sample_weight)
        p, _ = weighted_rows(y_pred, sample_weight)
        w = np.repeat(w, math.prod(labels.shape[1:]))
        labels, p = labels.reshape(-1), p.reshape(-1, p.shape[-1])
        if self.ignore_class is not None:
            keep = labels != self.ignore_class
            labels, p, w = labels[keep], p[keep], w[keep]
        if len(labels):
            self.add(self._loss.values(labels, p), w)


class Perplexity(SparseCategoricalCrossentropy):
    """e to the mean cross-entropy over all positions: as many classes as it would take to be that unsure.

    Args:
        from_logits: whether y_pred holds logits instead of probabilities.
        mask_token_id: a label whose positions do not count; None: there is none.
        name, dtype: as of `Metric`.

    Shapes: y_true (N, ...) or (N, ..., 1), whole numbers · y_pred (N, ..., C).

    >>> round(Perplexity()([[0, 1]], [[[0.25, 0.75], [0.75, 0.25]]]), 6)
    4.0
    """

    def __init__(self, from_logits=False, mask_token_id=None, name="perplexity", dtype=None):
        self.mask_token_id = mask_token_id
        super().__init__(name, dtype, from_logits, mask_token_id)

    def result(self):
        return math.exp(super().result()) if self.weight else 0.0
