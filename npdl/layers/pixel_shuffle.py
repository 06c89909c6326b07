"""PixelShuffle and PixelUnshuffle: channels become places, and back."""

from npdl.layers import arguments, spatial
from npdl.layers.base import Layer


class PixelShuffle(Layer):
    """Images r times as high and wide, made of r² channels each: the last layer of super-resolution.

        forward     y[n, r h + i, r w + j, c] = x[n, h, w, (c r + i) r + j]         i, j in 0 ... r − 1
        backward    dx[n, h, w, (c r + i) r + j] = dy[n, r h + i, r w + j, c]

    The channels lie as in PyTorch, those of one channel of y beside each other.

    Shapes: x (N, H, W, C r²) · y (N, r H, r W, C). H and W may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        upscale_factor: r.
        data_format: None or "channels_last".

    Raises:
        ValueError: r below 1, samples that are no images, channels that r² does not divide.

    Reference: Shi, Caballero, Huszár and others, Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network, 2016.

    >>> PixelShuffle(2).init(input_shape=(8, 6, 12)).output_shape
    (16, 12, 3)
    """

    def __init__(self, upscale_factor, data_format=None, **base):
        super().__init__(**base)
        self.upscale_factor = arguments.whole(self, "upscale_factor", upscale_factor, "PixelShuffle(2)")
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.places(self, input_shape, 2)
        r, (*sizes, channels) = self.upscale_factor, input_shape
        if channels % (r * r):
            raise ValueError(
                f"{self.name}: PixelShuffle({r}) makes one channel of {r * r}, got samples of shape "
                f"{tuple(input_shape)}; give it a multiple of {r * r} channels, e.g. {r * r * (channels // r // r + 1)}"
            )
        return (*(None if size is None else r * size for size in sizes), channels // (r * r))

    def flops(self):
        return 0

    def forward(self, x, training=False):
        (n, h, w, _), r, c = x.shape, self.upscale_factor, self.output_shape[-1]
        y = self.buffer("y", (n, h, r, w, r, c))
        self.k.permute(x.reshape(n, h, w, c, r, r), (0, 1, 4, 2, 5, 3), out=y)
        if training:
            self.save()
        else:
            self.forget()
        return y.reshape(n, h * r, w * r, c)

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        (n, h, w, c), r = dy.shape, self.upscale_factor
        dx = self.buffer("dx", (n, h // r, w // r, c, r, r))
        self.k.permute(dy.reshape(n, h // r, r, w // r, r, c), (0, 1, 3, 5, 2, 4), out=dx)
        return dx.reshape(n, h // r, w // r, c * r * r)


class PixelUnshuffle(Layer):
    """Images of an r-th of the height and width, each place with all that stood there: back from `PixelShuffle`.

        forward     y[n, h, w, (c r + i) r + j] = x[n, r h + i, r w + j, c]         i, j in 0 ... r − 1
        backward    dx[n, r h + i, r w + j, c] = dy[n, h, w, (c r + i) r + j]

    Shapes: x (N, r H, r W, C) · y (N, H, W, C r²). H and W may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        downscale_factor: r.
        data_format: None or "channels_last".

    Raises:
        ValueError: r below 1, samples that are no images, or whose height or width r does not divide.

    >>> PixelUnshuffle(2).init(input_shape=(16, 12, 3)).output_shape
    (8, 6, 12)
    """

    def __init__(self, downscale_factor, data_format=None, **base):
        super().__init__(**base)
        self.downscale_factor = arguments.whole(self, "downscale_factor", downscale_factor, "PixelUnshuffle(2)")
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.places(self, input_shape, 2)
        self._divide(input_shape)
        r, (*sizes, channels) = self.downscale_factor, input_shape
        return (*(None if size is None else size // r for size in sizes), channels * r * r)

    def flops(self):
        return 0

    def _divide(self, shape):
        r = self.downscale_factor
        if any(size is not None and size % r for size in shape[:2]):
            raise ValueError(
                f"{self.name}: PixelUnshuffle({r}) takes heights and widths that {r} divides, got samples of shape "
                f"{tuple(shape)}; crop or pad them before, e.g. by layers.ZeroPadding2D"
            )

    def forward(self, x, training=False):
        self._divide(x.shape[1:])
        (n, h, w, c), r = x.shape, self.downscale_factor
        y = self.buffer("y", (n, h // r, w // r, c, r, r))
        self.k.permute(x.reshape(n, h // r, r, w // r, r, c), (0, 1, 3, 5, 2, 4), out=y)
        if training:
            self.save()
        else:
            self.forget()
        return y.reshape(n, h // r, w // r, c * r * r)

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        (n, h, w, _), r, c = dy.shape, self.downscale_factor, self.input_shape[-1]
        dx = self.buffer("dx", (n, h, r, w, r, c))
        self.k.permute(dy.reshape(n, h, w, c, r, r), (0, 1, 4, 2, 5, 3), out=dx)
        return dx.reshape(n, h * r, w * r, c)
