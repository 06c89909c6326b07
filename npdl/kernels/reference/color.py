"""Colours of images: turned and made stronger or paler, grey, inverted, of few levels."""

import numpy as np

WAYS = ("hsv", "gray", "solarize", "posterize")
LUMINANCE = (0.2989, 0.587, 0.114)
"""How much of red, green and blue is in grey."""


def recolor(x, way, numbers, low, high, *, out):
    """Each image in other colours, by two numbers a, b of its own.

        hsv         y_c = V − C' t_c         V = max of R, G, B,  C = V − min,  C' = max(0, min(b C, V − low))
                    t_c = max(0, min(k, 4 − k, 1)),  k = (5, 3, 1 for R, G, B) + h + 6 a  mod 6
                    h = (G − B)/C, 2 + (B − R)/C or 4 + (R − G)/C as R, G or B is the largest: the hue, in sixths
                    of a turn, is turned by a, and the saturation C / (V − low) is b times what it was, 1 at most
        gray        y_c = x_c + a (0.2989 R + 0.587 G + 0.114 B − x_c)
        solarize    y = r where r < b, else low + high − r         r = min(max(x + a, low), high)
        posterize   y = a ⌊u / a⌋ (high − low)/255 + low           u = (x − low) 255/(high − low), cut to 0 ... 255

    All y are cut to low ... high.

    Args:
        x: (N, ..., C); of hsv and gray C = 3.
        way: one of `WAYS`.
        numbers: (N, 2) float64 on the host: a and b of each image.
        low, high: the range of the pixels, finite but for gray.
        out: like x.
    """
    a, b = (np.asarray(numbers, x.dtype)[:, i].reshape(-1, *(1,) * (x.ndim - 1)) for i in (0, 1))
    low, high = x.dtype.type(low), x.dtype.type(high)
    out[...] = np.clip(_uncut(x, way, a, b, low, high), low, high)


def _uncut(x, way, a, b, low, high):
    if way == "hsv":
        value, _, chroma, t, *_ = _hsv(x, a, b, low)
        return value - chroma * t
    if way == "gray":
        return x + a * ((x * np.asarray(LUMINANCE, x.dtype)).sum(axis=-1, keepdims=True) - x)
    if way == "solarize":
        r = np.clip(x + a, low, high)
        return np.where(r < b, r, low + high - r)
    levels = np.clip((x - low) * (255 / (high - low)), 0, 255)
    return a * np.floor(levels / a) * ((high - low) / 255) + low


def _hsv(x, a, b, low):
    """V, C, C', t, dt/dk, (p − q)/C and the number of the largest channel, p and q being the two that follow it."""
    largest = x.argmax(axis=-1)[..., None]
    top, p, q = (np.take_along_axis(x, (largest + i) % 3, axis=-1) for i in range(3))
    chroma = top - np.minimum(p, q)
    ratio = (p - q) / np.where(chroma == 0, 1, chroma)
    k = (np.array([5, 3, 1], x.dtype) + 2 * largest.astype(x.dtype) + ratio + 6 * (a - np.floor(a))) % 6
    t = np.maximum(0, np.minimum(np.minimum(k, 4 - k), 1))
    slope = np.where((k > 0) & (k < 1), 1, np.where((k > 3) & (k < 4), -1, 0)).astype(x.dtype)
    return top, chroma, np.maximum(0, np.minimum(b * chroma, top - low)), t, slope, ratio, largest


def recolor_grad(dy, x, way, numbers, low, high, *, out):
    """dx of `recolor`; g = dy where low < y < high, else 0

        hsv         dV = Σ_c g_c,  dC' = −Σ_c g_c t_c,  e = Σ_c g_c t'_c C'/C, p and q the channels after the largest:
                    dp = −e,  dq = e,  dC = e (p − q)/C + b dC' where b C ≤ V − low; else dV takes dC' on
                    the largest gets dV + dC, the smallest −dC
        gray        dx_c = (1 − a) g_c + a (0.2989, 0.587, 0.114)_c Σ g
        solarize    dx = g where r < b, else −g;  0 where r is cut
        posterize   dx = 0

    Args:
        dy: like x.
        x, way, numbers, low, high: those of `recolor`.
        out: dx; it may be dy.
    """
    a, b = (np.asarray(numbers, x.dtype)[:, i].reshape(-1, *(1,) * (x.ndim - 1)) for i in (0, 1))
    low, high = x.dtype.type(low), x.dtype.type(high)
    y = _uncut(x, way, a, b, low, high)
    g = np.where((y > low) & (y < high), dy, 0)
    if way == "hsv":
        out[...] = _hsv_grad(g, x, a, b, low)
    elif way == "gray":
        out[...] = (1 - a) * g + a * np.asarray(LUMINANCE, x.dtype) * g.sum(axis=-1, keepdims=True)
    elif way == "solarize":
        r = x + a
        out[...] = np.where((r > low) & (r < high), np.where(r < b, g, -g), 0)
    else:
        out[...] = 0


def _hsv_grad(g, x, a, b, low):
    top, chroma, made, t, slope, ratio, largest = _hsv(x, a, b, low)
    e = (g * slope).sum(axis=-1, keepdims=True) * made / np.where(chroma == 0, 1, chroma)
    d_made, room = -(g * t).sum(axis=-1, keepdims=True), top - low
    within = b * chroma <= room
    d_chroma = e * ratio + np.where(within & (room > 0), b * d_made, 0)
    d_top = g.sum(axis=-1, keepdims=True) + np.where(within | (room <= 0), 0, d_made) + d_chroma
    p, q = (np.take_along_axis(x, (largest + i) % 3, axis=-1) for i in (1, 2))
    dx = np.empty_like(x)
    for i, part in enumerate((d_top, -e - np.where(p <= q, d_chroma, 0), e - np.where(p <= q, 0, d_chroma))):
        np.put_along_axis(dx, (largest + i) % 3, part, axis=-1)
    return dx
