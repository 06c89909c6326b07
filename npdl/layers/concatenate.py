"""Concatenate: several inputs side by side."""

import numbers

from npdl.layers import masks
from npdl.layers.base import Layer
from npdl.layers.merging import check_several


class Concatenate(Layer):
    """Several inputs side by side, along one axis.

        forward     y = [x₁, x₂, ...]
        backward    dxᵢ = the part of dy where xᵢ lies

    Shapes: each x (N, ...), alike but for the axis · y (N, ...), there as long as all of them; x is a list or tuple of
    arrays, dx a tuple.
    Saves: the places of each x.

    Args:
        axis: counted with the batch as 0, or from the end.

    Raises:
        ValueError: fewer than two inputs, shapes that differ elsewhere, no such axis, the batch.

    >>> Concatenate().init(input_shape=((5, 4), (5, 2))).output_shape
    (5, 6)
    """

    def __init__(self, axis=-1, **base):
        super().__init__(**base)
        if not isinstance(axis, numbers.Integral) or isinstance(axis, bool) or axis == 0:
            raise ValueError(
                f"Concatenate: axis must be a whole number other than 0, which counts samples, got {axis!r}; "
                "pass e.g. axis=-1"
            )
        self.axis = int(axis)

    def build(self, input_shape):
        several = isinstance(input_shape, (tuple, list)) and len(input_shape) > 1
        if not several or not all(isinstance(shape, (tuple, list)) for shape in input_shape):
            raise ValueError(
                f"{self.name}: Concatenate needs the shapes of two or more inputs, got input_shape={input_shape}; "
                "pass a list, e.g. layers.Concatenate()([a, b])"
            )
        shapes = [tuple(shape) for shape in input_shape]
        axes = len(shapes[0]) + 1
        at = self.axis if self.axis > 0 else self.axis + axes
        if not 0 < at < axes:
            raise ValueError(
                f"{self.name}: samples of shape {shapes[0]} have the axes 1 to {axes - 1}, counted with the batch as "
                f"0, got axis={self.axis}; pass one of them, or from -1 to {1 - axes}"
            )
        rest = [(*shape[: at - 1], *shape[at:]) for shape in shapes]
        if any(one != rest[0] or len(shape) != axes - 1 for one, shape in zip(rest, shapes)):
            came = ", ".join(map(str, shapes))
            raise ValueError(
                f"{self.name}: Concatenate takes inputs that are alike but for axis {at}, got samples of shapes "
                f"{came}; bring the other axes to one length, or pass another axis"
            )
        self.at, sizes = at, [shape[at - 1] for shape in shapes]
        return (*shapes[0][: at - 1], None if None in sizes else sum(sizes), *shapes[0][at:])

    def flops(self):
        return 0

    def check(self, x, expected=None):
        check_several(self, x)

    def compute_mask(self, x, mask=None):
        """Along an axis of the masks they lie side by side, too; else a place counts where it counts in all inputs."""
        given = [one for one in mask or () if one is not None]
        if not given or self.at >= len(given[0].shape):
            return masks.of_all(self, mask)
        out, start = None, 0
        for i, (one, m) in enumerate(zip(x, mask)):
            if m is None:  # all of it counts
                m = self.buffer(f"mask{i}", one.shape[: len(given[0].shape)], "bool")
                self.k.masking(one.reshape(*m.shape, -1), float("nan"), out=m)  # no number equals it
            if out is None:
                total = sum(one.shape[self.at] for one in x)
                out = self.buffer("mask", (*m.shape[: self.at], total, *m.shape[self.at + 1 :]), "bool")
            self.k.put_part(m, self.at, start, out=out)
            start += m.shape[self.at]
        return out

    def forward(self, x, training=False):
        at, sizes = self.at, [one.shape[self.at] for one in x]
        y = self.buffer("y", (*x[0].shape[:at], sum(sizes), *x[0].shape[at + 1 :]))
        start = 0
        for one, size in zip(x, sizes):
            self.k.put_part(one, at, start, out=y)
            start += size
        if training:
            self.save(tuple(one.shape for one in x))
        else:
            self.forget()
        return y

    def backward(self, dy):
        shapes, start, dx = self.saved(), 0, []
        for i, shape in enumerate(shapes):
            dx.append(self.buffer(f"dx{i}", shape))
            self.k.take_part(dy, self.at, start, out=dx[i])
            start += shape[self.at]
        return tuple(dx)
