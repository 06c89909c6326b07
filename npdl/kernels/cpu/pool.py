"""Pooling; formulas: npdl/kernels/reference/pool.py, code: kernels/pooling.h, kernels/pooling.pxi."""

from npdl.kernels.checks import needs_y, wants_relu
from npdl.kernels.cpu.build import lib


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
