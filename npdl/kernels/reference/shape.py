"""Moving numbers: another order of the axes, margins off and on, every place several times."""

import itertools

import numpy as np


def permute(x, axes, *, out):
    """out[i...] = x[j...] where i = j in the order of `axes`: axis k of out is axis axes[k] of x

    Args:
        x: any shape.
        axes: tuple, each axis of x once.
        out: shape of x in that order.
    """
    out[...] = x.transpose(axes)


def inside(shape, margins):
    """The slices that leave margins away: `margins` (before, after) for each axis after the first."""
    return (slice(None), *(slice(before, size - after) for size, (before, after) in zip(shape[1:], margins)))


def crop(x, margins, *, out):
    """out = x without its margins

    Args:
        x: (N, A, B, ..., C).
        margins: ((before, after), ...) of the axes A, B, ...; those that follow are kept whole.
        out: (N, A − before − after, ..., C).
    """
    out[...] = x[inside(x.shape, margins)]


def pad(x, margins, *, out):
    """out = x with zeros around it

    Args:
        x: (N, A, B, ..., C).
        margins: ((before, after), ...) of the axes A, B, ...; those that follow get none.
        out: (N, before + A + after, ..., C).
    """
    out[...] = 0
    out[inside(out.shape, margins)] = x


def apart(x, times):
    """x with its axes A, B, ... cut in (A / times, times); a view.

    >>> apart(np.zeros((2, 6, 8, 5)), (3, 2)).shape
    (2, 2, 3, 4, 2, 5)
    """
    pairs = [(size // n, n) for size, n in zip(x.shape[1:], times)]
    return x.reshape(len(x), *itertools.chain(*pairs), *x.shape[len(times) + 1 :])


def repeat(x, times, *, out):
    """out[n, i, j, ..., c] = x[n, i // times[0], j // times[1], ..., c]

    Args:
        x: (N, A, B, ..., C).
        times: how often each place stands there, for the axes A, B, ...; those that follow are kept.
        out: (N, A·times[0], B·times[1], ..., C).
    """
    for axis, n in enumerate(times, 1):
        x = np.repeat(x, n, axis=axis)
    out[...] = x


def repeat_grad(dy, times, *, out):
    """dx[n, i, j, ..., c] = Σ dy over the places that x[n, i, j, ..., c] was copied to

    Args:
        dy: (N, A·times[0], B·times[1], ..., C).
        times: as of `repeat`.
        out: dx (N, A, B, ..., C).
    """
    out[...] = apart(dy, times).sum(axis=tuple(range(2, 2 * len(times) + 1, 2)))
