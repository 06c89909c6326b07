"""AveragePooling1D, AveragePooling2D and AveragePooling3D."""

from npdl.layers.pooling import AveragePool


class AveragePooling1D(AveragePool):
    """The mean of each window of a sequence.

        forward     y[n, t, c] = Σ x of the window's steps / their number
        backward    dx = Σ dy / number, over the windows that hold this step

    Steps outside the sequence take no part: they do not count in the number, as in Keras.

    Shapes: x (N, T, C) · y (N, OT, C), sizes as in `Conv1D`. T may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        pool_size: the window's length.
        strides: its steps; None is pool_size.
        padding: "valid" or "same".
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no sequences, a window larger than they are.

    >>> AveragePooling1D(3, strides=1, padding="same").init(input_shape=(7, 2)).output_shape
    (7, 2)
    """

    axes = 1


class AveragePooling2D(AveragePool):
    """The mean of each window.

        forward     y[n, i, j, c] = Σ x of the window's places / their number
        backward    dx = Σ dy / number, over the windows that hold this place

    Places outside the image take no part: they do not count in the number, as in Keras.

    Shapes: x (N, H, W, C) · y (N, OH, OW, C), sizes as in `Conv2D`. H and W may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        pool_size: the window's height and width, one number for both or two.
        strides: its steps, one number or two; None is pool_size.
        padding: "valid" or "same".
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no images, a window larger than they are.

    >>> AveragePooling2D(3, strides=1, padding="same").init(input_shape=(7, 7, 2)).output_shape
    (7, 7, 2)
    """

    axes = 2


class AveragePooling3D(AveragePool):
    """The mean of each window of a volume.

        forward     y[n, d, i, j, c] = Σ x of the window's places / their number
        backward    dx = Σ dy / number, over the windows that hold this place

    Places outside the volume take no part: they do not count in the number, as in Keras.

    Shapes: x (N, D, H, W, C) · y (N, OD, OH, OW, C), sizes each as in `Conv2D`. D, H and W may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        pool_size: the window's depth, height and width, one number for all or three.
        strides: its steps, one number or three; None is pool_size.
        padding: "valid" or "same".
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no volumes, a window larger than they are.

    >>> AveragePooling3D(2).init(input_shape=(8, 6, 6, 2)).output_shape
    (4, 3, 3, 2)
    """

    axes = 3
