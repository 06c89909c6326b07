"""GlobalAveragePooling1D, GlobalAveragePooling2D and GlobalAveragePooling3D."""

from npdl.layers.global_pooling import GlobalAveragePool


class GlobalAveragePooling1D(GlobalAveragePool):
    """The mean of each channel over the whole sequence.

        forward     y[n, c] = Σ_t x[n, t, c] / T
        backward    dx[n, t, c] = dy[n, c] / T

    Shapes: x (N, T, C) · y (N, C), or (N, 1, C) with keepdims. T may be of any length.
    Saves: nothing but the sizes, on which alone the gradient depends.

    Args:
        data_format: None or "channels_last".
        keepdims: keep the axis of steps as one of length 1.

    Raises:
        ValueError: samples that are no sequences.

    >>> GlobalAveragePooling1D().init(input_shape=(100, 64)).output_shape
    (64,)
    """

    axes = 1


class GlobalAveragePooling2D(GlobalAveragePool):
    """The mean of each channel over the whole image.

        forward     y[n, c] = Σ x[n, h, w, c] / (H W)
        backward    dx[n, h, w, c] = dy[n, c] / (H W)

    Shapes: x (N, H, W, C) · y (N, C), or (N, 1, 1, C) with keepdims. H and W may be of any length.
    Saves: nothing but the sizes, on which alone the gradient depends.

    Args:
        data_format: None or "channels_last".
        keepdims: keep height and width as axes of length 1.

    Raises:
        ValueError: samples that are no images.

    Reference: Lin, Chen and Yan, Network In Network, 2013.

    >>> GlobalAveragePooling2D().init(input_shape=(7, 7, 64)).output_shape
    (64,)
    """

    axes = 2


class GlobalAveragePooling3D(GlobalAveragePool):
    """The mean of each channel over the whole volume.

        forward     y[n, c] = Σ x[n, d, h, w, c] / (D H W)
        backward    dx[n, d, h, w, c] = dy[n, c] / (D H W)

    Shapes: x (N, D, H, W, C) · y (N, C), or (N, 1, 1, 1, C) with keepdims. D, H and W may be of any length.
    Saves: nothing but the sizes, on which alone the gradient depends.

    Args:
        data_format: None or "channels_last".
        keepdims: keep depth, height and width as axes of length 1.

    Raises:
        ValueError: samples that are no volumes.

    >>> GlobalAveragePooling3D().init(input_shape=(4, 7, 7, 64)).output_shape
    (64,)
    """

    axes = 3
