"""Moving numbers as numba.cuda kernels: another order of the axes, margins off and on, every place several times.

Where a number comes from is worked out by the host as a table: for each axis of the result, the last one first, its
size and the stride in x (0 along an axis of copies). Axes that lie in x as in the result count as one, so that most
tables have two or three rows. The tables depend on shapes alone and stay on the device.

A matrix turned over is a kernel of its own: a thread that reads along rows and writes along columns would have one of
the two scattered over memory.
"""

import functools
import math

from numba import cuda, float32

from npdl.kernels.cuda.index import over
from npdl.kernels.cuda.kernel import Floats, Int, Long, Longs, expect, kernel, launch, launch_each
from npdl.kernels.cuda.strided import joined, on_device, place_of, strides_of

TILE, ROWS = 32, 8
"""A block's tile of a matrix that is turned over, and its rows of threads."""


@kernel
def move_kernel(x: Floats, out: Floats, table: Longs, axes: Int, start: Long, n: Long):
    """out[i, ..., k] = x[start + i · stride + ... + k · stride]; table: (size, stride) of each axis, the last first."""
    e = cuda.grid(1)
    while e < n:
        out[e] = x[start + place_of(e, table, axes)]
        e += cuda.gridsize(1)


@kernel
def pad_kernel(x: Floats, out: Floats, table: Longs, axes: Int, n: Long):
    """out = x with zeros around it; table: (size of out, places before, size of x) of each axis, the last first."""
    e = cuda.grid(1)
    while e < n:
        rest = e + 0
        at = 0
        step = 1
        outside = 0
        for axis in range(axes):
            size = table[3 * axis]
            length = table[3 * axis + 2]
            up = rest // size
            i = rest - up * size - table[3 * axis + 1]
            if i < 0 or i >= length:
                outside = 1
            at += i * step
            step *= length
            rest = up
        out[e] = float32(0) if outside else x[at]
        e += cuda.gridsize(1)


@kernel
def transpose_kernel(x: Floats, out: Floats, rows: Int, columns: Int, down: Int, across: Int):
    """out[b, c, r] = x[b, r, c].

    A block has a tile of 32 x 32: its threads read rows of x and write rows of out, each time neighbours in memory; in
    between the tile lies in shared memory, its rows one place longer, so that 32 threads that read a column do not all
    wait for the same bank.
    """
    tile = cuda.shared.array((32, 33), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    band = over(cuda.blockIdx.x, across)
    b = over(band, down)
    top = (band - b * down) * 32
    left = (cuda.blockIdx.x - band * across) * 32
    for i in range(ty, 32, 8):
        if top + i < rows and left + tx < columns:
            tile[i, tx] = x[(b * rows + top + i) * columns + left + tx]
    cuda.syncthreads()
    for i in range(ty, 32, 8):
        if left + i < columns and top + tx < rows:
            out[(b * columns + left + i) * rows + top + tx] = tile[tx, i]


@kernel
def repeat_grad_kernel(
    dy: Floats, dx: Floats, n: Long, size_a: Int, size_b: Int, size_c: Int,
    times_a: Int, times_b: Int, times_c: Int, channels: Int,
):  # fmt: skip
    """dx = Σ dy over the copies of a place, in their order; a thread makes one element."""
    e = cuda.grid(1)
    while e < n:
        place = e // channels
        line = over(place, size_c)
        plane = over(line, size_b)
        total = float32(0)
        for i in range(times_a):
            for j in range(times_b):
                row = ((plane * times_a + i) * size_b + line - plane * size_b) * times_b + j
                for k in range(times_c):
                    at = (row * size_c + place - line * size_c) * times_c + k
                    total += dy[at * channels + e - place * channels]
        dx[e] = total
        e += cuda.gridsize(1)


# ---- tables


def _move(x, out, sizes, steps, start=0):
    if out.size:
        rows = joined(sizes, steps)
        table = on_device(out.memory.driver, rows) if rows else None
        launch_each(move_kernel, out.size, x, out, table, len(rows), start, out.size)


# ---- the family


def permute(x, axes, *, out):
    """out = x with its axes in the order `axes`"""
    axes = tuple(axes)
    if sorted(axes) != list(range(len(x.shape))):
        raise ValueError(f"permute: axes must be those of x of shape {x.shape}, each once, got {axes}")
    sizes, steps = tuple(x.shape[a] for a in axes), strides_of(x.shape)
    expect("permute", "out", out, sizes)
    if not out.size:
        return
    steps = tuple(steps[a] for a in axes)
    if turned := _turned(joined(sizes, steps)):
        count, rows, columns = turned
        down, across = -(-rows // TILE), -(-columns // TILE)
        launch(transpose_kernel, count * down * across, (TILE, ROWS), x, out, rows, columns, down, across)
    else:
        _move(x, out, sizes, steps)


def _turned(table):
    """(how many, rows, columns) of x where it is matrices turned over, each large enough for tiles; else None."""
    if len(table) not in (2, 3):
        return None
    (rows, columns), (width, step), *batch = table
    if step != 1 or columns != width or min(rows, columns) < ROWS:
        return None
    if batch and batch[0][1] != rows * columns:
        return None
    return (batch[0][0] if batch else 1), rows, columns


def _margins(kernel, name, large, margins, small):
    """Raise unless `large` is `small` with those margins around it."""
    rank = len(large)
    if len(margins) > rank - 1 or any(n < 0 for both in margins for n in both):
        raise ValueError(f"{kernel}: margins must be pairs of numbers from 0 for axes of {name}, got {margins}")
    sides = (0, *(sum(both) for both in margins), *(0,) * (rank - len(margins) - 1))
    if len(small) != rank or any(n + more != size for n, more, size in zip(small, sides, large)):
        raise ValueError(f"{kernel}: {small} and {name} of shape {large} must differ by the margins {margins} alone")
    return (0, *(before for before, _ in margins), *(0,) * (rank - len(margins) - 1))


def crop(x, margins, *, out):
    """out = x without its margins"""
    before, steps = _margins("crop", "x", x.shape, margins, out.shape), strides_of(x.shape)
    _move(x, out, out.shape, steps, sum(n * step for n, step in zip(before, steps)))


def pad(x, margins, *, out):
    """out = x with zeros around it"""
    before = _margins("pad", "out", out.shape, margins, x.shape)
    if out.size:
        rows = _pad_table(out.shape, before, x.shape)
        launch_each(pad_kernel, out.size, x, out, on_device(out.memory.driver, rows), len(rows), out.size)


@functools.lru_cache(1024)
def _pad_table(sizes, before, lengths):
    """((size, before, length), ...) of axes, the last first; neighbours without margins make one."""
    rows = []
    for row in reversed(list(zip(sizes, before, lengths))):
        if rows and row[0] == row[2] and rows[-1][0] == rows[-1][2]:
            rows[-1] = (rows[-1][0] * row[0], 0, rows[-1][2] * row[2])
        else:
            rows.append(row)
    return tuple(rows)


def _times(kernel, large, small, times):
    """Raise unless `large` is `small` with each place repeated."""
    if len(times) > len(small) - 1 or any(n < 1 for n in times):
        raise ValueError(f"{kernel}: times must be numbers from 1 for the axes after the first, got {times}")
    sizes = [n * t for n, t in zip(small[1:], times)]
    if large != (small[0], *sizes, *small[len(times) + 1 :]):
        raise ValueError(f"{kernel}: {large} is not {small} with its places {times} times")


def repeat(x, times, *, out):
    """out[n, i, j, ..., c] = x[n, i // times[0], j // times[1], ..., c]"""
    _times("repeat", out.shape, x.shape, times)
    each = (1, *times, *(1,) * (len(x.shape) - len(times) - 1))
    sizes = tuple(n for size, count in zip(x.shape, each) for n in (size, count))
    _move(x, out, sizes, tuple(n for step in strides_of(x.shape) for n in (step, 0)))


def repeat_grad(dy, times, *, out):
    """dx = Σ dy over the copies of each place"""
    _times("repeat_grad", dy.shape, out.shape, times)
    if len(times) > 3:
        raise ValueError(f"repeat_grad: at most three axes, got times={times}")
    ones = (1,) * (3 - len(times))
    sizes, channels = (*ones, *out.shape[1 : len(times) + 1]), math.prod(out.shape[len(times) + 1 :])
    launch_each(repeat_grad_kernel, out.size, dy, out, out.size, *sizes, *ones, *times, channels)
