"""RNN: any cell, run through sequences."""

from npdl.layers.sequences import Sequences
from npdl.layers.stacked_rnn_cells import StackedRNNCells, sizes
from npdl.layers.steps import copy_of
from npdl.layers.wrapper import Wrapper


class RNN(Sequences, Wrapper):
    """Runs a cell, a layer of one step, through sequences.

        forward     yₜ, sₜ₊₁ = f(xₜ, sₜ)                for t = 0, 1, ...
        backward    dxₜ, dsₜ = ∂fᵀ (dyₜ, dsₜ₊₁)         for t = T − 1, T − 2, ...; the gradients of f's weights add up

    `LSTM`, `GRU` and `SimpleRNN` do the same for theirs, all steps in one kernel, and are much faster; this is for
    cells of your own. A cell is a layer with an attribute `state_size`, a number or a list of them, and

        build(((D,), *shapes of the states)) -> ((Y,), *shapes of the states)
        forward((x, *states), training=False) -> (y, *states)           x (N, D), y (N, Y)
        backward((dy, *dstates)) -> (dx, *dstates)                      dy and each of dstates may be None: zero

    Shapes: x (N, T, D), or (x, *states) with the first states · y (N, Y), or (N, T, Y) with return_sequences; with
    return_state (y, *states).
    Saves: what the cell saves, for each step.

    Args:
        cell: a cell, or a list of cells, which are stacked.
        return_sequences ... zero_output_for_mask: as of `LSTM`.
        activity_regularizer: as of `LSTM`.

    >>> from npdl.layers import GRUCell
    >>> RNN(GRUCell(3), return_sequences=True).init(input_shape=(10, 4), seed=0).output_shape
    (10, 3)
    """

    wrapped = ("cell",)
    output_is_state = False
    ruled = ("activity",)

    def __init__(
        self, cell, return_sequences=False, return_state=False, go_backwards=False, stateful=False, unroll=False,
        zero_output_for_mask=False, **base,
    ):  # fmt: skip
        cells = list(cell) if isinstance(cell, (list, tuple)) else [cell]
        super().__init__({"cell": cells if len(cells) == 1 else [StackedRNNCells(cells)]}, **base)
        sizes(self.cell[0])
        self.keep_flags(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask)

    def state_sizes(self):
        """Of each state."""
        return sizes(self.cell[0])

    def output_size(self):
        """Of an output."""
        return self.cell[0].output_shape[0][0]

    def flops(self):
        shape = self.input_shape[0] if isinstance(self.input_shape[0], tuple) else self.input_shape
        return (shape[0] or 1) * self.cell[0].flops()

    def draws(self, training):
        """Nothing is dropped here: the cell does it."""

    def drop(self, x, step, name):
        """x as it is."""
        return x

    def recurrent_mask(self, step, samples):
        """None: of ones."""

    def build_step(self, width):
        """Build the cell for inputs of that width."""
        self.cell[0].build_once(((width,), *((size,) for size in self.state_sizes())))

    def run(self, x, states, mask, keep, training=False):
        """(outputs, last states, what the cell saved at each step) from x (T, N, D)."""
        cell, (steps, samples) = self.cell[0], x.shape[:2]
        parts, slots = list(cell.walk()), []
        before = [part.step for part in parts]
        states = [
            copy_of(self, f"state {i}", state, (samples, size))
            for i, (state, size) in enumerate(zip(states, self.state_sizes()))
        ]
        ys, y = self.buffer("outputs", (steps, samples, self.output_size())), None
        for t in range(steps):
            for part, step in zip(parts, before):
                part.step = step  # dropout has one mask for all steps
            new, *after = cell.forward((at(x, t), *states), training)
            if training:
                slots.append([part.saved() for part in parts])
            if mask is not None:
                new = self._chosen("output", at(mask, t), new, y)
                after = [self._chosen("state", at(mask, t), a, b) for a, b in zip(after, states)]
            states, y = after, at(ys, t)
            self.k.copy(new, out=y)
        return ys, states, slots

    def run_grad(self, x, mask, keep, kept, dy, dstates):
        """dx; dstates are those of the last states and become those of the first."""
        cell, parts = self.cell[0], list(self.cell[0].walk())
        grads = [grad for part in parts for grad in part.grads.values()]
        sums = [copy_of(self, f"sum {i}", None, grad.shape) for i, grad in enumerate(grads)]
        dx, ds, past = self.buffer("dx steps", x.shape), list(dstates), None
        cell.needs_dx = True
        for t in reversed(range(len(x))):
            for part, slot in zip(parts, kept[t]):
                part.save(slot)
            d, through = None if dy is None else at(dy, t), None
            if mask is not None:
                there = at(mask, t)
                d = self._sum("dy", d, past)
                past = None if d is None else self._chosen("past", there, None, d)
                d = None if d is None else self._chosen("d", there, d, None)
                through = [self._chosen("through", there, None, one) for one in ds]
                ds = [self._chosen("ds", there, one, None) for one in ds]
            step, *ds = cell.backward((d, *ds))
            ds = ds if through is None else [self._sum("ds", a, b) for a, b in zip(ds, through)]
            self.k.copy(step, out=at(dx, t))
            for total, grad in zip(sums, grads):
                self.k.add(total, grad, out=total)
        for total, grad in zip(sums, grads):
            self.k.copy(total, out=grad)
        for target, one in zip(dstates, ds):
            if one is not target:
                self.k.copy(one, out=target)
        return dx

    def _chosen(self, name, mask, a, b):
        """Rows of a where there is a step, else of b; None is 0."""
        out = self.buffer(name, (a if b is None else b).shape)
        self.k.choose(mask, a, b, out=out)
        return out

    def _sum(self, name, a, b):
        if a is None or b is None:
            return b if a is None else a
        out = self.buffer(name, a.shape)
        self.k.add(a, b, out=out)
        return out


def at(x, t):
    """Step t of an array of steps."""
    return x[t : t + 1].reshape(*x.shape[1:])
