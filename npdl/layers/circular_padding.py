"""CircularPadding1D, CircularPadding2D and CircularPadding3D."""

from npdl.layers.extended_padding import ExtendedPadding


class CircularPadding1D(ExtendedPadding):
    """Sequences that go round: before the first step comes the last one.

        forward     y[n, i, c] = x[n, s(i), c]      s(i) = (i − before) mod L
        backward    dx = Σ dy over the steps that show this one

    Shapes: x (N, T, C) · y (N, before + T + after, C). T may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        padding: (before, after), or one number for both.
        data_format: None or "channels_last".

    Raises:
        ValueError: a number below 0, samples that are no sequences, margins that are longer than an axis.

    >>> CircularPadding1D(2).init(input_shape=(10, 4)).output_shape
    (14, 4)
    """

    axes, mode = 1, "circular"


class CircularPadding2D(ExtendedPadding):
    """Images that go round along each axis: before the first place comes the last one.

        forward     y[n, i, j, c] = x[n, s(i), s(j), c]      s(i) = (i − before) mod L
        backward    dx = Σ dy over the places that show this one

    Shapes: x (N, H, W, C) · y (N, top + H + bottom, left + W + right, C). H and W may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        padding: ((top, bottom), (left, right)), or (both of height, both of width), or one number for all.
        data_format: None or "channels_last".

    Raises:
        ValueError: a number below 0, samples that are no images, margins that are longer than an axis.

    >>> CircularPadding2D(((1, 0), (3, 3))).init(input_shape=(28, 28, 3)).output_shape
    (29, 34, 3)
    """

    axes, mode = 2, "circular"


class CircularPadding3D(ExtendedPadding):
    """Volumes that go round along each axis: before the first place comes the last one.

        forward     y[n, d, i, j, c] = x[n, s(d), s(i), s(j), c]      s(i) = (i − before) mod L
        backward    dx = Σ dy over the places that show this one

    Shapes: x (N, D, H, W, C) · y (N, before₁ + D + after₁, before₂ + H + ..., before₃ + W + ..., C).
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        padding: three pairs (before, after), three numbers, or one number for all.
        data_format: None or "channels_last".

    Raises:
        ValueError: a number below 0, samples that are no volumes, margins that are longer than an axis.

    >>> CircularPadding3D(1).init(input_shape=(8, 16, 16, 1)).output_shape
    (10, 18, 18, 1)
    """

    axes, mode = 3, "circular"
