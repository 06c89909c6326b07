"""Activations and softmax; formulas: npdl/activations.py, code: kernels/activation.h."""

import math

from npdl.kernels.checks import SOFTMAX, aligned, expect
from npdl.kernels.cpu.build import lib


def _axis_sizes(kernel, shape, axis):
    """`shape` as (outer, n, inner) around the axis."""
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"{kernel}: softmax along axis {axis} of an array of shape {shape}; it has {len(shape)} axes")
    axis %= len(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def activation(z, fn, *, out):
    """out = a(z); out may be z."""
    aligned("activation", "z", z)
    expect("activation", "out", out, z.shape)
    if fn.code is None:
        out[...] = fn(z)
    elif fn.code == SOFTMAX:
        lib.softmax(z, out, *_axis_sizes("activation", z.shape, fn.axis))
    else:
        lib.activation(z, out, fn.code, fn.constants)


def activation_grad(dy, saved, fn, *, out):
    """out = dy · a'(saved); out may be dy."""
    aligned("activation_grad", "dy", dy)
    saved = dy if fn.needs is None else saved  # which is not read
    expect("activation_grad", "saved", saved, dy.shape)
    expect("activation_grad", "out", out, dy.shape)
    if fn.code is None:
        out[...] = fn.gradient(dy, saved)
    elif fn.code == SOFTMAX:
        lib.softmax_grad(dy, saved, out, *_axis_sizes("activation_grad", dy.shape, fn.axis))
    else:
        lib.activation_grad(dy, saved, out, fn.code, fn.constants)
