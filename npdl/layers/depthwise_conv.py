"""DepthwiseConv1D and DepthwiseConv2D."""

from npdl import initializers
from npdl.layers import arguments, spatial
from npdl.layers.conv2d import Convolution
from npdl.layers.convolving import Convolving


class _DepthwiseConv(Convolution):
    """What the two share: everything but the number of axes. A kernel sees a convolution of one channel a group."""

    ruled = ("depthwise", "bias", "activity")
    depthwise_regularizer = depthwise_constraint = None

    def __init__(
        self, kernel_size, strides=1, padding="valid", depth_multiplier=1, data_format=None, dilation_rate=1,
        activation=None, use_bias=True, depthwise_initializer="glorot_uniform", bias_initializer="zeros",
        padding_mode="zeros", **base,
    ):  # fmt: skip
        Convolving.__init__(
            self, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer,
            padding_mode, **base,
        )  # fmt: skip
        self.depth_multiplier = arguments.whole(self, "depth_multiplier", depth_multiplier, "depth_multiplier=1")
        self.depthwise_initializer = initializers.get(depthwise_initializer)

    def build(self, input_shape):
        spatial.samples(self, input_shape, self.axes)
        channels = input_shape[-1]
        self.filters = channels * self.depth_multiplier
        self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer, name="kernel",
            regularizer=self.depthwise_regularizer, constraint=self.depthwise_constraint,
        )  # fmt: skip
        self.declare_bias()
        return self.slide(input_shape, self.filters, channels)

    def taps(self, W):
        return super().taps(W.reshape(*self.kernel_size, 1, self.filters))


class DepthwiseConv1D(_DepthwiseConv):
    """Convolution of each channel of a sequence by itself.

        forward     z[n, t, c·M + m] = Σ_p x[n, t·stride + p·dilation − pad, c] W[p, c, m] + b[c·M + m]
                    y = a(z)
        backward    dz = dy · a'(z)                     db = Σ dz
                    dW[p, c, m] = Σ_{n, t} x dz         of the x that tap p read for z[n, t]
                    dx[.., c] = Σ_{t, p, m} dz W        added up at the step that was read

    Shapes: x (N, T, C) · kernel W (K, C, M) · bias b (C·M,) · y (N, OT, C·M), OT as in `Conv1D`.
    Saves: x for dW, and y (or z, where a' is computed from z).

    Args:
        kernel_size: K.
        strides: steps of the window.
        padding: "valid", "same" or "causal".
        depth_multiplier: filters a channel M.
        data_format: None or "channels_last".
        dilation_rate: distance between the window's taps. Unlike in Keras it goes together with strides above 1.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a b.
        depthwise_initializer, bias_initializer: name or `npdl.initializers` object.
        depthwise_regularizer, bias_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        depthwise_constraint, bias_constraint: name or `npdl.constraints` object.
        padding_mode: what windows see outside, as PyTorch names it: "zeros", "reflect", "replicate" or "circular".

    Raises:
        ValueError: a size below 1, samples that are no sequences, a window longer than they are.

    >>> DepthwiseConv1D(5, depth_multiplier=2).init(input_shape=(20, 3), seed=0).output_shape
    (16, 6)
    """

    axes = 1


class DepthwiseConv2D(_DepthwiseConv):
    """Convolution of each channel of an image by itself.

        forward     z[n, i, j, c·M + m] = Σ_{p, q} x[n, i·stride + p·dilation − pad, j·stride + q·dilation − pad, c]
                                          W[p, q, c, m] + b[c·M + m]
                    y = a(z)
        backward    dz = dy · a'(z)                     db = Σ dz
                    dW[p, q, c, m] = Σ_{n, i, j} x dz   of the x that tap (p, q) read for z[n, i, j]
                    dx[.., c] = Σ_{i, j, p, q, m} dz W  added up at the place that was read

    Shapes: x (N, H, W, C) · kernel W (KH, KW, C, M) · bias b (C·M,) · y (N, OH, OW, C·M), sizes as in `Conv2D`.
    Saves: x for dW, and y (or z, where a' is computed from z).

    Args:
        kernel_size: KH and KW, one number for both or two.
        strides: steps of the window, one number or two. Unlike in Keras the two may differ.
        padding: "valid" or "same".
        depth_multiplier: filters a channel M.
        data_format: None or "channels_last".
        dilation_rate: distance between the window's taps, one number or two. Unlike in Keras it goes together with
            strides above 1.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a b.
        depthwise_initializer, bias_initializer: name or `npdl.initializers` object.
        depthwise_regularizer, bias_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        depthwise_constraint, bias_constraint: name or `npdl.constraints` object.
        padding_mode: what windows see outside, as PyTorch names it: "zeros", "reflect", "replicate" or "circular".

    Raises:
        ValueError: a size below 1, samples that are no images, a window larger than they are.

    Reference: Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, 2017.

    >>> DepthwiseConv2D(3, strides=2, padding="same").init(input_shape=(28, 28, 8), seed=0).output_shape
    (14, 14, 8)
    """

    axes = 2
