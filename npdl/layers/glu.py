"""GLU and Maxout: several inputs make one output."""

import math
import numbers

from npdl.layers import arguments
from npdl.layers.base import Layer


def _place(layer, input_shape):
    """The layer's axis as a number of 1 ... counted with the batch as 0.

    Raises:
        ValueError: samples have no such axis, or it has no fixed length.
    """
    axes, axis = len(input_shape) + 1, layer.axis
    whole = isinstance(axis, numbers.Integral) and not isinstance(axis, bool)
    if not whole or not -axes < axis < axes or axis == 0 or input_shape[axis % axes - 1] is None:
        raise ValueError(
            f"{layer.name}: {type(layer).__name__} needs an axis of the samples of fixed length, counted with the "
            f"batch as 0, got axis={axis!r} for samples of shape {tuple(input_shape)}; pass e.g. axis=-1"
        )
    return axis % axes


class GLU(Layer):
    """Gated linear unit: one half of the numbers, each multiplied by the sigmoid of its place in the other half.

        forward     y = a σ(b)          x = (a, b), cut in two along the axis
        backward    da = dy σ(b)        db = dy a σ(b) σ(−b)

    Shapes: x (N, ..., 2 C) · y (N, ..., C), or with these lengths along `axis`.
    Saves: x.

    Args:
        axis: of even length, counted with the batch as 0.

    Raises:
        ValueError: an axis that samples do not have, or of odd or free length.

    Reference: Dauphin, Fan, Auli and Grangier, Language Modeling with Gated Convolutional Networks, 2016.

    >>> GLU().init(input_shape=(10, 8)).output_shape
    (10, 4)
    """

    def __init__(self, axis=-1, **base):
        super().__init__(**base)
        self.axis = axis

    def build(self, input_shape):
        self.cut_axis = _place(self, input_shape)
        if input_shape[self.cut_axis - 1] % 2:
            raise ValueError(
                f"{self.name}: GLU cuts axis {self.axis} in two halves, got samples of shape {tuple(input_shape)}; "
                "make its length even, e.g. by units=2 * n in the layer before"
            )
        shape = list(input_shape)
        shape[self.cut_axis - 1] //= 2
        return tuple(shape)

    def forward(self, x, training=False):
        shape = list(x.shape)
        shape[self.cut_axis] //= 2
        y = self.buffer("y", tuple(shape))
        self.k.glu(x, self.cut_axis, out=y)  # y = a σ(b)
        if training:
            self.save(x)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x = self.saved()
        dx = self.buffer("dx", x.shape)
        self.k.glu_grad(dy, x, self.cut_axis, out=dx)  # dx = (dy σ(b), dy a σ(b) σ(−b))
        return dx


class Maxout(Layer):
    """The largest of each group of numbers.

        forward     y[u] = max over j of x[j U + u]         j = 0 ... C / U − 1
        backward    dx[j U + u] = dy[u] where j won, else 0

    The first maximum wins a tie. U = `num_units`; after a Dense(k U) it is a unit that learns its own activation, the
    maximum of k straight lines. Keras has no such layer; names and the order of groups are TensorFlow Addons'.

    Shapes: x (N, ..., C) · y (N, ..., U), or with these lengths along `axis`.
    Saves: the winners.

    Args:
        num_units: U, divides C.
        axis: of the numbers, counted with the batch as 0.

    Raises:
        ValueError: an axis that samples do not have, or whose length U does not divide.

    Reference: Goodfellow and others, Maxout Networks, 2013.

    >>> Maxout(4).init(input_shape=(12,)).output_shape
    (4,)
    """

    def __init__(self, num_units, axis=-1, **base):
        super().__init__(**base)
        self.num_units = arguments.whole(self, "num_units", num_units, "Maxout(64)")
        self.axis = axis

    def build(self, input_shape):
        self.cut_axis = _place(self, input_shape)
        size = input_shape[self.cut_axis - 1]
        if size % self.num_units:
            raise ValueError(
                f"{self.name}: Maxout({self.num_units}) needs a length along axis {self.axis} that it divides, got "
                f"samples of shape {tuple(input_shape)}; pass e.g. units={self.num_units} * k to the layer before"
            )
        shape = list(input_shape)
        shape[self.cut_axis - 1] = self.num_units
        return tuple(shape)

    def _grouped(self, shape):
        """x's shape as one of images: groups are pixels."""
        outer, inner = math.prod(shape[: self.cut_axis]), math.prod(shape[self.cut_axis + 1 :])
        return outer, shape[self.cut_axis] // self.num_units, 1, self.num_units * inner

    def forward(self, x, training=False):
        groups = self._grouped(x.shape)
        y = self.buffer("y", (groups[0], groups[3]))
        winners = self.buffer("winners", y.shape, "int32") if training else None
        self.k.global_max_pool2d(x.reshape(groups), out=y, winners=winners)
        if training:
            self.save(winners, x.shape)
        else:
            self.forget()
        return y.reshape((*x.shape[: self.cut_axis], self.num_units, *x.shape[self.cut_axis + 1 :]))

    def backward(self, dy):
        winners, shape = self.saved()
        dx = self.buffer("dx", self._grouped(shape))
        self.k.global_max_pool2d_grad(dy.reshape(winners.shape), winners, out=dx)
        return dx.reshape(shape)
