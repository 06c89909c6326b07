"""Penalties and constraints as numba.cuda kernels; formulas: npdl/regularizers.py and npdl/constraints.py.

A penalty is added up in float64, like the loss to which it is added.
"""

import math

from numba import cuda, float32, float64

from npdl.kernels.cuda import layer_norm
from npdl.kernels.cuda.elementary import at_least, at_most
from npdl.kernels.cuda.kernel import (
    Double,
    Doubles,
    Float,
    Floats,
    Int,
    Ints,
    Long,
    expect,
    kernel,
    launch,
    launch_each,
)
from npdl.kernels.cuda.memory import areas, viewed
from npdl.kernels.cuda.power import sign
from npdl.kernels.cuda.reduction import fold_sum, threads_for
from npdl.kernels.cuda.strided import offsets

L1L2, ORTHOGONAL = 1, 2  # codes of npdl/regularizers.py
NON_NEG = 1  # and of npdl/constraints.py
PIECE, MOST_PIECES = 4096, 256
"""Elements that a block adds up at least, and blocks at most."""


@kernel
def penalty_part(x: Floats, out: Doubles, n: Long, l1: Double, l2: Double):
    """out[b] = Σ λ₁ |x| + λ₂ x² over every so many elements, those of block b."""
    s = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    total = float64(0)
    i = cuda.blockIdx.x * cuda.blockDim.x + t
    while i < n:
        v = float64(x[i])
        total += l1 * abs(v) + l2 * (v * v)
        i += cuda.gridDim.x * cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        out[cuda.blockIdx.x] = s[0]


@kernel
def penalty_total(parts: Doubles, out: Doubles, n: Int):
    """One block: the parts' sum."""
    s = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    s[t] = parts[t] if t < n else float64(0)
    fold_sum(s)
    if t == 0:
        out[0] = s[0]


@kernel
def penalty_slope(x: Floats, out: Floats, n: Long, l1: Float, l2: Float):
    """out += λ₁ sign(x) + 2 λ₂ x"""
    i = cuda.grid(1)
    while i < n:
        out[i] += l1 * sign(x[i]) + float32(2) * l2 * x[i]
        i += cuda.gridsize(1)


@kernel
def transpose(x: Floats, out: Floats, n: Long, rows: Int, columns: Int):
    """out (columns, rows) from x (rows, columns)"""
    i = cuda.grid(1)
    while i < n:
        out[i] = x[i % rows * columns + i // rows]
        i += cuda.gridsize(1)


@kernel
def beside_diagonal(p: Floats, out: Floats, n: Long, rows: Int, factor: Float, signs: Int):
    """out = p, or factor · sign(p); 0 on the diagonal."""
    i = cuda.grid(1)
    while i < n:
        v = factor * sign(p[i]) if signs else p[i]
        out[i] = float32(0) if i // rows == i % rows else v
        i += cuda.gridsize(1)


@kernel
def add_to(x: Floats, out: Floats, n: Long, rows: Int, columns: Int, turned: Int):
    """out (rows, columns) += x, or xᵀ"""
    i = cuda.grid(1)
    while i < n:
        out[i] += x[i % columns * rows + i // columns] if turned else x[i]
        i += cuda.gridsize(1)


@kernel
def not_negative(w: Floats, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = float32(0) if w[i] <= float32(0) else w[i]
        i += cuda.gridsize(1)


@kernel
def norm_limit(
    w: Floats, starts: Ints, steps: Ints, out: Floats, n: Int, lowest: Float, highest: Float, rate: Float,
    epsilon: Float,
):  # fmt: skip
    """w (rate clip(‖w‖, lowest, highest) + (1 − rate) ‖w‖) / (ε + ‖w‖), a block for the n elements of each norm."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    first = starts[cuda.blockIdx.x]
    total = float32(0)
    i = t
    while i < n:
        v = w[first + steps[i]]
        total += v * v
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    norm = math.sqrt(s[0])
    near = at_most(at_least(norm, lowest), highest)
    factor = (rate * near + (float32(1) - rate) * norm) / (epsilon + norm)
    i = t
    while i < n:
        out[first + steps[i]] = w[first + steps[i]] * factor
        i += cuda.blockDim.x


# ---- as every device calls them

EPSILON = 1e-7
"""Of npdl/constraints.py."""


def _built_in(fn, kind):
    """The code of a regularizer or constraint.

    Raises:
        TypeError: it is one of a user's own, which is Python.
    """
    if fn.code is None:
        raise TypeError(
            f"{fn!r} is a {kind} of your own, in NumPy, and the model is on a GPU; train it by model.to('cpu')"
        )
    return fn.code


def penalty(x, fn, *, out):
    """out[0] = r(x), out in float64"""
    expect("penalty", "out", out, (1,))
    if _built_in(fn, "regularizer") == L1L2:
        _add_up(x, fn.l1, fn.l2, _room(x.memory.driver, x.size)[0], out)
    else:
        *_, p, parts = _cosines(x, fn)
        launch_each(beside_diagonal, p.size, p, p, p.size, len(p), 0.0, 0)
        _add_up(p, fn.share(x.shape), 0.0, parts, out)


def _pieces(n):
    return max(1, min(-(-n // PIECE), MOST_PIECES))


def _room(driver, n, *counts):
    """Areas of float32, and one of float64 for the parts of a sum over n elements; that one comes first."""
    parts, *others = areas(driver, 2 * _pieces(n), *counts)
    return viewed(parts, "float64"), *others


def _add_up(x, l1, l2, parts, out):
    launch(penalty_part, _pieces(x.size), 256, x, parts, x.size, l1, l2)
    launch(penalty_total, 1, 256, parts, out, _pieces(x.size))


def penalty_grad(x, fn, *, out, scale=1.0):
    """out = out + scale · dr/dx"""
    expect("penalty_grad", "out", out, x.shape)
    if _built_in(fn, "regularizer") == L1L2:
        launch_each(penalty_slope, x.size, x, out, x.size, scale * fn.l1, scale * fn.l2)
        return
    rows, u, inverse, du, p, _ = _cosines(x, fn)
    launch_each(beside_diagonal, p.size, p, p, p.size, len(p), 2 * scale * fn.share(x.shape), 1)
    x.memory.driver.product(p, u, du, False, False)  # du = 2 c sign(P) u
    layer_norm.unit_norm_grad(du, rows, inverse, dx=du)
    launch_each(add_to, x.size, du, out, x.size, *x.shape, int(rows is not x))


def _cosines(x, fn):
    """(rows, u, 1/‖row‖, room like u, u uᵀ, room for parts of a sum over that)"""
    fn.share(x.shape)  # raises where x is no matrix
    turned = fn.mode == "columns"
    n, size = x.shape[::-1] if turned else x.shape
    parts, rows, u, inverse, du, p = _room(x.memory.driver, n * n, x.size * turned, x.size, n, x.size, n * n)
    rows, u, du, p = rows.reshape(n, size) if turned else x, u.reshape(n, size), du.reshape(n, size), p.reshape(n, n)
    if turned:
        launch_each(transpose, x.size, x, rows, x.size, *x.shape)
    layer_norm.unit_norm(rows, out=u, inverse=inverse)
    x.memory.driver.product(u, u, p, False, True)
    return rows, u, inverse, du, p, parts


def constrain(w, fn, *, out):
    """out = c(w); out may be w."""
    expect("constrain", "out", out, w.shape)
    if _built_in(fn, "constraint") == NON_NEG:
        launch_each(not_negative, w.size, w, out, w.size)
        return
    axes = fn.axes(len(w.shape))
    if w.size:
        others = [axis for axis in range(len(w.shape)) if axis not in axes]
        starts, steps = (offsets(w.memory.driver, w.shape, some) for some in (others, axes))
        launch(
            norm_limit, starts.size, threads_for(steps.size), w, starts, steps, out, steps.size, *fn.limits, EPSILON
        )  # fmt: skip
