"""Steps along the gradient, or by its sign: SGD, Lion, Rprop, Muon's momentum."""

import functools

from numba import cuda


@functools.cache
def sgd(has_velocity, nesterov):
    @cuda.jit
    def kernel(pieces, scalars, p, g, velocity):
        piece = cuda.blockIdx.x
        while piece < pieces.shape[0]:
            stop, row = pieces[piece, 1], pieces[piece, 2]
            eta, lam, keep, mu = scalars[row, 0], scalars[row, 1], scalars[row, 2], scalars[row, 3]
            i = pieces[piece, 0] + cuda.threadIdx.x
            while i < stop:
                d = g[i] + lam * p[i]
                if has_velocity:
                    u = mu * velocity[i] + d
                    velocity[i] = u
                    d = d + mu * u if nesterov else u
                p[i] = keep * p[i] - eta * d
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return kernel


@cuda.jit
def lion(pieces, scalars, p, g, m):
    piece = cuda.blockIdx.x
    while piece < pieces.shape[0]:
        stop, row = pieces[piece, 1], pieces[piece, 2]
        eta, keep = scalars[row, 0], scalars[row, 1]
        b1, a1, b2, a2 = scalars[row, 2], scalars[row, 3], scalars[row, 4], scalars[row, 5]
        zero, one = scalars[row, 6], scalars[row, 7]
        i = pieces[piece, 0] + cuda.threadIdx.x
        while i < stop:
            d = g[i]
            u = b1 * m[i] + a1 * d
            u = one if u > zero else (-one if u < zero else u)
            m[i] = b2 * m[i] + a2 * d
            p[i] = keep * p[i] - eta * u
            i += cuda.blockDim.x
        piece += cuda.gridDim.x


@cuda.jit
def rprop(pieces, scalars, p, g, previous, step):
    piece = cuda.blockIdx.x
    while piece < pieces.shape[0]:
        stop, row = pieces[piece, 1], pieces[piece, 2]
        size, lam, keep = scalars[row, 0], scalars[row, 1], scalars[row, 2]
        minus, plus, least, most = scalars[row, 3], scalars[row, 4], scalars[row, 5], scalars[row, 6]
        zero, one = scalars[row, 7], scalars[row, 8]
        i = pieces[piece, 0] + cuda.threadIdx.x
        while i < stop:
            w = p[i]
            d = g[i] + lam * w
            s = d * previous[i]
            q = step[i] * (plus if s > zero else (minus if s < zero else one))
            q = least if q < least else q
            q = most if q > most else q
            d = zero if s < zero else d
            previous[i], step[i] = d, q
            p[i] = keep * w - size * q * (one if d > zero else (-one if d < zero else d))
            i += cuda.blockDim.x
        piece += cuda.gridDim.x


@functools.cache
def muon(nesterov):
    @cuda.jit
    def kernel(pieces, scalars, u, g, m):
        piece = cuda.blockIdx.x
        while piece < pieces.shape[0]:
            stop, row = pieces[piece, 1], pieces[piece, 2]
            mu, rest = scalars[row, 0], scalars[row, 1]
            i = pieces[piece, 0] + cuda.threadIdx.x
            while i < stop:
                s = mu * m[i] + rest * g[i]
                m[i] = s
                u[i] = mu * s + rest * g[i] if nesterov else s
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return kernel
