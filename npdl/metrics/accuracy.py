"""The accuracy family: the share of samples whose class is right."""

import numpy as np

from npdl.losses.targets import check_labels_shape
from npdl.metrics.base import MeanOfSamples, same_shape


class Accuracy(MeanOfSamples):
    """Share of entries where y_pred equals y_true; both hold classes, in one shape (N, ...).

    >>> Accuracy()([1, 2, 3, 4], [0, 2, 3, 4])
    0.75
    """

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(name, dtype)

    def values(self, y_true, y_pred):
        same_shape(self.name, y_true, y_pred)
        return y_true == y_pred


class BinaryAccuracy(MeanOfSamples):
    """Share of entries where y_pred > threshold says what y_true (0 or 1) says; both (N, ...).

    Args:
        name, dtype: as of `Metric`.
        threshold: 0.5 for probabilities; 0 for logits, which is the same.

    >>> BinaryAccuracy()([[1], [0], [1]], [[0.9], [0.5], [0.2]])
    0.6666666666666666
    """

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        super().__init__(name, dtype)
        self.threshold = threshold

    def values(self, y_true, y_pred):
        same_shape(self.name, y_true, y_pred)
        return y_true == (y_pred > self.threshold)


class CategoricalAccuracy(MeanOfSamples):
    """Share of positions where the largest output is the class of the one-hot y_true; both (N, ..., C).

    Among equal values the first counts as the largest.

    >>> CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    0.5
    """

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(name, dtype)

    def values(self, y_true, y_pred):
        return one_hot_labels(self.name, y_true, y_pred) == y_pred.argmax(axis=-1)


class SparseCategoricalAccuracy(MeanOfSamples):
    """Share of positions where the largest output is the class; y_true (N, ...) or (N, ..., 1), y_pred (N, ..., C).

    Among equal outputs the first counts as the largest.

    >>> SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
    0.5
    """

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(name, dtype)

    def values(self, y_true, y_pred):
        return class_labels(self.name, y_true, y_pred) == y_pred.argmax(axis=-1)


class TopKCategoricalAccuracy(MeanOfSamples):
    """Share of positions where fewer than k outputs are larger than that of the class; y_true one-hot, (N, ..., C).

    Outputs equal to that of the class do not count against it, as in Keras. One that is NaN is never right.

    Args:
        k: 1 or more.
        name, dtype: as of `Metric`.

    >>> TopKCategoricalAccuracy(k=2)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0, 0.95]])
    0.5
    """

    def __init__(self, k=5, name="top_k_categorical_accuracy", dtype=None):
        super().__init__(name, dtype)
        self.k = checked_k(k)

    def values(self, y_true, y_pred):
        return in_top_k(one_hot_labels(self.name, y_true, y_pred), y_pred, self.k)


class SparseTopKCategoricalAccuracy(MeanOfSamples):
    """`TopKCategoricalAccuracy` for y_true that holds class numbers, (N, ...) or (N, ..., 1).

    Args:
        k: 1 or more.
        name, dtype: as of `Metric`.

    >>> SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.1, 0.9, 0.8], [0.05, 0, 0.95]])
    0.5
    """

    def __init__(self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None):
        super().__init__(name, dtype)
        self.k = checked_k(k)

    def values(self, y_true, y_pred):
        return in_top_k(class_labels(self.name, y_true, y_pred), y_pred, self.k)


def one_hot_labels(name, y_true, y_pred):
    """Class numbers (N, ...) of one-hot rows that have y_pred's shape."""
    same_shape(name, y_true, y_pred)
    return y_true.argmax(axis=-1)


def class_labels(name, y_true, y_pred):
    """Class numbers in the shape of y_pred without its last axis."""
    check_labels_shape(name, y_true.shape, y_pred.shape)
    return y_true.reshape(y_pred.shape[:-1])


def checked_k(k):
    """k, a whole number from 1."""
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, got k={k!r}; pass e.g. k=5")
    return int(k)


def in_top_k(labels, y_pred, k):
    """Where the output of the class is among the k largest; labels outside the classes never are."""
    inside = (labels >= 0) & (labels < y_pred.shape[-1])
    index = np.where(inside, labels, 0).astype(np.int64)[..., None]
    own = np.take_along_axis(y_pred, index, axis=-1)
    return inside & ((y_pred > own).sum(axis=-1) < k) & ~np.isnan(own[..., 0])
