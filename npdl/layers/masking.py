"""Masking: steps of one value are padding."""

from npdl.layers.base import Layer


class Masking(Layer):
    """Marks the steps whose numbers are all `mask_value` as padding: later layers, loss and metrics leave them out.

        forward     m[n, t] = 1 where any x[n, t, d] ≠ v, else 0        y = x m
        backward    dx = dy m

    Shapes: x, y (N, T, ..., D) · mask m (N, T, ...), bool.
    Saves: m.

    Args:
        mask_value: v.

    Raises:
        ValueError: samples that are no sequences.

    >>> import numpy as np
    >>> Masking().init(input_shape=(3, 2)).compute_mask(np.array([[[1, 2], [0, 0], [0, 3]]], "float32")).tolist()
    [[True, False, True]]
    """

    makes_mask = True

    def __init__(self, mask_value=0.0, **base):
        super().__init__(**base)
        self.mask_value = mask_value

    def build(self, input_shape):
        if len(input_shape) < 2:
            raise ValueError(
                f"{self.name}: Masking reads sequences (steps, features), got samples of shape {input_shape}; "
                "pass x[..., None] if each step is one number"
            )
        return input_shape

    def forward(self, x, training=False, mask=None):
        return self.carry(x, training, mask)[0]

    def carry(self, x, training=False, mask=None):
        """(y, m); a mask that came before is replaced, as in Keras."""
        m = self.compute_mask(x)
        y = self.buffer("y", x.shape)
        self.k.mask_rows(x, m, out=y)  # y = x m
        if training:
            self.save(m)
        else:
            self.forget()
        return y, m

    def compute_mask(self, x, mask=None):
        """m"""
        m = self.buffer("mask", x.shape[:-1], "bool")
        self.k.masking(x, self.mask_value, out=m)
        return m

    def backward(self, dy):
        m = self.saved()
        dx = self.inplace("dx", dy)
        self.k.mask_rows(dy, m, out=dx)  # dx = dy m
        return dx
