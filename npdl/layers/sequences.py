"""Sequences: what all recurrent layers do around their steps: order of time, masks, states, what is returned."""

from npdl.layers.base import Layer
from npdl.layers.steps import copy_of, in_samples, in_steps, last, masked


class Sequences(Layer):
    """Runs a recurrence through sequences (N, T, D).

    A subclass has `run` and `run_grad` (see `Recurrence`), which give and take outputs of all steps (T, N, U), the last
    states and what backward needs; and `build_step`, `state_sizes`, `output_size`.

    At a step that the mask leaves out the states stay as they are, and the output is that of the step before it (0
    before the first one), or 0 with `zero_output_for_mask`. So padding, wherever it lies, changes no bit of the others.
    """

    output_is_state = True  # whether the outputs are the first states
    in_order = False  # whether the outputs of go_backwards come in the order of x
    writes_y = False  # whether `run` takes y (N, T, U) and fills it: outputs that come as they are

    def keep_flags(self, return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask):
        """Keep the common arguments of `__init__` under their names."""
        self.return_sequences, self.return_state = bool(return_sequences), bool(return_state)
        self.go_backwards, self.stateful, self.unroll = bool(go_backwards), bool(stateful), bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self.carried = None  # a stateful layer's states after the last batch

    def reset_state(self):
        """Begin the next batch with states of 0 again (`stateful`)."""
        self.carried = None

    reset_states = reset_state

    # ---- shapes

    def build(self, input_shape):
        sample, *given = input_shape if isinstance(input_shape[0], tuple) else (input_shape,)
        if len(sample) != 2 or not sample[-1]:
            raise ValueError(
                f"{self.name}: {type(self).__name__} reads sequences (steps, features), got samples of shape {sample}; "
                "pass x[..., None] if each step is one number, or put a Reshape or an Embedding before it"
            )
        self.build_step(sample[-1])
        sizes = [(size,) for size in self.state_sizes()]
        if given and given != sizes:
            raise ValueError(
                f"{self.name}: expected first states of shapes {sizes}, got {given}; pass (x, *states), (N, units) each"
            )
        y = (sample[0], self.output_size()) if self.return_sequences else (self.output_size(),)
        return (y, *sizes) if self.return_state else y

    def check(self, x, expected=None):
        inputs = x if isinstance(x, tuple) else (x,)
        shapes = self.input_shape if isinstance(self.input_shape[0], tuple) else (self.input_shape,)
        if len(inputs) != len(shapes):
            raise ValueError(
                f"{self.name} was built for {len(shapes)} inputs, x and first states, got {len(inputs)}; "
                f"pass {'x alone' if len(shapes) == 1 else '(x, *states)'}, or build a new layer"
            )
        for one, shape in zip(inputs, shapes):
            super().check(one, shape)

    def compute_mask(self, x, mask=None):
        """That of x while sequences are returned."""
        mask = (mask[0] if isinstance(mask, tuple) else mask) if self.return_sequences else None
        return (mask, *(None for _ in self.state_sizes())) if self.return_state else mask

    # ---- forward, backward

    def forward(self, x, training=False, mask=None):
        x, *given = x if isinstance(x, tuple) else (x,)
        mask, samples = mask[0] if isinstance(mask, tuple) else mask, len(x)
        step = self.draws(training)
        keep = self.recurrent_mask(step, samples)
        xs = in_steps(self, "x steps", self.drop(x, step, "x dropped"), self.go_backwards)
        live = None if mask is None else in_steps(self, "mask steps", mask, self.go_backwards)
        first = given or self._carried(samples)
        shown, direct = self._shown(live, first), {}
        turned = self.in_order and self.go_backwards
        if self.writes_y and self.return_sequences and shown is None and not turned:
            direct["y"] = self.buffer("y", (samples, len(xs), self.output_size()))
        outputs, states, kept = self.run(xs, first, live, keep, training, **direct)
        if self.stateful:
            self.carried = [copy_of(self, f"carried {i}", state) for i, state in enumerate(states)]
        if direct:
            y = direct["y"]
        elif self.return_sequences:
            y = in_samples(self, "y", masked(self, "y shown", outputs, shown), turned)
        elif len(outputs):
            y = masked(self, "y", last(outputs), None if shown is None else last(shown))
        else:
            y = copy_of(self, "y", None, outputs.shape[1:])
        y = (y, *states) if self.return_state else y
        penalized = self.penalize(y)
        if training:
            self.save(xs, live, shown, step, keep, kept, outputs.shape, len(given), penalized)
        else:
            self.forget()
        return y

    def backward(self, dy):
        xs, live, shown, step, keep, kept, shape, given, penalized = self.saved()
        if penalized is not None:
            dy = (dy, *[None] * len(self.state_sizes())) if self.return_state and not isinstance(dy, tuple) else dy
            dy = self.with_penalty(dy, penalized)
        dy, *dlast = dy if isinstance(dy, tuple) else (dy,)
        sizes, dys = self.state_sizes(), None
        dstates = [
            copy_of(self, f"dstate {i}", value, (shape[1], size))
            for i, (value, size) in enumerate(zip(dlast or [None] * len(sizes), sizes))
        ]
        if dy is not None and self.return_sequences:
            dys = masked(self, "dy shown", in_steps(self, "dy steps", dy, self.in_order and self.go_backwards), shown)
        elif dy is not None and shape[0]:
            dy = masked(self, "dy shown", dy, None if shown is None else last(shown))
            if self.output_is_state:
                self.k.add(dstates[0], dy, out=dstates[0])
            else:
                dys = copy_of(self, "dy steps", None, shape)
                self.k.copy(dy, out=last(dys))
        dxs = self.run_grad(xs, live, keep, kept, dys, dstates)
        if dxs is None:
            return None
        dx = self.drop(in_samples(self, "dx", dxs, self.go_backwards), step, "dx dropped")
        return (dx, *dstates) if given else dx

    def _carried(self, samples):
        """The states to begin with."""
        if self.carried is None:
            return [None] * len(self.state_sizes())
        if len(self.carried[0]) != samples:
            raise ValueError(
                f"{self.name} is stateful and its states are those of {len(self.carried[0])} samples, got a batch of "
                f"{samples}; use a batch_size that divides the data, or call reset_state() before"
            )
        return self.carried

    def _shown(self, live, first):
        """(T, N) where an output is not 0, None for everywhere."""
        if live is None or self.zero_output_for_mask:
            return live
        if not self.output_is_state or all(state is None for state in first):
            return None  # what comes before the first step is 0 already
        self.k.seen(live, out=(seen := self.buffer("seen", live.shape, live.dtype)))
        return seen
