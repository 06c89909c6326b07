"""ProjectedLSTM: an LSTM whose outputs, also those that it reads itself, are projected to fewer numbers."""

from npdl import initializers
from npdl.layers import arguments
from npdl.layers.lstm import LSTM
from npdl.layers.rnn import at
from npdl.layers.steps import copy_of, last


class ProjectedLSTM(LSTM):
    """Long short-term memory with projected outputs: PyTorch's `LSTM(proj_size=V)`; Keras has none.

        forward     i f g o = σ σ a σ (x W + r R + b)       c' = f c + i g      h' = o a(c')        r' = h' P
        backward    dh' = dr' Pᵀ        the rest as of `LSTM`, with the recurrent kernel S = P R between h and the gates
                    dS = Σ hᵀ dz        dR = Pᵀ dS + r₀ᵀ dz₁        dP = dS Rᵀ + Σ h'ᵀ dr'      dr₀ = dz₁ Rᵀ

    r R = h S, so that all steps run in the kernel of `LSTM`; only r₀ R, of first states that are given, is added to
    the first step apart (dz₁, of those before a sample's first counted step, where there is a mask).

    Shapes: x (N, T, D), or (x, r, c) with the first states (N, V), (N, U) · kernel W (D, 4 U) · recurrent_kernel R
    (V, 4 U) · bias b (4 U,) · projection_kernel P (U, V) · y (N, V), or (N, T, V); with return_state (y, r, c).
    Saves: x, the gates, h and c of all steps, and S.

    Args:
        units: U.
        projection_units: V.
        projection_initializer: of P, name or `npdl.initializers` object; projection_regularizer, projection_constraint.
        activation ... zero_output_for_mask: as of `LSTM`; recurrent_dropout drops parts of h.

    Reference: Sak, Senior and Beaufays, Long Short-Term Memory Based Recurrent Neural Network Architectures for Large
    Vocabulary Speech Recognition, 2014.

    >>> ProjectedLSTM(16, 3, return_sequences=True).init(input_shape=(10, 4), seed=0).output_shape
    (10, 3)
    """

    ruled = (*LSTM.ruled, "projection")
    writes_y = False

    def __init__(
        self, units, projection_units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform", recurrent_initializer="orthogonal", bias_initializer="zeros",
        unit_forget_bias=True, dropout=0.0, recurrent_dropout=0.0, seed=None, return_sequences=False,
        return_state=False, go_backwards=False, stateful=False, unroll=False, *, zero_output_for_mask=False,
        projection_initializer="glorot_uniform", **base,
    ):  # fmt: skip
        super().__init__(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, unit_forget_bias, dropout, recurrent_dropout, seed, return_sequences, return_state,
            go_backwards, stateful, unroll, zero_output_for_mask=zero_output_for_mask, **base,
        )  # fmt: skip
        self.projection_units = arguments.whole(self, "projection_units", projection_units, "ProjectedLSTM(256, 64)")
        self.projection_initializer = initializers.get(projection_initializer)

    def add_weights(self, width, bias_shape=None, bias_initializer=None):
        columns, size = 4 * self.units, self.projection_units
        self.add_weight((width, columns), self.kernel_initializer, name="kernel")
        self.add_weight((size, columns), self.recurrent_initializer, name="recurrent_kernel")
        if self.use_bias:
            self.add_weight((columns,), bias_initializer or self.bias_initializer, name="bias")
        self.add_weight((self.units, size), self.projection_initializer, name="projection_kernel")

    def state_sizes(self):
        return [self.projection_units, self.units]

    def output_size(self):
        return self.projection_units

    def flops(self):
        shape = self.input_shape[0] if isinstance(self.input_shape[0], tuple) else self.input_shape
        return super().flops() + (shape[0] or 1) * 2 * self.units * self.projection_units

    def run(self, x, states, mask, keep, training=False):
        W, R, P = (self.params[f"{name}kernel"] for name in ("", "recurrent_", "projection_"))
        steps, samples = x.shape[:2]
        r0, seen = states[0], None
        z = self.buffer("gates", (steps, samples, 4 * self.units))
        self.k.matmul(x, W, out=z, bias=self.params.get("bias"))
        if r0 is not None:
            first = self.buffer("first", (samples, 4 * self.units))
            self.k.matmul(r0, R, out=first)
            if mask is not None:
                self.k.seen(mask, out=(seen := self.buffer("seen", mask.shape, mask.dtype)))
            for t, rows in self._firsts(steps, seen, lambda t: first):
                self.k.add(at(z, t), rows, out=at(z, t))
        self.k.matmul(P, R, out=(S := self.buffer("S", (self.units, 4 * self.units))))  # S = P R
        h, c = self.start("h", None, steps, samples), self.start("c", states[1], steps, samples)
        act, dropped = (self.activation, self.recurrent_activation), self.dropped(keep, steps)
        self.k.lstm(z, S, *act, h=h, c=c, mask=mask, keep=keep, dropped=dropped)
        self.k.matmul(h[1 : steps + 1], P, out=(r := self.buffer("r", (steps, samples, P.shape[1]))))  # r' = h' P
        end = last(r) if steps else copy_of(self, "r at the end", r0, (samples, P.shape[1]))
        if seen is not None and steps:
            end = self._chosen("r at the end", last(seen), end, r0)
        return r, [end, last(c)], (z, h, c, dropped, r0, seen, S)

    def run_grad(self, x, mask, keep, kept, dy, dstates):
        R, P, (z, h, c, dropped, r0, seen, S) = self.params["recurrent_kernel"], self.params["projection_kernel"], kept
        (steps, samples), units, through = x.shape[:2], self.units, None
        dr = copy_of(self, "dr", dy, (steps, samples, P.shape[1]))
        if steps:
            end = dstates[0]
            if seen is not None:
                through = self._chosen("dr around", last(seen), None, end)
                end = self._chosen("dr at the end", last(seen), end, None)
            self.k.add(last(dr), end, out=last(dr))
        self.k.matmul(dr, P, out=(dh := self.buffer("dh", (steps, samples, units))), transpose_b=True)  # dh' = dr' Pᵀ
        act, dz, dh0 = (
            (self.activation, self.recurrent_activation),
            self.over("dz", z),
            copy_of(self, "dh0", None, dh.shape[1:]),
        )
        self.k.lstm_grad(dh, S, z, h, c, *act, dz=dz, dh=dh0, dc=dstates[1], mask=mask, keep=keep)
        dS, dR, dP = self.buffer("dS", S.shape), self.grads["recurrent_kernel"], self.grads["projection_kernel"]
        self.k.matmul(h[0:steps] if dropped is None else dropped, dz, out=dS, transpose_a=True)  # dS = Σ hᵀ dz
        self.k.matmul(P, dS, out=dR, transpose_a=True)
        self.k.matmul(dS, R, out=dP, transpose_b=True)
        self._add(dP, h[1 : steps + 1], dr)  # dP = dS Rᵀ + Σ h'ᵀ dr'
        if r0 is not None and steps:
            dz1 = copy_of(self, "dz1", None, (samples, 4 * units))
            for _, rows in self._firsts(steps, seen, lambda t: at(dz, t)):
                self.k.add(dz1, rows, out=dz1)
            self._add(dR, r0, dz1)  # dR = Pᵀ dS + r₀ᵀ dz₁
            self.k.matmul(dz1, R, out=dstates[0], transpose_b=True)  # dr₀ = dz₁ Rᵀ
            if through is not None:
                self.k.add(dstates[0], through, out=dstates[0])
        return self.input_gradients(x, None, dz, self.grads.get("bias"))

    def _firsts(self, steps, seen, rows):
        """(t, rows(t) of samples without a step before t): all of them at t = 0, with a mask some later."""
        for t in range(min(steps, 1) if seen is None else steps):
            yield t, rows(t) if t == 0 else self._chosen("rows", at(seen, t - 1), None, rows(t))

    def _chosen(self, name, mask, a, b):
        self.k.choose(mask, a, b, out=(out := self.buffer(name, (b if a is None else a).shape)))
        return out

    def _add(self, total, a, b):
        """total += aᵀ b"""
        self.k.matmul(a, b, out=(part := self.scratch("part", total.shape)), transpose_a=True)
        self.k.add(total, part, out=total)
