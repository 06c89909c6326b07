"""Penalties and constraints; formulas: npdl/regularizers.py and npdl/constraints.py, code: kernels/regularize.h."""

import math

import numpy as np

from npdl.kernels.cpu import layer_norm, matmul, shape
from npdl.kernels.cpu.build import lib

expect = lib.expect
L1L2, ORTHOGONAL = 1, 2  # codes of npdl/regularizers.py
NON_NEG = 1  # and of npdl/constraints.py


def penalty(x, fn, *, out):
    """out[0] = r(x)"""
    expect("penalty", "out", out, (1,))
    if fn.code is None:
        out[0] = fn(x)
    elif fn.code == L1L2:
        lib.penalty(x, fn.l1, fn.l2, out)
    else:
        lib.penalty(_cosines(x, fn)[-1], fn.share(x.shape), 0.0, out)


def penalty_grad(x, fn, *, out, scale=1.0):
    """out = out + scale · dr/dx"""
    expect("penalty_grad", "out", out, x.shape)
    if fn.code is None:
        out += out.dtype.type(scale) * fn.gradient(x)
    elif fn.code == L1L2:
        lib.penalty_grad(x, scale * fn.l1, scale * fn.l2, out)
    else:
        rows, u, inverse, p = _cosines(x, fn)
        signs, du = np.zeros_like(p), np.empty_like(u)
        lib.penalty_grad(p, 2 * scale * fn.share(x.shape), 0.0, signs)
        matmul.matmul(signs, u, out=du)
        layer_norm.unit_norm_grad(du, rows, inverse, dx=du)
        np.add(out, du if rows is x else du.T, out=out)


def _cosines(x, fn):
    """(rows, u, 1/‖row‖, u uᵀ without its diagonal)"""
    fn.share(x.shape)  # raises where x is no matrix
    rows = x
    if fn.mode == "columns":
        rows = np.empty(x.shape[::-1], x.dtype)
        shape.permute(x, (1, 0), out=rows)
    u, inverse = np.empty_like(rows), np.empty(len(rows), x.dtype)
    p = np.empty((len(rows), len(rows)), x.dtype)
    layer_norm.unit_norm(rows, out=u, inverse=inverse)
    matmul.matmul(u, u, out=p, transpose_b=True)
    np.fill_diagonal(p, 0)
    return rows, u, inverse, p


def constrain(w, fn, *, out):
    """out = c(w); out may be w."""
    expect("constrain", "out", out, w.shape)
    if fn.code is None:
        out[...] = fn(w)
    elif fn.code == NON_NEG:
        lib.not_negative(w, out)
    else:
        _limit_norms(w, fn, out)


def _limit_norms(w, fn, out):
    axes = fn.axes(w.ndim)
    first, last = axes[0], axes[-1] + 1
    if last - first == len(axes):
        sizes = (math.prod(w.shape[:first]), math.prod(w.shape[first:last]), math.prod(w.shape[last:]))
        lib.norm_limit(w, *fn.limits, out, *sizes)
        return
    order = (*(a for a in range(w.ndim) if a not in axes), *axes)
    moved = np.empty([w.shape[a] for a in order], w.dtype)
    shape.permute(w, order, out=moved)
    n = math.prod(w.shape[a] for a in axes)
    lib.norm_limit(moved, *fn.limits, moved, moved.size // max(n, 1), n, 1)
    shape.permute(moved, tuple(order.index(a) for a in range(w.ndim)), out=out)
