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
    smallest,
)
from npdl.kernels.segments import check, cut

if compiled():
    from npdl.kernels.cpu import build

BLOCK = 16384
"""Elements a thread takes at a time: small tensors share a block, large ones are cut. From 8,192 to 65,536 Adam on 2.2
million weights takes the same time, forward or backward in turns: moving the four arrays takes nearly all of it."""


def sgd(p, g, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.sgd`."""
    _run("sgd", ("p", "g", "velocity"), (p, g, velocity), segments, hyper, SGD_HYPER, 2)


def adam(p, g, m, v, segments, hyper, v_max=None):
    """As `npdl.kernels.reference.update.adam`."""
    _run("adam", ("p", "g", "m", "v", "v_max"), (p, g, m, v, v_max), segments, hyper, ADAM_HYPER, 4)


def adamw(p, g, m, v, segments, hyper, v_max=None):
    """As `npdl.kernels.reference.update.adamw`."""
    _run("adamw", ("p", "g", "m", "v", "v_max"), (p, g, m, v, v_max), segments, hyper, ADAM_HYPER, 4)


def rmsprop(p, g, v, mean, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.rmsprop`."""
    names, arrays = ("p", "g", "v", "mean", "velocity"), (p, g, v, mean, velocity)
    _run("rmsprop", names, arrays, segments, hyper, RMSPROP_HYPER, 3)


def adamax(p, g, m, u, segments, hyper):
    """As `npdl.kernels.reference.update.adamax`."""
    _run("adamax", ("p", "g", "m", "u"), (p, g, m, u), segments, hyper, ADAMAX_HYPER, 4)


def nadam(p, g, m, v, segments, hyper):
    """As `npdl.kernels.reference.update.nadam`."""
    _run("nadam", ("p", "g", "m", "v"), (p, g, m, v), segments, hyper, NADAM_HYPER, 4)


def lion(p, g, m, segments, hyper):
    """As `npdl.kernels.reference.update.lion`."""
    _run("lion", ("p", "g", "m"), (p, g, m), segments, hyper, LION_HYPER, 3)


def adagrad(p, g, v, segments, hyper):
    """As `npdl.kernels.reference.update.adagrad`."""
    _run("adagrad", ("p", "g", "v"), (p, g, v), segments, hyper, ADAGRAD_HYPER, 3)


def adadelta(p, g, v, delta, segments, hyper):
    """As `npdl.kernels.reference.update.adadelta`."""
    _run("adadelta", ("p", "g", "v", "delta"), (p, g, v, delta), segments, hyper, ADADELTA_HYPER, 4)


def rprop(p, g, previous, step, segments, hyper):
    """As `npdl.kernels.reference.update.rprop`."""
    _run("rprop", ("p", "g", "previous", "step"), (p, g, previous, step), segments, hyper, RPROP_HYPER, 4)


def muon(u, g, m, segments, hyper):
    """As `npdl.kernels.reference.update.muon`."""
    _run("muon", ("u", "g", "m"), (u, g, m), segments, hyper, MUON_HYPER, 3)


def combine(p, g, segments, hyper):
    """As `npdl.kernels.reference.update.combine`."""
    _run("combine", ("p", "g"), (p, g), segments, hyper, COMBINE_HYPER, 2)


def clip(p, segments, hyper):
    """As `npdl.kernels.reference.update.clip`."""
    _run("clip", ("p",), (p,), segments, hyper, CLIP_HYPER, 1)


# ---- the bodies. context: blocks, pieces, segments, hyper, then the arrays in the order of the call. Block b is the
# pieces blocks[b] ... blocks[b + 1] − 1. Each element is read and written once, which also lets the loop vectorise.


def _sgd(real, has_velocity, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, momentum, ahead, decoupled = carray(context[3], 4, np.float64)
        mu, nesterov, zero = real(momentum), ahead != 0, real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = real(learning_rate * scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            if not has_velocity:
                for i in range(p.size):
                    p[i] = keep * p[i] - eta * (g[i] + lam * p[i])
            else:
                velocity = carray(context[6], stop, real)[start:stop]
                for i in range(p.size):
                    d = g[i] + lam * p[i]
                    u = mu * velocity[i] + d
                    u = zero if abs(u) < least else u
                    velocity[i] = u
                    p[i] = keep * p[i] - eta * (d + mu * u if nesterov else u)

    return body


def _adam(real, decoupled, amsgrad, carray):
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
            v_max = carray(context[8], stop, real)[start:stop] if amsgrad else v
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                s = b1 * m[i] + a1 * d
                s = zero if abs(s) < least else s
                q = b2 * v[i] + a2 * (d * d)
                q = zero if q < least else q
                m[i], v[i] = s, q
                if amsgrad:
                    q = q if q > v_max[i] else v_max[i]
                    v_max[i] = q
                p[i] = keep * w - step * s / (math.sqrt(q) * root + eps)

    return body


def _rmsprop(real, centered, has_velocity, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, rho, momentum, epsilon, decoupled = carray(context[3], 5, np.float64)
        r, a, mu, eps, zero = real(rho), real(1 - rho), real(momentum), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = real(learning_rate * scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
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
                p[i] = keep * p[i] - eta * d

    return body


def _adamax(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, beta_1, beta_2, bias_1, epsilon, decoupled = carray(context[3], 6, np.float64)
        b1, a1, b2, eps, zero = real(beta_1), real(1 - beta_1), real(beta_2), real(epsilon), real(0)
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
            u = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                s = b1 * m[i] + a1 * d
                s = zero if abs(s) < least else s
                q = b2 * u[i]
                q = zero if q < least else q
                d = abs(d) + eps
                q = q if q > d else d
                m[i], u[i] = s, q
                p[i] = keep * w - step * s / q

    return body


def _nadam(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, beta_1, beta_2, gradient, mean, bias_2, epsilon, decoupled = carray(context[3], 8, np.float64)
        b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
        root, eps, zero = real(1 / math.sqrt(bias_2)), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta = learning_rate * scale
            along, ahead, lam, keep = real(eta * gradient), real(eta * mean), real(decay), real(1)
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
                p[i] = keep * w - (along * d + ahead * s) / (math.sqrt(q) * root + eps)

    return body


def _lion(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, beta_1, beta_2 = carray(context[3], 3, np.float64)
        b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
        zero, one = real(0), real(1)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, keep = real(learning_rate * scale), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            for i in range(p.size):
                d = g[i]
                u = b1 * m[i] + a1 * d
                u = one if u > zero else (-one if u < zero else u)
                s = b2 * m[i] + a2 * d
                m[i] = zero if abs(s) < least else s
                p[i] = keep * p[i] - eta * u

    return body


def _adagrad(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, epsilon, decoupled = carray(context[3], 3, np.float64)
        eps = real(epsilon)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = real(learning_rate * scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            v = carray(context[6], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                q = v[i] + d * d
                v[i] = q
                p[i] = keep * w - eta * d / (math.sqrt(q) + eps)

    return body


def _adadelta(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, rho, epsilon, decoupled = carray(context[3], 4, np.float64)
        r, a, eps, zero = real(rho), real(1 - rho), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = real(learning_rate * scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            v = carray(context[6], stop, real)[start:stop]
            delta = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                q = r * v[i] + a * (d * d)
                q = zero if q < least else q
                x = math.sqrt((delta[i] + eps) / (q + eps)) * d
                u = r * delta[i] + a * (x * x)
                u = zero if u < least else u
                v[i], delta[i] = q, u
                p[i] = keep * w - eta * x

    return body


def _rprop(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, eta_minus, eta_plus, step_min, step_max, decoupled = carray(context[3], 6, np.float64)
        minus, plus, least, most = real(eta_minus), real(eta_plus), real(step_min), real(step_max)
        zero, one = real(0), real(1)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            size, lam, keep = real(scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            previous = carray(context[6], stop, real)[start:stop]
            step = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                s = d * previous[i]
                q = step[i] * (plus if s > zero else (minus if s < zero else one))
                q = least if q < least else q
                q = most if q > most else q
                d = zero if s < zero else d
                previous[i], step[i] = d, q
                p[i] = keep * w - size * q * (one if d > zero else (-one if d < zero else d))

    return body


def _muon(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        momentum, nesterov = carray(context[3], 2, np.float64)
        mu, rest, zero = real(momentum), real(1 - momentum), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, _ = pieces[piece]
            u = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            for i in range(u.size):
                s = mu * m[i] + rest * g[i]
                s = zero if abs(s) < least else s
                m[i] = s
                u[i] = mu * s + rest * g[i] if nesterov else s

    return body


def _combine(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        a, b = carray(context[3], 2, np.float64)
        f = real(a)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            h = real(b * carray(context[2], (row + 1, 5), np.float64)[row, 2])
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            if a == 0:
                for i in range(p.size):
                    p[i] = h * g[i]
            else:
                for i in range(p.size):
                    p[i] = f * p[i] + h * g[i]

    return body


def _clip(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        limit = real(carray(context[3], 1, np.float64)[0])
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, _ = pieces[piece]
            p = carray(context[4], stop, real)[start:stop]
            for i in range(p.size):
                x = p[i]
                x = -limit if x < -limit else x
                p[i] = limit if x > limit else x

    return body


# ---- compiling and running

BODIES = {
    "adamax": _adamax, "nadam": _nadam, "lion": _lion, "adagrad": _adagrad, "adadelta": _adadelta, "rprop": _rprop,
    "muon": _muon, "combine": _combine, "clip": _clip,
}  # fmt: skip
"""What makes the body of a kernel that has no arrays to leave out."""


@functools.cache
def _compiled(kernel, dtype, given):
    """The machine code of one body; `given`: which of its arrays are not None."""
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"{kernel} works in float32 or float64")
    if kernel == "sgd":
        return _code(_sgd, dtype, given[2])
    if kernel == "rmsprop":
        return _code(_rmsprop, dtype, given[3], given[4])
    if kernel in ("adam", "adamw"):
        return _code(_adam, dtype, kernel == "adamw", given[4])
    return _code(BODIES[kernel], dtype)


@functools.cache
def _code(make, dtype, *options):
    """The machine code of the body that make(number type, *options, carray) returns."""
    from numba import carray, cfunc, types

    body = make(dtype.type, *options, carray)
    signature = types.void(types.CPointer(types.voidptr), types.int64, types.int64)
    try:  # error_model: 1 / 0 is inf, as in NumPy; a test for it in the loop would keep it from being vectorised
        return cfunc(signature, cache=True, error_model="numpy")(body)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        return cfunc(signature, error_model="numpy")(body)  # nowhere to write a cache: compiled anew in each process


@functools.lru_cache(256)
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


def _execute(kernel, make, blocks, tables, hyper, arrays):
    """Run a body on arrays that have been checked, in `hyper`, where it may leave results.

    Args:
        make: as of `_code`.
        arrays: name -> array.
    """
    code = _code(make, next(iter(arrays.values())).dtype)
    for name, array in arrays.items():
        aligned(kernel, name, array)
    _run_blocks(kernel, code, blocks, tables, hyper, len(hyper), tuple(arrays), tuple(arrays.values()), len(arrays))


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
