"""What layers share that slide a window of weights along one, two or three axes."""

import math

from npdl import activations, initializers
from npdl.kernels import geometry
from npdl.layers import arguments, extending, spatial
from npdl.layers.pooled import Pooled


class Convolving(Pooled):
    """The window, a kernel and a bias, the activation.

    Kernels know images and volumes: to them a sequence (N, T, C) is an image (N, 1, T, C), and a window of K steps one
    of (1, K). Those are the same numbers in the same order.

    A subclass has `axes` and says in `build` what its kernel's shape is.
    """

    ruled: tuple[str, ...] = ("kernel", "bias", "activity")
    axes: int
    filters: int  # channels of y
    causal = True  # whether sequences can be padded before them alone

    def __init__(
        self, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer,
        padding_mode="zeros", **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.kernel_size = spatial.each_axis(self, "kernel_size", kernel_size, self.axes, "kernel_size=3")
        self.strides = spatial.each_axis(self, "strides", strides, self.axes, "strides=1")
        self.padding = spatial.padding_mode(self, padding, self.causal and self.axes == 1)
        self.padding_mode = extending.padding_mode(self, padding_mode)
        self.data_format = arguments.channels_last(self, data_format)
        self.dilation_rate = spatial.each_axis(self, "dilation_rate", dilation_rate, self.axes, "dilation_rate=1")
        self.activation, self.use_bias = activations.get(activation), use_bias
        self.bias_initializer = initializers.get(bias_initializer)

    def window(self, shape, padding=None):
        """The geometry for samples of that shape, padded with zeros."""
        sizes = (self.kernel_size, self.strides, padding or self.padding, self.dilation_rate)
        try:
            return geometry.window(shape, *sizes, *self.connections)
        except ValueError as error:
            given = f"kernel_size={self.kernel_size}, dilation_rate={self.dilation_rate}"
            raise ValueError(f"{self.name}: {type(self).__name__} with {given}: {error}") from None

    def declare_bias(self):
        """The bias, if there is one."""
        if self.use_bias:
            self.add_weight((self.filters,), self.bias_initializer, name="bias")

    def slide(self, input_shape, filters, groups):
        """y's shape, where the window has so many filters and groups; an axis of free length stays one."""
        self.connections = filters, groups
        spans = [(size - 1) * rate + 1 for size, rate in zip(self.kernel_size, self.dilation_rate)]
        sizes = [span if size is None else size for size, span in zip(input_shape, spans)]
        self.least = self.window((*sizes, input_shape[-1]))  # of samples as short as can be
        out = self.sizes(self.least)
        return (*(None if size is None else n for size, n in zip(input_shape, out)), self.filters)

    def sizes(self, g):
        """y's, without channels."""
        return g.out[-self.axes :]

    def flops(self):
        g = self.least
        taps = math.prod(self.kernel_size) * g.channels // g.groups
        return math.prod(g.out) * g.filters * (2 * taps + self.use_bias)

    # ---- arrays as kernels see them

    def padded(self, x):
        """x, longer where something else than zeros surrounds it; by how much; the window that slides over it."""
        if self.padding_mode == "zeros":
            return x, (), self.window(x.shape[1:])
        sides = geometry.margins(x.shape[1:-1], self.kernel_size, self.strides, self.padding, self.dilation_rate)
        extending.check_sides(self, x.shape[1:-1], sides, self.padding_mode)
        x = extending.extended(self, x, sides, self.padding_mode)
        return x, sides, self.window(x.shape[1:], "valid")

    def without_padding(self, dx, sides):
        """dL/dx, from the gradient of what `padded` gave."""
        return extending.extended_grad(self, dx, sides, self.padding_mode)

    def seen(self, x):
        """Samples as images or volumes; None where x is."""
        return x if self.axes > 1 or x is None else x.reshape(len(x), 1, *x.shape[1:])

    def taps(self, W):
        """Weights as those of images or volumes: (KH, KW, C/groups, F)."""
        return W.reshape(1, *W.shape) if self.axes == 1 else W

    def of_axes(self, name):
        """The kernel of that name, "conv", "conv_dx", ..., for this number of axes."""
        return getattr(self.k, name.replace("conv", "conv3d" if self.axes == 3 else "conv2d"))

    def finish(self, training, y, z, *values):
        """The last of a forward: keep what backward needs, these values among it; returns y."""
        output = self.penalize(y)
        if training:
            self.save(*values, self.activation.kept(y, z), output)
        else:
            self.forget()
        return y

    def begin(self, dy, y, output):
        """The first of a backward: dz = dy · a'(z), and db."""
        dy = self.with_penalty(dy, output)
        dz = self.inplace("dz", dy)
        self.k.activation_grad(dy, y, self.activation, out=dz)
        if self.use_bias:
            self.k.sum_rows(dz, out=self.grads["bias"])  # db = Σ dz
        return dz
