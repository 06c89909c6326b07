"""Unfold and Fold: images as sequences of their patches, and back."""

import math

from npdl.kernels import geometry
from npdl.layers import arguments, spatial
from npdl.layers.base import Layer


class Patches(Layer):
    """The window that both slide."""

    def __init__(self, kernel_size, strides, padding, dilation_rate, data_format, **base):
        super().__init__(**base)
        self.kernel_size = spatial.each_axis(self, "kernel_size", kernel_size, 2, "kernel_size=3")
        self.strides = spatial.each_axis(self, "strides", strides, 2, "strides=1")
        self.padding = arguments.padding_mode(self, padding)
        self.dilation_rate = spatial.each_axis(self, "dilation_rate", dilation_rate, 2, "dilation_rate=1")
        self.data_format = arguments.channels_last(self, data_format)

    def flops(self):
        return 0

    def window(self, shape):
        """Its geometry on images of that shape."""
        try:
            return geometry.window(tuple(shape), self.kernel_size, self.strides, self.padding, self.dilation_rate)
        except ValueError as error:
            given = f"kernel_size={self.kernel_size}, dilation_rate={self.dilation_rate}"
            raise ValueError(f"{self.name}: {type(self).__name__} with {given}: {error}") from None


class Unfold(Patches):
    """All patches of an image, one after the other, row by row: what a convolution multiplies by its kernel.

        forward     y[n, i OW + j, (p KW + q) C + c] = x[n, i s + p d − top, j s + q d − left, c],  0 outside the image
        backward    dx = Σ dy over the places that show this one (`Fold`)

    PyTorch has the patches on the last axis, and in a patch the channels first.

    Shapes: x (N, H, W, C) · y (N, OH · OW, KH · KW · C). H and W may be of any length.
    Saves: the sizes alone.

    Args:
        kernel_size: KH and KW of a patch, one number for both or two.
        strides: s, from a patch to the next.
        padding: "valid" or "same".
        dilation_rate: d, from one row or column of a patch to the next.
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no images, patches larger than they are.

    >>> Unfold(4, strides=4).init(input_shape=(32, 32, 3)).output_shape
    (64, 48)
    """

    def __init__(self, kernel_size, strides=1, padding="valid", dilation_rate=1, data_format=None, **base):
        super().__init__(kernel_size, strides, padding, dilation_rate, data_format, **base)

    def build(self, input_shape):
        spatial.samples(self, input_shape, 2)
        *sizes, channels = input_shape
        patches = None if None in sizes else math.prod(self.window(input_shape).out)
        return patches, math.prod(self.kernel_size) * channels

    def forward(self, x, training=False):
        g = self.window(x.shape[1:])
        y = self.buffer("y", (len(x), math.prod(g.out), self.output_shape[-1]))
        self.k.im2col(x, g, out=y)
        if training:
            self.save(x.shape[1:])
        else:
            self.forget()
        return y

    def backward(self, dy):
        g = self.window(self.saved())
        dx = self.buffer("dx", (len(dy), *g.inside, g.channels))
        self.k.col2im(dy, g, out=dx)
        return dx


class Fold(Patches):
    """An image put together from patches; where they overlap they add up: the gradient of `Unfold` as a layer.

        forward     y[n, h, w, c] = Σ x[n, i OW + j, (p KW + q) C + c]      over the patches that show this place
        backward    dy as patches (`Unfold`)

    Shapes: x (N, OH · OW, KH · KW · C) · y (N, H, W, C).
    Saves: the sizes alone.

    Args:
        output_size: H and W, one number for both or two.
        kernel_size, strides, padding, dilation_rate: of the `Unfold` that makes such patches of such an image.
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, or samples that are not the patches of such an image.

    >>> Fold(32, 4, strides=4).init(input_shape=(64, 48)).output_shape
    (32, 32, 3)
    """

    def __init__(
        self, output_size, kernel_size, strides=1, padding="valid", dilation_rate=1, data_format=None, **base,
    ):  # fmt: skip
        super().__init__(kernel_size, strides, padding, dilation_rate, data_format, **base)
        self.output_size = spatial.each_axis(self, "output_size", output_size, 2, "output_size=32")

    def build(self, input_shape):
        taps = math.prod(self.kernel_size)
        patches = math.prod(self.window((*self.output_size, 1)).out)
        if len(input_shape) != 2 or input_shape[0] != patches or not input_shape[1] or input_shape[1] % taps:
            raise ValueError(
                f"{self.name}: Fold makes images of {self.output_size} from samples of shape ({patches}, {taps} · "
                f"channels), got {tuple(input_shape)}; make them by layers.Unfold with the same arguments"
            )
        return (*self.output_size, input_shape[1] // taps)

    def forward(self, x, training=False):
        g = self.window(self.output_shape)
        y = self.buffer("y", (len(x), *self.output_shape))
        self.k.col2im(x, g, out=y)
        if training:
            self.save(self.output_shape)
        else:
            self.forget()
        return y

    def backward(self, dy):
        g = self.window(self.saved())
        dx = self.buffer("dx", (len(dy), *self.input_shape))
        self.k.im2col(dy, g, out=dx)
        return dx
