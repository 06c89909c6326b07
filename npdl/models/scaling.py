"""Scaling: what a `LossScale` does in a model's steps."""

import contextlib

from npdl import devices
from npdl.penalties import SCALE


class Scaling:
    """The loss scale of a compiled model, on its device.

    The scale is a whole array there, like dL/dy, and not a number among a kernel's arguments: then a step that is noted
    or captured stays the same when the scale changes.

    Args:
        model: built and compiled.

    Attributes:
        finite: whether the gradients of the last step were.
    """

    def __init__(self, model):
        self._model, self._scale, self._arrays, self.finite = model, model.loss_scale, {}, True

    def multiply(self, k, dy):
        """dy = scale · dy, by a table of kernels.

        The arrays have 2, 4, 8 ... numbers, and a dy gets the first ones of the next larger: batches of ever new shapes
        need no more memory than twice the largest.
        """
        room = 1 << (dy.size - 1).bit_length()
        if room not in self._arrays:  # the first batch of a shape is never captured
            with devices.use_workspace(None):
                self._arrays[room] = self._model.device.alloc((room,), dy.dtype), None
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
        self.finite = self._scale.unscale(self._model)
