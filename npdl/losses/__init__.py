"""Losses: how far outputs are from targets, and the gradient of that."""

from npdl.losses.base import Loss
from npdl.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from npdl.losses.ctc import CTC
from npdl.losses.focal import BinaryFocalCrossentropy, CategoricalFocalCrossentropy, SparseCategoricalFocalCrossentropy
from npdl.losses.likelihood import CategoricalGeneralizedCrossEntropy, KLDivergence, Poisson, PoissonNLLLoss
from npdl.losses.margin import CategoricalHinge, Hinge, HingeEmbeddingLoss, SoftMarginLoss, SquaredHinge
from npdl.losses.overlap import CosineSimilarity, Dice, Tversky
from npdl.losses.registry import get, prepare, serialize, validate
from npdl.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError
from npdl.losses.weights import as_rows, check_sample_weight, class_weights, step_weights

__all__ = [
    "CTC", "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "CosineSimilarity",
    "Dice", "Hinge", "HingeEmbeddingLoss", "Huber", "KLDivergence", "Loss", "MeanAbsoluteError", "MeanSquaredError",
    "Poisson", "PoissonNLLLoss", "SoftMarginLoss", "SparseCategoricalCrossentropy",
    "SparseCategoricalFocalCrossentropy", "SquaredHinge", "Tversky", "as_rows", "check_sample_weight",
    "class_weights", "get", "prepare", "serialize", "step_weights", "validate",
]  # fmt: skip
