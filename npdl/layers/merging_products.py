"""Multiply, Average, Maximum, Minimum: merging layers whose gradient weighs each input."""

from npdl.layers.merging import Elementwise


class Multiply(Elementwise):
    """The product of several inputs, element by element.

        forward     y = x₁ x₂ ...       in that order
        backward    dxᵢ = dy Π x of the others

    Shapes: each x and y (N, ...), alike but for axes of 1, which are copied; x is a list or tuple of arrays, dx a tuple
    of as many.
    Saves: each x.

    Raises:
        ValueError: fewer than two inputs, shapes that do not go together.

    >>> Multiply().init(input_shape=((4,), (4,))).output_shape
    (4,)
    """

    def forward(self, x, training=False):
        x = self.spread(x)
        y = self.buffer("y", x[0].shape)
        self.k.multiply(x[0], x[1], out=y)  # y = x₁ x₂
        for other in x[2:]:
            self.k.multiply(y, other, out=y)  # ... xᵢ
        if training:
            self.save(*x)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x, dx = self.saved(), self.room(dy)
        for i, one in enumerate(dx):
            first, *others = [other for j, other in enumerate(x) if j != i]
            self.k.multiply(dy, first, out=one)  # dxᵢ = dy ...
            for other in others:
                self.k.multiply(one, other, out=one)
        return self.gathered(dx)


class Average(Elementwise):
    """The mean of several inputs, element by element.

        forward     y = (x₁ + x₂ + ...) / M     M inputs
        backward    dx₁ = dx₂ = ... = dy / M

    Shapes: each x and y (N, ...), alike but for axes of 1, which are copied; x is a list or tuple of arrays, dx a tuple
    of as many.
    Saves: nothing.

    Raises:
        ValueError: fewer than two inputs, shapes that do not go together.

    >>> Average().init(input_shape=((4,), (4,))).output_shape
    (4,)
    """

    def forward(self, x, training=False):
        x = self.spread(x)
        y = self.buffer("y", x[0].shape)
        self.k.add(x[0], x[1], out=y)  # y = x₁ + x₂
        for other in x[2:]:
            self.k.add(y, other, out=y)  # ... + xᵢ
        self.k.scale(y, 1 / self.inputs, out=y)  # y / M
        if training:
            self.save()
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        dx = self.room(dy)
        for one in dx:
            self.k.scale(dy, 1 / self.inputs, out=one)  # dxᵢ = dy / M
        return self.gathered(dx)


class _Extreme(Elementwise):
    """One of the inputs at each place, and the gradient for that one: the first of those that are equal."""

    kernel = ""

    def forward(self, x, training=False):
        x = self.spread(x)
        y, choose = self.buffer("y", x[0].shape), getattr(self.k, self.kernel)
        choose(x[0], x[1], out=y)
        for other in x[2:]:
            choose(y, other, out=y)
        if training:
            self.save(x, y)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x, y = self.saved()
        *dx, rest = self.room(dy)
        left = dy
        for one, of in zip(dx, x):
            self.k.match_grad(left, of, y, out=one, rest=rest)  # dxᵢ = dy where xᵢ = y, and what is left
            left = rest
        return self.gathered((*dx, rest))


class Maximum(_Extreme):
    """The largest of several inputs, element by element.

        forward     y = max(x₁, x₂, ...)
        backward    dxᵢ = dy where xᵢ = y, else 0       of inputs that are equal the first gets it

    Shapes: each x and y (N, ...), alike but for axes of 1, which are copied; x is a list or tuple of arrays, dx a tuple
    of as many.
    Saves: each x, and y.

    Raises:
        ValueError: fewer than two inputs, shapes that do not go together.

    >>> Maximum().init(input_shape=((4,), (4,))).output_shape
    (4,)
    """

    kernel = "maximum"


class Minimum(_Extreme):
    """The smallest of several inputs, element by element.

        forward     y = min(x₁, x₂, ...)
        backward    dxᵢ = dy where xᵢ = y, else 0       of inputs that are equal the first gets it

    Shapes: each x and y (N, ...), alike but for axes of 1, which are copied; x is a list or tuple of arrays, dx a tuple
    of as many.
    Saves: each x, and y.

    Raises:
        ValueError: fewer than two inputs, shapes that do not go together.

    >>> Minimum().init(input_shape=((4,), (4,))).output_shape
    (4,)
    """

    kernel = "minimum"
