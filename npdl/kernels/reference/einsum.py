"""Products of arrays whose axes have letters."""

import numpy as np


def einsum(a, b, equation, *, out, bias=None):
    """out = Σ a b over the letters that out has not, plus bias

    Args:
        a, b: arrays; a letter of both has one size.
        equation: "ab,bc->ac": the letters of a, of b and of out, no letter twice in one of them. Each letter of a is
            in b or out, each of b in a or out.
        out: the letters after the arrow.
        bias: of a shape that NumPy broadcasts to out's, or None.
    """
    out[...] = np.einsum(equation, a, b)
    if bias is not None:
        out[...] += bias


def sum_to(x, *, out):
    """out = Σ x over the axes along which out has length 1, or which out lacks in front

    Args:
        x: any shape.
        out: a shape that NumPy broadcasts to x's: what adding it to x needs backwards.
    """
    lacks = x.ndim - out.ndim
    axes = tuple(i for i in range(x.ndim) if i < lacks or (out.shape[i - lacks] == 1 and x.shape[i] != 1))
    out[...] = x.sum(axis=axes).reshape(out.shape)
