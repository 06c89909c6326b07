"""RandomHue, RandomSaturation, RandomColorDegeneration and RandomGrayscale."""

import math

import numpy as np

from npdl.layers import arguments
from npdl.layers.recoloring import Recolored

EPSILON = 1e-7


class RandomHue(Recolored):
    """The colours of each image of a training batch turned around the colour circle; in inference y = x.

        forward     (h, s, v) = hue, saturation and value of x;     y = the colour (h + a mod 1, s, v), cut to the range
                    a = ½ f or −½ f, by the toss of a coin, f a random number of factor
        backward    dx = the gradient of that, which is linear between the six corners of the circle; 0 where y is cut

    Shapes: x, y (N, H, W, 3). H and W may be of any length.
    Saves: x, and a of each image.

    Args:
        factor: (lower, upper) of f, or one number for 0 ... factor; 1 turns by up to half the circle.
        value_range: (low, high) of the pixels: (0, 1) where they were rescaled.
        data_format: None or "channels_last".
        seed: of a; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: a factor outside 0 ... 1, a range of other than two numbers, images of other than 3 channels.

    >>> RandomHue(0.2, value_range=(0, 1)).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    way = "hsv"

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **base):
        super().__init__(value_range, seed, data_format=data_format, **base)
        self.factor = arguments.span(self, "factor", factor, 0, 1)

    def numbers(self, samples):
        part, coin = self.draw(samples, self.factor, (0, 1))
        return np.stack([np.where(coin < 0.5, 0.5, -0.5) * part, np.ones(samples)], axis=1)


class RandomSaturation(Recolored):
    """Each image of a training batch with stronger or paler colours; in inference y = x.

        forward     (h, s, v) = hue, saturation and value of x;     y = the colour (h, min(b s, 1), v)
                    b = f / (1 − f + 1e-7), f a random number of factor
        backward    dx = the gradient of that

    f = 0.5 leaves an image as it is, 0 makes it grey, 1 as colourful as can be. (Keras cuts s to value_range: with
    (0, 255) its pixels may fall below 0.)

    Shapes: x, y (N, H, W, 3). H and W may be of any length.
    Saves: x, and b of each image.

    Args:
        factor: (lower, upper) of f, or one number for 0 ... factor; below 0, as Keras writes it, it counts as 0.
        value_range, data_format, seed: as of `RandomHue`.

    Raises:
        ValueError: a factor outside −1 ... 1, a range of other than two numbers, images of other than 3 channels.

    >>> RandomSaturation((0.3, 0.7), value_range=(0, 1)).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    way = "hsv"

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **base):
        super().__init__(value_range, seed, data_format=data_format, **base)
        self.factor = arguments.span(self, "factor", factor, -1, 1, symmetric=False)

    def numbers(self, samples):
        (f,) = self.draw(samples, self.factor)
        return np.stack([np.zeros(samples), np.maximum(f, 0) / (1 - f + EPSILON)], axis=1)


class RandomColorDegeneration(Recolored):
    """Each image of a training batch on its way to grey; in inference y = x.

        forward     y = x + f (0.2989 R + 0.587 G + 0.114 B − x), cut to the range, f a random number of factor
        backward    dx_c = (1 − f) g_c + f (0.2989, 0.587, 0.114)_c Σ g,  g = dy, 0 where y is cut

    Shapes: x, y (N, H, W, 3). H and W may be of any length.
    Saves: x, and f of each image.

    Args:
        factor: (lower, upper) of f, or one number for 0 ... factor; 1 is grey, below 0 colours become stronger.
        value_range, data_format, seed: as of `RandomHue`.

    Raises:
        ValueError: a factor outside −1 ... 1, a range of other than two numbers, images of other than 3 channels.
    """

    way = "gray"

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **base):
        super().__init__(value_range, seed, data_format=data_format, **base)
        self.factor = arguments.span(self, "factor", factor, -1, 1, symmetric=False)

    def numbers(self, samples):
        (f,) = self.draw(samples, self.factor)
        return np.stack([f, np.zeros(samples)], axis=1)


class RandomGrayscale(Recolored):
    """Some images of a training batch in grey; in inference y = x.

        forward     y = 0.2989 R + 0.587 G + 0.114 B in each channel, or x
        backward    dx_c = (0.2989, 0.587, 0.114)_c Σ dy of the three channels, or dy

    Shapes: x, y (N, H, W, 3). H and W may be of any length.
    Saves: x, and which images became grey.

    Args:
        factor: how likely an image becomes grey.
        data_format: None or "channels_last".
        seed: of that; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: a factor outside 0 ... 1, images of other than 3 channels.

    >>> RandomGrayscale(0.2).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    way = "gray"

    def __init__(self, factor=0.5, data_format=None, seed=None, **base):
        super().__init__((-math.inf, math.inf), seed, data_format=data_format, **base)
        self.factor = arguments.probability(self, "factor", factor)

    def numbers(self, samples):
        (coin,) = self.draw(samples, (0, 1))
        return np.stack([np.where(coin < self.factor, 1.0, 0.0), np.zeros(samples)], axis=1)
