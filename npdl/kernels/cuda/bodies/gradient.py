"""Steps along the gradient, or by its sign: SGD, Lion, Rprop, Muon's momentum."""

from numba import cuda

from npdl.kernels.cuda.kernel import Floats, Int, Longs, kernel, variants


@variants((False, False), (True, False), (True, True))
def sgd(has_velocity, nesterov):
    @kernel
    def update(pieces: Longs, scalars: Floats, count: Int, width: Int, p: Floats, g: Floats, velocity: Floats):
        piece = cuda.blockIdx.x
        while piece < count:
            stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
            eta, lam, keep, mu = scalars[at], scalars[at + 1], scalars[at + 2], scalars[at + 3]
            i = pieces[3 * piece] + cuda.threadIdx.x
            while i < stop:
                d = g[i] + lam * p[i]
                if has_velocity:
                    u = mu * velocity[i] + d
                    velocity[i] = u
                    d = d + mu * u if nesterov else u
                p[i] = keep * p[i] - eta * d
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return update


@kernel
def lion(pieces: Longs, scalars: Floats, count: Int, width: Int, p: Floats, g: Floats, m: Floats):
    piece = cuda.blockIdx.x
    while piece < count:
        stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
        eta, keep = scalars[at], scalars[at + 1]
        b1, a1, b2, a2 = scalars[at + 2], scalars[at + 3], scalars[at + 4], scalars[at + 5]
        zero, one = scalars[at + 6], scalars[at + 7]
        i = pieces[3 * piece] + cuda.threadIdx.x
        while i < stop:
            d = g[i]
            u = b1 * m[i] + a1 * d
            u = one if u > zero else (-one if u < zero else u)
            m[i] = b2 * m[i] + a2 * d
            p[i] = keep * p[i] - eta * u
            i += cuda.blockDim.x
        piece += cuda.gridDim.x


@kernel
def rprop(pieces: Longs, scalars: Floats, count: Int, width: Int, p: Floats, g: Floats, previous: Floats, step: Floats):
    piece = cuda.blockIdx.x
    while piece < count:
        stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
        size, lam, keep = scalars[at], scalars[at + 1], scalars[at + 2]
        minus, plus, least, most = scalars[at + 3], scalars[at + 4], scalars[at + 5], scalars[at + 6]
        zero, one = scalars[at + 7], scalars[at + 8]
        i = pieces[3 * piece] + cuda.threadIdx.x
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


@variants((False,), (True,))
def muon(nesterov):
    @kernel
    def update(pieces: Longs, scalars: Floats, count: Int, width: Int, u: Floats, g: Floats, m: Floats):
        piece = cuda.blockIdx.x
        while piece < count:
            stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
            mu, rest = scalars[at], scalars[at + 1]
            i = pieces[3 * piece] + cuda.threadIdx.x
            while i < stop:
                s = mu * m[i] + rest * g[i]
                m[i] = s
                u[i] = mu * s + rest * g[i] if nesterov else s
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return update
