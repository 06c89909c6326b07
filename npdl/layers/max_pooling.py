"""MaxPooling1D, MaxPooling2D and MaxPooling3D."""

from npdl.layers.pooling import MaxPool


class MaxPooling1D(MaxPool):
    """The maximum of each window of a sequence.

        forward     y[n, t, c] = max over the window's taps p of x[n, t·stride + p − pad, c]
        backward    dx = Σ dy of the windows that this step won, 0 where it won none

    The first maximum wins a tie. Padding takes no part: it never wins, however negative the sequence is.

    Shapes: x (N, T, C) · y (N, OT, C), sizes as in `Conv1D`. T may be of any length.
    Saves: winners, one byte an output, the number of the tap that won, and y: x itself is not needed any more.

    Args:
        pool_size: the window's length.
        strides: its steps; None is pool_size.
        padding: "valid" or "same".
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no sequences, a window larger than they are.

    >>> MaxPooling1D(2).init(input_shape=(100, 8)).output_shape
    (50, 8)
    """

    axes = 1


class MaxPooling2D(MaxPool):
    """The maximum of each window.

        forward     y[n, i, j, c] = max over the window's taps (p, q) of x[n, i·stride + p − pad, j·stride + q − pad, c]
        backward    dx = Σ dy of the windows that this place won, 0 where it won none

    The first maximum wins a tie. Places outside the image take no part: they never win, however negative the image is.

    Shapes: x (N, H, W, C) · y (N, OH, OW, C), sizes as in `Conv2D`. H and W may be of any length.
    Saves: winners, one byte an output, the number of the tap that won, and y: x itself is not needed any more.

    Args:
        pool_size: the window's height and width, one number for both or two.
        strides: its steps, one number or two; None is pool_size.
        padding: "valid" or "same".
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no images, a window larger than they are.

    >>> MaxPooling2D(2).init(input_shape=(28, 28, 8)).output_shape
    (14, 14, 8)
    """

    axes = 2


class MaxPooling3D(MaxPool):
    """The maximum of each window of a volume.

        forward     y[n, d, i, j, c] = max over the window's taps (o, p, q) of x[n, d·stride + o − pad, ...]
        backward    dx = Σ dy of the windows that this place won, 0 where it won none

    The first maximum wins a tie. Places outside the volume take no part.

    Shapes: x (N, D, H, W, C) · y (N, OD, OH, OW, C), sizes each as in `Conv2D`. D, H and W may be of any length.
    Saves: winners, one byte an output of each of two steps (`Pooling`), and their outputs.

    Args:
        pool_size: the window's depth, height and width, one number for all or three.
        strides: its steps, one number or three; None is pool_size.
        padding: "valid" or "same".
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no volumes, a window larger than they are.

    >>> MaxPooling3D((1, 2, 2)).init(input_shape=(16, 28, 28, 8)).output_shape
    (16, 14, 14, 8)
    """

    axes = 3
