"""Pooled: what layers share that pool their output on the way."""

from npdl.layers.base import Layer


class Pooled(Layer):
    """A layer whose kernel can end in a max-pooling of images over windows of 2 x 2 (npdl/kernels/reference/pooled.py).

    Attributes:
        pool: the `MaxPooling2D` that follows, inside fit and predict alone, where a model puts it here; or None.
    """

    pool = None

    def behind(self, shape, training):
        """For an output of that shape: (y, winners, activation), what is made of it and what the pooling ends in;
        winners is None in inference.

        Raises:
            ValueError: the images are smaller than a window.
        """
        y = self.buffer("pooled", (shape[0], *self.pool.steps(shape[1:])[0], shape[-1]))
        return y, self.buffer("winners", y.shape, "uint8") if training else None, self.pool.activation
