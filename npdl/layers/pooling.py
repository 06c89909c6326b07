"""MaxPooling2D and AveragePooling2D."""

from npdl import activations
from npdl.layers import arguments
from npdl.layers.base import Layer


class _Pooling2D(Layer):
    """What the two poolings share: the window."""

    def __init__(self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, **base):
        super().__init__(**base)
        self.pool_size = arguments.pair(self, "pool_size", pool_size, "pool_size=2")
        self.strides = self.pool_size if strides is None else arguments.pair(self, "strides", strides, "strides=2")
        self.padding = arguments.padding_mode(self, padding)
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        self.window = g = arguments.window(self, input_shape, ("pool_size",))
        return g.out_h, g.out_w, g.channels

    def flops(self):
        g = self.window
        return g.out_h * g.out_w * g.channels * g.kernel_h * g.kernel_w


class MaxPooling2D(_Pooling2D):
    """The maximum of each window.

        forward     y[n, i, j, c] = max over the window's taps (p, q) of x[n, i·stride + p − pad, j·stride + q − pad, c]
        backward    dx = Σ dy of the windows that this place won, 0 where it won none

    The first maximum wins a tie. Places outside the image take no part: they never win, however negative the image is.

    Shapes: x (N, H, W, C) · y (N, OH, OW, C), sizes as in `Conv2D`.
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

    activation = activations.linear  # a model puts the ReLU layer beside it here, inside fit and predict

    def forward(self, x, training=False):
        g = self.window
        y = self.buffer("y", (len(x), g.out_h, g.out_w, g.channels))
        if not training:
            self.k.max_pool2d(x, g, out=y, activation=self.activation)
            self.forget()
            return y
        taps = g.kernel_h * g.kernel_w
        winners = self.buffer("winners", y.shape, "uint8" if taps <= 256 else "int32")
        self.k.max_pool2d(x, g, out=y, winners=winners, activation=self.activation)
        self.save(winners, y)
        return y

    def backward(self, dy):
        (winners, y), g = self.saved(), self.window
        dx = self.buffer("dx", (len(dy), g.in_h, g.in_w, g.channels))
        self.k.max_pool2d_grad(dy, winners, g, out=dx, y=y, activation=self.activation)
        return dx


class AveragePooling2D(_Pooling2D):
    """The mean of each window.

        forward     y[n, i, j, c] = Σ x of the window's places / their number
        backward    dx = Σ dy / number, over the windows that hold this place

    Places outside the image take no part: they do not count in the number, as in Keras.

    Shapes: x (N, H, W, C) · y (N, OH, OW, C), sizes as in `Conv2D`.
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

    def forward(self, x, training=False):
        g = self.window
        y = self.buffer("y", (len(x), g.out_h, g.out_w, g.channels))
        self.k.average_pool2d(x, g, out=y)
        if training:
            self.save()
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        g = self.window
        dx = self.buffer("dx", (len(dy), g.in_h, g.in_w, g.channels))
        self.k.average_pool2d_grad(dy, g, out=dx)
        return dx
