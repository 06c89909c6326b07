"""TimeDistributed: one layer at every step of a sequence."""

from npdl.layers import masks
from npdl.layers.wrapper import Wrapper, single


class TimeDistributed(Wrapper):
    """One layer at every step, with the same weights: to it, the steps of all samples are so many samples.

        forward     y[n, t] = f(x[n, t])
        backward    dx[n, t] = ∂fᵀ dy[n, t];    the gradients of f's weights are sums over samples and steps

    Shapes: x (N, T, ...) · y (N, T, ...).
    Saves: nothing; the layer saves its own.

    Args:
        layer: f.

    Raises:
        ValueError: samples without an axis of steps.

    >>> from npdl.layers import Conv2D
    >>> TimeDistributed(Conv2D(8, 3)).init(input_shape=(10, 28, 28, 1), seed=0).output_shape
    (10, 26, 26, 8)
    """

    def __init__(self, layer, **base):
        super().__init__({"layer": [single("TimeDistributed", "layer", layer)]}, **base)

    def build(self, input_shape):
        if len(input_shape) < 2:
            raise ValueError(
                f"{self.name}: TimeDistributed reads sequences (steps, ...), got samples of shape {input_shape}; "
                "use the layer itself, or pass x[..., None] if each step is one number"
            )
        return (input_shape[0], *self.layer[0].build_once(tuple(input_shape[1:])))

    def flops(self):
        return (self.input_shape[0] or 1) * self.layer[0].flops()

    def check(self, x, expected=None):
        super().check(x, expected)
        self.layer[0].check(folded(x))

    def forward(self, x, training=False, mask=None):
        return self.carry(x, training, mask)[0]

    def carry(self, x, training=False, mask=None):
        """(y, its mask): that which the layer makes of the steps' own masks, else the steps' mask."""
        samples, steps = x.shape[:2]
        inner = folded(mask) if mask is not None and len(mask.shape) > 2 else None
        y, inner = masks.forward(self.layer[0], folded(x), training, inner)
        if training:
            self.save(samples)
        else:
            self.forget()
        y = y.reshape(samples, steps, *y.shape[1:])
        if inner is not None:
            return y, inner.reshape(samples, steps, *inner.shape[1:])
        return y, mask if mask is not None and len(mask.shape) <= 2 else None

    def backward(self, dy):
        samples, layer = self.saved(), self.layer[0]
        layer.needs_dx = self.needs_dx
        dx = layer.backward(folded(dy))
        return None if dx is None else dx.reshape(samples, dy.shape[1], *dx.shape[1:])


def folded(x):
    """(N, T, ...) as (N T, ...)."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
