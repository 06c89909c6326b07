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

from npdl.kernels.reference.update import (
    ADADELTA_HYPER,
    ADAGRAD_HYPER,
    ADAM_HYPER,
    ADAMAX_HYPER,
    CLIP_HYPER,
    COMBINE_HYPER,
    LION_HYPER,
    MUON_HYPER,
    NADAM_HYPER,
    RMSPROP_HYPER,
    RPROP_HYPER,
    SGD_HYPER,
)
from npdl.kernels.segments import COLUMNS, check, cut

PIECE = 4096
"""Elements a thread block takes at a time."""

THREADS = 256
"""Threads a block."""

GRID = (128, 4096)
"""Least and most thread blocks a launch; Numba warns below 128, and a block without a piece ends at once."""


def _decay(eta, decay, decoupled):
    """(λ, keep) of each segment"""
    return (0, 1 - eta * decay) if decoupled else (decay, 1)


def sgd(p, g, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.sgd`."""
    arrays = {"p": p, "g": g, "velocity": velocity}
    check("sgd", arrays, segments, hyper, SGD_HYPER)
    learning_rate, momentum, nesterov, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    _launch("sgd", _sgd(velocity is not None, nesterov != 0), arrays, segments, eta, lam, keep, momentum)


def adam(p, g, m, v, segments, hyper, v_max=None):
    """As `npdl.kernels.reference.update.adam`."""
    _adams("adam", {"p": p, "g": g, "m": m, "v": v, "v_max": v_max}, segments, hyper, decoupled=False)


def adamw(p, g, m, v, segments, hyper, v_max=None):
    """As `npdl.kernels.reference.update.adamw`."""
    _adams("adamw", {"p": p, "g": g, "m": m, "v": v, "v_max": v_max}, segments, hyper, decoupled=True)


def _adams(name, arrays, segments, hyper, decoupled):
    check(name, arrays, segments, hyper, ADAM_HYPER)
    learning_rate, beta_1, beta_2, bias_1, bias_2, epsilon = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    betas, kernel = (beta_1, 1 - beta_1, beta_2, 1 - beta_2), _adam(arrays["v_max"] is not None)
    _launch(name, kernel, arrays, segments, eta / bias_1, lam, keep, *betas, 1 / math.sqrt(bias_2), epsilon)


def rmsprop(p, g, v, mean, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.rmsprop`."""
    arrays = {"p": p, "g": g, "v": v, "mean": mean, "velocity": velocity}
    check("rmsprop", arrays, segments, hyper, RMSPROP_HYPER)
    learning_rate, rho, momentum, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    kernel = _rmsprop(mean is not None, velocity is not None)
    _launch("rmsprop", kernel, arrays, segments, eta, lam, keep, rho, 1 - rho, momentum, epsilon, 0)


def adamax(p, g, m, u, segments, hyper):
    """As `npdl.kernels.reference.update.adamax`."""
    arrays = {"p": p, "g": g, "m": m, "u": u}
    check("adamax", arrays, segments, hyper, ADAMAX_HYPER)
    learning_rate, beta_1, beta_2, bias_1, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    _launch("adamax", _adamax, arrays, segments, eta / bias_1, lam, keep, beta_1, 1 - beta_1, beta_2, epsilon)


def nadam(p, g, m, v, segments, hyper):
    """As `npdl.kernels.reference.update.nadam`."""
    arrays = {"p": p, "g": g, "m": m, "v": v}
    check("nadam", arrays, segments, hyper, NADAM_HYPER)
    learning_rate, beta_1, beta_2, gradient, mean, bias_2, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    numbers = (beta_1, 1 - beta_1, beta_2, 1 - beta_2, 1 / math.sqrt(bias_2), epsilon)
    _launch("nadam", _nadam, arrays, segments, eta * gradient, eta * mean, lam, keep, *numbers)


def lion(p, g, m, segments, hyper):
    """As `npdl.kernels.reference.update.lion`."""
    arrays = {"p": p, "g": g, "m": m}
    check("lion", arrays, segments, hyper, LION_HYPER)
    learning_rate, beta_1, beta_2 = hyper
    eta = learning_rate * segments[:, 2]
    keep, betas = 1 - eta * segments[:, 3], (beta_1, 1 - beta_1, beta_2, 1 - beta_2)
    _launch("lion", _lion, arrays, segments, eta, keep, *betas, 0, 1)


def adagrad(p, g, v, segments, hyper):
    """As `npdl.kernels.reference.update.adagrad`."""
    arrays = {"p": p, "g": g, "v": v}
    check("adagrad", arrays, segments, hyper, ADAGRAD_HYPER)
    learning_rate, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    _launch("adagrad", _adagrad, arrays, segments, eta, lam, keep, epsilon)


def adadelta(p, g, v, delta, segments, hyper):
    """As `npdl.kernels.reference.update.adadelta`."""
    arrays = {"p": p, "g": g, "v": v, "delta": delta}
    check("adadelta", arrays, segments, hyper, ADADELTA_HYPER)
    learning_rate, rho, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    _launch("adadelta", _adadelta, arrays, segments, eta, lam, keep, rho, 1 - rho, epsilon)


def rprop(p, g, previous, step, segments, hyper):
    """As `npdl.kernels.reference.update.rprop`."""
    arrays = {"p": p, "g": g, "previous": previous, "step": step}
    check("rprop", arrays, segments, hyper, RPROP_HYPER)
    learning_rate, eta_minus, eta_plus, step_min, step_max, decoupled = hyper
    scale = segments[:, 2]
    lam, keep = _decay(learning_rate * scale, segments[:, 3], decoupled)
    _launch("rprop", _rprop, arrays, segments, scale, lam, keep, eta_minus, eta_plus, step_min, step_max, 0, 1)


def muon(u, g, m, segments, hyper):
    """As `npdl.kernels.reference.update.muon`."""
    arrays = {"u": u, "g": g, "m": m}
    check("muon", arrays, segments, hyper, MUON_HYPER)
    momentum, nesterov = hyper
    _launch("muon", _muon(nesterov != 0), arrays, segments, momentum, 1 - momentum)


def combine(p, g, segments, hyper):
    """As `npdl.kernels.reference.update.combine`."""
    arrays = {"p": p, "g": g}
    check("combine", arrays, segments, hyper, COMBINE_HYPER)
    a, b = hyper
    _launch("combine", _combine(a != 0), arrays, segments, a, b * segments[:, 2])


def clip(p, segments, hyper):
    """As `npdl.kernels.reference.update.clip`."""
    check("clip", {"p": p}, segments, hyper, CLIP_HYPER)
    _launch("clip", _clip, {"p": p}, segments, -hyper[0], hyper[0])


# ---- the kernels: (pieces, scalars, arrays ...)


@functools.cache
def _sgd(has_velocity, nesterov):
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


@functools.cache
def _adam(amsgrad):
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


@functools.cache
def _rmsprop(centered, has_velocity):
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
def _adamax(pieces, scalars, p, g, m, u):
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
def _nadam(pieces, scalars, p, g, m, v):
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


@cuda.jit
def _lion(pieces, scalars, p, g, m):
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
def _adagrad(pieces, scalars, p, g, v):
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
def _adadelta(pieces, scalars, p, g, v, delta):
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


@cuda.jit
def _rprop(pieces, scalars, p, g, previous, step):
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
def _muon(nesterov):
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


@functools.cache
def _combine(reads_p):
    @cuda.jit
    def kernel(pieces, scalars, p, g):
        piece = cuda.blockIdx.x
        while piece < pieces.shape[0]:
            stop, row = pieces[piece, 1], pieces[piece, 2]
            a, b = scalars[row, 0], scalars[row, 1]
            i = pieces[piece, 0] + cuda.threadIdx.x
            while i < stop:
                p[i] = a * p[i] + b * g[i] if reads_p else b * g[i]
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return kernel


@cuda.jit
def _clip(pieces, scalars, p):
    piece = cuda.blockIdx.x
    while piece < pieces.shape[0]:
        stop, row = pieces[piece, 1], pieces[piece, 2]
        low, high = scalars[row, 0], scalars[row, 1]
        i = pieces[piece, 0] + cuda.threadIdx.x
        while i < stop:
            x = p[i]
            x = low if x < low else x
            p[i] = high if x > high else x
            i += cuda.blockDim.x
        piece += cuda.gridDim.x


# ---- launching


@functools.lru_cache(64)
def _plan(name, table, length, dtype, columns):
    """(pieces, room for the scalars) in device memory, for `segments` given as bytes."""
    segments = np.frombuffer(table).reshape(-1, len(COLUMNS))
    pieces = cut(name, segments, length, PIECE)
    return cuda.to_device(pieces), cuda.device_array((len(segments), columns), dtype)


def _launch(name, kernel, arrays, segments, *columns):
    """Write the scalars, one row a segment, and start the kernel."""
    p = next(iter(arrays.values()))
    if len(segments) == 0 or p.shape[0] == 0:
        return
    table = np.empty((len(segments), len(columns)), p.dtype)
    for place, column in enumerate(columns):
        table[:, place] = column
    pieces, scalars = _plan(name, segments.tobytes(), p.shape[0], p.dtype, len(columns))
    scalars.copy_to_device(table)
    blocks = min(max(pieces.shape[0], GRID[0]), GRID[1])
    kernel[blocks, THREADS](pieces, scalars, *(p if a is None else a for a in arrays.values()))  # p: an array not read
