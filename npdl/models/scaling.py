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
        """dy = scale · dy, by a table of kernels; once for each shape outside of what is captured."""
        scale, device = self._scale.scale, self._model.device
        array, now = self._arrays.get(dy.shape, (None, None))
        if now != scale:
            with devices.use_workspace(None):
                array = device.alloc(dy.shape, dy.dtype) if array is None else array
            device.kernels.full.fill(scale, out=array)
            self._arrays[dy.shape] = array, scale
        k.multiply(dy, array, out=dy)

    def refresh(self):
        """Write the scale into the arrays, for a step that is only repeated."""
        for shape, (array, now) in self._arrays.items():
            if now != self._scale.scale:
                self._model.device.kernels.full.fill(self._scale.scale, out=array)
                self._arrays[shape] = array, self._scale.scale

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
