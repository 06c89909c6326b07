"""Matrix product and sum over rows, compiled (kernels/matmul.h)."""

import math

from npdl.kernels.checks import LINEAR, SOFTMAX, aligned, expect
from npdl.kernels.cpu import activation as activations
from npdl.kernels.cpu.build import lib


def epilogue(activation):
    """(code, constants, after): what the compiled kernel does itself, and the activation that runs afterwards if any.

    Softmax needs whole rows, and a user's own activation is Python.
    """
    if activation is None:
        return LINEAR, (), None
    if activation.code is None or activation.code == SOFTMAX:
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


def matmul(a, b, *, out, bias=None, activation=None, z=None, transpose_a=False, transpose_b=False):
    """As npdl.kernels.reference.matmul.matmul. `out` and `z` must not overlap the inputs.

    Raises:
        ValueError: shapes that do not fit each other.
        TypeError: arrays of different types, or not C-contiguous.
    """
    m, k = math.prod(a.shape[:-1]), a.shape[-1]
    if transpose_a:
        m, k = k, m
    rows, n = math.prod(b.shape[:-1]), b.shape[-1]
    if transpose_b:
        rows, n = n, rows
    if rows != k or out.shape[-1] != n or math.prod(out.shape[:-1]) != m:
        raise ValueError(
            f"matmul: a {a.shape}{' transposed' if transpose_a else ''} times b {b.shape}"
            f"{' transposed' if transpose_b else ''} does not give out {out.shape}; expected ({m}, {k}) · ({k}, {n})"
        )
    for name, array in (("a", a), ("b", b), ("out", out)):
        aligned("matmul", name, array)
    if bias is not None:
        expect("matmul", "bias", bias, (n,))
    if z is not None:
        expect("matmul", "z", z, out.shape)
    code, constants, after = epilogue(activation)
    lib.matmul(a, b, out, bias, z, m, n, k, transpose_a, transpose_b, code, constants)
    finish(after, out)


def sum_rows(x, *, out):
    """As npdl.kernels.reference.matmul.sum_rows.

    Raises:
        ValueError: out is not as long as x's last axis.
        TypeError: arrays of different types, or not C-contiguous.
    """
    aligned("sum_rows", "x", x)
    expect("sum_rows", "out", out, x.shape[-1:])
    lib.sum_rows(x, out, math.prod(x.shape[:-1]), x.shape[-1])
