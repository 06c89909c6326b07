"""Fused updates as numba.cuda kernels: one launch for all weights of a model. Importing this file imports Numba.

The formulas are the reference's, in the same order of operations; the GPU's compiler may fuse a multiplication with the
addition after it, so that results differ from the CPU's in the last bits. p, g, m, v ... are `numba.cuda` device
arrays; `segments` and `hyper` are NumPy arrays on the host, as everywhere.

A thread block takes one piece (start, stop, row of `segments`) of at most `PIECE` elements after another, so that all
its threads work on one tensor. `scalars` holds what the update needs of each segment. It is computed in float64 on the
host and rounded to the arrays' dtype, for a GPU is slow in float64; so a kernel's body serves both dtypes and has no
literal of its own. Pieces and scalars stay in device memory from step to step; only the scalars are written anew.
"""

import functools
import math

import numpy as np
from numba import cuda

from npdl.kernels.reference.update import ADAM_HYPER, RMSPROP_HYPER, SGD_HYPER
from npdl.kernels.segments import COLUMNS, check, cut

PIECE = 4096
"""Elements a thread block takes at a time."""

THREADS = 256
"""Threads a block."""

GRID = (128, 4096)
"""Least and most thread blocks a launch; Numba warns below 128, and a block without a piece ends at once."""


def sgd(p, g, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.sgd`."""
    arrays = {"p": p, "g": g, "velocity": velocity}
    check("sgd", arrays, segments, hyper, SGD_HYPER)
    learning_rate, momentum, nesterov = hyper
    eta, lam = learning_rate * segments[:, 2], segments[:, 3]
    _launch("sgd", _sgd(velocity is not None, nesterov != 0), arrays, segments, eta, lam, momentum)


def adam(p, g, m, v, segments, hyper):
    """As `npdl.kernels.reference.update.adam`."""
    _adams("adam", {"p": p, "g": g, "m": m, "v": v}, segments, hyper, decoupled=False)


def adamw(p, g, m, v, segments, hyper):
    """As `npdl.kernels.reference.update.adamw`."""
    _adams("adamw", {"p": p, "g": g, "m": m, "v": v}, segments, hyper, decoupled=True)


def _adams(name, arrays, segments, hyper, decoupled):
    check(name, arrays, segments, hyper, ADAM_HYPER)
    learning_rate, beta_1, beta_2, bias_1, bias_2, epsilon = hyper
    eta, decay = learning_rate * segments[:, 2], segments[:, 3]
    lam, keep = (0, 1 - eta * decay) if decoupled else (decay, 1)
    betas = beta_1, 1 - beta_1, beta_2, 1 - beta_2
    _launch(name, _adam, arrays, segments, eta / bias_1, lam, keep, *betas, 1 / math.sqrt(bias_2), epsilon)


def rmsprop(p, g, v, mean, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.rmsprop`."""
    arrays = {"p": p, "g": g, "v": v, "mean": mean, "velocity": velocity}
    check("rmsprop", arrays, segments, hyper, RMSPROP_HYPER)
    learning_rate, rho, momentum, epsilon = hyper
    eta, lam = learning_rate * segments[:, 2], segments[:, 3]
    kernel = _rmsprop(mean is not None, velocity is not None)
    _launch("rmsprop", kernel, arrays, segments, eta, lam, rho, 1 - rho, momentum, epsilon, 0)


# ---- the kernels: (pieces, scalars, arrays ...)


@functools.cache
def _sgd(has_velocity, nesterov):
    @cuda.jit
    def kernel(pieces, scalars, p, g, velocity):
        piece = cuda.blockIdx.x
        while piece < pieces.shape[0]:
            stop, row = pieces[piece, 1], pieces[piece, 2]
            eta, lam, mu = scalars[row, 0], scalars[row, 1], scalars[row, 2]
            i = pieces[piece, 0] + cuda.threadIdx.x
            while i < stop:
                d = g[i] + lam * p[i]
                if has_velocity:
                    u = mu * velocity[i] + d
                    velocity[i] = u
                    d = d + mu * u if nesterov else u
                p[i] = p[i] - eta * d
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return kernel


@cuda.jit
def _adam(pieces, scalars, p, g, m, v):
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
            p[i] = keep * w - step * s / (math.sqrt(q) * root + eps)
            i += cuda.blockDim.x
        piece += cuda.gridDim.x


@functools.cache
def _rmsprop(centered, has_velocity):
    @cuda.jit
    def kernel(pieces, scalars, p, g, v, mean, velocity):
        piece = cuda.blockIdx.x
        while piece < pieces.shape[0]:
            stop, row = pieces[piece, 1], pieces[piece, 2]
            eta, lam, r, a = scalars[row, 0], scalars[row, 1], scalars[row, 2], scalars[row, 3]
            mu, eps, zero = scalars[row, 4], scalars[row, 5], scalars[row, 6]
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
                p[i] = p[i] - eta * d
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return kernel


# ---- launching


@functools.lru_cache(64)
def _plan(name, table, length, dtype, columns):
    """(pieces, room for the scalars) in device memory, for `segments` given as bytes."""
    segments = np.frombuffer(table).reshape(-1, len(COLUMNS))
    pieces = cut(name, segments, length, PIECE)
    return cuda.to_device(pieces), cuda.device_array((len(segments), columns), dtype)


def _launch(name, kernel, arrays, segments, *columns):
    """Write the scalars, one row a segment, and start the kernel."""
    p = arrays["p"]
    if len(segments) == 0 or p.shape[0] == 0:
        return
    table = np.empty((len(segments), len(columns)), p.dtype)
    for place, column in enumerate(columns):
        table[:, place] = column
    pieces, scalars = _plan(name, segments.tobytes(), p.shape[0], p.dtype, len(columns))
    scalars.copy_to_device(table)
    blocks = min(max(pieces.shape[0], GRID[0]), GRID[1])
    kernel[blocks, THREADS](pieces, scalars, *(p if a is None else a for a in arrays.values()))  # p: an array not read
