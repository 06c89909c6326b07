"""LSTM: long short-term memory."""

from npdl import activations, initializers
from npdl.layers.cells import Cell
from npdl.layers.recurrence import Recurrence
from npdl.layers.sequences import Sequences


class _ForgetBias(initializers.Initializer):
    """1 for the forget gate, the others as `bias_initializer` says."""

    def __init__(self, others):
        self.others = others

    def values(self, shape, key):
        values = self.others(shape, key)
        quarter = shape[0] // 4
        values[quarter : 2 * quarter] = 1.0
        return values


class _LSTM(Recurrence):
    """The steps of an LSTM; see `LSTM`."""

    gates, states = 4, 2
    writes_y = True

    def keep_own(self, recurrent_activation, unit_forget_bias):
        """Keep the arguments that are an LSTM's alone."""
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = bool(unit_forget_bias)

    def build_step(self, width):
        """Declare the weights for inputs of that width."""
        self.add_weights(width, None, _ForgetBias(self.bias_initializer) if self.unit_forget_bias else None)

    def run(self, x, states, mask, keep, training=False, y=None):
        """(h of all steps, last h and c, what backward needs) from x (T, N, D); y (N, T, U) gets h."""
        W, R, b = self.params["kernel"], self.params["recurrent_kernel"], self.params.get("bias")
        steps, samples = x.shape[:2]
        z = self.buffer("gates", (steps, samples, 4 * self.units))
        h, c = self.start("h", states[0], steps, samples), self.start("c", states[1], steps, samples)
        act, dropped = (self.activation, self.recurrent_activation), self.dropped(keep, steps)
        given = {"x": x, "W": W, "b": b, "y": y, "keep_gates": training}  # z becomes i f g o of z = x W + b
        self.k.lstm(z, R, *act, h=h, c=c, mask=mask, keep=keep, dropped=dropped, **given)
        return *self.ran(h, c), (z, h, c, dropped)

    def run_grad(self, x, mask, keep, kept, dy, dstates):
        """dx; dstates are those of the last states and become those of the first."""
        W, R, (z, h, c, dropped) = self.params["kernel"], self.params["recurrent_kernel"], kept
        act, dz = (self.activation, self.recurrent_activation), self.over("dz", z)
        given = {"mask": mask, "keep": keep, "W": W, "dx": self.buffer("dx steps", x.shape) if self.needs_dx else None}
        self.k.lstm_grad(dy, R, z, h, c, *act, dz=dz, dh=dstates[0], dc=dstates[1], **given)
        self.kernel_gradients(x, h[0 : len(x)] if dropped is None else dropped, dz, self.grads.get("bias"))
        return given["dx"]


class LSTMCell(_LSTM, Cell):
    """One step of an `LSTM`: (x, h, c) -> (h, h, c), for `RNN(LSTMCell(64))` and for steps by hand.

    Shapes: x (N, D) · h, c (N, U) · weights and formula as of `LSTM`.
    Saves: x, the gates and the states.

    Args:
        units ... seed: as of `LSTM`.

    >>> LSTMCell(3).init(input_shape=(4,), seed=0).output_shape
    ((3,), (3,), (3,))
    """

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros",
        unit_forget_bias=True, dropout=0.0, recurrent_dropout=0.0, seed=None, **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.keep_arguments(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout,
            recurrent_dropout, seed,
        )  # fmt: skip
        self.keep_own(recurrent_activation, unit_forget_bias)


class LSTM(_LSTM, Sequences):
    """Long short-term memory: a memory cell c, which three gates write, keep and show.

        forward     i f g o = σ σ a σ (x W + h R + b)       c' = f c + i g          h' = o a(c')        at each step
        backward    do = dh' a(c')      dc' += dh' o a'(c')     di = dc' g      df = dc' c      dg = dc' i
                    dz = each of them times its slope           dc = dc' f      dh = dz Rᵀ      dx = dz Wᵀ
                    dW = Σ xᵀ dz        dR = Σ hᵀ dz            db = Σ dz       over all steps, after the last

    Shapes: x (N, T, D), or (x, h, c) with the first states (N, U) · kernel W (D, 4 U) · recurrent_kernel R (U, 4 U) ·
    bias b (4 U,), gates in the order i, f, g, o · y (N, U), or (N, T, U); with return_state (y, h, c).
    Saves: x, the gates, h and c of all steps.

    Args:
        units: U.
        activation, recurrent_activation: a, σ; name or `npdl.activations` object.
        use_bias, kernel_initializer, recurrent_initializer, bias_initializer: as of Dense.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: name or `npdl.regularizers` object; and so
            `..._constraint` of `npdl.constraints`. activity_regularizer: of y, and of the states with return_state.
        unit_forget_bias: whether the bias of f starts as 1.
        dropout, recurrent_dropout: parts of x and of h that R multiplies that are dropped; one mask for all steps.
        seed: of these; None makes it from the model's seed and the layer's place.
        return_sequences: whether y are the outputs of all steps.
        return_state: whether the last states come with y.
        go_backwards: whether to begin with the last step; y then is in that order.
        stateful: whether a batch begins with the states at the end of the one before; `reset_state()` ends that.
        unroll: nothing here.
        zero_output_for_mask: whether the outputs of masked steps are 0, not those of the step before.

    References: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; Gers, Schmidhuber and Cummins, Learning to
    Forget, 2000.

    >>> LSTM(3, return_sequences=True).init(input_shape=(10, 4), seed=0).output_shape
    (10, 3)
    """

    ruled = (*_LSTM.ruled, "activity")

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros",
        unit_forget_bias=True, dropout=0.0, recurrent_dropout=0.0, seed=None, return_sequences=False,
        return_state=False, go_backwards=False, stateful=False, unroll=False, *, zero_output_for_mask=False, **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.keep_arguments(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout,
            recurrent_dropout, seed,
        )  # fmt: skip
        self.keep_own(recurrent_activation, unit_forget_bias)
        self.keep_flags(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask)
