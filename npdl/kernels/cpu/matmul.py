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


def matmul(
    a, b, *, out, bias=None, add=None, times=None, activation=None, z=None, slope=None, sums=None,
    transpose_a=False, transpose_b=False,
):  # fmt: skip
    """As npdl.kernels.reference.matmul.matmul. No output may overlap an input.

    Raises:
        ValueError: shapes that do not fit each other; a slope of an activation that does not keep it.
        TypeError: arrays of different types, or not C-contiguous.
    """
    code, constants, after = epilogue(activation)
    if slope is not None and not (after is None and activation is not None and activation.keeps_slope):
        raise ValueError(f"matmul: slope is of activations that keep it, such as GELU, got activation={activation!r}")
    lib.matmul(a, b, out, bias, add, times, z, slope, sums, transpose_a, transpose_b, code, constants)
    finish(after, out)


def sum_rows(x, *, out):
    """As npdl.kernels.reference.matmul.sum_rows.

    Raises:
        ValueError: out is not as long as x's last axis.
        TypeError: arrays of different types, or not C-contiguous.
    """
    lib.sum_rows(x, out)
