"""ActivityRegularization: a penalty on what comes through."""

from npdl import regularizers
from npdl.layers.base import Layer


class ActivityRegularization(Layer):
    """The input as it is, with a penalty on it in the loss.

        forward     y = x           r = (λ₁ Σ |x| + λ₂ Σ x²) / N        N samples
        backward    dx = dy + (λ₁ sign(x) + 2 λ₂ x) / N

    r is in the loss that `fit` and `evaluate` show, and in what `add_penalties` returns. It pushes outputs of the layer
    before it towards 0.

    Shapes: x, y (N, ...). y is x itself.
    Saves: x.

    Args:
        l1, l2: λ₁ and λ₂.

    Raises:
        ValueError: one of them is negative.

    >>> ActivityRegularization(l2=0.01).init(input_shape=(4,)).output_shape
    (4,)
    """

    def __init__(self, l1=0.0, l2=0.0, **base):
        super().__init__(**base)
        self.l1, self.l2 = l1, l2
        self.activity_regularizer = regularizers.L1L2(l1, l2)

    def flops(self):
        return 0

    def forward(self, x, training=False):
        self.penalize(x)
        if training:
            self.save(x)
        else:
            self.forget()
        return x

    def backward(self, dy):
        return self.with_penalty(dy, self.saved())
