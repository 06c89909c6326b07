"""Losses: how far outputs are from targets, and the gradient of that."""

from npdl.losses.base import Loss
from npdl.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from npdl.losses.registry import get, prepare, serialize, validate
from npdl.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError
from npdl.losses.weights import as_rows, check_sample_weight, class_weights, step_weights

__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "Huber", "Loss", "MeanAbsoluteError", "MeanSquaredError",
    "SparseCategoricalCrossentropy", "as_rows", "check_sample_weight", "class_weights", "get", "prepare", "serialize",
    "step_weights", "validate",
]  # fmt: skip
