"""Margins of an axis that go on with what lies inside."""

import numpy as np

MODES = ("reflect", "replicate", "circular")


def check(kernel, length, margins, mode):
    """Raise unless an axis of that length can be extended so.

    Raises:
        ValueError: an unknown mode, margins below 0 or that reach further than there are places.
    """
    if mode not in MODES:
        raise ValueError(f"{kernel}: mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}")
    most = {"reflect": length - 1, "replicate": max(margins) if length else 0, "circular": length}[mode]
    if len(margins) != 2 or min(margins) < 0 or max(margins) > most:
        raise ValueError(
            f"{kernel}: {mode} margins of {length} places are two numbers from 0 to {max(most, 0)}, got {margins}"
        )


def source(length, margins, mode):
    """Which place each of the before + length + after places of the longer axis shows.

    >>> for mode in MODES:
    ...     print(source(4, (2, 3), mode).tolist())
    [2, 1, 0, 1, 2, 3, 2, 1, 0]
    [0, 0, 0, 1, 2, 3, 3, 3, 3]
    [2, 3, 0, 1, 2, 3, 0, 1, 2]
    """
    at = np.arange(-margins[0], length + margins[1])
    if mode == "circular":
        return at % length
    if mode == "replicate":
        return np.clip(at, 0, length - 1)
    return length - 1 - abs(length - 1 - abs(at))


def extend(x, axis, margins, mode, *, out):
    """out[i] = x[source[i]] along an axis

    Args:
        x: (..., L, ...).
        axis: along which.
        margins: (before, after), places more.
        mode: "reflect" goes back inside behind the last place, "replicate" stays on it, "circular" begins at the other
            end.
        out: (..., before + L + after, ...).
    """
    check("extend", x.shape[axis], margins, mode)
    out[...] = np.take(x, source(x.shape[axis], margins, mode), axis)


def extend_grad(dy, axis, margins, mode, *, out):
    """dx[l] = Σ dy[i] over the places i that show l

    Args:
        dy: (..., before + L + after, ...).
        axis, margins, mode: as of `extend`.
        out: dx (..., L, ...).
    """
    check("extend_grad", out.shape[axis], margins, mode)
    out[...] = 0
    places = (slice(None),) * axis
    for i, place in enumerate(source(out.shape[axis], margins, mode)):
        out[(*places, place)] += dy[(*places, i)]
