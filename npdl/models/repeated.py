"""Repeated: one call of a layer that a model calls several times."""

import numpy as np

from npdl import devices
from npdl.layers import Layer, masks


class Repeated(Layer):
    """One of several calls of a layer in a step: what the layer saved is kept for each, and the gradients are added.

        forward     yᵢ = f(xᵢ)
        backward    dxᵢ = ∂fᵀ dyᵢ       dW = dW₁ + dW₂ + ...        in the order of the calls

    Backward goes through the calls from the last to the first; the gradients are added up at the first one.

    Args:
        layer: f.
        together: list that the calls of one layer share; a call adds itself.
    """

    def __init__(self, layer, together):
        super().__init__(name=layer.name)
        self.layer, self.together, self.gradients = layer, together, None
        self.makes_mask, self.may_overwrite = layer.makes_mask, layer.may_overwrite
        together.append(self)

    def walk(self):
        yield self
        yield from self.layer.walk()

    dtype = property(lambda self: self.layer.dtype, lambda self, value: None)
    input_shape = property(lambda self: self.layer.input_shape, lambda self, value: None)
    output_shape = property(lambda self: self.layer.output_shape, lambda self, value: None)

    def forward(self, x, training=False, mask=None):
        return self.carry(x, training, mask)[0]

    def carry(self, x, training=False, mask=None):
        """(y, its mask)"""
        y, mask = masks.forward(self.layer, x, training, mask)
        if training:
            self.save([(part, taken(part)) for part in self.layer.walk()])
        else:
            self.forget()
        return y, mask

    def backward(self, dy):
        for part, values in self.saved():
            if values is not None:
                part.save(*values)
        self.layer.needs_dx = self.needs_dx
        try:
            dx = self.layer.backward(dy)
        finally:
            self.layer.needs_dx = True
        self._add_up([grad for part in self.layer.walk() for grad in part.grads.values()])
        return dx

    def skip(self):
        """No gradient comes to this call."""
        clear(self.layer)
        self._add_up([grad for part in self.layer.walk() for grad in part.grads.values()])

    def _add_up(self, grads):
        """Keep the gradients of this call; at the first one add up all of them."""
        k, first = self.layer.k, self.together[0]
        if self is not first:
            self.gradients = [self.layer.buffer(f"{id(self)}, {i}", grad.shape) for i, grad in enumerate(grads)]
            for kept, grad in zip(self.gradients, grads, strict=True):
                k.scale(grad, 1, out=kept)
            return
        for call in self.together[1:]:
            for grad, kept in zip(grads, call.gradients or (), strict=call.gradients is not None):
                k.add(grad, kept, out=grad)
            call.gradients = None


def taken(part):
    """What a layer saved, taken away from it; None where it saved nothing."""
    workspace = devices.current_workspace()
    if workspace is not None:
        return workspace.saved.pop(id(part), None)
    values, part._saved = part._saved, None
    return values


def clear(layer):
    """No gradient comes to a layer: those of its weights are 0."""
    if isinstance(layer, Repeated):
        layer.skip()
        return
    for part in layer.walk():
        for grad in part.grads.values():
            part.device.write(grad, np.zeros(grad.shape, grad.dtype))
