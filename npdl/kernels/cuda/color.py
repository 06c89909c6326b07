"""Images in other colours, as numba.cuda kernels: a thread a pixel of three colours, or a number."""

import numpy as np
from numba import cuda, float32, int64

from npdl.kernels.counted import through
from npdl.kernels.cuda.elementary import at_least, at_most
from npdl.kernels.cuda.index import over
from npdl.kernels.cuda.kernel import Float, Floats, Int, Long, device, expect, kernel, launch_each
from npdl.kernels.reference.color import LUMINANCE, WAYS

RED, GREEN, BLUE = (np.float32(weight) for weight in LUMINANCE)


@device
def place_in_six(k):
    """A sixth of a turn from 0 on and below 17, as one below 6."""
    return k - (float32(12) if k >= float32(12) else (float32(6) if k >= float32(6) else float32(0)))


@device
def share_of(k):
    """t of `recolor`: how far a colour is below the largest, in parts of the chroma."""
    return at_most(at_least(at_most(k, float32(4) - k), float32(0)), float32(1))


@device
def slope_of(k):
    """dt/dk"""
    if k > float32(0) and k < float32(1):
        return float32(1)
    return float32(-1) if k > float32(3) and k < float32(4) else float32(0)


@device
def uncut(dy, y, low, high):
    return dy if y > low and y < high else float32(0)


@kernel
def hsv_kernel(
    x: Floats, dy: Floats, numbers: Floats, out: Floats, n: Long, size: Int, low: Float, high: Float,
    grad: Int,
):  # fmt: skip
    """n pixels, `size` an image."""
    e = cuda.grid(1)
    while e < n:
        image = over(e, size)
        turn = float32(6) * numbers[2 * image]
        strength = numbers[2 * image + 1] + float32(0)
        at = 3 * e
        largest = 0
        if x[at + 1] > x[at]:
            largest = 2 if x[at + 2] > x[at + 1] else 1
        elif x[at + 2] > x[at]:
            largest = 2
        following = 0 if largest == 2 else largest + 1
        last = 3 - largest - following
        top = x[at + largest] + float32(0)
        p = x[at + following] + float32(0)
        q = x[at + last] + float32(0)
        chroma = top - at_most(p, q)
        by = float32(1) if chroma == float32(0) else chroma
        ratio = (p - q) / by
        room = top - low
        much = strength * chroma
        within = much <= room
        made = float32(0) if room <= float32(0) else (much if within else room)
        hue = ratio + float32(2 * largest) + turn
        k0 = place_in_six(hue + float32(5))
        k1 = place_in_six(hue + float32(3))
        k2 = place_in_six(hue + float32(1))
        y0 = top - made * share_of(k0)
        y1 = top - made * share_of(k1)
        y2 = top - made * share_of(k2)
        if grad:
            g0 = uncut(dy[at], y0, low, high)
            g1 = uncut(dy[at + 1], y1, low, high)
            g2 = uncut(dy[at + 2], y2, low, high)
            made_grad = -(g0 * share_of(k0) + g1 * share_of(k1) + g2 * share_of(k2))
            turned = (g0 * slope_of(k0) + g1 * slope_of(k1) + g2 * slope_of(k2)) * made / by
            chroma_grad = turned * ratio
            top_grad = g0 + g1 + g2
            if within and room > float32(0):
                chroma_grad += strength * made_grad
            elif room > float32(0):
                top_grad += made_grad
            out[at + largest] = top_grad + chroma_grad
            out[at + following] = -turned - (chroma_grad if p <= q else float32(0))
            out[at + last] = turned - (float32(0) if p <= q else chroma_grad)
        else:
            out[at] = at_most(at_least(y0, low), high)
            out[at + 1] = at_most(at_least(y1, low), high)
            out[at + 2] = at_most(at_least(y2, low), high)
        e += cuda.gridsize(1)


@kernel
def gray_kernel(
    x: Floats, dy: Floats, numbers: Floats, out: Floats, n: Long, size: Int, low: Float, high: Float,
    grad: Int,
):  # fmt: skip
    """n pixels, `size` an image."""
    e = cuda.grid(1)
    while e < n:
        share = numbers[2 * over(e, size)] + float32(0)
        at = 3 * e
        gray = RED * x[at] + GREEN * x[at + 1] + BLUE * x[at + 2]
        y0 = x[at] + share * (gray - x[at])
        y1 = x[at + 1] + share * (gray - x[at + 1])
        y2 = x[at + 2] + share * (gray - x[at + 2])
        if grad:
            g0 = uncut(dy[at], y0, low, high)
            g1 = uncut(dy[at + 1], y1, low, high)
            g2 = uncut(dy[at + 2], y2, low, high)
            total = share * (g0 + g1 + g2)
            out[at] = (float32(1) - share) * g0 + RED * total
            out[at + 1] = (float32(1) - share) * g1 + GREEN * total
            out[at + 2] = (float32(1) - share) * g2 + BLUE * total
        else:
            out[at] = at_most(at_least(y0, low), high)
            out[at + 1] = at_most(at_least(y1, low), high)
            out[at + 2] = at_most(at_least(y2, low), high)
        e += cuda.gridsize(1)


@kernel
def solarize_kernel(
    x: Floats, dy: Floats, numbers: Floats, out: Floats, n: Long, size: Int, low: Float, high: Float,
    grad: Int,
):  # fmt: skip
    """n numbers, `size` an image."""
    e = cuda.grid(1)
    while e < n:
        image = over(e, size)
        r = x[e] + numbers[2 * image]
        threshold = numbers[2 * image + 1] + float32(0)
        cut = at_most(at_least(r, low), high)
        y = cut if cut < threshold else low + high - cut
        if grad:
            g = uncut(uncut(dy[e], y, low, high), r, low, high)
            out[e] = g if r < threshold else -g
        else:
            out[e] = y
        e += cuda.gridsize(1)


@kernel
def posterize_kernel(
    x: Floats, dy: Floats, numbers: Floats, out: Floats, n: Long, size: Int, low: Float, high: Float,
    grad: Int,
):  # fmt: skip
    """n numbers, `size` an image."""
    e = cuda.grid(1)
    while e < n:
        step = numbers[2 * over(e, size)] + float32(0)
        if grad:
            out[e] = float32(0)
        else:
            level = at_most(at_least((x[e] - low) * (float32(255) / (high - low)), float32(0)), float32(255))
            y = step * float32(int64(level / step)) * ((high - low) / float32(255)) + low
            out[e] = at_most(at_least(y, low), high)
        e += cuda.gridsize(1)


KERNELS = dict(zip(WAYS, (hsv_kernel, gray_kernel, solarize_kernel, posterize_kernel)))


def _run(name, x, dy, way, numbers, low, high, out):
    if way not in WAYS:
        raise ValueError(f"{name}: way must be one of {', '.join(WAYS)}, got {way!r}")
    pixels = way in ("hsv", "gray")
    if pixels and x.shape[-1:] != (3,):
        raise ValueError(f"{name}: x must have red, green and blue as its last axis, got shape {x.shape}")
    expect(name, "dy", dy, x.shape)
    expect(name, "out", out, x.shape)
    numbers = through(lambda given: _rounded(np.array(given, np.float64), way), numbers)
    expect(name, "numbers", numbers, (len(x), 2))
    if x.size:
        count = x.size // 3 if pixels else x.size
        given = x.memory.driver.numbers(numbers, name)
        launch_each(KERNELS[way], count, x, dy, given, out, count, count // len(x), low, high, int(dy is not None))


def _rounded(numbers, way):
    """The numbers as a kernel takes them; a turn by part of a circle is one of 0 ... 1."""
    if way == "hsv":
        numbers[:, 0] -= np.floor(numbers[:, 0])
    return numbers.astype(np.float32)


def recolor(x, way, numbers, low, high, *, out):
    """out = x in other colours"""
    _run("recolor", x, None, way, numbers, low, high, out)


def recolor_grad(dy, x, way, numbers, low, high, *, out):
    """dx of it; out may be dy."""
    _run("recolor_grad", x, dy, way, numbers, low, high, out)
