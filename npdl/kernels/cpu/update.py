"""Fused updates: one pass over all weights, run in blocks by npdl's thread pool.

SGD, Adam and AdamW are compiled with the other kernels (kernels/update.h). All other loops are in
npdl/kernels/cpu/bodies and compiled by Numba, as are those three where npdl was installed without compiled kernels.
Numba is imported by the first such update of a process; the machine code is kept in Numba's cache: `__pycache__` beside
the bodies, else the user's cache folder, or NUMBA_CACHE_DIR.
"""

import ctypes
import functools

import numpy as np

from npdl.kernels.checks import aligned
from npdl.kernels.cpu import compiled
from npdl.kernels.cpu.bodies import BODIES
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

if compiled():
    from npdl.kernels.cpu import build

UPDATES = build.lib.UPDATES if compiled() else {}
"""(kernel, number type) -> the address of a body in the compiled module."""

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


def ftrl(p, g, accumulator, linear, segments, hyper):
    """As `npdl.kernels.reference.update.ftrl`."""
    names = ("p", "g", "accumulator", "linear")
    _run("ftrl", names, (p, g, accumulator, linear), segments, hyper, FTRL_HYPER, 4)


def schedule_free(p, g, momentum, velocity, segments, hyper):
    """As `npdl.kernels.reference.update.schedule_free`."""
    names = ("p", "g", "momentum", "velocity")
    _run("schedule_free", names, (p, g, momentum, velocity), segments, hyper, SCHEDULE_FREE_HYPER, 4)


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


# ---- compiling and running


class Compiled:
    """A body that is compiled already: as one of Numba's.

    Args:
        address: of its machine code.
    """

    def __init__(self, address):
        self.address = address
        self.ctypes = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)(address)


@functools.cache
def _compiled(kernel, dtype, given):
    """The machine code of one body; `given`: which of its arrays are not None."""
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"{kernel} works in float32 or float64")
    if (kernel, dtype.name) in UPDATES:
        return Compiled(UPDATES[kernel, dtype.name])
    make, options = BODIES[kernel], ()
    if kernel == "sgd":
        options = given[2:3]
    elif kernel == "rmsprop":
        options = given[3:5]
    elif kernel in ("adam", "adamw"):
        options = kernel == "adamw", given[4]
    return _code(make, dtype, *options)


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
        code = _compiled(kernel, p.dtype, tuple([array is not None for array in arrays]))
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
