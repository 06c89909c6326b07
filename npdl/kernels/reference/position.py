"""Positions in a sequence: learned, by sines, by rotation. Tables are made in float64, by + − · / alone."""

import decimal
import functools
import math

import numpy as np

HALF_PI = (float.fromhex("0x1.921fb54p+0"), float.fromhex("0x1.10b461p-30"), float.fromhex("0x1.a62633145c06ep-58"))
"""π/2 in three parts; a whole number below 2²² times the first or the second is exact."""
TERMS = 10  # of the series of sine and cosine up to π/4; the next one is below 2⁻⁶⁰


def sine_and_cosine(angles):
    """(sin, cos) of an array of float64 from 0 to 10⁶, with the same bits on every machine; errors below 2⁻⁵²."""
    k = np.rint(angles * (2 / math.pi))
    r = ((angles - k * HALF_PI[0]) - k * HALF_PI[1]) - k * HALF_PI[2]
    square, sine, cosine = r * r, np.zeros_like(r), np.zeros_like(r)
    for n in range(TERMS, 0, -1):
        sine = -square / (2 * n * (2 * n + 1)) * (1 + sine)
        cosine = -square / ((2 * n - 1) * 2 * n) * (1 + cosine)
    sine, cosine, quarter = r + r * sine, 1 + cosine, k % 4
    sines = np.select([quarter == 0, quarter == 1, quarter == 2], [sine, cosine, -sine], -cosine)
    cosines = np.select([quarter == 0, quarter == 1, quarter == 2], [cosine, -sine, -cosine], sine)
    return sines, cosines


@functools.lru_cache(64)
def table(places, size, max_wavelength, scaling):
    """(sin, cos) of t / scaling · max_wavelength^(−2i/size), each (places, ⌈size/2⌉), float64, not to be written."""
    with decimal.localcontext(prec=40):
        base = decimal.Decimal(max_wavelength)
        rates = [float(base ** (decimal.Decimal(-2 * i) / size)) for i in range((size + 1) // 2)]
    found = sine_and_cosine(np.arange(places, dtype=np.float64)[:, None] / scaling * np.array(rates))
    for array in found:
        array.flags.writeable = False
    return found


def add_positions(x, positions, *, out):
    """out[n, t] = x[n, t] + positions[t]

    Args:
        x: (N, T, D), or None for 0.
        positions: (T, D), or None for 0.
        out: (N, T, D); it may be x.
    """
    if x is None or positions is None:
        out[...] = 0 if x is positions else x if positions is None else positions
    else:
        np.add(x, positions, out=out)


def sine_positions(max_wavelength, *, out):
    """out[n, t, 2i] = sin(t w), out[n, t, 2i + 1] = cos(t w),   w = max_wavelength^(−2i/D)

    Args:
        max_wavelength: the longest wave is 2π times that.
        out: (N, T, D).
    """
    sines, cosines = table(out.shape[1], out.shape[2], max_wavelength, 1.0)
    out[..., 0::2] = sines
    out[..., 1::2] = cosines[:, : out.shape[2] // 2]


def rotate(x, max_wavelength, scaling, *, out, back=False):
    """Turn the pair of numbers (i, i + D/2) of place t by the angle φ = t / scaling · max_wavelength^(−2i/D).

        out[..., t, :, i] = x₁ cos φ − x₂ sin φ         x₁ = x[..., t, :, i]
        out[..., t, :, i + D/2] = x₂ cos φ + x₁ sin φ   x₂ = x[..., t, :, i + D/2]

    Args:
        x: (N, T, M, D), D even.
        max_wavelength, scaling: above 0.
        out: like x, which it is not.
        back: by −φ, which is also the gradient.
    """
    half = x.shape[3] // 2
    sines, cosines = (a[:, None].astype(x.dtype) for a in table(x.shape[1], x.shape[3], max_wavelength, scaling))
    sines = -sines if back else sines
    first, second = x[..., :half], x[..., half:]
    np.subtract(first * cosines, second * sines, out=out[..., :half])
    np.add(second * cosines, first * sines, out=out[..., half:])
