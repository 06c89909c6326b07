"""Conv3D and Conv3DTranspose."""

from npdl.layers.conv2d import Convolution
from npdl.layers.transposing import ConvTranspose


class Conv3D(Convolution):
    """Convolution of volumes: slide a window through, multiply what it shows by a matrix, add a bias.

        forward     z[n, d, i, j] = Σ_{o, p, q} x[n, d·stride + o·dilation − pad, i·stride + p·dilation − pad, ...]
                                    W[o, p, q] + b
                    y = a(z)
        backward    dz = dy · a'(z)                         db = Σ dz
                    dW[o, p, q] = Σ_{n, d, i, j} xᵀ dz      of the x that tap (o, p, q) read for z[n, d, i, j]
                    dx = Σ_{d, i, j, o, p, q} dz W[o, p, q]ᵀ    added up at the place that was read

    Shapes: x (N, D, H, W, C) · kernel W (KD, KH, KW, C/groups, F) · bias b (F,) · y (N, OD, OH, OW, F), sizes each as
    in `Conv2D`. D, H and W may be of any length.
    Saves: x for dW, and y (or z, where a' is computed from z).

    Args:
        filters: number of output channels F.
        kernel_size: KD, KH and KW, one number for all or three.
        strides: steps of the window, one number or three.
        padding: "valid" or "same".
        data_format: None or "channels_last".
        dilation_rate: distance between the window's taps, one number or three. Unlike in Keras it goes together with
            strides above 1.
        groups: channels and filters are cut into that many parts, and part i of the filters sees part i of the
            channels.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a b.
        kernel_initializer, bias_initializer: name or `npdl.initializers` object.
        kernel_regularizer, bias_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        kernel_constraint, bias_constraint: name or `npdl.constraints` object.
        padding_mode: what windows see outside, as PyTorch names it: "zeros", "reflect", "replicate" or "circular".

    Raises:
        ValueError: a size below 1, groups that do not divide, samples that are no volumes, a window larger than they
            are.

    Reference: Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, ICCV 2015.

    >>> Conv3D(8, 3, padding="same", strides=(1, 2, 2)).init(input_shape=(16, 28, 28, 1), seed=0).output_shape
    (16, 14, 14, 8)
    """

    axes = 3


class Conv3DTranspose(ConvTranspose):
    """Transposed convolution of volumes: each place adds its window of the output, multiplied by a matrix.

        forward     z[n, d·stride + o·dilation − pad, i·stride + ..., j·stride + ...] += x[n, d, i, j] W[o, p, q]ᵀ
                    over all d, i, j, o, p and q;       z += b      y = a(z)
        backward    dz = dy · a'(z)     db = Σ dz
                    dW[o, p, q] = Σ_{n, d, i, j} dzᵀ x      of the dz that tap (o, p, q) gave x[n, d, i, j] to
                    dx[n, d, i, j] = Σ_{o, p, q} dz W[o, p, q]

    Shapes: x (N, D, H, W, C) · kernel W (KD, KH, KW, F/groups, C) · bias b (F,) · y (N, OD, OH, OW, F), sizes each as
    in `Conv2DTranspose`. D, H and W may be of any length.
    Saves: x for dW, and y (or z, where a' is computed from z).

    Args: as of `Conv2DTranspose`, one number or three each.

    Raises:
        ValueError: as `Conv2DTranspose`; samples that are no volumes.

    >>> Conv3DTranspose(8, 3, strides=2, padding="same").init(input_shape=(4, 7, 7, 16), seed=0).output_shape
    (8, 14, 14, 8)
    """

    axes = 3
