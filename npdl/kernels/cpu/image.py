"""Pixels; formulas: npdl/kernels/reference/image.py, code: kernels/image.h.

`clip_grad` and `erase` move numbers, which NumPy does.
"""

import math

import numpy as np

from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.image import FILL_MODES, INTERPOLATIONS
from npdl.kernels.reference.image import clip_grad as _clip_grad
from npdl.kernels.reference.image import erase as _erase

expect = lib.expect


def _rows(kernel, x, **parameters):
    """(groups, rows, period) of x, and the parameters written out to (groups, period)."""
    shapes = {name: np.shape(value) for name, value in parameters.items()}
    try:
        shape = np.broadcast_shapes((1,) * x.ndim, *shapes.values())
        if np.broadcast_shapes(shape, x.shape) != x.shape:
            raise ValueError
    except ValueError:
        given = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
        raise ValueError(f"{kernel}: {given} must broadcast against x of shape {x.shape}") from None
    groups = len(x) if shape[0] != 1 else 1
    shared = next((axis for axis in range(1, x.ndim) if shape[axis] != 1), x.ndim)  # the first that they differ along
    period = math.prod(x.shape[shared:])
    rows = x.size // (groups * period) if x.size else 0
    wide = (shape[0], *shape[1:shared], *x.shape[shared:])
    arrays = (np.ascontiguousarray(np.broadcast_to(value, wide), x.dtype) for value in parameters.values())
    return (groups, rows, period), [array.reshape(groups, period) for array in arrays]


def rescale(x, scale, offset, *, out, center=0.0, low=-np.inf, high=np.inf):
    """out = min(max((x − center) · scale + offset, low), high); out may be x."""
    _rescale("rescale", x, center, scale, offset, out, low, high)


def _rescale(kernel, x, center, scale, offset, out, low=-np.inf, high=np.inf):
    expect(kernel, "x", x, np.shape(x))
    expect(kernel, "out", out, x.shape)
    sizes, parameters = _rows(kernel, x, center=center, scale=scale, offset=offset)
    lib.rescale(kernel, x, *parameters, low, high, out, *sizes)


def clip_grad(dy, y, low, high, *, out):
    """dx = dy where low < y < high, else 0; out may be dy."""
    expect("clip_grad", "y", y, dy.shape)
    expect("clip_grad", "out", out, dy.shape)
    _clip_grad(dy, y, low, high, out=out)


def standardize(x, mean, variance, epsilon, *, out, invert=False):
    """out = (x − mean) / σ, or x σ + mean"""
    sigma = np.maximum(np.sqrt(variance), variance.dtype.type(epsilon))
    if invert:
        _rescale("standardize", x, 0.0, sigma, mean, out)
    else:
        _rescale("standardize", x, mean, 1 / sigma, 0.0, out)


def standardize_grad(dy, variance, epsilon, *, out, invert=False):
    """dx = dy / σ, or dy σ"""
    sigma = np.maximum(np.sqrt(variance), variance.dtype.type(epsilon))
    _rescale("standardize_grad", dy, 0.0, sigma if invert else 1 / sigma, 0.0, out)


def _affine(kernel, grad, x, transforms, out, interpolation, fill_mode, fill_value):
    for name, array in (("dy" if grad else "x", x), ("out", out)):
        if np.ndim(array) != 4:
            raise ValueError(f"{kernel}: {name} must be images (N, height, width, channels), got {np.shape(array)}")
    for name, value, known in (("interpolation", interpolation, INTERPOLATIONS), ("fill_mode", fill_mode, FILL_MODES)):
        if value not in known:
            raise ValueError(f"{kernel}: {name} must be one of {', '.join(known)}, got {value!r}")
    image, result = (out, x) if grad else (x, out)
    expect(kernel, "out", out, (len(x), *out.shape[1:3], x.shape[3]))
    expect(kernel, "transforms", transforms, (len(x), 6))
    if not image.size and result.size:
        raise ValueError(f"{kernel}: nothing can be taken from images of shape {image.shape}")
    sizes = (*image.shape[1:3], *result.shape[1:])
    linear, fill = interpolation == "bilinear", FILL_MODES.index(fill_mode)
    lib.affine(kernel, grad, x, transforms, out, len(x), sizes, linear, fill, fill_value)


def affine_sample(x, transforms, *, out, interpolation="bilinear", fill_mode="constant", fill_value=0.0):
    """out[n, i, j] = image n at v = b₀ j + b₁ i + b₂, u = a₀ j + a₁ i + a₂"""
    _affine("affine_sample", False, x, transforms, out, interpolation, fill_mode, fill_value)


def affine_sample_grad(dy, transforms, *, out, interpolation="bilinear", fill_mode="constant"):
    """dx = the transpose of that"""
    _affine("affine_sample_grad", True, dy, transforms, out, interpolation, fill_mode, 0.0)


def erase(x, boxes, fill, *, out):
    """out = x, but `fill` in the box of each image; out may be x."""
    expect("erase", "out", out, np.shape(x))
    expect("erase", "boxes", boxes, (len(x), 4))
    _erase(x, boxes, fill, out=out)
