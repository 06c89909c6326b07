"""Convolution by im2col and the driver's matrix product (cuBLAS on a GPU).

    cols = im2col(x)        y = cols W + b
    dW = colsᵀ dz           dx = col2im(dz Wᵀ)

Shapes: x, dx (N, [D,] H, W, C) · w, dW ([KD,] KH, KW, C/G, F) · y, dz (N, [OD,] OH, OW, F), with a `Window2D` or a
`Window3D` g; images are volumes of depth 1. cols is scratch: of one group and as many samples as `MOST_COLUMNS` allows,
a slab after the other, whose dW add up in their order. How large a slab is follows from shapes alone, as all choices
here do:

- a window of one place, or of the whole sample: x is its own cols
- images, a group a channel: kernels of their own (convolution/depthwise.py), for these matrices would have one column
- images of few channels, few filters, forward: a kernel that multiplies without cols (convolution/implicit.py)
- several groups: a product for each, of its columns of weights and outputs where they lie
"""

import functools
import math

from numba import cuda

from npdl.kernels.checks import whole_window
from npdl.kernels.cuda.convolution import columns as windows
from npdl.kernels.cuda.convolution import depthwise, implicit
from npdl.kernels.cuda.kernel import Float, Floats, Long, expect, kernel, launch_each
from npdl.kernels.cuda.matmul import finish
from npdl.kernels.geometry import Window2D, Window3D

MOST_COLUMNS = 1 << 26
"""Numbers of a slab of cols at most, but for a single sample: 256 MiB."""


@kernel
def fill_kernel(out: Floats, value: Float, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = value
        i += cuda.gridsize(1)


# ---- geometry


@functools.lru_cache(1024)
def _volume(g):
    """The window as one of volumes."""
    if isinstance(g, Window3D):
        return g
    pairs = [g[i : i + 2] for i in (3, 5, 7, 9, 11)]
    rest = [number for before, pair in zip((1, 1, 0, 1, 1), pairs) for number in (before, *pair)]
    return Window3D(1, g.in_h, g.in_w, g.channels, *rest, g.filters, g.groups)


@functools.lru_cache(1024)
def _image(g):
    """The window as one of images, or None where the volumes have a depth."""
    if g[0] == g[4] == g[7] == g[16] == 1 and g[10] == 0:
        return Window2D(*(getattr(g, name) for name in Window2D._fields))
    return None


def _axes(g):
    """((in, kernel, stride, pad, dilation, out), ...) of each axis of a `Window3D`."""
    return tuple(zip(g[0:3], g[4:7], g[7:10], g[10:13], g[13:16], g[16:19]))


@functools.lru_cache(1024)
def _is_columns(g):
    """Whether cols is x itself."""
    if g.groups > 1:
        return False
    single = all(k == s == 1 and p == 0 and n == out for n, k, s, p, _, out in _axes(g))
    return single or all(k == n and out == 1 and p == 0 and (d == 1 or k == 1) for n, k, _, p, d, out in _axes(g))


def _taps(g):
    return math.prod(g[4:7])


def _width(g):
    """Columns of a group's cols."""
    return _taps(g) * (g.channels // g.groups)


# ---- checks


@functools.lru_cache(1024)
def _check_window(name, g):
    """Raise unless there is such a convolution."""
    whole_window(name, g)
    if g.groups < 1 or g.channels % g.groups or g.filters % g.groups:
        raise ValueError(f"{name}: {g.channels} channels and {g.filters} filters cannot be cut into {g.groups} groups")
    sizes = [size for field, size in zip(g._fields, g) if field.startswith(("kernel", "stride", "dilation"))]
    if min(sizes) < 1 or min(*g.inside, *g.out, g.channels, g.filters) < 0:
        raise ValueError(f"{name}: kernel, strides and dilation must be at least 1 and sizes not negative, got {g}")


def _check(name, kind, g, large, small, w):
    """The window as one of volumes, of a kernel of images or of volumes.

    Args:
        kind: `Window2D` or `Window3D`.
        large, small: (name, array) of the convolution's inputs' shape and of its outputs'.
        w: (name, array) of the weights' shape.
    """
    if not isinstance(g, kind):
        raise TypeError(f"{name}: the window must be a {kind.__name__}, got {type(g).__name__}")
    _check_window(name, g)
    n = len(large[1]) if large[1].shape else 0
    expect(name, large[0], large[1], (n, *g.inside, g.channels))
    expect(name, small[0], small[1], (n, *g.out, g.filters))
    expect(name, w[0], w[1], (*_volume(g)[7 - len(g.inside) : 7], g.channels // g.groups, g.filters))
    return _volume(g)


def _check_epilogue(name, out, bias, z):
    expect(name, "bias", bias, out.shape[-1:])
    expect(name, "z", z, out.shape)


# ---- slabs and groups


def _slabs(n, g):
    """Slices of the samples, each with its cols small enough."""
    each = max(1, MOST_COLUMNS // max(1, math.prod(g.out) * _width(g)))
    return [slice(start, min(start + each, n)) for start in range(0, n, each)]


def _room(driver, *shape):
    """An array in scratch memory."""
    return driver.scratch(math.prod(shape)).reshape(shape)


def _matrix(array):
    """All leading axes as one."""
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])


def _part(matrix, group, g):
    """The columns of a matrix of filters that belong to a group."""
    filters = g.filters // g.groups
    return matrix if g.groups == 1 else matrix.columns(group * filters, (group + 1) * filters)


def _is_nothing(g, *arrays):
    """Whether there is no product to make."""
    return not (all(array.size for array in arrays) and _width(g))


def _fill(out, value):
    launch_each(fill_kernel, out.size, out, value, out.size)


# ---- the three products


def _forward(x, w, g, out):
    """out = im2col(x) W"""
    driver, w, image = out.memory.driver, _matrix(w), _image(g)
    if _is_nothing(g, x, out):
        _fill(out, 0.0)
    elif _is_columns(g):
        driver.product(x.reshape(out.size // g.filters, w.shape[0]), w, _matrix(out), False, False)
    elif image and depthwise.is_depthwise(image):
        depthwise.forward(*driver.factors.rounded(x, w), image, out)
    elif image and implicit.is_small(image):
        implicit.forward(*driver.factors.rounded(x, w), image, out)
    else:
        for part in _slabs(len(x), g):
            y = _matrix(out[part])
            cols = _room(driver, len(y), _width(g))
            for group in range(g.groups):
                windows.columns(x[part], g, group, cols)
                driver.product(cols, _part(w, group, g), _part(y, group, g), False, False)


def _input_gradient(dz, w, g, out):
    """out = col2im(dz Wᵀ)"""
    driver, w, image = out.memory.driver, _matrix(w), _image(g)
    if _is_nothing(g, dz, out):
        _fill(out, 0.0)
    elif _is_columns(g):
        driver.product(_matrix(dz), w, out.reshape(dz.size // g.filters, w.shape[0]), False, True)
    elif image and depthwise.is_depthwise(image):
        depthwise.input_gradient(*driver.factors.rounded(dz, w), image, out)
    else:
        for part in _slabs(len(out), g):
            dy = _matrix(dz[part])
            cols = _room(driver, len(dy), _width(g))
            for group in range(g.groups):
                driver.product(_part(dy, group, g), _part(w, group, g), cols, False, True)
                windows.gather(cols, g, group, out[part])


def _kernel_gradient(x, dz, g, out):
    """out = im2col(x)ᵀ dz"""
    driver, dw, image = out.memory.driver, _matrix(out), _image(g)
    if _is_nothing(g, x, dz):
        _fill(out, 0.0)
    elif _is_columns(g):
        driver.product(x.reshape(dz.size // g.filters, dw.shape[0]), _matrix(dz), dw, True, False)
    elif image and depthwise.is_depthwise(image):
        depthwise.kernel_gradient(*driver.factors.rounded(x, dz), image, out)
    else:
        slabs = _slabs(len(x), g)
        cols = _room(driver, (slabs[0].stop - slabs[0].start) * math.prod(g.out), _width(g))
        for group in range(g.groups):
            for part in slabs:
                dy = _matrix(dz[part])
                windows.columns(x[part], g, group, cols)
                made = _part(dw, group, g)
                driver.product(cols[0 : len(dy)], _part(dy, group, g), made, True, False, add=part.start > 0)


# ---- the family


def im2col(x, g, *, out):
    """As npdl.kernels.reference.conv.im2col; `out` of any shape of that many elements."""
    _move("im2col", x, out, g, ("x", "out"))
    windows.columns(x, _volume(g)._replace(groups=1), 0, out)


def col2im(cols, g, *, out):
    """As npdl.kernels.reference.conv.col2im; `cols` of any shape of that many elements."""
    _move("col2im", out, cols, g, ("out", "cols"))
    windows.gather(cols, _volume(g)._replace(groups=1), 0, out)


def _move(name, images, cols, g, names):
    _check_window(name, g)
    expect(name, names[0], images, (len(images), *g.inside, g.channels))
    size = len(images) * math.prod(g.out) * g.kernel_h * g.kernel_w * g.channels
    if cols.size != size:
        raise ValueError(f"{name}: {names[1]} must have {size} elements, got {cols.shape}")


def conv2d(x, w, g, *, out, bias=None, activation=None, z=None):
    """As npdl.kernels.reference.conv.conv2d."""
    _conv("conv2d", Window2D, x, w, g, out, bias, activation, z)


def conv2d_dx(dz, w, g, *, out):
    """out = dx = col2im(dz Wᵀ)"""
    _input_gradient(dz, w, _check("conv2d_dx", Window2D, g, ("out", out), ("dz", dz), ("w", w)), out)


def conv2d_dkernel(x, dz, g, *, out):
    """out = dW = im2col(x)ᵀ dz"""
    _kernel_gradient(x, dz, _check("conv2d_dkernel", Window2D, g, ("x", x), ("dz", dz), ("out", out)), out)


def conv2d_transpose(x, w, g, *, out, bias=None, activation=None, z=None):
    """As npdl.kernels.reference.conv.conv2d_transpose."""
    _transpose("conv2d_transpose", Window2D, x, w, g, out, bias, activation, z)


def conv3d(x, w, g, *, out, bias=None, activation=None, z=None):
    """As npdl.kernels.reference.conv.conv3d."""
    _conv("conv3d", Window3D, x, w, g, out, bias, activation, z)


def conv3d_dx(dz, w, g, *, out):
    """out = dx = col2im(dz Wᵀ)"""
    _input_gradient(dz, w, _check("conv3d_dx", Window3D, g, ("out", out), ("dz", dz), ("w", w)), out)


def conv3d_dkernel(x, dz, g, *, out):
    """out = dW = im2col(x)ᵀ dz"""
    _kernel_gradient(x, dz, _check("conv3d_dkernel", Window3D, g, ("x", x), ("dz", dz), ("out", out)), out)


def conv3d_transpose(x, w, g, *, out, bias=None, activation=None, z=None):
    """As npdl.kernels.reference.conv.conv3d_transpose."""
    _transpose("conv3d_transpose", Window3D, x, w, g, out, bias, activation, z)


def _conv(name, kind, x, w, g, out, bias, activation, z):
    g = _check(name, kind, g, ("x", x), ("out", out), ("w", w))
    _check_epilogue(name, out, bias, z)
    _forward(x, w, g, out)
    if out.size:
        finish(out, bias, activation, z)


def _transpose(name, kind, x, w, g, out, bias, activation, z):
    g = _check(name, kind, g, ("out", out), ("x", x), ("w", w))
    _check_epilogue(name, out, bias, z)
    _input_gradient(x, w, g, out)
    if out.size:
        finish(out, bias, activation, z)
