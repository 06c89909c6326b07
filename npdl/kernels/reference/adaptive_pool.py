"""Pooling of an axis into a given number of bins.

x (N, L, C) and y (N, O, C): bin o holds the places from floor(o L / O) to ceil((o + 1) L / O), so that neighbours
share a place where O does not divide L.
"""

import numpy as np


def bins(places, outputs):
    """For each bin: its number and its places, as a slice."""
    for o in range(outputs):
        yield o, slice(o * places // outputs, -(-(o + 1) * places // outputs))


def adaptive_max_pool(x, *, out, winners=None):
    """out[n, o, c] = max over bin o; the first maximum wins, and a NaN wins over every number.

    Args:
        x: (N, L, C).
        out: (N, O, C).
        winners: (N, O, C) int32, receives the place of the maximum.
    """
    for o, places in bins(x.shape[1], out.shape[1]):
        best = x[:, places].argmax(axis=1)
        out[:, o] = np.take_along_axis(x[:, places], best[:, None], axis=1)[:, 0]
        if winners is not None:
            winners[:, o] = places.start + best


def adaptive_max_pool_grad(dy, winners, *, out):
    """dx[place] = Σ dy of the bins that this place won

    Args:
        dy, winners: (N, O, C).
        out: dx (N, L, C).
    """
    out[...] = 0
    every = np.arange(out.shape[1]).reshape(1, -1, 1)
    for o in range(dy.shape[1]):
        out += np.where(every == winners[:, o, None], dy[:, o, None], 0)


def adaptive_average_pool(x, *, out):
    """out[n, o, c] = mean over bin o

    Args:
        x: (N, L, C).
        out: (N, O, C).
    """
    for o, places in bins(x.shape[1], out.shape[1]):
        out[:, o] = x[:, places].mean(axis=1)


def adaptive_average_pool_grad(dy, *, out):
    """dx[place] = Σ dy / size over the bins that hold this place

    Args:
        dy: (N, O, C).
        out: dx (N, L, C).
    """
    out[...] = 0
    for o, places in bins(out.shape[1], dy.shape[1]):
        out[:, places] += dy[:, o, None] / (places.stop - places.start)
