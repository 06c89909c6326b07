"""Positions as numba.cuda kernels. Tables of sines are made on the host, in float64, and kept on the device."""

import numpy as np
from numba import cuda, float32

from npdl.kernels.cuda.kernel import Floats, Int, Long, expect, kernel, launch_each
from npdl.kernels.reference.position import table


@kernel
def add_kernel(x: Floats, positions: Floats, out: Floats, n: Long, span: Long, has_x: Int, has_positions: Int):
    """`span` numbers of `positions` are added to each sample."""
    i = cuda.grid(1)
    while i < n:
        v = float32(0)
        if has_x:
            v = x[i]
        if has_positions:
            v += positions[i % span]
        out[i] = v
        i += cuda.gridsize(1)


@kernel
def rotate_kernel(
    x: Floats, sines: Floats, cosines: Floats, out: Floats, n: Long, half: Int, heads: Int, places: Int, back: Int
):
    """A thread for each pair of numbers (j, j + half); n pairs in rows of one place and head each."""
    i = cuda.grid(1)
    while i < n:
        j = i % half
        row = i // half
        angle = row // heads % places * half + j
        cosine = cosines[angle]
        sine = -sines[angle] if back else sines[angle]
        at = row * (2 * half) + j
        first = x[at]
        second = x[at + half]
        out[at] = first * cosine - second * sine
        out[at + half] = second * cosine + first * sine
        i += cuda.gridsize(1)


def add_positions(x, positions, *, out):
    """out = x + positions, of each sample; None is 0, and out may be x."""
    expect("add_positions", "x", x, out.shape)
    expect("add_positions", "positions", positions, out.shape[1:])
    launch_each(
        add_kernel, out.size, x, positions, out, out.size, out.size // max(len(out), 1),
        int(x is not None), int(positions is not None),
    )  # fmt: skip


def sine_positions(max_wavelength, *, out):
    """out[n, t, 2i] = sin(t w), out[n, t, 2i + 1] = cos(t w), w = max_wavelength^(−2i/D)"""
    if not out.size:
        return
    _, places, size = out.shape
    driver = out.memory.driver

    def make():
        waves = np.empty((places, size), np.float32)
        sines, cosines = table(places, size, max_wavelength, 1.0)
        waves[:, 0::2], waves[:, 1::2] = sines, cosines[:, : size // 2]
        return driver.filled(waves)

    add_positions(None, driver.kept.get(("sine_positions", places, size, max_wavelength), make), out=out)


def rotate(x, max_wavelength, scaling, *, out, back=False):
    """out = x with its pairs of numbers turned by φ = t / scaling · max_wavelength^(−2i/D), by −φ where `back`."""
    expect("rotate", "out", out, x.shape)
    if len(x.shape) != 4 or x.shape[3] % 2:
        raise ValueError(f"rotate: x must be (N, T, M, D) with an even D, got shape {x.shape}")
    if not x.size:
        return
    _, places, heads, size = x.shape
    driver = x.memory.driver

    def make():
        return [driver.filled(a.astype(np.float32)) for a in table(places, size, max_wavelength, scaling)]

    waves = driver.kept.get(("rotate", places, size, max_wavelength, scaling), make)
    launch_each(rotate_kernel, x.size // 2, x, *waves, out, x.size // 2, size // 2, heads, places, int(back))
