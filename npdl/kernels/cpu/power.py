"""Powers; formulas: npdl/kernels/reference/power.py, code: kernels/power.h."""

from npdl.kernels.cpu.build import lib

expect = lib.expect


def power(x, exponent, *, out):
    """out = |x|^p"""
    expect("power", "x", x, x.shape)
    expect("power", "out", out, x.shape)
    lib.power("power", None, x, exponent, out)


def power_grad(dy, x, exponent, *, out):
    """dx = dy · p |x|^(p − 1) sign(x)"""
    expect("power_grad", "x", x, x.shape)
    expect("power_grad", "dy", dy, x.shape)
    expect("power_grad", "out", out, x.shape)
    lib.power("power_grad", dy, x, exponent, out)
