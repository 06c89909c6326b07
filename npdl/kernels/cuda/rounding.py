"""Rounding to numbers of 16 bits as numba.cuda kernels: to float32 again, or to the 16 bits that cuBLAS multiplies.

A float32 without its sign, as a whole number a = 2²³ · exponent + digits, grows with the number that it stands for. So
adding half of the last place that stays carries where it must, into the exponent too:

    (a + half − 1 + the digit that stays) with the lower digits cut off         half = 2^(d − 1), d digits are lost

rounds to the nearest, of two as near to the even one. bfloat16 loses 16 digits. float16 loses 13, and one more for each
power of two below 2⁻¹⁴.
"""

import numpy as np
from numba import cuda, uint16, uint32

from npdl.kernels.cuda.kernel import Floats, Int, Long, Shorts, device, expect, kernel, launch_each

HALVES = {"bfloat16": 0, "float16": 1}


@device
def nearest(a, half):
    """The bits of the nearest number that 16 bits hold, as float32; `a` without its sign."""
    if a > uint32(0x7F800000):  # NaN
        return uint32(0x7FC00000)
    lost = uint32(16)
    if half:
        if a >= uint32(0x477FF000):  # 65520
            return uint32(0x7F800000)
        if a < uint32(0x33800000):  # 2⁻²⁴, the least: above a half of it that, else 0
            return uint32(0x33800000) if a > uint32(0x33000000) else uint32(0)
        exponent = uint32(a >> uint32(23))
        lost = uint32(13) if exponent >= uint32(113) else uint32(uint32(126) - exponent)
    odd = uint32(uint32(a >> lost) & uint32(1))
    a = uint32(a + uint32(uint32(1) << uint32(lost - uint32(1))) - uint32(1) + odd)
    return uint32(uint32(a >> lost) << lost)


@device
def narrowed(bits, half):
    """A float32's bits as the 16 bits of the nearest bfloat16 or float16."""
    sign = uint32(uint32(bits >> uint32(16)) & uint32(0x8000))
    a = nearest(uint32(bits & uint32(0x7FFFFFFF)), half)
    if not half:
        return uint32(sign | uint32(a >> uint32(16)))
    if a >= uint32(0x7F800000):
        return uint32(sign | (uint32(0x7C00) if a == uint32(0x7F800000) else uint32(0x7E00)))
    if a < uint32(0x33800000):
        return sign
    exponent = uint32(a >> uint32(23))
    if exponent >= uint32(113):  # 2⁻¹⁴: the exponents differ by 112
        return uint32(sign | uint32(uint32(a >> uint32(13)) - uint32(112 << 10)))
    digits = uint32(uint32(a & uint32(0x7FFFFF)) | uint32(0x800000))
    return uint32(sign | uint32(digits >> uint32(uint32(126) - exponent)))


@device
def store_narrow(out, i, stop, half, numbers):
    """out[i : i + 4] = the 16 bits of four numbers, nothing from `stop` on: how an update ends that keeps a copy."""
    for k in range(4):
        if i + k < stop:
            out[i + k] = uint16(narrowed(np.float32(numbers[k]).view(np.uint32), half))


@kernel
def round_kernel(x: Floats, out: Floats, n: Long, half: Int):
    i = cuda.grid(1)
    while i < n:
        bits = np.float32(x[i]).view(np.uint32)
        sign = uint32(bits & uint32(0x80000000))
        bits = np.uint32(sign | nearest(uint32(bits & uint32(0x7FFFFFFF)), half))
        out[i] = bits.view(np.float32)
        i += cuda.gridsize(1)


@kernel
def narrow_kernel(x: Floats, out: Shorts, n: Long, half: Int):
    i = cuda.grid(1)
    while i < n:
        out[i] = uint16(narrowed(np.float32(x[i]).view(np.uint32), half))
        i += cuda.gridsize(1)


@kernel
def narrow_columns_kernel(x: Floats, out: Shorts, n: Long, half: Int, width: Int, leading: Int):
    """Of a matrix some columns: `width` of each `leading` numbers."""
    i = cuda.grid(1)
    while i < n:
        out[i] = uint16(narrowed(np.float32(x[i // width * leading + i % width]).view(np.uint32), half))
        i += cuda.gridsize(1)


def round_bfloat16(x, *, out):
    """out = the bfloat16 nearest to x"""
    expect("round_bfloat16", "out", out, x.shape)
    launch_each(round_kernel, x.size, x, out, x.size, HALVES["bfloat16"])


def round_float16(x, *, out):
    """out = the float16 nearest to x"""
    expect("round_float16", "out", out, x.shape)
    launch_each(round_kernel, x.size, x, out, x.size, HALVES["float16"])


def narrow(x, kind, *, out):
    """out = the 16 bits of the nearest "bfloat16" or "float16", an array of uint16."""
    expect("narrow", "out", out, x.shape)
    launch_each(narrow_kernel, x.size, x, out, x.size, HALVES[kind])


def narrow_columns(x, kind, *, out):
    """`narrow` of the `Columns` of a matrix; out is a matrix of that shape."""
    expect("narrow_columns", "out", out, x.shape)
    rows, width = x.shape
    flat = type(out)(x.memory, x.offset, (x.leading * (rows - 1) + width,), x.dtype)
    launch_each(narrow_columns_kernel, out.size, flat, out, out.size, HALVES[kind], width, x.leading)
