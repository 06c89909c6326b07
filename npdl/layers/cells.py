"""Cell: one step of a recurrence as a layer."""

from npdl.layers.base import Layer
from npdl.layers.steps import copy_of


class Cell(Layer):
    """One step of a recurrence: (x, states) -> (y, new states), with y the first new state.

    Shapes: x (N, D) · states and y (N, U). x and y are tuples, (x, *states) and (y, *states); so are dy and dx.

    A subclass is a `Recurrence`, whose steps it runs, one at a time; `RNN(cell)` runs it through sequences.
    """

    def build(self, input_shape):
        sample, *given = input_shape if isinstance(input_shape[0], tuple) else (input_shape,)
        sizes = [(size,) for size in self.state_sizes()]
        if len(sample) != 1 or not sample[0] or (given and given != sizes):
            raise ValueError(
                f"{self.name}: {type(self).__name__} reads one step (features,) and states of shapes {sizes}, got "
                f"{input_shape}; use RNN({type(self).__name__}({self.units})) for sequences"
            )
        self.build_step(sample[0])
        return (sizes[0], *sizes)

    def check(self, x, expected=None):
        inputs = x if isinstance(x, tuple) else (x,)
        shapes = self.input_shape if isinstance(self.input_shape[0], tuple) else (self.input_shape,)
        for one, shape in zip(inputs, (*shapes, *((size,) for size in self.state_sizes()))):
            super().check(one, shape)

    @property
    def state_size(self):
        """Of each state, as Keras calls it."""
        sizes = self.state_sizes()
        return sizes[0] if len(sizes) == 1 else sizes

    def forward(self, x, training=False):
        x, *states = x if isinstance(x, tuple) else (x,)
        step = self.draws(training)
        keep = self.recurrent_mask(step, len(x))
        xs = self.drop(x, step, "x dropped").reshape(1, *x.shape)
        outputs, last, kept = self.run(xs, states or [None] * self.states, None, keep, training)
        if training:
            self.save(xs, step, keep, kept)
        else:
            self.forget()
        return (outputs.reshape(*outputs.shape[1:]), *last)

    def backward(self, dy):
        xs, step, keep, kept = self.saved()
        dy, *dlast = dy if isinstance(dy, tuple) else (dy,)
        sizes = self.state_sizes()
        dstates = [
            copy_of(self, f"dstate {i}", value, (xs.shape[1], size))
            for i, (value, size) in enumerate(zip(dlast or [None] * len(sizes), sizes))
        ]
        if dy is not None:
            self.k.add(dstates[0], dy, out=dstates[0])
        dxs = self.run_grad(xs, None, keep, kept, None, dstates)
        dx = None if dxs is None else self.drop(dxs.reshape(*dxs.shape[1:]), step, "dx dropped")
        return (dx, *dstates)
