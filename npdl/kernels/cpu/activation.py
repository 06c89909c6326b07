"""Activations; formulas: npdl/activations/, code: kernels/activation.h, more_activations.h, row_activations.h."""

import math

from npdl.kernels.checks import SOFTMAX, WHOLE_ROWS
from npdl.kernels.cpu.build import lib

expect = lib.expect


def _axis_sizes(kernel, shape, axis, what="softmax"):
    """`shape` as (outer, n, inner) around the axis."""
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"{kernel}: {what} along axis {axis} of an array of shape {shape}; it has {len(shape)} axes")
    axis %= len(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def activation(z, fn, *, out):
    """out = a(z); out may be z."""
    expect("activation", "out", out, z.shape)
    if fn.code is None:
        out[...] = fn(z)
    elif fn.code == SOFTMAX:
        lib.softmax(z, out, *_axis_sizes("activation", z.shape, fn.axis))
    elif fn.code in WHOLE_ROWS:
        lib.row_activation("activation", fn.code, None, z, out, *_axis_sizes("activation", z.shape, fn.axis, fn.name))
    else:
        lib.activation(z, out, fn.code, fn.constants)


def activation_grad(dy, saved, fn, *, out):
    """out = dy · a'(saved); out may be dy."""
    saved = dy if fn.needs is None else saved  # which is not read
    expect("activation_grad", "saved", saved, dy.shape)
    expect("activation_grad", "out", out, dy.shape)
    if fn.code is None:
        out[...] = fn.gradient(dy, saved)
    elif fn.code == SOFTMAX:
        lib.softmax_grad(dy, saved, out, *_axis_sizes("activation_grad", dy.shape, fn.axis))
    elif fn.code in WHOLE_ROWS:
        sizes = _axis_sizes("activation_grad", dy.shape, fn.axis, fn.name)
        lib.row_activation("activation_grad", fn.code, dy, saved, out, *sizes)
    else:
        lib.activation_grad(dy, saved, out, fn.code, fn.constants)


def _halves(kernel, x, half, axis, name):
    """(outer, m) of x as (outer, 2, m), cut in the middle of the axis; `half` is half as long there."""
    outer, n, inner = _axis_sizes(kernel, x.shape, axis, "glu")
    axis %= x.ndim
    if n % 2:
        raise ValueError(f"{kernel}: axis {axis} of x must have an even length, got shape {x.shape}")
    expect(kernel, name, half, (*x.shape[:axis], n // 2, *x.shape[axis + 1 :]))
    return outer, n // 2 * inner


def glu(x, axis, *, out):
    """out = a σ(b), x = (a, b) along the axis"""
    lib.glu("glu", None, x, out, *_halves("glu", x, out, axis, "out"))


def glu_grad(dy, x, axis, *, out):
    """dx = (dy σ(b), dy a σ(b) (1 − σ(b)))"""
    expect("glu_grad", "out", out, x.shape)
    lib.glu("glu_grad", dy, x, out, *_halves("glu_grad", x, dy, axis, "dy"))


def _rows(kernel, alpha, **like_x):
    """(rows, m) of arrays (rows, ...), alpha of the shape (...)."""
    shape = next(iter(like_x.values())).shape
    expect(kernel, "alpha", alpha, shape[1:])
    for name, array in like_x.items():
        if array is not None:
            expect(kernel, name, array, shape)
    return shape[0], alpha.size


def prelu(x, alpha, *, out):
    """out = x where x > 0, else α x; out may be x."""
    lib.prelu("prelu", None, x, alpha, out, None, *_rows("prelu", alpha, x=x, out=out))


def prelu_grad(dy, x, alpha, *, dx=None, dalpha):
    """dx = dy where x > 0, else α dy; dalpha = 0 where x > 0, else dy x; dx may be dy."""
    sizes = _rows("prelu_grad", alpha, x=x, dy=dy, dx=dx, dalpha=dalpha)
    lib.prelu("prelu_grad", dy, x, alpha, dx, dalpha, *sizes)
