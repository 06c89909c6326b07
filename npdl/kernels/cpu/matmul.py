"""Matrix product and sum over rows, compiled (kernels/matmul.h)."""

from npdl.kernels.checks import LINEAR, WHOLE_ROWS
from npdl.kernels.cpu import activation as activations
from npdl.kernels.cpu.build import lib


def epilogue(activation):
    """(code, constants, after): what the compiled kernel does itself, and the activation that runs afterwards if any.

    Softmax and its like need whole rows, and a user's own activation is Python.
    """
    if activation is None:
        return LINEAR, (), None
    if activation.code is None or activation.code in WHOLE_ROWS:
        return LINEAR, (), activation
    return activation.code, activation.constants, None


def finish(after, out):
    """Apply to `out` the activation that `epilogue` left over."""
    if after is None:
        return
    if after.code is None:
        out[...] = after(out)
    else:
        activations.activation(out, after, out=out)


def matmul(a, b, *, out, bias=None, add=None, activation=None, z=None, transpose_a=False, transpose_b=False):
    """As npdl.kernels.reference.matmul.matmul. `out` and `z` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit each other.
        TypeError: arrays of different types, or not C-contiguous.
    """
    code, constants, after = epilogue(activation)
    lib.matmul(a, b, out, bias, add, z, transpose_a, transpose_b, code, constants)
    finish(after, out)


def sum_rows(x, *, out):
    """As npdl.kernels.reference.matmul.sum_rows.

    Raises:
        ValueError: out is not as long as x's last axis.
        TypeError: arrays of different types, or not C-contiguous.
    """
    lib.sum_rows(x, out)
