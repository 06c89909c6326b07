"""Embedding as numba.cuda kernels: rows of a table by number.

Where an index names no row, the vector becomes NaN: a kernel cannot raise. Such an index adds nothing to the gradient.

The gradient of a row is a sum over the places that name it, which lie anywhere. To find them in a fixed order without
atomics, the places of each chunk are sorted by their index: a place's rank is the number of those that come before it,
counted by comparing each with each, 256 of them in shared memory at a time. Then the places of an index lie side by
side, and a block adds up its run. Comparing costs `CHUNK` steps a place, whatever the size of the table, which may be
much larger than a batch; a block for each row of the table, on the lookout for its index, would read all places for
rows that nobody names. The chunks' sums are added in their order.
"""

import math

from numba import cuda, float32, int32

from npdl.kernels.cuda.channels import THREADS, tiling
from npdl.kernels.cuda.kernel import Bytes, Float, Floats, Int, Ints, Long, Longs, expect, kernel, launch, launch_each
from npdl.kernels.cuda.mask import fill
from npdl.kernels.cuda.memory import areas, viewed
from npdl.kernels.cuda.reduction import fold_lanes

CHUNK = 4096
"""Places that are sorted together, a multiple of the 256 of a block."""


@kernel
def take_rows(ids: Longs, table: Floats, out: Floats, places: Int, rows: Int, width: Int, shift: Int, part: Int):
    """A block takes 2^shift columns of `part` places."""
    t = cuda.threadIdx.x
    j = (cuda.blockIdx.x << shift) + (t & ((1 << shift) - 1))
    if j >= width:
        return
    i = cuda.blockIdx.y * part + (t >> shift)
    stop = min((cuda.blockIdx.y + 1) * part, places)
    while i < stop:
        row = ids[i]
        out[i * width + j] = table[row * width + j] if row >= 0 and row < rows else float32(math.nan)
        i += cuda.blockDim.x >> shift


@kernel
def rank_places(ids: Longs, order: Ints, runs: Ints, places: Int, rows: Int):
    """order: each chunk's places sorted by index, then by place; runs[p]: how many follow of an index that begins at p.

    A thread has one place i, whose rank is the number of smaller indices and of equal ones before it.
    """
    s = cuda.shared.array(256, int32)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 256 + t
    first = cuda.blockIdx.x * 256 // CHUNK * CHUNK
    stop = min(first + CHUNK, places)
    mine = rows
    if i < places:
        row = ids[i]
        mine = int32(row) if row >= 0 and row < rows else rows
    smaller = 0
    before = 0
    equal = 0
    start = first
    while start < stop:
        other = int32(2147483647)  # behind the end: not smaller than any, equal to none that is written
        if start + t < stop:
            row = ids[start + t]
            other = int32(row) if row >= 0 and row < rows else rows
        s[t] = other
        cuda.syncthreads()
        k = 0
        while k < 256:
            if s[k] < mine:
                smaller += 1
            elif s[k] == mine:
                equal += 1
                if start + k < i:
                    before += 1
            k += 1
        cuda.syncthreads()
        start += 256
    if i < places:
        order[first + smaller + before] = i
        runs[first + smaller + before] = equal if before == 0 and mine < rows else 0


@kernel
def add_runs(dy: Floats, ids: Longs, order: Ints, runs: Ints, out: Floats, first: Int, width: Int, shift: Int):
    """out[v] += Σ dy over a run of places with the index v, a block for each place of the chunk where one may begin."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    wide = 1 << shift
    j = (cuda.blockIdx.y << shift) + (t & (wide - 1))
    begin = first + cuda.blockIdx.x
    count = runs[begin]
    if count > 0:
        total = float32(0)
        if j < width:
            k = t >> shift
            while k < count:
                total += dy[order[begin + k] * width + j]
                k += cuda.blockDim.x >> shift
        s[t] = total
        fold_lanes(s, wide)
        if t < wide and j < width:
            out[ids[order[begin]] * width + j] += s[t]


@kernel
def not_zero_kernel(ids: Longs, out: Bytes, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = 1 if ids[i] != 0 else 0
        i += cuda.gridsize(1)


@kernel
def count_kernel(
    ids: Longs, weights: Floats, out: Floats, n: Long, length: Int, values: Int, most: Float, has_weights: Int,
    has_most: Int,
):  # fmt: skip
    """A thread for each row and value; n of them."""
    i = cuda.grid(1)
    while i < n:
        first = i // values * length
        value = i % values
        total = float32(0)
        j = first
        while j < first + length:
            if ids[j] == value:
                total += weights[j] if has_weights else float32(1)
            elif ids[j] < 0 or ids[j] >= values:
                total = float32(math.nan)
            j += 1
        out[i] = most if has_most and total > most else total
        i += cuda.gridsize(1)


@kernel
def take_each(dy: Floats, ids: Longs, out: Floats, n: Long, length: Int, values: Int):
    i = cuda.grid(1)
    while i < n:
        value = ids[i]
        out[i] = dy[i // length * values + value] if value >= 0 and value < values else float32(math.nan)
        i += cuda.gridsize(1)


take_rows_32, rank_places_32, add_runs_32 = (one.retyped(ids=Ints) for one in (take_rows, rank_places, add_runs))
not_zero_32, count_32, take_each_32 = (one.retyped(ids=Ints) for one in (not_zero_kernel, count_kernel, take_each))
OF_INT32 = {
    take_rows: take_rows_32, rank_places: rank_places_32, add_runs: add_runs_32, not_zero_kernel: not_zero_32,
    count_kernel: count_32, take_each: take_each_32,
}  # fmt: skip


def _for(ids, one):
    """The kernel for the type of the indices."""
    return OF_INT32[one] if ids.dtype.name == "int32" else one


def _check(kernel, ids, table_name, table, rows_name, rows):
    if len(table.shape) != 2:
        raise ValueError(f"{kernel}: {table_name} must have shape (V, D), got {table.shape}")
    expect(kernel, rows_name, rows, (*ids.shape, table.shape[1]))


def _on_device(ids, array):
    """Indices that were drawn on the host, where `array` is."""
    return ids if hasattr(ids, "memory") else array.memory.driver.filled(ids)


def embedding(ids, table, *, out):
    """out[i...] = table[ids[i...]], NaN where there is no such row"""
    _check("embedding", ids, "table", table, "out", out)
    ids = _on_device(ids, out)
    if out.size:
        shift, tiles, part, parts = tiling(ids.size, table.shape[1], each=4, most=65535)
        launch(
            _for(ids, take_rows), (tiles, parts), THREADS, ids, table, out, ids.size, *table.shape, shift, part
        )  # fmt: skip


def embedding_grad(dy, ids, *, out):
    """dtable[v] = Σ dy where ids = v"""
    _check("embedding_grad", ids, "out", out, "dy", dy)
    fill(0.0, out=out)
    if not dy.size or not out.size:
        return
    ids = _on_device(ids, out)
    places, (rows, width) = ids.size, out.shape
    order, runs = (viewed(area, "int32") for area in areas(out.memory.driver, places, places))
    launch(_for(ids, rank_places), -(-places // THREADS), THREADS, ids, order, runs, places, rows)
    shift, tiles, *_ = tiling(places, width)
    for first in range(0, places, CHUNK):
        blocks = min(CHUNK, places - first), tiles
        launch(_for(ids, add_runs), blocks, THREADS, dy, ids, order, runs, out, first, width, shift)


def not_zero(ids, *, out):
    """out = ids ≠ 0"""
    expect("not_zero", "out", out, ids.shape)
    launch_each(_for(ids, not_zero_kernel), ids.size, ids, viewed(out, "uint8"), ids.size)


def count_ids(ids, *, out, most=None, weights=None):
    """out[r, v] = how often v is among ids[r], or the sum of its weights; NaN where ids[r] has what is no value"""
    _check_rows("count_ids", ids, "out", out, "weights", weights)
    launch_each(
        _for(ids, count_kernel), out.size, ids, weights, out, out.size, ids.shape[1], out.shape[1],
        0.0 if most is None else most, int(weights is not None), int(most is not None),
    )  # fmt: skip


def count_ids_grad(dy, ids, *, out):
    """out[r, t] = dy[r, ids[r, t]]"""
    _check_rows("count_ids_grad", ids, "dy", dy, "out", out)
    launch_each(_for(ids, take_each), out.size, dy, ids, out, out.size, ids.shape[1], dy.shape[1])


def _check_rows(kernel, ids, name, counts, like_ids_name, like_ids):
    if len(ids.shape) != 2:
        raise ValueError(f"{kernel}: ids must have shape (R, T), got {ids.shape}")
    expect(kernel, name, counts, (len(ids), *counts.shape[1:2]))
    expect(kernel, like_ids_name, like_ids, ids.shape)
