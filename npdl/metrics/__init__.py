"""Metrics: figures to read, exact over batches of unequal size."""

from npdl.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from npdl.metrics.base import Mean, Metric
from npdl.metrics.confusion import ConfusionMatrix, confusion_matrix
from npdl.metrics.registry import check, get, resolve, serialize, unique_names
from npdl.metrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score, RootMeanSquaredError

__all__ = [
    "Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "ConfusionMatrix", "Mean", "MeanAbsoluteError",
    "MeanSquaredError", "Metric", "R2Score", "RootMeanSquaredError", "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy", "TopKCategoricalAccuracy", "check", "confusion_matrix", "get", "resolve",
    "serialize", "unique_names",
]  # fmt: skip
