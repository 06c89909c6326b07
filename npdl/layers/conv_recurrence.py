"""ConvRecurrence: the steps of an LSTM whose products are convolutions."""

import math

from npdl.layers.convolving import Convolving
from npdl.layers.lstm import _LSTM
from npdl.layers.rnn import at


class ConvRecurrence(_LSTM, Convolving):
    """The steps of `ConvLSTM1D`, `ConvLSTM2D` and `ConvLSTM3D`, on rows (T, N, H W C) and states (N, U), U = OH OW F.

    To the kernel `lstm` each pixel is a sample of its own, with F units: what comes from the states is made by a
    convolution and is in its z already, and its own recurrent kernel is 0.

    Attributes:
        from_x, from_h: the windows of x ∗ W and of h ∗ R.
    """

    def add_weights(self, width, bias_shape=None, bias_initializer=None):
        """Declare kernel (..., C, 4 F), recurrent_kernel (..., F, 4 F) and bias (4 F,)."""
        columns = 4 * self.filters
        shape, recurrent = ((*self.kernel_size, n, columns) for n in (self.from_x.channels, self.filters))
        self.add_weight(shape, self.kernel_initializer, name="kernel")
        self.add_weight(recurrent, self.recurrent_initializer, name="recurrent_kernel")
        if self.use_bias:
            self.add_weight((columns,), bias_initializer or self.bias_initializer, name="bias")

    def run(self, x, states, mask, keep, training=False, y=None):
        W, R, b = (self.params.get(name) for name in ("kernel", "recurrent_kernel", "bias"))
        steps, samples = x.shape[:2]
        z = self.buffer("gates", (steps, samples, 4 * self.units))
        self.of_axes("conv")(seen(x, self.from_x), self.taps(W), self.from_x, out=made(z, self.from_x), bias=b)
        h, c = self.start("h", states[0], steps, samples), self.start("c", states[1], steps, samples)
        dropped, part = self.dropped(keep, steps), self.buffer("part", z.shape[1:])
        live, settings, g = self._live(mask), self._settings(), self.from_h
        for t in range(steps):
            s, zt = at(h, t), at(z, t)
            if keep is not None:
                s = at(dropped, t)
                self.k.times(at(h, t), keep, out=s)
            self.of_axes("conv")(seen(s, g), self.taps(R), g, out=made(part, g))
            self.k.add(zt, part, out=zt)  # z = x W + b + s R
            hs, cs = self._pixels(h[t : t + 2], 2), self._pixels(c[t : t + 2], 2)
            self.k.lstm(self._pixels(zt, 1, 4), *settings, h=hs, c=cs, mask=live(t))
        return *self.ran(h, c), (z, h, c, dropped, live)

    def run_grad(self, x, mask, keep, kept, dy, dstates):
        R, (z, h, c, dropped, live), g = self.taps(self.params["recurrent_kernel"]), kept, self.from_h
        dz, part, settings = self.over("dz", z), self.buffer("dpart", dstates[0].shape), self._settings()
        dh, dc = (self._pixels(one, 1).reshape(one.size // self.filters, self.filters) for one in dstates)
        for t in reversed(range(len(x))):
            d, dzt = None if dy is None else self._pixels(at(dy, t), 1), at(dz, t)
            given = self._pixels(at(z, t), 1, 4), self._pixels(h[t : t + 2], 2), self._pixels(c[t : t + 2], 2)
            none, *act = settings
            self.k.lstm_grad(d, none, *given, *act, dz=self._pixels(dzt, 1, 4), dh=dh, dc=dc, mask=live(t))
            self.of_axes("conv_dx")(made(dzt, g), R, g, out=seen(part, g))
            if keep is not None:
                self.k.times(part, keep, out=part)
            self.k.add(dstates[0], part, out=dstates[0])  # dh = dz Rᵀ
        rows = h[0 : len(x)] if dropped is None else dropped
        self._kernel_gradient("recurrent_kernel", rows, dz, g)  # dR = Σ hᵀ dz
        self._kernel_gradient("kernel", x, dz, self.from_x)  # dW = Σ xᵀ dz
        if self.use_bias:
            self.k.sum_rows(made(dz, g), out=self.grads["bias"])  # db = Σ dz
        if not self.needs_dx:
            return None
        dx, W = self.buffer("dx steps", x.shape), self.taps(self.params["kernel"])
        self.of_axes("conv_dx")(made(dz, self.from_x), W, self.from_x, out=seen(dx, self.from_x))  # dx = dz Wᵀ
        return dx

    def _kernel_gradient(self, name, x, dz, g):
        self.of_axes("conv_dkernel")(seen(x, g), made(dz, g), g, out=self.taps(self.grads[name]))

    def _pixels(self, x, steps, gates=1):
        """Rows as the kernel `lstm` takes them, (steps, N OH OW, gates F)."""
        width = gates * self.filters
        return x.reshape(steps, x.size // (steps * width), width)

    def _settings(self):
        """(a recurrent kernel of zeros, the activations)"""
        none = self.buffer("none", (self.filters, 4 * self.filters))
        self.k.fill(0.0, out=none)
        return none, self.activation, self.recurrent_activation

    def _live(self, mask):
        """What gives the mask of a step, (1, N OH OW), of a mask (T, N); or None."""
        if mask is None:
            return lambda t: None
        ones = self.buffer("ones", (*mask.shape, self.units // self.filters))
        live = self.buffer("live", (len(mask), ones.size // max(len(mask), 1)), mask.dtype)
        self.k.fill(1.0, out=ones)
        self.k.mask_rows(ones, mask, out=ones)
        self.k.masking(ones.reshape(*live.shape, 1), 0.0, out=live)
        return lambda t: live[t : t + 1]


def seen(x, g):
    """Rows as the images, or volumes, that a window slides over."""
    return x.reshape(x.size // (math.prod(g.inside) * g.channels), *g.inside, g.channels)


def made(z, g):
    """Rows as the images that a convolution makes."""
    return z.reshape(z.size // (math.prod(g.out) * g.filters), *g.out, g.filters)
