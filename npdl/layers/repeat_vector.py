"""RepeatVector: each sample several times, one after the other."""

from npdl.layers import arguments
from npdl.layers.base import Layer


class RepeatVector(Layer):
    """Each sample n times, as the steps of a sequence.

        forward     y[i, t, d] = x[i, d]        t = 0 ... n − 1
        backward    dx[i, d] = Σ_t dy[i, t, d]

    Shapes: x (N, D) · y (N, n, D).
    Saves: nothing; the gradient depends on n alone.

    Args:
        n: number of steps.

    Raises:
        ValueError: n below 1, samples that are no vectors.

    >>> RepeatVector(3).init(input_shape=(32,)).output_shape
    (3, 32)
    """

    def __init__(self, n, **base):
        super().__init__(**base)
        self.n = arguments.whole(self, "n", n, "RepeatVector(3)")

    def build(self, input_shape):
        if len(input_shape) != 1:
            raise ValueError(
                f"{self.name}: RepeatVector reads vectors (D,), got samples of shape {input_shape}; "
                "put layers.Flatten() before it"
            )
        return (self.n, *input_shape)

    def flops(self):
        return 0

    def forward(self, x, training=False):
        count, width = x.shape
        y = self.buffer("y", (count, self.n, width))
        self.k.repeat(x.reshape(count, 1, width), (self.n,), out=y)
        if training:
            self.save()
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        count, _, width = dy.shape
        dx = self.buffer("dx", (count, width))
        self.k.repeat_grad(dy, (self.n,), out=dx.reshape(count, 1, width))  # dx = Σ_t dy[:, t]
        return dx
