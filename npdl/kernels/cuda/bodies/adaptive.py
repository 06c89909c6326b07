"""Steps over the root of squared gradients: RMSprop, Adagrad, Adadelta."""

import functools
import math

from numba import cuda


@functools.cache
def rmsprop(centered, has_velocity):
    @cuda.jit
    def kernel(pieces, scalars, p, g, v, mean, velocity):
        piece = cuda.blockIdx.x
        while piece < pieces.shape[0]:
            stop, row = pieces[piece, 1], pieces[piece, 2]
            eta, lam, keep, r, a = scalars[row, 0], scalars[row, 1], scalars[row, 2], scalars[row, 3], scalars[row, 4]
            mu, eps, zero = scalars[row, 5], scalars[row, 6], scalars[row, 7]
            i = pieces[piece, 0] + cuda.threadIdx.x
            while i < stop:
                d = g[i] + lam * p[i]
                w = r * v[i] + a * (d * d)
                v[i] = w
                if centered:
                    u = r * mean[i] + a * d
                    mean[i] = u
                    w = w - u * u
                    w = zero if w < zero else w
                d = d / (math.sqrt(w) + eps)
                if has_velocity:
                    d = mu * velocity[i] + d
                    velocity[i] = d
                p[i] = keep * p[i] - eta * d
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return kernel


@cuda.jit
def adagrad(pieces, scalars, p, g, v):
    piece = cuda.blockIdx.x
    while piece < pieces.shape[0]:
        stop, row = pieces[piece, 1], pieces[piece, 2]
        eta, lam, keep, eps = scalars[row, 0], scalars[row, 1], scalars[row, 2], scalars[row, 3]
        i = pieces[piece, 0] + cuda.threadIdx.x
        while i < stop:
            w = p[i]
            d = g[i] + lam * w
            q = v[i] + d * d
            v[i] = q
            p[i] = keep * w - eta * d / (math.sqrt(q) + eps)
            i += cuda.blockDim.x
        piece += cuda.gridDim.x


@cuda.jit
def adadelta(pieces, scalars, p, g, v, delta):
    piece = cuda.blockIdx.x
    while piece < pieces.shape[0]:
        stop, row = pieces[piece, 1], pieces[piece, 2]
        eta, lam, keep = scalars[row, 0], scalars[row, 1], scalars[row, 2]
        r, a, eps = scalars[row, 3], scalars[row, 4], scalars[row, 5]
        i = pieces[piece, 0] + cuda.threadIdx.x
        while i < stop:
            w = p[i]
            d = g[i] + lam * w
            q = r * v[i] + a * (d * d)
            x = math.sqrt((delta[i] + eps) / (q + eps)) * d
            delta[i] = r * delta[i] + a * (x * x)
            v[i] = q
            p[i] = keep * w - eta * x
            i += cuda.blockDim.x
        piece += cuda.gridDim.x
