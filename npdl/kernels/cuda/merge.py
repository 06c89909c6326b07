"""Several arrays made into one, element by element or side by side, as numba.cuda kernels."""

import math

from numba import cuda, float32

from npdl.kernels.cuda import matmul
from npdl.kernels.cuda.kernel import Float, Floats, Long, kernel, launch_each


@kernel
def add_kernel(a: Floats, b: Floats, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = a[i] + b[i]
        i += cuda.gridsize(1)


@kernel
def subtract_kernel(a: Floats, b: Floats, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = a[i] - b[i]
        i += cuda.gridsize(1)


@kernel
def multiply_kernel(a: Floats, b: Floats, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = a[i] * b[i]
        i += cuda.gridsize(1)


@kernel
def maximum_kernel(a: Floats, b: Floats, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = b[i] if a[i] < b[i] or (b[i] != b[i] and a[i] == a[i]) else a[i]
        i += cuda.gridsize(1)


@kernel
def minimum_kernel(a: Floats, b: Floats, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = b[i] if a[i] > b[i] or (b[i] != b[i] and a[i] == a[i]) else a[i]
        i += cuda.gridsize(1)


@kernel
def scale_kernel(a: Floats, factor: Float, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = a[i] * factor
        i += cuda.gridsize(1)


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
    launch_each(add_kernel, out.size, a, b, out, out.size)
    if out.size:
        matmul.finish(out, None, activation, z)


def subtract(a, b, *, out):
    """out = a − b"""
    launch_each(subtract_kernel, out.size, a, b, out, out.size)


def multiply(a, b, *, out):
    """out = a · b"""
    launch_each(multiply_kernel, out.size, a, b, out, out.size)


def maximum(a, b, *, out):
    """out = max(a, b), a where they are equal"""
    launch_each(maximum_kernel, out.size, a, b, out, out.size)


def minimum(a, b, *, out):
    """out = min(a, b), a where they are equal"""
    launch_each(minimum_kernel, out.size, a, b, out, out.size)


def scale(a, factor, *, out):
    """out = a · factor"""
    launch_each(scale_kernel, out.size, a, factor, out, out.size)


def match_grad(dy, x, y, *, out, rest):
    """out = dy where x = y, else 0;    rest = dy − out"""
    launch_each(match_kernel, out.size, dy, x, y, out, rest, out.size)


def _places(whole, part, axis, start):
    """(row, step, start) in numbers of a `part` of `whole` along an axis."""
    inner = math.prod(part.shape[axis + 1 :])
    return part.shape[axis] * inner, whole.shape[axis] * inner, start * inner


def put_part(x, axis, start, *, out):
    """out[..., start : start + n, ...] = x"""
    launch_each(put_kernel, x.size, x, out, x.size, *_places(out, x, axis, start))


def take_part(y, axis, start, *, out):
    """out = y[..., start : start + n, ...]"""
    launch_each(take_kernel, out.size, y, out, out.size, *_places(y, out, axis, start))
