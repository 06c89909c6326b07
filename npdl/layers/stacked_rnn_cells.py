"""StackedRNNCells: cells one above the other, as one cell."""

from npdl.layers.container import Container
from npdl.layers.wrapper import Wrapper


class StackedRNNCells(Wrapper):
    """Cells one above the other, as one cell: the output of each is the input of the next.

        forward     y₁, s₁' = f₁(x, s₁)     y₂, s₂' = f₂(y₁, s₂)    ...     y is the last one's
        backward    dyₙ₋₁, dsₙ = ∂fₙᵀ (dyₙ, dsₙ')       ...     dx, ds₁

    Shapes: (x, *states) -> (y, *states'), the states of the first cell first.
    Saves: nothing; the cells save their own.

    Args:
        cells: list of cells.

    >>> from npdl.layers import LSTMCell
    >>> StackedRNNCells([LSTMCell(3), LSTMCell(5)]).init(input_shape=((4,), (3,), (3,), (5,), (5,))).output_shape[0]
    (5,)
    """

    wrapped = ("cells",)

    def __init__(self, cells, **base):
        super().__init__({"cells": cells}, **base)
        self.counts = [len(sizes(cell)) for cell in self.cells]

    @property
    def state_size(self):
        """Of each state."""
        return [size for cell in self.cells for size in sizes(cell)]

    def build(self, input_shape):
        shape, *states = input_shape
        for cell, count in zip(self.cells, self.counts):
            (shape, *_), states = cell.build_once((shape, *states[:count])), states[count:]
        return (shape, *((size,) for size in self.state_size))

    def flops(self):
        return sum(cell.flops() for cell in self.cells)

    def forward(self, x, training=False):
        y, *states = x
        after = []
        for cell, count in zip(self.cells, self.counts):
            y, *new = cell.forward((y, *states[:count]), training)
            after, states = after + new, states[count:]
        if training:
            self.save()
        else:
            self.forget()
        return (y, *after)

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        d, *dstates = dy
        before = []
        for cell, count in zip(reversed(self.cells), reversed(self.counts)):
            cell.needs_dx = True
            split = len(dstates) - count
            d, *new = cell.backward((d, *dstates[split:]))
            before, dstates = new + before, dstates[:split]
        return (d, *before)


def sizes(cell):
    """The sizes of a cell's states, a list."""
    if isinstance(cell, Container):
        return list(cell.state_size)
    if not hasattr(cell, "state_size"):
        raise TypeError(
            f"a recurrence runs cells, layers (x, *states) -> (y, *states) with an attribute state_size, got {cell!r}; "
            "pass e.g. layers.LSTMCell(64)"
        )
    return list(cell.state_size) if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
