"""RepeatVector: each sample several times, one after the other."""

from npdl.layers import arguments
from npdl.layers.moving import Moving


class RepeatVector(Moving):
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
        return self.shape_of_y(input_shape)

    def shape_of_y(self, shape):
        return (self.n, *shape)

    def shape_of_x(self, shape):
        return shape[1:]

    def move(self, x, y):
        self.k.repeat(x.reshape(len(x), 1, x.shape[1]), (self.n,), out=y)

    def gather(self, dy, dx):
        self.k.repeat_grad(dy, (self.n,), out=dx.reshape(len(dx), 1, dx.shape[1]))  # dx = Σ_t dy[:, t]
