"""UpSampling1D, UpSampling2D and UpSampling3D."""

from npdl.kernels.taps import taps
from npdl.layers import arguments, spatial
from npdl.layers.base import Layer
from npdl.layers.moving import Moving


class _UpSampling(Moving):
    """What the three share: every place several times."""

    axes: int
    example: str
    flops = Layer.flops

    def __init__(self, size, **base):
        super().__init__(**base)
        self.times = spatial.each_axis(self, "size", size, self.axes, self.example)
        self.size = self.times[0] if self.axes == 1 else self.times

    def build(self, input_shape):
        spatial.places(self, input_shape, self.axes)
        return self.shape_of_y(input_shape)

    def shape_of_y(self, shape):
        return (*(None if n is None else n * times for n, times in zip(shape, self.times)), shape[-1])

    def shape_of_x(self, shape):
        return (*(n // times for n, times in zip(shape, self.times)), shape[-1])

    def move(self, x, y):
        self.k.repeat(x, self.times, out=y)

    def gather(self, dy, dx):
        self.k.repeat_grad(dy, self.times, out=dx)  # dx = Σ dy over the copies


class UpSampling1D(_UpSampling):
    """Every step of a sequence several times.

        forward     y[n, t, c] = x[n, t // size, c]
        backward    dx[n, t, c] = Σ dy over the copies of step t

    Shapes: x (N, T, C) · y (N, T·size, C). T may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        size: how many times.

    Raises:
        ValueError: size below 1, samples that are no sequences.

    >>> UpSampling1D(3).init(input_shape=(10, 4)).output_shape
    (30, 4)
    """

    axes, example = 1, "size=2"

    def __init__(self, size=2, **base):
        super().__init__(size, **base)


class UpSampling2D(_UpSampling):
    """Images made larger by a whole factor.

        nearest     y[n, i, j, c] = x[n, i // size₁, j // size₂, c]
                    dx[n, h, w, c] = Σ dy over the copies of place (h, w)
        bilinear    along the height and along the width, between the centres of the places:
                    y[i] = (1 − w) x[l] + w x[l + 1],       l + w = (i + ½) / size − ½,  the ends of x go on beyond it
                    dx[l] = Σ (1 − w) dy[i] + Σ w dy[i'] over the places whose left, or right, neighbour it is
        others      with the weights that `Resizing` has for them

    Shapes: x (N, H, W, C) · y (N, H·size₁, W·size₂, C). H and W may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        size: factors of height and width, or one number for both.
        data_format: None or "channels_last".
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".

    Raises:
        ValueError: a factor below 1, samples that are no images, another interpolation.

    >>> UpSampling2D((2, 3)).init(input_shape=(14, 14, 8)).output_shape
    (28, 42, 8)
    """

    axes, example = 2, "size=(2, 2)"

    def __init__(self, size=(2, 2), data_format=None, interpolation="nearest", **base):
        super().__init__(size, **base)
        self.data_format = arguments.channels_last(self, data_format)
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        self.interpolation = arguments.one_of(self, "interpolation", interpolation, known)

    def move(self, x, y):
        if self.interpolation == "nearest":
            super().move(x, y)
            return
        self.k.interpolate(x, *self._taps(x), out=y)

    def gather(self, dy, dx):
        if self.interpolation == "nearest":
            super().gather(dy, dx)
            return
        self.k.interpolate_grad(dy, *self._taps(dx), out=dx)

    def _taps(self, x):
        return (taps(n, n * times, self.interpolation) for n, times in zip(x.shape[1:3], self.times))


class UpSampling3D(_UpSampling):
    """Every place of a volume several times along each axis.

        forward     y[n, i, j, k, c] = x[n, i // size₁, j // size₂, k // size₃, c]
        backward    dx[n, i, j, k, c] = Σ dy over the copies of place (i, j, k)

    Shapes: x (N, D, H, W, C) · y (N, D·size₁, H·size₂, W·size₃, C).
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        size: three factors, or one number for all.
        data_format: None or "channels_last".

    Raises:
        ValueError: a factor below 1, samples that are no volumes.

    >>> UpSampling3D(2).init(input_shape=(4, 7, 7, 8)).output_shape
    (8, 14, 14, 8)
    """

    axes, example = 3, "size=(2, 2, 2)"

    def __init__(self, size=(2, 2, 2), data_format=None, **base):
        super().__init__(size, **base)
        self.data_format = arguments.channels_last(self, data_format)
