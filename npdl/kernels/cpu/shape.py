"""Moving numbers; formulas: npdl/kernels/reference/shape.py, code: kernels/shape.h.

NumPy says where things lie (views), the compiled code moves them: a copy of a few kinds of strides, on all threads.
"""

import math

import numpy as np

from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.shape import apart, inside

expect = lib.expect


def contiguous(kernel, **arrays):
    """Raise unless these are C-contiguous NumPy arrays: a view of another would be a copy.

    Raises:
        TypeError: one is not.
        ValueError: one is not aligned.
    """
    for name, array in arrays.items():
        expect(kernel, name, array, np.shape(array))
        if not array.flags.c_contiguous:
            raise TypeError(f"{kernel}: {name} must be C-contiguous; pass np.ascontiguousarray({name})")


def permute(x, axes, *, out):
    """out = x with its axes in the order `axes`"""
    contiguous("permute", x=x, out=out)
    view = x.transpose(axes)
    expect("permute", "out", out, view.shape)
    lib.move("permute", view, out)


def _margins(kernel, name, large, margins, small):
    """The part of `large` inside its margins, which must have the shape `small`."""
    if len(margins) > large.ndim - 1 or any(n < 0 for both in margins for n in both):
        raise ValueError(f"{kernel}: margins must be pairs of numbers from 0 for axes of {name}, got {margins}")
    rest = large.shape[len(margins) + 1 :]
    sizes = [n + sum(both) for n, both in zip(small[1 : len(margins) + 1], margins)]
    expect(kernel, name, large, (small[0], *sizes, *rest))
    if len(small) != large.ndim or small[len(margins) + 1 :] != rest:
        raise ValueError(f"{kernel}: {small} and {name} of shape {large.shape} must differ by the margins alone")
    return large[inside(large.shape, margins)]


def crop(x, margins, *, out):
    """out = x without its margins"""
    contiguous("crop", x=x, out=out)
    lib.move("crop", _margins("crop", "x", x, margins, out.shape), out)


def pad(x, margins, *, out):
    """out = x with zeros around it"""
    contiguous("pad", x=x, out=out)
    lib.move("pad", x, _margins("pad", "out", out, margins, x.shape))
    for axis, both in enumerate(margins, 1):  # what is left: a slab on each side, then the same of what lies between
        before, after = both[0], out.shape[axis] - both[1]
        for part in (slice(0, before), slice(after, None)):
            slab = out[(slice(None),) * axis + (part,)]
            if slab.size:
                lib.move("pad", None, slab)
        out = out[(slice(None),) * axis + (slice(before, after),)]


def _times(kernel, large, small, times):
    """Raise unless `large` is `small` with each place repeated."""
    if len(times) > len(small) - 1 or any(n < 1 for n in times):
        raise ValueError(f"{kernel}: times must be numbers from 1 for the axes after the first, got {times}")
    sizes = [n * t for n, t in zip(small[1:], times)]
    if large != (small[0], *sizes, *small[len(times) + 1 :]):
        raise ValueError(f"{kernel}: {large} is not {small} with its places {times} times")


def repeat(x, times, *, out):
    """out[n, i, j, ..., c] = x[n, i // times[0], j // times[1], ..., c]"""
    contiguous("repeat", x=x, out=out)
    _times("repeat", out.shape, x.shape, times)
    out = apart(out, times)
    lib.move("repeat", np.broadcast_to(apart(x, (1,) * len(times)), out.shape), out)


def repeat_grad(dy, times, *, out):
    """dx = Σ dy over the copies of each place"""
    expect("repeat_grad", "dy", dy, np.shape(dy))
    expect("repeat_grad", "out", out, np.shape(out))
    _times("repeat_grad", dy.shape, out.shape, times)
    if len(times) > 3:
        raise ValueError(f"repeat_grad: at most three axes, got times={times}")
    ones = (1,) * (3 - len(times))
    sizes, channels = (*ones, *out.shape[1 : len(times) + 1]), math.prod(out.shape[len(times) + 1 :])
    lib.repeat_grad(dy, out, len(out), sizes, (*ones, *times), channels)
