"""Pooling; formulas: npdl/kernels/reference/pool.py, code: kernels/pooling.h, kernels/pooling.pxi."""

import numpy as np

from npdl.kernels.checks import needs_y, wants_relu
from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.pool import mean_of_counted as _mean_of_counted


def max_pool2d(x, g, *, out, winners=None, activation=None):
    """out = a(max over the window), a ReLU or nothing; winners: the tap of the first maximum."""
    lib.max_pool2d(x, out, winners, wants_relu("max_pool2d", activation), g)


def max_pool2d_grad(dy, winners, g, *, out, y=None, activation=None):
    """dx[place] = Σ dy of the windows that this place won, after ReLU of those whose y > 0"""
    if wants_relu("max_pool2d_grad", activation):
        needs_y("max_pool2d_grad", y)
    else:
        y = None
    lib.max_pool2d_grad(dy, winners, y, out, g)


def average_pool2d(x, g, *, out):
    """out = mean over the window's places inside the image"""
    lib.average_pool2d(x, out, g)


def average_pool2d_grad(dy, g, *, out):
    """dx[place] = Σ dy / count over the windows that hold this place"""
    lib.average_pool2d_grad(dy, out, g)


def global_max_pool2d(x, *, out, winners=None):
    """out[n, c] = max over x[n, :, :, c]; winners: the place of the first maximum."""
    lib.global_max_pool2d(x, out, winners)


def global_max_pool2d_grad(dy, winners, *, out):
    """dx[n, place, c] = dy[n, c] where the place won, else 0"""
    lib.global_max_pool2d_grad(dy, winners, out)


def global_average_pool2d(x, *, out):
    """out[n, c] = mean of x[n, :, :, c]"""
    lib.global_average_pool2d(x, out)


def global_average_pool2d_grad(dy, *, out):
    """dx[n, h, w, c] = dy[n, c] / (H W)"""
    lib.global_average_pool2d_grad(dy, out)


def mean_of_counted(y, mask, *, out):
    """out[n, c] = y[n, c] T / Σ_t mask[n, t]; products of single numbers, which NumPy makes as anything else does."""
    if np.ndim(mask) != 2 or np.shape(y)[:1] != mask.shape[:1]:
        raise ValueError(
            f"mean_of_counted: expected y (N, C) and mask (N, T), got shapes {np.shape(y)} and {np.shape(mask)}"
        )
    lib.expect("mean_of_counted", "out", out, np.shape(y))
    _mean_of_counted(y, mask, out=out)
