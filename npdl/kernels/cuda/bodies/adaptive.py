"""Steps over the root of squared gradients: RMSprop, Adagrad, Adadelta, FTRL."""

import math

from numba import cuda, float32

from npdl.kernels.cuda.kernel import Floats, Int, Longs, kernel, variants
from npdl.kernels.cuda.wide import load, store


@variants((False, False), (True, True))
def rmsprop(centered, has_velocity):
    @kernel
    def update(
        pieces: Longs, scalars: Floats, width: Int, wide: Int,
        p: Floats, g: Floats, v: Floats, mean: Floats, velocity: Floats,
    ):  # fmt: skip
        w = cuda.local.array(4, float32)
        d = cuda.local.array(4, float32)
        q = cuda.local.array(4, float32)
        u = cuda.local.array(4, float32)
        z = cuda.local.array(4, float32)
        piece = 3 * cuda.blockIdx.x
        start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
        eta, lam, keep, r, a = scalars[at], scalars[at + 1], scalars[at + 2], scalars[at + 3], scalars[at + 4]
        mu, eps, zero = scalars[at + 5], scalars[at + 6], scalars[at + 7]
        fours = wide != 0 and start % 4 == 0
        i = start + 4 * cuda.threadIdx.x
        while i < stop:
            load(p, i, stop, fours, w)
            load(g, i, stop, fours, d)
            load(v, i, stop, fours, q)
            if centered:
                load(mean, i, stop, fours, u)
            if has_velocity:
                load(velocity, i, stop, fours, z)
            for k in range(4):
                d[k] += lam * w[k]
                q[k] = r * q[k] + a * (d[k] * d[k])
                size = q[k]
                if centered:
                    u[k] = r * u[k] + a * d[k]
                    size -= u[k] * u[k]
                    size = zero if size < zero else size
                d[k] /= math.sqrt(size) + eps
                if has_velocity:
                    z[k] = mu * z[k] + d[k]
                    d[k] = z[k]
                w[k] = keep * w[k] - eta * d[k]
            if centered:
                store(mean, i, stop, fours, u)
            if has_velocity:
                store(velocity, i, stop, fours, z)
            store(v, i, stop, fours, q)
            store(p, i, stop, fours, w)
            i += 4 * cuda.blockDim.x

    return update


@kernel
def adagrad(pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, v: Floats):
    w = cuda.local.array(4, float32)
    d = cuda.local.array(4, float32)
    q = cuda.local.array(4, float32)
    piece = 3 * cuda.blockIdx.x
    start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
    eta, lam, keep, eps = scalars[at], scalars[at + 1], scalars[at + 2], scalars[at + 3]
    fours = wide != 0 and start % 4 == 0
    i = start + 4 * cuda.threadIdx.x
    while i < stop:
        load(p, i, stop, fours, w)
        load(g, i, stop, fours, d)
        load(v, i, stop, fours, q)
        for k in range(4):
            d[k] += lam * w[k]
            q[k] += d[k] * d[k]
            w[k] = keep * w[k] - eta * d[k] / (math.sqrt(q[k]) + eps)
        store(v, i, stop, fours, q)
        store(p, i, stop, fours, w)
        i += 4 * cuda.blockDim.x


@kernel
def adadelta(pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, v: Floats, delta: Floats):
    w = cuda.local.array(4, float32)
    d = cuda.local.array(4, float32)
    q = cuda.local.array(4, float32)
    u = cuda.local.array(4, float32)
    piece = 3 * cuda.blockIdx.x
    start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
    eta, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2]
    r, a, eps = scalars[at + 3], scalars[at + 4], scalars[at + 5]
    fours = wide != 0 and start % 4 == 0
    i = start + 4 * cuda.threadIdx.x
    while i < stop:
        load(p, i, stop, fours, w)
        load(g, i, stop, fours, d)
        load(v, i, stop, fours, q)
        load(delta, i, stop, fours, u)
        for k in range(4):
            d[k] += lam * w[k]
            q[k] = r * q[k] + a * (d[k] * d[k])
            x = math.sqrt((u[k] + eps) / (q[k] + eps)) * d[k]
            u[k] = r * u[k] + a * (x * x)
            w[k] = keep * w[k] - eta * x
        store(delta, i, stop, fours, u)
        store(v, i, stop, fours, q)
        store(p, i, stop, fours, w)
        i += 4 * cuda.blockDim.x


@kernel
def ftrl(
    pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats, accumulator: Floats, linear: Floats
):
    w = cuda.local.array(4, float32)
    d = cuda.local.array(4, float32)
    q = cuda.local.array(4, float32)
    z = cuda.local.array(4, float32)
    piece = 3 * cuda.blockIdx.x
    start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
    eta, lam, keep, more = scalars[at], scalars[at + 1], scalars[at + 2], scalars[at + 3]
    power, half, l1, twice, zero = (
        scalars[at + 4], scalars[at + 5], scalars[at + 6], scalars[at + 7], scalars[at + 8],
    )  # fmt: skip
    fours = wide != 0 and start % 4 == 0
    i = start + 4 * cuda.threadIdx.x
    while i < stop and eta != zero:
        load(p, i, stop, fours, w)
        load(g, i, stop, fours, d)
        load(accumulator, i, stop, fours, q)
        load(linear, i, stop, fours, z)
        for k in range(4):
            d[k] += lam * w[k]
            w[k] *= keep
            before = math.sqrt(q[k]) if half != zero else math.pow(q[k], power)
            q[k] += d[k] * d[k]
            after = math.sqrt(q[k]) if half != zero else math.pow(q[k], power)
            z[k] += (d[k] + twice * w[k]) - (after - before) / eta * w[k]
            bottom = after / eta + more
            c = z[k] if z[k] < l1 else l1
            c = c if c > -l1 else -l1
            c = z[k] if z[k] != z[k] else c
            if bottom != zero:
                w[k] = (c - z[k]) / bottom
        store(accumulator, i, stop, fours, q)
        store(linear, i, stop, fours, z)
        store(p, i, stop, fours, w)
        i += 4 * cuda.blockDim.x
