"""Scaling: what a `LossScale` does in a model's steps."""

import contextlib
import math

from npdl import devices
from npdl.optimizers.loss_scale import LARGEST, SMALLEST
from npdl.penalties import SCALE


class Scaling:
    """The loss scale of a compiled model, on its device.

    The scale is a whole array there, like dL/dy, and not a number among a kernel's arguments: then a step that is noted
    stays the same when the scale changes.

    In a captured step with its update (`captures`) the GPU settles by itself whether the step is skipped and what the
    next scale is: nobody waits for it. It then is the keeper of the scale's numbers and of the optimizer's
    `iterations`: they are lent to it (`lend`), and read (`settle`) when somebody asks for them. Until then the host
    supposes that no step was skipped (`supposed`). What an optimizer computes from `iterations` on the host, such as
    Adam's powers of β, may therefore be of too late a step, and the GPU chooses among the tables of the last ones
    (`Numbers.choose`).

    Args:
        model: built and compiled.

    Attributes:
        finite: whether the gradients of the last step were.
        captures: whether the step that is made now is captured with its update.
        there: the device's `DeviceScale`, once it was the keeper.
    """

    def __init__(self, model):
        self._model, self._scale, self._arrays, self.finite = model, model.loss_scale, {}, True
        self.captures, self.there, self._optimizer = False, None, None
        self._begun, self._before = 0, 1.0  # iterations and scale as the device got them

    def multiply(self, k, dy):
        """dy = scale · dy, by a table of kernels.

        The arrays have 2, 4, 8 ... numbers, and a dy gets the first ones of the next larger: batches of ever new shapes
        need no more memory than twice the largest.
        """
        if self.captures:
            self.there.multiply(dy)
            return
        room = 1 << (dy.size - 1).bit_length()
        if room not in self._arrays:  # the first batch of a shape is never captured
            with devices.use_workspace(None):
                self._arrays[room] = self._model.device.alloc((room,), dy.dtype), None
        driver = self._model.device.driver
        if driver is None or not driver.capturing:  # before a graph starts they are written, too
            self.refresh()
        k.multiply(dy, self._arrays[room][0][0 : dy.size].reshape(dy.shape), out=dy)

    def refresh(self):
        """Write the scale into the arrays, for a step that is only repeated, too."""
        for room, (array, now) in self._arrays.items():
            if now != self._scale.scale:
                self._model.device.kernels.full.fill(self._scale.scale, out=array)
                self._arrays[room] = array, self._scale.scale

    @contextlib.contextmanager
    def penalties(self):
        """While it lasts, backward in this workspace multiplies the penalties of outputs, too."""
        saved = devices.current_workspace().saved
        saved[SCALE] = self._scale.scale
        try:
            yield
        finally:
            del saved[SCALE]

    def unscale(self):
        """Divide the gradients, and look whether the step is a good one."""
        if self.captures:
            self.there.unscale(self._model.store.grad, self._scale.segments(self._model))
        else:
            self.finite = self._scale.unscale(self._model)

    # ---- on a GPU

    @contextlib.contextmanager
    def captured(self):
        """While it lasts, a step is captured with its update."""
        self.captures = True
        try:
            yield
        finally:
            self.captures = False

    def advance(self):
        """Have the device count the step that is captured."""
        self.there.advance(self.growth, SMALLEST, LARGEST)

    @property
    def growth(self):
        """Good steps until the scale is doubled, as the device counts them."""
        return min(self._scale.dynamic_growth_steps, (1 << 31) - 1)

    def lend(self, optimizer):
        """Have the device be the keeper, if it is not; returns `iterations` as it got them: it has as many by now, or
        more."""
        scale = self._scale
        if self.there is None:
            self.there = self._model.device.loss_scale()
        if not (scale.keeper is optimizer.keeper is self):
            self._begun, self._before = optimizer.iterations, scale.scale  # settles what another one keeps
            self.there.write(scale.scale, self._begun, scale.good, scale.skipped)
            self._optimizer = optimizer
            scale.keeper = optimizer.keeper = self
        return self._begun

    @contextlib.contextmanager
    def supposed(self):
        """While it lasts, the optimizer's `iterations` are those that the host supposes: what they are if no step was
        skipped since they were lent."""
        self._optimizer.keeper = None
        try:
            yield
        finally:
            self._optimizer.keeper = self

    def settle(self):
        """Take what the device has counted; waits for it."""
        scale, optimizer = self._scale, self._optimizer
        scale.keeper = optimizer.keeper = None
        now, optimizer.iterations, scale.good, scale.skipped = self.there.read()
        if SMALLEST < now < LARGEST:  # powers of two apart: float64 keeps the digits that float32 has not
            now = math.ldexp(self._before, round(math.log2(now / self._before)))
        scale.scale = now
