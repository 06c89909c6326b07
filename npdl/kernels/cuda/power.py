"""Powers of absolute values as numba.cuda kernels."""

import math

from numba import cuda, float32

from npdl.kernels.cuda.kernel import Float, Floats, Int, Long, device, expect, kernel, launch_each

ANY, ONE, TWO, HALF = range(4)
KINDS = {1: ONE, 2: TWO, 0.5: HALF}
"""Exponents that need no `pow`, which is a hundred instructions."""


@device
def sign(x):
    return float32(1) if x > float32(0) else (float32(-1) if x < float32(0) else x)


@kernel
def power_kernel(x: Floats, out: Floats, n: Long, exponent: Float, kind: Int):
    i = cuda.grid(1)
    while i < n:
        a = abs(x[i])
        if kind == TWO:
            a = a * a
        elif kind == HALF:
            a = math.sqrt(a)
        elif kind == ANY:
            a = math.pow(a, exponent)
        out[i] = a
        i += cuda.gridsize(1)


@kernel
def power_slope(dy: Floats, x: Floats, out: Floats, n: Long, exponent: Float, kind: Int):
    i = cuda.grid(1)
    while i < n:
        v = x[i]
        slope = sign(v)
        if kind == TWO:
            slope = v + v
        elif kind == HALF:
            slope = v if v == float32(0) else float32(0.5) / math.sqrt(abs(v)) * slope
        elif kind == ANY:
            slope = v if v == float32(0) else exponent * math.pow(abs(v), exponent - float32(1)) * slope
        out[i] = dy[i] * slope
        i += cuda.gridsize(1)


def power(x, exponent, *, out):
    """out = |x|^p"""
    expect("power", "out", out, x.shape)
    launch_each(power_kernel, x.size, x, out, x.size, exponent, KINDS.get(exponent, ANY))


def power_grad(dy, x, exponent, *, out):
    """dx = dy · p |x|^(p − 1) sign(x), and 0 where x is 0"""
    expect("power_grad", "dy", dy, x.shape)
    expect("power_grad", "out", out, x.shape)
    launch_each(power_slope, x.size, dy, x, out, x.size, exponent, KINDS.get(exponent, ANY))
