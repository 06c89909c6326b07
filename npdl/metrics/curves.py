"""Metrics of curves over all thresholds: area under them, and the best point on them."""

import numpy as np

from npdl.metrics.base import Metric
from npdl.metrics.counts import checked_thresholds, counts_above, entries, ratio


class _Curve(Metric):
    """tp, fp, tn, fn at thresholds: at all scores, which are kept, or at given ones, where counts are enough."""

    def __init__(self, num_thresholds, thresholds, name, dtype):
        if num_thresholds is not None and (not isinstance(num_thresholds, int) or num_thresholds < 2):
            raise ValueError(
                f"num_thresholds must be None, for every score, or a whole number of at least 2, got "
                f"{num_thresholds!r}; pass e.g. 200"
            )
        self.num_thresholds, self.thresholds, self._at = num_thresholds, checked_thresholds(thresholds), None
        if self.thresholds is not None:
            inner = np.sort(np.atleast_1d(self.thresholds))
        elif num_thresholds is not None:
            inner = np.arange(1, num_thresholds - 1) / (num_thresholds - 1)
        if self.thresholds is not None or num_thresholds is not None:
            self._at = np.concatenate([[-1e-7], inner, [1 + 1e-7]])  # Keras': all, and none, of probabilities are above
        super().__init__(name, dtype)

    def reset_state(self):
        self.kept: list = []
        self.counts = np.zeros((4, 0 if self._at is None else len(self._at)))

    def take(self, t, p, w):
        """Take in entries: booleans, scores, weights."""
        if self._at is None:
            self.kept.append((t, p, w))
        else:
            self.counts = self.counts + counts_above(self._at, t, p, w)

    def points(self):
        """tp, fp, tn, fn, the thresholds falling: from nothing above to everything."""
        if self._at is not None:
            return self.counts[:, ::-1]
        t, p, w = (np.concatenate(part) for part in zip(*self.kept)) if self.kept else (np.zeros(0),) * 3
        if np.isnan(p).any():
            raise ValueError(f"{self.name}: y_pred holds NaN, which has no place among the scores; mend the model")
        order = np.lexsort((w, t, -p))  # by what an entry is alone: any batches give the same sums
        t, p, w = t[order], p[order], w[order]
        last = np.flatnonzero(np.append(p[1:] != p[:-1], True)) if len(p) else np.zeros(0, int)
        yes, no = (np.append(0.0, np.cumsum(w * kind)[last]) for kind in (t != 0, t == 0))
        return np.stack([yes, no, no[-1] - no, yes[-1] - yes])


class AUC(_Curve):
    """Area under a curve over all thresholds: ROC (recall over false positive rate) or PR (precision over recall).

    Of ROC that is the probability that a positive has a higher score than a negative. By default it is exact: all
    scores are kept, 17 bytes an entry; Keras counts at 200 thresholds between 0 and 1, as num_thresholds=200 does here.

    Args:
        num_thresholds: None: every score is a threshold; a number: as many between 0 and 1.
        curve: "ROC" or "PR".
        summation_method: "interpolation": trapezoids of ROC, of PR Davis' and Goadrich's curve between the points;
            "minoring", "majoring": rectangles of the smaller, the larger of neighbours; "step": of the one at the lower
            threshold, which of PR is the average precision.
        name, dtype: as of `Metric`.
        thresholds: a list to be used instead.
        multi_label: whether each of the last axis' places has an area of its own, which are averaged.
        num_labels: how many places there are; may be left out.
        label_weights: their weights in the mean.
        from_logits: whether y_pred holds logits; the area over every score is the same.

    Raises:
        ValueError: another curve or summation_method; with multi_label outputs of another width.

    Shapes: y_true of 0 and 1 and y_pred (N, ...); with multi_label (N, ..., labels).

    References: J. Davis, M. Goadrich, The Relationship Between Precision-Recall and ROC Curves, 2006.

    >>> AUC()([[0], [0], [1], [1]], [[0.0], [0.5], [0.3], [0.9]])
    0.75
    """

    def __init__(
        self, num_thresholds=None, curve="ROC", summation_method="interpolation", name=None, dtype=None,
        thresholds=None, multi_label=False, num_labels=None, label_weights=None, from_logits=False,
    ):  # fmt: skip
        if curve not in ("ROC", "PR"):
            raise ValueError(f'curve={curve!r} is not there; pass "ROC" or "PR"')
        if summation_method not in ("interpolation", "minoring", "majoring", "step"):
            raise ValueError(
                f"summation_method={summation_method!r} is not there; pass "
                '"interpolation", "minoring", "majoring" or "step"'
            )
        self.curve, self.summation_method, self.from_logits = curve, summation_method, from_logits
        self.multi_label, self.num_labels, self.label_weights = multi_label, num_labels, label_weights
        super().__init__(num_thresholds, thresholds, name or "auc", dtype)

    def reset_state(self):
        super().reset_state()
        self.labels: list = []

    def update_state(self, y_true, y_pred, sample_weight=None):
        if self.from_logits and self._at is not None:
            y_pred = 1 / (1 + np.exp(-np.clip(np.asarray(y_pred, np.float64), -700, 700)))
        if not self.multi_label:
            self.take(*entries(self.name, y_true, y_pred, sample_weight))
            return
        count = np.shape(y_pred)[-1] if np.ndim(y_pred) > 1 else 0
        if not count or count != (self.num_labels or count) or (self.labels and count != len(self.labels)):
            expected = self.num_labels or len(self.labels) or "labels"
            raise ValueError(f"{self.name}: multi_label needs y_pred (N, ..., {expected}), got {np.shape(y_pred)}")
        if not self.labels:
            self.labels = [_Curve(self.num_thresholds, self.thresholds, self.name, None) for _ in range(count)]
        for place, one in enumerate(self.labels):
            one.take(*entries(self.name, y_true, y_pred, sample_weight, place))

    def result(self):
        if not self.multi_label:
            return self._area(self)
        weights = self.label_weights if self.label_weights is not None else np.ones(len(self.labels))
        return float(np.average([self._area(one) for one in self.labels], weights=weights)) if self.labels else 0.0

    def _area(self, one):
        tp, fp, tn, fn = one.points()
        if not len(tp):
            return 0.0
        recall = ratio(tp, tp + fn)
        if self.curve == "ROC":
            x, y = ratio(fp, fp + tn), recall
        else:
            x, y = recall, ratio(tp, tp + fp)
            if self.summation_method == "interpolation":
                return float(_interpolated(tp, fp, fn))
        if self.summation_method == "interpolation":
            height = (y[1:] + y[:-1]) / 2
        elif self.summation_method == "step":
            height = y[1:]
        else:
            height = (np.minimum if self.summation_method == "minoring" else np.maximum)(y[1:], y[:-1])
        return float((np.diff(x) * height).sum())


def _interpolated(tp, fp, fn):
    """The area under precision over recall where tp and tp + fp go linearly from point to point.

    With n = tp + fp, tp = s n + i between two points, precision is s + i / n: over n its integral is s n + i ln n.
    """
    step, above = np.diff(tp), tp + fp
    slope = ratio(step, np.diff(above))
    intercept = tp[1:] - slope * above[1:]
    both = (above[:-1] > 0) & (above[1:] > 0)
    grown = np.where(both, ratio(above[1:], above[:-1]), 1.0)
    parts = slope * (step + intercept * np.log(grown))
    return ratio(parts, tp[1:] + fn[1:]).sum()


class _BestPoint(_Curve):
    """The largest value of one figure among thresholds where another is at least a value."""

    def __init__(self, argument, value, num_thresholds, class_id, name, dtype):
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ValueError(f"{argument} must lie between 0 and 1, got {argument}={value!r}; pass e.g. 0.8")
        setattr(self, argument, value)
        self.class_id = class_id
        super().__init__(num_thresholds, None, name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.take(*entries(self.name, y_true, y_pred, sample_weight, self.class_id))

    def _best(self, values, constraint, least):
        kept = values[constraint >= least]
        return float(kept.max()) if len(kept) else 0.0


class PrecisionAtRecall(_BestPoint):
    """The best precision among thresholds with a recall of at least `recall`, 0 where there is none.

    Args:
        recall: between 0 and 1.
        num_thresholds: None: every score is a threshold, exact; a number: as many between 0 and 1 (Keras: 200).
        class_id: look at this class alone, the place on the last axis.
        name, dtype: as of `Metric`.

    Shapes: y_true of 0 and 1 and y_pred (N, ...).

    >>> PrecisionAtRecall(0.5)([[0], [0], [1], [1]], [[0.1], [0.4], [0.35], [0.8]])
    1.0
    """

    def __init__(self, recall, num_thresholds=None, class_id=None, name=None, dtype=None):
        super().__init__("recall", recall, num_thresholds, class_id, name or "precision_at_recall", dtype)

    def result(self):
        tp, fp, _, fn = self.points()
        return self._best(ratio(tp, tp + fp), ratio(tp, tp + fn), self.recall)


class RecallAtPrecision(_BestPoint):
    """The best recall among thresholds with a precision of at least `precision`, 0 where there is none.

    Args:
        precision: between 0 and 1.
        num_thresholds, class_id, name, dtype: as of `PrecisionAtRecall`.

    >>> RecallAtPrecision(0.8)([[0], [0], [1], [1]], [[0.1], [0.4], [0.35], [0.8]])
    0.5
    """

    def __init__(self, precision, num_thresholds=None, class_id=None, name=None, dtype=None):
        super().__init__("precision", precision, num_thresholds, class_id, name or "recall_at_precision", dtype)

    def result(self):
        tp, fp, _, fn = self.points()
        return self._best(ratio(tp, tp + fn), ratio(tp, tp + fp), self.precision)


class SensitivityAtSpecificity(_BestPoint):
    """The best tp / (tp + fn) among thresholds with tn / (tn + fp) of at least `specificity`, 0 where there is none.

    Args:
        specificity: between 0 and 1.
        num_thresholds, class_id, name, dtype: as of `PrecisionAtRecall`.

    >>> SensitivityAtSpecificity(0.5)([[0], [0], [0], [1], [1]], [[0.0], [0.3], [0.8], [0.3], [0.8]])
    0.5
    """

    def __init__(self, specificity, num_thresholds=None, class_id=None, name=None, dtype=None):
        super().__init__(
            "specificity", specificity, num_thresholds, class_id, name or "sensitivity_at_specificity", dtype
        )

    def result(self):
        tp, fp, tn, fn = self.points()
        return self._best(ratio(tp, tp + fn), ratio(tn, tn + fp), self.specificity)


class SpecificityAtSensitivity(_BestPoint):
    """The best tn / (tn + fp) among thresholds with tp / (tp + fn) of at least `sensitivity`, 0 where there is none.

    Args:
        sensitivity: between 0 and 1.
        num_thresholds, class_id, name, dtype: as of `PrecisionAtRecall`.

    >>> SpecificityAtSensitivity(0.5)([[0], [0], [0], [1], [1]], [[0.0], [0.3], [0.8], [0.3], [0.9]])
    1.0
    """

    def __init__(self, sensitivity, num_thresholds=None, class_id=None, name=None, dtype=None):
        super().__init__(
            "sensitivity", sensitivity, num_thresholds, class_id, name or "specificity_at_sensitivity", dtype
        )

    def result(self):
        tp, fp, tn, fn = self.points()
        return self._best(ratio(tn, tn + fp), ratio(tp, tp + fn), self.sensitivity)
