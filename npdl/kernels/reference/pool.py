"""Pooling over windows and over whole images, channels last.

x (N, H, W, C) and y (N, OH, OW, C); the window g is an `npdl.kernels.geometry.Window2D`: y[i, j] covers the places
x[i·stride_h − pad_top + p·dilation_h, j·stride_w − pad_left + q·dilation_w], tap t = p·KW + q. Places outside the image
take no part. (A window that has none inside, which only a dilated one can, gives −∞ in max and 0 in average pooling.)
"""

import numpy as np

from npdl.kernels.checks import needs_y, wants_relu


def _axis(tap, size, out, stride, pad, dilation):
    """(outputs, inputs): the slices of one axis on which this tap falls inside the image."""
    offset = tap * dilation - pad
    first = max(-(offset // stride), 0)
    last = min((size - 1 - offset) // stride, out - 1)
    count = max(last - first + 1, 0)
    start = first * stride + offset
    return slice(first, first + count), slice(start, start + (count - 1) * stride + 1 if count else start, stride)


def _taps(g):
    """For each tap t of the window: (t, where y is reached by it, which x it reads there)."""
    for p in range(g.kernel_h):
        rows, x_rows = _axis(p, g.in_h, g.out_h, g.stride_h, g.pad_top, g.dilation_h)
        for q in range(g.kernel_w):
            cols, x_cols = _axis(q, g.in_w, g.out_w, g.stride_w, g.pad_left, g.dilation_w)
            if rows.start < rows.stop and cols.start < cols.stop:
                yield p * g.kernel_w + q, (slice(None), rows, cols), (slice(None), x_rows, x_cols)


def max_pool2d(x, g, *, out, winners=None, activation=None):
    """out = a(max over the window); the first maximum wins, and a NaN wins over every number.

    Args:
        x: (N, H, W, C).
        g: the window.
        out: (N, OH, OW, C).
        winners: (N, OH, OW, C), receives the tap t of the maximum: uint8, or int32 for windows of more than 256 taps.
        activation: a, the plain ReLU of npdl/activations/, or None. The winners are those of x either way.
    """
    relu = wants_relu("max_pool2d", activation)
    out[...] = -np.inf
    best = np.full(out.shape, -1)
    for t, here, there in _taps(g):
        value, top = x[there], out[here]
        wins = (best[here] < 0) | (value > top) | (np.isnan(value) & ~np.isnan(top))
        out[here] = np.where(wins, value, top)
        best[here] = np.where(wins, t, best[here])
    if winners is not None:
        winners[...] = np.maximum(best, 0)
    if relu:
        out[...] = np.maximum(out, 0)


def max_pool2d_grad(dy, winners, g, *, out, y=None, activation=None):
    """dx[place] = Σ dy of the windows that this place won; after ReLU, of those among them whose y > 0

    Args:
        dy, winners: (N, OH, OW, C).
        g: the window.
        out: dx (N, H, W, C).
        y: (N, OH, OW, C), what `max_pool2d` gave; read only where there is an activation.
        activation: as of `max_pool2d`.
    """
    if wants_relu("max_pool2d_grad", activation):
        needs_y("max_pool2d_grad", y)
        dy = np.where(y > 0, dy, 0)
    out[...] = 0
    for t, here, there in _taps(g):
        out[there] += np.where(winners[here] == t, dy[here], 0)


def _count(g):
    """(1, OH, OW, 1): places of each window inside the image."""
    count = np.zeros((1, g.out_h, g.out_w, 1), np.int64)
    for _, here, _ in _taps(g):
        count[here] += 1
    return np.maximum(count, 1)


def average_pool2d(x, g, *, out):
    """out = mean over those places of the window that lie inside the image

    Args:
        x: (N, H, W, C).
        g: the window.
        out: (N, OH, OW, C).
    """
    out[...] = 0
    for _, here, there in _taps(g):
        out[here] += x[there]
    out[...] = out / _count(g)


def average_pool2d_grad(dy, g, *, out):
    """dx[place] = Σ dy / count, over the windows that hold this place

    Args:
        dy: (N, OH, OW, C).
        g: the window.
        out: dx (N, H, W, C).
    """
    share = dy / _count(g)
    out[...] = 0
    for _, here, there in _taps(g):
        out[there] += share[here]


def global_max_pool2d(x, *, out, winners=None):
    """out[n, c] = max over x[n, :, :, c]; the first maximum wins, and a NaN wins over every number.

    Args:
        x: (N, H, W, C).
        out: (N, C).
        winners: (N, C) int32, receives the place h·W + w of the maximum.
    """
    n, h, w, c = x.shape
    places = x.reshape(n, h * w, c)
    best = places.argmax(axis=1)
    out[...] = np.take_along_axis(places, best[:, None], axis=1)[:, 0]
    if winners is not None:
        winners[...] = best


def global_max_pool2d_grad(dy, winners, *, out):
    """dx[n, place, c] = dy[n, c] where the place won, else 0

    Args:
        dy, winners: (N, C).
        out: dx (N, H, W, C).
    """
    n, h, w, c = out.shape
    place = np.arange(h * w).reshape(1, h, w, 1)
    out[...] = np.where(place == winners.reshape(n, 1, 1, c), dy.reshape(n, 1, 1, c), 0)


def global_average_pool2d(x, *, out):
    """out[n, c] = Σ x[n, :, :, c] / (H W)

    Args:
        x: (N, H, W, C).
        out: (N, C).
    """
    out[...] = x.mean(axis=(1, 2))


def global_average_pool2d_grad(dy, *, out):
    """dx[n, h, w, c] = dy[n, c] / (H W)

    Args:
        dy: (N, C).
        out: dx (N, H, W, C).
    """
    n, h, w, c = out.shape
    out[...] = dy.reshape(n, 1, 1, c) / (h * w)


def mean_of_counted(y, mask, *, out):
    """out[n, c] = y[n, c] T / Σ_t mask[n, t]: a mean over T steps as one over those that count; 0 where none does

    Args:
        y: (N, C), with 0 at the steps that do not count.
        mask: (N, T), bool.
        out: (N, C); may be y.
    """
    count = np.maximum(np.count_nonzero(mask, axis=1), 1)
    np.multiply(y, (mask.shape[1] / count).astype(y.dtype)[:, None], out=out)
