"""What layers that normalize share: a sample's axes brought to the end, rows of them, and the weights along a row."""

import math
import numbers

from npdl import initializers
from npdl.layers.base import Layer


def check_epsilon(layer, epsilon):
    """epsilon, as it came.

    Raises:
        ValueError: it is no number of at least 0.
    """
    if not isinstance(epsilon, numbers.Real) or not 0 <= epsilon < math.inf:
        kind = type(layer).__name__
        raise ValueError(f"{kind} needs epsilon of at least 0, got {epsilon!r}; pass e.g. {kind}(epsilon=1e-3)")
    return epsilon


def order_with_last(rank, last):
    """An order of `rank` axes that ends with these; None where they are the last ones already.

    >>> order_with_last(4, (1,)), order_with_last(4, (2, 3))
    ((0, 2, 3, 1), None)
    """
    order = (*(a for a in range(rank) if a not in last), *last)
    return None if order == tuple(range(rank)) else order


def moved(layer, x, order, name):
    """x with its axes in that order, in the layer's buffer of that name; x itself where the order is None."""
    if order is None:
        return x
    out = layer.buffer(name, tuple(x.shape[a] for a in order))
    layer.k.permute(x, order, out=out)
    return out


def moved_back(layer, x, order, name):
    """The array of which x is `moved`."""
    return moved(layer, x, order and tuple(order.index(a) for a in range(len(order))), name)


def channel_axis(layer, input_shape):
    """The one axis of channels, `layer.axis`, as a number of 1 ... counted with the batch as 0.

    Raises:
        ValueError: samples have no such axis, or it has no fixed length.
    """
    rank, axis = len(input_shape) + 1, layer.axis
    place = axis + rank if isinstance(axis, numbers.Integral) and axis < 0 else axis
    if isinstance(axis, bool) or not isinstance(axis, numbers.Integral) or not 1 <= place < rank:
        few = f"1 ... {rank - 1}" if rank > 1 else "of which a single number has none: pass x.reshape(-1, 1)"
        raise ValueError(
            f"{layer.name}: {type(layer).__name__} with axis={axis!r} got samples of shape {tuple(input_shape)}; axes "
            f"are counted with the batch as 0: pass the one of the channels, {few}"
        )
    if not input_shape[place - 1]:
        raise ValueError(
            f"{layer.name}: {type(layer).__name__} needs a fixed number of channels along axis={axis}, got samples of "
            f"shape {tuple(input_shape)}; give this axis a length, e.g. by layers.Input((10, 8))"
        )
    return int(place)


class RowLayer(Layer):
    """A layer that works on rows: the numbers of a sample along its `axis`, one or several, for each place in the rest.

    A subclass calls `build_rows`, and then `rows`, `unrow` around a kernel that takes x as (R, D).

    Args:
        axis: whole number or several, counted with the batch as 0.

    Attributes:
        row_shape: lengths along the axes, in the order in which they were given; their product is D.
        order: how x's axes are moved so that those of a row come last; None where they do.
    """

    def __init__(self, axis=-1, **base):
        super().__init__(**base)
        several = list(axis) if isinstance(axis, (list, tuple)) else [axis]
        if not several or any(not isinstance(a, numbers.Integral) or isinstance(a, bool) for a in several):
            kind = type(self).__name__
            raise TypeError(
                f"{kind} needs axis to be a whole number or a list of them, got axis={axis!r}; "
                f"pass e.g. {kind}(axis=-1)"
            )
        self.axis = [int(a) for a in several] if isinstance(axis, (list, tuple)) else int(axis)

    def build_rows(self, input_shape):
        """Settle which axes of a sample make a row.

        Raises:
            ValueError: axes that a sample does not have, twice the same one, one of free length.
        """
        rank, where = len(input_shape) + 1, f"{self.name}: {type(self).__name__} with axis={self.axis}"
        given = [a + rank if a < 0 else a for a in (self.axis if isinstance(self.axis, list) else [self.axis])]
        if any(not 1 <= a < rank for a in given) or len(set(given)) < len(given):
            few = f"each of 1 ... {rank - 1} at most once" if rank > 1 else "of which a single number has none"
            raise ValueError(
                f"{where} got samples of shape {tuple(input_shape)}; axes are counted with the batch as 0: "
                f"pass some of the sample's own, {few}"
            )
        self.row_shape = tuple(input_shape[a - 1] for a in given)
        if None in self.row_shape or 0 in self.row_shape:
            raise ValueError(
                f"{where} needs fixed lengths along it, got samples of shape {tuple(input_shape)}; "
                "give these axes a length, e.g. by layers.Input((10, 8))"
            )
        self.order = order_with_last(rank, sorted(given))

    def add_affine(self):
        """Declare gamma and beta along a row, as `scale` and `center` ask."""
        if self.scale:
            self.add_weight(self.row_shape, self.gamma_initializer, name="gamma")
        if self.center:
            self.add_weight(self.row_shape, self.beta_initializer, name="beta")

    def keep_affine(self, epsilon, center, scale, beta_initializer, gamma_initializer):
        """Keep the arguments of an `__init__` that has gamma and beta."""
        self.epsilon, self.center, self.scale = check_epsilon(self, epsilon), center, scale
        self.beta_initializer, self.gamma_initializer = map(initializers.get, (beta_initializer, gamma_initializer))

    def along(self, arrays, name):
        """The weight or gradient of that name as (D,), None where there is none."""
        array = arrays.get(name)
        return None if array is None else array.reshape((array.size,))

    def rows(self, x, name):
        """x as (R, D): x itself, or a copy with the axes of a row last."""
        x, width = moved(self, x, self.order, name), math.prod(self.row_shape)
        return x.reshape((x.size // width, width))

    def unrow(self, rows, shape, name):
        """The array of that shape of which these are the rows."""
        if self.order is None:
            return rows.reshape(shape)
        return moved_back(self, rows.reshape(tuple(shape[a] for a in self.order)), self.order, name)
