"""Solarization, RandomInvert and RandomPosterization."""

import numbers

import numpy as np

from npdl.layers import arguments
from npdl.layers.recoloring import Recolored


class Solarization(Recolored):
    """Light pixels of each image of a training batch made dark, and dark ones light; in inference y = x.

        forward     r = min(max(x + a, low), high);     y = r where r < b, else low + high − r
        backward    dx = dy where r < b, else −dy;      0 where r is cut

    a is a random number of addition_factor times high − low, b = low + one of threshold_factor times that. As they are
    by default all pixels are inverted.

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: x, and a and b of each image.

    Args:
        addition_factor: (lower, upper), or one number for 0 ... addition_factor.
        threshold_factor: the same.
        value_range: (low, high) of the pixels: (0, 1) where they were rescaled.
        seed: of a and b; None makes it from the model's seed and the layer's place.
        data_format: None or "channels_last".

    Raises:
        ValueError: a factor outside 0 ... 1, a range of other than two numbers, samples that are no images.

    >>> layer = Solarization().init(input_shape=(1, 1, 3))
    >>> layer(np.array([[[[59, 62, 63]]]], "float32"), training=True).ravel().tolist()
    [196.0, 193.0, 192.0]
    """

    way, colors = "solarize", False

    def __init__(
        self, addition_factor=0.0, threshold_factor=0.0, value_range=(0, 255), seed=None, data_format=None, **base
    ):
        super().__init__(value_range, seed, data_format=data_format, **base)
        self.addition_factor = arguments.span(self, "addition_factor", addition_factor, 0, 1)
        self.threshold_factor = arguments.span(self, "threshold_factor", threshold_factor, 0, 1)

    def numbers(self, samples):
        low, high = self.value_range
        added, threshold = self.draw(samples, self.addition_factor, self.threshold_factor)
        return np.stack([(high - low) * added, low + (high - low) * threshold], axis=1)


class RandomInvert(Recolored):
    """Some images of a training batch as their negatives; in inference y = x.

        forward     y = low + high − x, or x, cut to the range
        backward    dx = −dy, or dy;      0 where y is cut

    An image is inverted with probability p, p a random number of factor.

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: x, and which images were inverted.

    Args:
        factor: (lower, upper) of p, or one number for 0 ... factor.
        value_range, seed, data_format: as of `Solarization`.

    Raises:
        ValueError: a factor outside 0 ... 1, a range of other than two numbers, samples that are no images.
    """

    way, colors = "solarize", False

    def __init__(self, factor=1.0, value_range=(0, 255), seed=None, data_format=None, **base):
        super().__init__(value_range, seed, data_format=data_format, **base)
        self.factor = arguments.span(self, "factor", factor, 0, 1)

    def numbers(self, samples):
        chance, coin = self.draw(samples, self.factor, (0, 1))
        return np.stack([np.zeros(samples), np.where(coin < chance, -np.inf, np.inf)], axis=1)


class RandomPosterization(Recolored):
    """Each image of a training batch with fewer levels of light; in inference y = x.

        forward     of each pixel as a whole number of 0 ... 255, where value_range is that, the first f bits are kept
        backward    dx = 0

    f is a random whole number of factor, upper included (Keras leaves it out).

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: x, and f of each image.

    Args:
        factor: (lower, upper) of f, or one number for 1 ... factor; from 1 to 8.
        value_range: (low, high) of the pixels: (0, 1) where they were rescaled.
        data_format: None or "channels_last".
        seed: of f; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: a factor that is no whole number of 1 ... 8, a range of other than two numbers, no images.

    >>> layer = RandomPosterization((3, 3)).init(input_shape=(1, 1, 3))
    >>> layer(np.array([[[[31, 32, 250]]]], "float32"), training=True).ravel().tolist()
    [0.0, 32.0, 224.0]
    """

    way, colors = "posterize", False

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **base):
        super().__init__(value_range, seed, data_format=data_format, **base)
        pair = (1, factor) if isinstance(factor, numbers.Real) else factor
        lower, upper = arguments.span(self, "factor", pair, 1, 8)
        if lower != int(lower) or upper != int(upper):
            raise ValueError(
                f"RandomPosterization keeps a whole number of bits, 1 to 8, got factor={factor!r}; pass e.g. factor=4"
            )
        self.factor = int(lower), int(upper)

    def numbers(self, samples):
        (bits,) = self.draw(samples, (self.factor[0], self.factor[1] + 1))
        return np.stack([2.0 ** (8 - np.floor(bits)), np.zeros(samples)], axis=1)
