"""What pooling into a given number of bins shares, along one, two or three axes."""

import math

from npdl.layers import arguments, spatial
from npdl.layers.base import Layer


class AdaptivePooling(Layer):
    """The number of bins.

    An axis at a time, the last one first: the maximum of maxima, and the mean of means, which are all of as many
    places. To a kernel an axis of L places is (rows, L, channels): all before it, itself, all behind it.
    """

    axes: int

    def __init__(self, output_size, data_format=None, **base):
        super().__init__(**base)
        self.output_size = spatial.each_axis(self, "output_size", output_size, self.axes, "output_size=7")
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.samples(self, input_shape, self.axes)
        return (*self.output_size, input_shape[-1])

    def flops(self):
        return math.prod(size or 1 for size in self.input_shape)

    def steps(self, shape):
        """For each axis that is pooled (rows, places, bins, channels), of x of that shape."""
        unequal = [a for a in range(self.axes, 0, -1) if shape[a] != self.output_size[a - 1]]
        sizes, steps = list(shape), []
        for axis in unequal or [self.axes]:
            bins = self.output_size[axis - 1]
            steps.append((math.prod(sizes[:axis]), sizes[axis], bins, math.prod(sizes[axis + 1 :])))
            sizes[axis] = bins
        return steps


class AdaptiveMaxPool(AdaptivePooling):
    """The maximum of each bin."""

    def forward(self, x, training=False):
        shape, kept = x.shape, []
        for i, (rows, places, bins, channels) in enumerate(self.steps(shape)):
            y, winners = self.buffer(f"y{i}", (rows, bins, channels)), None
            if training:
                winners = self.buffer(f"winners{i}", y.shape, "int32")
                kept.append(winners)
            self.k.adaptive_max_pool(x.reshape(rows, places, channels), out=y, winners=winners)
            x = y
        if training:
            self.save(shape, kept)
        else:
            self.forget()
        return y.reshape(shape[0], *self.output_shape)

    def backward(self, dy):
        shape, kept = self.saved()
        for i, (rows, places, _, channels) in reversed([*enumerate(self.steps(shape))]):
            dx = self.buffer(f"dx{i}", (rows, places, channels))
            self.k.adaptive_max_pool_grad(dy.reshape(kept[i].shape), kept[i], out=dx)
            dy = dx
        return dx.reshape(shape)


class AdaptiveAveragePool(AdaptivePooling):
    """The mean of each bin."""

    def forward(self, x, training=False):
        shape = x.shape
        for i, (rows, places, bins, channels) in enumerate(self.steps(shape)):
            y = self.buffer(f"y{i}", (rows, bins, channels))
            self.k.adaptive_average_pool(x.reshape(rows, places, channels), out=y)
            x = y
        if training:
            self.save(shape)
        else:
            self.forget()
        return y.reshape(shape[0], *self.output_shape)

    def backward(self, dy):
        shape = self.saved()
        for i, (rows, places, bins, channels) in reversed([*enumerate(self.steps(shape))]):
            dx = self.buffer(f"dx{i}", (rows, places, channels))
            self.k.adaptive_average_pool_grad(dy.reshape(rows, bins, channels), out=dx)
            dy = dx
        return dx.reshape(shape)
