"""Permute: the axes of a sample in another order."""

import numbers

from npdl.layers.moving import Moving


class Permute(Moving):
    """The axes of each sample in another order.

        forward     y[n, i...] = x[n, j...]     axis k of y is axis dims[k − 1] of x, the samples' axis stays the first
        backward    dx = dy with its axes in the order of x again

    Shapes: x (N, ...) · y (N, ...), the same sizes in another order.
    Saves: nothing; the gradient depends on dims alone.

    Args:
        dims: the axes of x in the order of y, counted from 1: (2, 1) exchanges the two axes of a matrix.

    Raises:
        ValueError: dims that are not 1, 2, ... in some order, samples of another number of axes.

    >>> Permute((2, 1)).init(input_shape=(10, 64)).output_shape
    (64, 10)
    """

    def __init__(self, dims, **base):
        super().__init__(**base)
        given = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
        whole = all(isinstance(n, numbers.Integral) and not isinstance(n, bool) for n in given)
        if not whole or sorted(given) != list(range(1, len(given) + 1)) or not given:
            raise ValueError(
                f"Permute needs dims to be the numbers 1, 2, ... of a sample's axes in their new order, "
                f"got dims={dims!r}; pass e.g. Permute((2, 1))"
            )
        self.dims = tuple(map(int, given))

    def build(self, input_shape):
        if len(input_shape) != len(self.dims):
            raise ValueError(
                f"{self.name}: dims={self.dims} orders {len(self.dims)} axes, got samples of shape {input_shape} with "
                f"{len(input_shape)}; the axis of the samples is not counted"
            )
        self.axes = (0, *self.dims)
        self.back = tuple(self.axes.index(axis) for axis in range(len(self.axes)))
        return self.shape_of_y(input_shape)

    def compute_mask(self, x, mask=None):
        """The mask of x where its axes stay where they are, else None."""
        axes = range(0 if mask is None else len(mask.shape))
        return mask if all(self.axes[axis] == axis for axis in axes) else None

    def shape_of_y(self, shape):
        return tuple(shape[axis - 1] for axis in self.dims)

    def shape_of_x(self, shape):
        return tuple(shape[axis - 1] for axis in self.back[1:])

    def move(self, x, y):
        self.k.permute(x, self.axes, out=y)

    def gather(self, dy, dx):
        self.k.permute(dy, self.back, out=dx)
