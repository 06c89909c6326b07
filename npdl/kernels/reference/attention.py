"""Attention: each query's average of the values, weighted by how well their keys fit; of every head."""

import numpy as np

from npdl.kernels.reference.dropout import dropout as drop


def allowed(samples, queries, keys, causal, query_mask, key_mask, value_mask, mask):
    """(N, T, S), or what broadcasts to it: which keys a query may look at."""
    may = np.ones((samples, queries, keys), bool)
    if causal:
        may &= np.arange(keys) <= np.arange(queries)[:, None]
    if query_mask is not None:
        may &= query_mask[:, :, None]
    for of_keys in (key_mask, value_mask):
        if of_keys is not None:
            may &= of_keys[:, None, :]
    return may if mask is None else may & mask


def _heads_first(x, times=1):
    """(N, T, G, D) -> (N, G · times, T, D), each head `times` times."""
    return np.repeat(x.swapaxes(1, 2), times, axis=1)


def _softmax(scores):
    """Of each row; zeros where all of it is −∞."""
    top = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(np.isneginf(top), 0, top))
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _probabilities(q, k, scale, causal, query_mask, key_mask, value_mask, mask):
    """P (N, H, T, S)"""
    may = allowed(len(q), q.shape[1], k.shape[1], causal, query_mask, key_mask, value_mask, mask)
    scores = _heads_first(q) @ _heads_first(k, q.shape[2] // k.shape[2]).swapaxes(2, 3) * q.dtype.type(scale)
    return _softmax(np.where(may[:, None], scores, q.dtype.type(-np.inf)))


def _dropped(x, rate, key, step):
    """x times the mask of `dropout`, whose elements are (head, query, key)."""
    y = x if rate == 0 else np.empty(x.shape, x.dtype)
    if rate:
        drop(x, rate, key, step, out=y)
    return y


def attention(
    q, k, v, scale, *, out,
    causal=False, query_mask=None, key_mask=None, value_mask=None, mask=None, rate=0.0, key=None, step=0,
):  # fmt: skip
    """Scaled dot-product attention of every sample n and head h.

        scores[t, s] = scale · q[n, t, h] · k[n, s, g]          g = ⌊h / (H/G)⌋: H/G heads share a key and a value
        P[t] = softmax over the s that t may look at            0 where there is none
        out[n, t, h] = Σₛ P[t, s] m[t, s] v[n, s, g]            m: of `dropout`, on the elements (h, t, s)

    Args:
        q: queries (N, T, H, D).
        k: keys (N, S, G, D); G divides H.
        v: values (N, S, G, E).
        scale: above 0; usually 1/√D.
        out: (N, T, H, E).
        causal: whether query t may look at the keys s ≤ t alone.
        query_mask, key_mask, value_mask, mask: (N, T), (N, S), (N, S), (N, T, S), bool: True where it may; None is
            everywhere.
        rate, key, step: of dropout, as its kernel takes them.
    """
    p = _dropped(_probabilities(q, k, scale, causal, query_mask, key_mask, value_mask, mask), rate, key, step)
    out[...] = (p @ _heads_first(v, q.shape[2] // v.shape[2])).swapaxes(1, 2)


def attention_grad(
    dout, q, k, v, scale, *, dq, dk, dv,
    causal=False, query_mask=None, key_mask=None, value_mask=None, mask=None, rate=0.0, key=None, step=0,
):  # fmt: skip
    """Gradients of `attention`; P is made again.

        dv[n, s, g] = Σ P[t, s] m[t, s] dout[n, t, h]           over t and the heads of g
        dP[t, s] = m[t, s] dout[n, t, h] · v[n, s, g]
        dS[t, s] = scale · P[t, s] (dP[t, s] − Σₛ P[t, s] dP[t, s])
        dq[n, t, h] = Σₛ dS[t, s] k[n, s, g]
        dk[n, s, g] = Σ dS[t, s] q[n, t, h]                     over t and the heads of g

    Args:
        dout: (N, T, H, E).
        dq, dk, dv: like q, k, v, which they are not.
        the others: as of `attention`.
    """
    each, (samples, keys, groups, _) = q.shape[2] // k.shape[2], k.shape

    def of_groups(x):  # (N, H, S, D) -> (N, S, G, D), the sum over the heads of a group
        return x.reshape(samples, groups, each, keys, x.shape[-1]).sum(axis=2).swapaxes(1, 2)

    p, dy = _probabilities(q, k, scale, causal, query_mask, key_mask, value_mask, mask), _heads_first(dout)
    dv[...] = of_groups(_dropped(p, rate, key, step).swapaxes(2, 3) @ dy)
    dp = _dropped(dy @ _heads_first(v, each).swapaxes(2, 3), rate, key, step)
    ds = q.dtype.type(scale) * p * (dp - (p * dp).sum(axis=-1, keepdims=True))
    dq[...] = (ds @ _heads_first(k, each)).swapaxes(1, 2)
    dk[...] = of_groups(ds.swapaxes(2, 3) @ _heads_first(q))
