"""Conv1D: one-dimensional convolution."""

from npdl import initializers
from npdl.layers import arguments, spatial
from npdl.layers.convolving import Convolution


class Filters(Convolution):
    """What Conv1D and Conv3D share: filters, in groups."""

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, groups=1,
        activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
        padding_mode="zeros", **base,
    ):  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer,
            padding_mode, **base,
        )  # fmt: skip
        kind = type(self).__name__
        self.filters = arguments.whole(self, "filters", filters, f"{kind}(32, 3)")
        self.groups = arguments.whole(self, "groups", groups, "groups=1")
        if self.filters % self.groups:
            raise ValueError(f"{kind}: filters={filters} is no multiple of groups={groups}; make it one")
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        spatial.samples(self, input_shape, self.axes)
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(
                f"{self.name}: {type(self).__name__} with groups={self.groups} needs a multiple of {self.groups} "
                f"channels, got samples of shape {input_shape}; choose groups that divide {channels}"
            )
        self.declare((*self.kernel_size, channels // self.groups, self.filters), self.kernel_initializer)
        self.declare_bias()
        return self.slide(input_shape, self.filters, self.groups)


class Conv1D(Filters):
    """Convolution of sequences: slide a window along the steps, multiply what it shows by a matrix, add a bias.

        forward     z[n, t] = Σ_p x[n, t·stride + p·dilation − pad] W[p] + b
                    y = a(z)
        backward    dz = dy · a'(z)             db = Σ dz
                    dW[p] = Σ_{n, t} xᵀ dz      of the x that tap p read for z[n, t]
                    dx = Σ_{t, p} dz W[p]ᵀ      added up at the step that was read

    Shapes: x (N, T, C) · kernel W (K, C/groups, F) · bias b (F,) · y (N, OT, F). T may be of any length.
        valid   OT = floor((T − (K − 1)·dilation − 1) / stride) + 1
        same    OT = ceil(T / stride); zeros around the sequence, the odd one at the end
        causal  OT = ceil(T / stride); all zeros before it: z[n, t] sees no step after t·stride
    Saves: x for dW, and y (or z, where a' is computed from z).

    Args:
        filters: number of output channels F.
        kernel_size: K.
        strides: steps of the window.
        padding: "valid", "same" or "causal".
        data_format: None or "channels_last".
        dilation_rate: distance between the window's taps. Unlike in Keras it goes together with strides above 1.
        groups: channels and filters are cut into that many parts, and part i of the filters sees part i of the
            channels.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a b.
        kernel_initializer, bias_initializer: name or `npdl.initializers` object.
        padding_mode: what windows see outside, as PyTorch names it: "zeros", "reflect", "replicate" or "circular".

    Raises:
        ValueError: a size below 1, groups that do not divide, samples that are no sequences, a window longer than they
            are.

    Reference: van den Oord et al., WaveNet: A Generative Model for Raw Audio, 2016 (causal, dilated).

    >>> Conv1D(8, 3, padding="causal", dilation_rate=2).init(input_shape=(100, 4), seed=0).output_shape
    (100, 8)
    """

    axes = 1
