"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: an LSTM of sequences of sequences, images or volumes."""

from npdl.layers.conv_sequences import ConvSequences


class ConvLSTM2D(ConvSequences):
    """LSTM of images: the states are images, too, and both products are convolutions, written ∗.

        forward     i f g o = σ σ a σ (x ∗ W + h ∗ R + b)   c' = f c + i g          h' = o a(c')        at each step
        backward    do = dh' a(c')      dc' += dh' o a'(c')     di = dc' g      df = dc' c      dg = dc' i
                    dz = each of them times its slope           dc = dc' f
                    dh = the input gradient of h ∗ R for dz     dx = that of x ∗ W, all steps at once
                    dW, dR = the kernel gradients of these for dz, db = Σ dz, over all steps, after the last

    x ∗ W slides as `strides`, `padding` and `dilation_rate` say; h ∗ R by single steps with padding "same".

    Shapes: x (N, T, H, W, C), or (x, h, c) with the first states (N, OH, OW, F) · kernel W (KH, KW, C, 4 F) ·
    recurrent_kernel R (KH, KW, F, 4 F) · bias b (4 F,), gates in the order i, f, g, o · y (N, OH, OW, F), or
    (N, T, OH, OW, F); with return_state (y, h, c). OH and OW as of `Conv2D`.
    Saves: x, the gates, h and c of all steps.

    Args:
        filters: F.
        kernel_size: KH and KW, one number for both or two.
        strides, padding, data_format, dilation_rate: of x ∗ W, as of `Conv2D`.
        activation, recurrent_activation: a, σ; name or `npdl.activations` object.
        use_bias, kernel_initializer, recurrent_initializer, bias_initializer: as of Dense.
        unit_forget_bias: whether the bias of f starts as 1.
        dropout, recurrent_dropout: parts of x and of the h that R sees that are dropped; one mask for all steps and
            gates (in Keras each gate has its own).
        seed ... zero_output_for_mask, and the regularizers and constraints: as of `LSTM`.

    Raises:
        ValueError: a size below 1, samples that are no sequences of images of fixed size, a window larger than they
            are.

    Reference: Shi et al., Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting, 2015
    (without its connections from c to the gates, as in Keras).

    >>> ConvLSTM2D(8, 3, padding="same").init(input_shape=(10, 28, 28, 1), seed=0).output_shape
    (28, 28, 8)
    """

    axes = 2


class ConvLSTM1D(ConvSequences):
    """LSTM of sequences of sequences: both products of its steps are convolutions. Formulas and arguments are those of
    `ConvLSTM2D`.

    Shapes: x (N, T, L, C), or (x, h, c) with the first states (N, OL, F) · kernel (K, C, 4 F) · recurrent_kernel
    (K, F, 4 F) · bias (4 F,) · y (N, OL, F), or (N, T, OL, F); with return_state (y, h, c). OL as of `Conv1D`.

    >>> ConvLSTM1D(8, 3, return_sequences=True).init(input_shape=(10, 32, 4), seed=0).output_shape
    (10, 30, 8)
    """

    axes = 1


class ConvLSTM3D(ConvSequences):
    """LSTM of volumes: both products of its steps are convolutions. Formulas and arguments are those of `ConvLSTM2D`.

    Shapes: x (N, T, D, H, W, C), or (x, h, c) with the first states (N, OD, OH, OW, F) · kernel (KD, KH, KW, C, 4 F) ·
    recurrent_kernel (KD, KH, KW, F, 4 F) · bias (4 F,) · y (N, OD, OH, OW, F), or (N, T, OD, OH, OW, F); with
    return_state (y, h, c). OD, OH and OW as of `Conv3D`.

    >>> ConvLSTM3D(2, 2).init(input_shape=(10, 6, 6, 6, 1), seed=0).output_shape
    (5, 5, 5, 2)
    """

    axes = 3
