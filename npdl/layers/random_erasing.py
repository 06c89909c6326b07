"""RandomErasing: a box of each image painted over."""

import numbers

import numpy as np

from npdl.layers import arguments
from npdl.layers.random_color import _Colored


class RandomErasing(_Colored):
    """A box of each image of a training batch painted over; in inference y = x.

        forward     y = fill inside the box, x outside
        backward    dx = 0 inside the box, dy outside

    The box is √a H' high and √b W' wide for two random numbers a, b of scale, so it covers about that part of an image,
    at a place where it fits. An image is left as it is with probability 1 − p, p a random number of factor.

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: the boxes.

    Args:
        factor: (lower, upper) of p, or one number for 0 ... factor.
        scale: (lower, upper) of a and b, or one number for 0 ... scale.
        fill_value: a number, or one a channel; None paints noise: `high` of value_range times a normally distributed
            number, cut to the range, for each number of x.
        value_range: (low, high) of the pixels: (0, 1) where they were rescaled.
        seed: of all this; None makes it from the model's seed and the layer's place.
        data_format: None or "channels_last".

    Raises:
        ValueError: factor or scale outside 0 ... 1, another fill_value, samples that are no images.

    Reference: Zhong, Zheng, Kang, Li and Yang, Random Erasing Data Augmentation, 2017.

    >>> RandomErasing(value_range=(0, 1)).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(
        self, factor=1.0, scale=(0.02, 0.33), fill_value=None, value_range=(0, 255), seed=None, data_format=None, **base
    ):
        super().__init__(value_range, seed, data_format=data_format, **base)
        self.factor = arguments.span(self, "factor", factor, 0, 1)
        self.scale = arguments.span(self, "scale", scale, 0, 1)
        values = fill_value if isinstance(fill_value, (tuple, list)) else [0.0 if fill_value is None else fill_value]
        if not all(isinstance(value, numbers.Real) for value in values):
            raise ValueError(
                f"RandomErasing needs fill_value to be a number, one a channel, or None for noise, got {fill_value!r}; "
                "pass e.g. fill_value=0"
            )
        self.fill_value = list(values) if isinstance(fill_value, tuple) else fill_value

    def build(self, input_shape):
        super().build(input_shape)
        if isinstance(self.fill_value, list) and len(self.fill_value) not in (1, input_shape[-1]):
            raise ValueError(
                f"{self.name}: fill_value has {len(self.fill_value)} numbers, images of shape {tuple(input_shape)} "
                f"have {input_shape[-1]} channels; pass one number, or one a channel"
            )
        return input_shape

    def boxes(self, shape):
        """(N, 4): first row, the one behind the last, first column, the one behind the last; an empty one is none."""
        n, h, w, _ = shape
        chance, coin, tall, wide, down, right = self.draw(n, self.factor, (0, 1), self.scale, self.scale, *[(0, 1)] * 2)
        made = np.where(coin < chance, 1, 0)
        boxes = np.zeros((n, 4), np.int64)
        for axis, (size, part, place) in enumerate(((h, tall, down), (w, wide, right))):
            length = made * np.floor(np.sqrt(part) * size + 0.5)
            start = np.floor(place * (size - length + 1))
            boxes[:, 2 * axis], boxes[:, 2 * axis + 1] = start, start + length
        return boxes

    def forward(self, x, training=False):
        if self.passes(training):
            return x
        boxes, y, fill = self.made(self.boxes, x.shape), self.buffer("y", x.shape), self.fill_value
        if fill is None:
            low, high = self.value_range
            fill, zeros = self.scratch("noise", x.shape), self.scratch("zeros", x.shape)
            self.k.rescale(x, 0.0, 0.0, out=zeros, low=0, high=0)
            self.k.gaussian_noise(zeros, high, self.key("noise"), self.step, out=fill)
            self.k.rescale(fill, 1.0, 0.0, out=fill, low=low, high=high)
        self.k.erase(x, boxes, fill, out=y)
        self.step += 1
        self.save(boxes)
        return y

    def backward(self, dy):
        if (boxes := self.saved()) is None:
            return dy
        dx = self.inplace("dx", dy)
        self.k.erase(dy, boxes, 0.0, out=dx)
        return dx
