"""Pixels: scaled and shifted, standardised, moved by affine maps, erased."""

import numpy as np

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
INTERPOLATIONS = ("nearest", "bilinear")


def rescale(x, scale, offset, *, out, center=0.0, low=-np.inf, high=np.inf):
    """out = min(max((x − center) · scale + offset, low), high)

    Args:
        x: (N, ...).
        scale, offset, center: numbers, or arrays that broadcast against x.
        low, high: between which the results are cut.
        out: like x; it may be x.
    """
    scale, offset, center = (np.asarray(part, x.dtype) for part in (scale, offset, center))
    out[...] = np.minimum(np.maximum((x - center) * scale + offset, x.dtype.type(low)), x.dtype.type(high))


def clip_grad(dy, y, low, high, *, out):
    """dx = dy where low < y < high, else 0: the gradient of cutting to low ... high, from its result y

    Args:
        dy, y: (N, ...).
        low, high: as of `rescale`.
        out: like dy; it may be dy.
    """
    out[...] = np.where((y > low) & (y < high), dy, 0)


def _deviation(variance, epsilon):
    return np.maximum(np.sqrt(variance), variance.dtype.type(epsilon))


def standardize(x, mean, variance, epsilon, *, out, invert=False):
    """out = (x − mean) / σ,  or back: out = x σ + mean;    σ = max(√variance, ε)

    Args:
        x: (N, ...).
        mean, variance: they broadcast against x.
        epsilon: ε.
        out: like x.
        invert: whether back.
    """
    sigma = _deviation(variance, epsilon)
    out[...] = x * sigma + mean if invert else (x - mean) / sigma


def standardize_grad(dy, variance, epsilon, *, out, invert=False):
    """dx = dy / σ,  or of the way back dx = dy σ

    Args:
        dy: (N, ...).
        variance, epsilon, invert: as of `standardize`.
        out: like dy; it may be dy.
    """
    sigma = _deviation(variance, epsilon)
    out[...] = dy * sigma if invert else dy / sigma


def _extended(place, size, fill_mode):
    """Where the number of a place beyond the ends of an axis is taken from; −1 is nowhere."""
    if fill_mode == "nearest":
        return np.clip(place, 0, size - 1)
    if fill_mode == "wrap":
        return place % size
    if fill_mode == "reflect":
        place = place % (2 * size)
        return np.where(place < size, place, 2 * size - 1 - place)
    return np.where((place >= 0) & (place < size), place, -1)


def _corners(transforms, made, size, dtype, interpolation, fill_mode):
    """(rows, columns, weight), each (N, H', W'), for the one or four pixels that a pixel of the result is made of."""
    i, j = np.arange(made[0], dtype=np.float64)[:, None], np.arange(made[1], dtype=np.float64)
    a0, a1, a2, b0, b1, b2 = np.asarray(transforms, np.float64).T[..., None, None]
    u, v = a0 * j + a1 * i + a2, b0 * j + b1 * i + b2
    if interpolation == "nearest":
        corners = [(np.floor(v + 0.5), np.floor(u + 0.5), np.ones(u.shape, dtype))]
    else:
        left, top = np.floor(u), np.floor(v)
        p, q = (u - left).astype(dtype), (v - top).astype(dtype)
        corners = [(top, left, (1 - q) * (1 - p)), (top, left + 1, (1 - q) * p)]
        corners += [(top + 1, left, q * (1 - p)), (top + 1, left + 1, q * p)]
    for row, column, weight in corners:
        yield (*(_extended(e.astype(np.int64), n, fill_mode) for e, n in zip((row, column), size)), weight)


def affine_sample(x, transforms, *, out, interpolation="bilinear", fill_mode="constant", fill_value=0.0):
    """Images moved, turned, stretched: pixel (i, j) of the result is what image n shows at (v, u).

        u = a₀ j + a₁ i + a₂        v = b₀ j + b₁ i + b₂
        nearest     out[n, i, j] = x[n, ⌊v + ½⌋, ⌊u + ½⌋]
        bilinear    out[n, i, j] = Σ of the four pixels around (v, u), each times (1 − distance) along both axes

    Beyond its edges an image goes on by `fill_mode`: constant k k | a b c | k k, nearest a a | a b c | c c, reflect
    b a | a b c | c b, wrap b c | a b c | a b.

    Args:
        x: (N, H, W, C).
        transforms: (N, 6) float64 on the host: a₀, a₁, a₂, b₀, b₁, b₂ of each image.
        out: (N, H', W', C).
        interpolation: one of `INTERPOLATIONS`.
        fill_mode: one of `FILL_MODES`.
        fill_value: k.
    """
    out[...] = 0
    images = np.arange(len(x))[:, None, None]
    for row, column, weight in _corners(transforms, out.shape[1:3], x.shape[1:3], x.dtype, interpolation, fill_mode):
        outside = ((row < 0) | (column < 0))[..., None]
        out += weight[..., None] * np.where(outside, x.dtype.type(fill_value), x[images, row, column])


def affine_sample_grad(dy, transforms, *, out, interpolation="bilinear", fill_mode="constant"):
    """dx[n, r, c] = Σ weight · dy[n, i, j] over the pixels (i, j) that were made of (r, c): the transpose

    Args:
        dy: (N, H', W', C).
        transforms, interpolation, fill_mode: those of `affine_sample`.
        out: dx (N, H, W, C).
    """
    out[...] = 0
    images = np.arange(len(dy))[:, None, None]
    for row, column, weight in _corners(transforms, dy.shape[1:3], out.shape[1:3], dy.dtype, interpolation, fill_mode):
        inside = (row >= 0) & (column >= 0)
        where = np.broadcast_to(images, row.shape)[inside], row[inside], column[inside]
        np.add.at(out, where, (weight[..., None] * dy)[inside])


def erase(x, boxes, fill, *, out):
    """out = x, but in the box of each image what `fill` holds there

    Args:
        x: (N, H, W, C).
        boxes: (N, 4) whole numbers on the host: first row, the one behind the last, first column, the one behind the
            last.
        fill: a number, C numbers, or an array like x.
        out: like x; it may be x.
    """
    fill = np.broadcast_to(np.asarray(fill, x.dtype), x.shape)
    if out is not x:
        out[...] = x
    for n, (top, bottom, left, right) in enumerate(boxes):
        out[n, top:bottom, left:right] = fill[n, top:bottom, left:right]
