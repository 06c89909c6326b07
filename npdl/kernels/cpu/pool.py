"""Pooling; formulas: npdl/kernels/reference/pool.py, code: kernels/pooling.h."""

import numpy as np

from npdl.kernels.checks import aligned, expect, needs_y, wants_relu, whole_window
from npdl.kernels.cpu.build import lib


def _check(kernel, g, large, small, **others):
    """Raise unless the window is sound and the arrays are of its input's and output's shape.

    Args:
        large: (name, array (N, H, W, C)).
        small: (name, array (N, OH, OW, C)).
        others: more arrays of the output's shape, or None.
    """
    whole_window(kernel, g)
    sizes = (g.kernel_h, g.kernel_w, g.stride_h, g.stride_w, g.dilation_h, g.dilation_w)
    if min(sizes) < 1 or min(g.in_h, g.in_w, g.out_h, g.out_w, g.channels) < 0:
        raise ValueError(f"{kernel}: window, strides and dilation must be at least 1 and sizes not negative, got {g}")
    images = len(large[1])
    expect(kernel, large[0], large[1], (images, g.in_h, g.in_w, g.channels))
    shape = (images, g.out_h, g.out_w, g.channels)
    expect(kernel, small[0], small[1], shape)
    for name, array in others.items():
        if array is not None:
            expect(kernel, name, array, shape)


def max_pool2d(x, g, *, out, winners=None, activation=None):
    """out = a(max over the window), a ReLU or nothing; winners: the tap of the first maximum."""
    relu = wants_relu("max_pool2d", activation)
    _check("max_pool2d", g, ("x", x), ("out", out), winners=winners)
    lib.max_pool2d(x, out, winners, relu, len(x), g)


def max_pool2d_grad(dy, winners, g, *, out, y=None, activation=None):
    """dx[place] = Σ dy of the windows that this place won, after ReLU of those whose y > 0"""
    if wants_relu("max_pool2d_grad", activation):
        needs_y("max_pool2d_grad", y)
    else:
        y = None
    expect("max_pool2d_grad", "winners", winners, np.shape(dy))
    _check("max_pool2d_grad", g, ("out", out), ("dy", dy), y=y)
    lib.max_pool2d_grad(dy, winners, y, out, len(out), g)


def average_pool2d(x, g, *, out):
    """out = mean over the window's places inside the image"""
    _check("average_pool2d", g, ("x", x), ("out", out))
    lib.average_pool2d(x, out, len(x), g)


def average_pool2d_grad(dy, g, *, out):
    """dx[place] = Σ dy / count over the windows that hold this place"""
    _check("average_pool2d_grad", g, ("out", out), ("dy", dy))
    lib.average_pool2d_grad(dy, out, len(out), g)


def _check_global(kernel, images, name, per_image, winners=None):
    """(N, H·W, C) of an array (N, H, W, C), beside which `per_image` and `winners` must be (N, C)."""
    if images.ndim != 4 or (images.shape[0] and images.shape[3] and not images.size):
        raise ValueError(f"{kernel}: expected images (N, H, W, C) of at least one place, got shape {images.shape}")
    aligned(kernel, "images", images)
    n, h, w, c = images.shape
    expect(kernel, name, per_image, (n, c))
    if winners is not None:
        expect(kernel, "winners", winners, (n, c))
    return n, h * w, c


def global_max_pool2d(x, *, out, winners=None):
    """out[n, c] = max over x[n, :, :, c]; winners: the place of the first maximum."""
    lib.global_max_pool2d(x, out, winners, *_check_global("global_max_pool2d", x, "out", out, winners))


def global_max_pool2d_grad(dy, winners, *, out):
    """dx[n, place, c] = dy[n, c] where the place won, else 0"""
    sizes = _check_global("global_max_pool2d_grad", out, "dy", dy, winners)
    lib.global_max_pool2d_grad(dy, winners, out, *sizes)


def global_average_pool2d(x, *, out):
    """out[n, c] = mean of x[n, :, :, c]"""
    lib.global_average_pool2d(x, out, *_check_global("global_average_pool2d", x, "out", out))


def global_average_pool2d_grad(dy, *, out):
    """dx[n, h, w, c] = dy[n, c] / (H W)"""
    lib.global_average_pool2d_grad(dy, out, *_check_global("global_average_pool2d_grad", out, "dy", dy))
