"""Recurrence: what SimpleRNN, LSTM and GRU share, as layers and as cells: arguments, weights and dropout."""

import numbers

from npdl import activations, initializers, random
from npdl.layers import arguments
from npdl.layers.base import Layer


class Recurrence(Layer):
    """A recurrence of U units on arrays of all steps, (T, N, ...), time first.

    A subclass says how many `gates` and `states` it has and writes

        run(x, states, mask, keep, training)        -> outputs (T, N, U), the last states, what backward needs
        run_grad(x, mask, keep, kept, dy, dstates)  -> dx; assigns grads; dstates become those of the first states

    Attributes:
        gates: G, how many times U columns its kernels have.
        states: how many arrays (N, U) go from step to step; the first one is the output.
    """

    gates = states = 1
    ruled: tuple[str, ...] = ("kernel", "recurrent", "bias")

    def keep_arguments(
        self, units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout,
        recurrent_dropout, seed,
    ):  # fmt: skip
        """Check the common arguments of `__init__` and keep them under their names."""
        self.units = arguments.whole(self, "units", units, f"{type(self).__name__}(64)")
        self.activation, self.use_bias = activations.get(activation), use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not isinstance(rate, numbers.Real) or isinstance(rate, bool) or not 0 <= rate < 1:
                raise ValueError(
                    f"{type(self).__name__} needs {name} in [0, 1), the part that is dropped, got {name}={rate!r}; "
                    f"pass e.g. {name}=0.2"
                )
        self.dropout, self.recurrent_dropout = float(dropout), float(recurrent_dropout)
        self.seed = None if seed is None else random.check_seed(seed)

    def add_weights(self, width, bias_shape=None, bias_initializer=None):
        """Declare kernel (D, G·U), recurrent_kernel (U, G·U) and bias."""
        columns = self.gates * self.units
        self.add_weight((width, columns), self.kernel_initializer, name="kernel")
        self.add_weight((self.units, columns), self.recurrent_initializer, name="recurrent_kernel")
        if self.use_bias:
            self.add_weight(bias_shape or (columns,), bias_initializer or self.bias_initializer, name="bias")

    def state_sizes(self):
        """Of each state."""
        return [self.units] * self.states

    def output_size(self):
        """Of an output."""
        return self.units

    def flops(self):
        """Products with both kernels, and some operations a gate, at each step; of one where their number is free."""
        shape = self.input_shape[0] if isinstance(self.input_shape[0], tuple) else self.input_shape
        steps = (shape[0] or 1) if len(shape) == 2 else 1
        return steps * self.gates * self.units * (2 * (shape[-1] + self.units) + 6)

    def start(self, name, state, steps, samples):
        """The states of all steps, (T + 1, N, U), the first one set; None is 0."""
        all_steps = self.buffer(name, (steps + 1, samples, self.units))
        first = all_steps[0:1].reshape(samples, self.units)
        if state is None:
            self.k.fill(0.0, out=first)
        else:
            self.k.copy(state, out=first)
        return all_steps

    def ran(self, *states):
        """(outputs, last states) from the states of all steps."""
        steps = len(states[0]) - 1
        return states[0][1 : steps + 1], [one[steps : steps + 1].reshape(*one.shape[1:]) for one in states]

    def kernel_gradients(self, x, rows, dz, db=None):
        """dW = Σ xᵀ dz, db = Σ dz and dR = Σ rowsᵀ dz over all steps; without rows no dR."""
        dW = self.grads["kernel"]
        if rows is None:
            self.k.matmul(x, dz, out=dW, transpose_a=True, sums=db)
        else:
            self.k.rnn_dkernels(x, rows, dz, dW=dW, dR=self.grads["recurrent_kernel"], sums=db)

    def input_gradients(self, x, rows, dz, db=None):
        """The kernels' gradients, and dx = dz Wᵀ where it is read."""
        self.kernel_gradients(x, rows, dz, db)
        if not self.needs_dx:
            return None
        dx = self.buffer("dx steps", x.shape)
        self.k.matmul(dz, self.params["kernel"], out=dx, transpose_b=True)
        return dx

    # ---- dropout: one mask a sample, the same at every step

    def draws(self, training):
        """The step of the random numbers, None where nothing is dropped."""
        if not self.varies(training) or not (self.dropout or self.recurrent_dropout):
            return None
        self.step += 1
        return self.step - 1

    def drop(self, x, step, name):
        """x (N, ..., D) with inputs dropped; a gradient is treated alike."""
        if step is None or not self.dropout or x is None:
            return x
        y = self.buffer(name, x.shape)
        shape = (*(1 for _ in x.shape[1:-1]), x.shape[-1])
        self.k.dropout(x, self.dropout, self._key("input"), step, out=y, noise_shape=shape)
        return y

    def recurrent_mask(self, step, samples):
        """What the states are multiplied by before the recurrent kernel, (N, U); None for 1."""
        if step is None or not self.recurrent_dropout:
            return None
        keep = self.buffer("keep", (samples, self.units))
        self.k.fill(1.0, out=keep)
        self.k.dropout(keep, self.recurrent_dropout, self._key("recurrent"), step, out=keep)
        return keep

    def dropped(self, keep, steps):
        """A buffer for what the recurrent kernel multiplies, None where that are the states themselves."""
        return None if keep is None else self.buffer("dropped", (steps, *keep.shape))

    def _key(self, purpose):
        return self.random_key(purpose) if self.seed is None else random.key(self.seed, purpose)
