"""PReLU: a ReLU that learns its slope below zero."""

import numbers

from npdl import initializers
from npdl.layers.base import Layer


class PReLU(Layer):
    """Parametric ReLU: below zero x is multiplied by a learnt number.

        forward     y = x where x > 0, else α x
        backward    dx = dy where x > 0, else α dy
                    dα = Σ dy x over samples and shared axes, where x ≤ 0

    Shapes: x, y (N, ...) · alpha α: a sample's shape, with 1 along the shared axes.
    Saves: x.

    Args:
        alpha_initializer: name or `npdl.initializers` object.
        alpha_regularizer: name or `npdl.regularizers` object.
        alpha_constraint: name or `npdl.constraints` object.
        shared_axes: axis or list of axes along which α is one number, counted with the batch as 0: [1, 2] for one α a
            channel of images. An axis of free length must be shared.

    Raises:
        ValueError: an axis that samples do not have, or one of free length that is not shared.

    Reference: He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015.

    >>> PReLU(shared_axes=[1, 2]).init(input_shape=(8, 8, 3)).params["alpha"].shape
    (1, 1, 3)
    """

    ruled = ("alpha",)

    def __init__(self, alpha_initializer="zeros", shared_axes=None, **base):
        super().__init__(**base)
        self.alpha_initializer = initializers.get(alpha_initializer)
        several = shared_axes if isinstance(shared_axes, (list, tuple)) else [shared_axes]
        self.shared_axes = None if shared_axes is None else list(several)

    def build(self, input_shape):
        shape, axes = list(input_shape), len(input_shape) + 1
        for axis in self.shared_axes or ():
            if (
                not isinstance(axis, numbers.Integral)
                or isinstance(axis, bool)
                or axis % axes == 0
                or abs(axis) >= axes
            ):
                raise ValueError(
                    f"{self.name}: samples of shape {tuple(input_shape)} have no axis {axis!r} to share; axes are "
                    f"counted with the batch as 0: pass some of 1 ... {axes - 1}"
                )
            shape[axis % axes - 1] = 1
        if None in shape:
            raise ValueError(
                f"{self.name}: samples of shape {tuple(input_shape)} have an axis of free length, along which there "
                f"can be no slopes; share it: shared_axes=[{shape.index(None) + 1}]"
            )
        self.add_weight(shape, self.alpha_initializer, name="alpha")
        return input_shape

    def _slopes(self, x):
        """α for every number of a sample."""
        alpha = self.params["alpha"]
        times = tuple(size // own for size, own in zip(x.shape[1:], alpha.shape))
        if alpha.shape == x.shape[1:] or not x.size:
            return alpha.reshape(x.shape[1:]) if x.size else self.scratch("alpha", x.shape[1:])
        whole = self.scratch("alpha", (1, *x.shape[1:]))
        self.k.repeat(alpha.reshape((1, *alpha.shape)), times, out=whole)
        return whole.reshape(x.shape[1:])

    def forward(self, x, training=False):
        y = self.buffer("y", x.shape)
        self.k.prelu(x, self._slopes(x), out=y)  # y = x or α x
        if training:
            self.save(x)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x = self.saved()
        dx = self.inplace("dx", dy) if self.needs_dx else None
        dalpha = self.scratch("dalpha", x.shape)
        self.k.prelu_grad(dy, x, self._slopes(x), dx=dx, dalpha=dalpha)
        self.k.sum_to(dalpha, out=self.grads["alpha"])  # dα = Σ dy x
        return dx
