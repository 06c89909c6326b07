"""Dropout: set numbers to zero at random while training."""

import numbers

from npdl import random
from npdl.layers.base import Layer


class Dropout(Layer):
    """Dropout: in training each number is kept with probability 1 − rate and scaled up, else it becomes 0.

        forward     y = x m         m = 1/(1 − rate) where kept, else 0;     in inference y = x
        backward    dx = dy m

    The mask m is computed from (seed, place of the layer, step, sample, element): it depends neither on threads nor on
    how the batch is cut. In inference and with rate 0, y is x itself.

    Shapes: x, y (N, ...).
    Saves: the step, from which backward computes the same m again.

    Args:
        rate: probability of 0, in [0, 1).
        noise_shape: shape of the mask, which is broadcast: None for the batch axis, then 1 where the mask is the same
            along an axis, e.g. (None, 1, 1, C) drops whole channels.
        seed: of the mask; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: rate outside [0, 1), a noise_shape that does not broadcast, no seed.

    Reference: Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014.

    >>> Dropout(0.5).init(input_shape=(4,)).output_shape
    (4,)
    """

    purpose = "dropout"  # of the random numbers

    def __init__(self, rate, noise_shape=None, seed=None, **base):
        super().__init__(**base)
        if not isinstance(rate, numbers.Real) or isinstance(rate, bool) or not 0 <= rate < 1:
            kind = type(self).__name__
            raise ValueError(
                f"{kind} needs a rate in [0, 1), the part that is dropped, got {rate!r}; pass e.g. {kind}(0.5)"
            )
        self.rate, self.seed = float(rate), None if seed is None else random.check_seed(seed)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def build(self, input_shape):
        self.mask_shape = None
        if self.noise_shape is not None:
            first, *rest = self.noise_shape or (1,)
            if first is not None or len(rest) != len(input_shape):
                raise ValueError(
                    f"{self.name}: noise_shape={self.noise_shape} does not fit samples of shape {input_shape}; "
                    f"pass None for the batch axis and a size for each other one: {(None, *input_shape)}, 1 to share"
                )
            if any(size not in (1, of) for size, of in zip(rest, input_shape, strict=True)) or None in rest:
                raise ValueError(
                    f"{self.name}: noise_shape={self.noise_shape} does not broadcast to samples of shape "
                    f"{input_shape}; each size is 1 or the sample's"
                )
            self.mask_shape = tuple(rest)
        return input_shape

    def forward(self, x, training=False):
        if self.passes(training, self.rate == 0):
            return x
        y = self.buffer("y", x.shape)
        self.draw(x, self.step, y)  # y = x m
        self.save(self.step)
        self.step += 1
        return y

    def backward(self, dy):
        step = self.saved()
        if step is None:
            return dy
        dx = self.inplace("dx", dy)
        self.draw_grad(dy, step, dx)  # dx = dy m
        return dx

    def draw(self, x, step, out):
        """out = x m, with the mask of that step; another kind of dropout writes this and `draw_grad`."""
        self.k.dropout(x, self.rate, self.key(), step, out=out, noise_shape=self.mask_shape)

    def draw_grad(self, dy, step, out):
        """out = dy m"""
        self.draw(dy, step, out)

    def key(self):
        """Of the random numbers."""
        return self.random_key(self.purpose) if self.seed is None else random.key(self.seed, self.purpose)
