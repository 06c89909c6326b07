"""Conv1D: one-dimensional convolution."""

from npdl.layers.conv2d import Convolution


class Conv1D(Convolution):
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
        kernel_regularizer, bias_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        kernel_constraint, bias_constraint: name or `npdl.constraints` object.
        padding_mode: what windows see outside, as PyTorch names it: "zeros", "reflect", "replicate" or "circular".

    Raises:
        ValueError: a size below 1, groups that do not divide, samples that are no sequences, a window longer than they
            are.

    Reference: van den Oord et al., WaveNet: A Generative Model for Raw Audio, 2016 (causal, dilated).

    >>> Conv1D(8, 3, padding="causal", dilation_rate=2).init(input_shape=(100, 4), seed=0).output_shape
    (100, 8)
    """

    axes = 1
