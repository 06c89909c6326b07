"""Convolution by im2col: cut out every window as a row of a matrix, then multiply.

    cols = im2col(x)        y = cols W + b
    dW = colsᵀ dz           dx = col2im(dz Wᵀ)

Shapes, for all kernels of this file: x, dx (N, H, W, C) · w, dW (KH, KW, C/groups, F) · y, dz (N, OH, OW, F) ·
cols (N, OH, OW, KH·KW·C), the taps (p, q) in rows, and in each tap the channels. `g` is a `Window2D`.

With `groups` G, input channels and filters are cut into G equal parts, and part i of the filters sees part i of the
channels only.

Volumes: x, dx (N, D, H, W, C) · w, dW (KD, KH, KW, C/groups, F) · y, dz (N, OD, OH, OW, F), and `g` a `Window3D`. Plane
d of y is the sum over the taps o of convolutions of images: of the planes d·stride_d − pad_front + o·dilation_d.

Reference: Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks for Document Processing, 2006.
"""

import numpy as np

from npdl.kernels.geometry import Window2D
from npdl.kernels.reference.matmul import store


def _padded_shape(n, g):
    """(N, H', W', C) with room for every place that a window touches."""
    height = (g.out_h - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1
    width = (g.out_w - 1) * g.stride_w + (g.kernel_w - 1) * g.dilation_w + 1
    return (n, max(height, g.pad_top + g.in_h), max(width, g.pad_left + g.in_w), g.channels)


def _image(padded, g):
    """Where the image lies in the padded one."""
    return padded[:, g.pad_top : g.pad_top + g.in_h, g.pad_left : g.pad_left + g.in_w]


def _taps(g):
    """For each tap: its number, and what it reads of the padded image, (N, OH, OW, C)."""
    for p in range(g.kernel_h):
        for q in range(g.kernel_w):
            top, left = p * g.dilation_h, q * g.dilation_w
            rows = slice(top, top + (g.out_h - 1) * g.stride_h + 1, g.stride_h)
            columns = slice(left, left + (g.out_w - 1) * g.stride_w + 1, g.stride_w)
            yield p * g.kernel_w + q, (slice(None), rows, columns)


def im2col(x, g, *, out):
    """out[n, i, j, (p, q, c)] = x[n, i·stride_h − pad_top + p·dilation_h, j·stride_w − pad_left + q·dilation_w, c],
    and 0 outside the image.
    """
    padded = np.zeros(_padded_shape(len(x), g), x.dtype)
    _image(padded, g)[...] = x
    cols = out.reshape(len(x), g.out_h, g.out_w, g.kernel_h * g.kernel_w, g.channels)
    for tap, place in _taps(g):
        cols[:, :, :, tap] = padded[place]


def col2im(cols, g, *, out):
    """out[n, h, w, c] = Σ of the places of cols that im2col fills from x[n, h, w, c]: the adjoint of im2col."""
    cols = cols.reshape(len(out), g.out_h, g.out_w, g.kernel_h * g.kernel_w, g.channels)
    padded = np.zeros(_padded_shape(len(out), g), out.dtype)
    for tap, place in _taps(g):
        padded[place] += cols[:, :, :, tap]
    out[...] = _image(padded, g)


def _groups(g):
    """For each group: its input channels and its filters."""
    c, f = g.channels // g.groups, g.filters // g.groups
    for i in range(g.groups):
        yield slice(i * c, (i + 1) * c), slice(i * f, (i + 1) * f)


def _cols(x, g):
    """im2col(x) as (N·OH·OW, KH·KW, C)"""
    cols = np.empty((len(x) * g.out_h * g.out_w, g.kernel_h * g.kernel_w, g.channels), x.dtype)
    im2col(x, g, out=cols)
    return cols


def _side_by_side(cols):
    """(rows, KH·KW, C) as (rows, KH·KW·C)"""
    rows, taps, channels = cols.shape
    return cols.reshape(rows, taps * channels)


def _matrix(w):
    """(KH, KW, C/groups, F) as (KH·KW·C/groups, F)"""
    return w.reshape(-1, w.shape[-1])


def conv2d(x, w, g, *, out, bias=None, activation=None, z=None):
    """out = act(z), z[n, i, j, f] = Σ_{p, q, c} x[n, i·stride_h − pad_top + p·dilation_h, ...] w[p, q, c, f] + bias[f]

    In matrices z = im2col(x) W + bias. bias (F,); z, if given, receives the pre-activation.
    """
    cols = _cols(x, g)
    y = np.empty((len(cols), g.filters), x.dtype)
    for channels, filters in _groups(g):
        cols_i = _side_by_side(cols[:, :, channels])
        y[:, filters] = cols_i @ _matrix(w[..., filters])
    if bias is not None:
        y += bias
    store(y.reshape(out.shape), activation, out=out, z=z)


def conv2d_dx(dz, w, g, *, out):
    """out = dx = col2im(dz Wᵀ)"""
    dz = dz.reshape(-1, g.filters)
    taps = g.kernel_h * g.kernel_w
    dcols = np.empty((len(dz), taps, g.channels), dz.dtype)
    for channels, filters in _groups(g):
        dcols_i = dz[:, filters] @ _matrix(w[..., filters]).T
        dcols[:, :, channels] = dcols_i.reshape(len(dz), taps, g.channels // g.groups)
    col2im(dcols, g, out=out)


def conv2d_dkernel(x, dz, g, *, out):
    """out = dW = im2col(x)ᵀ dz"""
    cols = _cols(x, g)
    dz = dz.reshape(len(cols), g.filters)
    for channels, filters in _groups(g):
        cols_i = _side_by_side(cols[:, :, channels])
        out[..., filters] = (cols_i.T @ dz[:, filters]).reshape(out[..., filters].shape)


def conv2d_transpose(x, w, g, *, out, bias=None, activation=None, z=None):
    """out = act(z), z = col2im(x Wᵀ) + bias: the input gradient of the convolution g, as a layer.

    Its shapes turn round: x (N, OH, OW, F), w (KH, KW, C/groups, F), bias (C,), out and z (N, H, W, C).
    """
    y = np.empty(out.shape, out.dtype)
    conv2d_dx(x, w, g, out=y)
    store(y if bias is None else y + bias, activation, out=out, z=z)


def _plane(g):
    """The `Window2D` of one plane of a `Window3D`."""
    return Window2D(*(getattr(g, name) for name in Window2D._fields))


def _pairs(g):
    """(tap o, planes of y, planes of x that this tap shows them): of those that it shows any."""
    for o in range(g.kernel_d):
        planes = np.arange(g.out_d)
        shown = planes * g.stride_d - g.pad_front + o * g.dilation_d
        inside = (shown >= 0) & (shown < g.in_d)
        if inside.any():
            yield o, planes[inside], shown[inside]


def _images(volumes, planes):
    """These planes of volumes (N, D, ...), as images (N·planes, ...)."""
    chosen = volumes[:, planes]
    return chosen.reshape(-1, *chosen.shape[2:])


def conv3d(x, w, g, *, out, bias=None, activation=None, z=None):
    """out = act(z), z[n, d] = Σ_o conv2d(x[n, d·stride_d − pad_front + o·dilation_d], w[o]) + bias"""
    y = np.zeros(out.shape, out.dtype)
    for o, planes, shown in _pairs(g):
        images = _images(x, shown)
        part = np.empty((len(images), g.out_h, g.out_w, g.filters), out.dtype)
        conv2d(images, w[o], _plane(g), out=part)
        y[:, planes] += part.reshape(len(x), len(planes), *part.shape[1:])
    store(y if bias is None else y + bias, activation, out=out, z=z)


def conv3d_dx(dz, w, g, *, out):
    """out[n, shown plane] = dx = Σ_o conv2d_dx(dz[n, d], w[o])"""
    out[...] = 0
    for o, planes, shown in _pairs(g):
        images = _images(dz, planes)
        part = np.empty((len(images), g.in_h, g.in_w, g.channels), out.dtype)
        conv2d_dx(images, w[o], _plane(g), out=part)
        out[:, shown] += part.reshape(len(dz), len(planes), *part.shape[1:])


def conv3d_dkernel(x, dz, g, *, out):
    """out[o] = dW[o] = conv2d_dkernel(x[n, shown plane], dz[n, d])"""
    out[...] = 0
    for o, planes, shown in _pairs(g):
        conv2d_dkernel(_images(x, shown), _images(dz, planes), _plane(g), out=out[o])


def conv3d_transpose(x, w, g, *, out, bias=None, activation=None, z=None):
    """out = act(z), z = conv3d_dx(x, w) + bias, as `conv2d_transpose`."""
    y = np.empty(out.shape, out.dtype)
    conv3d_dx(x, w, g, out=y)
    store(y if bias is None else y + bias, activation, out=out, z=z)
