"""Conv2DTranspose: two-dimensional transposed convolution."""

from npdl.layers.transposing import ConvTranspose


class Conv2DTranspose(ConvTranspose):
    """Transposed convolution: each place adds its window of the output, multiplied by a matrix.

        forward     z[n, i·stride + p·dilation − pad, j·stride + q·dilation − pad] += x[n, i, j] W[p, q]ᵀ
                    over all i, j, p and q;     z += b      y = a(z)
        backward    dz = dy · a'(z)     db = Σ dz
                    dW[p, q] = Σ_{n, i, j} dzᵀ x    of the dz that tap (p, q) gave x[n, i, j] to
                    dx[n, i, j] = Σ_{p, q} dz W[p, q]

    It is the input gradient of `Conv2D`: z = col2im(x Wᵀ) + b, dW = im2col(dz)ᵀ x, dx = im2col(dz) W.

    Shapes: x (N, H, W, C) · kernel W (KH, KW, F/groups, C) · bias b (F,) · y (N, OH, OW, F), of any size.
        valid   OH = (H − 1)·stride + span + output_padding      span = (KH − 1)·dilation + 1
                without an output_padding max(stride − span, 0)
        same    OH = H·stride; with an output_padding (H − 1)·stride + span mod 2 + output_padding
    Saves: x for dW, and y (or z, where a' is computed from z).

    Args:
        filters: number of output channels F.
        kernel_size: KH and KW, one number for both or two.
        strides: from window to window, one number or two.
        padding: "valid" or "same".
        data_format: None or "channels_last".
        dilation_rate: distance between the window's taps, one number or two. Unlike in Keras it goes together with
            strides above 1.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a b.
        kernel_initializer, bias_initializer: name or `npdl.initializers` object.
        kernel_regularizer, bias_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        kernel_constraint, bias_constraint: name or `npdl.constraints` object.
        output_padding: rows and columns more at the end, fewer than strides: one number, two or None.
        groups: as in `Conv2D`, whose channels are the filters here. Keras has none.

    Raises:
        ValueError: a size below 1, an output_padding that is no less than strides, groups that do not divide, samples
            that are no images.

    Reference: Dumoulin and Visin, A Guide to Convolution Arithmetic for Deep Learning, 2016.

    >>> Conv2DTranspose(8, 3, strides=2, padding="same").init(input_shape=(14, 14, 16), seed=0).output_shape
    (28, 28, 8)
    """

    axes = 2
