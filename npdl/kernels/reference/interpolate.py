"""Linear interpolation along an axis, between half-pixel centres."""

import math

import numpy as np


def _phases(times):
    """For each of the places that a place of x becomes: (its number, step to the left neighbour, weight of the right).

    Place i = j·times + r of y has its centre at c = (r + ½) / times − ½ from that of place j of x.
    """
    for r in range(times):
        c = (r + 0.5) / times - 0.5
        yield r, math.floor(c), c - math.floor(c)


def _apart(x, axis, *cut):
    """x (..., L, ...) as (before, *cut, after), cut the sizes that L falls into; a view."""
    return x.reshape(math.prod(x.shape[:axis]), *cut, math.prod(x.shape[axis + 1 :]))


def interpolate(x, axis, times, *, out):
    """out[i] = (1 − w) x[l] + w x[l + 1] along an axis, with l + w = (i + ½) / times − ½

    Beyond the ends of x its first and last numbers go on.

    Args:
        x: (..., L, ...).
        axis: along which.
        times: how many places of out one of x becomes.
        out: (..., L·times, ...).
    """
    length = x.shape[axis]
    x, out = _apart(x, axis, length), _apart(out, axis, length, times)
    wide = np.concatenate([x[:, :1], x, x[:, -1:]], axis=1)  # place j of x is j + 1 here
    for r, step, w in _phases(times):
        left, right = wide[:, 1 + step : length + 1 + step], wide[:, 2 + step : length + 2 + step]
        out[:, :, r] = (1 - w) * left + w * right


def interpolate_grad(dy, axis, times, *, out):
    """dx[l] = Σ (1 − w) dy[i] + Σ w dy[i'] over the places whose left, or right, neighbour it is

    Args:
        dy: (..., L·times, ...).
        axis, times: as of `interpolate`.
        out: dx (..., L, ...).
    """
    length = out.shape[axis]
    dy, out = _apart(dy, axis, length, times), _apart(out, axis, length)
    wide = np.zeros((len(out), length + 2, out.shape[2]), out.dtype)
    for r, step, w in _phases(times):
        wide[:, 1 + step : length + 1 + step] += (1 - w) * dy[:, :, r]
        wide[:, 2 + step : length + 2 + step] += w * dy[:, :, r]
    wide[:, 1] += wide[:, 0]
    wide[:, length] += wide[:, length + 1]
    out[...] = wide[:, 1:-1]
