"""Convolution, compiled (kernels/conv.h)."""

import numpy as np

from npdl.kernels.checks import whole_window
from npdl.kernels.cpu.build import lib
from npdl.kernels.cpu.matmul import epilogue, finish
from npdl.kernels.geometry import Window3D

expect = lib.expect


def _check_images(kernel, name, array, g):
    n = len(array) if np.ndim(array) else 0
    expect(kernel, name, array, (n, *g.inside, g.channels))


def _check_window(kernel, g):
    whole_window(kernel, g)
    if g.groups < 1 or g.channels % g.groups or g.filters % g.groups:
        raise ValueError(
            f"{kernel}: {g.channels} channels and {g.filters} filters cannot be cut into {g.groups} groups"
        )
    sizes = [size for name, size in zip(g._fields, g) if name.startswith(("kernel", "stride", "dilation"))]
    if min(sizes) < 1 or min(*g.inside, *g.out, g.channels, g.filters) < 0:
        raise ValueError(f"{kernel}: kernel, strides and dilation must be at least 1 and sizes not negative, got {g}")


def _kernel_shape(g):
    return (g.kernel_h, g.kernel_w, g.channels // g.groups, g.filters)


def check_convolution(kernel, g, images, weights):
    """Raise where (name, array) of its images or of its weights is not of a shape that fits g."""
    _check_window(kernel, g)
    _check_images(kernel, *images, g)
    expect(kernel, *weights, _kernel_shape(g))


def _cols_size(n, g):
    return n * g.out_h * g.out_w * g.kernel_h * g.kernel_w * g.channels


def im2col(x, g, *, out):
    """As npdl.kernels.reference.conv.im2col; `out` of any shape of that many elements.

    Raises:
        ValueError: shapes that do not fit g.
    """
    _check_window("im2col", g)
    _check_images("im2col", "x", x, g)
    if out.size != _cols_size(len(x), g):
        raise ValueError(f"im2col: out must have {_cols_size(len(x), g)} elements, got {out.shape}")
    lib.im2col(x, out, len(x), g)


def col2im(cols, g, *, out):
    """As npdl.kernels.reference.conv.col2im; `cols` of any shape of that many elements.

    Raises:
        ValueError: shapes that do not fit g.
    """
    _check_window("col2im", g)
    _check_images("col2im", "out", out, g)
    if cols.size != _cols_size(len(out), g):
        raise ValueError(f"col2im: cols must have {_cols_size(len(out), g)} elements, got {cols.shape}")
    lib.col2im(cols, out, len(out), g)


def conv2d(x, w, g, *, out, bias=None, activation=None, z=None):
    """As npdl.kernels.reference.conv.conv2d. `out` and `z` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit g.
        TypeError: arrays of different types, or not C-contiguous.
    """
    _check_window("conv2d", g)
    _check_images("conv2d", "x", x, g)
    expect("conv2d", "w", w, _kernel_shape(g))
    expect("conv2d", "out", out, (len(x), g.out_h, g.out_w, g.filters))
    if bias is not None:
        expect("conv2d", "bias", bias, (g.filters,))
    if z is not None:
        expect("conv2d", "z", z, out.shape)
    code, constants, after = epilogue(activation)
    lib.conv2d(x, w, out, bias, z, len(x), g, code, constants)
    finish(after, out)


def conv2d_dx(dz, w, g, *, out):
    """As npdl.kernels.reference.conv.conv2d_dx. `out` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit g.
        TypeError: arrays of different types, or not C-contiguous.
    """
    _check_window("conv2d_dx", g)
    _check_images("conv2d_dx", "out", out, g)
    expect("conv2d_dx", "w", w, _kernel_shape(g))
    expect("conv2d_dx", "dz", dz, (len(out), g.out_h, g.out_w, g.filters))
    lib.conv2d_dx(dz, w, out, len(out), g)


def conv2d_dkernel(x, dz, g, *, out):
    """As npdl.kernels.reference.conv.conv2d_dkernel. `out` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit g.
        TypeError: arrays of different types, or not C-contiguous.
    """
    _check_window("conv2d_dkernel", g)
    _check_images("conv2d_dkernel", "x", x, g)
    expect("conv2d_dkernel", "out", out, _kernel_shape(g))
    expect("conv2d_dkernel", "dz", dz, (len(x), g.out_h, g.out_w, g.filters))
    lib.conv2d_dkernel(x, dz, out, len(x), g)


def conv2d_transpose(x, w, g, *, out, bias=None, activation=None, z=None):
    """As npdl.kernels.reference.conv.conv2d_transpose. `out` and `z` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit g.
        TypeError: arrays of different types, or not C-contiguous.
    """
    _check_window("conv2d_transpose", g)
    _check_images("conv2d_transpose", "out", out, g)
    expect("conv2d_transpose", "w", w, _kernel_shape(g))
    _check_transposed("conv2d_transpose", x, g, out, bias, z)
    code, constants, after = epilogue(activation)
    lib.conv2d_transpose(x, w, out, bias, z, len(out), g, code, constants)
    finish(after, out)


def _check_transposed(kernel, x, g, out, bias, z):
    expect(kernel, "x", x, (len(out), *g.out, g.filters))
    if bias is not None:
        expect(kernel, "bias", bias, (g.channels,))
    if z is not None:
        expect(kernel, "z", z, out.shape)


def _check_volumes(kernel, g, name, large, small_name, small, w_name, w):
    """Raise unless arrays are as a convolution of volumes has them."""
    if not isinstance(g, Window3D):
        raise TypeError(f"{kernel}: the window must be a Window3D, got {type(g).__name__}")
    _check_window(kernel, g)
    _check_images(kernel, name, large, g)
    expect(kernel, small_name, small, (len(large), *g.out, g.filters))
    expect(kernel, w_name, w, (g.kernel_d, *_kernel_shape(g)))


def conv3d(x, w, g, *, out, bias=None, activation=None, z=None):
    """As npdl.kernels.reference.conv.conv3d. `out` and `z` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit g.
        TypeError: arrays of different types, or not C-contiguous; g is no Window3D.
    """
    _check_volumes("conv3d", g, "x", x, "out", out, "w", w)
    if bias is not None:
        expect("conv3d", "bias", bias, (g.filters,))
    if z is not None:
        expect("conv3d", "z", z, out.shape)
    code, constants, after = epilogue(activation)
    lib.conv3d(x, w, out, bias, z, len(x), g, code, constants, False)
    finish(after, out)


def conv3d_dx(dz, w, g, *, out):
    """As npdl.kernels.reference.conv.conv3d_dx. `out` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit g.
        TypeError: arrays of different types, or not C-contiguous; g is no Window3D.
    """
    _check_volumes("conv3d_dx", g, "out", out, "dz", dz, "w", w)
    lib.conv3d_dx(dz, w, out, len(out), g)


def conv3d_dkernel(x, dz, g, *, out):
    """As npdl.kernels.reference.conv.conv3d_dkernel. `out` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit g.
        TypeError: arrays of different types, or not C-contiguous; g is no Window3D.
    """
    _check_volumes("conv3d_dkernel", g, "x", x, "dz", dz, "out", out)
    lib.conv3d_dkernel(x, dz, out, len(x), g)


def conv3d_transpose(x, w, g, *, out, bias=None, activation=None, z=None):
    """As npdl.kernels.reference.conv.conv3d_transpose. `out` and `z` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit g.
        TypeError: arrays of different types, or not C-contiguous; g is no Window3D.
    """
    _check_volumes("conv3d_transpose", g, "out", out, "x", x, "w", w)
    _check_transposed("conv3d_transpose", x, g, out, bias, z)
    code, constants, after = epilogue(activation)
    lib.conv3d(x, w, out, bias, z, len(out), g, code, constants, True)
    finish(after, out)
