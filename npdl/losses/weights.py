"""Weights of samples: `sample_weight` and `class_weight`."""

import numpy as np

from npdl.losses.targets import as_numbers


class Weighed:
    """Weights of samples that lie on the device.

    Args:
        weights, scale: wₙ and wₙ / M, each (N,), as of `Loss.weigh`.
        m: M.
        given: whether they are the user's, and metrics see them too.
    """

    ndim = 1

    def __init__(self, weights, scale, m, given):
        self.weights, self.scale, self.m, self.given = weights, scale, m, given


def check_sample_weight(sample_weight, shape):
    """One finite weight of at least 0 a sample, as float64 of shape (N,); or one a step, of shape (N, T, ...).

    Args:
        sample_weight: the weights.
        shape: (N,), N alone, or that of all steps.

    Raises:
        TypeError, ValueError: anything else.
    """
    shape = shape if isinstance(shape, tuple) else (shape,)
    w = as_numbers("sample_weight", sample_weight)
    if w.shape != shape:
        fix = "sample_weight.reshape(-1)" if w.shape == (*shape, 1) else "one weight a sample"
        raise ValueError(f"sample_weight must have shape {shape}, got {w.shape}; pass {fix}")
    w = w.astype(np.float64)
    wrong = ~(np.isfinite(w) & (w >= 0))
    if wrong.any():
        place = np.unravel_index(int(np.argmax(wrong)), shape)
        where = f"row {place[0]}" + "".join(f", step {step}" for step in place[1:])
        raise ValueError(
            f"sample_weight must be finite and not negative, got {w[place]} at {where}; a weight of 0 leaves a row out"
        )
    return w


def step_weights(mask, sample_weight=None):
    """(weights 0 or 1 of all steps, flat, None without a mask; those times the sample weights), each float64.

    Both are brought to as many axes as the one that has more: the weight of a sample holds for all of its steps, and
    a step that a mask leaves out is left out with all that is weighted in it.

    Args:
        mask: bool (N, ...), host array; or None.
        sample_weight: (N,) or (N, ...); None is all 1.

    Raises:
        ValueError: weights and mask are of different steps.

    >>> plain, w = step_weights(np.array([[True, False], [True, True]]), [2.0, 3.0])
    >>> plain.tolist(), w.tolist()
    ([1.0, 0.0, 1.0, 1.0], [[2.0, 0.0], [3.0, 3.0]])
    """
    if mask is None:
        return None, check_sample_weight(sample_weight, np.shape(sample_weight))
    plain = mask.astype(np.float64)
    if sample_weight is None:
        return plain.reshape(-1), plain
    w = check_sample_weight(sample_weight, np.shape(sample_weight))
    shared = min(plain.ndim, w.ndim)
    if plain.shape[:shared] != w.shape[:shared]:
        raise ValueError(
            f"sample_weight has shape {w.shape} and the mask of the outputs {plain.shape}; pass one weight a sample, "
            "or one for each step that the mask tells apart"
        )
    plain, w = _with_axes(plain, w.ndim), _with_axes(w, plain.ndim)
    return np.broadcast_to(plain, np.broadcast_shapes(plain.shape, w.shape)).reshape(-1), plain * w


def _with_axes(array, count):
    """The array with axes of length 1 at the end, so that there are at least `count`."""
    return array.reshape(*array.shape, *[1] * (count - array.ndim))


def demand_steps(loss):
    """Raise where a loss looks at whole samples, so that its steps cannot have weights of their own.

    Raises:
        ValueError: so.
    """
    if getattr(loss, "whole_samples", False):
        raise ValueError(
            f"{type(loss).__name__} compares whole samples, whose steps have no losses of their own to weigh or to "
            "leave out; pass one weight a sample (N,), and let no mask reach the outputs: a last layer whose "
            "compute_mask(self, x, mask=None) returns None"
        )


def as_rows(y_true, y_pred, weights):
    """Targets, outputs and weights with each weighted step as a row: (N·T, ...), (N·T, C) and (N·T,).

    Args:
        y_true: (N, T, ...).
        y_pred: (N, T, C).
        weights: (N, T), or of more leading axes.

    Raises:
        ValueError: these are not the leading axes of the outputs, or of the targets.

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
    if tuple(y_true.shape[:axes]) != tuple(weights.shape):
        raise ValueError(
            f"targets must have the leading axes of the outputs, which have shape {tuple(y_pred.shape)}, got "
            f"{tuple(y_true.shape)}; pass one target a step, filled up to as many steps where the mask leaves them out"
        )
    single = len(y_pred.shape) == axes  # each step is one number
    y_true, y_pred = (y.reshape(weights.size, *((1,) if single else tuple(y.shape[axes:]))) for y in (y_true, y_pred))
    return y_true, y_pred, weights.reshape(-1)


def class_weights(y_true, class_weight, num_classes=None, positions=1):
    """The weight of each sample: class_weight[its class], 1 for a class that is not in the dict.

    Args:
        y_true: labels (N,) or (N, 1), or one-hot rows (N, C); of steps (N, T), (N, T, 1) or (N, T, C).
        class_weight: dict class -> weight.
        num_classes: C, where known: a key outside 0 to C - 1 is an error.
        positions: how many axes tell apart what has a class: 1 of samples, 2 of steps (N, T), 3 of pixels.

    Returns:
        float64 (N,), or (N, T) of steps and so on.

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
    one_hot = y.ndim == positions + 1 and y.shape[-1] > 1
    ranks = positions, positions + 1
    if y.ndim not in ranks or (one_hot and not np.allclose(y.sum(axis=-1, dtype=np.float64), 1, atol=1e-3)):
        what, steps = ("sample", "") if positions == 1 else ("step", ", T" * (positions - 1))
        raise ValueError(
            f"class_weight needs one class a {what}, labels (N{steps or ','}) or one-hot rows (N{steps}, C), got y of "
            f"shape {y.shape}; pass sample_weight instead"
        )
    labels = y.argmax(axis=-1) if one_hot else y.reshape(y.shape[:positions])
    if one_hot:
        num_classes = y.shape[-1]
    if (labels != np.floor(labels)).any():
        raise ValueError("class_weight needs whole class labels, got fractions; pass sample_weight instead")
    weights = np.ones(labels.shape)
    for key, weight in class_weight.items():
        if type(key) is bool or not isinstance(key, (int, np.integer)) or key < 0:
            raise ValueError(f"class_weight's keys are class numbers from 0, got {key!r}; pass e.g. {{0: 1.0, 1: 5.0}}")
        if num_classes is not None and key >= num_classes:
            raise ValueError(f"class_weight has the key {key!r}, the classes are 0 to {num_classes - 1}; remove it")
        if not isinstance(weight, (int, float, np.number)) or not 0 <= weight < np.inf:
            raise ValueError(f"class_weight[{key!r}] must be finite and not negative, got {weight!r}; pass e.g. 1.0")
        weights[labels == key] = weight
    return weights
