"""Conv1DTranspose: one-dimensional transposed convolution."""

from npdl.layers.transposing import ConvTranspose


class Conv1DTranspose(ConvTranspose):
    """Transposed convolution of sequences: each step adds its window of the output, multiplied by a matrix.

        forward     z[n, t·stride + p·dilation − pad] += x[n, t] W[p]ᵀ over all t and p;     z += b      y = a(z)
        backward    dz = dy · a'(z)     db = Σ dz
                    dW[p] = Σ_{n, t} dz[n, t·stride + p·dilation − pad]ᵀ x[n, t]
                    dx[n, t] = Σ_p dz[n, t·stride + p·dilation − pad] W[p]

    Shapes: x (N, T, C) · kernel W (K, F/groups, C) · bias b (F,) · y (N, OT, F), OT as in `Conv2DTranspose`. T may be
    of any length.
    Saves: x for dW, and y (or z, where a' is computed from z).

    Args: as of `Conv2DTranspose`, one number each.

    Raises:
        ValueError: as `Conv2DTranspose`; samples that are no sequences.

    >>> Conv1DTranspose(8, 4, strides=2, padding="same").init(input_shape=(50, 16), seed=0).output_shape
    (100, 8)
    """

    axes = 1
