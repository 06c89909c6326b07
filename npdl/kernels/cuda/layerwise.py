"""What needs a number of each tensor as a whole, as numba.cuda kernels: sums over it, LAMB, Adafactor.

As in update.py a block takes one piece of a tensor, and what the host computes for each tensor lies in `scalars`.
A tensor's sum is made in float64 of the sums of its pieces, which lie between spans[2 row] and spans[2 row + 1]. LAMB
and Adafactor leave it on the device; `dot`, `sum_abs` and `max_abs` put it where their callers read it, on the host.
"""

import math

import numpy as np
from numba import cuda, float32, float64

from npdl.kernels.cuda import bodies
from npdl.kernels.cuda.kernel import Double, Doubles, Floats, Int, Longs, kernel, launch
from npdl.kernels.cuda.memory import areas, viewed
from npdl.kernels.cuda.reduction import fold_max, fold_sum
from npdl.kernels.cuda.update import PIECE, THREADS, _decay, scalars_for
from npdl.kernels.reference.layerwise import ADAFACTOR_HYPER, CLIP_NORM_HYPER, LAMB_HYPER, check_shapes
from npdl.kernels.segments import check, check_out, cut

DOT, ABS, MAX = 0, 1, 2


@kernel
def sum_pieces(pieces: Longs, x: Floats, y: Floats, out: Doubles, kind: Int):
    """out[piece] = Σ x y, Σ |x|, or max |x| but for NaN."""
    s = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    total = float64(0)
    i = pieces[3 * cuda.blockIdx.x] + t
    while i < pieces[3 * cuda.blockIdx.x + 1]:
        v = float64(x[i])
        if kind == DOT:
            total += v * float64(y[i])
        elif kind == ABS:
            total += abs(v)
        elif abs(v) > total:
            total = abs(v)
        i += cuda.blockDim.x
    s[t] = total
    if kind == MAX:
        fold_max(s)
    else:
        fold_sum(s)
    if t == 0:
        out[cuda.blockIdx.x] = s[0]


@kernel
def join_pieces(spans: Longs, parts: Doubles, out: Doubles, kind: Int):
    """out[row] from the pieces of that row, a block each."""
    s = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    total = float64(0)
    i = spans[2 * cuda.blockIdx.x] + t
    while i < spans[2 * cuda.blockIdx.x + 1]:
        if kind == MAX:
            total = max(total, parts[i])
        else:
            total += parts[i]
        i += cuda.blockDim.x
    s[t] = total
    if kind == MAX:
        fold_max(s)
    else:
        fold_sum(s)
    if t == 0:
        out[cuda.blockIdx.x] = s[0]


@kernel
def clip_scales(squares: Doubles, factors: Floats, rows: Int, limit: Double, together: Int):
    """factors[row] = min(1, limit / norm), one block; `together`: of the sum of all squares, in their order."""
    whole = float64(0)
    if together:
        for row in range(rows):
            whole += squares[row]
    row = cuda.threadIdx.x
    while row < rows:
        norm = math.sqrt(whole if together else squares[row])
        factors[row] = float32(limit / norm if norm > limit else float64(1))
        row += cuda.blockDim.x


@kernel
def scale_pieces(pieces: Longs, factors: Floats, g: Floats, count: Int):
    """g = factors[row] g, a block for each piece."""
    piece = cuda.blockIdx.x
    if piece < count:
        factor = factors[pieces[3 * piece + 2]]
        i = pieces[3 * piece] + cuda.threadIdx.x
        while i < pieces[3 * piece + 1]:
            g[i] *= factor
            i += cuda.blockDim.x


# ---- as every device calls them


def dot(x, y, segments, *, out):
    """As `npdl.kernels.reference.layerwise.dot`."""
    _reduce("dot", DOT, {"x": x, "y": y}, segments, out)


def sum_abs(x, segments, *, out):
    """As `npdl.kernels.reference.layerwise.sum_abs`."""
    _reduce("sum_abs", ABS, {"x": x}, segments, out)


def max_abs(x, segments, *, out):
    """As `npdl.kernels.reference.layerwise.max_abs`."""
    _reduce("max_abs", MAX, {"x": x}, segments, out)


def clip_norm(g, segments, hyper):
    """As `npdl.kernels.reference.layerwise.clip_norm`; the norms stay on the device."""
    check("clip_norm", {"g": g}, segments, hyper, CLIP_NORM_HYPER)
    driver = g.memory.driver
    pieces, spans, count = _plan(driver, "clip_norm", segments, len(g))
    if not count:
        return
    limit, together = hyper.tolist()
    parts, squares, factors = areas(driver, 2 * count, 2 * len(segments), len(segments))
    parts, squares = viewed(parts, "float64"), viewed(squares, "float64")
    launch(sum_pieces, count, THREADS, pieces, g, g, parts, DOT)
    launch(join_pieces, len(segments), THREADS, spans, parts, squares, DOT)
    launch(clip_scales, 1, THREADS, squares, factors, len(segments), limit, int(together))
    launch(scale_pieces, count, THREADS, pieces, factors, g, count)


def _reduce(kernel, kind, arrays, segments, out):
    check(kernel, arrays, segments, np.zeros(0), ())
    check_out(kernel, segments, out)
    x = arrays["x"]
    driver = x.memory.driver
    pieces, spans, count = _plan(driver, kernel, segments, len(x))
    out[...] = 0
    if count:
        parts, sums = (viewed(area, "float64") for area in areas(driver, 2 * count, 2 * len(segments)))
        launch(sum_pieces, count, THREADS, pieces, x, arrays.get("y"), parts, kind)
        launch(join_pieces, len(segments), THREADS, spans, parts, sums, kind)
        out[...] = driver.download(sums[0 : len(segments)])


def _plan(driver, kernel, segments, length):
    """(pieces, spans) on the device, and how many pieces there are; made once for where segments lie."""

    def make():
        pieces = cut(kernel, segments, length, PIECE)
        ends = np.searchsorted(pieces[:, 2], np.arange(len(segments) + 1))
        spans = np.stack([ends[:-1], ends[1:]], axis=1).astype(np.int64)
        return driver.filled(pieces), driver.filled(spans), len(pieces)

    return driver.kept.get(("layerwise", segments[:, [0, 1, 4]].tobytes(), length, PIECE), make)


def lamb(p, g, m, v, segments, hyper):
    """As `npdl.kernels.reference.layerwise.lamb`."""
    check("lamb", {"p": p, "g": g, "m": m, "v": v}, segments, hyper, LAMB_HYPER)
    learning_rate, beta_1, beta_2, bias_1, bias_2, epsilon, decoupled = hyper.tolist()
    driver = p.memory.driver
    pieces, spans, count = _plan(driver, "lamb", segments, len(p))
    if not count:
        return
    eta = learning_rate * segments[:, 2]
    numbers = (beta_1, 1 - beta_1, beta_2, 1 - beta_2, 1 / bias_1, 1 / math.sqrt(bias_2), epsilon)
    scalars = scalars_for(driver, segments, eta, *_decay(eta, segments[:, 3], decoupled), *numbers)
    width = scalars.shape[1]
    parts, steps = areas(driver, 4 * count, len(segments))
    parts = viewed(parts, "float64")
    launch(bodies.lamb_moments, count, THREADS, pieces, scalars, width, p, g, m, v, parts, count)
    launch(bodies.trust_ratios, len(segments), THREADS, spans, parts, count, scalars, width, steps)
    launch(bodies.lamb_update, count, THREADS, pieces, scalars, width, steps, p, m, v)


def adafactor(p, g, factors, shapes, segments, hyper):
    """As `npdl.kernels.reference.layerwise.adafactor`."""
    check("adafactor", {"p": p, "g": g}, segments, hyper, ADAFACTOR_HYPER)
    check_shapes(p, factors, shapes, segments)
    learning_rate, rho, rest, epsilon_1, epsilon_2, threshold = hyper.tolist()
    driver = p.memory.driver
    pieces, spans, count = _plan(driver, "adafactor", segments, len(p))
    if not count:
        return
    info, lines, tiles, matrices = _places(driver, shapes, segments)
    scale, decay = segments[:, 2], segments[:, 3]
    least = max(epsilon_1**2, float(np.finfo(np.float32).tiny))
    numbers = (rest, np.float32(1) - np.float32(rest), least, epsilon_1)
    sizes = (1 - learning_rate * scale * decay, rho * scale, epsilon_2, threshold)
    scalars = scalars_for(driver, segments, *numbers, *sizes)
    width = scalars.shape[1]
    parts, steps, means = areas(driver, 4 * count, len(segments), 0 if matrices is None else len(matrices))
    parts = viewed(parts, "float64")
    for one, table, outs in (
        (bodies.row_means, lines, (g, factors)),
        (bodies.column_means, tiles, (g, factors)),
        (bodies.mean_factors, matrices, (factors, means)),
    ):
        if table is not None:
            launch(one, len(table), THREADS, table, scalars, width, *outs)
    launch(bodies.factored_squares, count, THREADS, pieces, info, scalars, width, p, g, factors, means, parts, count)
    launch(bodies.factored_sizes, len(segments), THREADS, spans, parts, count, info, scalars, width, steps)
    launch(bodies.factored_update, count, THREADS, pieces, info, scalars, width, steps, p, g, factors, means)


def _places(driver, shapes, segments):
    """(info, lines, tiles, matrices) of the trainable tensors on the device, made once for their shapes and places."""

    def make():
        info, lines, tiles, matrices = [], [], [], []
        for row, ((start, stop, _, _, trainable), (count, rows, columns, at)) in enumerate(
            zip(segments.tolist(), shapes.tolist(), strict=True)
        ):
            start, stop, k = int(start), int(stop), at + count * rows
            info.append((start, stop, rows, columns, at, k, len(matrices)))
            if not trainable or start == stop:
                continue
            for matrix in range(count if rows else 1):
                first = start + matrix * rows * columns
                for column in range(0, columns, 32):
                    tiles.append((first, max(rows, 1), columns, column, k + matrix * columns, row))
                lines += ((first + i * columns, columns, at + matrix * rows + i, row) for i in range(rows))
                if rows:
                    matrices.append((at + matrix * rows, rows, row))
        tables = ((info, 7), (lines, 4), (tiles, 6), (matrices, 3))
        return [driver.filled(np.array(table, np.int64).reshape(-1, n)) if table else None for table, n in tables]

    return driver.kept.get(("adafactor", shapes.tobytes(), segments[:, [0, 1, 4]].tobytes()), make)
