"""Identity: the input, unchanged."""

from npdl.layers.base import Layer


class Identity(Layer):
    """The input as it is: a place to keep, or to exchange for another layer.

        forward     y = x
        backward    dx = dy

    Shapes: x, y (N, ...). y is x itself, dx is dy itself.
    Saves: nothing.

    >>> Identity().init(input_shape=(28, 28, 1)).output_shape
    (28, 28, 1)
    """

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
