"""Flatten: each sample as one row of numbers."""

import math

from npdl.layers import arguments
from npdl.layers.base import Layer


class Flatten(Layer):
    """Each sample as one row; no number moves.

        forward     y[n] = the elements of x[n], last axis fastest
        backward    dx = dy in the shape of x

    Shapes: x (N, ...) · y (N, D), D the product of the other axes. y and dx are views of the same memory as x and dy.
    Saves: the shape of x.

    Args:
        data_format: None or "channels_last".

    >>> Flatten().init(input_shape=(7, 7, 64)).output_shape
    (3136,)
    """

    def __init__(self, data_format=None, **base):
        super().__init__(**base)
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        return (None if None in input_shape else math.prod(input_shape),)

    def flops(self):
        return 0

    def forward(self, x, training=False):
        if training:
            self.save(x.shape)
        else:
            self.forget()
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy):
        shape = self.saved()
        return dy.reshape(shape)
