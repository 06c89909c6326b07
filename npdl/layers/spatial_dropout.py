"""SpatialDropout1D, 2D and 3D: dropout of whole channels."""

from npdl.layers import arguments
from npdl.layers.dropout import Dropout


class _SpatialDropout(Dropout):
    """What the three share: a mask with one number a channel."""

    axes: tuple = ()

    def build(self, input_shape):
        if len(input_shape) != len(self.axes) + 1 or not input_shape[-1]:
            raise ValueError(
                f"{self.name}: {type(self).__name__} reads samples ({', '.join(self.axes)}, channels), got samples of "
                f"shape {tuple(input_shape)}; put a Reshape before it, or use Dropout with a noise_shape"
            )
        self.mask_shape = (*(1 for _ in self.axes), input_shape[-1])
        return input_shape


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of a sequence: in training a channel is kept with probability 1 − rate, else it is 0.

        forward     y[n, t, c] = x[n, t, c] m[n, c]         m = 1/(1 − rate) where kept, else 0;     in inference y = x
        backward    dx = dy m

    Neighbours along a sequence tell almost the same: `Dropout`, which leaves some of them, would take little away.

    Shapes: x, y (N, steps, C).
    Saves: the step, from which backward computes the same m again.

    Args:
        rate: probability of 0, in [0, 1).
        seed: of the mask; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: rate outside [0, 1), no seed, samples of another rank.

    Reference: Tompson, Goroshin, Jain, LeCun and Bregler, Efficient Object Localization Using Convolutional Networks,
    2015.

    >>> SpatialDropout1D(0.5).init(input_shape=(10, 4)).output_shape
    (10, 4)
    """

    axes = ("steps",)

    def __init__(self, rate, seed=None, **base):
        super().__init__(rate, seed=seed, **base)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of an image: in training a channel is kept with probability 1 − rate, else it is 0.

        forward     y[n, h, w, c] = x[n, h, w, c] m[n, c]       m as of `SpatialDropout1D`
        backward    dx = dy m

    Shapes: x, y (N, H, W, C).
    Saves: the step, from which backward computes the same m again.

    Args:
        rate, seed: as of `SpatialDropout1D`.
        data_format: None or "channels_last".

    Raises:
        ValueError: as `SpatialDropout1D`; another data_format.

    >>> SpatialDropout2D(0.5).init(input_shape=(6, 6, 4)).output_shape
    (6, 6, 4)
    """

    axes = ("height", "width")

    def __init__(self, rate, data_format=None, seed=None, **base):
        super().__init__(rate, seed=seed, **base)
        self.data_format = arguments.channels_last(self, data_format)


class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels of a volume: in training a channel is kept with probability 1 − rate, else it is 0.

        forward     y[n, d, h, w, c] = x[n, d, h, w, c] m[n, c]     m as of `SpatialDropout1D`
        backward    dx = dy m

    Shapes: x, y (N, D, H, W, C).
    Saves: the step, from which backward computes the same m again.

    Args:
        rate, data_format, seed: as of `SpatialDropout2D`.

    Raises:
        ValueError: as `SpatialDropout2D`.

    >>> SpatialDropout3D(0.5).init(input_shape=(2, 6, 6, 4)).output_shape
    (2, 6, 6, 4)
    """

    axes = ("depth", "height", "width")

    def __init__(self, rate, data_format=None, seed=None, **base):
        super().__init__(rate, seed=seed, **base)
        self.data_format = arguments.channels_last(self, data_format)
