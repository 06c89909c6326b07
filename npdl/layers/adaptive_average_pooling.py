"""AdaptiveAveragePooling1D, AdaptiveAveragePooling2D and AdaptiveAveragePooling3D."""

from npdl.layers.adaptive_pooling import AdaptiveAveragePool


class AdaptiveAveragePooling1D(AdaptiveAveragePool):
    """The means of a given number of bins of a sequence.

        forward     y[n, t, c] = Σ x of the bin / its size
        backward    dx = Σ dy / size, over the bins that hold this step

    Bin t of OT holds the steps from floor(t T / OT) to ceil((t + 1) T / OT), without this one:
    neighbours share a step where the sizes do not divide.

    Shapes: x (N, T, C) · y (N, OT, C). T may be of any length.
    Saves: nothing but the sizes, on which alone the gradient depends.

    Args:
        output_size: number of bins OT.
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no sequences.

    >>> AdaptiveAveragePooling1D(5).init(input_shape=(17, 8)).output_shape
    (5, 8)
    """

    axes = 1


class AdaptiveAveragePooling2D(AdaptiveAveragePool):
    """The means of a given number of bins of an image.

        forward     y[n, i, j, c] = Σ x of the bin / its size
        backward    dx = Σ dy / size, over the bins that hold this place

    Along the height, bin i of OH holds the places from floor(i H / OH) to ceil((i + 1) H / OH), without this one,
    and likewise along the width:
    neighbours share a place where the sizes do not divide.

    Shapes: x (N, H, W, C) · y (N, OH, OW, C). H and W may be of any length.
    Saves: nothing but the sizes, on which alone the gradient depends.

    Args:
        output_size: OH and OW, one number for both or two.
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no images.

    >>> AdaptiveAveragePooling2D((7, 5)).init(input_shape=(23, 18, 8)).output_shape
    (7, 5, 8)
    """

    axes = 2


class AdaptiveAveragePooling3D(AdaptiveAveragePool):
    """The means of a given number of bins of a volume.

        forward     y[n, d, i, j, c] = Σ x of the bin / its size
        backward    dx = Σ dy / size, over the bins that hold this place

    Along each axis, bin i of O holds the places from floor(i L / O) to ceil((i + 1) L / O) of L, without this one:
    neighbours share a place where the sizes do not divide.

    Shapes: x (N, D, H, W, C) · y (N, OD, OH, OW, C). D, H and W may be of any length.
    Saves: nothing but the sizes, on which alone the gradient depends.

    Args:
        output_size: OD, OH and OW, one number for all or three.
        data_format: None or "channels_last".

    Raises:
        ValueError: a size below 1, samples that are no volumes.

    >>> AdaptiveAveragePooling3D(2).init(input_shape=(5, 9, 9, 8)).output_shape
    (2, 2, 2, 8)
    """

    axes = 3
