"""Steps over the root of squared gradients: RMSprop, Adagrad, Adadelta."""

import math

from numba import cuda

from npdl.kernels.cuda.kernel import Floats, Int, Longs, kernel, variants


@variants((False, False), (True, True))
def rmsprop(centered, has_velocity):
    @kernel
    def update(
        pieces: Longs,
        scalars: Floats,
        count: Int,
        width: Int,
        p: Floats,
        g: Floats,
        v: Floats,
        mean: Floats,
        velocity: Floats,
    ):
        piece = cuda.blockIdx.x
        while piece < count:
            stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
            eta, lam, keep, r, a = scalars[at], scalars[at + 1], scalars[at + 2], scalars[at + 3], scalars[at + 4]
            mu, eps, zero = scalars[at + 5], scalars[at + 6], scalars[at + 7]
            i = pieces[3 * piece] + cuda.threadIdx.x
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

    return update


@kernel
def adagrad(pieces: Longs, scalars: Floats, count: Int, width: Int, p: Floats, g: Floats, v: Floats):
    piece = cuda.blockIdx.x
    while piece < count:
        stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
        eta, lam, keep, eps = scalars[at], scalars[at + 1], scalars[at + 2], scalars[at + 3]
        i = pieces[3 * piece] + cuda.threadIdx.x
        while i < stop:
            w = p[i]
            d = g[i] + lam * w
            q = v[i] + d * d
            v[i] = q
            p[i] = keep * w - eta * d / (math.sqrt(q) + eps)
            i += cuda.blockDim.x
        piece += cuda.gridDim.x


@kernel
def adadelta(pieces: Longs, scalars: Floats, count: Int, width: Int, p: Floats, g: Floats, v: Floats, delta: Floats):
    piece = cuda.blockIdx.x
    while piece < count:
        stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
        eta, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2]
        r, a, eps = scalars[at + 3], scalars[at + 4], scalars[at + 5]
        i = pieces[3 * piece] + cuda.threadIdx.x
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
