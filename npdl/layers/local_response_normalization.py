"""LocalResponseNormalization: each channel divided by what its neighbours hold."""

import math
import numbers

import numpy as np

from npdl.layers import arguments
from npdl.layers.base import Layer


class LocalResponseNormalization(Layer):
    """Each channel divided by a power of the mean square of itself and the channels beside it, at every place alone.

        forward     s_c = k + α/size Σ x_i²,  i from c − ⌊size/2⌋ to c + ⌊(size − 1)/2⌋        y = x s^−β
        backward    dx_i = dy_i s_i^−β − 2 α β/size x_i Σ dy_c x_c s_c^(−β − 1) over the c whose sum holds i

    Channels that there are not count as 0. The formula is PyTorch's (LocalResponseNorm). The
    sums are a product with a matrix of zeros and ones.

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
        for name, value, right in (("alpha", alpha, alpha >= 0), ("beta", beta, beta != 0), ("bias", bias, bias > 0)):
            if not isinstance(value, numbers.Real) or not right or not math.isfinite(value):
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

    def _beside(self, channels):
        """(C, C): 1 where the sum of channel c, a column, holds channel i, a row."""
        i, c = np.arange(channels)[:, None], np.arange(channels)
        inside = (i >= c - self.size // 2) & (i <= c + (self.size - 1) // 2)
        return self.device.from_host(inside.astype(self.dtype))

    def forward(self, x, training=False):
        s, y = self.buffer("s", x.shape), self.buffer("y", x.shape)
        self.k.multiply(x, x, out=y)
        self.k.matmul(y, self._beside(x.shape[-1]), out=s)  # s = Σ x²
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
        ds, dx, sums = self.scratch("ds", x.shape), self.buffer("dx", x.shape), self.scratch("sums", x.shape)
        self.k.multiply(dy, x, out=ds)
        self.k.power_grad(ds, s, -self.beta, out=ds)  # ds = −β dy x s^(−β − 1)
        self.k.matmul(ds, self._beside(x.shape[-1]), out=sums, transpose_b=True)
        self.k.multiply(x, sums, out=sums)
        self.k.scale(sums, 2 * self.alpha / self.size, out=sums)  # 2 α/size x Σ ds
        self.k.power(s, -self.beta, out=ds)
        self.k.multiply(dy, ds, out=ds)  # dy s^−β
        self.k.add(ds, sums, out=dx)
        return dx
