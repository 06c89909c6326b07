"""Recurrent layers as numba.cuda kernels: a step is a product with R by the driver and one kernel for all gates.

Forward, at step t: the product s R of the step's operand s, (N, G U), then a thread for each unit of each sample adds
it to its G numbers of z, makes the gates, the new states and the operand of the next step.

Backward, from the last step to the first: a thread for each unit of each sample makes

    d  = dh + (dz of the step after) Rᵀ · keep + dy[t]

of what the step after left, and from it its numbers of dz; then comes the product dz Rᵀ. dh meanwhile holds what goes
around that product. The kernels' gradients are products over all steps, which the layers ask for at the end.

The kernels of the gates are in npdl/kernels/cuda/cells; one is made for each pair of activations that is used, with
their formulas inside.
"""

import math

from numba import cuda, uint8

from npdl.kernels.checks import WHOLE_ROWS
from npdl.kernels.cuda import cells, matmul, merge
from npdl.kernels.cuda.activation import built_in, constants
from npdl.kernels.cuda.kernel import (
    Bytes,
    Floats,
    Int,
    Ints,
    Long,
    Longs,
    expect,
    kernel,
    launch_each,
)
from npdl.kernels.cuda.memory import areas, viewed
from npdl.kernels.cuda.merge import put_kernel, take_kernel

# ---- steps and samples


@kernel
def exchange_kernel(
    x: Floats, out: Floats, n: Long, second: Int, first: Int, inner: Int, reverse_out: Int, reverse_x: Int
):
    """out (first, second, inner) of x (second, first, inner), the first or the second axis turned round."""
    at = cuda.grid(1)
    while at < n:
        place = at // inner
        i, j = place // second, place % second
        if reverse_out:
            i = first - 1 - i
        if reverse_x:
            j = second - 1 - j
        out[at] = x[(j * first + i) * inner + at % inner]
        at += cuda.gridsize(1)


EXCHANGE = {
    "float32": exchange_kernel, "uint8": exchange_kernel.retyped(x=Bytes, out=Bytes),
    "int32": exchange_kernel.retyped(x=Ints, out=Ints), "int64": exchange_kernel.retyped(x=Longs, out=Longs),
}  # fmt: skip


@kernel
def seen_kernel(mask: Bytes, out: Bytes, steps: Int, samples: Int):
    """A thread a sample."""
    n = cuda.grid(1)
    while n < samples:
        found = uint8(0)
        for t in range(steps):
            found |= mask[t * samples + n]
            out[t * samples + n] = found
        n += cuda.gridsize(1)


# ---- as every device calls them


def _settings(kernel, *functions):
    """(a variant's key, constants) of the activation, and of the recurrent one.

    Raises:
        TypeError, ValueError: one of a user's own, or of whole rows.
    """
    for one in functions:
        if one.code in WHOLE_ROWS:
            raise ValueError(f"{kernel}: activation must be an elementwise one of npdl.activations, got {one!r}")
    key = [part for one in functions for part in (built_in(one), one.needs == "z")]
    return tuple(key), [number for one in functions for number in constants(one)]


def _sizes(kernel, z, R, gates, steps=(), states=(), one=(), mask=None):
    """(T, N, U), with every array's shape checked."""
    if len(z.shape) != 3 or len(R.shape) != 2 or z.shape[2] != gates * len(R):
        raise ValueError(f"{kernel}: z must be (T, N, {gates} U) and R (U, {gates} U), got {z.shape} and {R.shape}")
    length, rows, units = z.shape[0], z.shape[1], len(R)
    expect(kernel, "R", R, (units, gates * units))
    for arrays, shape in (
        (steps, (length, rows, units)), (states, (length + 1, rows, units)), (one, (rows, units)),
    ):  # fmt: skip
        for name, array in arrays:
            expect(kernel, name, array, shape)
    expect(kernel, "mask", mask, (length, rows))
    return length, rows, units


def _rooms(array, *shapes):
    """A scratch array of each shape."""
    made = areas(array.memory.driver, *map(math.prod, shapes))
    return [one.reshape(shape) for one, shape in zip(made, shapes, strict=True)]


def _at(array, t):
    """Step t of an array, or None."""
    return None if array is None else array[t : t + 1].reshape(array.shape[1:])


def _live(mask, t):
    """Step t of a mask."""
    return _at(viewed(mask, "uint8"), t)


def _times(a, b, out, transpose_b=False):
    if out.size:
        out.memory.driver.product(a, b, out, False, transpose_b)


def _operands(h, keep, dropped, room):
    """What R multiplies at each step; the first one is made here, the others by the steps before."""
    if keep is None and dropped is None:
        return [_at(h, t) for t in range(len(h) - 1)]
    made = [room] * (len(h) - 1) if dropped is None else [_at(dropped, t) for t in range(len(dropped))]
    if made and keep is not None:
        merge.multiply(_at(h, 0), keep, out=made[0])
    elif made:
        merge.scale(_at(h, 0), 1.0, out=made[0])
    return made


def _next(operands, t, *given):
    """(where a step puts the operand of the next one, whether it does)"""
    if t + 1 == len(operands) or all(array is None for array in given):
        return None, 0
    return operands[t + 1], 1


def _columns(R, start, out):
    """out = R[:, start : start + width]"""
    launch_each(take_kernel, out.size, R, out, out.size, out.shape[1], R.shape[1], start)


def simple_rnn(z, R, activation, *, h, mask=None, keep=None, dropped=None):
    """h[t + 1] = a(z[t] + s R)"""
    length, rows, units = _sizes("simple_rnn", z, R, 1, [("dropped", dropped)], [("h", h)], [("keep", keep)], mask)
    key, numbers = _settings("simple_rnn", activation)
    product, room = _rooms(z, (rows, units), (rows, units))
    operands = _operands(h, keep, dropped, room)
    for t in range(length):
        _times(operands[t], R, product)
        operand, writes = _next(operands, t, keep, dropped)
        launch_each(
            cells.simple_step(*key), rows * units, _at(z, t), product, _at(h, t), _at(h, t + 1), _live(mask, t), keep,
            operand, rows * units, units, *_has(mask, keep), writes, *numbers,
        )  # fmt: skip


def simple_rnn_grad(dy, R, z, h, activation, *, dz, dh, mask=None, keep=None):
    """dz = dh · a'"""
    kernel = "simple_rnn_grad"
    length, rows, units = _sizes(kernel, z, R, 1, [("dy", dy)], [("h", h)], [("keep", keep), ("dh", dh)], mask)
    expect(kernel, "dz", dz, z.shape)
    key, numbers = _settings(kernel, activation)
    (past,) = _rooms(z, (rows, units))
    for t in reversed(range(length)):
        launch_each(
            cells.simple_back(*key), rows * units, _at(dy, t), _at(z, t), _live(mask, t), keep, past, _at(dz, t), dh,
            rows * units, units, *_has(dy, mask, keep), int(t + 1 < length), *numbers,
        )  # fmt: skip
        _times(_at(dz, t), R, past, True)
    _arrive(length, dh, past, None, keep)


def _has(*arrays):
    return [int(array is not None) for array in arrays]


def _arrive(length, dh, past, extra, keep):
    if length:
        launch_each(cells.arrive, dh.size, dh, past, extra, keep, dh.size, *_has(extra, keep))


def lstm(
    z, R, activation, recurrent_activation, *, h, c, mask=None, keep=None, dropped=None,
    x=None, W=None, b=None, y=None, keep_gates=True,
):  # fmt: skip
    """c[t + 1] = f c[t] + i g,    h[t + 1] = o a(c[t + 1])"""
    length, rows, units = _sizes("lstm", z, R, 4, [("dropped", dropped)], [("h", h), ("c", c)], [("keep", keep)], mask)
    key, numbers = _settings("lstm", activation, recurrent_activation)
    if x is not None:
        matmul.matmul(x, W, out=z, bias=b)
    product, room = _rooms(z, (rows, 4 * units), (rows, units))
    operands = _operands(h, keep, dropped, room)
    for t in range(length):
        _times(operands[t], R, product)
        operand, writes = _next(operands, t, keep, dropped)
        launch_each(
            cells.lstm_step(*key), rows * units, _at(z, t), product, _at(h, t), _at(c, t), _at(h, t + 1), _at(c, t + 1),
            _live(mask, t), keep, operand, rows * units, units, *_has(mask, keep), writes, *numbers,
        )  # fmt: skip
    if y is not None:
        from_steps(h[1 : length + 1], False, out=y)


def lstm_grad(dy, R, z, h, c, activation, recurrent_activation, *, dz, dh, dc, mask=None, keep=None, W=None, dx=None):
    """The gradients of `lstm`."""
    kernel = "lstm_grad"
    length, rows, units = _sizes(
        kernel, z, R, 4, [("dy", dy)], [("h", h), ("c", c)], [("keep", keep), ("dh", dh), ("dc", dc)], mask
    )
    expect(kernel, "dz", dz, z.shape)
    key, numbers = _settings(kernel, activation, recurrent_activation)
    (past,) = _rooms(z, (rows, units))
    for t in reversed(range(length)):
        launch_each(
            cells.lstm_back(*key), rows * units, _at(dy, t), _at(z, t), _at(c, t), _at(c, t + 1), _live(mask, t), keep,
            past, _at(dz, t), dh, dc, rows * units, units, *_has(dy, mask, keep), int(t + 1 < length), *numbers,
        )  # fmt: skip
        _times(_at(dz, t), R, past, True)
    _arrive(length, dh, past, None, keep)
    if dx is not None:
        matmul.matmul(dz, W, out=dx, transpose_b=True)


def gru(
    z, R, activation, recurrent_activation, reset_after, *, h, inner, bias=None, mask=None, keep=None, dropped=None
):
    """h[t + 1] = u h[t] + (1 − u) g"""
    length, rows, units = _sizes(
        "gru", z, R, 3, [("inner", inner), ("dropped", dropped)], [("h", h)], [("keep", keep)], mask
    )
    expect("gru", "bias", bias, R.shape[1:])
    if bias is not None and not reset_after:
        raise ValueError("gru: only reset_after=True has a bias of the recurrent product; add it to z")
    key, numbers = _settings("gru", activation, recurrent_activation)
    count = rows * units
    product, room, gates, candidate = _rooms(
        z, (rows, (3 if reset_after else 2) * units), (rows, units),
        *((0, 0), (0, 0)) if reset_after else ((units, 2 * units), (units, units)),
    )  # fmt: skip
    if not reset_after:
        _columns(R, 0, gates)
        _columns(R, 2 * units, candidate)
    operands = _operands(h, keep, dropped, room)
    for t in range(length):
        operand, writes = _next(operands, t, keep, dropped)
        end = (_live(mask, t), keep, operand, count, units)
        flags = (*_has(mask, keep), writes)
        if reset_after:
            _times(operands[t], R, product)
            launch_each(
                cells.gru_step(*key), count, _at(z, t), product, bias, _at(h, t), _at(h, t + 1), _at(inner, t), *end,
                *_has(bias), *flags, *numbers,
            )  # fmt: skip
        else:
            _times(operands[t], gates, product)
            launch_each(
                cells.reset_step(*key[2:]),
                count,
                _at(z, t),
                product,
                operands[t],
                _at(inner, t),
                count,
                units,
                *numbers[3:],
            )
            made = product.reshape((count * 2,))[0:count].reshape((rows, units))  # read already
            _times(_at(inner, t), candidate, made)
            launch_each(
                cells.candidate_step(*key), count, _at(z, t), made, _at(h, t), _at(h, t + 1), *end, *flags, *numbers
            )


def gru_grad(
    dy, R, z, h, inner, activation, recurrent_activation, reset_after, *,
    dz, dh, dinner, mask=None, keep=None, dropped=None,
):  # fmt: skip
    """The gradients of `gru`."""
    steps = [("dy", dy), ("inner", inner), ("dinner", dinner), ("dropped", dropped)]
    length, rows, units = _sizes("gru_grad", z, R, 3, steps, [("h", h)], [("keep", keep), ("dh", dh)], mask)
    expect("gru_grad", "dz", dz, z.shape)
    key, numbers = _settings("gru_grad", activation, recurrent_activation)
    count, width = rows * units, (3 if reset_after else 2) * units
    past, made, extra, gates, candidate = _rooms(
        z, (rows, units), (rows, width), (rows, units),
        *((0, 0), (0, 0)) if reset_after else ((units, 2 * units), (units, units)),
    )  # fmt: skip
    if not reset_after:
        _columns(R, 0, gates)
        _columns(R, 2 * units, candidate)
    s = h if dropped is None else dropped
    for t in reversed(range(length)):
        flags = (count, units, *_has(dy, mask, keep), int(t + 1 < length))
        outs = (_at(dz, t), _at(dinner, t), made, dh)
        if reset_after:
            launch_each(
                cells.gru_back(*key), count, _at(dy, t), _at(z, t), _at(h, t), _at(inner, t), _live(mask, t), keep,
                past, *outs, *flags, *numbers,
            )  # fmt: skip
            _times(made, R, past, True)
        else:
            launch_each(
                cells.candidate_back(*key), count, _at(dy, t), _at(z, t), _at(h, t), _live(mask, t), keep, past, extra,
                *outs, *flags, *numbers,
            )  # fmt: skip
            _times(_at(dinner, t), candidate, past, True)  # d(r s)
            launch_each(
                cells.reset_back(*key[2:]), count, past, _at(z, t), _at(s, t), _live(mask, t),
                _at(dz, t), made, extra, count, units, *_has(mask), *numbers[3:],
            )  # fmt: skip
            _times(made, gates, past, True)
    _arrive(length, dh, past, None if reset_after else extra, keep)


def gru_dkernel(h, reset, dz, dinner, *, out):
    """out[:, :2 U] = Σ hᵀ dz,   out[:, 2 U:] = Σ resetᵀ dinner

    The driver multiplies whole matrices: out gets hᵀ dz of all three gates, then the last one is put over it.
    """
    if len(h.shape) < 2:
        raise ValueError(f"gru_dkernel: h must be (..., U), got {h.shape}")
    *steps, units = h.shape
    expect("gru_dkernel", "reset", reset, h.shape)
    expect("gru_dkernel", "dz", dz, (*steps, 3 * units))
    expect("gru_dkernel", "dinner", dinner, h.shape)
    expect("gru_dkernel", "out", out, (units, 3 * units))
    rows, driver = math.prod(steps), out.memory.driver
    (last,) = _rooms(out, (units, units))
    driver.product(h.reshape((rows, units)), dz.reshape((rows, 3 * units)), out, True, False)
    driver.product(reset.reshape((rows, units)), dinner.reshape((rows, units)), last, True, False)
    launch_each(put_kernel, last.size, last, out, last.size, units, 3 * units, 2 * units)


def rnn_dkernels(x, h, dz, *, dW, dR, sums=None):
    """dW = Σ xᵀ dz,   dR = Σ hᵀ dz,   sums = Σ dz"""
    matmul.matmul(x, dz, out=dW, transpose_a=True, sums=sums)
    matmul.matmul(h, dz, out=dR, transpose_a=True)


def to_steps(x, reverse, *, out):
    """out[t, n] = x[n, t], or x[n, T − 1 − t]"""
    _exchange("to_steps", x, out, int(reverse), 0)


def from_steps(x, reverse, *, out):
    """out[n, t] = x[t, n], or x[T − 1 − t, n]"""
    _exchange("from_steps", x, out, 0, int(reverse))


def _exchange(kernel, x, out, reverse_out, reverse_x):
    expect(kernel, "out", out, (x.shape[1], x.shape[0], *x.shape[2:]))
    if x.dtype == bool:
        x, out = viewed(x, "uint8"), viewed(out, "uint8")
    launch_each(
        EXCHANGE[x.dtype.name], x.size, x, out, x.size, x.shape[0], x.shape[1], math.prod(x.shape[2:]), reverse_out,
        reverse_x,
    )  # fmt: skip


def seen(mask, *, out):
    """out[t] = mask[0] or ... or mask[t]"""
    expect("seen", "out", out, mask.shape)
    steps, samples = mask.shape
    if mask.size:
        launch_each(seen_kernel, samples, viewed(mask, "uint8"), viewed(out, "uint8"), steps, samples)
