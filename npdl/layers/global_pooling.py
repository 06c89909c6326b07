"""What pooling over whole samples shares, along one, two or three axes."""

import math

from npdl.layers import arguments, spatial
from npdl.layers.base import Layer


class GlobalPooling(Layer):
    """The arguments and the shapes. Kernels pool images; those of any shape with the same places."""

    axes: int

    def __init__(self, data_format=None, keepdims=False, **base):
        super().__init__(**base)
        self.data_format, self.keepdims = arguments.channels_last(self, data_format), keepdims

    def build(self, input_shape):
        spatial.samples(self, input_shape, self.axes)
        return (*(1,) * (self.axes if self.keepdims else 0), input_shape[-1])

    def flops(self):
        return math.prod(size or 1 for size in self.input_shape)

    def image(self, x):
        """x (N, ..., C) as (N, 1, places, C)."""
        return x.reshape(len(x), 1, math.prod(x.shape[1:-1]), x.shape[-1])


class GlobalAveragePool(GlobalPooling):
    """The mean of each channel."""

    def forward(self, x, training=False):
        y = self.buffer("y", (len(x), x.shape[-1]))
        self.k.global_average_pool2d(self.image(x), out=y)
        if training:
            self.save(x.shape)
        else:
            self.forget()
        return y.reshape(len(x), *self.output_shape)

    def backward(self, dy):
        dx = self.buffer("dx", self.saved())
        self.k.global_average_pool2d_grad(dy.reshape(len(dy), dx.shape[-1]), out=self.image(dx))
        return dx


class GlobalMaxPool(GlobalPooling):
    """The maximum of each channel."""

    def forward(self, x, training=False):
        y = self.buffer("y", (len(x), x.shape[-1]))
        if training:
            winners = self.buffer("winners", y.shape, "int32")
            self.k.global_max_pool2d(self.image(x), out=y, winners=winners)
            self.save(winners, x.shape)
        else:
            self.k.global_max_pool2d(self.image(x), out=y)
            self.forget()
        return y.reshape(len(x), *self.output_shape)

    def backward(self, dy):
        winners, shape = self.saved()
        dx = self.buffer("dx", shape)
        self.k.global_max_pool2d_grad(dy.reshape(winners.shape), winners, out=self.image(dx))
        return dx
