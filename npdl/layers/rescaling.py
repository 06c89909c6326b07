"""Rescaling: numbers times a factor, plus an offset."""

import numpy as np

from npdl.layers.base import Layer


class Rescaling(Layer):
    """Scale and shift, in training and inference alike.

        forward     y = scale · x + offset
        backward    dx = scale · dy

    E.g. `Rescaling(1 / 255)` takes pixels of 0 ... 255 to 0 ... 1, `Rescaling(1 / 127.5, offset=-1)` to −1 ... 1.

    Shapes: x, y (N, ...).
    Saves: nothing; the gradient does not depend on x.

    Args:
        scale, offset: numbers, or lists that broadcast against a sample, e.g. one number a channel.

    Raises:
        ValueError: something else, or lists that do not fit the samples.

    >>> Rescaling(1 / 255).init(input_shape=(28, 28, 1)).output_shape
    (28, 28, 1)
    """

    def __init__(self, scale, offset=0.0, **base):
        super().__init__(**base)
        self.scale, self.offset = self._numbers("scale", scale), self._numbers("offset", offset)

    @staticmethod
    def _numbers(name, value):
        """A number or nested lists of them."""
        try:
            array = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            array = np.array(np.nan)
        if not np.isfinite(array).all():
            raise ValueError(
                f"Rescaling needs {name} to be a number or a list of numbers, got {name}={value!r}; "
                "pass e.g. Rescaling(1 / 255)"
            )
        return array.tolist()

    def build(self, input_shape):
        for name in ("scale", "offset"):
            shape = np.shape(getattr(self, name))
            wanted = input_shape[len(input_shape) - len(shape) :]
            if len(shape) > len(input_shape) or any(n not in (1, size) for n, size in zip(shape, wanted)):
                raise ValueError(
                    f"{self.name}: {name} of shape {shape} does not broadcast against samples of shape "
                    f"{tuple(input_shape)}; pass one number, or one for each of the last axis"
                )
        return input_shape

    def forward(self, x, training=False):
        y = self.buffer("y", x.shape)
        self.k.rescale(x, self.scale, self.offset, out=y)  # y = scale x + offset
        if training:
            self.save()
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        dx = self.inplace("dx", dy)
        self.k.rescale(dy, self.scale, 0.0, out=dx)  # dx = scale dy
        return dx
