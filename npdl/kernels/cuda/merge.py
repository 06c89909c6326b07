"""Several arrays made into one, element by element or side by side, as numba.cuda kernels."""

import math

from numba import cuda, float32

from npdl.kernels.cuda import matmul
from npdl.kernels.cuda.kernel import Float, Floats, Int, Long, expect, kernel, launch_each
from npdl.kernels.cuda.wide import aligned, launch_fours, load, store


@kernel
def add_kernel(a: Floats, b: Floats, out: Floats, n: Long, wide: Int):
    x = cuda.local.array(4, float32)
    y = cuda.local.array(4, float32)
    i = 4 * cuda.grid(1)
    while i < n:
        load(a, i, n, wide, x)
        load(b, i, n, wide, y)
        for k in range(4):
            x[k] = x[k] + y[k]
        store(out, i, n, wide, x)
        i += 4 * cuda.gridsize(1)


@kernel
def subtract_kernel(a: Floats, b: Floats, out: Floats, n: Long, wide: Int):
    x = cuda.local.array(4, float32)
    y = cuda.local.array(4, float32)
    i = 4 * cuda.grid(1)
    while i < n:
        load(a, i, n, wide, x)
        load(b, i, n, wide, y)
        for k in range(4):
            x[k] = x[k] - y[k]
        store(out, i, n, wide, x)
        i += 4 * cuda.gridsize(1)


@kernel
def multiply_kernel(a: Floats, b: Floats, out: Floats, n: Long, wide: Int):
    x = cuda.local.array(4, float32)
    y = cuda.local.array(4, float32)
    i = 4 * cuda.grid(1)
    while i < n:
        load(a, i, n, wide, x)
        load(b, i, n, wide, y)
        for k in range(4):
            x[k] = x[k] * y[k]
        store(out, i, n, wide, x)
        i += 4 * cuda.gridsize(1)


@kernel
def maximum_kernel(a: Floats, b: Floats, out: Floats, n: Long, wide: Int):
    x = cuda.local.array(4, float32)
    y = cuda.local.array(4, float32)
    i = 4 * cuda.grid(1)
    while i < n:
        load(a, i, n, wide, x)
        load(b, i, n, wide, y)
        for k in range(4):
            x[k] = y[k] if x[k] < y[k] or (y[k] != y[k] and x[k] == x[k]) else x[k]
        store(out, i, n, wide, x)
        i += 4 * cuda.gridsize(1)


@kernel
def minimum_kernel(a: Floats, b: Floats, out: Floats, n: Long, wide: Int):
    x = cuda.local.array(4, float32)
    y = cuda.local.array(4, float32)
    i = 4 * cuda.grid(1)
    while i < n:
        load(a, i, n, wide, x)
        load(b, i, n, wide, y)
        for k in range(4):
            x[k] = y[k] if x[k] > y[k] or (y[k] != y[k] and x[k] == x[k]) else x[k]
        store(out, i, n, wide, x)
        i += 4 * cuda.gridsize(1)


@kernel
def scale_kernel(a: Floats, factor: Float, out: Floats, n: Long, wide: Int):
    x = cuda.local.array(4, float32)
    i = 4 * cuda.grid(1)
    while i < n:
        load(a, i, n, wide, x)
        for k in range(4):
            x[k] *= factor
        store(out, i, n, wide, x)
        i += 4 * cuda.gridsize(1)


@kernel
def match_kernel(dy: Floats, x: Floats, y: Floats, out: Floats, rest: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        d = dy[i]
        mine = x[i] == y[i]
        out[i] = d if mine else float32(0)
        rest[i] = float32(0) if mine else d
        i += cuda.gridsize(1)


@kernel
def put_kernel(x: Floats, out: Floats, n: Long, row: Long, step: Long, start: Long):
    """Rows of `row` numbers, one behind the other in x, lie `step` apart in out."""
    i = cuda.grid(1)
    while i < n:
        out[i // row * step + start + i % row] = x[i]
        i += cuda.gridsize(1)


@kernel
def take_kernel(y: Floats, out: Floats, n: Long, row: Long, step: Long, start: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = y[i // row * step + start + i % row]
        i += cuda.gridsize(1)


def add(a, b, *, out, activation=None, z=None):
    """As npdl.kernels.reference.merge.add."""
    if activation is None and z is None:
        _combine(add_kernel, "add", a, b, out)
        return
    for name, array in (("b", b), ("out", out), ("z", z)):
        expect("add", name, array, a.shape)
    if out.size:
        matmul.finish(out, None, activation, z, add=b, made=a)


def _combine(one, name, a, b, out):
    expect(name, "b", b, a.shape)
    expect(name, "out", out, a.shape)
    launch_fours(one, out.size, a, b, out, out.size, aligned(a, b, out))


def subtract(a, b, *, out):
    """out = a − b"""
    _combine(subtract_kernel, "subtract", a, b, out)


def multiply(a, b, *, out):
    """out = a · b"""
    _combine(multiply_kernel, "multiply", a, b, out)


def maximum(a, b, *, out):
    """out = max(a, b), a where they are equal"""
    _combine(maximum_kernel, "maximum", a, b, out)


def minimum(a, b, *, out):
    """out = min(a, b), a where they are equal"""
    _combine(minimum_kernel, "minimum", a, b, out)


def scale(a, factor, *, out):
    """out = a · factor"""
    expect("scale", "out", out, a.shape)
    launch_fours(scale_kernel, out.size, a, factor, out, out.size, aligned(a, out))


def match_grad(dy, x, y, *, out, rest):
    """out = dy where x = y, else 0;    rest = dy − out"""
    for name, array in (("x", x), ("y", y), ("out", out), ("rest", rest)):
        expect("match_grad", name, array, dy.shape)
    launch_each(match_kernel, out.size, dy, x, y, out, rest, out.size)


def _places(kernel, name, part, large, whole, axis, start):
    """(row, step, start) in numbers of a `part` of `whole` along an axis.

    Raises:
        ValueError: it has no such part.
    """
    size = part.shape[axis] if 0 <= axis < len(part.shape) else 0
    if not (0 <= axis < len(whole.shape) and 0 <= start <= start + size <= whole.shape[axis]):
        raise ValueError(
            f"{kernel}: {large} of shape {whole.shape} has no {size} places from {start} along axis {axis} for {name}"
        )
    expect(kernel, name, part, (*whole.shape[:axis], size, *whole.shape[axis + 1 :]))
    inner = math.prod(part.shape[axis + 1 :])
    return part.shape[axis] * inner, whole.shape[axis] * inner, start * inner


def put_part(x, axis, start, *, out):
    """out[..., start : start + n, ...] = x"""
    launch_each(put_kernel, x.size, x, out, x.size, *_places("put_part", "x", x, "out", out, axis, start))


def take_part(y, axis, start, *, out):
    """out = y[..., start : start + n, ...]"""
    launch_each(take_kernel, out.size, y, out, out.size, *_places("take_part", "out", out, "y", y, axis, start))
