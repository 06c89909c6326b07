"""ConvSequences: what ConvLSTM1D, ConvLSTM2D and ConvLSTM3D share beside their steps: arguments and shapes."""

import math

from npdl.kernels import geometry
from npdl.layers import arguments, spatial
from npdl.layers.conv_recurrence import ConvRecurrence
from npdl.layers.sequences import Sequences


class ConvSequences(ConvRecurrence, Sequences):
    """Sequences of images as `Sequences` of rows; see `ConvLSTM2D`."""

    writes_y = causal = False
    ruled = (*ConvRecurrence.ruled, "activity")

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, activation="tanh",
        recurrent_activation="sigmoid", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", unit_forget_bias=True, dropout=0.0,
        recurrent_dropout=0.0, seed=None, return_sequences=False, return_state=False, go_backwards=False,
        stateful=False, unroll=False, *, zero_output_for_mask=False, **base,
    ):  # fmt: skip
        sliding = kernel_size, strides, padding, data_format, dilation_rate
        super().__init__(*sliding, activation, use_bias, bias_initializer, **base)
        self.filters = arguments.whole(self, "filters", filters, f"{type(self).__name__}(32, 3)")
        self.keep_arguments(
            self.filters, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout,
            recurrent_dropout, seed,
        )  # fmt: skip
        self.keep_own(recurrent_activation, unit_forget_bias)
        self.keep_flags(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask)

    def build(self, input_shape):
        sample, *given = input_shape if isinstance(input_shape[0], tuple) else (input_shape,)
        if len(sample) != self.axes + 2 or None in sample[1:]:
            inside = ("steps", *geometry.SAMPLES[self.axes][1], "channels")
            raise ValueError(
                f"{self.name}: {type(self).__name__} reads sequences ({', '.join(inside)}), all but steps of fixed "
                f"size, got samples of shape {sample}; add an axis of steps, or put a Reshape before it"
            )
        spatial.samples(self, sample[1:], self.axes)
        image = self.slide(sample[1:], 4 * self.filters, 1)
        if any(one != image for one in given):
            raise ValueError(f"{self.name}: expected first states of shape {image}, got {given}; pass (x, h, c)")
        ones = (1,) * self.axes
        self.from_x, self.units, self.image = self.least, math.prod(image), image
        self.from_h = geometry.window(image, self.kernel_size, ones, "same", ones, 4 * self.filters)
        super().build(((sample[0], math.prod(sample[1:])), *((self.units,) for _ in given)))
        y = (sample[0], *image) if self.return_sequences else image
        return (y, image, image) if self.return_state else y

    def flops(self):
        """Products with both kernels, and some operations a gate, at each step; of one where their number is free."""
        shape = self.input_shape[0] if isinstance(self.input_shape[0], tuple) else self.input_shape
        channels = self.from_x.channels + self.filters
        return (shape[0] or 1) * 4 * self.units * (2 * math.prod(self.kernel_size) * channels + 6)

    def forward(self, x, training=False, mask=None):
        x, *states = x if isinstance(x, tuple) else (x,)
        flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        states = [one.reshape(len(one), self.units) for one in states]
        y = super().forward((flat, *states) if states else flat, training, mask)
        return tuple(map(self._placed, y)) if self.return_state else self._placed(y)

    def backward(self, dy):
        several = isinstance(dy, tuple)
        flat = [one if one is None else self._flat(one) for one in (dy if several else (dy,))]
        dx = super().backward(tuple(flat) if several else flat[0])
        dx, *states = dx if isinstance(dx, tuple) else (dx,)
        g = self.from_x
        if dx is not None:
            dx = dx.reshape(*dx.shape[:2], *g.inside[-self.axes :], g.channels)
        return (dx, *map(self._placed, states)) if states else dx

    def _placed(self, y):
        return y.reshape(*y.shape[:-1], *self.image)

    def _flat(self, dy):
        return dy.reshape(*dy.shape[: len(dy.shape) - len(self.image)], self.units)
