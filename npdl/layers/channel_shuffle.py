"""ChannelShuffle: channels of all groups side by side."""

import math

from npdl.layers import arguments
from npdl.layers.base import Layer


class ChannelShuffle(Layer):
    """The channels in another order, so that the next grouped convolution sees some of every group.

        forward     y[..., k G + g] = x[..., g K + k]       G groups of K = C / G channels
        backward    dx[..., g K + k] = dy[..., k G + g]

    Shapes: x, y (N, ..., C).
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        groups: G.
        data_format: None or "channels_last".

    Raises:
        ValueError: groups below 1, or that do not divide the channels.

    Reference: Zhang, Zhou, Lin and Sun, ShuffleNet: an extremely efficient convolutional neural network for mobile
    devices, 2018.

    >>> import numpy as np
    >>> ChannelShuffle(2).init(input_shape=(6,))(np.arange(6, dtype="float32").reshape(1, 6)).tolist()
    [[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]]
    """

    def __init__(self, groups, data_format=None, **base):
        super().__init__(**base)
        self.groups = arguments.whole(self, "groups", groups, "ChannelShuffle(2)")
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        if not input_shape or input_shape[-1] is None or input_shape[-1] % self.groups:
            raise ValueError(
                f"{self.name}: ChannelShuffle({self.groups}) takes a multiple of {self.groups} channels, got samples "
                f"of shape {tuple(input_shape)}; choose groups that divide them"
            )
        return input_shape

    def flops(self):
        return 0

    def _exchanged(self, name, x, groups):
        """x with its channels as (groups, of each) in the order (of each, groups)."""
        rows, each = math.prod(x.shape[:-1]), x.shape[-1] // groups
        y = self.buffer(name, (rows, each, groups))
        self.k.permute(x.reshape(rows, groups, each), (0, 2, 1), out=y)
        return y.reshape(x.shape)

    def forward(self, x, training=False):
        if training:
            self.save()
        else:
            self.forget()
        return self._exchanged("y", x, self.groups)

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        return self._exchanged("dx", dy, dy.shape[-1] // self.groups)
