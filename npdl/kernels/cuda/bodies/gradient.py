"""Steps along the gradient, or by its sign: SGD, Lion, Rprop, Muon's momentum."""

from numba import cuda, float32

from npdl.kernels.cuda.kernel import Floats, Int, Longs, Shorts, kernel, variants
from npdl.kernels.cuda.rounding import HALVES, store_narrow
from npdl.kernels.cuda.wide import load, store


@variants(*((*how, kind) for how in ((False, False), (True, False), (True, True)) for kind in (None, *HALVES)))
def sgd(has_velocity, nesterov, kind):
    """`kind` is the type of the 16-bit copy of p that is written too, or None."""
    narrows, half = kind is not None, HALVES.get(kind, 0)

    @kernel
    def update(
        pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, velocity: Floats, copy: Shorts
    ):
        w = cuda.local.array(4, float32)
        d = cuda.local.array(4, float32)
        u = cuda.local.array(4, float32)
        piece = 3 * cuda.blockIdx.x
        start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
        eta, lam, keep, mu = scalars[at], scalars[at + 1], scalars[at + 2], scalars[at + 3]
        fours = wide != 0 and start % 4 == 0
        i = start + 4 * cuda.threadIdx.x
        while i < stop:
            load(p, i, stop, fours, w)
            load(g, i, stop, fours, d)
            if has_velocity:
                load(velocity, i, stop, fours, u)
            for k in range(4):
                d[k] += lam * w[k]
                if has_velocity:
                    u[k] = mu * u[k] + d[k]
                    d[k] = d[k] + mu * u[k] if nesterov else u[k]
                w[k] = keep * w[k] - eta * d[k]
            if has_velocity:
                store(velocity, i, stop, fours, u)
            store(p, i, stop, fours, w)
            if narrows:
                store_narrow(copy, i, stop, half, w)
            i += 4 * cuda.blockDim.x

    return update


@kernel
def lion(pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, m: Floats):
    w = cuda.local.array(4, float32)
    d = cuda.local.array(4, float32)
    s = cuda.local.array(4, float32)
    piece = 3 * cuda.blockIdx.x
    start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
    eta, keep = scalars[at], scalars[at + 1]
    b1, a1, b2, a2 = scalars[at + 2], scalars[at + 3], scalars[at + 4], scalars[at + 5]
    zero, one = scalars[at + 6], scalars[at + 7]
    fours = wide != 0 and start % 4 == 0
    i = start + 4 * cuda.threadIdx.x
    while i < stop:
        load(p, i, stop, fours, w)
        load(g, i, stop, fours, d)
        load(m, i, stop, fours, s)
        for k in range(4):
            u = b1 * s[k] + a1 * d[k]
            u = one if u > zero else (-one if u < zero else u)
            s[k] = b2 * s[k] + a2 * d[k]
            w[k] = keep * w[k] - eta * u
        store(m, i, stop, fours, s)
        store(p, i, stop, fours, w)
        i += 4 * cuda.blockDim.x


@kernel
def rprop(
    pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, previous: Floats, step: Floats
):  # fmt: skip
    w = cuda.local.array(4, float32)
    d = cuda.local.array(4, float32)
    s = cuda.local.array(4, float32)
    q = cuda.local.array(4, float32)
    piece = 3 * cuda.blockIdx.x
    start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
    size, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2]
    minus, plus, least, most = scalars[at + 3], scalars[at + 4], scalars[at + 5], scalars[at + 6]
    zero, one = scalars[at + 7], scalars[at + 8]
    fours = wide != 0 and start % 4 == 0
    i = start + 4 * cuda.threadIdx.x
    while i < stop:
        load(p, i, stop, fours, w)
        load(g, i, stop, fours, d)
        load(previous, i, stop, fours, s)
        load(step, i, stop, fours, q)
        for k in range(4):
            d[k] += lam * w[k]
            same = d[k] * s[k]
            q[k] *= plus if same > zero else (minus if same < zero else one)
            q[k] = least if q[k] < least else q[k]
            q[k] = most if q[k] > most else q[k]
            d[k] = zero if same < zero else d[k]
            w[k] = keep * w[k] - size * q[k] * (one if d[k] > zero else (-one if d[k] < zero else d[k]))
        store(previous, i, stop, fours, d)
        store(step, i, stop, fours, q)
        store(p, i, stop, fours, w)
        i += 4 * cuda.blockDim.x


@variants((False,), (True,))
def muon(nesterov):
    @kernel
    def update(pieces: Longs, scalars: Floats, width: Int, wide: Int, u: Floats, g: Floats, m: Floats):
        d = cuda.local.array(4, float32)
        s = cuda.local.array(4, float32)
        piece = 3 * cuda.blockIdx.x
        start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
        mu, rest = scalars[at], scalars[at + 1]
        fours = wide != 0 and start % 4 == 0
        i = start + 4 * cuda.threadIdx.x
        while i < stop:
            load(g, i, stop, fours, d)
            load(m, i, stop, fours, s)
            for k in range(4):
                s[k] = mu * s[k] + rest * d[k]
                d[k] = mu * s[k] + rest * d[k] if nesterov else s[k]
            store(m, i, stop, fours, s)
            store(u, i, stop, fours, d)
            i += 4 * cuda.blockDim.x

    return update
