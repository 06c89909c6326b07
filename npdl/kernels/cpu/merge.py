"""Several arrays made into one; formulas: npdl/kernels/reference/merge.py, code: kernels/merge.h."""

from npdl.kernels.checks import LINEAR, RELU
from npdl.kernels.cpu import activation as activations
from npdl.kernels.cpu.build import lib
from npdl.kernels.cpu.shape import contiguous
from npdl.kernels.reference.merge import part

expect = lib.expect


def add(a, b, *, out, activation=None, z=None):
    """out = a(z), z = a + b; out may be a or b."""
    expect("add", "b", b, a.shape)
    expect("add", "out", out, a.shape)
    if z is not None:
        expect("add", "z", z, a.shape)
    code = LINEAR if activation is None else activation.code
    if z is None and code in (LINEAR, RELU):
        lib.add(a, b, out, code == RELU)
        return
    total = out if z is None else z
    lib.add(a, b, total, False)
    if activation is None:
        out[...] = total
    else:
        activations.activation(total, activation, out=out)


def _combine(kernel, op, a, b, out):
    expect(kernel, "b", b, a.shape)
    expect(kernel, "out", out, a.shape)
    lib.combine(kernel, op, a, b, out)


def subtract(a, b, *, out):
    """out = a − b; out may be a or b."""
    _combine("subtract", lib.SUBTRACT, a, b, out)


def multiply(a, b, *, out):
    """out = a · b; out may be a or b."""
    _combine("multiply", lib.MULTIPLY, a, b, out)


def maximum(a, b, *, out):
    """out = max(a, b); out may be a or b."""
    _combine("maximum", lib.MAXIMUM, a, b, out)


def minimum(a, b, *, out):
    """out = min(a, b); out may be a or b."""
    _combine("minimum", lib.MINIMUM, a, b, out)


def scale(a, factor, *, out):
    """out = a · factor; out may be a."""
    expect("scale", "out", out, a.shape)
    lib.combine("scale", lib.SCALE, a, None, out, factor)


def match_grad(dy, x, y, *, out, rest):
    """out = dy where x = y, rest = dy where not; rest may be dy."""
    for name, array in (("x", x), ("y", y), ("out", out), ("rest", rest)):
        expect("match_grad", name, array, dy.shape)
    lib.match_grad(dy, x, y, out, rest)


def put_part(x, axis, start, *, out):
    """out[..., start : start + n, ...] = x, along one axis."""
    if out.dtype == bool:  # a mask
        out[part(axis, start, x.shape[axis])] = x
        return
    contiguous("put_part", x=x, out=out)
    lib.move("put_part", x, _inside("put_part", "x", x, "out", out, axis, start))


def take_part(y, axis, start, *, out):
    """out = y[..., start : start + n, ...], along one axis."""
    contiguous("take_part", y=y, out=out)
    lib.move("take_part", _inside("take_part", "out", out, "y", y, axis, start), out)


def _inside(kernel, name, small, whole, large, axis, start):
    """The part of `large` that is as large as `small`.

    Raises:
        ValueError: it has no such part.
    """
    if not 0 <= axis < large.ndim or start < 0:
        raise ValueError(f"{kernel}: {whole} of shape {large.shape} has no axis {axis} with a place {start}")
    view = large[part(axis, start, small.shape[axis] if axis < small.ndim else 0)]
    expect(kernel, name, small, view.shape)
    return view
