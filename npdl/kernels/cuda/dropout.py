"""Dropout and noise as numba.cuda kernels: the masks are the CPU's, bit for bit. A thread makes four words of philox.py
and has the four elements that they belong to; formulas: npdl/kernels/reference/dropout.py. `at` and `counted` are
what the driver's `counter` gives for the step.
"""

import math

from numba import cuda, float32, uint32

from npdl.kernels.checks import key_words
from npdl.kernels.cuda.kernel import Float, Floats, Int, Ints, Long, Longs, UInt, device, expect, kernel, launch_each
from npdl.kernels.cuda.philox import normal, philox, word_of
from npdl.kernels.cuda.strided import broadcast_strides, place_of, table_for
from npdl.kernels.cuda.wide import aligned, load, store
from npdl.kernels.reference.dropout import ALPHA_LOW, MASK_BITS, alpha_affine


@device
def step_of(step, at, counted):
    """The step itself, or where a graph repeats it the one that lies in memory."""
    return uint32(at[0]) if counted else step


@device
def kept_or(dropped, word, v, scale, shift, threshold):
    return scale * v + shift if word >> uint32(8) >= threshold else dropped


@kernel
def drop(
    x: Floats, out: Floats, size: Int, groups: Int, n: Long, wide: Int, scale: Float, shift: Float, dropped: Float,
    threshold: UInt, step: UInt, at: Ints, counted: Int, k0: UInt, k1: UInt,
):  # fmt: skip
    """out = scale · x + shift where kept; n groups of four elements, `groups` in each sample of `size` elements."""
    v = cuda.local.array(4, float32)
    now = step_of(step, at, counted)
    i = cuda.grid(1)
    while i < n:
        sample = i // groups
        e = i % groups * 4
        w0, w1, w2, w3 = philox(now, sample, e // 4, k0, k1)
        first = sample * size + e
        load(x, first, first - e + size, wide, v)
        v[0] = kept_or(dropped, w0, v[0], scale, shift, threshold)
        v[1] = kept_or(dropped, w1, v[1], scale, shift, threshold)
        v[2] = kept_or(dropped, w2, v[2], scale, shift, threshold)
        v[3] = kept_or(dropped, w3, v[3], scale, shift, threshold)
        store(out, first, first - e + size, wide, v)
        i += cuda.gridsize(1)


@kernel
def drop_together(
    x: Floats, out: Floats, table: Longs, axes: Int, size: Int, n: Long, scale: Float, shift: Float, dropped: Float,
    threshold: UInt, step: UInt, at: Ints, counted: Int, k0: UInt, k1: UInt,
):  # fmt: skip
    """A mask of a smaller shape, repeated along axes: each element computes its own word. n elements."""
    now = step_of(step, at, counted)
    i = cuda.grid(1)
    while i < n:
        word = word_of(now, i // size, place_of(i % size, table, axes), k0, k1)
        out[i] = kept_or(dropped, word, x[i], scale, shift, threshold)
        i += cuda.gridsize(1)


@device
def noisy(v, word, stddev, multiplies):
    z = stddev * normal(word)
    return v * (float32(1) + z) if multiplies else v + z


@kernel
def add_noise(
    x: Floats, out: Floats, size: Int, groups: Int, n: Long, wide: Int, stddev: Float, multiplies: Int, step: UInt,
    at: Ints, counted: Int, k0: UInt, k1: UInt,
):  # fmt: skip
    """out = x (1 + stddev z), or x + stddev z"""
    v = cuda.local.array(4, float32)
    now = step_of(step, at, counted)
    i = cuda.grid(1)
    while i < n:
        sample = i // groups
        e = i % groups * 4
        w0, w1, w2, w3 = philox(now, sample, e // 4, k0, k1)
        first = sample * size + e
        load(x, first, first - e + size, wide, v)
        v[0] = noisy(v[0], w0, stddev, multiplies)
        v[1] = noisy(v[1], w1, stddev, multiplies)
        v[2] = noisy(v[2], w2, stddev, multiplies)
        v[3] = noisy(v[3], w3, stddev, multiplies)
        store(out, first, first - e + size, wide, v)
        i += cuda.gridsize(1)


def _groups(kernel, x, out):
    """(elements of a sample, fours of elements in it, fours in all, whether those lie at multiples of 16 bytes)"""
    if not x.shape:
        raise ValueError(f"{kernel}: x must be (N, ...), got a single number")
    expect(kernel, "out", out, x.shape)
    size = x.size // len(x) if len(x) else 0
    return size, -(-size // 4), len(x) * -(-size // 4), int(size % 4 == 0 and aligned(x, out))


def _drop(kernel, x, rate, key, step, out, noise_shape, scale, shift=0.0, dropped=0.0):
    if not 0 <= rate <= 1:
        raise ValueError(f"{kernel}: rate must be from 0 to 1, got {rate!r}")
    size, groups, n, wide = _groups(kernel, x, out)
    words, shape = key_words(kernel, key), x.shape[1:]
    noise = shape if noise_shape is None else tuple(noise_shape)
    if len(noise) != len(shape) or any(m not in (1, s) for m, s in zip(noise, shape, strict=True)):
        raise ValueError(
            f"{kernel}: noise_shape {noise} does not broadcast over samples of shape {shape}; use 1s in it"
        )
    how = (scale, shift, dropped, math.ceil(rate * 2**MASK_BITS), *x.memory.driver.counter(step), *words)
    if noise == shape:
        launch_each(drop, n, x, out, size, groups, n, wide, *how)
    elif x.size:
        table, axes = table_for(x.memory.driver, shape, broadcast_strides(noise, shape))
        launch_each(drop_together, x.size, x, out, table, axes, size, x.size, *how)


def dropout(x, rate, key, step, *, out, noise_shape=None):
    """out = x / (1 − rate) where kept, else 0; out may be x."""
    _drop("dropout", x, rate, key, step, out, noise_shape, 1 / (1 - rate) if rate < 1 else 0.0)


def alpha_dropout(x, rate, key, step, *, out, noise_shape=None):
    """out = a x + b where kept, else a l + b; out may be x."""
    a, b = _alpha("alpha_dropout", rate)
    _drop("alpha_dropout", x, rate, key, step, out, noise_shape, a, b, a * ALPHA_LOW + b)


def alpha_dropout_grad(dy, rate, key, step, *, out, noise_shape=None):
    """out = a dy where kept, else 0; out may be dy."""
    a, _ = _alpha("alpha_dropout_grad", rate)
    _drop("alpha_dropout_grad", dy, rate, key, step, out, noise_shape, a)


def _alpha(kernel, rate):
    if not 0 <= rate < 1:
        raise ValueError(f"{kernel}: rate must be at least 0 and below 1, got {rate!r}")
    return alpha_affine(rate)


def _noise(kernel, x, stddev, multiplies, key, step, out):
    size, groups, n, wide = _groups(kernel, x, out)
    how = *x.memory.driver.counter(step), *key_words(kernel, key)
    launch_each(add_noise, n, x, out, size, groups, n, wide, stddev, multiplies, *how)


def gaussian_dropout(x, stddev, key, step, *, out):
    """out = x (1 + stddev · z); out may be x."""
    _noise("gaussian_dropout", x, stddev, 1, key, step, out)


def gaussian_noise(x, stddev, key, step, *, out):
    """out = x + stddev · z; out may be x."""
    _noise("gaussian_noise", x, stddev, 0, key, step, out)
