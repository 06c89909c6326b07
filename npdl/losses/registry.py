"""Losses by name, and the trainer's way to any loss, the user's own too."""

import numpy as np

from npdl import names
from npdl.losses import targets
from npdl.losses.base import Loss
from npdl.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from npdl.losses.ctc import CTC
from npdl.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    SparseCategoricalFocalCrossentropy,
)
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
from npdl.losses.weighted import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    NLLLoss,
)

_names = {
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "mean_absolute_percentage_error": MeanAbsolutePercentageError,
    "mape": MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
    "msle": MeanSquaredLogarithmicError,
    "huber": Huber,
    "huber_loss": Huber,
    "smooth_l1_loss": SmoothL1Loss,
    "log_cosh": LogCosh,
    "logcosh": LogCosh,
    "quantile": Quantile,
    "pinball": Quantile,
    "poisson": Poisson,
    "poisson_nll_loss": PoissonNLLLoss,
    "kl_divergence": KLDivergence,
    "kl_div_loss": KLDivLoss,
    "kullback_leibler_divergence": KLDivergence,
    "kld": KLDivergence,
    "binary_crossentropy": BinaryCrossentropy,
    "bce": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "categorical_generalized_cross_entropy": CategoricalGeneralizedCrossEntropy,
    "binary_focal_crossentropy": BinaryFocalCrossentropy,
    "categorical_focal_crossentropy": CategoricalFocalCrossentropy,
    "sparse_categorical_focal_crossentropy": SparseCategoricalFocalCrossentropy,
    "bce_with_logits_loss": BCEWithLogitsLoss,
    "nll_loss": NLLLoss,
    "cross_entropy_loss": CrossEntropyLoss,
    "multi_label_margin_loss": MultiLabelMarginLoss,
    "multi_label_soft_margin_loss": MultiLabelSoftMarginLoss,
    "multi_margin_loss": MultiMarginLoss,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "categorical_hinge": CategoricalHinge,
    "soft_margin_loss": SoftMarginLoss,
    "hinge_embedding_loss": HingeEmbeddingLoss,
    "cosine_similarity": CosineSimilarity,
    "dice": Dice,
    "tversky": Tversky,
    "ctc": CTC,
    "margin_ranking_loss": MarginRankingLoss,
    "gaussian_nll_loss": GaussianNLLLoss,
    "cosine_embedding_loss": CosineEmbeddingLoss,
    "contrastive_loss": ContrastiveLoss,
    "triplet_margin_loss": TripletMarginLoss,
    "triplet_semi_hard_loss": TripletSemiHardLoss,
}
_classes = {cls.__name__: cls for cls in _names.values()}


def get(identifier):
    """The loss object for a name, a class, an object or its `{"class_name", "config"}`.

    Any object with `forward(y_true, y_pred, sample_weight=None)` and `backward()` is a loss.

    Raises:
        ValueError: an unknown name; the nearest one is suggested.
        TypeError: something else.

    >>> get("mse")
    MeanSquaredError()
    """
    if isinstance(identifier, dict) and "class_name" in identifier:
        return _find(identifier["class_name"]).from_config(identifier.get("config", {}))
    if isinstance(identifier, str):
        return _find(identifier)()
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if not isinstance(identifier, type) and hasattr(identifier, "forward") and hasattr(identifier, "backward"):
        return identifier
    raise TypeError(
        "loss must be a name, an npdl.losses object or an object with forward(y_true, y_pred, sample_weight=None) and "
        f'backward(), got {identifier!r}; pass e.g. loss="mean_squared_error", or subclass npdl.losses.Loss'
    )


def _find(name):
    return names.find("loss", name, _names, _classes)


def serialize(loss):
    """What `get` reads back: class and arguments."""
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    return {"class_name": type(loss).__name__, "config": config}


def validate(loss, y_true, output_shape):
    """`loss.validate`; of a loss without one, that the targets are finite numbers, as many as outputs."""
    if hasattr(loss, "validate"):
        loss.validate(y_true, output_shape)
        return
    y = targets.as_numbers(type(loss).__name__, y_true)
    targets.check_length(type(loss).__name__, y.shape, _first(output_shape))
    targets.check_finite(type(loss).__name__, y)


def prepare(loss, y_true, dtype, output_shape):
    """`loss.prepare`; for a loss without one, floats in the model's dtype and integers as they are.

    None, for a loss that reads no targets, becomes an empty array.
    """
    if y_true is None:
        return np.zeros((0,), dtype)
    if hasattr(loss, "prepare"):
        return loss.prepare(y_true, dtype, output_shape)
    y = targets.as_numbers(type(loss).__name__, y_true)
    targets.check_length(type(loss).__name__, y.shape, _first(output_shape))
    return np.ascontiguousarray(y, dtype if y.dtype.kind == "f" else None)


def _first(output_shape):
    """The outputs' shape; of several outputs the first one's."""
    return output_shape[0] if isinstance(output_shape[0], tuple) else output_shape
