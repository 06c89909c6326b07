"""RandomFlip and RandomCrop."""

import numpy as np

from npdl.kernels.taps import image_taps
from npdl.layers import arguments
from npdl.layers.augmenting import Augmentation, Moved, affine_maps


class RandomFlip(Moved):
    """Each image of a training batch mirrored or not, by the toss of a coin; in inference y = x.

        forward     y[n, i, j] = x[n, i', j']       j' = W − 1 − j where flipped, i' = H − 1 − i where upside down
        backward    dx[n, i', j'] = dy[n, i, j]

    A coin is tossed for each axis (Keras tosses one for both).

    Shapes: x, y (N, H, W, C). H and W may be of any length.
    Saves: what was done to each image.

    Args:
        mode: "horizontal", "vertical" or "horizontal_and_vertical".
        seed: of the coins; None makes it from the model's seed and the layer's place.
        data_format: None or "channels_last".

    Raises:
        ValueError: another mode, samples that are no images.

    >>> RandomFlip("horizontal").init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(self, mode="horizontal_and_vertical", seed=None, data_format=None, **base):
        super().__init__("nearest", "nearest", seed, 0.0, data_format, **base)
        self.mode = arguments.one_of(self, "mode", mode, ("horizontal", "vertical", "horizontal_and_vertical"))

    def maps(self, shape):
        n, h, w, _ = shape
        across, down = self.draw(n, (0, 1), (0, 1))
        across = np.where((across < 0.5) & (self.mode != "vertical"), -1, 1)
        down = np.where((down < 0.5) & (self.mode != "horizontal"), -1, 1)
        return affine_maps(n, (across, 0, (1 - across) // 2 * (w - 1)), (0, down, (1 - down) // 2 * (h - 1)))


class RandomCrop(Augmentation):
    """A part of each image of a training batch, at a place of its own.

        training    y[n, i, j, c] = x[n, i + top, j + left, c]      dx = dy, and zeros around it
        inference   the largest part in the middle of x that has the proportions of y, resized; and in training, too,
                    where H < height or W < width

    (Keras crops all images of a batch at one place.)

    Shapes: x (N, H, W, C) · y (N, height, width, C). H and W may be of any length.
    Saves: the places, or the weights of the resizing.

    Args:
        height, width: of y.
        seed: of the places; None makes it from the model's seed and the layer's place.
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no images.

    >>> RandomCrop(24, 24).init(input_shape=(32, 32, 3)).output_shape
    (24, 24, 3)
    """

    def __init__(self, height, width, seed=None, data_format=None, **base):
        super().__init__(seed, data_format, **base)
        self.height = arguments.whole(self, "height", height, "RandomCrop(24, 24)")
        self.width = arguments.whole(self, "width", width, "RandomCrop(24, 24)")

    def build(self, input_shape):
        super().build(input_shape)
        return (self.height, self.width, input_shape[-1])

    def maps(self, shape):
        """(N, 6): as of `Moved`."""
        n, h, w, _ = shape
        top, left = (np.floor(u) for u in self.draw(n, (0, h - self.height + 1), (0, w - self.width + 1)))
        return affine_maps(n, (1, 0, left), (0, 1, top))

    def forward(self, x, training=False):
        n, h, w, channels = x.shape
        y = self.buffer("y", (n, self.height, self.width, channels))
        if self.varies(training) and h >= self.height and w >= self.width:
            maps = self.made(self.maps, x.shape)
            self.k.affine_sample(x, maps, out=y, interpolation="nearest")
            self.step += 1
            self.save(x.shape, maps)
            return y
        weights = image_taps((h, w), (self.height, self.width), "bilinear", aspect="crop")
        self.k.interpolate(x, *weights, out=y)
        if training:
            self.step += 1
            self.save(x.shape, weights)
        else:
            self.forget()
        return y

    def backward(self, dy):
        shape, how = self.saved()
        dx = self.buffer("dx", shape)
        if isinstance(how, tuple):
            self.k.interpolate_grad(dy, *how, out=dx)
        else:
            self.k.affine_sample_grad(dy, how, out=dx, interpolation="nearest")
        return dx
