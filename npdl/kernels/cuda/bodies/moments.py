"""Adam and those made from it: Adam, AdamW, Adamax, Nadam."""

import math

from numba import cuda

from npdl.kernels.cuda.kernel import Floats, Int, Longs, kernel, variants


@variants((False,), (True,))
def adam(amsgrad):
    @kernel
    def update(
        pieces: Longs,
        scalars: Floats,
        count: Int,
        width: Int,
        p: Floats,
        g: Floats,
        m: Floats,
        v: Floats,
        v_max: Floats,
    ):
        piece = cuda.blockIdx.x
        while piece < count:
            stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
            step, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2]
            b1, a1, b2, a2 = scalars[at + 3], scalars[at + 4], scalars[at + 5], scalars[at + 6]
            root, eps = scalars[at + 7], scalars[at + 8]
            i = pieces[3 * piece] + cuda.threadIdx.x
            while i < stop:
                w = p[i]
                d = g[i] + lam * w
                s = b1 * m[i] + a1 * d
                q = b2 * v[i] + a2 * (d * d)
                m[i], v[i] = s, q
                if amsgrad:
                    q = q if q > v_max[i] else v_max[i]
                    v_max[i] = q
                p[i] = keep * w - step * s / (math.sqrt(q) * root + eps)
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return update


@kernel
def adamax(pieces: Longs, scalars: Floats, count: Int, width: Int, p: Floats, g: Floats, m: Floats, u: Floats):
    piece = cuda.blockIdx.x
    while piece < count:
        stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
        step, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2]
        b1, a1, b2, eps = scalars[at + 3], scalars[at + 4], scalars[at + 5], scalars[at + 6]
        i = pieces[3 * piece] + cuda.threadIdx.x
        while i < stop:
            w = p[i]
            d = g[i] + lam * w
            s = b1 * m[i] + a1 * d
            q, d = b2 * u[i], abs(d) + eps
            q = q if q > d else d
            m[i], u[i] = s, q
            p[i] = keep * w - step * s / q
            i += cuda.blockDim.x
        piece += cuda.gridDim.x


@kernel
def nadam(pieces: Longs, scalars: Floats, count: Int, width: Int, p: Floats, g: Floats, m: Floats, v: Floats):
    piece = cuda.blockIdx.x
    while piece < count:
        stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
        along, ahead, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2], scalars[at + 3]
        b1, a1, b2, a2 = scalars[at + 4], scalars[at + 5], scalars[at + 6], scalars[at + 7]
        root, eps = scalars[at + 8], scalars[at + 9]
        i = pieces[3 * piece] + cuda.threadIdx.x
        while i < stop:
            w = p[i]
            d = g[i] + lam * w
            s = b1 * m[i] + a1 * d
            q = b2 * v[i] + a2 * (d * d)
            m[i], v[i] = s, q
            p[i] = keep * w - (along * d + ahead * s) / (math.sqrt(q) * root + eps)
            i += cuda.blockDim.x
        piece += cuda.gridDim.x
