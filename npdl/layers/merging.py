"""Merging layers: several inputs made into one output, element by element."""

from npdl import activations
from npdl.layers import broadcasting, masks
from npdl.layers.base import Layer


class Elementwise(Layer):
    """What the layers here share: x is a list or tuple of two or more arrays (N, ...), dx a tuple of as many.

    Along an axis on which an input has one place, or which it has not, it is copied: (1, 1, C) and (C,) go with
    (H, W, C). Each dx is an array of its own, so that a layer below may overwrite the one that it gets.
    """

    most: int | None = None  # how many inputs it takes
    spread, gathered = broadcasting.spread, broadcasting.gathered

    def build(self, input_shape):
        kind, several = type(self).__name__, isinstance(input_shape, (tuple, list)) and len(input_shape) > 1
        number = "two" if self.most else "two or more"
        if not several or not all(isinstance(s, (tuple, list)) for s in input_shape) or len(input_shape) == 1:
            raise ValueError(
                f"{self.name}: {kind} needs the shapes of {number} inputs, got input_shape={input_shape}; "
                f"pass a list, e.g. layers.{kind}()([a, b])"
            )
        if self.most and len(input_shape) > self.most:
            raise ValueError(f"{self.name}: {kind} takes {number} inputs, got {len(input_shape)}; merge them in turn")
        made = broadcasting.common(input_shape)
        if made is None:
            shapes = ", ".join(map(str, map(tuple, input_shape)))
            raise ValueError(
                f"{self.name}: {kind} takes inputs of one shape, got samples of shapes {shapes}; bring them to one "
                "shape, e.g. by layers.Dense(units) or layers.Conv2D(filters, 1), or to 1 where one is to be copied"
            )
        self.inputs, self.alike = len(input_shape), all(tuple(shape) == made for shape in input_shape)
        return made

    def flops(self):
        return (self.inputs - 1) * super().flops()

    def check(self, x, expected=None):
        check_several(self, x)

    def compute_mask(self, x, mask=None):
        """A place counts where it counts in all inputs."""
        return masks.of_all(self, mask)

    def room(self, dy):
        """An array for each dx; the last may be dy itself, which is to be read until then."""
        return [*(self.buffer(f"dx{i}", dy.shape) for i in range(1, self.inputs)), self.inplace("dx", dy)]


def check_several(layer, x):
    """Raise where x is not what a layer of several inputs was built for."""
    shapes = layer.input_shape
    if not isinstance(x, (tuple, list)) or len(x) != len(shapes):
        came = f"{len(x)}" if isinstance(x, (tuple, list)) else type(x).__name__
        raise ValueError(f"{layer.name} was built for {len(shapes)} inputs, got {came}; pass a tuple of arrays")
    for one, shape in zip(x, shapes, strict=True):
        Layer.check(layer, one, tuple(shape))
    if any(len(one) != len(x[0]) for one in x):
        rows = ", ".join(str(len(one)) for one in x)
        raise ValueError(f"{layer.name} merges inputs of one batch, got {rows} samples; pass as many of each")


def check_places(layer, x):
    """Raise where two inputs differ before their last axis, as axes of any length may."""
    if x[0].shape[:-1] != x[1].shape[:-1]:
        raise ValueError(
            f"{layer.name}: {type(layer).__name__} pairs the rows of two inputs, which differ in their last axis at "
            f"most, got shapes {tuple(x[0].shape)} and {tuple(x[1].shape)}; cut or pad one of them"
        )


class Add(Elementwise):
    """The sum of several inputs.

        forward     y = x₁ + x₂ + ...       in that order
        backward    dx₁ = dx₂ = ... = dy

    Shapes: each x and y (N, ...), alike but for axes of 1, which are copied; x is a list or tuple of arrays, dx a tuple
    of as many.
    Saves: nothing, but for y where the plan of a model has a ReLU computed here.

    Raises:
        ValueError: fewer than two inputs, shapes that do not go together.

    >>> Add().init(input_shape=((4,), (4,))).output_shape
    (4,)
    """

    activation = activations.linear

    def forward(self, x, training=False):
        x = self.spread(x)
        y = self.buffer("y", x[0].shape)
        self.k.add(x[0], x[1], out=y, activation=self.activation if len(x) == 2 else None)  # y = x₁ + x₂
        for i, other in enumerate(x[2:], 3):
            self.k.add(y, other, out=y, activation=self.activation if i == len(x) else None)  # ... + xᵢ
        if training:
            self.save(y)
        else:
            self.forget()
        return y

    def backward(self, dy):
        y, dx = self.saved(), self.room(dy)
        for one in dx:
            self.k.activation_grad(dy, y, self.activation, out=one)  # dxᵢ = dy
        return self.gathered(dx)


class Subtract(Elementwise):
    """The difference of two inputs.

        forward     y = x₁ − x₂
        backward    dx₁ = dy,   dx₂ = −dy

    Shapes: each x and y (N, ...), alike but for axes of 1, which are copied; x is a list or tuple of two arrays, dx a
    tuple of two.
    Saves: nothing.

    Raises:
        ValueError: not two inputs, shapes that do not go together.

    >>> Subtract().init(input_shape=((4,), (4,))).output_shape
    (4,)
    """

    most = 2

    def forward(self, x, training=False):
        x = self.spread(x)
        y = self.buffer("y", x[0].shape)
        self.k.subtract(x[0], x[1], out=y)  # y = x₁ − x₂
        if training:
            self.save()
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        first, second = self.room(dy)
        self.k.scale(dy, 1, out=first)  # dx₁ = dy
        self.k.scale(dy, -1, out=second)  # dx₂ = −dy
        return self.gathered((first, second))
