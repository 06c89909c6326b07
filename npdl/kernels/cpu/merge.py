"""Sums of arrays; formulas: npdl/kernels/reference/merge.py, code: kernels/merge.h."""

from npdl.kernels.checks import LINEAR, RELU
from npdl.kernels.cpu import activation as activations
from npdl.kernels.cpu.build import lib

expect = lib.expect


def add(a, b, *, out, activation=None, z=None):
    """out = a(z), z = a + b; out may be a or b."""
    expect("add", "b", b, a.shape)
    expect("add", "out", out, a.shape)
    if z is not None:
        expect("add", "z", z, a.shape)
    code = LINEAR if activation is None else activation.code
    if z is None and code in (LINEAR, RELU):
        lib.add(a, b, out, code == RELU)
        return
    total = out if z is None else z
    lib.add(a, b, total, False)
    if activation is None:
        out[...] = total
    else:
        activations.activation(total, activation, out=out)
