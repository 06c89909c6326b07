"""Repeated: one call of a layer that a model calls several times."""

from npdl import devices
from npdl.layers import Layer, masks


class Repeated(Layer):
    """One of several calls of a layer in a step: what the layer saved is kept for each, and the gradients are added.

        forward     yᵢ = f(xᵢ)
        backward    dxᵢ = ∂fᵀ dyᵢ       dW = dW₁ + dW₂ + ...        in the order of the calls

    Args:
        layer: f.
        together: list that the calls of one layer share; a call adds itself.
    """

    def __init__(self, layer, together):
        super().__init__(name=layer.name)
        self.layer, self.together, self.gradients = layer, together, None
        self.makes_mask, self.may_overwrite = layer.makes_mask, layer.may_overwrite
        together.append(self)

    def __repr__(self):
        return f"call {self.together.index(self)} of {self.layer!r}"

    def walk(self):
        yield self
        yield from self.layer.walk()

    k = property(lambda self: self.layer.k, lambda self, value: None)
    dtype = property(lambda self: self.layer.dtype, lambda self, value: None)
    input_shape = property(lambda self: self.layer.input_shape, lambda self, value: None)
    output_shape = property(lambda self: self.layer.output_shape, lambda self, value: None)

    def forward(self, x, training=False, mask=None):
        return self.carry(x, training, mask)[0]

    def carry(self, x, training=False, mask=None):
        """(y, its mask)"""
        before = self._penalties_before()
        y, mask = masks.forward(self.layer, x, training, mask)
        for part, value in before:
            part._activity_loss += value
        self.gradients = None
        if training:
            self.save([(part, taken(part)) for part in self.layer.walk()])
        else:
            self.forget()
        return y, mask

    def _penalties_before(self):
        """[(layer, penalty on its outputs of the earlier calls)] by hand; inside fit the workspace adds them up."""
        if devices.current_workspace() is not None or self is self.together[0]:
            return []
        return [(part, part._activity_loss) for part in self.layer.walk() if part.penalizes]

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
        """Keep the gradients of this call; the call that backward comes to last adds up all of them."""
        k = self.layer.k
        self.gradients = [self.layer.buffer(f"{id(self)}, {i}", grad.shape) for i, grad in enumerate(grads)]
        for kept, grad in zip(self.gradients, grads, strict=True):
            k.scale(grad, 1, out=kept)
        if any(call.gradients is None for call in self.together):
            return
        for i, grad in enumerate(grads):
            first, *others = [call.gradients[i] for call in self.together]
            k.scale(first, 1, out=grad)
            for other in others:
                k.add(grad, other, out=grad)
        for call in self.together:
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
            part.k.fill(0.0, out=grad)
