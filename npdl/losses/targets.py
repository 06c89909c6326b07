"""Checks of targets against a model's outputs; each error says what was expected, what came and how to mend it.

`output_shape` is the outputs' whole shape, (N, ...); None stands for an axis of any length.
"""

import functools
import math

import numpy as np


def as_numbers(owner, y_true):
    """y_true as a NumPy array of booleans, integers or floats.

    Raises:
        TypeError: it holds something else.
    """
    y = np.asarray(y_true)
    if y.dtype.kind not in "biuf":
        came = {"U": "text", "S": "text", "T": "text", "O": "Python objects"}.get(y.dtype.kind, "another type")
        raise TypeError(
            f"{owner}: expected an array of numbers, got {came} ({y.dtype}); "
            "class names become integers by `names, y = np.unique(y, return_inverse=True)`"
        )
    return y


def show(shape):
    """A shape in words: (N, 1) for (None, 1)."""
    return str(tuple("N" if size is None else size for size in shape)).replace("'N'", "N")


def fits(shape, expected):
    """Whether a shape is the expected one, None standing for any length."""
    return len(shape) == len(expected) and all(e in (None, s) for s, e in zip(shape, expected, strict=True))


def check_length(owner, shape, output_shape):
    """As many targets as outputs.

    Raises:
        ValueError: not so.
    """
    if not shape:
        raise ValueError(f"{owner}: y must hold one target a sample, got a single number; pass e.g. y.reshape(1, 1)")
    if output_shape[0] not in (None, shape[0]):
        raise ValueError(
            f"{owner}: y has {shape[0]} rows and the outputs have {output_shape[0]}; pass as many targets as samples"
        )


@functools.lru_cache(256)  # every batch asks, with the same shapes
def check_same_shape(owner, shape, output_shape):
    """y has the outputs' shape; nothing is broadcast.

    Raises:
        ValueError: not so.
    """
    check_length(owner, shape, output_shape)
    if fits(shape, output_shape):
        return
    if fits((*shape, 1), output_shape):
        fix = "pass y.reshape(-1, 1)" if len(shape) == 1 else "pass y[..., None]"
    elif shape[-1] == 1 and fits(shape[:-1], output_shape):
        fix = "pass y.reshape(-1)" if len(shape) == 2 else "pass y[..., 0]"
    else:
        fix = "give the targets that shape, or change the model's last layer"
    raise ValueError(
        f"{owner}: y has shape {show(shape)}, the outputs have {show(output_shape)}; they must be equal: {fix}"
    )


def _first(wrong):
    """(index, words for it) of the first True."""
    index = np.unravel_index(np.argmax(wrong), wrong.shape)
    rest = tuple(int(i) for i in index[1:] if len(index) > 2 or wrong.shape[1] > 1)
    return index, f"row {index[0]}" + (f", position {rest[0] if len(rest) == 1 else rest}" if rest else "")


def check_finite(owner, y):
    """No NaN and no infinity.

    Raises:
        ValueError: there is one; the first is named.
    """
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        index, where = _first(~np.isfinite(y))
        raise ValueError(
            f"{owner}: y holds {y[index]} at {where}; leave such rows out: "
            "keep = np.isfinite(y.reshape(len(y), -1)).all(axis=1); x, y = x[keep], y[keep]"
        )


def check_range(owner, y, what, fix):
    """Every target between 0 and 1.

    Raises:
        ValueError: one is not; the first is named.
    """
    if y.size and (y.min() < 0 or y.max() > 1):
        index, where = _first((y < 0) | (y > 1))
        raise ValueError(f"{owner}: {what} must lie between 0 and 1, got {y[index]} at {where}; {fix}")


@functools.lru_cache(256)  # every batch asks, with the same shapes
def check_labels_shape(owner, shape, output_shape):
    """One label a position: the outputs' shape without its last axis, or with 1 there.

    Raises:
        ValueError: not so, or the outputs are not one a class.
    """
    if len(output_shape) < 2 or output_shape[-1] == 1:
        raise ValueError(
            f"{owner} needs one output a class, the model's outputs have shape {show(output_shape)}; end it with "
            'Dense(number of classes), or, for two classes and one output, use loss="binary_crossentropy"'
        )
    check_length(owner, shape, output_shape)
    positions = output_shape[:-1]
    if fits(shape, positions) or fits(shape, (*positions, 1)):
        return
    if fits(shape, output_shape):
        raise ValueError(
            f"{owner}: y has shape {show(shape)}, one number a class, expected one integer label a sample; "
            'use loss="categorical_crossentropy", or pass y.argmax(axis=-1)'
        )
    raise ValueError(
        f"{owner}: y has shape {show(shape)}, expected labels of shape {show(positions)} "
        f"for outputs of shape {show(output_shape)}; give the targets that shape, or change the model's last layer"
    )


def check_labels(owner, y, classes):
    """Whole numbers from 0 to classes − 1.

    Raises:
        ValueError: one is not; the first is named.
    """
    check_finite(owner, y)
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        index, where = _first(y != np.floor(y))
        raise ValueError(
            f"{owner}: labels must be whole numbers, got {y[index]} at {where}; "
            'for numbers to be predicted use loss="mean_squared_error"'
        )
    if y.size and (y.min() < 0 or y.max() >= classes):
        index, where = _first((y < 0) | (y >= classes))
        fix = "labels that start at 1 become y - 1" if y.min() == 1 and y.max() == classes else "mend the label"
        raise ValueError(
            f"{owner}: label {y[index]} at {where} is outside 0 to {classes - 1}, the model has {classes} outputs; "
            f"{fix}, or end the model with Dense({int(y.max()) + 1})"
        )


def check_one_hot_shape(owner, shape, output_shape, label_loss):
    """y has the outputs' shape (N, ..., C), C at least 2; `label_loss` is the loss that takes labels, or None.

    Raises:
        ValueError: not so.
    """
    if len(output_shape) < 2 or output_shape[-1] == 1:
        raise ValueError(
            f"{owner} needs one output a class, the model's outputs have shape {show(output_shape)}; end it with "
            "Dense(number of classes)"
        )
    positions = output_shape[:-1]
    if fits(shape, positions) or fits(shape, (*positions, 1)):
        other = f'use loss="{label_loss}", or ' if label_loss else ""
        raise ValueError(
            f"{owner}: y has shape {show(shape)}, expected one-hot rows {show(output_shape)}; for integer labels "
            f"{other}pass npdl.utils.to_categorical(y, {output_shape[-1]})"
        )
    check_same_shape(owner, shape, output_shape)


def validate_labels(owner, y_true, output_shape, ignore=None):
    """Labels of shape and values that go with outputs (N, ..., C); `ignore` is a label that there may be, too.

    Raises:
        TypeError, ValueError: they do not.
    """
    y = as_numbers(owner, y_true)
    check_labels_shape(owner, y.shape, output_shape)
    if ignore is not None:
        y = np.where(y == ignore, 0, y)
    check_labels(owner, y, output_shape[-1])


def counted(labels, weights, ignore, class_weights=None):
    """Σ over samples with a weight other than 0 of the share of their positions that count, each by its class's weight.

    `class_weights` is a NumPy array, of one number or one a class, or None. The sum is exact before it is rounded, so
    that no order of adding shows.
    """
    live = labels.reshape(-1) if weights.all() else labels[weights != 0].reshape(-1)
    positions, left_out = max(labels[:1].size, 1), live == ignore
    ignored = int(np.count_nonzero(left_out))
    if class_weights is None:
        return (live.size - ignored) / positions
    numbers = np.bincount(live[~left_out] if ignored else live)
    of_each = class_weights[: len(numbers)] if class_weights.ndim else class_weights
    return math.fsum((numbers * of_each).tolist()) / positions


def one_hot_rows(owner, y_true, dtype, output_shape):
    """One-hot rows (N, ..., C) of labels (N, ...) or (N, ..., 1).

    Raises:
        ValueError: the shape is wrong.
    """
    y = np.asarray(y_true)
    if output_shape is None:
        raise ValueError(f"{owner}: prepare needs the outputs' shape to make one-hot rows; pass output_shape")
    check_labels_shape(owner, y.shape, output_shape)
    labels = y.reshape(-1).astype(np.int64)
    rows = np.zeros((labels.size, output_shape[-1]), dtype)
    rows[np.arange(labels.size), labels] = 1
    return rows.reshape(*y.shape[: len(output_shape) - 1], output_shape[-1])
