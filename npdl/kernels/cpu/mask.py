"""Masks; formulas: npdl/kernels/reference/mask.py. NumPy only compares and moves numbers here."""

from npdl.kernels.cpu.build import lib
from npdl.kernels.reference import mask as reference

expect = lib.expect


def masking(x, value, *, out):
    """out = whether any number of a row is not `value`"""
    expect("masking", "out", out, x.shape[:-1])
    reference.masking(x, value, out=out)


def mask_rows(x, mask, *, out):
    """out = rows of x where the mask is true, else 0; out may be x."""
    expect("mask_rows", "mask", mask, x.shape[:-1])
    expect("mask_rows", "out", out, x.shape)
    reference.mask_rows(x, mask, out=out)


def both(a, b, *, out):
    """out = a ∧ b"""
    expect("both", "b", b, a.shape)
    expect("both", "out", out, a.shape)
    reference.both(a, b, out=out)
