"""Losses as numba.cuda kernels: a block for each row of classes, then the means of the samples.

Where a label is none of the classes, loss and gradient become NaN: a kernel cannot raise.
"""

import math

import numpy as np
from numba import cuda, float32, float64

from npdl.kernels.cuda.element_loss import mean_of_terms, mean_over_elements, room_for_terms
from npdl.kernels.cuda.elementary import at_least, at_most
from npdl.kernels.cuda.kernel import Double, Doubles, Float, Floats, Int, Ints, Long, Longs, expect, kernel, launch
from npdl.kernels.cuda.reduction import fold_max, fold_sum, own_max, threads_for

NO_LABEL = -(2**31)
"""Stands for `ignore` where no label is ignored."""


@kernel
def sparse_cross_entropy(
    labels: Longs, y: Floats, weights: Floats, scale: Floats, terms: Floats, dy: Floats,
    classes: Int, positions: Int, kind: Int, has_weights: Int, wants: Int, has_ignore: Int, ignore: Long,
):  # fmt: skip
    """Row by row −w ln p[label] and w s / P (p − t).

    y holds probabilities (kind 0), logits (1) or logarithms (2).
    """
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = row * classes
    label = labels[row]
    skipped = has_ignore and label == ignore
    valid = label >= 0 and label < classes
    top = float32(0)
    total = float32(1)
    if kind == 1:
        s[t] = own_max(y, start, classes, 1, t, cuda.blockDim.x)
        fold_max(s)
        top = s[0]
        cuda.syncthreads()
    if kind != 2:
        part = float32(0)
        c = t
        while c < classes:
            part += math.exp(y[start + c] - top) if kind == 1 else y[start + c]
            c += cuda.blockDim.x
        s[t] = part
        fold_sum(s)
        total = s[0]
    w = float32(math.nan)
    if skipped:
        w = float32(0)
    elif valid:
        w = weights[label] if has_weights else float32(1)
    picked = y[start + label] if valid else float32(1)
    share = picked / total
    kept = at_most(at_least(share, float32(1e-7)), float32(1 - 1e-7))
    if t == 0:
        value = picked
        if kind == 1:
            value = picked - top - math.log(total)
        elif kind == 0:
            value = math.log(kept)
        terms[row] = float32(0) if skipped else -w * value
    if wants:
        factor = scale[row // positions] / float32(positions)
        slope = -w / kept if not valid or share == kept or share != share else float32(0)
        c = t
        while c < classes:
            here = float32(1) if c == label else float32(0)
            d = -w * here
            if kind == 1:
                d = w * (math.exp(y[start + c] - top) / total - here)
            elif kind == 0:
                d = (slope * here - slope * share) / total
            dy[start + c] = float32(0) if skipped or factor == float32(0) else factor * d
            c += cuda.blockDim.x


of_int32 = sparse_cross_entropy.retyped(labels=Ints)


@kernel
def cross_entropy(
    target: Floats, y: Floats, scale: Floats, terms: Floats, dy: Floats,
    classes: Int, positions: Int, logits: Int, wants: Int, smoothing: Float,
):  # fmt: skip
    """Row by row −Σ t' ln p, and its gradient; t' = t (1 − s) + s / C."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = row * classes
    top = float32(0)
    if logits:
        s[t] = own_max(y, start, classes, 1, t, cuda.blockDim.x)
        fold_max(s)
        top = s[0]
        cuda.syncthreads()
    part = float32(0)
    c = t
    while c < classes:
        part += math.exp(y[start + c] - top) if logits else y[start + c]
        c += cuda.blockDim.x
    s[t] = part
    fold_sum(s)
    total = s[0]
    cuda.syncthreads()
    log_total = math.log(total)
    keep = float32(1) - smoothing
    even = smoothing / float32(classes)
    value = float32(0)
    inner = float32(0)  # Σ t', or of probabilities Σ g p
    c = t
    while c < classes:
        want = target[start + c] * keep + even
        if logits:
            value -= want * (y[start + c] - top - log_total)
            inner += want
        else:
            share = y[start + c] / total
            kept = at_most(at_least(share, float32(1e-7)), float32(1 - 1e-7))
            value -= want * math.log(kept)
            if share == kept or share != share:
                inner -= want / kept * share
        c += cuda.blockDim.x
    s[t] = value
    fold_sum(s)
    if t == 0:
        terms[row] = s[0]
    cuda.syncthreads()
    s[t] = inner
    fold_sum(s)
    inner = s[0]
    if wants:
        factor = scale[row // positions] / float32(positions)
        c = t
        while c < classes:
            want = target[start + c] * keep + even
            if logits:
                d = math.exp(y[start + c] - top) / total * inner - want
            else:
                share = y[start + c] / total
                kept = at_most(at_least(share, float32(1e-7)), float32(1 - 1e-7))
                slope = -want / kept if share == kept or share != share else float32(0)
                d = (slope - inner) / total
            dy[start + c] = float32(0) if factor == float32(0) else factor * d
            c += cuda.blockDim.x


@kernel
def weighted_total(values: Floats, weights: Floats, out: Doubles, n: Long):
    """One block: Σ wₙ vₙ in float64, where wₙ is not 0."""
    s = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    total = float64(0)
    i = t
    while i < n:
        if weights[i] != float32(0):
            total += float64(weights[i]) * float64(values[i])
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        out[0] = s[0]


@kernel
def number_adder(number: Doubles, out: Doubles, factor: Double):
    out[0] += factor * number[0]


def add_number(number, factor=1.0, *, out):
    """out += factor · number, arrays of one float64."""
    launch(number_adder, 1, 1, number, out, factor)


def _classes(kernel, target, labels, y_pred, out, scale, dy, weights=None):
    """(positions of a sample, classes), with every array's shape checked."""
    shape = y_pred.shape
    if len(shape) < 2 or (not y_pred.size and shape[0]):
        raise ValueError(f"{kernel}: y_pred must be (N, ..., classes) with at least one class, got shape {shape}")
    expect(kernel, "y_true", target, shape)
    expect(kernel, "labels", labels, shape[:-1])
    if labels is not None and labels.dtype not in (np.int32, np.int64):
        raise TypeError(f"{kernel}: labels must be int32 or int64, got {labels.dtype}; convert them by astype")
    expect(kernel, "out", out, shape[:1])
    if dy is not None:
        expect(kernel, "out" if out is None else "dy", dy, shape)
        expect(kernel, "scale", scale, shape[:1])
    expect(kernel, "weights", weights, shape[-1:])
    return y_pred.size // max(len(y_pred) * shape[-1], 1), shape[-1]


def _room(out, y_pred, positions):
    """Room for the terms of all positions; a gradient alone puts them where nobody reads them."""
    rows = len(y_pred) * positions
    return y_pred.memory.driver.scratch(rows) if out is None else room_for_terms(out, positions)


def _sparse(kernel, labels, y_pred, from_logits, out, scale, dy, weights, ignore):
    positions, classes = _classes(kernel, None, labels, y_pred, out, scale, dy, weights)
    if not y_pred.size:
        return
    terms = _room(out, y_pred, positions)
    kind = 2 if from_logits is None else int(from_logits)
    launch(
        of_int32 if labels.dtype == np.int32 else sparse_cross_entropy, len(y_pred) * positions, threads_for(classes),
        labels, y_pred, weights, scale, terms, dy,
        classes, positions, kind, int(weights is not None), int(dy is not None), int(ignore is not None),
        NO_LABEL if ignore is None else ignore,
    )  # fmt: skip
    if out is not None:
        mean_of_terms(terms, out, positions)


def sparse_categorical_cross_entropy(
    labels, y_pred, from_logits, *, out, scale=None, dy=None, weights=None, ignore=None
):
    """As npdl.kernels.reference.loss.sparse_categorical_cross_entropy."""
    _sparse("sparse_categorical_cross_entropy", labels, y_pred, from_logits, out, scale, dy, weights, ignore)


def sparse_categorical_cross_entropy_grad(labels, y_pred, from_logits, scale, *, out, weights=None, ignore=None):
    """As npdl.kernels.reference.loss.sparse_categorical_cross_entropy_grad."""
    _sparse("sparse_categorical_cross_entropy_grad", labels, y_pred, from_logits, None, scale, out, weights, ignore)


def _whole(kernel, y_true, y_pred, logits, label_smoothing, out, scale, dy):
    positions, classes = _classes(kernel, y_true, None, y_pred, out, scale, dy)
    if not y_pred.size:
        return
    terms = _room(out, y_pred, positions)
    launch(
        cross_entropy, len(y_pred) * positions, threads_for(classes), y_true, y_pred, scale, terms, dy,
        classes, positions, int(logits), int(dy is not None), label_smoothing,
    )  # fmt: skip
    if out is not None:
        mean_of_terms(terms, out, positions)


def categorical_cross_entropy(y_true, y_pred, from_logits, label_smoothing, *, out, scale=None, dy=None):
    """As npdl.kernels.reference.loss.categorical_cross_entropy."""
    _whole("categorical_cross_entropy", y_true, y_pred, from_logits, label_smoothing, out, scale, dy)


def categorical_cross_entropy_grad(y_true, y_pred, from_logits, label_smoothing, scale, *, out):
    """As npdl.kernels.reference.loss.categorical_cross_entropy_grad."""
    _whole("categorical_cross_entropy_grad", y_true, y_pred, from_logits, label_smoothing, None, scale, out)


def weighted_sum(values, weights, *, out):
    """As npdl.kernels.reference.loss.weighted_sum."""
    expect("weighted_sum", "weights", weights, values.shape)
    expect("weighted_sum", "out", out, (1,))
    launch(weighted_total, 1, 256, values, weights, out, values.size)


def mean_squared_error(y_true, y_pred, *, out):
    """out[n] = Σ (p − t)² / D"""
    mean_over_elements("mean_squared_error", "squared", (), y_true, y_pred, out)


def mean_squared_error_grad(y_true, y_pred, scale, *, out):
    """out = s · 2 (p − t) / D"""
    mean_over_elements("mean_squared_error_grad", "squared", (), y_true, y_pred, out, scale)


def mean_absolute_error(y_true, y_pred, *, out):
    """out[n] = Σ |p − t| / D"""
    mean_over_elements("mean_absolute_error", "absolute", (), y_true, y_pred, out)


def mean_absolute_error_grad(y_true, y_pred, scale, *, out):
    """out = s · sign(p − t) / D"""
    mean_over_elements("mean_absolute_error_grad", "absolute", (), y_true, y_pred, out, scale)


def huber(y_true, y_pred, delta, *, out):
    """out[n] = Σ h(p − t) / D"""
    mean_over_elements("huber", "huber", (delta,), y_true, y_pred, out)


def huber_grad(y_true, y_pred, delta, scale, *, out):
    """out = s · clip(p − t, −δ, δ) / D"""
    mean_over_elements("huber_grad", "huber", (delta,), y_true, y_pred, out, scale)


def _binary(from_logits):
    return "binary_logits" if from_logits else "binary"


def binary_cross_entropy(y_true, y_pred, from_logits, label_smoothing, *, out):
    """As npdl.kernels.reference.loss.binary_cross_entropy."""
    mean_over_elements("binary_cross_entropy", _binary(from_logits), (label_smoothing,), y_true, y_pred, out)


def binary_cross_entropy_grad(y_true, y_pred, from_logits, label_smoothing, scale, *, out):
    """As npdl.kernels.reference.loss.binary_cross_entropy_grad."""
    mean_over_elements(
        "binary_cross_entropy_grad", _binary(from_logits), (label_smoothing,), y_true, y_pred, out, scale
    )
