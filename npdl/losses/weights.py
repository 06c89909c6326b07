"""Weights of samples: `sample_weight` and `class_weight`."""

import numpy as np

from npdl.losses.targets import as_numbers


def check_sample_weight(sample_weight, count):
    """One finite weight of at least 0 a sample, as float64 of shape (count,).

    Raises:
        TypeError, ValueError: anything else.
    """
    w = as_numbers("sample_weight", sample_weight)
    if w.shape != (count,):
        fix = "sample_weight.reshape(-1)" if w.shape == (count, 1) else "one weight a sample"
        raise ValueError(f"sample_weight must have shape ({count},), got {w.shape}; pass {fix}")
    w = w.astype(np.float64)
    wrong = ~(np.isfinite(w) & (w >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"sample_weight must be finite and not negative, got {w[row]} at row {row}; a weight of 0 leaves a row out"
        )
    return w


def step_weights(mask, sample_weight=None):
    """(weights 0 or 1 of all steps, those times the weights of their samples), each float64 (steps,).

    Args:
        mask: bool (N, ...), host array.
        sample_weight: (N,), None is all 1.
    """
    plain = mask.astype(np.float64)
    if sample_weight is None:
        return plain.reshape(-1), plain
    w = check_sample_weight(sample_weight, len(mask))
    return plain.reshape(-1), plain * w.reshape(-1, *[1] * (mask.ndim - 1))


def as_rows(y_true, y_pred, weights):
    """Targets, outputs and weights with each weighted step as a row: (N·T, ...), (N·T, C) and (N·T,).

    Args:
        y_true: (N, T, ...).
        y_pred: (N, T, C).
        weights: (N, T), or of more leading axes.

    Raises:
        ValueError: these are not the outputs' leading axes.

    >>> import numpy as np
    >>> [rows.shape for rows in as_rows(np.ones((2, 5)), np.ones((2, 5, 3)), np.ones((2, 5)))]
    [(10,), (10, 3), (10,)]
    """
    axes = len(weights.shape)
    if tuple(y_pred.shape[:axes]) != tuple(weights.shape):
        raise ValueError(
            f"weights of steps must have the leading axes of the outputs, which have shape {tuple(y_pred.shape)}, got "
            f"{tuple(weights.shape)}; pass one weight a sample or a step, or mend compute_mask of the last layers"
        )
    single = len(y_pred.shape) == axes  # each step is one number
    y_true, y_pred = (y.reshape(weights.size, *((1,) if single else tuple(y.shape[axes:]))) for y in (y_true, y_pred))
    return y_true, y_pred, weights.reshape(-1)


def class_weights(y_true, class_weight, num_classes=None):
    """The weight of each sample: class_weight[its class], 1 for a class that is not in the dict.

    Args:
        y_true: labels (N,) or (N, 1), or one-hot rows (N, C).
        class_weight: dict class -> weight.
        num_classes: C, where known: a key outside 0 to C - 1 is an error.

    Returns:
        float64 (N,).

    Raises:
        TypeError, ValueError: wrong keys, weights or targets.

    >>> class_weights([0, 1, 2, 1], {1: 10.0})
    array([ 1., 10.,  1., 10.])
    """
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"class_weight must be a dict class -> weight, got {class_weight!r}; pass e.g. {{0: 1.0, 1: 5.0}}"
        )
    y = as_numbers("class_weight", y_true)
    one_hot = y.ndim == 2 and y.shape[1] > 1
    if y.ndim not in (1, 2) or (one_hot and not np.allclose(y.sum(axis=1, dtype=np.float64), 1, atol=1e-3)):
        raise ValueError(
            f"class_weight needs one class a sample, labels (N,) or one-hot rows (N, C), got y of shape {y.shape}; "
            "pass sample_weight instead"
        )
    labels = y.argmax(axis=1) if one_hot else y.reshape(-1)
    if one_hot:
        num_classes = y.shape[1]
    if (labels != np.floor(labels)).any():
        raise ValueError("class_weight needs whole class labels, got fractions; pass sample_weight instead")
    weights = np.ones(len(labels))
    for key, weight in class_weight.items():
        if type(key) is bool or not isinstance(key, (int, np.integer)) or key < 0:
            raise ValueError(f"class_weight's keys are class numbers from 0, got {key!r}; pass e.g. {{0: 1.0, 1: 5.0}}")
        if num_classes is not None and key >= num_classes:
            raise ValueError(f"class_weight has the key {key!r}, the classes are 0 to {num_classes - 1}; remove it")
        if not isinstance(weight, (int, float, np.number)) or not 0 <= weight < np.inf:
            raise ValueError(f"class_weight[{key!r}] must be finite and not negative, got {weight!r}; pass e.g. 1.0")
        weights[labels == key] = weight
    return weights
