"""The step of a layer that draws random numbers, while a training step is noted to be repeated, and host arrays that
are made from it."""

import functools
from typing import Any

import numpy as np


class Counted(int):
    """A whole number that knows whose step it is: what a repetition puts in its place is `now()`.

    Args:
        layer: whose `step` it is.
        first: that step before the training step that is noted.
        ahead: how many draws of that training step come before.
    """

    def __new__(cls, layer, first, ahead=0):
        self = super().__new__(cls, first + ahead)
        self.layer, self.first, self.ahead = layer, first, ahead
        return self

    def __add__(self, more):
        return Counted(self.layer, self.first, self.ahead + more)

    def __sub__(self, less):
        return Counted(self.layer, self.first, self.ahead - less)

    def now(self):
        """The number for a training step that begins now."""
        return self.layer.step + self.ahead


class Drawn(np.ndarray):
    """A host array that a function makes of the step of a layer: what a repetition puts in its place is `now()`.

    What NumPy makes of one is a `Drawn` without that function, and cannot be repeated.
    """

    make: Any = None
    step: Any = None

    def now(self):
        """The array for a training step that begins now."""
        return self.make(self.step.now())


def drawn(make, step):
    """make(step), a host array that nobody writes into; of a `Counted` step a `Drawn`."""
    if not isinstance(step, Counted):
        return make(step)
    make = functools.lru_cache(maxsize=1)(make)  # forward and backward ask for the same numbers
    array = np.asarray(make(int(step))).view(Drawn)
    array.make, array.step = make, step
    return array


def through(function, array):
    """function(array); of a `Drawn` again one."""
    if getattr(array, "make", None) is None:
        return function(array)
    return drawn(lambda step: function(array.make(step)), array.step)
