"""What transposed convolutions share, along one, two or three axes."""

import math
import numbers

from npdl import initializers
from npdl.kernels import geometry
from npdl.layers import arguments, spatial
from npdl.layers.convolving import Convolving


class ConvTranspose(Convolving):
    """The input gradient of a convolution as a layer; its own gradients are that convolution's forward and weight
    gradient.
    """

    causal = False

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, activation=None,
        use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros", output_padding=None, groups=1,
        **base,
    ):  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer, **base
        )
        self.filters = arguments.whole(self, "filters", filters, f"{type(self).__name__}(32, 3)")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.groups = arguments.whole(self, "groups", groups, "groups=1")
        self.output_padding = output_padding if output_padding is None else self._less_than_strides(output_padding)
        spatial.divide(self, "filters", filters)

    def _less_than_strides(self, value):
        sizes = (value,) * self.axes if isinstance(value, numbers.Number) else tuple(value)
        whole = all(isinstance(n, numbers.Integral) and not isinstance(n, bool) for n in sizes)
        if len(sizes) != self.axes or not whole or any(not 0 <= n < s for n, s in zip(sizes, self.strides)):
            raise ValueError(
                f"{type(self).__name__} needs output_padding to be whole numbers from 0 and below "
                f"strides={self.strides}, got output_padding={value!r}; leave it out, or pass larger strides"
            )
        return tuple(map(int, sizes))

    def build(self, input_shape):
        spatial.samples(self, input_shape, self.axes)
        channels = spatial.divide(self, "channels", input_shape[-1], input_shape)
        shape = (*self.kernel_size, self.filters // self.groups, channels)
        self.add_weight(shape, self.kernel_initializer, name="kernel")
        self.declare_bias()
        return self.slide(input_shape, self.filters, self.groups)

    def window(self, shape):
        g = geometry.transposed_window(
            shape, self.kernel_size, self.strides, self.padding, self.output_padding, self.dilation_rate,
            *self.connections,
        )  # fmt: skip
        if min(g.inside) < 1:
            raise ValueError(
                f"{self.name}: {type(self).__name__} with kernel_size={self.kernel_size}, output_padding="
                f"{self.output_padding} leaves nothing of samples of shape {shape}; leave output_padding out"
            )
        return g

    def sizes(self, g):
        return g.inside[-self.axes :]

    def flops(self):
        g = self.least
        taps = math.prod(self.kernel_size) * g.channels // g.groups
        return math.prod(g.out) * g.filters * 2 * taps + math.prod(g.inside) * g.channels * self.use_bias

    def forward(self, x, training=False):
        W, b, g = self.taps(self.params["kernel"]), self.params.get("bias"), self.window(x.shape[1:])
        y = self.buffer("y", (len(x), *self.sizes(g), g.channels))
        z = self.buffer("z", y.shape) if training and self.activation.needs == "z" else None
        given = {"bias": b, "activation": self.activation, "z": self.seen(z)}
        self.of_axes("conv_transpose")(self.seen(x), W, g, out=self.seen(y), **given)  # y = a(col2im(x Wᵀ) + b)
        return self.finish(training, y, z, x, g)

    def backward(self, dy):
        x, g, y, output = self.saved()
        W, dW = self.taps(self.params["kernel"]), self.taps(self.grads["kernel"])
        dz = self.seen(self.begin(dy, y, output))  # dz = dy · a'(z), db = Σ dz
        self.of_axes("conv_dkernel")(dz, self.seen(x), g, out=dW)  # dW = im2col(dz)ᵀ x
        if not self.needs_dx:
            return None
        dx = self.buffer("dx", x.shape)
        self.of_axes("conv")(dz, W, g, out=self.seen(dx))  # dx = im2col(dz) W
        return dx
