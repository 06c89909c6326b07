"""Fused updates as numba.cuda kernels: one launch for all weights of a model.

The formulas are the reference's, in the same order of operations; the GPU's compiler may fuse a multiplication with the
addition after it, so that results differ from the CPU's in the last bits. p, g, m, v ... are arrays of the device;
`segments` and `hyper` are NumPy arrays on the host, as everywhere.

The kernels are in npdl/kernels/cuda/bodies. A thread block has one piece (start, stop, row of `segments`) of at most
`PIECE` elements, so that all its threads work on one tensor; a thread has four neighbours at a time, by 16-byte
accesses where the piece allows them (npdl/kernels/cuda/wide.py). `scalars` holds what the update needs of a segment. It
is computed in float64 on the host and rounded to float32, for a GPU is slow in float64; so a kernel's body has no
literal of its own. The pieces stay in device memory; the scalars are copied there in each step, and in a graph before
each start of it (`driver.numbers`).
"""

import math

import numpy as np

from npdl.kernels.cuda import bodies
from npdl.kernels.cuda.kernel import THREADS, launch
from npdl.kernels.cuda.wide import aligned
from npdl.kernels.reference.update import (
    ADADELTA_HYPER,
    ADAGRAD_HYPER,
    ADAM_HYPER,
    ADAMAX_HYPER,
    CLIP_HYPER,
    COMBINE_HYPER,
    FTRL_HYPER,
    LION_HYPER,
    MUON_HYPER,
    NADAM_HYPER,
    RMSPROP_HYPER,
    RPROP_HYPER,
    SCHEDULE_FREE_HYPER,
    SGD_HYPER,
)
from npdl.kernels.segments import check, cut

PIECE = 4096
"""Elements of a thread block: four turns of its threads."""


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
    how = velocity is not None, nesterov != 0
    _launch("sgd", lambda kind: bodies.sgd(*how, kind), arrays, segments, eta, lam, keep, momentum, copies=True)


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
    amsgrad, betas = arrays["v_max"] is not None, (beta_1, 1 - beta_1, beta_2, 1 - beta_2)
    columns = (eta / bias_1, lam, keep, *betas, 1 / math.sqrt(bias_2), epsilon)
    _launch(name, lambda kind: bodies.adam(amsgrad, kind), arrays, segments, *columns, copies=True)


def rmsprop(p, g, v, mean, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.rmsprop`."""
    arrays = {"p": p, "g": g, "v": v, "mean": mean, "velocity": velocity}
    check("rmsprop", arrays, segments, hyper, RMSPROP_HYPER)
    learning_rate, rho, momentum, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    kernel = bodies.rmsprop(mean is not None, velocity is not None)
    _launch("rmsprop", kernel, arrays, segments, eta, lam, keep, rho, 1 - rho, momentum, epsilon, 0)


def adamax(p, g, m, u, segments, hyper):
    """As `npdl.kernels.reference.update.adamax`."""
    arrays = {"p": p, "g": g, "m": m, "u": u}
    check("adamax", arrays, segments, hyper, ADAMAX_HYPER)
    learning_rate, beta_1, beta_2, bias_1, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    _launch("adamax", bodies.adamax, arrays, segments, eta / bias_1, lam, keep, beta_1, 1 - beta_1, beta_2, epsilon)


def nadam(p, g, m, v, segments, hyper):
    """As `npdl.kernels.reference.update.nadam`."""
    arrays = {"p": p, "g": g, "m": m, "v": v}
    check("nadam", arrays, segments, hyper, NADAM_HYPER)
    learning_rate, beta_1, beta_2, gradient, mean, bias_2, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    numbers = (beta_1, 1 - beta_1, beta_2, 1 - beta_2, 1 / math.sqrt(bias_2), epsilon)
    _launch("nadam", bodies.nadam, arrays, segments, eta * gradient, eta * mean, lam, keep, *numbers)


def lion(p, g, m, segments, hyper):
    """As `npdl.kernels.reference.update.lion`."""
    arrays = {"p": p, "g": g, "m": m}
    check("lion", arrays, segments, hyper, LION_HYPER)
    learning_rate, beta_1, beta_2 = hyper
    eta = learning_rate * segments[:, 2]
    keep, betas = 1 - eta * segments[:, 3], (beta_1, 1 - beta_1, beta_2, 1 - beta_2)
    _launch("lion", bodies.lion, arrays, segments, eta, keep, *betas, 0, 1)


def adagrad(p, g, v, segments, hyper):
    """As `npdl.kernels.reference.update.adagrad`."""
    arrays = {"p": p, "g": g, "v": v}
    check("adagrad", arrays, segments, hyper, ADAGRAD_HYPER)
    learning_rate, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    _launch("adagrad", bodies.adagrad, arrays, segments, eta, lam, keep, epsilon)


def adadelta(p, g, v, delta, segments, hyper):
    """As `npdl.kernels.reference.update.adadelta`."""
    arrays = {"p": p, "g": g, "v": v, "delta": delta}
    check("adadelta", arrays, segments, hyper, ADADELTA_HYPER)
    learning_rate, rho, epsilon, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    _launch("adadelta", bodies.adadelta, arrays, segments, eta, lam, keep, rho, 1 - rho, epsilon)


def ftrl(p, g, accumulator, linear, segments, hyper):
    """As `npdl.kernels.reference.update.ftrl`."""
    arrays = {"p": p, "g": g, "accumulator": accumulator, "linear": linear}
    check("ftrl", arrays, segments, hyper, FTRL_HYPER)
    learning_rate, power, l1, l2, shrinkage, beta, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    more = 2 * l2 + beta / np.where(eta == 0, 1, eta)
    numbers = (-power, power == -0.5, l1, 2 * shrinkage, 0)
    _launch("ftrl", bodies.ftrl, arrays, segments, eta, lam, keep, more, *numbers)


def schedule_free(p, g, momentum, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.schedule_free`."""
    arrays = {"p": p, "g": g, "momentum": momentum, "velocity": velocity}
    check("schedule_free", arrays, segments, hyper, SCHEDULE_FREE_HYPER)
    learning_rate, warm, beta_1, beta_2, bias_2, epsilon, share, decoupled = hyper
    eta = learning_rate * segments[:, 2]
    lam, keep = _decay(eta, segments[:, 3], decoupled)
    numbers = (beta_2, 1 - beta_2, 1 / math.sqrt(bias_2), epsilon, 1 - share, beta_1)
    _launch("schedule_free", bodies.schedule_free, arrays, segments, eta * warm, lam, keep, *numbers)


def rprop(p, g, previous, step, segments, hyper):
    """As `npdl.kernels.reference.update.rprop`."""
    arrays = {"p": p, "g": g, "previous": previous, "step": step}
    check("rprop", arrays, segments, hyper, RPROP_HYPER)
    learning_rate, eta_minus, eta_plus, step_min, step_max, decoupled = hyper
    scale = segments[:, 2]
    lam, keep = _decay(learning_rate * scale, segments[:, 3], decoupled)
    _launch("rprop", bodies.rprop, arrays, segments, scale, lam, keep, eta_minus, eta_plus, step_min, step_max, 0, 1)


def muon(u, g, m, segments, hyper):
    """As `npdl.kernels.reference.update.muon`."""
    arrays = {"u": u, "g": g, "m": m}
    check("muon", arrays, segments, hyper, MUON_HYPER)
    momentum, nesterov = hyper
    _launch("muon", bodies.muon(nesterov != 0), arrays, segments, momentum, 1 - momentum)


def combine(p, g, segments, hyper):
    """As `npdl.kernels.reference.update.combine`."""
    arrays = {"p": p, "g": g}
    check("combine", arrays, segments, hyper, COMBINE_HYPER)
    a, b = hyper
    _launch("combine", bodies.combine(a != 0), arrays, segments, a, b * segments[:, 2])


def clip(p, segments, hyper):
    """As `npdl.kernels.reference.update.clip`."""
    check("clip", {"p": p}, segments, hyper, CLIP_HYPER)
    _launch("clip", bodies.clip, {"p": p}, segments, -hyper[0], hyper[0])


# ---- launching


def pieces_of(driver, name, segments, length):
    """Pieces on the device, kept for where segments lie and which are trained."""
    key = "pieces", segments[:, [0, 1, 4]].tobytes(), length, PIECE
    return driver.kept.get(key, lambda: driver.filled(cut(name, segments, length, PIECE).astype(np.int64)))


def scalars_for(driver, segments, *columns):
    """What the kernels read of each segment, others in each step: (rows, columns) on the device."""
    table = np.empty((len(segments), len(columns)), np.float32)
    for place, column in enumerate(columns):
        table[:, place] = column
    return driver.numbers(table)


def _launch(name, update, arrays, segments, *columns, copies=False):
    """Write the scalars, one row a segment, and start the kernel.

    With `copies` it also writes the 16-bit copy of p where there is one: `update` gives the kernel for its type, or for
    None. Other kernels leave the copy behind, and whoever asks for them has it renewed."""
    p = next(iter(arrays.values()))
    if len(segments) == 0 or p.shape[0] == 0:
        return
    driver = p.memory.driver
    copy = driver.factors.copy_of(p)
    if copies:
        arrays = {**arrays, "copy": None if copy is None else copy.array}
        update = update(None if copy is None else copy.kind)
    if copy is not None:
        copy.written = copies and copy.fresh
    pieces = pieces_of(driver, name, segments, p.shape[0])
    count = len(pieces)
    if count == 0:  # all is frozen
        return
    scalars = scalars_for(driver, segments, *columns)
    wide = aligned(*arrays.values())
    launch(update, count, THREADS, pieces, scalars, len(columns), wide, *arrays.values())
