"""Metrics: figures to read, exact over batches of unequal size."""

from npdl.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from npdl.metrics.agreement import (
    CohenKappa,
    ExpectedCalibrationError,
    MatthewsCorrelation,
)
from npdl.metrics.base import Mean, Metric, Sum
from npdl.metrics.confusion import ConfusionMatrix, confusion_matrix
from npdl.metrics.correlation import ConcordanceCorrelation, PearsonCorrelation
from npdl.metrics.counts import (
    F1Score,
    FalseNegatives,
    FalsePositives,
    FBetaScore,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from npdl.metrics.curves import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from npdl.metrics.from_loss import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsolutePercentageError,
    MeanOfLoss,
    MeanSquaredLogarithmicError,
    Perplexity,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from npdl.metrics.iou import (
    BinaryIoU,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
from npdl.metrics.registry import check, get, resolve, serialize, unique_names
from npdl.metrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score, RootMeanSquaredError

__all__ = [
    "AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "BinaryIoU", "CategoricalAccuracy",
    "CategoricalCrossentropy", "CategoricalHinge", "CohenKappa", "ConcordanceCorrelation", "ConfusionMatrix",
    "CosineSimilarity", "ExpectedCalibrationError", "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives",
    "Hinge", "IoU", "KLDivergence", "LogCoshError", "MatthewsCorrelation", "Mean", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanIoU", "MeanOfLoss", "MeanSquaredError", "MeanSquaredLogarithmicError",
    "Metric", "OneHotIoU", "OneHotMeanIoU", "PearsonCorrelation", "Perplexity", "Poisson", "Precision",
    "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision", "RootMeanSquaredError", "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity", "SquaredHinge", "Sum", "TopKCategoricalAccuracy", "TrueNegatives", "TruePositives",
    "check", "confusion_matrix", "get", "resolve", "serialize", "unique_names",
]  # fmt: skip
