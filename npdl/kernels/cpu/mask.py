"""Masks; formulas: npdl/kernels/reference/mask.py. NumPy compares, moves and multiplies single numbers."""

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


def choose(mask, a, b, *, out):
    """out = rows of a where the mask is true, else of b; None is 0."""
    for name, array in (("a", a), ("b", b), ("out", out)):
        if array is not None:
            expect("choose", name, array, (*mask.shape, out.shape[-1]))
    reference.choose(mask, a, b, out=out)


def fill(value, *, out):
    """out = value"""
    reference.fill(value, out=out)


def copy(x, *, out):
    """out = x"""
    expect("copy", "out", out, x.shape)
    reference.copy(x, out=out)


def times(a, b, *, out):
    """out = a b; b may be a number, out may be a."""
    if not isinstance(b, (int, float)):
        expect("times", "b", b, a.shape)
    expect("times", "out", out, a.shape)
    reference.times(a, b, out=out)


def join(a, b, *, out):
    """out = a and b side by side"""
    expect("join", "b", b, (*a.shape[:-1], b.shape[-1]))
    expect("join", "out", out, (*a.shape[:-1], a.shape[-1] + b.shape[-1]))
    reference.join(a, b, out=out)


def part(x, *, a, b):
    """a and b, which lie side by side in x"""
    expect("part", "b", b, (*a.shape[:-1], b.shape[-1]))
    expect("part", "x", x, (*a.shape[:-1], a.shape[-1] + b.shape[-1]))
    reference.part(x, a=a, b=b)
