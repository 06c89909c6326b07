"""What layers share that compare each row of one input with that of another."""

import math

from npdl.layers.base import Layer
from npdl.layers.merging import check_places, check_several


class BetweenRows(Layer):
    """One number for each pair of rows, the numbers along the last axis of two inputs of one shape."""

    keepdims: bool

    def build(self, input_shape):
        kind, pair = type(self).__name__, input_shape
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(s, (tuple, list)) for s in pair):
            raise ValueError(
                f"{self.name}: {kind} needs the shapes of two inputs, got input_shape={input_shape}; "
                f"pass a list, e.g. layers.{kind}()([a, b])"
            )
        first, second = map(tuple, pair)
        if first != second or not first or first[-1] is None:
            raise ValueError(
                f"{self.name}: {kind} takes inputs of one shape whose last axis has a fixed length, got samples of "
                f"shapes {first} and {second}; reshape them"
            )
        return (*first[:-1], 1) if self.keepdims or len(first) == 1 else first[:-1]

    def check(self, x, expected=None):
        check_several(self, x)

    def as_rows(self, x):
        """Both as (R, D)."""
        check_places(self, x)
        return [one.reshape(math.prod(one.shape[:-1]), one.shape[-1]) for one in x]

    def sum_of_rows(self, name, x):
        """Σ x along each row (R, 1), of x (R, D)."""
        total = self.buffer(name, (len(x), 1))
        self.k.sum_to(x, out=total)
        return total

    def along_rows(self, dy, width):
        """dy (R, 1) for each number of its row: (R, D), in scratch memory."""
        whole = self.scratch("along rows", (dy.size, width))
        self.k.repeat(dy.reshape(dy.size, 1), (width,), out=whole)
        return whole

    def result(self, y, shape):
        """y (R, 1) in the layer's form, of inputs of that shape."""
        return y.reshape((*shape[:-1], 1) if self.keepdims or len(shape) == 2 else shape[:-1])
