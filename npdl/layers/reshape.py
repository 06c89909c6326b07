"""Reshape: each sample in another shape."""

import math
import numbers

from npdl.layers.base import Layer


class Reshape(Layer):
    """Each sample in another shape; no number moves.

        forward     y[n] = the elements of x[n] in target_shape, last axis fastest
        backward    dx = dy in the shape of x

    Shapes: x (N, ...) · y (N, *target_shape). y and dx are views of the same memory as x and dy.
    Saves: the shape of x.

    Args:
        target_shape: one sample's new shape; one of its sizes may be -1 and is computed from the others.

    Raises:
        ValueError: sizes that are no whole numbers, more than one -1, or a shape that does not hold a sample's
            elements.

    >>> Reshape((28, 28, -1)).init(input_shape=(784,)).output_shape
    (28, 28, 1)
    """

    def __init__(self, target_shape, **base):
        super().__init__(**base)
        given = (target_shape,) if isinstance(target_shape, numbers.Number) else tuple(target_shape)
        sizes = [n for n in given if isinstance(n, numbers.Integral) and not isinstance(n, bool) and (n > 0 or n == -1)]
        if len(sizes) < len(given) or sizes.count(-1) > 1:
            raise ValueError(
                f"Reshape needs whole numbers of at least 1, one of them may be -1, got target_shape={target_shape!r}; "
                "pass e.g. Reshape((28, 28, 1))"
            )
        self.target_shape = tuple(map(int, given))

    def build(self, input_shape):
        target = self.target_shape
        if None in input_shape:
            if -1 not in target:
                raise ValueError(
                    f"{self.name}: samples of shape {input_shape} have an axis of any length, so one size of "
                    f"target_shape={target} must be -1"
                )
            return tuple(None if n == -1 else n for n in target)
        elements, known = math.prod(input_shape), math.prod(n for n in target if n != -1)
        if elements % known if -1 in target else elements != known:
            raise ValueError(
                f"{self.name}: a sample of shape {input_shape} has {elements} elements, target_shape={target} "
                f"holds {'a multiple of ' if -1 in target else ''}{known}; pass e.g. Reshape(({elements},))"
            )
        return tuple(elements // known if n == -1 else n for n in target)

    def flops(self):
        return 0

    def forward(self, x, training=False):
        if training:
            self.save(x.shape)
        else:
            self.forget()
        return x.reshape(len(x), *(-1 if n is None else n for n in self.output_shape))

    def backward(self, dy):
        shape = self.saved()
        return dy.reshape(shape)
