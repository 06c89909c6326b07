"""Powers of absolute values."""

import numpy as np


def power(x, exponent, *, out):
    """out = |x|^p

    Args:
        x: any shape.
        exponent: p, a number other than 0; where it is below 0 no x may be 0.
        out: like x; it may be x.
    """
    out[...] = np.abs(x) ** x.dtype.type(exponent)


def power_grad(dy, x, exponent, *, out):
    """dx = dy · p |x|^(p − 1) sign(x), and 0 where x is 0

    Args:
        dy: like x.
        x, exponent: as of `power`.
        out: like x; it may be dy or x.
    """
    p, zero = x.dtype.type(exponent), x == 0
    slope = p * np.abs(np.where(zero, 1, x)) ** (p - 1) * np.sign(x)
    out[...] = dy * np.where(zero, x, slope)
