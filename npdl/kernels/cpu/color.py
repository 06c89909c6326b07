"""Colours; formulas: npdl/kernels/reference/color.py, code: kernels/color.h."""

import numpy as np

from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.color import WAYS

expect = lib.expect


def recolor(x, way, numbers, low, high, *, out):
    """out = x in other colours"""
    _run("recolor", False, x, x, way, numbers, low, high, out)


def recolor_grad(dy, x, way, numbers, low, high, *, out):
    """dx of it; out may be dy."""
    expect("recolor_grad", "dy", dy, x.shape)
    _run("recolor_grad", True, x, dy, way, numbers, low, high, out)


def _run(kernel, grad, x, dy, way, numbers, low, high, out):
    if way not in WAYS:
        raise ValueError(f"{kernel}: way must be one of {', '.join(WAYS)}, got {way!r}")
    if way in ("hsv", "gray") and x.shape[-1:] != (3,):
        raise ValueError(f"{kernel}: x must have red, green and blue as its last axis, got shape {x.shape}")
    expect(kernel, "out", out, x.shape)
    expect(kernel, "numbers", numbers, (len(x), 2))
    size = x.size // max(len(x), 1)
    lib.recolor(kernel, grad, x, dy, WAYS.index(way), np.ascontiguousarray(numbers), low, high, out, len(x), size)
