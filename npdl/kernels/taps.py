"""Resampling along an axis: which places of x a place of the result is made of, and with what weights."""

import functools
import math
from typing import NamedTuple

import numpy as np

METHODS = ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5")


class Taps(NamedTuple):
    """out[i] = Σ weight[p] x[place[p]]  over p = start[i], ..., start[i + 1] − 1, in this order.

    The three arrays are read-only, on the host, on every device.
    """

    size: int  # places of x
    start: np.ndarray  # int64, one more than places of the result
    place: np.ndarray  # int64
    weight: np.ndarray  # float64, of each index

    @property
    def places(self):
        """How many places the result has."""
        return len(self.start) - 1

    def transposed(self):
        """The taps that take dy to dx: those of each place of x, in the order of the results they went into."""
        order = np.argsort(self.place, kind="stable")
        to = np.repeat(np.arange(self.places, dtype=np.int64), np.diff(self.start))
        start = np.searchsorted(self.place[order], np.arange(self.size + 1)).astype(np.int64)
        return _read_only(Taps(self.places, start, to[order], self.weight[order]))


def _read_only(taps):
    for array in taps[1:]:
        array.flags.writeable = False
    return taps


def _triangle(t):
    return np.maximum(1.0 - np.abs(t), 0.0)


def _keys(t):
    """Keys' cubic with a = −½, which is exact on parabolas."""
    t = np.abs(t)
    near, far = (1.5 * t - 2.5) * t * t + 1.0, ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    return np.where(t < 1.0, near, np.where(t < 2.0, far, 0.0))


def _sine_of_pi(t):
    """sin πt to about an ulp, from operations only that every machine rounds alike: the series of sin πr, |r| ≤ ½."""
    half_turns = np.floor(t + 0.5)
    angle = (t - half_turns) * math.pi
    square, sine = angle * angle, 1.0
    for n in range(20, 0, -2):
        sine = 1.0 - square * sine / (n * (n + 1))
    return np.where(half_turns % 2 == 0, angle * sine, -angle * sine)


def _lanczos(reach):
    """sinc t · sinc t/reach, sinc t = sin πt / πt"""

    def weight(t):
        safe = np.where(t == 0, 1.0, t)
        product = reach * _sine_of_pi(safe) * _sine_of_pi(safe / reach) / (math.pi * math.pi * safe * safe)
        return np.where(t == 0, 1.0, np.where(np.abs(t) < reach, product, 0.0))

    return weight


KERNELS = {
    "bilinear": (_triangle, 1.0), "bicubic": (_keys, 2.0), "lanczos3": (_lanczos(3), 3.0),
    "lanczos5": (_lanczos(5), 5.0),
}  # fmt: skip
"""Weight as a function of the distance, and how far it reaches."""


@functools.lru_cache(maxsize=512)
def taps(size, places, method, antialias=False, window=None):
    """The `Taps` of resizing an axis of `size` places to `places`.

    Place i of the result has its centre at  c = (i + ½) s − ½  of x,  s = length of the window / places:

        nearest     x[⌊(i + ½) s⌋]
        bilinear    weights 1 − |j − c|, of the two nearest places
        bicubic     weights of Keys' cubic (a = −½), of the four nearest places
        lanczos3    weights sinc(j − c) sinc((j − c)/3), of the six nearest places; lanczos5: 5 for 3, of ten
        area        the mean of x over what the place covers

    Weights of places beyond the window fall to the others: they add up to 1. With `antialias` and s > 1 the weights of
    all but nearest and area are stretched s times, so that no place of x is passed over.

    Args:
        size, places: of x and of the result, at least 1.
        method: one of `METHODS`.
        antialias: as above.
        window: (first place, length) of the part of x to resize; None is all of it. It may reach beyond x: places out
            there count as zeros.
    """
    first, length = window or (0, size)
    if method in KERNELS:
        function, reach = KERNELS[method]
        scale = length / places
        wide = max(scale, 1.0) if antialias else 1.0
        centre = (np.arange(places) + 0.5) * scale - 0.5
        offsets = np.arange(-int(reach * wide) - 1, int(reach * wide) + 2)
        index = np.floor(centre).astype(np.int64)[:, None] + offsets
        weight = np.where((index >= 0) & (index < length), function((index - centre[:, None]) / wide), 0.0)
        total = np.zeros(places)
        for column in weight.T:  # one after the other: the same bits on every machine
            total += column
        weight = weight / total[:, None]
    elif method == "area":
        low, high = (np.arange(places + n, dtype=np.int64)[n : n + places] * length for n in (0, 1))
        index = low[:, None] // places + np.arange(length // places + 2)
        overlap = np.minimum(high[:, None], (index + 1) * places) - np.maximum(low[:, None], index * places)
        weight = np.maximum(overlap, 0) / length
    else:
        index = ((2 * np.arange(places, dtype=np.int64) + 1) * length // (2 * places))[:, None]
        weight = np.ones(index.shape)
    index = index + first
    used = (weight != 0) & (index >= 0) & (index < size)
    start = np.concatenate([[0], np.cumsum(used.sum(axis=1))]).astype(np.int64)
    return _read_only(Taps(size, start, index[used], weight[used]))


@functools.lru_cache(maxsize=64)
def neighbours(size, before, after):
    """The `Taps` of the sum of each place, so many before it and so many after it, of an axis of `size` places.

    >>> neighbours(4, 1, 0).place.tolist()
    [0, 0, 1, 1, 2, 2, 3]
    """
    before, after = min(before, size - 1), min(after, size - 1)
    index = np.arange(size)[:, None] + np.arange(-before, after + 1)
    used = (index >= 0) & (index < size)
    start = np.concatenate([[0], np.cumsum(used.sum(axis=1))]).astype(np.int64)
    return _read_only(Taps(size, start, index[used].astype(np.int64), np.ones(int(used.sum()))))


@functools.lru_cache(maxsize=64)
def both_sides(size, distance):
    """The `Taps` of the sum of the two places at a distance from each, of an axis of `size` places; zeros beyond.

    >>> both_sides(4, 2).place.tolist()
    [2, 3, 0, 1]
    """
    index = np.arange(size, dtype=np.int64)[:, None] + np.array([-distance, distance])
    used = (index >= 0) & (index < size)
    start = np.concatenate([[0], np.cumsum(used.sum(axis=1))]).astype(np.int64)
    return _read_only(Taps(size, start, index[used], np.ones(int(used.sum()))))


def image_taps(size, made, method, antialias=False, aspect=None):
    """(rows, columns): the `Taps` of resizing images of `size` (height, width) to `made`.

    Args:
        size, made, method, antialias: as of `taps`, both axes.
        aspect: "crop" takes the largest part of the image, in its middle, that has the proportions of `made`; "pad" the
            smallest frame around it that has them, in which there are zeros; None is the image.
    """
    (h, w), (to_h, to_w) = size, made
    windows = None, None
    if aspect is not None:
        fitting = w * to_h // to_w, h * to_w // to_h  # the height that goes with the width, and the other way round
        lengths = [max(min(n, fit), 1) if aspect == "crop" else max(n, fit) for n, fit in zip(size, fitting)]
        windows = [
            ((n - length) // 2 if n > length else -((length - n) // 2), length) for n, length in zip(size, lengths)
        ]
    return tuple(taps(n, to, method, antialias, window) for n, to, window in zip(size, made, windows))
