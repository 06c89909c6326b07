"""Gradients against central differences, in float64.

    dL/dt[i] ≈ (L(t[i] + h) − L(t[i] − h)) / 2h         along a direction v: Σ dL/dt · v ≈ (L(t + hv) − L(t − hv)) / 2h

The error is about h² of truncation and 2⁻⁵²/h of rounding, least near h = 2⁻¹⁷. Every entry of a small tensor is
compared; of a large one some random entries and the largest, and the whole of any tensor along a random direction.

Where L has a kink (ReLU at 0, a tie in max-pooling) within h, a smaller h tells; where it lies at t itself, backward
may give any slope between those to the left and to the right. So that zeros and ties in your data do not hide a wrong
gradient behind such kinks, and gammas of 1 and biases of 0 a missing factor or term, weights and inputs are first
moved a little at random (`nudge`), all in a copy.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from npdl import random
from npdl.testing.report import Entry, Report, relative

STEP = 2.0**-17
FAR = 2.0**-10  # part of a tensor's size by which it is moved to see which terms of the loss it touches
SMALLER = (1.0, 2.0**-4, 2.0**-8)  # of STEP, tried in turn until backward and differences agree
ROUNDING = 20 * 2.0**-52  # of a term of the loss: what a forward of some depth loses
ALL_ENTRIES = 200  # a tensor of so many is compared whole


class Tensor(NamedTuple):
    """A tensor to move, and the gradient that backward gave for it.

    Attributes:
        layer, name: for the report.
        array: float64, C-contiguous; moved while checking and put back.
        gradient: of its shape.
        loss: called without arguments after each move, computes L: a number, or an array of terms to be summed.
    """

    layer: str
    name: str
    array: Any
    gradient: Any
    loss: Any


class _Slope(NamedTuple):
    """Slopes of L along a line, from three points."""

    central: float
    left: float
    right: float
    rounding: float  # bound of the rounding error of `central`


def _change(a, b):
    """(Σ a − b, what rounding may have added), over the terms that differ: the others cancel exactly."""
    a, b = np.ravel(a), np.ravel(b)
    differ = a != b
    a, b = a[differ], b[differ]
    return float(np.sum(a - b)), ROUNDING * float(np.sum(np.abs(a) + np.abs(b)))


def _touched(tensor):
    """Which terms of L the tensor has a part in: those that change where all of it is moved; all, if none does."""
    flat, here = tensor.array.reshape(-1), np.ravel(tensor.loss()).copy()
    start = flat.copy()
    try:
        flat += FAR * np.where(start == 0, 1.0, start)
        touched = np.ravel(tensor.loss()) != here
    finally:
        flat[:] = start
    return touched if touched.any() else np.ones_like(touched)


def _slope(tensor, move, h, touched, sides=False):
    """The slope of L along `move`: an index of the flat tensor, or a direction v.

    Args:
        h: how far to each side.
        touched: the terms of L that count for what rounding may do to the gradient.
        sides: compute the slopes to the left and to the right too.
    """
    flat = tensor.array.reshape(-1)
    single = isinstance(move, int)
    where, way = (slice(move, move + 1), 1.0) if single else (slice(None), move)
    start = flat[where].copy()

    def at(distance):
        flat[where] = start + distance * way
        came = float(flat[where][0] - start[0]) if single else distance  # what the sum was rounded to
        return came, np.array(tensor.loss())

    try:
        (up, above), (down, below) = at(h), at(-h)
        change, rounding = _change(above, below)
        central = change / (up - down)
        left = right = central
        if sides:
            _, here = at(0.0)
            left, right = _change(below, here)[0] / down, _change(above, here)[0] / up
        seen = np.abs(np.ravel(above)[touched])
        lost = ROUNDING * float(np.sum(seen))  # by backward itself, where all of the gradient cancels
        return _Slope(central, left, right, rounding / (up - down) + lost)
    finally:
        flat[where] = start


class _Check:
    """Compares the entries of one tensor."""

    def __init__(self, tensor, tolerance):
        self.tensor, self.tolerance = tensor, tolerance
        self.gradient = np.array(tensor.gradient, np.float64).reshape(-1)
        self.size = math.sqrt(float(np.mean(tensor.array**2)))
        self.entries, self.kinks, self.touched = [], [], _touched(tensor)

    def compare(self, moves, analytic, steps, names, scale):
        """Add an `Entry` for each move; `scale` is the least size of the slopes, which their largest may exceed."""
        first = [_slope(self.tensor, move, h, self.touched) for move, h in zip(moves, steps, strict=True)]
        scale = max([scale, *(abs(slope.central) for slope in first if math.isfinite(slope.central))])
        for move, a, h, name, slope in zip(moves, analytic, steps, names, first, strict=True):
            slope, agrees = self._settle(move, a, h, slope, scale)
            error = relative(abs(a - slope.central), scale)
            self.entries.append(Entry(self.tensor.layer, self.tensor.name, name, a, slope.central, error, agrees))

    def _settle(self, move, a, h, slope, scale):
        """(the slope with the h that was needed, whether backward's agrees with it)"""
        for smaller in SMALLER:
            if smaller < 1:
                slope = _slope(self.tensor, move, h * smaller, self.touched, sides=smaller == SMALLER[-1])
            if abs(a - slope.central) <= self.tolerance * scale + slope.rounding:
                return slope, True
        slack = self.tolerance * scale + 2 * slope.rounding
        if min(slope.left, slope.right) - slack <= a <= max(slope.left, slope.right) + slack:
            self.kinks.append(move)
            return slope._replace(central=a), True
        return slope, False

    def step(self, i):
        """h for entry i."""
        return STEP * max(abs(float(self.tensor.array.reshape(-1)[i])), self.size, 0.1)


def compare(tensors, *, tolerance=1e-6, entries=30, seed=0):
    """Compare gradients with central differences.

    Args:
        tensors: of `Tensor`.
        tolerance: largest |backward − differences| as a part of the largest number of the tensor's gradient.
        entries: how many random entries of a tensor of more than 200.
        seed: of the choice.

    Returns:
        a `Report`.
    """
    found, kinks = [], 0
    for place, tensor in enumerate(tensors):
        if np.shape(tensor.gradient) != tensor.array.shape:
            raise ValueError(
                f"{tensor.layer}: backward gives {tensor.name} a gradient of shape {np.shape(tensor.gradient)}, "
                f"expected {tensor.array.shape}"
            )
        n = tensor.array.size
        if not n:
            continue
        check, g = _Check(tensor, tolerance), np.asarray(tensor.gradient, np.float64).reshape(-1)
        if n <= ALL_ENTRIES:
            chosen = list(range(n))
        else:
            drawn = random.integers(random.key(seed, place, "entries"), (entries,), 0, n)
            chosen = sorted({int(np.argmax(np.abs(g))), *map(int, drawn)})
        names = [tuple(map(int, np.unravel_index(i, tensor.array.shape))) for i in chosen]
        largest = float(np.max(np.abs(g)))
        check.compare(chosen, [float(g[i]) for i in chosen], [check.step(i) for i in chosen], names, largest)
        v = random.normal(random.key(seed, place, "direction"), (n,))
        v[check.kinks] = 0.0
        h = STEP * max(check.size, 0.1) / n**0.25  # many entries move at once: less for each
        check.compare([v], [float(g @ v)], [h], ["direction"], float(np.sqrt(g @ g)))
        found += check.entries
        kinks += len(check.kinks)
    return Report(tolerance, found, len(tensors), kinks)
