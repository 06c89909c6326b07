"""Losses: how far outputs are from targets, and the gradient of that."""

from npdl.losses.base import Loss
from npdl.losses.circle import Circle
from npdl.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from npdl.losses.ctc import CTC
from npdl.losses.focal import BinaryFocalCrossentropy, CategoricalFocalCrossentropy, SparseCategoricalFocalCrossentropy
from npdl.losses.likelihood import (
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    KLDivLoss,
    Poisson,
    PoissonNLLLoss,
)
from npdl.losses.margin import (
    CategoricalHinge,
    Hinge,
    HingeEmbeddingLoss,
    MultiLabelMarginLoss,
    SoftMarginLoss,
    SquaredHinge,
)
from npdl.losses.overlap import CosineSimilarity, Dice, Tversky
from npdl.losses.registry import get, prepare, serialize, validate
from npdl.losses.regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Quantile,
    SmoothL1Loss,
)
from npdl.losses.several import (
    ContrastiveLoss,
    CosineEmbeddingLoss,
    GaussianNLLLoss,
    MarginRankingLoss,
    TripletMarginLoss,
)
from npdl.losses.triplets import TripletSemiHardLoss
from npdl.losses.weighted import BCEWithLogitsLoss, CrossEntropyLoss, MultiLabelSoftMarginLoss, MultiMarginLoss, NLLLoss
from npdl.losses.weights import as_rows, check_sample_weight, class_weights, demand_steps, step_weights

__all__ = [
    "CTC", "BCEWithLogitsLoss", "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "Circle",
    "ContrastiveLoss", "CosineEmbeddingLoss", "CosineSimilarity", "CrossEntropyLoss", "Dice", "GaussianNLLLoss",
    "Hinge", "HingeEmbeddingLoss", "Huber", "KLDivLoss", "KLDivergence", "LogCosh", "Loss", "MarginRankingLoss",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError",
    "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "Poisson", "PoissonNLLLoss",
    "Quantile", "SmoothL1Loss", "SoftMarginLoss", "SparseCategoricalCrossentropy", "SparseCategoricalFocalCrossentropy",
    "SquaredHinge", "TripletMarginLoss", "TripletSemiHardLoss", "Tversky", "as_rows", "check_sample_weight",
    "class_weights", "demand_steps", "get", "prepare", "serialize", "step_weights", "validate",
]  # fmt: skip
