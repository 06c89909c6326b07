"""Products of arrays whose axes have letters: one matrix product by the driver's library where the arrays lie as
matrices, else a kernel that finds each number by tables of places, and copies nothing; and sums along axes.

The tables belong to shapes alone and stay on the device. Letters of a and b and out say which product it is, of a and
out its row, of b and out its column, of a and b what is summed.
"""

import math

from numba import cuda, float32

from npdl.kernels.cuda import matmul
from npdl.kernels.cuda.kernel import Floats, Int, Ints, Long, Longs, expect, kernel, launch, launch_each
from npdl.kernels.cuda.mask import fill
from npdl.kernels.cuda.reduction import fold_sum, threads_for
from npdl.kernels.cuda.strided import broadcast_strides, offsets, place_of, table_for
from npdl.kernels.letters import plan

TILE = 16
"""Rows and columns of a block, a thread for each number."""
MOST_PRODUCTS = 8
"""That the library is called for one by one."""


@kernel
def product_tile(
    a: Floats, b: Floats, out: Floats, a_each: Ints, a_rows: Ints, a_summed: Ints, b_each: Ints, b_summed: Ints,
    b_columns: Ints, out_each: Ints, out_rows: Ints, out_columns: Ints, rows: Int, summed: Int, columns: Int,
    tiles: Int, across: Int,
):  # fmt: skip
    """out[e, r, c] = Σₖ a[e, r, k] b[e, k, c], 16 steps of k at a time from shared memory."""
    left = cuda.shared.array((16, 16), float32)
    right = cuda.shared.array((16, 16), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    e = cuda.blockIdx.x // tiles
    row = cuda.blockIdx.x % tiles // across * 16 + ty
    column = cuda.blockIdx.x % across * 16 + tx
    total = float32(0)
    k = 0
    while k < summed:
        v = float32(0)
        if row < rows and k + tx < summed:
            v = a[a_each[e] + a_rows[row] + a_summed[k + tx]]
        left[ty, tx] = v
        v = float32(0)
        if column < columns and k + ty < summed:
            v = b[b_each[e] + b_summed[k + ty] + b_columns[column]]
        right[ty, tx] = v
        cuda.syncthreads()
        for j in range(16):
            total += left[ty, j] * right[j, tx]
        cuda.syncthreads()
        k += 16
    if row < rows and column < columns:
        out[out_each[e] + out_rows[row] + out_columns[column]] = total


@kernel
def add_repeated(bias: Floats, out: Floats, table: Longs, axes: Int, n: Long):
    """out += bias, which `table` repeats along axes."""
    i = cuda.grid(1)
    while i < n:
        out[i] += bias[place_of(i, table, axes)]
        i += cuda.gridsize(1)


@kernel
def sum_places(x: Floats, starts: Ints, steps: Ints, out: Floats, n: Int):
    """out[o] = Σ x[starts[o] + steps[i]] over i < n, a block for each."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    first = starts[cuda.blockIdx.x]
    total = float32(0)
    i = t
    while i < n:
        total += x[first + steps[i]]
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        out[cuda.blockIdx.x] = s[0]


def einsum(a, b, equation, *, out, bias=None):
    """out = Σ a b over the letters that out has not, plus bias"""
    p, letters = plan(equation), equation.replace("->", ",").split(",")
    sizes = {x: n for part, array in zip(letters, (a, b), strict=False) for x, n in zip(part, array.shape, strict=True)}
    for name, part, array in zip(("a", "b", "out"), letters, (a, b, out), strict=True):
        expect("einsum", name, array, tuple(sizes[x] for x in part))
    if not out.size:
        return
    each, rows, summed, columns = (math.prod(sizes[x] for x in group) for group in p[:4])
    straight = p.a_order is None and p.b_order is None and p.out_order is None
    if straight and summed and each <= MOST_PRODUCTS:
        lefts = a.reshape(each * summed, rows) if p.transpose_a else a.reshape(each * rows, summed)
        rights = b.reshape(each * columns, summed) if p.transpose_b else b.reshape(each * summed, columns)
        outs = out.reshape(each * rows, columns)
        for i in range(each):
            parts = [m[i * len(m) // each : (i + 1) * len(m) // each] for m in (lefts, rights, outs)]
            out.memory.driver.product(*parts, p.transpose_a, p.transpose_b)
    else:
        a, b = out.memory.driver.factors.rounded(a, b)
        _by_tables(a, b, out, letters, p, (each, rows, summed, columns))
    if bias is not None and bias.shape == out.shape[len(out.shape) - len(bias.shape) :]:
        matmul.finish(out.reshape(out.size // bias.size, bias.size), bias, None, None)
    elif bias is not None:
        table, axes = table_for(out.memory.driver, out.shape, broadcast_strides(bias.shape, out.shape))
        launch_each(add_repeated, out.size, bias, out, table, axes, out.size)


def _by_tables(a, b, out, letters, p, sizes):
    def places(array, part, group):
        return offsets(out.memory.driver, array.shape, [part.index(x) for x in group])

    each, rows, summed, columns = sizes
    down, across = -(-rows // TILE), -(-columns // TILE)
    launch(
        product_tile, each * down * across, (TILE, TILE), a, b, out,
        *(places(a, letters[0], group) for group in (p.each, p.rows, p.summed)),
        *(places(b, letters[1], group) for group in (p.each, p.summed, p.columns)),
        *(places(out, letters[2], group) for group in (p.each, p.rows, p.columns)),
        rows, summed, columns, down * across, across,
    )  # fmt: skip


def sum_to(x, *, out):
    """out = Σ x over the axes along which out has length 1, or which out lacks in front"""
    lacks = len(x.shape) - len(out.shape)
    sizes = (1,) * lacks + out.shape
    if lacks < 0 or any(n not in (1, of) for n, of in zip(sizes, x.shape, strict=True)):
        raise ValueError(f"sum_to: out of shape {out.shape} does not broadcast to x of shape {x.shape}")
    kept = [axis for axis, size in enumerate(sizes) if size == x.shape[axis]]
    summed = [axis for axis in range(len(sizes)) if axis not in kept]
    if not x.size:
        fill(0.0, out=out)
    elif kept == list(range(len(summed), len(sizes))):
        matmul.sum_rows(x.reshape(x.size // out.size, out.size), out=out.reshape(out.size))
    else:
        n = x.size // out.size
        starts, steps = (offsets(x.memory.driver, x.shape, axes) for axes in (kept, summed))
        launch(sum_places, out.size, threads_for(n), x, starts, steps, out, n)
