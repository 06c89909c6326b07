"""Input: says the shape of a sample."""

from npdl.layers.base import Layer


class Input(Layer):
    """The shape of one sample, put first in a model so that its weights are made at once.

        forward     y = x
        backward    dx = dy

    Shapes: x, y (N, *shape).
    Saves: nothing.

    Args:
        shape: one sample's shape, without the batch axis; None stands for an axis of any length.

    Raises:
        ValueError: shape is no tuple, or the model gets samples of another shape.

    >>> Input((28, 28, 1)).init(input_shape=(28, 28, 1)).output_shape
    (28, 28, 1)
    """

    def __init__(self, shape, **base):
        if not isinstance(shape, (tuple, list)):
            raise ValueError(
                f"Input takes one sample's shape as a tuple, got shape={shape!r}; pass e.g. Input(({shape},))"
            )
        self.shape = tuple(shape)
        super().__init__(input_shape=self.shape, **base)

    def build(self, input_shape):
        if input_shape != self.shape:
            raise ValueError(
                f"{self.name}: Input says samples of shape {self.shape}, got {input_shape}; make them the same"
            )
        return input_shape

    def flops(self):
        return 0

    def forward(self, x, training=False):
        if training:
            self.save()
        else:
            self.forget()
        return x

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        return dy
