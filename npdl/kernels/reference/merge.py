"""Several arrays made into one, element by element or side by side."""

import numpy as np


def add(a, b, *, out, activation=None, z=None):
    """out = a(z),   z = a + b

    Args:
        a, b: any shape, the same.
        out: like a; it may be a or b.
        activation: an object of npdl/activations/, or None for none.
        z: like a, receives z itself, or None; it may be a or b, but not out.
    """
    total = a + b
    if z is not None:
        z[...] = total
    out[...] = total if activation is None else activation(total)


def subtract(a, b, *, out):
    """out = a − b; all of one shape, out may be a or b."""
    out[...] = a - b


def multiply(a, b, *, out):
    """out = a · b; all of one shape, out may be a or b."""
    out[...] = a * b


def maximum(a, b, *, out):
    """out = max(a, b), a where they are equal; all of one shape, out may be a or b."""
    out[...] = np.where((a >= b) | (a != a), a, b)


def minimum(a, b, *, out):
    """out = min(a, b), a where they are equal; all of one shape, out may be a or b."""
    out[...] = np.where((a <= b) | (a != a), a, b)


def scale(a, factor, *, out):
    """out = a · factor, a number; of one shape, out may be a."""
    out[...] = a * out.dtype.type(factor)


def match_grad(dy, x, y, *, out, rest):
    """out = dy where x = y, else 0;    rest = dy − out

    The gradient of a maximum y for one of its inputs x, and what is left for those after it: of inputs that are equal
    the first gets it. All of one shape; rest may be dy.
    """
    mine = x == y
    out[...], rest[...] = np.where(mine, dy, 0), np.where(mine, 0, dy)


def put_part(x, axis, start, *, out):
    """out[..., start : start + n, ...] = x, along one axis on which x has n places; the other axes are alike."""
    out[part(axis, start, x.shape[axis])] = x


def take_part(y, axis, start, *, out):
    """out = y[..., start : start + n, ...], along one axis on which out has n places; the other axes are alike."""
    out[...] = y[part(axis, start, out.shape[axis])]


def part(axis, start, count):
    """The index of `count` places from `start` on along an axis."""
    return (*(slice(None),) * axis, slice(start, start + count))
