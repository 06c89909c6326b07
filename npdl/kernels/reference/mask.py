"""Masks: which rows count."""

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
