"""Moving: what layers share that bring numbers to other places, or gather them from there."""

from npdl.layers.base import Layer


class Moving(Layer):
    """A layer whose gradient depends on the sizes alone.

        forward     y = moved(x)
        backward    dx = gathered(dy)

    Saves: nothing, but remembers that there was a forward.
    """

    def shape_of_y(self, shape):
        """One sample's shape of y, from that of x; an axis of any length is None."""
        raise NotImplementedError(f"{type(self).__name__} needs shape_of_y(self, shape)")

    def shape_of_x(self, shape):
        """One sample's shape of x, from that of y."""
        raise NotImplementedError(f"{type(self).__name__} needs shape_of_x(self, shape)")

    def move(self, x, y):
        """Write y."""
        raise NotImplementedError(f"{type(self).__name__} needs move(self, x, y)")

    def gather(self, dy, dx):
        """Write dx: the transpose of `move`."""
        raise NotImplementedError(f"{type(self).__name__} needs gather(self, dy, dx)")

    def flops(self):
        return 0

    def forward(self, x, training=False):
        y = self.buffer("y", (len(x), *self.shape_of_y(x.shape[1:])))
        self.move(x, y)
        if training:
            self.save()
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        dx = self.buffer("dx", (len(dy), *self.shape_of_x(dy.shape[1:])))
        self.gather(dy, dx)
        return dx
