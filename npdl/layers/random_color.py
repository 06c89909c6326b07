"""RandomBrightness and RandomContrast."""

import math

from npdl.layers import arguments
from npdl.layers.augmenting import Augmentation


class _Colored(Augmentation):
    """What both share: results are cut to `value_range`, and dy where they were not."""

    def __init__(self, value_range, seed, **base):
        super().__init__(seed, **base)
        pair = value_range if isinstance(value_range, (tuple, list)) else ()
        self.value_range = arguments.span(self, "value_range", pair, -math.inf, math.inf)

    def uncut(self, dy, y):
        """dy where y lies inside the range, else 0."""
        g = self.inplace("g", dy)
        self.k.clip_grad(dy, y, *self.value_range, out=g)
        return g


class RandomBrightness(_Colored):
    """Each image of a training batch made lighter or darker; in inference y = x.

        forward     y[n] = min(max(x[n] + δ, low), high)        δ = (high − low) · a random number of factor
        backward    dx = dy where low < y < high, else 0

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: y.

    Args:
        factor: (lower, upper), or one number for −factor ... factor; 1 makes an image white, −1 black.
        value_range: (low, high) of the pixels: (0, 1) where they were rescaled.
        seed: of δ; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: a factor outside −1 ... 1, a range of other than two numbers, samples that are no images.

    >>> RandomBrightness(0.2, value_range=(0, 1)).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(self, factor, value_range=(0, 255), seed=None, **base):
        super().__init__(value_range, seed, **base)
        self.factor = arguments.span(self, "factor", factor, -1, 1)

    def forward(self, x, training=False):
        if self.passes(training):
            return x
        delta, y = self.made(self.deltas, x.shape), self.buffer("y", x.shape)
        self.step += 1
        low, high = self.value_range
        self.k.rescale(x, 1.0, delta, out=y, low=low, high=high)  # y = x + δ, cut
        self.save(y)
        return y

    def deltas(self, shape):
        """δ of each image, (N, 1, 1, 1)."""
        low, high = self.value_range
        (part,) = self.draw(shape[0], self.factor)
        return ((high - low) * part).reshape(-1, 1, 1, 1)

    def backward(self, dy):
        y = self.saved()
        return dy if y is None else self.uncut(dy, y)


class RandomContrast(_Colored):
    """Each image of a training batch with more or less contrast; in inference y = x.

        forward     y = min(max((x − μ) f + μ, low), high)      μ = mean over the pixels of each image and channel
        backward    g = dy where low < y < high, else 0;        dx = (g − mean g) f + mean g

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: y, and f of each image.

    Args:
        factor: f is a random number of 1 − lower ... 1 + upper: (lower, upper), or one number for both.
        value_range: (low, high) of the pixels: (0, 1) where they were rescaled.
        seed: of f; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: a factor outside 0 ... 1, a range of other than two numbers, samples that are no images.

    >>> RandomContrast(0.2, value_range=(0, 1)).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(self, factor, value_range=(0, 255), seed=None, **base):
        super().__init__(value_range, seed, **base)
        both = factor if isinstance(factor, (tuple, list)) else (factor, factor)
        arguments.span(self, "factor", both, 0, 1)  # checks them, and would sort them
        self.factor = tuple(map(float, both))

    def forward(self, x, training=False):
        if self.passes(training):
            return x
        f, y = self.made(self.factors, x.shape), self.buffer("y", x.shape)
        self.step += 1
        self._stretch(x, f, y, *self.value_range)
        self.save(y, f)
        return y

    def factors(self, shape):
        """f of each image, (N, 1, 1, 1)."""
        lower, upper = self.factor
        (f,) = self.draw(shape[0], (1 - lower, 1 + upper))
        return f.reshape(-1, 1, 1, 1)

    def _stretch(self, x, f, out, low=-math.inf, high=math.inf):
        """out = (x − μ) f + μ, cut"""
        mean = self.scratch("mean", (len(x), x.shape[3]))
        self.k.global_average_pool2d(x, out=mean)
        mean = mean.reshape(len(x), 1, 1, x.shape[3])
        self.k.rescale(x, f, mean, out=out, center=mean, low=low, high=high)

    def backward(self, dy):
        if (saved := self.saved()) is None:
            return dy
        y, f = saved
        g, dx = self.uncut(dy, y), self.buffer("dx", dy.shape)
        self._stretch(g, f, dx)
        return dx
