"""Adam and those made from it: Adam, AdamW, Adamax, Nadam."""

import math

from numba import cuda, float32

from npdl.kernels.cuda.kernel import Floats, Int, Longs, Shorts, kernel, variants
from npdl.kernels.cuda.rounding import HALVES, store_narrow
from npdl.kernels.cuda.wide import load, store


@variants(*((amsgrad, kind) for amsgrad in (False, True) for kind in (None, *HALVES)))
def adam(amsgrad, kind):
    """`kind` is the type of the 16-bit copy of p that is written too, or None."""
    narrows, half = kind is not None, HALVES.get(kind, 0)

    @kernel
    def update(
        pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, m: Floats, v: Floats,
        v_max: Floats, copy: Shorts,
    ):  # fmt: skip
        w = cuda.local.array(4, float32)
        d = cuda.local.array(4, float32)
        s = cuda.local.array(4, float32)
        q = cuda.local.array(4, float32)
        top = cuda.local.array(4, float32)
        piece = 3 * cuda.blockIdx.x
        start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
        step, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2]
        b1, a1, b2, a2 = scalars[at + 3], scalars[at + 4], scalars[at + 5], scalars[at + 6]
        root, eps = scalars[at + 7], scalars[at + 8]
        fours = wide != 0 and start % 4 == 0
        i = start + 4 * cuda.threadIdx.x
        while i < stop:
            load(p, i, stop, fours, w)
            load(g, i, stop, fours, d)
            load(m, i, stop, fours, s)
            load(v, i, stop, fours, q)
            if amsgrad:
                load(v_max, i, stop, fours, top)
            for k in range(4):
                d[k] += lam * w[k]
                s[k] = b1 * s[k] + a1 * d[k]
                q[k] = b2 * q[k] + a2 * (d[k] * d[k])
                top[k] = top[k] if amsgrad and not q[k] > top[k] else q[k]
                w[k] = keep * w[k] - step * s[k] / (math.sqrt(top[k]) * root + eps)
            if amsgrad:
                store(v_max, i, stop, fours, top)
            store(m, i, stop, fours, s)
            store(v, i, stop, fours, q)
            store(p, i, stop, fours, w)
            if narrows:
                store_narrow(copy, i, stop, half, w)
            i += 4 * cuda.blockDim.x

    return update


@kernel
def adamax(pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, m: Floats, u: Floats):
    w = cuda.local.array(4, float32)
    d = cuda.local.array(4, float32)
    s = cuda.local.array(4, float32)
    q = cuda.local.array(4, float32)
    piece = 3 * cuda.blockIdx.x
    start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
    step, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2]
    b1, a1, b2, eps = scalars[at + 3], scalars[at + 4], scalars[at + 5], scalars[at + 6]
    fours = wide != 0 and start % 4 == 0
    i = start + 4 * cuda.threadIdx.x
    while i < stop:
        load(p, i, stop, fours, w)
        load(g, i, stop, fours, d)
        load(m, i, stop, fours, s)
        load(u, i, stop, fours, q)
        for k in range(4):
            d[k] += lam * w[k]
            s[k] = b1 * s[k] + a1 * d[k]
            size, before = abs(d[k]) + eps, b2 * q[k]
            q[k] = before if before > size else size
            w[k] = keep * w[k] - step * s[k] / q[k]
        store(m, i, stop, fours, s)
        store(u, i, stop, fours, q)
        store(p, i, stop, fours, w)
        i += 4 * cuda.blockDim.x


@kernel
def nadam(pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, m: Floats, v: Floats):
    w = cuda.local.array(4, float32)
    d = cuda.local.array(4, float32)
    s = cuda.local.array(4, float32)
    q = cuda.local.array(4, float32)
    piece = 3 * cuda.blockIdx.x
    start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
    along, ahead, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2], scalars[at + 3]
    b1, a1, b2, a2 = scalars[at + 4], scalars[at + 5], scalars[at + 6], scalars[at + 7]
    root, eps = scalars[at + 8], scalars[at + 9]
    fours = wide != 0 and start % 4 == 0
    i = start + 4 * cuda.threadIdx.x
    while i < stop:
        load(p, i, stop, fours, w)
        load(g, i, stop, fours, d)
        load(m, i, stop, fours, s)
        load(v, i, stop, fours, q)
        for k in range(4):
            d[k] += lam * w[k]
            s[k] = b1 * s[k] + a1 * d[k]
            q[k] = b2 * q[k] + a2 * (d[k] * d[k])
            w[k] = keep * w[k] - (along * d[k] + ahead * s[k]) / (math.sqrt(q[k]) * root + eps)
        store(m, i, stop, fours, s)
        store(v, i, stop, fours, q)
        store(p, i, stop, fours, w)
        i += 4 * cuda.blockDim.x


@kernel
def schedule_free(
    pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, momentum: Floats, velocity: Floats
):
    w = cuda.local.array(4, float32)
    d = cuda.local.array(4, float32)
    z = cuda.local.array(4, float32)
    q = cuda.local.array(4, float32)
    piece = 3 * cuda.blockIdx.x
    start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
    step, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2]
    b2, a2, root, eps = scalars[at + 3], scalars[at + 4], scalars[at + 5], scalars[at + 6]
    rest, toward = scalars[at + 7], scalars[at + 8]
    fours = wide != 0 and start % 4 == 0
    i = start + 4 * cuda.threadIdx.x
    while i < stop:
        load(p, i, stop, fours, w)
        load(g, i, stop, fours, d)
        load(momentum, i, stop, fours, z)
        load(velocity, i, stop, fours, q)
        for k in range(4):
            d[k] += lam * w[k]
            q[k] = b2 * q[k] + a2 * (d[k] * d[k])
            before = z[k]
            z[k] -= step * d[k] / (math.sqrt(q[k]) * root + eps)
            w[k] = z[k] + rest * (toward * (before - z[k]) + (keep * w[k] - before))
        store(velocity, i, stop, fours, q)
        store(momentum, i, stop, fours, z)
        store(p, i, stop, fours, w)
        i += 4 * cuda.blockDim.x
