"""Recurrent layers, all steps of a sequence in one call.

Arrays hold one step after the other: z (T, N, G·U) for T steps of N samples, G gates of U units side by side;
h, c (T + 1, N, U), where h[0], c[0] are the states before the first step and h[t + 1], c[t + 1] those after step t.

On entry z is what comes from the input, x W + b; then the kernel puts what a gate's derivative is computed from there,
y or the whole z, as the activation's `needs` says. s = h[t] · keep is what is multiplied, keep (N, U) the mask of
recurrent dropout, None for 1; `dropped` (T, N, U) gets s. Where mask (T, N) is false the states stay as they are.

Backward: dh (N, U), and dc, hold the gradient of the last states and become that of the first ones; dy (T, N, U) are
those of h[1:], None for 0. dz is like z, and 0 where mask is false. σ is the recurrent activation, a the activation.
"""

import numpy as np


def _activate(activation, z, saved):
    """a(z); `saved` gets what a' is computed from."""
    y = activation(z)
    saved[...] = z if activation.needs == "z" else y
    return y


def _value(activation, saved):
    """a(z) of what was saved."""
    return activation(saved) if activation.needs == "z" else saved


def _slope(activation, y, z):
    """What a' is computed from."""
    return z if activation.needs == "z" else y


def _operand(h, keep, dropped, t):
    s = h[t] if keep is None else h[t] * keep
    if dropped is not None:
        dropped[t] = s
    return s


def _advance(states, new, mask, t):
    for state, values in zip(states, new):
        state[t + 1] = values if mask is None else np.where(mask[t, :, None], values, state[t])


def _only(mask, t, values, otherwise=0):
    """The values where there is a step."""
    return values if mask is None else np.where(mask[t, :, None], values, otherwise)


def simple_rnn(z, R, activation, *, h, mask=None, keep=None, dropped=None):
    """h[t + 1] = a(z[t] + s R)

    Args:
        z: (T, N, U), written.
        R: (U, U).
        activation: a.
        h: (T + 1, N, U), h[0] is read.
        mask, keep, dropped: as above.
    """
    for t in range(len(z)):
        y = _activate(activation, z[t] + _operand(h, keep, dropped, t) @ R, z[t])
        _advance([h], [y], mask, t)


def simple_rnn_grad(dy, R, z, h, activation, *, dz, dh, mask=None, keep=None):
    """dz = dh · a',     dh of the step before = dz Rᵀ · keep

    Args:
        dy: (T, N, U) or None.
        R, z, h, mask, keep: of `simple_rnn`.
        dz: (T, N, U); it may be z.
        dh: (N, U), read and written.
    """
    for t in reversed(range(len(z))):
        d = dh if dy is None else dh + dy[t]
        dz[t] = _only(mask, t, activation.gradient(d, z[t]))
        past = dz[t] @ R.T
        dh[...] = (past if keep is None else past * keep) + (0 if mask is None else np.where(mask[t, :, None], 0, d))


def lstm(
    z, R, activation, recurrent_activation, *, h, c, mask=None, keep=None, dropped=None,
    x=None, W=None, b=None, y=None, keep_gates=True,
):  # fmt: skip
    """i, f, o = σ(z + s R),  g = a(z + s R);    c[t + 1] = f c[t] + i g,    h[t + 1] = o a(c[t + 1])
    with x:  z = x W + b

    Args:
        z: (T, N, 4 U), gates in the order i, f, g, o; written.
        R: (U, 4 U).
        activation, recurrent_activation: a, σ.
        h, c: (T + 1, N, U), h[0] and c[0] are read.
        mask, keep, dropped: as above.
        x: (T, N, D) or None; if given z is not read.
        W, b: with x, (D, 4 U), and (4 U,) or None.
        y: (N, T, U), if given receives h[1:] sample by sample.
        keep_gates: whether z is read afterwards; if not, with x, it may be left as it is.
    """
    act = (recurrent_activation, recurrent_activation, activation, recurrent_activation)
    if x is not None:
        z[...] = x @ W + (0 if b is None else b)
    for t in range(len(z)):
        sums = np.split(z[t] + _operand(h, keep, dropped, t) @ R, 4, axis=-1)
        i, f, g, o = map(_activate, act, sums, np.split(z[t], 4, axis=-1))
        new = f * c[t] + i * g
        _advance([c, h], [new, o * activation(new)], mask, t)
    if y is not None:
        from_steps(h[1:], False, out=y)


def lstm_grad(dy, R, z, h, c, activation, recurrent_activation, *, dz, dh, dc, mask=None, keep=None, W=None, dx=None):
    """do = dh a(c),  dc += dh o a'(c);     di = dc g,  df = dc c[t],  dg = dc i;   each times its slope is dz
    of the step before:  dc = dc f,  dh = dz Rᵀ · keep;     dx = dz Wᵀ

    Args:
        dy: (T, N, U) or None.
        R, z, h, c, mask, keep: of `lstm`.
        dz: (T, N, 4 U); it may be z.
        dh, dc: (N, U), read and written.
        W, dx: (D, 4 U) and (T, N, D), or both None.
    """
    act = (recurrent_activation, recurrent_activation, activation, recurrent_activation)
    for t in reversed(range(len(z))):
        saved = np.split(z[t], 4, axis=-1)
        i, f, g, o = map(_value, act, saved)
        d, y = (dh if dy is None else dh + dy[t]), activation(c[t + 1])
        total = dc + activation.gradient(d * o, _slope(activation, y, c[t + 1]))
        gates = [total * g, total * c[t], total * i, d * y]
        dc[...] = _only(mask, t, total * f, dc)
        dz[t] = _only(mask, t, np.concatenate([a.gradient(dg, one) for a, dg, one in zip(act, gates, saved)], axis=-1))
        past = dz[t] @ R.T
        dh[...] = (past if keep is None else past * keep) + (0 if mask is None else np.where(mask[t, :, None], 0, d))
    if dx is not None:
        dx[...] = dz @ W.T


def gru(
    z, R, activation, recurrent_activation, reset_after, *, h, inner, bias=None, mask=None, keep=None, dropped=None
):
    """u, r = σ(z + s R + b)
    reset_after:    inner = s R + b,    g = a(z + r inner);     else    inner = r s,    g = a(z + inner R)
    h[t + 1] = u h[t] + (1 − u) g

    Args:
        z: (T, N, 3 U), gates in the order u (Keras: z), r, g; written.
        R: (U, 3 U).
        activation, recurrent_activation: a, σ.
        reset_after: whether r is applied after the product.
        h: (T + 1, N, U), h[0] is read.
        inner: (T, N, U), written.
        bias: b (3 U,) of the recurrent product, for reset_after alone.
        mask, keep, dropped: as above.
    """
    units = h.shape[-1]
    for t in range(len(z)):
        s = _operand(h, keep, dropped, t)
        product = s @ R + (0 if bias is None else bias)
        saved = np.split(z[t], 3, axis=-1)
        u, r = (
            _activate(recurrent_activation, saved[gate] + product[:, gate * units : (gate + 1) * units], saved[gate])
            for gate in (0, 1)
        )
        inner[t] = product[:, 2 * units :] if reset_after else r * s
        candidate = r * inner[t] if reset_after else inner[t] @ R[:, 2 * units :]
        g = _activate(activation, saved[2] + candidate, saved[2])
        _advance([h], [u * h[t] + (1 - u) * g], mask, t)


def gru_grad(
    dy, R, z, h, inner, activation, recurrent_activation, reset_after, *,
    dz, dh, dinner, mask=None, keep=None, dropped=None,
):  # fmt: skip
    """du = dh (h[t] − g),  dg = dh (1 − u);    reset_after:  dr = dg inner,  dinner = dg r;  each times its slope is dz
    else:  dinner = dg,  d(r s) = dg Rᵀ of the candidate,  dr = d(r s) s
    of the step before:  dh = dh u + (the gates' dz and dinner) Rᵀ · keep, or else dh u + (dz Rᵀ + d(r s) r) · keep

    Args:
        dy: (T, N, U) or None.
        R, z, h, inner, mask, keep, dropped: of `gru`.
        dz: (T, N, 3 U); it may be z.
        dh: (N, U), read and written.
        dinner: (T, N, U), the gradient of what the candidate's part of R made.
    """
    units = h.shape[-1]
    gates, candidate = R[:, : 2 * units], R[:, 2 * units :]
    for t in reversed(range(len(z))):
        saved = np.split(z[t], 3, axis=-1)
        u, r, g = map(_value, (recurrent_activation, recurrent_activation, activation), saved)
        d = dh if dy is None else dh + dy[t]
        dg = _only(mask, t, activation.gradient(d * (1 - u), saved[2]))
        du = recurrent_activation.gradient(d * (h[t] - g), saved[0])
        if reset_after:
            dr, dinner[t] = dg * inner[t], _only(mask, t, dg * r)
            past = dinner[t] @ candidate.T
        else:
            s, through = h[t] if dropped is None else dropped[t], dg @ candidate.T
            dr, dinner[t] = through * s, dg
            past = through * r
        dr, around = recurrent_activation.gradient(dr, saved[1]), _only(mask, t, d * u, d)
        dz[t] = np.concatenate([_only(mask, t, du), _only(mask, t, dr), dg], axis=-1)
        past = past + dz[t, :, : 2 * units] @ gates.T
        dh[...] = (past if keep is None else past * keep) + around


def gru_dkernel(h, reset, dz, dinner, *, out):
    """dR: out[:, :2 U] = Σ hᵀ dz of the gates u and r,      out[:, 2 U:] = Σ resetᵀ dinner

    Args:
        h: what the gates multiplied, (T, N, U).
        reset: what the candidate's part of R multiplied, (T, N, U): h, or r h with reset_after=False.
        dz: (T, N, 3 U).
        dinner: (T, N, U).
        out: (U, 3 U).
    """
    units = h.shape[-1]
    rows, other = h.reshape(-1, units), reset.reshape(-1, units)
    out[:, : 2 * units] = rows.T @ dz.reshape(-1, 3 * units)[:, : 2 * units]
    out[:, 2 * units :] = other.T @ dinner.reshape(-1, units)


def rnn_dkernels(x, h, dz, *, dW, dR, sums=None):
    """dW = Σ xᵀ dz,    dR = Σ hᵀ dz,    sums = Σ dz, over all steps and samples

    Args:
        x: (T, N, D).
        h: what R multiplied, (T, N, U).
        dz: (T, N, G·U).
        dW, dR: (D, G·U) and (U, G·U).
        sums: (G·U,) or None.
    """
    x, h, dz = (a.reshape(-1, a.shape[-1]) for a in (x, h, dz))
    dW[...], dR[...] = x.T @ dz, h.T @ dz
    if sums is not None:
        sums[...] = dz.sum(axis=0)


def to_steps(x, reverse, *, out):
    """out[t, n] = x[n, t], or x[n, T − 1 − t]

    Args:
        x: (N, T, ...).
        reverse: whether the last step comes first.
        out: (T, N, ...).
    """
    out[...] = np.swapaxes(x[:, ::-1] if reverse else x, 0, 1)


def from_steps(x, reverse, *, out):
    """out[n, t] = x[t, n], or x[T − 1 − t, n]

    Args:
        x: (T, N, ...).
        reverse: whether the last step comes first.
        out: (N, T, ...).
    """
    out[...] = np.swapaxes(x[::-1] if reverse else x, 0, 1)


def seen(mask, *, out):
    """out[t] = mask[0] or mask[1] ... or mask[t]

    Args:
        mask, out: (T, N), bool.
    """
    np.logical_or.accumulate(mask, axis=0, out=out)
