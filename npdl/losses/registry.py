"""Losses by name, and the trainer's way to any loss, the user's own too."""

import numpy as np

from npdl import names
from npdl.losses import (
    circle,
    crossentropy,
    ctc,
    focal,
    likelihood,
    margin,
    overlap,
    regression,
    several,
    targets,
    triplets,
    weighted,
)
from npdl.losses.base import Loss

_names = {
    "mean_squared_error": regression.MeanSquaredError,
    "mse": regression.MeanSquaredError,
    "mean_absolute_error": regression.MeanAbsoluteError,
    "mae": regression.MeanAbsoluteError,
    "mean_absolute_percentage_error": regression.MeanAbsolutePercentageError,
    "mape": regression.MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": regression.MeanSquaredLogarithmicError,
    "msle": regression.MeanSquaredLogarithmicError,
    "huber": regression.Huber,
    "huber_loss": regression.Huber,
    "smooth_l1_loss": regression.SmoothL1Loss,
    "log_cosh": regression.LogCosh,
    "logcosh": regression.LogCosh,
    "quantile": regression.Quantile,
    "pinball": regression.Quantile,
    "poisson": likelihood.Poisson,
    "poisson_nll_loss": likelihood.PoissonNLLLoss,
    "kl_divergence": likelihood.KLDivergence,
    "kl_div_loss": likelihood.KLDivLoss,
    "kullback_leibler_divergence": likelihood.KLDivergence,
    "kld": likelihood.KLDivergence,
    "binary_crossentropy": crossentropy.BinaryCrossentropy,
    "bce": crossentropy.BinaryCrossentropy,
    "categorical_crossentropy": crossentropy.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": crossentropy.SparseCategoricalCrossentropy,
    "categorical_generalized_cross_entropy": likelihood.CategoricalGeneralizedCrossEntropy,
    "binary_focal_crossentropy": focal.BinaryFocalCrossentropy,
    "categorical_focal_crossentropy": focal.CategoricalFocalCrossentropy,
    "sparse_categorical_focal_crossentropy": focal.SparseCategoricalFocalCrossentropy,
    "bce_with_logits_loss": weighted.BCEWithLogitsLoss,
    "nll_loss": weighted.NLLLoss,
    "cross_entropy_loss": weighted.CrossEntropyLoss,
    "multi_label_margin_loss": margin.MultiLabelMarginLoss,
    "multi_label_soft_margin_loss": weighted.MultiLabelSoftMarginLoss,
    "multi_margin_loss": weighted.MultiMarginLoss,
    "hinge": margin.Hinge,
    "squared_hinge": margin.SquaredHinge,
    "categorical_hinge": margin.CategoricalHinge,
    "soft_margin_loss": margin.SoftMarginLoss,
    "hinge_embedding_loss": margin.HingeEmbeddingLoss,
    "cosine_similarity": overlap.CosineSimilarity,
    "dice": overlap.Dice,
    "tversky": overlap.Tversky,
    "ctc": ctc.CTC,
    "circle": circle.Circle,
    "margin_ranking_loss": several.MarginRankingLoss,
    "gaussian_nll_loss": several.GaussianNLLLoss,
    "cosine_embedding_loss": several.CosineEmbeddingLoss,
    "contrastive_loss": several.ContrastiveLoss,
    "triplet_margin_loss": several.TripletMarginLoss,
    "triplet_semi_hard_loss": triplets.TripletSemiHardLoss,
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
