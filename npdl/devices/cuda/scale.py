"""A loss scale that lives on a GPU, with the count of the optimizer's steps that follows from it."""

import numpy as np

from npdl.kernels.cuda import scaling

PLACES = 64
"""Steps whose tables a graph keeps there: the host need not ask for the count before there were that many."""


class DeviceScale:
    """Numbers of a `LossScale` and of an optimizer on a device: npdl/kernels/cuda/scaling.py.

    Args:
        driver: whose.

    Attributes:
        guard: behind which the optimizer's kernels stand.
        counts: all that is counted there.
        places: `PLACES`.
    """

    places = PLACES

    def __init__(self, driver):
        self._numbers, self.counts = driver.array((2,), np.float32), driver.array((4,), np.int32)
        self.guard, self._driver = self.counts[scaling.BAD : scaling.BAD + 1], driver

    def write(self, scale, steps, good, skipped):
        """Be this scale, after these counts."""
        self._driver.upload(self._numbers, np.array([scale, 1 / scale], np.float32))
        self._driver.upload(self.counts, np.array([0, steps, good, skipped], np.int32))

    def read(self):
        """(scale, steps, good, skipped), after all work before."""
        _, *counts = self._driver.download(self.counts).tolist()
        return float(self._driver.download(self._numbers)[0]), *counts

    def multiply(self, x):
        """x = scale · x"""
        scaling.multiply(x, self._numbers)

    def unscale(self, g, segments):
        """g = g / scale in the segments; has the guard say where it is not finite."""
        scaling.unscale(g, segments, self._numbers, self.counts)

    def advance(self, growth, smallest, largest):
        """Count the step, and change the scale as that asks."""
        scaling.advance(self._numbers, self.counts, growth, smallest, largest)
