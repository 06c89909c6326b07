"""ZeroPadding1D, ZeroPadding2D and ZeroPadding3D."""

from npdl.layers import arguments, spatial
from npdl.layers.moving import Moving


class _ZeroPadding(Moving):
    """What the three share: everything but the number of axes."""

    axes: int
    example: str

    def __init__(self, padding, data_format=None, **base):
        super().__init__(**base)
        self.margins = spatial.margins(self, "padding", padding, self.axes, self.example)
        self.padding = self.margins[0] if self.axes == 1 else self.margins
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.places(self, input_shape, self.axes)
        return self.shape_of_y(input_shape)

    def shape_of_y(self, shape):
        return (*(None if n is None else n + sum(both) for n, both in zip(shape, self.margins)), shape[-1])

    def shape_of_x(self, shape):
        return (*(n - sum(both) for n, both in zip(shape, self.margins)), shape[-1])

    def move(self, x, y):
        self.k.pad(x, self.margins, out=y)

    def gather(self, dy, dx):
        self.k.crop(dy, self.margins, out=dx)  # dx = dy without its margins


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after a sequence.

        forward     y[n, t, c] = x[n, t − before, c], 0 where there is none
        backward    dx = dy without its margins

    Shapes: x (N, T, C) · y (N, before + T + after, C). T may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        padding: (before, after), or one number for both.
        data_format: None or "channels_last".

    Raises:
        ValueError: a number below 0, samples that are no sequences.

    >>> ZeroPadding1D((2, 0)).init(input_shape=(10, 4)).output_shape
    (12, 4)
    """

    axes, example = 1, "padding=(1, 1)"

    def __init__(self, padding=1, data_format=None, **base):
        super().__init__(padding, data_format, **base)


class ZeroPadding2D(_ZeroPadding):
    """Zeros around images.

        forward     y[n, i, j, c] = x[n, i − top, j − left, c], 0 where there is none
        backward    dx = dy without its margins

    Shapes: x (N, H, W, C) · y (N, top + H + bottom, left + W + right, C). H and W may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        padding: ((top, bottom), (left, right)), or (both of height, both of width), or one number for all.
        data_format: None or "channels_last".

    Raises:
        ValueError: a number below 0, samples that are no images.

    >>> ZeroPadding2D(((1, 0), (3, 3))).init(input_shape=(28, 28, 3)).output_shape
    (29, 34, 3)
    """

    axes, example = 2, "padding=((1, 1), (2, 2))"

    def __init__(self, padding=(1, 1), data_format=None, **base):
        super().__init__(padding, data_format, **base)


class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes.

        forward     y[n, i, j, k, c] = x[n, i − before₁, j − before₂, k − before₃, c], 0 where there is none
        backward    dx = dy without its margins

    Shapes: x (N, D, H, W, C) · y (N, before₁ + D + after₁, before₂ + H + ..., before₃ + W + ..., C).
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        padding: three pairs (before, after), three numbers, or one number for all.
        data_format: None or "channels_last".

    Raises:
        ValueError: a number below 0, samples that are no volumes.

    >>> ZeroPadding3D(1).init(input_shape=(8, 16, 16, 1)).output_shape
    (10, 18, 18, 1)
    """

    axes, example = 3, "padding=((1, 1), (1, 1), (1, 1))"

    def __init__(self, padding=((1, 1), (1, 1), (1, 1)), data_format=None, **base):
        super().__init__(padding, data_format, **base)
