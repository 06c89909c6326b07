"""GRU: gated recurrent unit."""

from npdl import activations
from npdl.layers.cells import Cell
from npdl.layers.recurrence import Recurrence
from npdl.layers.sequences import Sequences


class _GRU(Recurrence):
    """The steps of a GRU; see `GRU`."""

    gates = 3

    def keep_own(self, recurrent_activation, reset_after):
        """Keep the arguments that are a GRU's alone."""
        self.recurrent_activation, self.reset_after = activations.get(recurrent_activation), bool(reset_after)

    def build_step(self, width):
        """Declare the weights for inputs of that width; with reset_after there are two biases, of x W and of h R."""
        self.add_weights(width, (2, 3 * self.units) if self.reset_after else None)

    def biases(self, arrays):
        """(that of x W, that of h R or None)."""
        bias, width = arrays.get("bias"), 3 * self.units
        if bias is None or not self.reset_after:
            return bias, None
        return bias.reshape(2 * width)[0:width], bias.reshape(2 * width)[width : 2 * width]

    def run(self, x, states, mask, keep, training=False):
        """(h of all steps, the last one, what backward needs) from x (T, N, D)."""
        W, R, (b, c) = self.params["kernel"], self.params["recurrent_kernel"], self.biases(self.params)
        steps, samples = x.shape[:2]
        z = self.buffer("gates", (steps, samples, 3 * self.units))
        self.k.matmul(x, W, out=z, bias=b)  # what comes from x, all steps at once
        h, dropped = self.start("h", states[0], steps, samples), self.dropped(keep, steps)
        inner = self.buffer("inner", (steps, samples, self.units))
        act = self.activation, self.recurrent_activation, self.reset_after
        self.k.gru(z, R, *act, h=h, inner=inner, bias=c, mask=mask, keep=keep, dropped=dropped)
        return *self.ran(h), (z, h, inner, dropped)

    def run_grad(self, x, mask, keep, kept, dy, dstates):
        """dx; dstates are those of the last state and become those of the first."""
        R, (z, h, inner, dropped) = self.params["recurrent_kernel"], kept
        act = self.activation, self.recurrent_activation, self.reset_after
        dz, dinner = self.over("dz", z), self.buffer("dinner", inner.shape)
        self.k.gru_grad(
            dy, R, z, h, inner, *act, dz=dz, dh=dstates[0], dinner=dinner, mask=mask, keep=keep, dropped=dropped
        )
        (db, dc), gates, width = self.biases(self.grads), 2 * self.units, 3 * self.units
        if db is not None:
            self.k.sum_rows(dz, out=db)  # db = Σ dz
        if dc is not None:
            self.k.copy(db[0:gates], out=dc[0:gates])
            self.k.sum_rows(dinner, out=dc[gates:width])
        rows = h[0 : len(x)] if dropped is None else dropped
        self.k.gru_dkernel(rows, rows if self.reset_after else inner, dz, dinner, out=self.grads["recurrent_kernel"])
        return self.input_gradients(x, None, dz)


class GRUCell(_GRU, Cell):
    """One step of a `GRU`: (x, h) -> (h, h), for `RNN(GRUCell(64))` and for steps by hand.

    Shapes: x (N, D) · h (N, U) · weights and formula as of `GRU`.
    Saves: x, the gates and h.

    Args:
        units ... seed: as of `GRU`.

    >>> GRUCell(3).init(input_shape=(4,), seed=0).output_shape
    ((3,), (3,))
    """

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros",
        dropout=0.0, recurrent_dropout=0.0, reset_after=True, seed=None, **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.keep_arguments(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout,
            recurrent_dropout, seed,
        )  # fmt: skip
        self.keep_own(recurrent_activation, reset_after)


class GRU(_GRU, Sequences):
    """Gated recurrent unit: a gate u says how much of the state is kept, a gate r how much of it the new one sees.

        forward     u r = σ(x W + b + h R + c)      g = a(x W + b + r (h R + c))    h' = u h + (1 − u) g    at each step
                    reset_after=False:              g = a(x W + b + (r h) R),       without c
        backward    du = dh' (h − g)    dg = dh' (1 − u)    dr = dg (h R + c)       each times its slope is dz
                    dh = dh' u + (du, dr, dg r) Rᵀ          dx = dz Wᵀ
                    dW = Σ xᵀ dz        dR = Σ hᵀ (du, dr, dg r)    db = Σ dz       over all steps, after the last

    Shapes: x (N, T, D), or (x, h) with the first state (N, U) · kernel W (D, 3 U) · recurrent_kernel R (U, 3 U) ·
    bias (2, 3 U) of b and c, (3 U,) with reset_after=False; gates in the order u (Keras: z), r, g ·
    y (N, U), or (N, T, U) with return_sequences; with return_state (y, h).
    Saves: x, the gates, h and h R + c of all steps.

    Args:
        units: U.
        activation, recurrent_activation: a, σ; name or `npdl.activations` object.
        use_bias, kernel_initializer, recurrent_initializer, bias_initializer: as of Dense.
        dropout ... zero_output_for_mask: as of `LSTM`; recurrent dropout leaves the h of u h alone.
        reset_after: whether r is applied after the product with R, as cuDNN and PyTorch do it, or before.

    Reference: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation, 2014.

    >>> GRU(3).init(input_shape=(10, 4), seed=0).params["bias"].shape
    (2, 9)
    """

    ruled = (*_GRU.ruled, "activity")

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros",
        dropout=0.0, recurrent_dropout=0.0, seed=None, return_sequences=False, return_state=False, go_backwards=False,
        stateful=False, unroll=False, reset_after=True, *, zero_output_for_mask=False, **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.keep_arguments(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout,
            recurrent_dropout, seed,
        )  # fmt: skip
        self.keep_own(recurrent_activation, reset_after)
        self.keep_flags(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask)
