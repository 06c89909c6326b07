"""Losses of rows as numba.cuda kernels: a block for each row makes its term and its gradient.

Formulas: npdl/kernels/reference/row_loss.py. Three of them are a function of up to three sums over the row:

    u, v, w = Σ parts(t, p, ...)        value(u, v, w, ...)         slope(t, p, u, v, w, ...) for each number of the row

Those of a whole sample (pair_loss.py) are such ones, too.
"""

import math

from numba import cuda, float32

from npdl.kernels.cuda.element_formulas import kept, softplus, was_kept
from npdl.kernels.cuda.element_loss import mean_of_terms, room_for_terms
from npdl.kernels.cuda.elementary import at_least, sigmoid
from npdl.kernels.cuda.kernel import Float, Floats, Int, device, expect, kernel, launch, variants
from npdl.kernels.cuda.reduction import fold_max, fold_sum, own_max, threads_for

WEIGHTS = {"multi_margin": 1, "weighted_binary": 2, "focal_logits": 1, "focal": 1}  # rows of C numbers


@device
def length(square):
    return math.sqrt(at_least(square, float32(1e-12)))


@device
def cosine_parts(t, p, yes, no):
    return t * p, t * t, p * p


@device
def cosine(tp, tt, pp, n, a, b, c):
    return -tp / (length(tt) * length(pp))


@device
def cosine_slope(t, p, yes, no, tp, tt, pp, n, a, b, c):
    along = cosine(tp, tt, pp, n, a, b, c) * p / length(pp)
    if pp < float32(1e-12):
        along = float32(0)
    return -(along + t / length(tt)) / length(pp)


@device
def tversky_parts(t, p, yes, no):
    return t * p, t, p


@device
def tversky(tp, t, p, n, a, b, c):
    return float32(1) - (tp + c) / (tp + a * (p - tp) + b * (t - tp) + c)


@device
def tversky_slope(t, p, yes, no, tp, total_t, total_p, n, a, b, c):
    bottom = tp + a * (total_p - tp) + b * (total_t - tp) + c
    return -(t - (tp + c) / bottom * (a + (float32(1) - a - b) * t)) / bottom


@device
def binary_parts(t, p, yes, no):
    return yes * t * softplus(-p) + no * (float32(1) - t) * softplus(p), t, t


@device
def weighted_binary(total, v, w, n, a, b, c):
    return total / n


@device
def binary_slope(t, p, yes, no, total, v, w, n, a, b, c):
    return (no * (float32(1) - t) * sigmoid(p) - yes * t * sigmoid(-p)) / n


SUMS = {
    "cosine": (cosine_parts, cosine, cosine_slope),
    "tversky": (tversky_parts, tversky, tversky_slope),
    "weighted_binary": (binary_parts, weighted_binary, binary_slope),
}


@variants(*zip(SUMS))
def _by_sums(formula):
    parts, value, slope = SUMS[formula]

    @kernel
    def row_by_sums(
        t: Floats, y: Floats, weights: Floats, scale: Floats, terms: Floats, dy: Floats,
        classes: Int, positions: Int, has_weights: Int, wants_terms: Int, wants_slopes: Int,
        a: Float, b: Float, c: Float,
    ):  # fmt: skip
        s = cuda.shared.array(256, float32)
        k = cuda.threadIdx.x
        row = cuda.blockIdx.x
        start = row * classes
        u, v, w = float32(0), float32(0), float32(0)
        i = k
        while i < classes:
            yes = weights[i] if has_weights else float32(0)
            no = weights[classes + i] if has_weights else float32(0)
            x1, x2, x3 = parts(t[start + i], y[start + i], yes, no)
            u, v, w = u + x1, v + x2, w + x3
            i += cuda.blockDim.x
        s[k] = u
        fold_sum(s)
        u = s[0]
        cuda.syncthreads()
        s[k] = v
        fold_sum(s)
        v = s[0]
        cuda.syncthreads()
        s[k] = w
        fold_sum(s)
        w = s[0]
        n = float32(classes)
        if wants_terms and k == 0:
            terms[row] = value(u, v, w, n, a, b, c)
        if wants_slopes:
            factor = scale[row // positions] / float32(positions)
            i = k
            while i < classes:
                yes = weights[i] if has_weights else float32(0)
                no = weights[classes + i] if has_weights else float32(0)
                d = slope(t[start + i], y[start + i], yes, no, u, v, w, n, a, b, c)
                dy[start + i] = float32(0) if factor == float32(0) else factor * d
                i += cuda.blockDim.x

    return row_by_sums


@kernel
def categorical_hinge(
    t: Floats, y: Floats, weights: Floats, scale: Floats, terms: Floats, dy: Floats,
    classes: Int, positions: Int, has_weights: Int, wants_terms: Int, wants_slopes: Int, a: Float, b: Float, c: Float,
):  # fmt: skip
    """The largest (1 − t) p, and where it first is: the largest −i of its places."""
    s = cuda.shared.array(256, float32)
    k = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = row * classes
    top = float32(-math.inf)
    total = float32(0)
    i = k
    while i < classes:
        other = (float32(1) - t[start + i]) * y[start + i]
        if other > top or other != other:
            top = other
        total += t[start + i] * y[start + i]
        i += cuda.blockDim.x
    s[k] = top
    fold_max(s)
    top = s[0]
    cuda.syncthreads()
    s[k] = total
    fold_sum(s)
    gap = at_least(top - s[0] + float32(1), float32(0))
    cuda.syncthreads()
    first = float32(-classes)
    i = k
    while i < classes:
        if first == float32(-classes) and (float32(1) - t[start + i]) * y[start + i] == top:
            first = -float32(i)
        i += cuda.blockDim.x
    s[k] = first
    fold_max(s)
    if wants_terms and k == 0:
        terms[row] = gap
    if wants_slopes:
        factor = scale[row // positions] / float32(positions)
        i = k
        while i < classes:
            d = gap  # 0, or not a number
            if gap > float32(0):
                d = (float32(1) - t[start + i] if float32(i) == -s[0] else float32(0)) - t[start + i]
            dy[start + i] = float32(0) if factor == float32(0) else factor * d
            i += cuda.blockDim.x


@kernel
def multi_margin(
    t: Floats, y: Floats, weights: Floats, scale: Floats, terms: Floats, dy: Floats,
    classes: Int, positions: Int, has_weights: Int, wants_terms: Int, wants_slopes: Int, a: Float, b: Float, c: Float,
):  # fmt: skip
    """The label is the first place where t is not 0, or place 0; a is the power, b the margin."""
    s = cuda.shared.array(256, float32)
    k = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = row * classes
    first = float32(-classes)
    i = k
    while i < classes:
        if first == float32(-classes) and t[start + i] != float32(0):
            first = -float32(i)
        i += cuda.blockDim.x
    s[k] = first
    fold_max(s)
    label = -int(s[0])
    if label == classes:
        label = 0
    cuda.syncthreads()
    own = y[start + label]
    each = (weights[label] if has_weights else float32(1)) / float32(classes)
    total = float32(0)
    slopes = float32(0)
    i = k
    while i < classes:
        if i != label:
            gap = at_least(b - own + y[start + i], float32(0))
            total += gap * gap if a == float32(2) else gap
            slopes += float32(1) if gap > float32(0) and a == float32(1) else a * gap
        i += cuda.blockDim.x
    s[k] = total
    fold_sum(s)
    if wants_terms and k == 0:
        terms[row] = s[0] * each
    cuda.syncthreads()
    s[k] = slopes
    fold_sum(s)
    if wants_slopes:
        factor = scale[row // positions] / float32(positions)
        i = k
        while i < classes:
            gap = at_least(b - own + y[start + i], float32(0))
            d = float32(1) if gap > float32(0) and a == float32(1) else a * gap
            if i == label:
                d = -s[0]
            dy[start + i] = float32(0) if factor == float32(0) else factor * each * d
            i += cuda.blockDim.x


@device
def focal_power(p, gamma):
    """((1 − p)^γ, γ (1 − p)^(γ − 1) p)"""
    q = float32(1) - p
    power = math.pow(q, gamma)
    return power, float32(0) if q == float32(0) else gamma * (power / q) * p


@variants((True,), (False,))
def _focal(logits):
    @kernel
    def focal(
        t: Floats, y: Floats, weights: Floats, scale: Floats, terms: Floats, dy: Floats,
        classes: Int, positions: Int, has_weights: Int, wants_terms: Int, wants_slopes: Int,
        a: Float, b: Float, c: Float,
    ):  # fmt: skip
        """a is γ, b the label smoothing. The derivative of a term by p, times p, is summed over the row."""
        s = cuda.shared.array(256, float32)
        k = cuda.threadIdx.x
        row = cuda.blockIdx.x
        start = row * classes
        top = float32(0)
        if logits:
            s[k] = own_max(y, start, classes, 1, k, cuda.blockDim.x)
            fold_max(s)
            top = s[0]
            cuda.syncthreads()
        part = float32(0)
        i = k
        while i < classes:
            part += math.exp(y[start + i] - top) if logits else y[start + i]
            i += cuda.blockDim.x
        s[k] = part
        fold_sum(s)
        whole = s[0]
        cuda.syncthreads()
        log_whole = math.log(whole)
        value = float32(0)
        inner = float32(0)
        i = k
        while i < classes:
            share = math.exp(y[start + i] - top - log_whole) if logits else y[start + i] / whole
            p = share if logits else kept(share)
            log_p = y[start + i] - top - log_whole if logits else math.log(p)
            want = weights[i] * (t[start + i] * (float32(1) - b) + b / float32(classes))
            power, lower = focal_power(p, a)
            value -= want * power * log_p
            d = want * (lower * log_p - power)
            if logits:
                inner += d
            elif was_kept(share):
                inner += d / p * share
            i += cuda.blockDim.x
        s[k] = value
        fold_sum(s)
        if wants_terms and k == 0:
            terms[row] = s[0]
        cuda.syncthreads()
        s[k] = inner
        fold_sum(s)
        inner = s[0]
        if wants_slopes:
            factor = scale[row // positions] / float32(positions)
            i = k
            while i < classes:
                share = math.exp(y[start + i] - top - log_whole) if logits else y[start + i] / whole
                p = share if logits else kept(share)
                log_p = y[start + i] - top - log_whole if logits else math.log(p)
                want = weights[i] * (t[start + i] * (float32(1) - b) + b / float32(classes))
                power, lower = focal_power(p, a)
                d = want * (lower * log_p - power)
                if logits:
                    d = d - p * inner
                else:
                    d = ((d / p if was_kept(share) else float32(0)) - inner) / whole
                dy[start + i] = float32(0) if factor == float32(0) else factor * d
                i += cuda.blockDim.x

    return focal


@device
def label_gap(p, other, other_target):
    """max(1 − p + other, 0), 0 where the other one is a label."""
    return at_least(float32(1) - p + other, float32(0)) if other_target == float32(0) else float32(0)


@device
def step(gap):
    """1 where a gap is above 0, 0 where it is 0; NaN stays."""
    return float32(1) if gap > float32(0) else gap


@kernel
def multi_label_margin(
    t: Floats, y: Floats, weights: Floats, scale: Floats, terms: Floats, dy: Floats,
    classes: Int, positions: Int, has_weights: Int, wants_terms: Int, wants_slopes: Int, a: Float, b: Float, c: Float,
):  # fmt: skip
    """A thread for each class j looks at all others i: their gaps to it, and its to them."""
    s = cuda.shared.array(256, float32)
    k = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = row * classes
    factor = scale[row // positions] / float32(positions) if wants_slopes else float32(0)
    total = float32(0)
    j = k
    while j < classes:
        p, want = y[start + j], t[start + j]
        gaps, down, up = float32(0), float32(0), float32(0)
        for i in range(classes):
            gap = label_gap(p, y[start + i], t[start + i])
            gaps += want * gap
            down += want * step(gap)
            up += t[start + i] * step(label_gap(y[start + i], p, want))
        total += gaps
        if wants_slopes:
            dy[start + j] = float32(0) if factor == float32(0) else factor * ((up - down) / float32(classes))
        j += cuda.blockDim.x
    s[k] = total
    fold_sum(s)
    if wants_terms and k == 0:
        terms[row] = s[0] / float32(classes)


FORMULAS = {
    "cosine": _by_sums("cosine"),
    "tversky": _by_sums("tversky"),
    "weighted_binary": _by_sums("weighted_binary"),
    "categorical_hinge": categorical_hinge,
    "multi_margin": multi_margin,
    "multi_label_margin": multi_label_margin,
    "focal_logits": _focal(True),
    "focal": _focal(False),
}


def _rows(kernel, formula, y_true, y_pred, constants, weights, out, scale, dy):
    shape = y_pred.shape
    if len(shape) < 2 or (not y_pred.size and shape[0]):
        raise ValueError(f"{kernel}: y_pred must be (N, ..., C) with at least one number a row, got shape {shape}")
    expect(kernel, "y_true", y_true, shape)
    expect(kernel, "out", out, shape[:1])
    if dy is not None:
        expect(kernel, "out" if out is None else "dy", dy, shape)
        expect(kernel, "scale", scale, shape[:1])
    rows = WEIGHTS.get(formula, 0)
    needed = (rows, shape[-1])[-rows:]
    expect(kernel, "weights", weights, needed)
    if weights is None and rows and formula != "multi_margin":
        raise ValueError(f"{kernel}: weights must have shape {needed}, got None")
    if not shape[0]:
        return
    classes, positions = shape[-1], y_pred.size // (shape[0] * shape[-1])
    terms = None if out is None else room_for_terms(out, positions)
    launch(
        FORMULAS[formula], shape[0] * positions, threads_for(classes), y_true, y_pred, weights, scale, terms, dy,
        classes, positions, *(int(array is not None) for array in (weights, out, dy)), *(*constants, 0.0, 0.0, 0.0)[:3],
    )  # fmt: skip
    if out is not None:
        mean_of_terms(terms, out, positions)


def row_loss(formula, y_true, y_pred, constants, weights, *, out, scale=None, dy=None):
    """out[n] = mean over rows of f(t, p);  with scale and dy also its gradient"""
    _rows("row_loss", formula, y_true, y_pred, constants, weights, out, scale, dy)


def row_loss_grad(formula, y_true, y_pred, constants, weights, scale, *, out):
    """out = s / P · df/dp"""
    _rows("row_loss_grad", formula, y_true, y_pred, constants, weights, None, scale, out)
