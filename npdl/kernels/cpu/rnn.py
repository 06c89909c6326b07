"""Recurrent layers; formulas: npdl/kernels/reference/rnn.py, code: kernels/rnn.h."""

import numpy as np

from npdl.kernels.checks import WHOLE_ROWS
from npdl.kernels.cpu.build import lib
from npdl.kernels.cpu.shape import permute
from npdl.kernels.reference import rnn as reference

expect = lib.expect
FLOATS = (np.dtype("float32"), np.dtype("float64"))


def _settings(kernel, *activations):
    """(code, whether its derivative reads z, constants) of the activation and of the recurrent one."""
    for activation in activations:
        if activation.code is None or activation.code in WHOLE_ROWS:
            raise ValueError(
                f"{kernel}: activation must be an elementwise one of npdl.activations, got {activation!r}; "
                "write a cell of your own for others, and RNN(cell)"
            )
    first, last = activations[0], activations[-1]
    return tuple((one.code, one.needs == "z", one.constants) for one in (first, last))


def _sizes(kernel, z, R, gates, *, steps=(), states=(), one=(), mask=None):
    """(T, N, U, G), with every array's shape checked."""
    if z.ndim != 3 or R.ndim != 2 or z.shape[2] != gates * len(R):
        raise ValueError(f"{kernel}: z must be (T, N, {gates} U) and R (U, {gates} U), got {z.shape} and {R.shape}")
    length, rows, units = z.shape[0], z.shape[1], len(R)
    expect(kernel, "R", R, (units, gates * units))
    for arrays, shape in (
        (steps, (length, rows, units)), (states, (length + 1, rows, units)), (one, (rows, units)),
    ):  # fmt: skip
        for name, array in arrays:
            if array is not None:
                expect(kernel, name, array, shape)
    if mask is not None:
        expect(kernel, "mask", mask, (length, rows))
    return length, rows, units, gates


def _bytes(mask):
    return None if mask is None else mask.view("uint8")


def simple_rnn(z, R, activation, *, h, mask=None, keep=None, dropped=None):
    """h[t + 1] = a(z[t] + s R)"""
    sizes = _sizes(
        "simple_rnn", z, R, 1, steps=[("dropped", dropped)], states=[("h", h)], one=[("keep", keep)], mask=mask
    )
    settings = _settings("simple_rnn", activation)
    lib.rnn("simple_rnn", lib.SIMPLE_RNN, *sizes, R, None, _bytes(mask), keep, settings, z, h, None, None, dropped)


def simple_rnn_grad(dy, R, z, h, activation, *, dz, dh, mask=None, keep=None):
    """dz = dh · a'"""
    kernel = "simple_rnn_grad"
    sizes = _sizes(kernel, z, R, 1, steps=[("dy", dy)], states=[("h", h)], one=[("keep", keep), ("dh", dh)], mask=mask)
    expect(kernel, "dz", dz, z.shape)
    lib.rnn_grad(
        kernel, lib.SIMPLE_RNN, *sizes, dy, R, _bytes(mask), keep, _settings(kernel, activation),
        z, h, None, None, None, dz, dh, None, None,
    )  # fmt: skip


def _inputs(kernel, name, x, W, sizes):
    """D, with the shapes of x, or dx, and of W checked; 0 where x is None."""
    if x is None:
        return 0
    steps, rows, units, gates = sizes
    width = x.shape[-1] if x.ndim else 0
    expect(kernel, name, x, (steps, rows, width))
    expect(kernel, "W", W, (width, gates * units))
    return width


def lstm(
    z, R, activation, recurrent_activation, *, h, c, mask=None, keep=None, dropped=None,
    x=None, W=None, b=None, y=None, keep_gates=True,
):  # fmt: skip
    """c[t + 1] = f c[t] + i g,    h[t + 1] = o a(c[t + 1])"""
    sizes = _sizes(
        "lstm", z, R, 4, steps=[("dropped", dropped)], states=[("h", h), ("c", c)], one=[("keep", keep)], mask=mask
    )
    width = _inputs("lstm", "x", x, W, sizes)
    if b is not None:
        expect("lstm", "b", b, R.shape[1:])
    settings = _settings("lstm", activation, recurrent_activation)
    if y is not None:
        expect("lstm", "y", y, (sizes[1], sizes[0], sizes[2]))
    if x is not None and not keep_gates:
        z = None
    lib.rnn("lstm", lib.LSTM, *sizes, R, b, _bytes(mask), keep, settings, z, h, c, None, dropped, x, width, W, y)


def lstm_grad(dy, R, z, h, c, activation, recurrent_activation, *, dz, dh, dc, mask=None, keep=None, W=None, dx=None):
    """The gradients of `lstm`."""
    kernel = "lstm_grad"
    sizes = _sizes(
        kernel, z, R, 4, steps=[("dy", dy)], states=[("h", h), ("c", c)], one=[("keep", keep), ("dh", dh), ("dc", dc)],
        mask=mask,
    )  # fmt: skip
    expect(kernel, "dz", dz, z.shape)
    given = (dx, _inputs(kernel, "dx", dx, W, sizes), W) if dx is not None else ()
    lib.rnn_grad(
        kernel, lib.LSTM, *sizes, dy, R, _bytes(mask), keep, _settings(kernel, activation, recurrent_activation),
        z, h, c, None, None, dz, dh, dc, None, *given,
    )  # fmt: skip


def gru(
    z, R, activation, recurrent_activation, reset_after, *, h, inner, bias=None, mask=None, keep=None, dropped=None
):
    """h[t + 1] = u h[t] + (1 − u) g"""
    sizes = _sizes(
        "gru", z, R, 3, steps=[("inner", inner), ("dropped", dropped)], states=[("h", h)], one=[("keep", keep)],
        mask=mask,
    )  # fmt: skip
    if bias is not None:
        expect("gru", "bias", bias, R.shape[1:])
        if not reset_after:
            raise ValueError("gru: only reset_after=True has a bias of the recurrent product; add it to z")
    settings = _settings("gru", activation, recurrent_activation)
    kind = lib.GRU if reset_after else lib.GRU_BEFORE
    lib.rnn("gru", kind, *sizes, R, bias, _bytes(mask), keep, settings, z, h, None, inner, dropped)


def gru_grad(
    dy, R, z, h, inner, activation, recurrent_activation, reset_after, *,
    dz, dh, dinner, mask=None, keep=None, dropped=None,
):  # fmt: skip
    """The gradients of `gru`."""
    steps = [("dy", dy), ("inner", inner), ("dinner", dinner), ("dropped", dropped)]
    sizes = _sizes("gru_grad", z, R, 3, steps=steps, states=[("h", h)], one=[("keep", keep), ("dh", dh)], mask=mask)
    expect("gru_grad", "dz", dz, z.shape)
    settings = _settings("gru_grad", activation, recurrent_activation)
    kind = lib.GRU if reset_after else lib.GRU_BEFORE
    lib.rnn_grad(
        "gru_grad", kind, *sizes, dy, R, _bytes(mask), keep, settings, z, h, None, inner, dropped, dz, dh, None, dinner
    )


def gru_dkernel(h, reset, dz, dinner, *, out):
    """out[:, :2 U] = Σ hᵀ dz,   out[:, 2 U:] = Σ resetᵀ dinner"""
    if h.ndim < 2:
        raise ValueError(f"gru_dkernel: h must be (..., U), got {h.shape}")
    *steps, units = h.shape
    expect("gru_dkernel", "reset", reset, h.shape)
    expect("gru_dkernel", "dz", dz, (*steps, 3 * units))
    expect("gru_dkernel", "dinner", dinner, h.shape)
    expect("gru_dkernel", "out", out, (units, 3 * units))
    lib.gru_dkernel(h, reset, dz, dinner, out, h.size // units if units else 0, units)


def rnn_dkernels(x, h, dz, *, dW, dR, sums=None):
    """dW = Σ xᵀ dz,   dR = Σ hᵀ dz,   sums = Σ dz"""
    if min(x.ndim, h.ndim, dz.ndim) < 2:
        raise ValueError(f"rnn_dkernels: x, h and dz must be (..., columns), got {x.shape}, {h.shape} and {dz.shape}")
    (*steps, columns), width, units = dz.shape, x.shape[-1], h.shape[-1]
    expect("rnn_dkernels", "x", x, (*steps, width))
    expect("rnn_dkernels", "h", h, (*steps, units))
    expect("rnn_dkernels", "dW", dW, (width, columns))
    expect("rnn_dkernels", "dR", dR, (units, columns))
    if sums is not None:
        expect("rnn_dkernels", "sums", sums, (columns,))
    lib.rnn_dkernels(x, h, dz, dW, dR, sums, int(np.prod(steps)), width, units, columns)


def to_steps(x, reverse, *, out):
    """out[t, n] = x[n, t], or x[n, T − 1 − t]"""
    expect("to_steps", "out", out, (x.shape[1], x.shape[0], *x.shape[2:]))
    _exchange(reference.to_steps, x, reverse, out)


def from_steps(x, reverse, *, out):
    """out[n, t] = x[t, n], or x[T − 1 − t, n]"""
    expect("from_steps", "out", out, (x.shape[1], x.shape[0], *x.shape[2:]))
    _exchange(reference.from_steps, x, reverse, out)


def _exchange(move, x, reverse, out):
    """The first two axes exchanged, by all threads where no order is turned round."""
    if reverse or x.ndim != 3 or x.dtype not in FLOATS:
        move(x, reverse, out=out)
    else:
        permute(x, (1, 0, 2), out=out)


def seen(mask, *, out):
    """out[t] = mask[0] or ... or mask[t]"""
    expect("seen", "out", out, mask.shape)
    reference.seen(mask, out=out)
