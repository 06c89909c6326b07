"""RandomRotation, RandomZoom and RandomTranslation."""

from npdl.layers import arguments
from npdl.layers.augmenting import Moved, affine_maps, cosine_sine


class RandomRotation(Moved):
    """Each image of a training batch turned about its middle, by an angle of its own; in inference y = x.

        forward     y[n, i, j] = x[n] at the place that the turn brings to (i, j)
                    u = cos θ · j − sin θ · i + a₂      v = sin θ · j + cos θ · i + b₂      the middle stays
        backward    the transpose of the sampling

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: the six numbers of each image.

    Args:
        factor: (lower, upper) of the angle in whole turns, or one number for −factor ... factor; counterclockwise where
            it is positive.
        fill_mode: what lies beyond the edges: "reflect" b a | a b c | c b, "wrap" b c | a b c | a b, "nearest"
            a a | a b c | c c or "constant".
        interpolation: "bilinear" or "nearest".
        seed: of the angles; None makes it from the model's seed and the layer's place.
        fill_value: of "constant".
        data_format: None or "channels_last".

    Raises:
        ValueError: a factor outside −1 ... 1, another fill_mode or interpolation, samples that are no images.

    >>> RandomRotation(0.1).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(
        self, factor, fill_mode="reflect", interpolation="bilinear", seed=None, fill_value=0.0, data_format=None, **base
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **base)
        self.factor = arguments.span(self, "factor", factor, -1, 1)

    def maps(self, shape):
        n, h, w, _ = shape
        cosine, sine = cosine_sine(*self.draw(n, self.factor))
        x, y = (w - 1) / 2, (h - 1) / 2  # the middle
        a2, b2 = x - (cosine * x - sine * y), y - (sine * x + cosine * y)
        return affine_maps(n, (cosine, -sine, a2), (sine, cosine, b2))


class RandomZoom(Moved):
    """Each image of a training batch made larger or smaller, about its middle; in inference y = x.

        forward     y[n, i, j] = x[n] at (v, u)     u = z j + (1 − z)(W − 1)/2      v = z' i + (1 − z')(H − 1)/2
        backward    the transpose of the sampling

    z = 1 + a random number of width_factor, z' = 1 + one of height_factor: above 1 the picture shrinks.

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: the six numbers of each image.

    Args:
        height_factor: (lower, upper), or one number for −factor ... factor.
        width_factor: the same; None zooms the width as the height.
        fill_mode, interpolation, seed, fill_value, data_format: as of `RandomRotation`.

    Raises:
        ValueError: a factor outside −1 ... 1, another fill_mode or interpolation, samples that are no images.

    >>> RandomZoom(0.2).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(
        self, height_factor, width_factor=None, fill_mode="reflect", interpolation="bilinear", seed=None,
        fill_value=0.0, data_format=None, **base,
    ):  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **base)
        self.height_factor = arguments.span(self, "height_factor", height_factor, -1, 1)
        self.width_factor = width_factor
        if width_factor is not None:
            self.width_factor = arguments.span(self, "width_factor", width_factor, -1, 1)

    def maps(self, shape):
        n, h, w, _ = shape
        tall, wide = self.draw(n, self.height_factor, self.width_factor or (0, 0))
        tall, wide = 1 + tall, 1 + (tall if self.width_factor is None else wide)
        return affine_maps(n, (wide, 0, (1 - wide) * (w - 1) / 2), (0, tall, (1 - tall) * (h - 1) / 2))


class RandomTranslation(Moved):
    """Each image of a training batch moved, by a part of its size; in inference y = x.

        forward     y[n, i, j] = x[n] at (i − down, j − right)
        backward    the transpose of the sampling

    With interpolation="nearest" and fill_mode="constant" it is a crop of the image with zeros around it.

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: the six numbers of each image.

    Args:
        height_factor: (lower, upper) of down / H, or one number for −factor ... factor.
        width_factor: the same of right / W.
        fill_mode, interpolation, seed, fill_value, data_format: as of `RandomRotation`.

    Raises:
        ValueError: a factor outside −1 ... 1, another fill_mode or interpolation, samples that are no images.

    >>> RandomTranslation(0.1, 0.1).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(
        self, height_factor, width_factor, fill_mode="reflect", interpolation="bilinear", seed=None, fill_value=0.0,
        data_format=None, **base,
    ):  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **base)
        self.height_factor = arguments.span(self, "height_factor", height_factor, -1, 1)
        self.width_factor = arguments.span(self, "width_factor", width_factor, -1, 1)

    def maps(self, shape):
        n, h, w, _ = shape
        down, right = self.draw(n, self.height_factor, self.width_factor)
        return affine_maps(n, (1, 0, -right * w), (0, 1, -down * h))
