"""What pooling layers share, along one, two or three axes."""

import math

from npdl import activations
from npdl.kernels import geometry
from npdl.layers import arguments, spatial
from npdl.layers.base import Layer


class Pooling(Layer):
    """The window.

    Kernels pool images. To them a sequence (N, T, C) is an image (N, 1, T, C) of height 1. Volumes are pooled in two
    steps: each plane as an image, (N·D, H, W, C), and then the planes, (N, D, OH·OW, C), in windows of one column: the
    maximum of maxima, and the mean of means, which are all of as many places since each plane shows the same ones.
    """

    axes: int

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, **base):
        super().__init__(**base)
        self.pool_size = spatial.each_axis(self, "pool_size", pool_size, self.axes, "pool_size=2")
        steps = self.pool_size if strides is None else strides
        self.strides = spatial.each_axis(self, "strides", steps, self.axes, "strides=2")
        self.padding = arguments.padding_mode(self, padding)
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.samples(self, input_shape, self.axes)
        sizes = (window if size is None else size for size, window in zip(input_shape, self.pool_size))
        self.least = self.steps((*sizes, input_shape[-1]))[0]  # the outputs of samples as short as can be
        return (*(None if size is None else n for size, n in zip(input_shape, self.least)), input_shape[-1])

    def flops(self):
        return math.prod(self.least) * self.input_shape[-1] * math.prod(self.pool_size)

    def steps(self, shape):
        """For samples of that shape: the output's sizes, and for each step (images a sample, their window)."""
        try:
            g = geometry.window(shape, self.pool_size, self.strides, self.padding, (1,) * self.axes)
        except ValueError as error:
            raise ValueError(f"{self.name}: {type(self).__name__} with pool_size={self.pool_size}: {error}") from None
        if self.axes < 3:
            return g.out[-self.axes :], ((1, g),)
        size, stride, ones = self.pool_size, self.strides, (1, 1)
        planes = geometry.window(shape[1:], size[1:], stride[1:], self.padding, ones)
        columns = (shape[0], planes.out_h * planes.out_w, planes.channels)
        through = geometry.window(columns, (size[0], 1), (stride[0], 1), self.padding, ones)
        return g.out, ((shape[0], planes), (1, through))


class MaxPool(Pooling):
    """The maximum of each window."""

    activation = activations.linear  # a model puts the ReLU layer beside it here, inside fit and predict

    def forward(self, x, training=False):
        (out, steps), shape, kept = self.steps(x.shape[1:]), x.shape, []
        for i, (images, g) in enumerate(steps):
            x = x.reshape(shape[0] * images, *g.inside, g.channels)
            y = self.buffer(f"y{i}", (len(x), *g.out, g.channels))
            ending = self.activation if i == len(steps) - 1 else activations.linear
            winners = None
            if training:
                small = g.kernel_h * g.kernel_w <= 256
                winners = self.buffer(f"winners{i}", y.shape, "uint8" if small else "int32")
            self.k.max_pool2d(x, g, out=y, winners=winners, activation=ending)
            kept.append((g, winners, y, ending))
            x = y
        if training:
            self.save(shape, kept)
        else:
            self.forget()
        return y.reshape(shape[0], *out, shape[-1])

    def backward(self, dy):
        shape, kept = self.saved()
        for i, (g, winners, y, ending) in reversed([*enumerate(kept)]):
            dx = self.buffer(f"dx{i}", (len(y), *g.inside, g.channels))
            self.k.max_pool2d_grad(dy.reshape(y.shape), winners, g, out=dx, y=y, activation=ending)
            dy = dx
        return dx.reshape(shape)


class AveragePool(Pooling):
    """The mean of each window."""

    def forward(self, x, training=False):
        y = self.means(x)
        if training:
            self.save(x.shape)
        else:
            self.forget()
        return y

    def backward(self, dy):
        return self.means_grad(dy, self.saved())

    def means(self, x):
        """What forward gives."""
        (out, steps), shape = self.steps(x.shape[1:]), x.shape
        for i, (images, g) in enumerate(steps):
            x = x.reshape(shape[0] * images, *g.inside, g.channels)
            y = self.buffer(f"y{i}", (len(x), *g.out, g.channels))
            self.k.average_pool2d(x, g, out=y)
            x = y
        return y.reshape(shape[0], *out, shape[-1])

    def means_grad(self, dy, shape):
        """The gradient of `means`, of x of that shape."""
        for i, (images, g) in reversed([*enumerate(self.steps(shape[1:])[1])]):
            dx = self.buffer(f"dx{i}", (shape[0] * images, *g.inside, g.channels))
            self.k.average_pool2d_grad(dy.reshape(len(dx), *g.out, g.channels), g, out=dx)
            dy = dx
        return dx.reshape(shape)
