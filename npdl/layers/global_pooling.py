"""GlobalAveragePooling2D and GlobalMaxPooling2D."""

from npdl.layers import arguments
from npdl.layers.base import Layer


class _GlobalPooling2D(Layer):
    """What the two share: the arguments and the shapes."""

    def __init__(self, data_format=None, keepdims=False, **base):
        super().__init__(**base)
        self.data_format, self.keepdims = arguments.channels_last(self, data_format), keepdims

    def build(self, input_shape):
        arguments.image(self, input_shape)
        channels = input_shape[-1]
        return (1, 1, channels) if self.keepdims else (channels,)

    def flops(self):
        height, width, channels = self.input_shape
        return height * width * channels


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel over the whole image.

        forward     y[n, c] = Σ_{h, w} x[n, h, w, c] / (H W)
        backward    dx[n, h, w, c] = dy[n, c] / (H W)

    Shapes: x (N, H, W, C) · y (N, C), or (N, 1, 1, C) with keepdims.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        data_format: None or "channels_last".
        keepdims: keep height and width as axes of length 1.

    Raises:
        ValueError: samples that are no images.

    Reference: Lin, Chen and Yan, Network In Network, 2013.

    >>> GlobalAveragePooling2D().init(input_shape=(7, 7, 64)).output_shape
    (64,)
    """

    def forward(self, x, training=False):
        y = self.buffer("y", (len(x), x.shape[-1]))
        self.k.global_average_pool2d(x, out=y)
        if training:
            self.save()
        else:
            self.forget()
        return y.reshape(len(x), *self.output_shape)

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        dx = self.buffer("dx", (len(dy), *self.input_shape))
        self.k.global_average_pool2d_grad(dy.reshape(len(dy), dx.shape[-1]), out=dx)
        return dx


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The maximum of each channel over the whole image.

        forward     y[n, c] = max over h, w of x[n, h, w, c]
        backward    dx[n, h, w, c] = dy[n, c] where (h, w) won, else 0

    The first maximum, row by row, wins a tie.

    Shapes: x (N, H, W, C) · y (N, C), or (N, 1, 1, C) with keepdims.
    Saves: winners (N, C), the place h·W + w of the maximum.

    Args:
        data_format: None or "channels_last".
        keepdims: keep height and width as axes of length 1.

    Raises:
        ValueError: samples that are no images.

    >>> GlobalMaxPooling2D(keepdims=True).init(input_shape=(7, 7, 64)).output_shape
    (1, 1, 64)
    """

    def forward(self, x, training=False):
        y = self.buffer("y", (len(x), x.shape[-1]))
        if training:
            winners = self.buffer("winners", y.shape, "int32")
            self.k.global_max_pool2d(x, out=y, winners=winners)
            self.save(winners)
        else:
            self.k.global_max_pool2d(x, out=y)
            self.forget()
        return y.reshape(len(x), *self.output_shape)

    def backward(self, dy):
        winners = self.saved()
        dx = self.buffer("dx", (len(dy), *self.input_shape))
        self.k.global_max_pool2d_grad(dy.reshape(winners.shape), winners, out=dx)
        return dx
