"""Inputs of several shapes brought to one, as NumPy does: copies along axes of one place, and the sums of gradients."""

import itertools
import math


def common(shapes):
    """The shape that all are brought to: the longest, with the size of an axis that is not 1; None where there is none.

    >>> common([(8, 6, 3), (1, 1, 3), (3,)]), common([(4,), (3,)])
    ((8, 6, 3), None)
    """
    rank, found = max(map(len, shapes)), []
    for column in zip(*((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes)):
        sizes = {size for size in column if size != 1} or {1}
        if len(sizes) > 1:
            return None
        found += sizes
    return tuple(found)


def spread(layer, x):
    """Each x at the size of all: itself, or copies of it in a buffer of the layer's."""
    if layer.alike:
        return x
    full = (len(x[0]), *common([one.shape[1:] for one in x]))
    wide = []
    for i, one in enumerate(x):
        if one.shape != full:
            narrow, times = _copies(one.shape, full)
            y = layer.buffer(f"x{i}", full)
            layer.k.repeat(one.reshape(narrow), times, out=_apart(y, narrow, times))
            one = y
        wide.append(one)
    return wide


def gathered(layer, dx):
    """dx of each input from dx of its copies: their sum."""
    if layer.alike:
        return tuple(dx)
    found = []
    for i, (one, built) in enumerate(zip(dx, layer.input_shape, strict=True)):
        sizes = one.shape[len(one.shape) - len(built) :]
        shape = (len(one), *(1 if size == 1 else n for size, n in zip(built, sizes)))
        if one.shape != shape:
            narrow, times = _copies(shape, one.shape)
            y = layer.buffer(f"sum{i}", shape)
            layer.k.repeat_grad(_apart(one, narrow, times), times, out=y.reshape(narrow))
            one = y
        found.append(one)
    return tuple(found)


def _copies(shape, full):
    """(`shape` with neighbouring axes joined that are all copied or all not, how often each is copied)

    >>> _copies((2, 1, 1, 3), (2, 8, 6, 3)), _copies((2, 8, 6, 1), (2, 8, 6, 3)), _copies((2, 3), (2, 8, 6, 3))
    (((2, 1, 3), (48, 1)), ((2, 48, 1), (1, 3)), ((2, 1, 3), (48, 1)))
    """
    pairs = list(zip((1,) * (len(full) - len(shape)) + shape[1:], full[1:]))
    groups = [list(some) for _, some in itertools.groupby(pairs, lambda pair: pair[0] != pair[1])]
    sizes = [(math.prod(a for a, _ in some), math.prod(b for _, b in some)) for some in groups]
    return (full[0], *(a for a, _ in sizes)), tuple(b // max(a, 1) for a, b in sizes)


def _apart(array, narrow, times):
    return array.reshape(len(array), *(size * n for size, n in zip(narrow[1:], times)))
