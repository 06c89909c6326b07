"""Agreement of classes beyond chance, and of probabilities with how often they are right."""

import math

import numpy as np

from npdl.losses.targets import as_numbers, check_labels_shape
from npdl.metrics.base import Metric, weighted_rows
from npdl.metrics.confusion import ConfusionMatrix


class _Table(ConfusionMatrix):
    """A confusion matrix of any weights."""

    def reset_state(self):
        self.counts = np.zeros((self.num_classes, self.num_classes))

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, w = weighted_rows(as_numbers(self.name, y_true), sample_weight)
        p, _ = weighted_rows(as_numbers(self.name, y_pred), sample_weight)
        t, p = self._labels("y_true", t), self._labels("y_pred", p)
        if t.shape != p.shape:
            raise ValueError(
                f"{self.name}: y_true holds labels of shape {t.shape}, y_pred of shape {p.shape}; pass one a sample"
            )
        w = np.repeat(w, math.prod(t.shape[1:]))
        places = t.reshape(-1) * self.num_classes + p.reshape(-1)
        self.counts = self.counts + np.bincount(places, w, self.num_classes**2).reshape(self.counts.shape)


class CohenKappa(_Table):
    """Cohen's κ = 1 − Σ d o / Σ d e: disagreement o, as a share of what independent choices e would give.

    d is 1 off the diagonal, or grows with the distance of the classes. 1 is agreement, 0 chance, or nothing to tell.

    Args:
        num_classes: C.
        weightage: None, "linear" (d = |i − j|) or "quadratic" (its square).
        name, dtype: as of `Metric`.

    Raises:
        ValueError: another weightage; labels outside the classes.

    `update_state` takes y_true and y_pred as `ConfusionMatrix`.

    References: J. Cohen, A Coefficient of Agreement for Nominal Scales, 1960.

    >>> CohenKappa(2)([0, 0, 1, 1], [0, 1, 1, 1])
    0.5
    """

    def __init__(self, num_classes, weightage=None, name="cohen_kappa", dtype=None):
        if weightage not in (None, "linear", "quadratic"):
            raise ValueError(f'weightage={weightage!r} is not there; pass None, "linear" or "quadratic"')
        self.weightage = weightage
        super().__init__(num_classes, name, dtype)

    def result(self):
        rows, columns, total = self.counts.sum(axis=1), self.counts.sum(axis=0), self.counts.sum()
        apart = abs(np.subtract.outer(np.arange(self.num_classes), np.arange(self.num_classes)))
        d = {None: apart != 0, "linear": apart, "quadratic": apart**2}[self.weightage]
        chance = (d * np.outer(rows, columns)).sum()
        return float(1 - (d * self.counts).sum() * total / chance) if chance else 0.0


class MatthewsCorrelation(_Table):
    """Matthews' correlation of true and predicted classes, −1 to 1; for two classes

        (tp tn − fp fn) / √((tp + fp) (tp + fn) (tn + fp) (tn + fn)),  0 where that is 0 / 0.

    Args:
        num_classes: C.
        name, dtype: as of `Metric`.

    `update_state` takes y_true and y_pred as `ConfusionMatrix`.

    References: J. Gorodkin, Comparing Two K-Category Assignments by a K-Category Correlation Coefficient, 2004.

    >>> round(MatthewsCorrelation(2)([1, 1, 1, 0], [1, 0, 1, 1]), 6)
    -0.333333
    """

    def __init__(self, num_classes=2, name="matthews_correlation", dtype=None):
        super().__init__(num_classes, name, dtype)

    def result(self):
        t, p, total = self.counts.sum(axis=1), self.counts.sum(axis=0), self.counts.sum()
        spread = (total**2 - (t**2).sum()) * (total**2 - (p**2).sum())
        return float((self.counts.trace() * total - (t * p).sum()) / math.sqrt(spread)) if spread > 0 else 0.0


class ExpectedCalibrationError(Metric):
    """How far probabilities are from how often they are right:  Σ_b |Σ_b w (right − confidence)| / Σ w.

    The confidence is the largest probability; b are bins of it, (i / B, (i + 1) / B]. Of one probability p for yes the
    classes are 1 − p and p, and p > 1/2 says yes.

    Args:
        num_bins: B.
        name, dtype: as of `Metric`.

    Raises:
        ValueError: num_bins below 1; outputs that are no probabilities.

    Shapes: y_true (N, ...) or (N, ..., 1), whole numbers, and y_pred (N, ..., C) · or both (N, 1).

    References: C. Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599.

    >>> ExpectedCalibrationError()([[1], [0]], [[0.75], [0.75]])
    0.25
    """

    def __init__(self, num_bins=15, name="expected_calibration_error", dtype=None):
        if not isinstance(num_bins, (int, np.integer)) or isinstance(num_bins, bool) or num_bins < 1:
            raise ValueError(f"num_bins must be a whole number of at least 1, got {num_bins!r}; pass e.g. 15")
        self.num_bins = int(num_bins)
        super().__init__(name, dtype)

    def reset_state(self):
        self.gaps, self.weight = np.zeros(self.num_bins), 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = as_numbers(self.name, y_true), as_numbers(self.name, y_pred).astype(np.float64)
        if t.shape == p.shape and p.shape[-1:] == (1,):
            p = np.concatenate([1 - p, p], axis=-1)
        check_labels_shape(self.name, t.shape, p.shape)
        t, w = weighted_rows(t.reshape(p.shape[:-1]), sample_weight)
        p, _ = weighted_rows(p, sample_weight)
        if not (p.min(initial=0) >= 0 and p.max(initial=0) <= 1):
            raise ValueError(f"{self.name}: y_pred must hold probabilities; end the model with a softmax or sigmoid")
        w = np.repeat(w, math.prod(t.shape[1:]))
        confidence, right = p.max(axis=-1).reshape(-1), (p.argmax(axis=-1) == t).reshape(-1)
        bins = np.maximum(np.ceil(confidence * self.num_bins).astype(np.int64) - 1, 0)
        self.gaps = self.gaps + np.bincount(bins, w * (right - confidence), self.num_bins)
        self.weight += float(w.sum())

    def result(self):
        return float(np.abs(self.gaps).sum() / self.weight) if self.weight else 0.0
