"""Metrics by name, and what a name means beside a loss."""

import inspect

from npdl import names
from npdl.metrics import accuracy, agreement, correlation, counts, curves, from_loss, iou, regression
from npdl.metrics.base import FunctionMetric, Mean, Metric, Sum
from npdl.metrics.confusion import ConfusionMatrix

_names = {
    "accuracy": accuracy.Accuracy,
    "acc": accuracy.Accuracy,
    "binary_accuracy": accuracy.BinaryAccuracy,
    "categorical_accuracy": accuracy.CategoricalAccuracy,
    "sparse_categorical_accuracy": accuracy.SparseCategoricalAccuracy,
    "top_k_categorical_accuracy": accuracy.TopKCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": accuracy.SparseTopKCategoricalAccuracy,
    "mean_squared_error": regression.MeanSquaredError,
    "mse": regression.MeanSquaredError,
    "root_mean_squared_error": regression.RootMeanSquaredError,
    "rmse": regression.RootMeanSquaredError,
    "mean_absolute_error": regression.MeanAbsoluteError,
    "mae": regression.MeanAbsoluteError,
    "r2_score": regression.R2Score,
    "r2": regression.R2Score,
    "confusion_matrix": ConfusionMatrix,
    "mean_absolute_percentage_error": from_loss.MeanAbsolutePercentageError,
    "mape": from_loss.MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": from_loss.MeanSquaredLogarithmicError,
    "msle": from_loss.MeanSquaredLogarithmicError,
    "logcosh": from_loss.LogCoshError,
    "log_cosh": from_loss.LogCoshError,
    "poisson": from_loss.Poisson,
    "kl_divergence": from_loss.KLDivergence,
    "kld": from_loss.KLDivergence,
    "hinge": from_loss.Hinge,
    "squared_hinge": from_loss.SquaredHinge,
    "categorical_hinge": from_loss.CategoricalHinge,
    "cosine_similarity": from_loss.CosineSimilarity,
    "binary_crossentropy": from_loss.BinaryCrossentropy,
    "bce": from_loss.BinaryCrossentropy,
    "categorical_crossentropy": from_loss.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": from_loss.SparseCategoricalCrossentropy,
    "perplexity": from_loss.Perplexity,
    "true_positives": counts.TruePositives,
    "true_negatives": counts.TrueNegatives,
    "false_positives": counts.FalsePositives,
    "false_negatives": counts.FalseNegatives,
    "precision": counts.Precision,
    "recall": counts.Recall,
    "f1_score": counts.F1Score,
    "fbeta_score": counts.FBetaScore,
    "auc": curves.AUC,
    "binary_iou": iou.BinaryIoU,
    "pearson_correlation": correlation.PearsonCorrelation,
    "concordance_correlation": correlation.ConcordanceCorrelation,
    "matthews_correlation": agreement.MatthewsCorrelation,
    "expected_calibration_error": agreement.ExpectedCalibrationError,
}
_with_arguments = (
    agreement.CohenKappa, curves.PrecisionAtRecall, curves.RecallAtPrecision, curves.SensitivityAtSpecificity,
    curves.SpecificityAtSensitivity, from_loss.MeanOfLoss, iou.IoU, iou.MeanIoU, iou.OneHotIoU, iou.OneHotMeanIoU,
)  # fmt: skip
_classes = {cls.__name__: cls for cls in (*_names.values(), Mean, Sum, *_with_arguments)}


def get(identifier):
    """The metric object for a name, a class, an object, its `{"class_name", "config"}` or a function.

    Any object with `update_state`, `result` and `reset_state` is a metric. A function f(y_true, y_pred) gives one value
    a sample, which are averaged.

    Raises:
        ValueError: an unknown name; the nearest one is suggested.
        TypeError: something else.

    >>> get("mae").name
    'mean_absolute_error'
    """
    if isinstance(identifier, dict) and "class_name" in identifier:
        return _find(identifier["class_name"]).from_config(identifier.get("config", {}))
    if isinstance(identifier, str):
        return _make(_find(identifier))
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return _make(identifier)
    if not isinstance(identifier, type):
        if all(hasattr(identifier, method) for method in ("update_state", "result", "reset_state")):
            return identifier
        if callable(identifier):
            return FunctionMetric(identifier)
    raise TypeError(
        "a metric is a name, an npdl.metrics object or a function f(y_true, y_pred) with one value a sample, got "
        f'{identifier!r}; pass e.g. metrics=["accuracy"]'
    )


def resolve(identifier, loss, output_shape=None, logits=False):
    """The metric that `compile` means: `get`, and "accuracy" after the loss. A name typed is the name shown.

    Args:
        identifier: as of `get`.
        loss: the loss object; its attribute `accuracy` names the accuracy that goes with it.
        output_shape: the model's, for `num_classes` of "confusion_matrix".
        logits: whether the metric gets logits instead of probabilities; "accuracy" of a binary loss then compares
            with 0 instead of 0.5.

    Raises:
        ValueError: "accuracy" beside a loss that has none.
    """
    name = identifier.lower() if isinstance(identifier, str) else None
    if name in ("accuracy", "acc"):
        metric = _accuracy(identifier, loss, logits)
    elif name == "confusion_matrix" and output_shape:
        metric = ConfusionMatrix(max(output_shape[-1], 2))
    else:
        metric = get(identifier)
    if name is not None:
        metric.name = identifier
    return metric


def check(identifier, loss):
    """Raise what `resolve` would, before the model has an output shape.

    Args:
        identifier, loss: as of `resolve`.

    Raises:
        TypeError, ValueError: as `resolve`.
    """
    resolve(identifier, loss, output_shape=(None, 1))


def unique_names(metrics):
    """Give each metric a name of its own: the second "mse" becomes "mse_1"; the names are keys of one dict.

    Args:
        metrics: metric objects.

    Returns:
        The same objects, as a list.

    Raises:
        ValueError: one is named as the loss is, or is there twice.

    >>> [metric.name for metric in unique_names([get("mae"), get("mae")])]
    ['mean_absolute_error', 'mean_absolute_error_1']
    """
    metrics = list(metrics)
    given = [getattr(metric, "name", None) or type(metric).__name__ for metric in metrics]
    used: set[str] = set()
    for place, (metric, name) in enumerate(zip(metrics, given)):
        if name in ("loss", "val_loss"):
            raise ValueError(f'metrics: {name!r} is what the loss is reported as; give the metric another name="..."')
        if any(metric is other for other in metrics[:place]):
            raise ValueError(
                f"metrics: the metric {name!r} is in the list twice; leave one out, or make another object"
            )
        number = 0
        while name in used or (number and name in given):
            number += 1
            name = f"{given[place]}_{number}"
        used.add(name)
        metric.name = name
    return metrics


def _accuracy(identifier, loss, logits):
    kind = getattr(loss, "accuracy", None)
    if kind == "binary_accuracy":
        return accuracy.BinaryAccuracy(threshold=0.0 if logits else 0.5)
    if kind is not None:
        return get(kind)
    own = type(loss).__name__
    raise ValueError(
        f'metrics: {identifier!r} counts right classes, but {own} has none to count; for numbers use "mse", "mae" or '
        '"r2", for classes a cross-entropy loss, or name the accuracy, e.g. "sparse_categorical_accuracy"'
    )


def _make(cls):
    if cls is ConfusionMatrix:
        raise ValueError("ConfusionMatrix needs the number of classes; pass e.g. npdl.metrics.ConfusionMatrix(10)")
    if cls in _with_arguments:
        first = next(iter(inspect.signature(cls).parameters))
        raise ValueError(f"{cls.__name__} needs arguments; pass an object, npdl.metrics.{cls.__name__}({first}=...)")
    return cls()


def _find(name):
    return names.find("metric", name, _names, _classes)


def serialize(metric):
    """What `get` reads back: class and arguments.

    Raises:
        TypeError: a function, which a file cannot hold.
    """
    if isinstance(metric, FunctionMetric) or inspect.isfunction(metric):
        name = getattr(metric, "__name__", None) or metric.name
        raise TypeError(f"the function {name} cannot be saved; write a subclass of npdl.metrics.Metric")
    config = metric.get_config() if hasattr(metric, "get_config") else {}
    return {"class_name": type(metric).__name__, "config": config}
