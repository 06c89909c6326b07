"""Cropping1D, Cropping2D and Cropping3D."""

from npdl.layers import arguments, spatial
from npdl.layers.moving import Moving


class _Cropping(Moving):
    """What the three share: everything but the number of axes."""

    axes: int
    example: str

    def __init__(self, cropping, **base):
        super().__init__(**base)
        self.margins = spatial.margins(self, "cropping", cropping, self.axes, self.example)
        self.cropping = self.margins[0] if self.axes == 1 else self.margins

    def build(self, input_shape):
        spatial.places(self, input_shape, self.axes)
        return self.shape_of_y(input_shape)

    def shape_of_y(self, shape):
        left = [n and n - sum(both) for n, both in zip(shape, self.margins)]
        if any(n is not None and n < 1 for n in left):
            raise ValueError(
                f"{self.name}: nothing is left of samples of shape {tuple(shape)} after cropping={self.cropping}; "
                "crop less, or give it larger samples"
            )
        return (*left, shape[-1])

    def shape_of_x(self, shape):
        return (*(n + sum(both) for n, both in zip(shape, self.margins)), shape[-1])

    def move(self, x, y):
        self.k.crop(x, self.margins, out=y)

    def gather(self, dy, dx):
        self.k.pad(dy, self.margins, out=dx)  # dx = dy with zeros around it


class Cropping1D(_Cropping):
    """A sequence without its first and last steps.

        forward     y[n, t, c] = x[n, t + before, c]
        backward    dx = dy with zeros around it

    Shapes: x (N, T, C) · y (N, T − before − after, C). T may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        cropping: (before, after), or one number for both.

    Raises:
        ValueError: a number below 0, samples that are no sequences, nothing left of them.

    >>> Cropping1D((1, 2)).init(input_shape=(10, 4)).output_shape
    (7, 4)
    """

    axes, example = 1, "cropping=(1, 1)"

    def __init__(self, cropping=(1, 1), **base):
        super().__init__(cropping, **base)


class Cropping2D(_Cropping):
    """Images without their margins.

        forward     y[n, i, j, c] = x[n, i + top, j + left, c]
        backward    dx = dy with zeros around it

    Shapes: x (N, H, W, C) · y (N, H − top − bottom, W − left − right, C). H and W may be of any length.
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        cropping: ((top, bottom), (left, right)), or (both of height, both of width), or one number for all.
        data_format: None or "channels_last".

    Raises:
        ValueError: a number below 0, samples that are no images, nothing left of them.

    >>> Cropping2D(((2, 0), (1, 1))).init(input_shape=(28, 28, 3)).output_shape
    (26, 26, 3)
    """

    axes, example = 2, "cropping=((1, 1), (2, 2))"

    def __init__(self, cropping=((0, 0), (0, 0)), data_format=None, **base):
        super().__init__(cropping, **base)
        self.data_format = arguments.channels_last(self, data_format)


class Cropping3D(_Cropping):
    """Volumes without their margins.

        forward     y[n, i, j, k, c] = x[n, i + before₁, j + before₂, k + before₃, c]
        backward    dx = dy with zeros around it

    Shapes: x (N, D, H, W, C) · y (N, D − before₁ − after₁, H − ..., W − ..., C).
    Saves: nothing; the gradient depends on the sizes alone.

    Args:
        cropping: three pairs (before, after), three numbers, or one number for all.
        data_format: None or "channels_last".

    Raises:
        ValueError: a number below 0, samples that are no volumes, nothing left of them.

    >>> Cropping3D((1, 2, 2)).init(input_shape=(8, 16, 16, 1)).output_shape
    (6, 12, 12, 1)
    """

    axes, example = 3, "cropping=((1, 1), (1, 1), (1, 1))"

    def __init__(self, cropping=((1, 1), (1, 1), (1, 1)), data_format=None, **base):
        super().__init__(cropping, **base)
        self.data_format = arguments.channels_last(self, data_format)
