"""RandomShear: each image slanted."""

import numpy as np

from npdl.layers import arguments
from npdl.layers.augmenting import Moved, affine_maps


class RandomShear(Moved):
    """Each image of a training batch slanted along one or both axes; in inference y = x.

        forward     y[n, i, j] = x[n] at (i + b j, j + a i)     the corner at (0, 0) stays
        backward    the transpose of the sampling

    a is a random number of x_factor, b of y_factor; the toss of a coin turns the signs of both.

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: the six numbers of each image.

    Args:
        x_factor: (lower, upper) of a, or one number for −x_factor ... x_factor.
        y_factor: the same of b.
        interpolation, fill_mode, fill_value, data_format, seed: as of `RandomRotation`.

    Raises:
        ValueError: a factor outside −1 ... 1, another fill_mode or interpolation, samples that are no images.

    >>> RandomShear(0.2).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(
        self, x_factor=0.0, y_factor=0.0, interpolation="bilinear", fill_mode="reflect", fill_value=0.0,
        data_format=None, seed=None, **base,
    ):  # fmt: skip
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **base)
        self.x_factor = arguments.span(self, "x_factor", x_factor, -1, 1)
        self.y_factor = arguments.span(self, "y_factor", y_factor, -1, 1)

    def maps(self, shape):
        a, b, coin = self.draw(shape[0], self.x_factor, self.y_factor, (0, 1))
        sign = np.where(coin < 0.5, 1.0, -1.0)
        return affine_maps(shape[0], (1, sign * a, 0), (sign * b, 1, 0))
