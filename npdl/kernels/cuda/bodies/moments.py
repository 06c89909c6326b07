"""Adam and those made from it: Adam, AdamW, Adamax, Nadam."""

import functools
import math

from numba import cuda


@functools.cache
def adam(amsgrad):
    @cuda.jit
    def kernel(pieces, scalars, p, g, m, v, v_max):
        piece = cuda.blockIdx.x
        while piece < pieces.shape[0]:
            stop, row = pieces[piece, 1], pieces[piece, 2]
            step, lam, keep = scalars[row, 0], scalars[row, 1], scalars[row, 2]
            b1, a1, b2, a2 = scalars[row, 3], scalars[row, 4], scalars[row, 5], scalars[row, 6]
            root, eps = scalars[row, 7], scalars[row, 8]
            i = pieces[piece, 0] + cuda.threadIdx.x
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

    return kernel


@cuda.jit
def adamax(pieces, scalars, p, g, m, u):
    piece = cuda.blockIdx.x
    while piece < pieces.shape[0]:
        stop, row = pieces[piece, 1], pieces[piece, 2]
        step, lam, keep = scalars[row, 0], scalars[row, 1], scalars[row, 2]
        b1, a1, b2, eps = scalars[row, 3], scalars[row, 4], scalars[row, 5], scalars[row, 6]
        i = pieces[piece, 0] + cuda.threadIdx.x
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


@cuda.jit
def nadam(pieces, scalars, p, g, m, v):
    piece = cuda.blockIdx.x
    while piece < pieces.shape[0]:
        stop, row = pieces[piece, 1], pieces[piece, 2]
        along, ahead, lam, keep = scalars[row, 0], scalars[row, 1], scalars[row, 2], scalars[row, 3]
        b1, a1, b2, a2 = scalars[row, 4], scalars[row, 5], scalars[row, 6], scalars[row, 7]
        root, eps = scalars[row, 8], scalars[row, 9]
        i = pieces[piece, 0] + cuda.threadIdx.x
        while i < stop:
            w = p[i]
            d = g[i] + lam * w
            s = b1 * m[i] + a1 * d
            q = b2 * v[i] + a2 * (d * d)
            m[i], v[i] = s, q
            p[i] = keep * w - (along * d + ahead * s) / (math.sqrt(q) * root + eps)
            i += cuda.blockDim.x
        piece += cuda.gridDim.x
