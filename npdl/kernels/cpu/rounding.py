"""Rounding to numbers of 16 bits; formulas: npdl/kernels/reference/rounding.py, code: kernels/rounding.h."""

from npdl.kernels.cpu.build import lib

expect = lib.expect


def round_bfloat16(x, *, out):
    """out = the bfloat16 nearest to x"""
    expect("round_bfloat16", "out", out, x.shape)
    lib.rounded("round_bfloat16", x, False, out)


def round_float16(x, *, out):
    """out = the float16 nearest to x"""
    expect("round_float16", "out", out, x.shape)
    lib.rounded("round_float16", x, True, out)
