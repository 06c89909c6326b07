"""RandomGaussianBlur and RandomSharpness."""

import math
import numbers

import numpy as np

from npdl.kernels.reference.normal import exp
from npdl.kernels.taps import both_sides, neighbours
from npdl.layers import arguments
from npdl.layers.augmenting import column_of
from npdl.layers.random_color import _Colored


class RandomGaussianBlur(_Colored):
    """Some images of a training batch blurred, each by a Gauss bell of its own; in inference y = x.

        forward     t[n, i, j] = Σ_p v[n, p] x[n, i + p, j],  y[n, i, j] = Σ_q w[n, q] t[n, i, j + q],  cut to the range
                    v[n, p] ~ exp(−½ (p/σ)²), Σ_p v[n, p] = 1; w the same with another σ; zeros beyond the edges
        backward    dx = the same sums of dy where low < y < high, else 0: v and w are symmetric

    An image is blurred with probability p, p a random number of factor. (Keras draws the two σ once a batch.)

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: y, v and w of each image.

    Args:
        factor: (lower, upper) of p, or one number for 0 ... factor.
        kernel_size: how many weights: an odd number, or two, along rows (of w) and columns (of v).
        sigma: (lower, upper) of σ in pixels, or one number for 0 ... sigma.
        value_range: (low, high) of the pixels: (0, 1) where they were rescaled.
        data_format: None or "channels_last".
        seed: of all this; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: a factor outside 0 ... 1, a negative sigma, an even kernel_size, samples that are no images.

    >>> RandomGaussianBlur(0.5, 5, (0.1, 2.0), value_range=(0, 1)).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(self, factor=1.0, kernel_size=3, sigma=1.0, value_range=(0, 255), data_format=None, seed=None, **base):
        super().__init__(value_range, seed, data_format=data_format, **base)
        self.factor = arguments.span(self, "factor", factor, 0, 1)
        self.sigma = arguments.span(self, "sigma", sigma, 0, math.inf)
        sizes = (kernel_size, kernel_size) if isinstance(kernel_size, numbers.Real) else tuple(kernel_size or ())
        if len(sizes) != 2 or not all(isinstance(n, numbers.Integral) and n > 0 and n % 2 for n in sizes):
            raise ValueError(
                f"RandomGaussianBlur needs kernel_size to be an odd number or two, got kernel_size={kernel_size!r}; "
                "pass e.g. kernel_size=3"
            )
        self.kernel_size = tuple(map(int, sizes))

    def weights(self, samples):
        """[v, w]: of the middle and of each distance from it, (N, ⌊kernel_size/2⌋ + 1)."""
        chance, coin, *sigmas = self.draw(samples, self.factor, (0, 1), self.sigma, self.sigma)
        blurred, found = (coin < chance)[:, None], []
        for sigma, size in zip(reversed(sigmas), reversed(self.kernel_size)):
            distance = np.arange(size // 2 + 1) / (sigma + 1e-6)[:, None]
            bell = exp(np.maximum(-0.5 * distance * distance, -700.0))
            total = bell[:, 0].copy()
            for column in bell.T[1:]:  # one after the other: the same bits on every machine
                total += 2 * column
            found.append(np.where(blurred, bell / total[:, None], np.arange(size // 2 + 1) == 0))
        return found

    def forward(self, x, training=False):
        if self.passes(training):
            return x
        weights = [self.made(lambda shape, axis=axis: self.weights(shape[0])[axis], x.shape) for axis in range(2)]
        self.step += 1
        y = self.buffer("y", x.shape)
        self._blur(x, weights, y, *self.value_range)
        self.save(y, weights)
        return y

    def _blur(self, x, weights, out, low=-math.inf, high=math.inf):
        """out = Σ w Σ v x, cut"""
        size, between = x.shape[1:3], self.scratch("between", x.shape)
        for axis, (source, made) in enumerate(((x, between), (between, out))):
            middle, *others = [column_of(weights[axis], i) for i in range(weights[axis].shape[1])]
            self.k.rescale(source, middle, 0.0, out=made)
            for distance, weight in enumerate(others, 1):
                taps = [both_sides(n, distance) if i == axis else neighbours(n, 0, 0) for i, n in enumerate(size)]
                sides = self.scratch("sides", x.shape)
                self.k.interpolate(source, *taps, out=sides)
                self.k.rescale(sides, weight, made, out=made)  # made += w (x[i − d] + x[i + d])
        self.k.rescale(out, 1.0, 0.0, out=out, low=low, high=high)

    def backward(self, dy):
        if (saved := self.saved()) is None:
            return dy
        (y, weights), dx = saved, self.buffer("dx", dy.shape)
        self._blur(self.uncut(dy, y), weights, dx)
        return dx


class RandomSharpness(_Colored):
    """Each image of a training batch with sharper or softer edges; in inference y = x.

        forward     y = x + (1 − 2f) (s − x), cut to the range      s = (Σ of the 3 x 3 pixels around + 4 x) / 13
        backward    dx = the same of dy where low < y < high, else 0: the sum is symmetric

    f is a random number of factor: 0 is soft, 0.5 leaves an image as it is, 1 is sharp. Beyond the edges are zeros.

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: y, and f of each image.

    Args:
        factor: (lower, upper) of f, or one number for 0 ... factor.
        value_range, data_format, seed: as of `RandomGaussianBlur`.

    Raises:
        ValueError: a factor outside 0 ... 1, a range of other than two numbers, samples that are no images.

    >>> RandomSharpness((0.3, 0.7), value_range=(0, 1)).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **base):
        super().__init__(value_range, seed, data_format=data_format, **base)
        self.factor = arguments.span(self, "factor", factor, 0, 1)

    def forward(self, x, training=False):
        if self.passes(training):
            return x
        softer, y = self.made(self.softer, x.shape), self.buffer("y", x.shape)
        self.step += 1
        self._soften(x, softer, y, *self.value_range)
        self.save(y, softer)
        return y

    def softer(self, shape):
        """(N, 2): 1 − 9/13 s and s/13 of s = 1 − 2f"""
        s = 1 - 2 * self.draw(shape[0], self.factor)[0]
        return np.stack([1 - s * (9 / 13), s / 13], axis=1)

    def _soften(self, x, softer, out, low=-math.inf, high=math.inf):
        """out = x + s (blurred − x), cut"""
        around = self.scratch("around", x.shape)
        self.k.interpolate(x, *(neighbours(n, 1, 1) for n in x.shape[1:3]), out=around)
        self.k.rescale(x, column_of(softer, 0), 0.0, out=out)
        self.k.rescale(around, column_of(softer, 1), out, out=out, low=low, high=high)

    def backward(self, dy):
        if (saved := self.saved()) is None:
            return dy
        (y, softer), dx = saved, self.buffer("dx", dy.shape)
        self._soften(self.uncut(dy, y), softer, dx)
        return dx
