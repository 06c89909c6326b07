"""GlobalMaxPooling1D, GlobalMaxPooling2D and GlobalMaxPooling3D."""

from npdl.layers.global_pooling import GlobalMaxPool


class GlobalMaxPooling1D(GlobalMaxPool):
    """The maximum of each channel over the whole sequence.

        forward     y[n, c] = max over t of x[n, t, c]
        backward    dx[n, t, c] = dy[n, c] where t won, else 0

    The first maximum wins a tie.

    Shapes: x (N, T, C) · y (N, C), or (N, 1, C) with keepdims. T may be of any length.
    Saves: winners (N, C), the step t of the maximum.

    Args:
        data_format: None or "channels_last".
        keepdims: keep the axis of steps as one of length 1.

    Raises:
        ValueError: samples that are no sequences.

    >>> GlobalMaxPooling1D(keepdims=True).init(input_shape=(100, 64)).output_shape
    (1, 64)
    """

    axes = 1


class GlobalMaxPooling2D(GlobalMaxPool):
    """The maximum of each channel over the whole image.

        forward     y[n, c] = max over h, w of x[n, h, w, c]
        backward    dx[n, h, w, c] = dy[n, c] where (h, w) won, else 0

    The first maximum, row by row, wins a tie.

    Shapes: x (N, H, W, C) · y (N, C), or (N, 1, 1, C) with keepdims. H and W may be of any length.
    Saves: winners (N, C), the place h·W + w of the maximum.

    Args:
        data_format: None or "channels_last".
        keepdims: keep height and width as axes of length 1.

    Raises:
        ValueError: samples that are no images.

    >>> GlobalMaxPooling2D(keepdims=True).init(input_shape=(7, 7, 64)).output_shape
    (1, 1, 64)
    """

    axes = 2


class GlobalMaxPooling3D(GlobalMaxPool):
    """The maximum of each channel over the whole volume.

        forward     y[n, c] = max over d, h, w of x[n, d, h, w, c]
        backward    dx[n, d, h, w, c] = dy[n, c] where (d, h, w) won, else 0

    The first maximum wins a tie.

    Shapes: x (N, D, H, W, C) · y (N, C), or (N, 1, 1, 1, C) with keepdims. D, H and W may be of any length.
    Saves: winners (N, C), the place (d·H + h)·W + w of the maximum.

    Args:
        data_format: None or "channels_last".
        keepdims: keep depth, height and width as axes of length 1.

    Raises:
        ValueError: samples that are no volumes.

    >>> GlobalMaxPooling3D(keepdims=True).init(input_shape=(4, 7, 7, 64)).output_shape
    (1, 1, 1, 64)
    """

    axes = 3
