"""FractionalMaxPooling2D and FractionalMaxPooling3D."""

from npdl.layers.fractional_pooling import FractionalMaxPool


class FractionalMaxPooling2D(FractionalMaxPool):
    """The maxima of windows that lie a fraction of a place apart: images smaller by a ratio below 2.

        forward     y[n, i, j, c] = max of the window of pool_size places that begins at the s of each axis
                    s(i) = ⌊(i + u) a⌋ − ⌊u a⌋,  a = (size − pool) / (out − 1),  s(out − 1) = size − pool
        backward    dx = Σ dy over the windows that this place won

    u is a random number for each sample, channel and axis in training, and ½ in inference, where each call gives the
    same (PyTorch draws there, too).

    Shapes: x (N, H, W, C) · y (N, OH, OW, C).
    Saves: where the windows lie and the place of each maximum.

    Args:
        pool_size: the window's height and width, one number for both or two.
        output_size: OH, OW, one number for all or 2.
        output_ratio: instead of it the part of each axis that is left, one number between 0 and 1 or 2.
        seed: of the random numbers; None makes it from the model's seed and the layer's place.
        data_format: None or "channels_last".

    Raises:
        ValueError: not one of output_size and output_ratio, sizes that do not fit the samples.

    Reference: Graham, Fractional max-pooling, 2014.

    >>> FractionalMaxPooling2D(2, output_ratio=0.7).init(input_shape=(20, 30, 3)).output_shape
    (14, 21, 3)
    """

    axes = 2


class FractionalMaxPooling3D(FractionalMaxPool):
    """The maxima of windows that lie a fraction of a place apart: volumes smaller by a ratio below 2.

        forward     y[n, d, i, j, c] = max of the window of pool_size places that begins at the s of each axis
                    s(i) = ⌊(i + u) a⌋ − ⌊u a⌋,  a = (size − pool) / (out − 1),  s(out − 1) = size − pool
        backward    dx = Σ dy over the windows that this place won

    u is a random number for each sample, channel and axis in training, and ½ in inference, where each call gives the
    same (PyTorch draws there, too).

    Shapes: x (N, D, H, W, C) · y (N, OD, OH, OW, C).
    Saves: where the windows lie and the place of each maximum.

    Args:
        pool_size: the window's depth, height and width, one number for all or three.
        output_size: OD, OH, OW, one number for all or 3.
        output_ratio: instead of it the part of each axis that is left, one number between 0 and 1 or 3.
        seed: of the random numbers; None makes it from the model's seed and the layer's place.
        data_format: None or "channels_last".

    Raises:
        ValueError: not one of output_size and output_ratio, sizes that do not fit the samples.

    Reference: Graham, Fractional max-pooling, 2014.

    >>> FractionalMaxPooling3D(2, output_ratio=0.7).init(input_shape=(10, 20, 30, 3)).output_shape
    (7, 14, 21, 3)
    """

    axes = 3
