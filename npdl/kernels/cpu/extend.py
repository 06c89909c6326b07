"""Margins that go on with what lies inside; formulas: npdl/kernels/reference/extend.py, code: kernels/shape.h."""

import math

import numpy as np

from npdl.kernels.cpu.build import lib
from npdl.kernels.cpu.shape import contiguous
from npdl.kernels.reference.extend import check, source

expect = lib.expect


def _apart(kernel, name, long, short, axis, margins, mode):
    """Both as (before, places, behind) where they fit each other; views."""
    contiguous(kernel, **{name: long, "x" if name == "out" else "out": short})
    if not 0 <= axis < short.ndim:
        raise ValueError(f"{kernel}: axis must be one of {short.ndim} axes, got {axis}")
    length = short.shape[axis]
    check(kernel, length, margins, mode)
    expect(kernel, name, long, (*short.shape[:axis], length + sum(margins), *short.shape[axis + 1 :]))
    rows, behind = math.prod(short.shape[:axis]), math.prod(short.shape[axis + 1 :])
    return long.reshape(rows, length + sum(margins), behind), short.reshape(rows, length, behind)


def extend(x, axis, margins, mode, *, out):
    """out[i] = x[source[i]] along an axis"""
    out, x = _apart("extend", "out", out, x, axis, margins, mode)
    (before, after), length = margins, x.shape[1]
    if mode == "reflect":
        left, right = x[:, 1 : before + 1][:, ::-1], x[:, length - 1 - after : length - 1][:, ::-1]
    elif mode == "replicate":
        left, right = (np.broadcast_to(x[:, end : end + 1], (len(x), n, x.shape[2])) for end, n in
                       ((0, before), (max(length - 1, 0), after)))  # fmt: skip
    else:
        left, right = x[:, length - before :], x[:, :after]
    lib.move("extend", x, out[:, before : before + length])
    for part, shown in ((out[:, :before], left), (out[:, before + length :], right)):
        if part.size:
            lib.move("extend", shown, part)


def extend_grad(dy, axis, margins, mode, *, out):
    """dx[l] = Σ dy[i] over the places i that show l: the one of the middle, then those of the margins in order"""
    dy, out = _apart("extend_grad", "dy", dy, out, axis, margins, mode)
    lib.fold(dy, out, margins[0], source(out.shape[1], margins, mode).astype("int64"))
