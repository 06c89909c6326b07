"""Rounding to numbers of 16 bits, in arrays of more: what a product with such factors sees.

A binary number of p digits is m · 2^(e − p + 1), with a whole number m of p binary digits and an exponent e between a
least and a largest one. Between 2^e and 2^(e + 1) their distance, the unit, is 2^(e − p + 1); below the least exponent
it stays what it is there: these are the subnormal numbers.

    type        p    e from      to     largest     unit at 1    least above 0
    float16     11      −14      15       65504      1/1024        2^−24
    bfloat16     8     −126     127    3.39e38        1/128        2^−133
    float32     24     −126     127    3.40e38        2^−23        2^−149

The product of two numbers of p digits has 2 p: of two float16, 22, of two bfloat16, 16. So float32 holds it exactly.

Reference: IEEE 754-2019; bfloat16 is the upper half of a float32.
"""

import numpy as np


def round_bfloat16(x, *, out):
    """out = the bfloat16 nearest to x, of two as near the even one; beyond the largest infinity; NaN stays NaN.

    Args:
        x: any shape.
        out: like x; it may be x.
    """
    _nearest(x, 8, -126, 127, out)


def round_float16(x, *, out):
    """out = the float16 nearest to x, of two as near the even one; from 65520 on infinity; NaN stays NaN.

    Args:
        x: any shape.
        out: like x; it may be x.
    """
    _nearest(x, 11, -14, 15, out)


def _nearest(x, digits, least, most, out):
    with np.errstate(invalid="ignore"):  # a NaN that signals
        x = x.astype(np.float64)
    _, exponent = np.frexp(x)  # |x| is from 2^(exponent − 1) to 2^exponent
    unit = np.ldexp(1.0, np.maximum(exponent - 1, least) - digits + 1)
    y = np.rint(x / unit) * unit  # rint goes to the even one
    out[...] = np.where(np.abs(y) < 2.0 ** (most + 1), y, np.where(np.isnan(x), x, np.copysign(np.inf, x)))
