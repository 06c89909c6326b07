"""The confusion matrix."""

import numpy as np

from npdl.losses.targets import as_numbers
from npdl.losses.weights import check_sample_weight
from npdl.metrics.base import Metric


class ConfusionMatrix(Metric):
    """Counts: row i, column j is how often class i was taken for class j.

    Args:
        num_classes: C.
        name, dtype: as of `Metric`.

    Raises:
        ValueError: num_classes below 1; labels outside the classes, weights that are no whole numbers.

    `update_state` takes labels (N, ...) or one-hot rows (N, ..., C) as y_true, labels or outputs (N, ..., C) as y_pred,
    of which the first largest counts; with two classes also one probability a sample, (N, 1). Its sample_weight holds
    whole numbers: how often a row counts. `result()` is int64 (C, C).

    >>> ConfusionMatrix(2)([0, 1, 1], [0, 1, 0])
    array([[1, 0],
           [1, 1]])
    """

    def __init__(self, num_classes, name="confusion_matrix", dtype=None):
        if not isinstance(num_classes, (int, np.integer)) or isinstance(num_classes, bool) or num_classes < 1:
            raise ValueError(f"num_classes must be a whole number of at least 1, got {num_classes!r}; pass e.g. 10")
        self.num_classes = int(num_classes)
        super().__init__(name, dtype)

    def reset_state(self):
        self.counts = np.zeros((self.num_classes, self.num_classes), np.int64)

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = (self._labels(what, y) for what, y in (("y_true", y_true), ("y_pred", y_pred)))
        if t.shape != p.shape:
            raise ValueError(
                f"{self.name}: y_true holds labels of shape {t.shape}, y_pred of shape {p.shape}; pass one a sample"
            )
        times = np.ones(len(t), np.int64)
        if sample_weight is not None:
            w = check_sample_weight(sample_weight, len(t))
            if (w != np.floor(w)).any():
                raise ValueError(f"{self.name} counts rows; pass whole numbers as sample_weight, e.g. 0 and 1")
            times = w.astype(np.int64)
        times = np.repeat(times, t[0].size if len(t) else 1)
        np.add.at(self.counts, (t.reshape(-1), p.reshape(-1)), times)

    def result(self):
        return self.counts.copy()

    def _labels(self, what, values):
        """Class numbers, the axis of the classes (or of 1) gone."""
        y, classes = as_numbers(f"{self.name}: {what}", values), self.num_classes
        if y.ndim > 1 and y.shape[-1] == classes > 1:
            return y.argmax(axis=-1)
        if y.ndim > 1 and y.shape[-1] == 1:
            y = y[..., 0] > 0.5 if classes == 2 and y.dtype.kind == "f" else y[..., 0]
        wrong = (y < 0) | (y >= classes) | (y != np.floor(y))
        if wrong.any():
            raise ValueError(
                f"{self.name}: {what} must hold classes 0 to {classes - 1}, got {y[wrong][0]}; "
                "mend it, or make the metric with a larger num_classes"
            )
        return y.astype(np.int64)


def confusion_matrix(y_true, y_pred, num_classes=None):
    """Row i, column j: how often class i was taken for class j; int64 (C, C).

    Args:
        y_true, y_pred: as of `ConfusionMatrix.update_state`.
        num_classes: C; None: the number of outputs, else the highest label + 1, and at least 2.

    >>> confusion_matrix([0, 1, 2, 2], [0, 2, 2, 2])
    array([[1, 0, 0],
           [0, 0, 1],
           [0, 0, 2]])
    """
    if num_classes is None:
        arrays = [as_numbers("confusion_matrix", y) for y in (y_true, y_pred)]
        widths = [a.shape[-1] for a in arrays if a.ndim > 1 and a.shape[-1] > 1]
        num_classes = max(widths or [2, *(int(a.max(initial=0)) + 1 for a in arrays)])
    return ConfusionMatrix(num_classes)(y_true, y_pred)
