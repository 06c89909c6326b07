"""Resizing: images of another size."""

from npdl.kernels.taps import METHODS, image_taps
from npdl.layers import arguments, spatial
from npdl.layers.base import Layer


class Resizing(Layer):
    """Images resized, in training and inference alike.

        forward     y[n, i, j, c] = Σ_p Σ_q v[i, p] w[j, q] x[n, p, q, c]
        backward    dx[n, p, q, c] = Σ_i Σ_j v[i, p] w[j, q] dy[n, i, j, c]

    v and w are the weights of `npdl.kernels.taps.taps`: place i of height H' has its centre at (i + ½) H/H' − ½, and is
    made of the nearest row, of two by bilinear weights, of four by Keys' cubic (a = −½), of six or ten by Lanczos'
    windowed sinc, or of the mean of what it covers. PyTorch's "bicubic" has a = −¾; its `antialias=True` has −½.

    Shapes: x (N, H, W, C) · y (N, height, width, C). H and W may be of any length.
    Saves: the weights.

    Args:
        height, width: of y.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5" or "area".
        crop_to_aspect_ratio: take the largest part in the middle of x that has the proportions of y.
        pad_to_aspect_ratio: put x into the middle of the smallest frame that has them.
        fill_mode: "constant".
        fill_value: what the frame holds.
        antialias: stretch the weights where y is smaller, so that no row of x is passed over; nearest and area have
            nothing to stretch.
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, another interpolation or fill_mode, both crop and pad, samples that are no images.

    >>> Resizing(32, 48).init(input_shape=(100, 80, 3)).output_shape
    (32, 48, 3)
    """

    def __init__(
        self, height, width, interpolation="bilinear", crop_to_aspect_ratio=False, pad_to_aspect_ratio=False,
        fill_mode="constant", fill_value=0.0, antialias=False, data_format=None, **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.height = arguments.whole(self, "height", height, "Resizing(32, 32)")
        self.width = arguments.whole(self, "width", width, "Resizing(32, 32)")
        self.interpolation = arguments.one_of(self, "interpolation", interpolation, METHODS)
        self.fill_mode = arguments.one_of(self, "fill_mode", fill_mode, ("constant",))
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = bool(crop_to_aspect_ratio), bool(pad_to_aspect_ratio)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError(
                "Resizing keeps the proportions by crop_to_aspect_ratio or by pad_to_aspect_ratio, got both; "
                "leave one out"
            )
        self.aspect = "crop" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else None
        self.fill_value, self.antialias = float(fill_value), bool(antialias)
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.places(self, input_shape, 2)
        return (self.height, self.width, input_shape[-1])

    def forward(self, x, training=False):
        made = self.height, self.width
        weights = image_taps(x.shape[1:3], made, self.interpolation, self.antialias, self.aspect)
        y, fill = self.buffer("y", (len(x), *made, x.shape[3])), self.fill_value if self.aspect == "pad" else 0.0
        if fill:  # the frame holds zeros, so the numbers are counted from its value
            above = self.scratch("above", x.shape)
            self.k.rescale(x, 1.0, -fill, out=above)
            x = above
        self.k.interpolate(x, *weights, out=y)
        if fill:
            self.k.rescale(y, 1.0, fill, out=y)
        if training:
            self.save(weights)
        else:
            self.forget()
        return y

    def backward(self, dy):
        rows, columns = self.saved()
        dx = self.buffer("dx", (len(dy), rows.size, columns.size, dy.shape[3]))
        self.k.interpolate_grad(dy, rows, columns, out=dx)
        return dx


class CenterCrop(Layer):
    """The middle of an image; one that is smaller is resized, its proportions kept by a crop.

        forward     y[n, i, j, c] = x[n, i + ⌊(H − height) / 2⌋, j + ⌊(W − width) / 2⌋, c]
        backward    dx = dy with zeros around it

    Where H < height or W < width: as `Resizing(height, width, crop_to_aspect_ratio=True)`.

    Shapes: x (N, H, W, C) · y (N, height, width, C). H and W may be of any length.
    Saves: how x was cut or resized.

    Args:
        height, width: of y.
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no images.

    >>> CenterCrop(24, 24).init(input_shape=(32, 32, 3)).output_shape
    (24, 24, 3)
    """

    def __init__(self, height, width, data_format=None, **base):
        super().__init__(**base)
        self.height = arguments.whole(self, "height", height, "CenterCrop(24, 24)")
        self.width = arguments.whole(self, "width", width, "CenterCrop(24, 24)")
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.places(self, input_shape, 2)
        return (self.height, self.width, input_shape[-1])

    def forward(self, x, training=False):
        made, size = (self.height, self.width), x.shape[1:3]
        y = self.buffer("y", (len(x), *made, x.shape[3]))
        margins = weights = None
        if all(n >= to for n, to in zip(size, made)):
            margins = tuple(((n - to) // 2, n - to - (n - to) // 2) for n, to in zip(size, made))
            self.k.crop(x, margins, out=y)
        else:
            weights = image_taps(size, made, "bilinear", aspect="crop")
            self.k.interpolate(x, *weights, out=y)
        if training:
            self.save(size, margins, weights)
        else:
            self.forget()
        return y

    def backward(self, dy):
        size, margins, weights = self.saved()
        dx = self.buffer("dx", (len(dy), *size, dy.shape[3]))
        if weights is None:
            self.k.pad(dy, margins, out=dx)
        else:
            self.k.interpolate_grad(dy, *weights, out=dx)
        return dx
