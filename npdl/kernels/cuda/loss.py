"""Losses as numba.cuda kernels: a block for each row of classes, then the means of the samples.

Where a label is none of the classes, loss and gradient become NaN: a kernel cannot raise.
"""

import math

import numpy as np
from numba import cuda, float32, float64

from npdl.kernels.cuda.elementary import at_least, at_most, sigmoid
from npdl.kernels.cuda.kernel import Doubles, Float, Floats, Int, Ints, Long, Longs, kernel, launch, launch_each
from npdl.kernels.cuda.reduction import fold_max, fold_sum, own_max, threads_for

NO_LABEL = -(2**31)
"""Stands for `ignore` where no label is ignored."""


@kernel
def sample_means(terms: Floats, out: Floats, samples: Int, positions: Int):
    """out[n] = mean of a sample's terms, a block a sample."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    n = cuda.blockIdx.x
    total = float32(0)
    i = t
    while i < positions:
        total += terms[n * positions + i]
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        out[n] = s[0] / float32(positions)


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
def element_terms(t: Floats, y: Floats, terms: Floats, n: Long, kind: Int, delta: Float, smoothing: Float):
    """kind 0: (p − t)², 1: |p − t|, 2: Huber's, 3: binary cross-entropy of logits, 4: of probabilities."""
    i = cuda.grid(1)
    while i < n:
        e = y[i] - t[i]
        want = t[i] * (float32(1) - smoothing) + float32(0.5) * smoothing
        if kind == 0:
            value = e * e
        elif kind == 1:
            value = abs(e)
        elif kind == 2:
            near = at_most(abs(e), delta)
            value = float32(0.5) * (near * near) + delta * (abs(e) - near)
        elif kind == 3:
            value = at_least(y[i], float32(0)) - y[i] * want + math.log1p(math.exp(-abs(y[i])))
        else:
            p = at_most(at_least(y[i], float32(1e-7)), float32(1 - 1e-7))
            value = -want * math.log(p) - (float32(1) - want) * math.log1p(-p)
        terms[i] = value
        i += cuda.gridsize(1)


@kernel
def element_slopes(
    t: Floats, y: Floats, scale: Floats, out: Floats, n: Long, width: Int, kind: Int, delta: Float, smoothing: Float
):
    """The gradients of `element_terms`, times s[n] / width."""
    i = cuda.grid(1)
    while i < n:
        factor = scale[i // width] / float32(width)
        e = y[i] - t[i]
        want = t[i] * (float32(1) - smoothing) + float32(0.5) * smoothing
        if kind == 0:
            d = float32(2) * e
        elif kind == 1:
            d = float32(1) if e > float32(0) else (float32(-1) if e < float32(0) else e)
        elif kind == 2:
            d = at_most(at_least(e, -delta), delta)
        elif kind == 3:
            d = sigmoid(y[i]) - want
        else:
            p = at_most(at_least(y[i], float32(1e-7)), float32(1 - 1e-7))
            d = (p - want) / (p * (float32(1) - p)) if p == y[i] or y[i] != y[i] else float32(0)
        out[i] = float32(0) if factor == float32(0) else factor * d
        i += cuda.gridsize(1)


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
def number_adder(number: Doubles, out: Doubles):
    out[0] += number[0]


def add_number(number, *, out):
    """out += number, arrays of one float64."""
    launch(number_adder, 1, 1, number, out)


def _terms(out, positions):
    """Room for a sample's terms: `out` itself where it has one."""
    return out if positions == 1 else out.memory.driver.scratch(len(out) * positions)


def _mean(terms, out, positions):
    if positions != 1 and len(out):
        launch(sample_means, len(out), threads_for(positions), terms, out, len(out), positions)


def _positions(y_pred):
    classes = y_pred.shape[-1]
    return y_pred.size // max(len(y_pred) * classes, 1), classes


def sparse_categorical_cross_entropy(
    labels, y_pred, from_logits, *, out, scale=None, dy=None, weights=None, ignore=None
):
    """As npdl.kernels.reference.loss.sparse_categorical_cross_entropy."""
    positions, _ = _positions(y_pred)
    terms = _terms(out, positions)
    _sparse_rows(labels, y_pred, from_logits, terms, scale, dy, weights, ignore)
    _mean(terms, out, positions)


def _sparse_rows(labels, y_pred, from_logits, terms, scale, dy, weights, ignore):
    positions, classes = _positions(y_pred)
    rows = len(y_pred) * positions
    if not rows:
        return
    kind = 2 if from_logits is None else int(from_logits)
    launch(
        of_int32 if labels.dtype == np.int32 else sparse_cross_entropy, rows, threads_for(classes),
        labels, y_pred, weights, scale, terms, dy,
        classes, positions, kind, int(weights is not None), int(dy is not None), int(ignore is not None),
        NO_LABEL if ignore is None else ignore,
    )  # fmt: skip


def sparse_categorical_cross_entropy_grad(labels, y_pred, from_logits, scale, *, out, weights=None, ignore=None):
    """As npdl.kernels.reference.loss.sparse_categorical_cross_entropy_grad."""
    positions, _ = _positions(y_pred)
    terms = out.memory.driver.scratch(len(y_pred) * positions)
    _sparse_rows(labels, y_pred, from_logits, terms, scale, out, weights, ignore)


def categorical_cross_entropy(y_true, y_pred, from_logits, label_smoothing, *, out, scale=None, dy=None):
    """As npdl.kernels.reference.loss.categorical_cross_entropy."""
    positions, _ = _positions(y_pred)
    terms = _terms(out, positions)
    _rows(y_true, y_pred, from_logits, label_smoothing, terms, scale, dy)
    _mean(terms, out, positions)


def _rows(y_true, y_pred, logits, label_smoothing, terms, scale, dy):
    positions, classes = _positions(y_pred)
    rows = len(y_pred) * positions
    if rows:
        launch(
            cross_entropy, rows, threads_for(classes), y_true, y_pred, scale, terms, dy,
            classes, positions, int(logits), int(dy is not None), label_smoothing,
        )  # fmt: skip


def weighted_sum(values, weights, *, out):
    """As npdl.kernels.reference.loss.weighted_sum."""
    launch(weighted_total, 1, 256, values, weights, out, values.size)


def _elements(kind, y_true, y_pred, out, delta=0.0, smoothing=0.0):
    width = y_pred.size // max(len(y_pred), 1)
    terms = _terms(out, width)
    launch_each(element_terms, y_pred.size, y_true, y_pred, terms, y_pred.size, kind, delta, smoothing)
    _mean(terms, out, width)


def _slopes(kind, y_true, y_pred, scale, out, delta=0.0, smoothing=0.0):
    width = y_pred.size // max(len(y_pred), 1)
    launch_each(element_slopes, y_pred.size, y_true, y_pred, scale, out, y_pred.size, width, kind, delta, smoothing)


def mean_squared_error(y_true, y_pred, *, out):
    """out[n] = Σ (p − t)² / D"""
    _elements(0, y_true, y_pred, out)


def mean_squared_error_grad(y_true, y_pred, scale, *, out):
    """out = s · 2 (p − t) / D"""
    _slopes(0, y_true, y_pred, scale, out)


def mean_absolute_error(y_true, y_pred, *, out):
    """out[n] = Σ |p − t| / D"""
    _elements(1, y_true, y_pred, out)


def mean_absolute_error_grad(y_true, y_pred, scale, *, out):
    """out = s · sign(p − t) / D"""
    _slopes(1, y_true, y_pred, scale, out)


def huber(y_true, y_pred, delta, *, out):
    """out[n] = Σ h(p − t) / D"""
    _elements(2, y_true, y_pred, out, delta)


def huber_grad(y_true, y_pred, delta, scale, *, out):
    """out = s · clip(p − t, −δ, δ) / D"""
    _slopes(2, y_true, y_pred, scale, out, delta)


def binary_cross_entropy(y_true, y_pred, from_logits, label_smoothing, *, out):
    """As npdl.kernels.reference.loss.binary_cross_entropy."""
    _elements(3 if from_logits else 4, y_true, y_pred, out, smoothing=label_smoothing)


def binary_cross_entropy_grad(y_true, y_pred, from_logits, label_smoothing, scale, *, out):
    """As npdl.kernels.reference.loss.binary_cross_entropy_grad."""
    _slopes(3 if from_logits else 4, y_true, y_pred, scale, out, smoothing=label_smoothing)


def categorical_cross_entropy_grad(y_true, y_pred, from_logits, label_smoothing, scale, *, out):
    """As npdl.kernels.reference.loss.categorical_cross_entropy_grad."""
    positions, _ = _positions(y_pred)
    terms = out.memory.driver.scratch(len(y_pred) * positions)
    _rows(y_true, y_pred, from_logits, label_smoothing, terms, scale, out)
