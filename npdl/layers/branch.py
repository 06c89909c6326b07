"""Branch and Pipeline: layers one after the other, as one layer."""

from npdl.layers import masks
from npdl.layers.container import Container


class Branch(Container):
    """A chain of layers that is one layer: what `Parallel` makes of each list, and a part to write larger layers with.

        forward     y = fₙ( ... f₁(x))
        backward    dx = ∂f₁ᵀ ( ... ∂fₙᵀ dy)

    Shapes: x as f₁ takes it, y as fₙ makes it.
    Saves: a mark that there was a forward; the layers inside save their own.

    Args:
        layers: list of the layers.

    Raises:
        TypeError: something else than a layer.
        ValueError: no layer; one that is somewhere else already; two of one name.

    >>> from npdl.layers import Dense, ReLU
    >>> Branch([Dense(8), ReLU(), Dense(2)]).init(input_shape=(4,)).output_shape
    (2,)
    """

    def __init__(self, layers, **base):
        super().__init__({"layers": layers}, **base)
        kind = type(self).__name__
        if not self.layers:
            raise ValueError(f"{kind} needs at least one layer; pass e.g. {kind}([layers.Dense(10)])")
        for layer in self.layers:
            layer.may_overwrite = True

    def build(self, input_shape):
        for layer in self.layers:
            input_shape = layer.build_once(input_shape)
        return input_shape

    def flops(self):
        return sum(layer.flops() for layer in self.layers)

    def forward(self, x, training=False, mask=None):
        return self.carry(x, training, mask)[0]

    def carry(self, x, training=False, mask=None):
        """(y, its mask)"""
        y, mask = masks.chain(self.layers, x, training, mask)
        if training:
            self.save()
        else:
            self.forget()
        return y, mask

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        if not self.may_overwrite:  # somebody else reads dy after the layers inside
            copy = self.buffer("dy", dy.shape)
            self.k.scale(dy, 1, out=copy)
            dy = copy
        for layer in reversed(self.trained(self.layers)):
            dy = layer.backward(dy)
        return dy if self.needs_dx else None


class Pipeline(Branch):
    """A `Branch` by the name that Keras has for a chain of layers which change images.

        forward     y = fₙ( ... f₁(x))
        backward    dx = ∂f₁ᵀ ( ... ∂fₙᵀ dy)

    Shapes: x as f₁ takes it, y as fₙ makes it.

    Args:
        layers: list of the layers.

    >>> from npdl.layers import RandomCrop, RandomFlip
    >>> Pipeline([RandomFlip("horizontal"), RandomCrop(24, 24)]).init(input_shape=(32, 32, 3)).output_shape
    (24, 24, 3)
    """
