"""SimpleRNN: a dense layer that also reads its own last output."""

from npdl.layers.cells import Cell
from npdl.layers.recurrence import Recurrence
from npdl.layers.sequences import Sequences


class _SimpleRNN(Recurrence):
    """The steps of a SimpleRNN; see `SimpleRNN`."""

    def build_step(self, width):
        """Declare the weights for inputs of that width."""
        self.add_weights(width)

    def run(self, x, states, mask, keep, training=False):
        """(h of all steps, the last one, what backward needs) from x (T, N, D)."""
        W, R, b = self.params["kernel"], self.params["recurrent_kernel"], self.params.get("bias")
        steps, samples = x.shape[:2]
        z = self.buffer("z", (steps, samples, self.units))
        self.k.matmul(x, W, out=z, bias=b)  # what comes from x, all steps at once
        h, dropped = self.start("h", states[0], steps, samples), self.dropped(keep, steps)
        self.k.simple_rnn(z, R, self.activation, h=h, mask=mask, keep=keep, dropped=dropped)
        return *self.ran(h), (z, h, dropped)

    def run_grad(self, x, mask, keep, kept, dy, dstates):
        """dx; dstates are those of the last state and become those of the first."""
        R, (z, h, dropped) = self.params["recurrent_kernel"], kept
        dz = self.over("dz", z)
        self.k.simple_rnn_grad(dy, R, z, h, self.activation, dz=dz, dh=dstates[0], mask=mask, keep=keep)
        return self.input_gradients(x, h[0 : len(x)] if dropped is None else dropped, dz, self.grads.get("bias"))


class SimpleRNNCell(_SimpleRNN, Cell):
    """One step of a `SimpleRNN`: (x, h) -> (h, h), for `RNN(SimpleRNNCell(64))` and for steps by hand.

    Shapes: x (N, D) · h (N, U) · weights and formula as of `SimpleRNN`.
    Saves: x, h and y.

    Args:
        units ... seed: as of `SimpleRNN`.

    >>> SimpleRNNCell(3).init(input_shape=(4,), seed=0).output_shape
    ((3,), (3,))
    """

    def __init__(
        self, units, activation="tanh", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", dropout=0.0, recurrent_dropout=0.0, seed=None,
        **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.keep_arguments(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout,
            recurrent_dropout, seed,
        )  # fmt: skip


class SimpleRNN(_SimpleRNN, Sequences):
    """Fully connected recurrence: the output of a step is an input of the next.

        forward     h' = a(x W + h R + b)                                                           at each step
        backward    dz = dh' · a'       dh = dz Rᵀ      dx = dz Wᵀ
                    dW = Σ xᵀ dz        dR = Σ hᵀ dz    db = Σ dz       over all steps, after the last

    Shapes: x (N, T, D), or (x, h) with the first state (N, U) · kernel W (D, U) · recurrent_kernel R (U, U) ·
    bias b (U,) · y (N, U), or (N, T, U) with return_sequences; with return_state (y, h).
    Saves: x, and h and y (or z) of all steps.

    Args:
        units: U.
        activation: a; name or `npdl.activations` object.
        use_bias, kernel_initializer, recurrent_initializer, bias_initializer: as of Dense.
        dropout ... zero_output_for_mask: as of `LSTM`.

    Reference: Elman, Finding Structure in Time, 1990.

    >>> SimpleRNN(3).init(input_shape=(10, 4), seed=0).output_shape
    (3,)
    """

    ruled = (*_SimpleRNN.ruled, "activity")

    def __init__(
        self, units, activation="tanh", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", dropout=0.0, recurrent_dropout=0.0, seed=None,
        return_sequences=False, return_state=False, go_backwards=False, stateful=False, unroll=False, *,
        zero_output_for_mask=False, **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.keep_arguments(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout,
            recurrent_dropout, seed,
        )  # fmt: skip
        self.keep_flags(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask)
