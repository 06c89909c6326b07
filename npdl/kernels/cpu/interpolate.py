"""Images resized; formulas: npdl/kernels/reference/interpolate.py, code: kernels/interpolate.h."""

from npdl.kernels.cpu.build import lib

expect = lib.expect


def _run(kernel, x, rows, columns, out, given="x"):
    if len(x.shape) != 4:
        raise ValueError(f"{kernel}: {given} must be images (N, height, width, channels), got shape {x.shape}")
    n, _, _, channels = x.shape
    expect(kernel, given, x, (n, rows.size, columns.size, channels))
    expect(kernel, "out", out, (n, rows.places, columns.places, channels))
    sizes = (rows.size, columns.size, rows.places, columns.places, channels)
    lib.interpolate(kernel, x, out, n, sizes, rows, columns)


def interpolate(x, rows, columns, *, out):
    """out = x resized"""
    _run("interpolate", x, rows, columns, out)


def interpolate_grad(dy, rows, columns, *, out):
    """dx = the transpose of that"""
    _run("interpolate_grad", dy, rows.transposed(), columns.transposed(), out, "dy")
