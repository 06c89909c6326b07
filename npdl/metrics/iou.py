"""Intersection over union of predicted and true regions, by class."""

import numpy as np

from npdl.losses.targets import as_numbers
from npdl.metrics.base import Metric, per_row, weighted_rows
from npdl.metrics.counts import ratio


class IoU(Metric):
    """Intersection over union:  tp / (tp + fp + fn) of each of the target classes, averaged over those there are.

    Args:
        num_classes: C.
        target_class_ids: the classes that count.
        name, dtype: as of `Metric`.
        ignore_class: a label of y_true whose positions do not count; None: there is none.
        sparse_y_true, sparse_y_pred: whether labels are given, (N, ...), instead of numbers for each class,
            (N, ..., C), of which the first largest counts.
        axis: -1, that of the classes.

    Raises:
        ValueError: num_classes below 1, target_class_ids or labels outside the classes, another axis.

    >>> IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])
    0.3333333333333333
    """

    def __init__(
        self, num_classes, target_class_ids, name=None, dtype=None, ignore_class=None, sparse_y_true=True,
        sparse_y_pred=True, axis=-1,
    ):  # fmt: skip
        if not isinstance(num_classes, (int, np.integer)) or isinstance(num_classes, bool) or num_classes < 1:
            raise ValueError(f"num_classes must be a whole number of at least 1, got {num_classes!r}; pass e.g. 10")
        ids = [int(c) for c in target_class_ids]
        if not ids or min(ids) < 0 or max(ids) >= num_classes:
            raise ValueError(
                f"target_class_ids must name classes 0 to {num_classes - 1}, got {target_class_ids!r}; pass e.g. [0]"
            )
        if axis != -1:
            raise ValueError(f"the classes are the last axis, axis=-1, got axis={axis!r}; move that axis last")
        self.num_classes, self.target_class_ids, self.ignore_class = int(num_classes), ids, ignore_class
        self.sparse_y_true, self.sparse_y_pred, self.axis = sparse_y_true, sparse_y_pred, axis
        super().__init__(name or "iou", dtype)

    def reset_state(self):
        self.table = np.zeros((self.num_classes, self.num_classes))

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = as_numbers(self.name, y_true), as_numbers(self.name, y_pred)
        t = t if self.sparse_y_true else self._largest("y_true", t)
        p = p if self.sparse_y_pred else self._largest("y_pred", p)
        if t.shape != p.shape:
            raise ValueError(
                f"{self.name}: y_true holds labels of shape {t.shape}, y_pred of shape {p.shape}; pass one a position"
            )
        self._add(t, p, sample_weight)

    def _largest(self, what, values):
        if values.ndim < 2 or values.shape[-1] != self.num_classes:
            raise ValueError(
                f"{self.name}: {what} must have {self.num_classes} numbers a position, got shape {values.shape}; "
                f"pass sparse_{what}=True for labels"
            )
        return values.argmax(axis=-1)

    def _add(self, t, p, sample_weight):
        """Count labels of one shape."""
        t, w = weighted_rows(t, sample_weight)
        p, _ = weighted_rows(p, sample_weight)
        t, p = per_row(t), per_row(p)
        w = np.repeat(w, t.shape[1])
        t, p = t.reshape(-1), p.reshape(-1)
        if self.ignore_class is not None:
            keep = t != self.ignore_class
            t, p, w = t[keep], p[keep], w[keep]
        for what, y in (("y_true", t), ("y_pred", p)):
            wrong = ~((y >= 0) & (y < self.num_classes) & (y == np.floor(y)))
            if wrong.any():
                raise ValueError(
                    f"{self.name}: {what} must hold classes 0 to {self.num_classes - 1}, got {y[wrong][0]}; mend it, "
                    "or make the metric with a larger num_classes"
                )
        places = t.astype(np.int64) * self.num_classes + p.astype(np.int64)
        self.table = self.table + np.bincount(places, w, self.num_classes**2).reshape(self.table.shape)

    def result(self):
        union = self.table.sum(axis=0) + self.table.sum(axis=1) - self.table.diagonal()
        ids = [c for c in self.target_class_ids if union[c]]
        return float(np.mean(ratio(self.table.diagonal(), union)[ids])) if ids else 0.0


class BinaryIoU(IoU):
    """Intersection over union of two classes, told apart by y_pred ≥ threshold; y_true of 0 and 1, both (N, ...).

    Args:
        target_class_ids: (0,), (1,) or both, whose mean is given.
        threshold: from there on it is class 1.
        name, dtype: as of `Metric`.

    >>> BinaryIoU()([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
    0.5833333333333333
    """

    def __init__(self, target_class_ids=(0, 1), threshold=0.5, name=None, dtype=None):
        super().__init__(2, target_class_ids, name or "binary_iou", dtype)
        self.threshold = threshold

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, as_numbers(self.name, y_pred) >= self.threshold, sample_weight)


class MeanIoU(IoU):
    """`IoU` averaged over all classes.

    Args:
        num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis: as of `IoU`.

    >>> MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])
    0.3333333333333333
    """

    def __init__(
        self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_true=True, sparse_y_pred=True, axis=-1
    ):
        ids = range(num_classes) if isinstance(num_classes, (int, np.integer)) else ()
        super().__init__(num_classes, ids, name or "mean_iou", dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """`IoU` of one-hot targets and numbers for each class.

    Args:
        num_classes, target_class_ids, name, dtype, ignore_class, sparse_y_pred, axis: as of `IoU`.

    >>> OneHotIoU(2, [1])([[1, 0], [0, 1], [0, 1]], [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    0.5
    """

    def __init__(
        self, num_classes, target_class_ids, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1
    ):
        super().__init__(
            num_classes, target_class_ids, name or "one_hot_iou", dtype, ignore_class, False, sparse_y_pred, axis
        )


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets and numbers for each class.

    Args:
        num_classes, name, dtype, ignore_class, sparse_y_pred, axis: as of `IoU`.

    >>> OneHotMeanIoU(2)([[1, 0], [0, 1], [0, 1]], [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    0.5
    """

    def __init__(self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1):
        super().__init__(num_classes, name or "one_hot_mean_iou", dtype, ignore_class, False, sparse_y_pred, axis)
