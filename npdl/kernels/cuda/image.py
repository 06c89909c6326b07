"""Pixels as numba.cuda kernels: scaled and shifted, standardised, moved by affine maps, erased. A thread an element.

What is broadcast against x is not written out: a table (shape.py) says how far apart its numbers lie along each axis of
x. Numbers from the host are copied to the device first: those of each sample, which are drawn anew every step, into the
same room each time; others once, for good.
"""

import math

import numpy as np
from numba import cuda, float32, int64

from npdl.kernels.counted import through
from npdl.kernels.cuda.elementary import at_least, at_most
from npdl.kernels.cuda.index import over
from npdl.kernels.cuda.kernel import Float, Floats, Int, Ints, Long, Longs, device, expect, kernel, launch_each
from npdl.kernels.cuda.strided import broadcast_strides, joined, on_device
from npdl.kernels.reference.image import FILL_MODES, INTERPOLATIONS

WHOLE = 1 << 32
"""A pixel in the units in which places are counted exactly, in 64-bit integers."""
FRACTION = np.float32(1 / WHOLE)
"""One of these, in pixels."""
FARTHEST = 1 << 29
"""Pixels that a place may be away from the first one."""


@kernel
def rescale_kernel(
    x: Floats, center: Floats, scale: Floats, offset: Floats, out: Floats, n: Long, table: Longs, axes: Int,
    low: Float, high: Float,
):  # fmt: skip
    """out = min(max((x − center) · scale + offset, low), high); table: (size, strides) of each axis, the last first."""
    e = cuda.grid(1)
    while e < n:
        rest = e + 0
        at_center = 0
        at_scale = 0
        at_offset = 0
        for axis in range(axes):
            size = table[4 * axis]
            up = rest // size
            i = rest - up * size
            at_center += i * table[4 * axis + 1]
            at_scale += i * table[4 * axis + 2]
            at_offset += i * table[4 * axis + 3]
            rest = up
        v = (x[e] - center[at_center]) * scale[at_scale] + offset[at_offset]
        out[e] = at_most(at_least(v, low), high)
        e += cuda.gridsize(1)


@kernel
def clip_grad_kernel(dy: Floats, y: Floats, out: Floats, n: Long, low: Float, high: Float):
    e = cuda.grid(1)
    while e < n:
        out[e] = dy[e] if y[e] > low and y[e] < high else float32(0)
        e += cuda.gridsize(1)


@kernel
def standardize_kernel(
    x: Floats, mean: Floats, variance: Floats, out: Floats, n: Long, table: Longs, axes: Int, epsilon: Float, way: Int
):
    """way 0: (x − mean) / σ, 1: x σ + mean, 2: x / σ, 3: x σ;  σ = max(√variance, ε)"""
    e = cuda.grid(1)
    while e < n:
        rest = e + 0
        at_mean = 0
        at_variance = 0
        for axis in range(axes):
            size = table[3 * axis]
            up = rest // size
            at_mean += (rest - up * size) * table[3 * axis + 1]
            at_variance += (rest - up * size) * table[3 * axis + 2]
            rest = up
        sigma = at_least(math.sqrt(variance[at_variance]), epsilon)
        shift = mean[at_mean] if way < 2 else float32(0)
        out[e] = x[e] * sigma + shift if way == 1 or way == 3 else (x[e] - shift) / sigma
        e += cuda.gridsize(1)


@device
def reached(maps, first, i, j, linear):
    """Where a map of three numbers takes pixel (i, j), in units of 2⁻³² pixels; plus ½ for the nearest pixel."""
    at = maps[first] * j + maps[first + 1] * i + maps[first + 2]
    return at if linear else at + (int64(1) << 31)


@device
def extended(place, size, mode):
    """Where the number of a place beyond the ends of an axis is taken from; −1: nowhere. Modes as in FILL_MODES."""
    if place >= 0 and place < size:
        return place + 0
    if mode == 1:
        return 0 if place < 0 else size - 1
    if mode == 2:
        twice = place % (2 * size)
        return twice if twice < size else 2 * size - 1 - twice
    if mode == 3:
        return place % size
    return -1


@kernel
def affine_kernel(
    x: Floats, maps: Longs, out: Floats, n: Long, in_h: Int, in_w: Int, out_h: Int, out_w: Int, channels: Int,
    linear: Int, mode: Int, fill: Float,
):  # fmt: skip
    """out[n, i, j] = image n at v = b₀ j + b₁ i + b₂, u = a₀ j + a₁ i + a₂, in units of 2⁻³² pixels."""
    e = cuda.grid(1)
    while e < n:
        place = e // channels
        line = over(place, out_w)
        sample = over(line, out_h)
        j = place - line * out_w
        i = line - sample * out_h
        u = reached(maps, 6 * sample, i, j, linear)
        v = reached(maps, 6 * sample + 3, i, j, linear)
        left = u >> 32
        top = v >> 32
        p = float32(u - (left << 32)) * FRACTION
        q = float32(v - (top << 32)) * FRACTION
        total = float32(0)
        for corner in range(4 if linear else 1):
            down = corner >> 1
            right = corner & 1
            row = extended(top + down, in_h, mode)
            column = extended(left + right, in_w, mode)
            value = fill
            if row >= 0 and column >= 0:
                value = x[((sample * in_h + row) * in_w + column) * channels + e - place * channels]
            weight = float32(1)
            if linear:
                weight = (q if down else float32(1) - q) * (p if right else float32(1) - p)
            total += weight * value
        out[e] = total
        e += cuda.gridsize(1)


@kernel
def affine_grad_kernel(
    dy: Floats, maps: Longs, dx: Floats, n: Long, in_h: Int, in_w: Int, out_h: Int, out_w: Int, channels: Int,
    linear: Int, mode: Int,
):  # fmt: skip
    """dx[n, row, column] = Σ weight · dy[n, i, j] over the pixels (i, j) that were made of it.

    A thread has one channel of one image to itself and goes over the pixels in their order: which of them were made of
    one place is hard to say beforehand, with edges that repeat, and a map may be one to which there is no way back. A
    model in training runs this only for what it learns below an augmentation.
    """
    e = cuda.grid(1)
    while e < n:
        sample = e // channels
        start = sample * in_h * in_w * channels + e - sample * channels
        for place in range(in_h * in_w):
            dx[start + place * channels] = float32(0)
        for place in range(out_h * out_w):
            i = over(place, out_w)
            j = place - i * out_w
            u = reached(maps, 6 * sample, i, j, linear)
            v = reached(maps, 6 * sample + 3, i, j, linear)
            left = u >> 32
            top = v >> 32
            p = float32(u - (left << 32)) * FRACTION
            q = float32(v - (top << 32)) * FRACTION
            d = dy[(sample * out_h * out_w + place) * channels + e - sample * channels]
            for corner in range(4 if linear else 1):
                down = corner >> 1
                right = corner & 1
                row = extended(top + down, in_h, mode)
                column = extended(left + right, in_w, mode)
                if row >= 0 and column >= 0:
                    weight = float32(1)
                    if linear:
                        weight = (q if down else float32(1) - q) * (p if right else float32(1) - p)
                    dx[start + (row * in_w + column) * channels] += weight * d
        e += cuda.gridsize(1)


@kernel
def erase_kernel(
    x: Floats, boxes: Ints, fill: Floats, out: Floats, n: Long, height: Int, width: Int, channels: Int,
    image_step: Int, channel_step: Int,
):  # fmt: skip
    """out = x, but in the box (top, bottom, left, right) of each image what `fill` holds there."""
    e = cuda.grid(1)
    while e < n:
        place = e // channels
        line = over(place, width)
        sample = over(line, height)
        column = place - line * width
        row = line - sample * height
        inside = row >= boxes[4 * sample] and row < boxes[4 * sample + 1]
        if inside and column >= boxes[4 * sample + 2] and column < boxes[4 * sample + 3]:
            out[e] = fill[place * image_step + (e - place * channels) * channel_step]
        else:
            out[e] = x[e]
        e += cuda.gridsize(1)


# ---- numbers from the host


def _on_device(driver, name, value, anew):
    """A number or host array on the device; one that is drawn anew every step in a room of its own."""
    if hasattr(value, "memory"):
        return value
    host = through(lambda given: np.ascontiguousarray(given, np.float32), value)
    if anew:
        return driver.numbers(host, name)
    return driver.kept.get(("numbers", host.shape, host.tobytes()), lambda: driver.filled(host))


def _against(kernel, x, **parameters):
    """The parameters on the device; the table of their strides along the axes of x there, and its length."""
    shapes = [np.shape(value) for value in parameters.values()]
    try:
        if np.broadcast_shapes(x.shape, *shapes) != x.shape:
            raise ValueError
    except ValueError:
        given = ", ".join(f"{name} of shape {shape}" for name, shape in zip(parameters, shapes))
        raise ValueError(f"{kernel}: {given} must broadcast against x of shape {x.shape}") from None
    driver, rank = x.memory.driver, len(x.shape)
    rows = joined(x.shape, *(broadcast_strides(shape, x.shape) for shape in shapes))
    if not rows or not any(step for _, *steps in rows for step in steps):
        rows = ()  # numbers alone
    arrays = [
        _on_device(driver, f"{kernel} {name}", value, len(shape) == rank)
        for (name, value), shape in zip(parameters.items(), shapes)
    ]
    return arrays, on_device(driver, rows) if rows else None, len(rows)


# ---- the family


def rescale(x, scale, offset, *, out, center=0.0, low=-np.inf, high=np.inf):
    """out = min(max((x − center) · scale + offset, low), high); out may be x."""
    expect("rescale", "out", out, x.shape)
    arrays, table, axes = _against("rescale", x, center=center, scale=scale, offset=offset)
    launch_each(rescale_kernel, x.size, x, *arrays, out, x.size, table, axes, low, high)


def clip_grad(dy, y, low, high, *, out):
    """dx = dy where low < y < high, else 0; out may be dy."""
    expect("clip_grad", "y", y, dy.shape)
    expect("clip_grad", "out", out, dy.shape)
    launch_each(clip_grad_kernel, dy.size, dy, y, out, dy.size, low, high)


def standardize(x, mean, variance, epsilon, *, out, invert=False):
    """out = (x − mean) / σ, or x σ + mean"""
    expect("standardize", "out", out, x.shape)
    arrays, table, axes = _against("standardize", x, mean=mean, variance=variance)
    launch_each(standardize_kernel, x.size, x, *arrays, out, x.size, table, axes, epsilon, 1 if invert else 0)


def standardize_grad(dy, variance, epsilon, *, out, invert=False):
    """dx = dy / σ, or dy σ; out may be dy."""
    expect("standardize_grad", "out", out, dy.shape)
    arrays, table, axes = _against("standardize_grad", dy, mean=0.0, variance=variance)
    launch_each(standardize_kernel, dy.size, dy, *arrays, out, dy.size, table, axes, epsilon, 3 if invert else 2)


def _maps(kernel, driver, transforms, made):
    """The transforms on the device, in units of 2⁻³² pixels."""
    return driver.numbers(through(lambda given: _in_units(kernel, np.asarray(given, np.float64), made), transforms))


def _in_units(kernel, transforms, made):
    far = np.abs(transforms) @ np.array([made[1], made[0], 1, 0, 0, 0])
    far = np.maximum(far, np.abs(transforms) @ np.array([0, 0, 0, made[1], made[0], 1]))
    if not (far < FARTHEST).all():
        raise ValueError(
            f"{kernel}: transforms must keep all places within {FARTHEST} pixels, got {transforms.tolist()}"
        )
    return np.rint(transforms * WHOLE).astype(np.int64)


def _affine(kernel, name, x, transforms, out, large, small, interpolation, fill_mode):
    """The maps, and the numbers that both kernels take; large are the images, small what is made of them."""
    for own, array in ((name, x), ("out", out)):
        if len(array.shape) != 4:
            raise ValueError(f"{kernel}: {own} must be images (N, height, width, channels), got {array.shape}")
    for own, value, known in (("interpolation", interpolation, INTERPOLATIONS), ("fill_mode", fill_mode, FILL_MODES)):
        if value not in known:
            raise ValueError(f"{kernel}: {own} must be one of {', '.join(known)}, got {value!r}")
    expect(kernel, "out", out, (len(x), *out.shape[1:3], x.shape[3]))
    expect(kernel, "transforms", np.asarray(transforms), (len(x), 6))
    if not large.size and small.size:
        raise ValueError(f"{kernel}: nothing can be taken from images of shape {large.shape}")
    sizes = (*large.shape[1:3], *small.shape[1:])
    maps = _maps(kernel, out.memory.driver, transforms, small.shape[1:3]) if out.size else None
    return maps, (*sizes, int(interpolation == "bilinear"), FILL_MODES.index(fill_mode))


def affine_sample(x, transforms, *, out, interpolation="bilinear", fill_mode="constant", fill_value=0.0):
    """out[n, i, j] = image n at v = b₀ j + b₁ i + b₂, u = a₀ j + a₁ i + a₂"""
    maps, numbers = _affine("affine_sample", "x", x, transforms, out, x, out, interpolation, fill_mode)
    launch_each(affine_kernel, out.size, x, maps, out, out.size, *numbers, fill_value)


def affine_sample_grad(dy, transforms, *, out, interpolation="bilinear", fill_mode="constant"):
    """dx = the transpose of that"""
    maps, numbers = _affine("affine_sample_grad", "dy", dy, transforms, out, out, dy, interpolation, fill_mode)
    count = out.shape[0] * out.shape[3] if out.size else 0
    launch_each(affine_grad_kernel, count, dy, maps, out, count, *numbers)


def erase(x, boxes, fill, *, out):
    """out = x, but `fill` in the box of each image; out may be x."""
    if len(x.shape) != 4:
        raise ValueError(f"erase: x must be images (N, height, width, channels), got shape {x.shape}")
    expect("erase", "out", out, x.shape)
    boxes = through(lambda given: np.ascontiguousarray(given, np.int32), boxes)
    expect("erase", "boxes", boxes, (len(x), 4))
    shape = np.shape(fill)
    if shape not in ((), (1,), x.shape[3:], x.shape):
        raise ValueError(
            f"erase: fill must be a number, one a channel, or like x of shape {x.shape}, got shape {shape}"
        )
    if x.size:
        driver, every = x.memory.driver, shape == x.shape
        steps = (x.shape[3] if every else 0, 0 if shape in ((), (1,)) else 1)
        given = _on_device(driver, "erase fill", fill, every)
        launch_each(erase_kernel, x.size, x, driver.numbers(boxes), given, out, x.size, *x.shape[1:], *steps)
