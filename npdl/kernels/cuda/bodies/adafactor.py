"""Adafactor: means of squares of rows and columns, then the sizes of the tensor and of its step, then the step.

`scalars` holds of each tensor c, 1 − c, the least v, ε₁, 1 − η λ, ρ, ε₂, d; `info` start, stop, rows, columns, where r
and where k begin in `factors`, the number of its first matrix; a vector has rows 0. A block takes one of `pieces`,
(start, stop, row), and the pieces of a tensor lie between spans[2 row] and spans[2 row + 1].
"""

import math

from numba import cuda, float32, float64

from npdl.kernels.cuda.kernel import Doubles, Floats, Int, Longs, device, kernel
from npdl.kernels.cuda.reduction import fold_lanes, fold_pair, fold_sum


@kernel
def row_means(lines: Longs, scalars: Floats, width: Int, g: Floats, factors: Floats):
    """r = r + c (mean of g² − r), a block for each row of a matrix: (start, columns, place of r, row of segments)."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    start = lines[4 * cuda.blockIdx.x]
    columns = lines[4 * cuda.blockIdx.x + 1]
    total = float32(0)
    i = t
    while i < columns:
        total += g[start + i] * g[start + i]
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        at = lines[4 * cuda.blockIdx.x + 3] * width
        place = lines[4 * cuda.blockIdx.x + 2]
        factors[place] = scalars[at + 1] * factors[place] + scalars[at] * (s[0] / float32(columns))


@kernel
def column_means(tiles: Longs, scalars: Floats, width: Int, g: Floats, factors: Floats):
    """k = k + c (mean of g² − k), a block for 32 columns: (start, rows, columns, first column, place of k, row)."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    wide = 32
    tile = 6 * cuda.blockIdx.x
    rows = tiles[tile + 1]
    columns = tiles[tile + 2]
    column = tiles[tile + 3] + t % wide
    total = float32(0)
    if column < columns:
        i = t // wide
        while i < rows:
            d = g[tiles[tile] + i * columns + column]
            total += d * d
            i += cuda.blockDim.x // wide
    s[t] = total
    fold_lanes(s, wide)
    if t < wide and column < columns:
        at = tiles[tile + 5] * width
        place = tiles[tile + 4] + column
        factors[place] = scalars[at + 1] * factors[place] + scalars[at] * (s[t] / float32(rows))


@kernel
def mean_factors(matrices: Longs, scalars: Floats, width: Int, factors: Floats, means: Floats):
    """means[matrix] = max(mean of r, ε₁), a block for each matrix: (place of r, rows, row of segments)."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    place = matrices[3 * cuda.blockIdx.x]
    rows = matrices[3 * cuda.blockIdx.x + 1]
    total = float32(0)
    i = t
    while i < rows:
        total += factors[place + i]
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        mean = s[0] / float32(rows)
        least = scalars[matrices[3 * cuda.blockIdx.x + 2] * width + 3]
        means[cuda.blockIdx.x] = least if mean < least else mean


@device
def factored_step(i, d, info, row, factors, means, least):
    """u = g / √max(v, ε₁²), v = r kᵀ / mean of r"""
    place = 7 * row
    local = i - info[place]
    rows = info[place + 2]
    columns = info[place + 3]
    line = local // columns
    matrix = line // rows if rows > 0 else 0
    v = factors[info[place + 5] + matrix * columns + local - line * columns]
    if rows > 0:
        v *= factors[info[place + 4] + line] / means[info[place + 6] + matrix]
    return d / math.sqrt(least if v < least else v)


@kernel
def factored_squares(
    pieces: Longs, info: Longs, scalars: Floats, width: Int, p: Floats, g: Floats, factors: Floats, means: Floats,
    parts: Doubles, count: Int,
):  # fmt: skip
    """parts[piece] = Σ p², parts[count + piece] = Σ u²."""
    s = cuda.shared.array(256, float64)
    z = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    row = pieces[3 * cuda.blockIdx.x + 2]
    weights = float64(0)
    steps = float64(0)
    i = pieces[3 * cuda.blockIdx.x] + t
    while i < pieces[3 * cuda.blockIdx.x + 1]:
        u = factored_step(i, g[i], info, row, factors, means, scalars[row * width + 2])
        weights += float64(p[i]) * float64(p[i])
        steps += float64(u) * float64(u)
        i += cuda.blockDim.x
    s[t] = weights
    z[t] = steps
    fold_pair(s, z)
    if t == 0:
        parts[cuda.blockIdx.x] = s[0]
        parts[count + cuda.blockIdx.x] = z[0]


@kernel
def factored_sizes(spans: Longs, parts: Doubles, count: Int, info: Longs, scalars: Floats, width: Int, steps: Floats):
    """steps[row] = ρ max(ε₂, rms(p)) / max(1, rms(u) / d), a block a row."""
    s = cuda.shared.array(256, float64)
    z = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    at = cuda.blockIdx.x * width
    weights = float64(0)
    total = float64(0)
    i = spans[2 * cuda.blockIdx.x] + t
    while i < spans[2 * cuda.blockIdx.x + 1]:
        weights += parts[i]
        total += parts[count + i]
        i += cuda.blockDim.x
    s[t] = weights
    z[t] = total
    fold_pair(s, z)
    if t == 0 and info[7 * cuda.blockIdx.x + 1] > info[7 * cuda.blockIdx.x]:
        size = float64(info[7 * cuda.blockIdx.x + 1] - info[7 * cuda.blockIdx.x])
        large = max(float64(scalars[at + 6]), math.sqrt(s[0] / size))
        steps[cuda.blockIdx.x] = float32(
            float64(scalars[at + 5]) * large / max(float64(1), math.sqrt(z[0] / size) / float64(scalars[at + 7]))
        )


@kernel
def factored_update(
    pieces: Longs, info: Longs, scalars: Floats, width: Int, steps: Floats, p: Floats, g: Floats, factors: Floats,
    means: Floats,
):  # fmt: skip
    """p = (1 − η λ) p − step u"""
    row = pieces[3 * cuda.blockIdx.x + 2]
    at = row * width
    step = steps[row]
    i = pieces[3 * cuda.blockIdx.x] + cuda.threadIdx.x
    while i < pieces[3 * cuda.blockIdx.x + 1]:
        p[i] = scalars[at + 4] * p[i] - step * factored_step(i, g[i], info, row, factors, means, scalars[at + 2])
        i += cuda.blockDim.x
