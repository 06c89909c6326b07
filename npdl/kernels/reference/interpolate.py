"""Images resized: weighted sums of rows and of columns."""

import numpy as np


def _resample(x, axis, taps):
    """y[i] = Σ weight[p] x[index[p]] over the taps p of place i, along an axis"""
    x = np.moveaxis(x, axis, 0)
    y = np.zeros((taps.places, *x.shape[1:]), x.dtype)
    for i in range(taps.places):
        for p in range(taps.start[i], taps.start[i + 1]):
            y[i] += x.dtype.type(taps.weight[p]) * x[taps.place[p]]
    return np.moveaxis(y, 0, axis)


def _resample_grad(dy, axis, taps):
    """dx[index[p]] += weight[p] dy[i] for every tap p of every place i, along an axis"""
    dy = np.moveaxis(dy, axis, 0)
    dx = np.zeros((taps.size, *dy.shape[1:]), dy.dtype)
    for i in range(taps.places):
        for p in range(taps.start[i], taps.start[i + 1]):
            dx[taps.place[p]] += dy.dtype.type(taps.weight[p]) * dy[i]
    return np.moveaxis(dx, 0, axis)


def interpolate(x, rows, columns, *, out):
    """out[n, i, j, c] = Σ_p Σ_q v[p] w[q] x[n, r[p], k[q], c]  over the taps (r, v) of row i and (k, w) of column j

    Args:
        x: (N, H, W, C).
        rows, columns: `npdl.kernels.taps.Taps` from H to H' places, and from W to W'.
        out: (N, H', W', C).
    """
    out[...] = _resample(_resample(x, 1, rows), 2, columns)


def interpolate_grad(dy, rows, columns, *, out):
    """dx[n, r, k, c] = Σ v[p] w[q] dy[n, i, j, c]  over all taps with r[p] = r, k[q] = k: the transpose of the matrix

    Args:
        dy: (N, H', W', C).
        rows, columns: those of `interpolate`.
        out: dx (N, H, W, C).
    """
    out[...] = _resample_grad(_resample_grad(dy, 2, columns), 1, rows)
