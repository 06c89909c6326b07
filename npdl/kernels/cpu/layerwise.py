"""Sums over tensors, LAMB and Adafactor, compiled by Numba and run in blocks as in `npdl.kernels.cpu.update`.

A sum over a tensor is made of float64 sums over its pieces of at most `BLOCK` elements, each in `LANES` lanes, added in
order; element i is in lane i mod `LANES`. The bits depend on the tensor's size alone. The lanes lie in memory, so that
the loop over them is one over independent elements, which the compiler may vectorise.
"""

import math

import numpy as np

from npdl.kernels.checks import aligned
from npdl.kernels.cpu.update import _address, _execute, _plan, combine
from npdl.kernels.reference.layerwise import (
    ADAFACTOR_HYPER,
    CLIP_NORM_HYPER,
    LAMB_HYPER,
    check_shapes,
    clip_factors,
    trust,
)
from npdl.kernels.reference.update import smallest
from npdl.kernels.segments import check, check_out

LANES = 64
"""Of a sum: a power of two that fills several vector registers, and little memory."""


def dot(x, y, segments, *, out):
    """As `npdl.kernels.reference.layerwise.dot`."""
    _reduce("dot", _dot, {"x": x, "y": y}, segments, out, sum)


def sum_abs(x, segments, *, out):
    """As `npdl.kernels.reference.layerwise.sum_abs`."""
    _reduce("sum_abs", _sum_abs, {"x": x}, segments, out, sum)


def max_abs(x, segments, *, out):
    """As `npdl.kernels.reference.layerwise.max_abs`."""
    _reduce("max_abs", _max_abs, {"x": x}, segments, out, max)


def clip_norm(g, segments, hyper):
    """As `npdl.kernels.reference.layerwise.clip_norm`: the sums, and a pass over what is too long."""
    check("clip_norm", {"g": g}, segments, hyper, CLIP_NORM_HYPER)
    squares = np.zeros(len(segments))
    dot(g, g, segments, out=squares)
    factors = clip_factors(squares, *hyper)
    if (factors != 1).any():
        scaled = segments.copy()
        scaled[:, 2] = factors
        combine(g, g, scaled, np.array([0.0, 1.0]))


def _reduce(kernel, make, arrays, segments, out, join):
    check(kernel, arrays, segments, np.zeros(0), ())
    check_out(kernel, segments, out)
    tables, blocks, (_, pieces, _) = _plan_of(kernel, arrays["x"], segments)
    parts = np.zeros(len(pieces) * LANES)
    _execute(kernel, make, blocks, tables, parts, arrays)
    _per_row(pieces, parts[::LANES], out, join)


def _plan_of(kernel, array, segments):
    return _plan(kernel, array.shape, segments.tobytes(), segments.shape, segments.dtype)


def _per_row(pieces, parts, out, join):
    """out[row]: the pieces' numbers joined in their order, 0 where there are none."""
    rows = [[0.0] for _ in range(len(out))]
    for row, part in zip(pieces[:, 2].tolist(), parts.tolist()):
        rows[row].append(part)
    out[...] = [join(row) for row in rows]


def lamb(p, g, m, v, segments, hyper):
    """As `npdl.kernels.reference.layerwise.lamb`: two passes, the second one with the tensors' ratios."""
    arrays = {"p": p, "g": g, "m": m, "v": v}
    check("lamb", arrays, segments, hyper, LAMB_HYPER)
    tables, blocks, (_, pieces, _) = _plan_of("lamb", p, segments)
    numbers, rows = len(hyper), len(segments)
    parts = np.concatenate([hyper, np.zeros(2 * len(pieces) * LANES)])
    _execute("lamb", _lamb_means, blocks, tables, parts, arrays)
    squares = np.zeros((2, rows))
    _per_row(pieces, parts[numbers :: 2 * LANES], squares[0], sum)
    _per_row(pieces, parts[numbers + LANES :: 2 * LANES], squares[1], sum)
    ratios = [trust(*pair) for pair in squares.T.tolist()]
    _execute("lamb", _lamb_step, blocks, tables, np.concatenate([hyper, ratios]), arrays)


def adafactor(p, g, factors, shapes, segments, hyper):
    """As `npdl.kernels.reference.layerwise.adafactor`; a thread takes a whole tensor."""
    arrays = {"p": p, "g": g}
    check("adafactor", arrays, segments, hyper, ADAFACTOR_HYPER)
    check_shapes(p, factors, shapes, segments)
    aligned("adafactor", "factors", factors)
    _plan_of("adafactor", p, segments)  # checks that the segments lie in p
    tables = tuple(map(_address, (shapes, factors, segments)))
    numbers = np.concatenate([hyper, np.zeros(len(segments) * LANES)])
    _execute("adafactor", _adafactor, len(segments), tables, numbers, arrays)


# ---- the bodies; context as in `npdl.kernels.cpu.update`, with room for results behind the numbers in hyper


def _dot(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        lanes = carray(context[3], (blocks[block + 1], LANES), np.float64)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, _ = pieces[piece]
            x = carray(context[4], stop, real)[start:stop]
            y = carray(context[5], stop, real)[start:stop]
            lane = lanes[piece]
            for at in range(0, x.size, LANES):
                u, v = x[at : at + LANES], y[at : at + LANES]
                for i in range(u.size):
                    lane[i] += np.float64(u[i]) * np.float64(v[i])
            for i in range(1, LANES):
                lane[0] += lane[i]

    return body


def _sum_abs(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        lanes = carray(context[3], (blocks[block + 1], LANES), np.float64)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, _ = pieces[piece]
            x = carray(context[4], stop, real)[start:stop]
            lane = lanes[piece]
            for at in range(0, x.size, LANES):
                u = x[at : at + LANES]
                for i in range(u.size):
                    lane[i] += np.float64(abs(u[i]))
            for i in range(1, LANES):
                lane[0] += lane[i]

    return body


def _max_abs(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        lanes = carray(context[3], (blocks[block + 1], LANES), np.float64)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, _ = pieces[piece]
            x = carray(context[4], stop, real)[start:stop]
            lane = lanes[piece]
            for at in range(0, x.size, LANES):
                u = x[at : at + LANES]
                for i in range(u.size):
                    value = np.float64(abs(u[i]))
                    lane[i] = value if value > lane[i] else lane[i]
            for i in range(1, LANES):
                lane[0] = lane[i] if lane[i] > lane[0] else lane[0]

    return body


def _lamb_means(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        _, beta_1, beta_2, bias_1, bias_2, epsilon, decoupled = carray(context[3], 7, np.float64)
        lanes = carray(context[3], 7 + 2 * LANES * blocks[block + 1], np.float64)[7:].reshape(-1, 2, LANES)
        b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
        first, root, eps, zero = real(1 / bias_1), real(1 / math.sqrt(bias_2)), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, _, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            lam = real(0) if decoupled else real(decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            v = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                d = g[i]
                s = b1 * m[i] + a1 * d
                q = b2 * v[i] + a2 * (d * d)
                m[i] = zero if abs(s) < least else s
                v[i] = zero if q < least else q
            weights, steps = lanes[piece, 0], lanes[piece, 1]
            for at in range(0, p.size, LANES):
                w, s, q = p[at : at + LANES], m[at : at + LANES], v[at : at + LANES]
                for i in range(w.size):
                    u = np.float64(first * s[i] / (math.sqrt(q[i]) * root + eps) + lam * w[i])
                    weights[i] += np.float64(w[i]) * np.float64(w[i])
                    steps[i] += u * u
            for i in range(1, LANES):
                weights[0] += weights[i]
                steps[0] += steps[i]

    return body


def _lamb_step(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, _, _, bias_1, bias_2, epsilon, decoupled = carray(context[3], 7, np.float64)
        first, root, eps = real(1 / bias_1), real(1 / math.sqrt(bias_2)), real(epsilon)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = learning_rate * scale, real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - eta * decay)
            step = real(eta * carray(context[3], 8 + row, np.float64)[7 + row])
            p = carray(context[4], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            v = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                p[i] = keep * w - step * (first * m[i] / (math.sqrt(v[i]) * root + eps) + lam * w)

    return body


def _adafactor(real, carray):
    tiny = float(np.finfo(real).tiny)

    def body(context, block, work):
        begin, end, scale, decay, trainable = carray(context[2], (block + 1, 5), np.float64)[block]
        count, rows, columns, at = carray(context[0], (block + 1, 4), np.int64)[block]
        learning_rate, rho, rest, epsilon_1, epsilon_2, threshold = carray(context[3], 6, np.float64)
        lane = carray(context[3], 6 + (block + 1) * LANES, np.float64)[6 + block * LANES :]
        start, stop = np.int64(begin), np.int64(end)
        if trainable == 0 or start == stop:
            return
        p = carray(context[4], stop, real)[start:stop]
        g = carray(context[5], stop, real)[start:stop]
        matrices, height = (count, rows) if rows else (1, 1)
        means = carray(context[1], at + matrices * (height + columns), real)[at:] if rows else p
        k = carray(context[1], at + matrices * (height * (rows > 0) + columns), real)[at + matrices * rows :]
        c, keep, least, eps = real(rest), real(1) - real(rest), real(max(epsilon_1**2, tiny)), real(epsilon_1)
        # Row and column means of the squares, up to date; those of the columns grow with every row.
        share = c / real(height)
        for j in range(k.size):
            k[j] = keep * k[j]
        for line in range(matrices * height):
            matrix = line // height
            row = g[line * columns : (line + 1) * columns]
            column = k[matrix * columns : (matrix + 1) * columns]
            for j in range(columns):
                column[j] += share * (row[j] * row[j])
            if rows:
                lane[:] = 0
                for i in range(0, columns, LANES):
                    x = row[i : i + LANES]
                    for j in range(x.size):
                        lane[j] += np.float64(x[j]) * np.float64(x[j])
                for j in range(1, LANES):
                    lane[0] += lane[j]
                means[line] = keep * means[line] + c * real(lane[0] / columns)
        # Sizes of the weights and of the step.
        lane[:] = 0
        for i in range(0, p.size, LANES):
            x = p[i : i + LANES]
            for j in range(x.size):
                lane[j] += np.float64(x[j]) * np.float64(x[j])
        for j in range(1, LANES):
            lane[0] += lane[j]
        weights, steps, step = lane[0], 0.0, real(1)
        for turn in range(2):
            mean = real(1)
            lane[:] = 0
            for line in range(matrices * height):
                matrix, q = line // height, real(1)
                if rows:
                    if line % height == 0:
                        total = np.float64(0)
                        for j in range(line, line + height):
                            total += np.float64(means[j])
                        mean = max(real(total / height), eps)
                    q = means[line] / mean
                row = g[line * columns : (line + 1) * columns]
                column = k[matrix * columns : (matrix + 1) * columns]
                if turn == 0:
                    for i in range(0, columns, LANES):
                        x, y = row[i : i + LANES], column[i : i + LANES]
                        for j in range(x.size):
                            z = q * y[j]
                            u = np.float64(x[j] / math.sqrt(least if z < least else z))
                            lane[j] += u * u
                else:
                    w = p[line * columns : (line + 1) * columns]
                    shrink = real(1 - learning_rate * scale * decay)
                    for j in range(columns):
                        z = q * column[j]
                        w[j] = shrink * w[j] - step * (row[j] / math.sqrt(least if z < least else z))
            for j in range(1, LANES):
                lane[0] += lane[j]
            alpha = rho * scale * max(epsilon_2, math.sqrt(weights / p.size))
            steps = lane[0] if turn == 0 else steps
            step = real(alpha / max(1.0, math.sqrt(steps / p.size) / threshold))

    return body
