"""Matrix products by the driver's library (cuBLAS on a GPU) with our epilogue behind, and the sum over rows."""

import math

from numba import cuda, float32

from npdl.kernels.checks import LINEAR, WHOLE_ROWS
from npdl.kernels.cuda import activation as activations
from npdl.kernels.cuda.elementary import FORWARD, SLOPES
from npdl.kernels.cuda.index import remainder
from npdl.kernels.cuda.kernel import Float, Floats, Int, Long, expect, kernel, launch, variants
from npdl.kernels.cuda.wide import aligned, launch_fours, load, store

TILE = 32
"""Columns that a block of `sum_rows` takes, one for each thread of a warp: neighbours in memory."""
ROWS = 8
"""Its threads for each column."""
LEAST, MOST_PARTS = 256, 128
"""Rows of a part at least, and parts at most."""


@variants(*zip(FORWARD))
def _epilogue(code):
    function, derivative = FORWARD[code], SLOPES.get(code, FORWARD[LINEAR])

    @kernel
    def epilogue(
        x: Floats, out: Floats, bias: Floats, add: Floats, times: Floats, z: Floats, slope: Floats,
        n: Long, width: Int, wide: Int,
        has_bias: Int, has_add: Int, has_times: Int, has_z: Int, has_slope: Int, p: Float, q: Float, r: Float,
    ):  # fmt: skip
        v = cuda.local.array(4, float32)
        other = cuda.local.array(4, float32)
        i = 4 * cuda.grid(1)
        while i < n:
            load(x, i, n, wide, v)
            if has_bias:
                column = remainder(i, width)
                for k in range(4):
                    v[k] += bias[column]
                    column = column + 1 if column + 1 < width else 0
            if has_add:
                load(add, i, n, wide, other)
                for k in range(4):
                    v[k] += other[k]
            if has_times:
                load(times, i, n, wide, other)
                for k in range(4):
                    v[k] *= other[k]
            if has_z:
                store(z, i, n, wide, v)
            if has_slope:
                for k in range(4):
                    other[k] = derivative(v[k], p, q, r)
                store(slope, i, n, wide, other)
            for k in range(4):
                v[k] = function(v[k], p, q, r)
            store(out, i, n, wide, v)
            i += 4 * cuda.gridsize(1)

    return epilogue


@kernel
def sum_part(x: Floats, out: Floats, rows: Long, width: Int, part: Long):
    """out[b, j] = Σ x[i, j] over the rows of part b; a block sums 32 columns, 8 threads each."""
    s = cuda.shared.array((8, 32), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    column = cuda.blockIdx.x * 32 + tx
    i = cuda.blockIdx.y * part + ty
    stop = min((cuda.blockIdx.y + 1) * part, rows)
    total = float32(0)
    while i < stop:
        if column < width:
            total += x[i * width + column]
        i += 8
    s[ty, tx] = total
    cuda.syncthreads()
    if ty == 0 and column < width:
        total = s[0, tx]
        for j in range(1, 8):
            total += s[j, tx]
        out[cuda.blockIdx.y * width + column] = total


@kernel
def sum_parts(parts: Floats, out: Floats, count: Int, width: Int):
    """The parts' sums, in their order."""
    j = cuda.grid(1)
    if j < width:
        total = float32(0)
        for i in range(count):
            total += parts[i * width + j]
        out[j] = total


def matmul(
    a, b, *, out, bias=None, add=None, times=None, activation=None, z=None, slope=None, sums=None,
    transpose_a=False, transpose_b=False,
):  # fmt: skip
    """As npdl.kernels.reference.matmul.matmul."""
    a, b, flat = _matrix(a), _matrix(b), _matrix(out)
    (rows, inner), (mine, columns) = (s.shape[::-1] if t else s.shape for s, t in ((a, transpose_a), (b, transpose_b)))
    if inner != mine:
        raise ValueError(f"matmul: a and b must agree on the inner axis, got {inner} and {mine}")
    expect("matmul", "out", flat, (rows, columns))
    expect("matmul", "bias", bias, (columns,))
    for name, array in (("add", add), ("times", times), ("z", z), ("slope", slope)):
        expect("matmul", name, array, out.shape)
    if sums is not None:
        sum_rows(b, out=sums)
    if not out.size:
        return
    out.memory.driver.product(a, b, flat, transpose_a, transpose_b)
    finish(out, bias, activation, z, add, times, slope)


def finish(out, bias, activation, z, add=None, times=None, slope=None, made=None):
    """z = (made + bias + add) · times, slope = a'(z), out = a(z): how every kernel with an epilogue ends.

    One launch, but for a softmax. `made` is what the kernel has made; None: out itself.
    """
    made = out if made is None else made
    code = LINEAR if activation is None else activations.built_in(activation)
    now = LINEAR if code in WHOLE_ROWS else code
    given = bias, add, times, z, slope
    if now != LINEAR or any(array is not None for array in given):
        constants = activations.constants(activation) if now != LINEAR else (0.0, 0.0, 0.0)
        there = [int(array is not None) for array in given]
        sizes = out.size, out.shape[-1], aligned(made, out, *given[1:])
        launch_fours(_epilogue(now), out.size, made, out, *given, *sizes, *there, *constants)
    if code in WHOLE_ROWS:
        activations.activation(out, activation, out=out)


def sum_rows(x, *, out):
    """As npdl.kernels.reference.matmul.sum_rows."""
    x = _matrix(x)
    rows, width = x.shape
    expect("sum_rows", "out", out, (width,))
    if not width:
        return
    part = max(LEAST, -(-rows // MOST_PARTS))
    count = max(1, -(-rows // part))
    parts = out if count == 1 else out.memory.driver.scratch(count * width)
    launch(sum_part, (-(-width // TILE), count), (TILE, ROWS), x, parts, rows, width, part)
    if count > 1:
        launch(sum_parts, -(-width // 128), 128, parts, out, count, width)


def _matrix(a):
    """All leading axes as one."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
