"""Metrics of right and wrong yes-or-no answers at thresholds: counts, precision, recall, F scores."""

import numpy as np

from npdl.losses.targets import as_numbers
from npdl.metrics.accuracy import checked_k
from npdl.metrics.base import Metric, per_row, same_shape, weighted_rows


class _AtThresholds(Metric):
    """Weighted counts tp, fp, tn, fn, one a threshold, of answers y_pred > threshold to questions y_true (0 or 1)."""

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        self.thresholds, self.class_id = checked_thresholds(thresholds), class_id
        self.top_k = None if top_k is None else checked_k(top_k)
        usual = 0.5 if top_k is None else -np.inf
        self._at = np.sort(np.atleast_1d(usual if self.thresholds is None else self.thresholds).astype(np.float64))
        super().__init__(name, dtype)

    def reset_state(self):
        self.tp, self.fp, self.tn, self.fn = (np.zeros(len(self._at)) for _ in range(4))

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p, w = entries(self.name, y_true, y_pred, sample_weight, self.class_id, self.top_k)
        tp, fp, tn, fn = counts_above(self._at, t, p, w)
        self.tp, self.fp, self.tn, self.fn = self.tp + tp, self.fp + fp, self.tn + tn, self.fn + fn

    def result(self):
        values = self._value()
        if self.thresholds is None or np.ndim(self.thresholds) == 0:
            return float(values[0])
        return values[np.searchsorted(self._at, self.thresholds)]

    def _value(self):
        raise NotImplementedError(f"{type(self).__name__} needs _value(self), one number a threshold")


class TruePositives(_AtThresholds):
    """Weighted number of entries with y_true 1 and y_pred > threshold; both (N, ...).

    Args:
        thresholds: a number, or a list, for which an array is given; None is 0.5.
        name, dtype: as of `Metric`.

    >>> TruePositives()([[0], [1], [1]], [[1.0], [0.2], [0.9]])
    1.0
    """

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(thresholds, None, None, name or "true_positives", dtype)

    def _value(self):
        return self.tp


class TrueNegatives(_AtThresholds):
    """Weighted number of entries with y_true 0 and y_pred ≤ threshold; both (N, ...). Args: as of `TruePositives`."""

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(thresholds, None, None, name or "true_negatives", dtype)

    def _value(self):
        return self.tn


class FalsePositives(_AtThresholds):
    """Weighted number of entries with y_true 0 and y_pred > threshold; both (N, ...). Args: as of `TruePositives`."""

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(thresholds, None, None, name or "false_positives", dtype)

    def _value(self):
        return self.fp


class FalseNegatives(_AtThresholds):
    """Weighted number of entries with y_true 1 and y_pred ≤ threshold; both (N, ...). Args: as of `TruePositives`."""

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(thresholds, None, None, name or "false_negatives", dtype)

    def _value(self):
        return self.fn


class Precision(_AtThresholds):
    """Of the entries with y_pred > threshold the share with y_true 1:  tp / (tp + fp),  0 where there are none.

    Args:
        thresholds: a number, or a list, for which an array is given; None is 0.5, or nothing with top_k.
        top_k: only the k largest outputs of a row count as yes.
        class_id: look at this class alone, the place on the last axis.
        name, dtype: as of `Metric`.

    Shapes: y_true of 0 and 1 and y_pred (N, ...); with top_k or class_id (N, ..., C).

    >>> Precision()([[0], [1], [1], [1]], [[1.0], [0.0], [0.9], [0.8]])
    0.6666666666666666
    """

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(thresholds, top_k, class_id, name or "precision", dtype)

    def _value(self):
        return ratio(self.tp, self.tp + self.fp)


class Recall(_AtThresholds):
    """Of the entries with y_true 1 the share with y_pred > threshold:  tp / (tp + fn),  0 where there are none.

    Args, Shapes: as of `Precision`.

    >>> Recall()([[0], [1], [1], [1]], [[1.0], [0.0], [0.9], [0.8]])
    0.6666666666666666
    """

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(thresholds, top_k, class_id, name or "recall", dtype)

    def _value(self):
        return ratio(self.tp, self.tp + self.fn)


class FBetaScore(Metric):
    """Weighted harmonic mean of precision and recall, recall β times as important:

        F = (1 + β²) tp / ((1 + β²) tp + β² fn + fp),  0 where there is nothing;  one a class, then averaged

    Args:
        average: None: an array, one value a class; "micro": from the sums over classes; "macro": the mean; "weighted":
            the mean by the number of entries of each class.
        beta: β > 0.
        threshold: y_pred > threshold is a yes; None: the largest of a row is, all of them where there are several.
        name, dtype: as of `Metric`.

    Raises:
        ValueError: another average, beta not above 0; arrays that are not (N, classes).

    Shapes: y_true of 0 and 1 and y_pred (N, C).

    >>> FBetaScore("macro", beta=2.0, threshold=0.5)([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.6, 0.2], [0.8, 0.7]])
    0.8571428571428572
    """

    def __init__(self, average=None, beta=1.0, threshold=None, name="fbeta_score", dtype=None):
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f'average={average!r} is not there; pass None, "micro", "macro" or "weighted"')
        if not isinstance(beta, (int, float)) or not beta > 0:
            raise ValueError(f"beta must be a number above 0, got beta={beta!r}; pass e.g. beta=1.0")
        self.average, self.beta, self.threshold = average, beta, threshold
        super().__init__(name, dtype)

    def reset_state(self):
        self.tp = self.fp = self.fn = np.zeros(1)

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = as_numbers(self.name, y_true), as_numbers(self.name, y_pred)
        same_shape(self.name, t, p)
        if t.ndim != 2:
            raise ValueError(f"{self.name} takes y_true and y_pred (N, classes), got {t.shape}; pass y.reshape(-1, 1)")
        t, w = weighted_rows(t, sample_weight)
        p, _ = weighted_rows(p, sample_weight)
        yes = p == p.max(axis=-1, keepdims=True) if self.threshold is None and p.size else p > (self.threshold or 0)
        t, w = t != 0, w[:, None]
        self.tp = self.tp + (w * (t & yes)).sum(axis=0)
        self.fp = self.fp + (w * (~t & yes)).sum(axis=0)
        self.fn = self.fn + (w * (t & ~yes)).sum(axis=0)

    def result(self):
        tp, fp, fn = (x.sum() if self.average == "micro" else x for x in (self.tp, self.fp, self.fn))
        square = self.beta**2
        score = ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp)
        if self.average is None:
            return score
        if self.average == "weighted":
            return float(ratio(((tp + fn) * score).sum(), (tp + fn).sum()))
        return float(np.mean(score))


class F1Score(FBetaScore):
    """`FBetaScore` with β = 1:  2 tp / (2 tp + fn + fp).

    Args:
        average, threshold, name, dtype: as there.

    >>> F1Score("micro")([[1, 0], [0, 1]], [[0.7, 0.3], [0.6, 0.4]])
    0.5
    """

    def __init__(self, average=None, threshold=None, name="f1_score", dtype=None):
        super().__init__(average, 1.0, threshold, name, dtype)


def ratio(top, bottom):
    """top / bottom, 0 where bottom is 0."""
    return np.divide(top, bottom, out=np.zeros(np.shape(bottom)), where=np.asarray(bottom) != 0)


def checked_thresholds(thresholds):
    """None, a number, or a list of numbers."""
    if thresholds is None or isinstance(thresholds, (int, float)):
        return thresholds
    values = np.asarray(thresholds, np.float64)
    if values.ndim != 1 or not values.size or np.isnan(values).any():
        raise ValueError(f"thresholds must be a number or a list of numbers, got {thresholds!r}; pass e.g. 0.5")
    return values.tolist()


def entries(name, y_true, y_pred, sample_weight=None, class_id=None, top_k=None):
    """(y_true as booleans, y_pred in float64, weights) of all entries in rows with a weight above 0, in one axis."""
    t, p = as_numbers(name, y_true), as_numbers(name, y_pred)
    same_shape(name, t, p)
    t, w = weighted_rows(t, sample_weight)
    p, _ = weighted_rows(p, sample_weight)
    p = p.astype(np.float64)
    if (t != 0).sum() != (t == 1).sum():
        raise ValueError(f"{name}: y_true must hold 0 and 1, got {t[(t != 0) & (t != 1)][0]}; pass e.g. y > 0")
    if top_k is not None and p.size:
        least = np.sort(p, axis=-1)[..., -min(top_k, p.shape[-1])][..., None]
        ahead = (p > least).sum(axis=-1, keepdims=True)  # of those that equal the last of the k the first ones count
        equal = p == least
        p = np.where((p > least) | (equal & (np.cumsum(equal, axis=-1) + ahead <= top_k)), p, -np.inf)
    if class_id is not None:
        if t.ndim < 2 or not 0 <= class_id < t.shape[-1]:
            raise ValueError(
                f"{name}: class_id={class_id!r} is no place on the last axis of {t.shape}; "
                "pass a number from 0, and one-hot rows"
            )
        t, p = t[..., class_id], p[..., class_id]
    t, p = per_row(t), per_row(p)
    return t.reshape(-1) == 1, p.reshape(-1), np.repeat(w, t.shape[1])


def counts_above(thresholds, t, p, w):
    """Weighted tp, fp, tn, fn of p > threshold, for sorted thresholds."""
    places = np.searchsorted(thresholds, p, side="left")  # so many thresholds lie below
    places[np.isnan(p)] = 0
    counts = []
    for kind in (t, ~t):
        found = np.bincount(places[kind], weights=w[kind], minlength=len(thresholds) + 1)
        counts.append((found[:0:-1].cumsum()[::-1], found.cumsum()[:-1]))
    (tp, fn), (fp, tn) = counts
    return tp, fp, tn, fn
