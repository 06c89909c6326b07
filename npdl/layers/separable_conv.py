"""SeparableConv1D and SeparableConv2D."""

import math

from npdl import initializers
from npdl.layers import arguments, spatial
from npdl.layers.convolving import Convolving


class _SeparableConv(Convolving):
    """What the two share: everything but the number of axes."""

    ruled = ("depthwise", "pointwise", "bias", "activity")

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, depth_multiplier=1,
        activation=None, use_bias=True, depthwise_initializer="glorot_uniform", pointwise_initializer="glorot_uniform",
        bias_initializer="zeros", padding_mode="zeros", **base,
    ):  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer,
            padding_mode, **base,
        )  # fmt: skip
        self.filters = arguments.whole(self, "filters", filters, f"{type(self).__name__}(32, 3)")
        self.depth_multiplier = arguments.whole(self, "depth_multiplier", depth_multiplier, "depth_multiplier=1")
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)

    def build(self, input_shape):
        spatial.samples(self, input_shape, self.axes)
        channels = input_shape[-1]
        self.between = channels * self.depth_multiplier
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.add_weight(shape, self.depthwise_initializer, name="depthwise_kernel")
        shape = (*(1,) * self.axes, self.between, self.filters)
        self.add_weight(shape, self.pointwise_initializer, name="pointwise_kernel")
        self.declare_bias()
        return self.slide(input_shape, self.between, channels)

    def flops(self):
        g = self.least
        return math.prod(g.out) * (
            2 * self.between * (math.prod(self.kernel_size) + self.filters) + self.filters * self.use_bias
        )

    def matrices(self, weights):
        """D and P as kernels see them."""
        D, P = weights["depthwise_kernel"], weights["pointwise_kernel"]
        return self.taps(D.reshape(*self.kernel_size, 1, self.between)), P.reshape(self.between, self.filters)

    def forward(self, x, training=False):
        (D, P), b = self.matrices(self.params), self.params.get("bias")
        x, sides, g = self.padded(x)
        u = self.buffer("u", (len(x), *self.sizes(g), self.between))
        self.of_axes("conv")(self.seen(x), D, g, out=self.seen(u))  # each channel by itself
        y = self.buffer("y", (*u.shape[:-1], self.filters))
        z = self.buffer("z", y.shape) if training and self.activation.needs == "z" else None
        self.k.matmul(u, P, out=y, z=z, bias=b, activation=self.activation)  # y = a(u P + b)
        return self.finish(training, y, z, x, g, sides, u)

    def backward(self, dy):
        x, g, sides, u, y, output = self.saved()
        (D, P), (dD, dP) = self.matrices(self.params), self.matrices(self.grads)
        dz = self.begin(dy, y, output)
        self.k.matmul(u, dz, out=dP, transpose_a=True)  # dP = uᵀ dz
        du = self.buffer("du", u.shape)
        self.k.matmul(dz, P, out=du, transpose_b=True)  # du = dz Pᵀ
        self.of_axes("conv_dkernel")(self.seen(x), self.seen(du), g, out=dD)
        if not self.needs_dx:
            return None
        dx = self.buffer("dx", x.shape)
        self.of_axes("conv_dx")(self.seen(du), D, g, out=self.seen(dx))
        return self.without_padding(dx, sides)


class SeparableConv1D(_SeparableConv):
    """Convolution of each channel of a sequence by itself, and then of all channels at each step.

        forward     u[n, t, c·M + m] = Σ_p x[n, t·stride + p·dilation − pad, c] D[p, c, m]      depthwise
                    z = u P + b         y = a(z)                                                pointwise
        backward    dz = dy · a'(z)     db = Σ dz       dP = uᵀ dz      du = dz Pᵀ
                    dD[p, c, m] = Σ_{n, t} x du         of the x that tap p read for u[n, t]
                    dx[.., c] = Σ_{t, p, m} du D        added up at the step that was read

    Shapes: x (N, T, C) · depthwise_kernel D (K, C, M) · pointwise_kernel P (1, C·M, F) · bias b (F,) · y (N, OT, F),
    OT as in `Conv1D`.
    Saves: x for dD, u for dP, and y (or z, where a' is computed from z).

    Args:
        filters: number of output channels F.
        kernel_size: K.
        strides: steps of the window.
        padding: "valid", "same" or "causal".
        data_format: None or "channels_last".
        dilation_rate: distance between the window's taps. Unlike in Keras it goes together with strides above 1.
        depth_multiplier: depthwise filters a channel M.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a b.
        depthwise_initializer, pointwise_initializer, bias_initializer: name or `npdl.initializers` object.
        ..._regularizer, ..._constraint: of depthwise, pointwise, bias and, the first, activity; name or object.
        padding_mode: what windows see outside, as PyTorch names it: "zeros", "reflect", "replicate" or "circular".

    Raises:
        ValueError: a size below 1, samples that are no sequences, a window longer than they are.

    >>> SeparableConv1D(16, 3, padding="same").init(input_shape=(20, 4), seed=0).output_shape
    (20, 16)
    """

    axes = 1


class SeparableConv2D(_SeparableConv):
    """Convolution of each channel of an image by itself, and then of all channels at each place.

        forward     u[n, i, j, c·M + m] = Σ_{p, q} x[n, i·stride + p·dilation − pad, j·stride + ..., c] D[p, q, c, m]
                    z = u P + b         y = a(z)
        backward    dz = dy · a'(z)     db = Σ dz       dP = uᵀ dz      du = dz Pᵀ
                    dD[p, q, c, m] = Σ_{n, i, j} x du   of the x that tap (p, q) read for u[n, i, j]
                    dx[.., c] = Σ_{i, j, p, q, m} du D  added up at the place that was read

    Shapes: x (N, H, W, C) · depthwise_kernel D (KH, KW, C, M) · pointwise_kernel P (1, 1, C·M, F) · bias b (F,) ·
    y (N, OH, OW, F), sizes as in `Conv2D`.
    Saves: x for dD, u for dP, and y (or z, where a' is computed from z).

    Args:
        filters: number of output channels F.
        kernel_size: KH and KW, one number for both or two.
        strides: steps of the window, one number or two. Unlike in Keras the two may differ.
        padding: "valid" or "same".
        data_format: None or "channels_last".
        dilation_rate: distance between the window's taps, one number or two. Unlike in Keras it goes together with
            strides above 1.
        depth_multiplier: depthwise filters a channel M.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a b.
        depthwise_initializer, pointwise_initializer, bias_initializer: name or `npdl.initializers` object.
        ..._regularizer, ..._constraint: of depthwise, pointwise, bias and, the first, activity; name or object.
        padding_mode: what windows see outside, as PyTorch names it: "zeros", "reflect", "replicate" or "circular".

    Raises:
        ValueError: a size below 1, samples that are no images, a window larger than they are.

    Reference: Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, CVPR 2017.

    >>> SeparableConv2D(16, 3, strides=2, padding="same").init(input_shape=(28, 28, 8), seed=0).output_shape
    (14, 14, 16)
    """

    axes = 2
