"""Masks: which rows count; and arrays filled, copied, multiplied, chosen from two by rows, joined and parted."""

import numpy as np


def masking(x, value, *, out):
    """out[i...] = whether any x[i..., d] ≠ value

    Args:
        x: (..., D).
        value: a number.
        out: (...), bool.
    """
    np.any(x != value, axis=-1, out=out)


def mask_rows(x, mask, *, out):
    """out[i..., d] = x[i..., d] where mask[i...], else 0

    Args:
        x: (..., D).
        mask: (...), bool.
        out: like x; may be x.
    """
    out[...] = np.where(mask[..., None], x, 0)


def both(a, b, *, out):
    """out = a ∧ b

    Args:
        a, b, out: of one shape, bool.
    """
    np.logical_and(a, b, out=out)


def choose(mask, a, b, *, out):
    """out[i..., d] = a[i..., d] where mask[i...], else b[i..., d]

    Args:
        mask: (...), bool.
        a, b: (..., D); None is 0.
        out: (..., D).
    """
    out[...] = np.where(mask[..., None], 0 if a is None else a, 0 if b is None else b)


def fill(value, *, out):
    """out = value

    Args:
        value: a number.
        out: any array.
    """
    out[...] = value


def copy(x, *, out):
    """out = x

    Args:
        x, out: of one shape.
    """
    out[...] = x


def times(a, b, *, out):
    """out = a b

    Args:
        a, out: of one shape; out may be a.
        b: like a, or a number.
    """
    np.multiply(a, b if isinstance(b, np.ndarray) else a.dtype.type(b), out=out)


def join(a, b, *, out):
    """out[..., :A] = a,  out[..., A:] = b

    Args:
        a, b: (..., A), (..., B).
        out: (..., A + B).
    """
    np.concatenate([a, b], axis=-1, out=out)


def part(x, *, a, b):
    """a = x[..., :A],  b = x[..., A:]

    Args:
        x: (..., A + B).
        a, b: (..., A), (..., B).
    """
    a[...], b[...] = x[..., : a.shape[-1]], x[..., a.shape[-1] :]
