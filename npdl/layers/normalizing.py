"""What the layers that normalize rows of a sample share: which axes make a row, and the weights along it."""

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
        rest = [a for a in range(rank) if a not in given]
        order = (*rest, *sorted(given))
        self.order = None if order == tuple(range(rank)) else order

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
        if self.order is not None:
            moved = self.buffer(name, tuple(x.shape[a] for a in self.order))
            self.k.permute(x, self.order, out=moved)
            x = moved
        width = math.prod(self.row_shape)
        return x.reshape((x.size // width, width))

    def unrow(self, rows, shape, name):
        """The array of that shape of which these are the rows."""
        if self.order is None:
            return rows.reshape(shape)
        x = self.buffer(name, shape)
        back = tuple(self.order.index(a) for a in range(len(shape)))
        self.k.permute(rows.reshape(tuple(shape[a] for a in self.order)), back, out=x)
        return x
