"""Add: several inputs, one output."""

from npdl import activations
from npdl.layers.base import Layer


class Add(Layer):
    """The sum of several inputs of one shape.

        forward     y = x₁ + x₂ + ...       in that order
        backward    dx₁ = dx₂ = ... = dy

    Shapes: each x and y (N, ...), all alike; x is a list or tuple of arrays, dx a tuple. Each dx is an array of its
    own, so that a layer below may overwrite the one that it gets.
    Saves: nothing, but for y where the plan of a model has a ReLU computed here.

    Raises:
        ValueError: fewer than two inputs, shapes that differ.

    >>> Add().init(input_shape=((4,), (4,))).output_shape
    (4,)
    """

    activation = activations.linear

    def build(self, input_shape):
        several = isinstance(input_shape, (tuple, list)) and len(input_shape) > 1
        if not several or not all(isinstance(shape, (tuple, list)) for shape in input_shape):
            raise ValueError(f"{self.name}: Add needs the shapes of two or more inputs, got input_shape={input_shape}")
        first, *others = map(tuple, input_shape)
        if any(shape != first for shape in others):
            shapes = ", ".join(map(str, map(tuple, input_shape)))
            raise ValueError(
                f"{self.name}: Add takes inputs of one shape, got samples of shapes {shapes}; bring them to one shape, "
                "e.g. by layers.Dense(units) or layers.Conv2D(filters, 1)"
            )
        self.inputs = len(input_shape)
        return first

    def flops(self):
        return (self.inputs - 1) * super().flops()

    def check(self, x):
        if not isinstance(x, (tuple, list)) or len(x) != self.inputs:
            came = f"{len(x)}" if isinstance(x, (tuple, list)) else type(x).__name__
            raise ValueError(f"{self.name} was built for {self.inputs} inputs, got {came}; pass a tuple of arrays")
        for one, shape in zip(x, self.input_shape, strict=True):
            super().check(one, tuple(shape))
        if any(len(one) != len(x[0]) for one in x):
            rows = ", ".join(str(len(one)) for one in x)
            raise ValueError(f"{self.name} adds inputs of one batch, got {rows} samples; pass as many of each")

    def forward(self, x, training=False):
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
        y = self.saved()
        dx = [self.buffer(f"dx{i}", dy.shape) for i in range(1, self.inputs)]
        dx.append(self.inplace("dx", dy))  # the last one may be dy itself, which is read until then
        for one in dx:
            self.k.activation_grad(dy, y, self.activation, out=one)  # dxᵢ = dy
        return tuple(dx)
