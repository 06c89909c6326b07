"""Pooling of an axis into a given number of bins as numba.cuda kernels.

x, dx (N, L, C) and y, dy (N, O, C): bin o holds the places from ⌊o L / O⌋ to ⌈(o + 1) L / O⌉. A thread makes one
element, neighbours are channels. Place l lies in the bins from ⌊l O / L⌋ to ⌈(l + 1) O / L⌉: a gradient is gathered
from them.
"""

import math

from numba import cuda, float32

from npdl.kernels.cuda.index import over
from npdl.kernels.cuda.kernel import Floats, Int, Ints, Long, device, expect, kernel, launch_each


@device
def first(o, length, count):
    """⌊o · length / count⌋"""
    return o * length // count


@device
def last(o, length, count):
    """⌈(o + 1) · length / count⌉"""
    return ((o + 1) * length + count - 1) // count


@kernel
def adaptive_max_kernel(
    x: Floats, y: Floats, winners: Ints, n: Long, places: Int, bins: Int, channels: Int, wants: Int
):
    """The maximum of the bin and its place; the first one wins, NaN over every number."""
    e = cuda.grid(1)
    while e < n:
        row = e // channels
        c = e - row * channels
        sample = over(row, bins)
        o = row - sample * bins
        start = first(o, places, bins)
        most = float32(-math.inf)
        best = start
        for place in range(start, last(o, places, bins)):
            v = x[(sample * places + place) * channels + c]
            if place == start or v > most or (v != v and most == most):
                most = v
                best = place
        y[e] = most
        if wants:
            winners[e] = best
        e += cuda.gridsize(1)


@kernel
def adaptive_max_grad_kernel(dy: Floats, winners: Ints, dx: Floats, n: Long, places: Int, bins: Int, channels: Int):
    e = cuda.grid(1)
    while e < n:
        row = e // channels
        c = e - row * channels
        sample = over(row, places)
        place = row - sample * places
        total = float32(0)
        for o in range(first(place, bins, places), last(place, bins, places)):
            at = (sample * bins + o) * channels + c
            if winners[at] == place:
                total += dy[at]
        dx[e] = total
        e += cuda.gridsize(1)


@kernel
def adaptive_mean_kernel(x: Floats, y: Floats, n: Long, places: Int, bins: Int, channels: Int):
    e = cuda.grid(1)
    while e < n:
        row = e // channels
        c = e - row * channels
        sample = over(row, bins)
        start = first(row - sample * bins, places, bins)
        stop = last(row - sample * bins, places, bins)
        total = float32(0)
        for place in range(start, stop):
            total += x[(sample * places + place) * channels + c]
        y[e] = total / float32(stop - start)
        e += cuda.gridsize(1)


@kernel
def adaptive_mean_grad_kernel(dy: Floats, dx: Floats, n: Long, places: Int, bins: Int, channels: Int):
    e = cuda.grid(1)
    while e < n:
        row = e // channels
        c = e - row * channels
        sample = over(row, places)
        place = row - sample * places
        total = float32(0)
        for o in range(first(place, bins, places), last(place, bins, places)):
            size = last(o, places, bins) - first(o, places, bins)
            total += dy[(sample * bins + o) * channels + c] / float32(size)
        dx[e] = total
        e += cuda.gridsize(1)


def _sizes(kernel, large, small, winners=None):
    """(places, bins, channels) of (name, array) with the places, and of the one with the bins."""
    (name, x), (other, y) = large, small
    if len(x.shape) != 3 or len(y.shape) != 3:
        raise ValueError(f"{kernel}: {name} and {other} must be (N, places, C), got shapes {x.shape} and {y.shape}")
    n, places, channels = x.shape
    expect(kernel, other, y, (n, y.shape[1], channels))
    expect(kernel, "winners", winners, y.shape)
    if (y.size and not places) or (x.size and not y.shape[1]):
        raise ValueError(f"{kernel}: {places} places cannot be pooled into {y.shape[1]} bins")
    return places, y.shape[1], channels


def adaptive_max_pool(x, *, out, winners=None):
    """out[n, o, c] = max over bin o; winners: the place of the first maximum."""
    sizes = _sizes("adaptive_max_pool", ("x", x), ("out", out), winners)
    launch_each(adaptive_max_kernel, out.size, x, out, winners, out.size, *sizes, int(winners is not None))


def adaptive_max_pool_grad(dy, winners, *, out):
    """dx[place] = Σ dy of the bins that this place won"""
    sizes = _sizes("adaptive_max_pool_grad", ("out", out), ("dy", dy), winners)
    launch_each(adaptive_max_grad_kernel, out.size, dy, winners, out, out.size, *sizes)


def adaptive_average_pool(x, *, out):
    """out[n, o, c] = mean over bin o"""
    sizes = _sizes("adaptive_average_pool", ("x", x), ("out", out))
    launch_each(adaptive_mean_kernel, out.size, x, out, out.size, *sizes)


def adaptive_average_pool_grad(dy, *, out):
    """dx[place] = Σ dy / size over the bins that hold this place"""
    sizes = _sizes("adaptive_average_pool_grad", ("out", out), ("dy", dy))
    launch_each(adaptive_mean_grad_kernel, out.size, dy, out, out.size, *sizes)
