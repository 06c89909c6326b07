"""Fused updates: one pass over all weights, compiled by Numba, run in blocks by npdl's thread pool.

The formulas are the reference's, in the same order of operations and without fused multiply-adds, so that both give the
same bits. Every function below that is called `body` is compiled twice, for float32 and for float64, as a C function

    void body(void **context, int64 block, void *work)

over plain pointers, which the pool calls from its threads. Numba is imported by the first update of a process; the
machine code is kept in Numba's cache: `__pycache__` beside this file, else the user's cache folder, or NUMBA_CACHE_DIR.
"""

import ctypes
import functools
import math

import numpy as np

from npdl.kernels.checks import aligned
from npdl.kernels.cpu import compiled
from npdl.kernels.reference.update import ADAM_HYPER, RMSPROP_HYPER, SGD_HYPER, smallest
from npdl.kernels.segments import check, cut

if compiled():
    from npdl.kernels.cpu import build

BLOCK = 16384
"""Elements a thread takes at a time: small tensors share a block, large ones are cut. From 8,192 to 65,536 Adam on 2.2
million weights takes the same time, forward or backward in turns: moving the four arrays takes nearly all of it."""


def sgd(p, g, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.sgd`."""
    _run("sgd", ("p", "g", "velocity"), (p, g, velocity), segments, hyper, SGD_HYPER, 2)


def adam(p, g, m, v, segments, hyper):
    """As `npdl.kernels.reference.update.adam`."""
    _run("adam", ("p", "g", "m", "v"), (p, g, m, v), segments, hyper, ADAM_HYPER, 4)


def adamw(p, g, m, v, segments, hyper):
    """As `npdl.kernels.reference.update.adamw`."""
    _run("adamw", ("p", "g", "m", "v"), (p, g, m, v), segments, hyper, ADAM_HYPER, 4)


def rmsprop(p, g, v, mean, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.rmsprop`."""
    names, arrays = ("p", "g", "v", "mean", "velocity"), (p, g, v, mean, velocity)
    _run("rmsprop", names, arrays, segments, hyper, RMSPROP_HYPER, 3)


# ---- the bodies. context: blocks, pieces, segments, hyper, then the arrays in the order of the call. Block b is the
# pieces blocks[b] ... blocks[b + 1] − 1. Each element is read and written once, which also lets the loop vectorise.


def _sgd(real, has_velocity, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        hyper = carray(context[3], 3, np.float64)
        mu, nesterov, zero = real(hyper[1]), hyper[2] != 0, real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam = real(hyper[0] * scale), real(decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            if not has_velocity:
                for i in range(p.size):
                    p[i] = p[i] - eta * (g[i] + lam * p[i])
            else:
                velocity = carray(context[6], stop, real)[start:stop]
                for i in range(p.size):
                    d = g[i] + lam * p[i]
                    u = mu * velocity[i] + d
                    u = zero if abs(u) < least else u
                    velocity[i] = u
                    p[i] = p[i] - eta * (d + mu * u if nesterov else u)

    return body


def _adam(real, decoupled, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, beta_1, beta_2, bias_1, bias_2, epsilon = carray(context[3], 6, np.float64)
        b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
        root, eps, zero = real(1 / math.sqrt(bias_2)), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta = learning_rate * scale
            step, lam, keep = real(eta / bias_1), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - eta * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            v = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                s = b1 * m[i] + a1 * d
                s = zero if abs(s) < least else s
                q = b2 * v[i] + a2 * (d * d)
                q = zero if q < least else q
                m[i], v[i] = s, q
                p[i] = keep * w - step * s / (math.sqrt(q) * root + eps)

    return body


def _rmsprop(real, centered, has_velocity, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, rho, momentum, epsilon = carray(context[3], 4, np.float64)
        r, a, mu, eps, zero = real(rho), real(1 - rho), real(momentum), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam = real(learning_rate * scale), real(decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            v = carray(context[6], stop, real)[start:stop]
            mean = carray(context[7], stop, real)[start:stop] if centered else v
            velocity = carray(context[8], stop, real)[start:stop] if has_velocity else v
            for i in range(p.size):
                d = g[i] + lam * p[i]
                w = r * v[i] + a * (d * d)
                w = zero if w < least else w
                v[i] = w
                if centered:
                    u = r * mean[i] + a * d
                    u = zero if abs(u) < least else u
                    mean[i] = u
                    w = w - u * u
                    w = zero if w < zero else w
                d = d / (math.sqrt(w) + eps)
                if has_velocity:
                    d = mu * velocity[i] + d
                    d = zero if abs(d) < least else d
                    velocity[i] = d
                p[i] = p[i] - eta * d

    return body


# ---- compiling and running


@functools.cache
def _compiled(kernel, dtype, given):
    """The machine code of one body; `given`: which of its arrays are not None."""
    from numba import carray, cfunc, types

    if dtype not in (np.float32, np.float64):
        raise TypeError(f"{kernel} works in float32 or float64")
    real = dtype.type
    if kernel == "sgd":
        body = _sgd(real, given[2], carray)
    elif kernel == "rmsprop":
        body = _rmsprop(real, given[3], given[4], carray)
    else:
        body = _adam(real, kernel == "adamw", carray)
    signature = types.void(types.CPointer(types.voidptr), types.int64, types.int64)
    try:  # error_model: 1 / 0 is inf, as in NumPy; a test for it in the loop would keep it from being vectorised
        return cfunc(signature, cache=True, error_model="numpy")(body)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        return cfunc(signature, error_model="numpy")(body)  # nowhere to write a cache: compiled anew in each process


@functools.lru_cache(64)
def _plan(kernel, shape, table, table_shape, table_dtype):
    """How `segments`, given as bytes, is divided: the addresses of context[0:3], the number of blocks, the arrays."""
    if len(shape) != 1 or len(table_shape) != 2 or table_shape[1] != 5 or table_dtype != np.float64:
        raise ValueError(f"{kernel}: wrong arrays")
    segments = np.frombuffer(table).reshape(-1, 5)
    pieces = cut(kernel, segments, shape[0], BLOCK)
    starts, filled = [], BLOCK
    for place, (start, stop, _) in enumerate(pieces.tolist()):
        if filled + stop - start > BLOCK:
            starts.append(place)
            filled = 0
        filled += stop - start
    arrays = (np.array([*starts, len(pieces)], np.int64), pieces, segments)
    return tuple(map(_address, arrays)), len(starts), arrays


def _address(array):
    return 0 if array is None else array.__array_interface__["data"][0]


def _run(kernel, names, arrays, segments, hyper, hyper_names, required):
    """Check and run; the first `required` arrays must be there.

    The compiled function refuses what it cannot read, in a microsecond; only then `_check` looks for the words.
    """
    try:
        p = arrays[0]
        tables, blocks, _ = _plan(kernel, p.shape, segments.tobytes(), segments.shape, segments.dtype)
        code = _compiled(kernel, p.dtype, tuple(array is not None for array in arrays))
        _run_blocks(kernel, code, blocks, tables, hyper, len(hyper_names), names, arrays, required)
    except (TypeError, ValueError, AttributeError):
        _check(kernel, dict(zip(names, arrays)), segments, hyper, hyper_names)
        raise


def _check(kernel, arrays, segments, hyper, hyper_names):
    check(kernel, arrays, segments, hyper, hyper_names)
    for name, array in arrays.items():
        if array is not None and name != "g" and not array.flags.writeable:
            raise ValueError(f"{kernel}: {name} is written to, and is read-only")
        if array is not None:
            aligned(kernel, name, array)


def _in_pool(kernel, code, *call):
    build.lib.run_update(kernel, code.address, *call)


def _one_by_one(kernel, code, blocks, tables, hyper, numbers, names, arrays, required):
    _check(kernel, dict(zip(names, arrays)), np.zeros((0, 5)), hyper, range(numbers))
    context = (ctypes.c_void_p * 9)(*tables, _address(hyper), *map(_address, arrays))
    for block in range(blocks):
        code.ctypes(context, block, 0)


_run_blocks = _in_pool if compiled() else _one_by_one  # no pool where npdl was installed without compiled kernels
