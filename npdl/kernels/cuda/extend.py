"""Margins that go on with what lies inside, as numba.cuda kernels: (rows, length, behind), a thread an element."""

import math

from numba import cuda

from npdl.kernels.cuda.index import over
from npdl.kernels.cuda.kernel import Floats, Int, Long, device, expect, kernel, launch_each
from npdl.kernels.reference.extend import MODES, check


@device
def source(at, length, mode):
    """The place of an axis that a place up to `length` beyond its ends shows: reflect (mode 0), replicate, circular."""
    low = at < 0
    if low or at >= length:
        if mode == 0:
            return -at if low else 2 * (length - 1) - at
        if mode == 1:
            return 0 if low else length - 1
        return at + length if low else at - length
    return at + 0


@kernel
def extend_kernel(x: Floats, out: Floats, n: Long, before: Int, length: Int, after: Int, behind: Int, mode: Int):
    e = cuda.grid(1)
    while e < n:
        place = e // behind
        row = over(place, before + length + after)
        at = source(place - row * (before + length + after) - before, length, mode)
        out[e] = x[(row * length + at) * behind + e - place * behind]
        e += cuda.gridsize(1)


@kernel
def extend_grad_kernel(dy: Floats, dx: Floats, n: Long, before: Int, length: Int, after: Int, behind: Int, mode: Int):
    """dx[l] = Σ dy over the places that show l: its own, and those of the margins, one after the other."""
    e = cuda.grid(1)
    while e < n:
        place = e // behind
        row = over(place, length)
        l = place - row * length
        start = row * (before + length + after) + before
        total = dy[(start + l) * behind + e - place * behind]
        for i in range(before + after):
            at = i - before if i < before else i - before + length
            if source(at, length, mode) == l:
                total += dy[(start + at) * behind + e - place * behind]
        dx[e] = total
        e += cuda.gridsize(1)


def _run(name, one, given, long, short, x, axis, margins, mode, out):
    """Start a kernel; `given` is the name of the array that is not `out`."""
    if not 0 <= axis < len(short.shape):
        raise ValueError(f"{name}: axis must be one of {len(short.shape)} axes, got {axis}")
    length = short.shape[axis]
    check(name, length, margins, mode)
    wanted = (*short.shape[:axis], length + sum(margins), *short.shape[axis + 1 :])
    expect(name, "out" if given == "x" else given, long, wanted)
    behind = math.prod(short.shape[axis + 1 :])
    launch_each(one, out.size, x, out, out.size, margins[0], length, margins[1], behind, MODES.index(mode))


def extend(x, axis, margins, mode, *, out):
    """out[i] = x[source[i]] along an axis"""
    _run("extend", extend_kernel, "x", out, x, x, axis, margins, mode, out)


def extend_grad(dy, axis, margins, mode, *, out):
    """dx[l] = Σ dy[i] over the places i that show l"""
    _run("extend_grad", extend_grad_kernel, "dy", dy, out, dy, axis, margins, mode, out)
