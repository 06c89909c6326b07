"""LocalResponseNormalization: each channel divided by what its neighbours hold."""

import math
import numbers

from npdl.kernels.taps import neighbours
from npdl.layers import arguments
from npdl.layers.base import Layer


class LocalResponseNormalization(Layer):
    """Each channel divided by a power of the mean square of itself and the channels beside it, at every place alone.

        forward     s_c = k + α/size Σ x_i²,  i from c − ⌊size/2⌋ to c + ⌊(size − 1)/2⌋        y = x s^−β
        backward    dx_i = dy_i s_i^−β − 2 α β/size x_i Σ dy_c x_c s_c^(−β − 1) over the c whose sum holds i

    Channels that there are not count as 0. The formula is PyTorch's (LocalResponseNorm).

    Shapes: x, y (N, ..., C).
    Saves: x and s.

    Args:
        size: channels that a sum holds.
        alpha, beta, bias: α, β and k; k above 0. (PyTorch calls the last one k.)

    Raises:
        ValueError: size below 1, bias not above 0, alpha below 0, or samples without channels of a fixed number.

    Reference: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012.

    >>> LocalResponseNormalization(5).init(input_shape=(27, 27, 96)).output_shape
    (27, 27, 96)
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, bias=1.0, **base):
        super().__init__(**base)
        self.size = arguments.whole(self, "size", size, "LocalResponseNormalization(5)")
        rules = {"alpha": lambda n: n >= 0, "beta": lambda n: n != 0, "bias": lambda n: n > 0}
        for (name, right), value in zip(rules.items(), (alpha, beta, bias), strict=True):
            if not isinstance(value, numbers.Real) or not right(value) or not math.isfinite(value):
                raise ValueError(
                    "LocalResponseNormalization needs bias above 0, alpha of at least 0 and a beta other than 0, got "
                    f"{name}={value!r}; pass e.g. alpha=1e-4, beta=0.75, bias=1.0"
                )
        self.alpha, self.beta, self.bias = alpha, beta, bias

    def build(self, input_shape):
        if not input_shape or input_shape[-1] is None:
            raise ValueError(
                f"{self.name}: LocalResponseNormalization needs a fixed last axis, got samples of shape "
                f"{tuple(input_shape)}"
            )
        return input_shape

    def flops(self):
        return super().flops() * (2 * self.size + 4)

    def _sums(self, name, x, kernel):
        """Σ over the channels beside each, or its transpose: with the channels first, so that places lie together."""
        rows, channels = math.prod(x.shape[:-1]), x.shape[-1]
        turned, sums = (self.scratch(f"{one} turned", (1, channels, 1, rows)) for one in ("x", "sums"))
        self.k.permute(x.reshape(rows, channels), (1, 0), out=turned.reshape(channels, rows))
        beside = neighbours(channels, self.size // 2, (self.size - 1) // 2)
        kernel(turned, beside, neighbours(1, 0, 0), out=sums)
        y = self.buffer(name, x.shape)
        self.k.permute(sums.reshape(channels, rows), (1, 0), out=y.reshape(rows, channels))
        return y

    def forward(self, x, training=False):
        y = self.buffer("y", x.shape)
        self.k.multiply(x, x, out=y)
        s = self._sums("s", y, self.k.interpolate)  # s = Σ x²
        self.k.rescale(s, self.alpha / self.size, self.bias, out=s)  # s = k + α/size Σ x²
        self.k.power(s, -self.beta, out=y)
        self.k.multiply(x, y, out=y)  # y = x s^−β
        if training:
            self.save(x, s)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x, s = self.saved()
        ds, dx = self.scratch("ds", x.shape), self.buffer("dx", x.shape)
        self.k.multiply(dy, x, out=ds)
        self.k.power_grad(ds, s, -self.beta, out=ds)  # ds = −β dy x s^(−β − 1)
        sums = self._sums("sums", ds, self.k.interpolate_grad)
        self.k.multiply(x, sums, out=sums)
        self.k.scale(sums, 2 * self.alpha / self.size, out=sums)  # 2 α/size x Σ ds
        self.k.power(s, -self.beta, out=ds)
        self.k.multiply(dy, ds, out=ds)  # dy s^−β
        self.k.add(ds, sums, out=dx)
        return dx
