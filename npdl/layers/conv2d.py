"""Conv2D: two-dimensional convolution, and what it shares with Conv1D and Conv3D."""

from npdl import initializers
from npdl.layers import arguments, spatial
from npdl.layers.convolving import Convolving


class Convolution(Convolving):
    """y = a(x convolved with W + b), along any number of axes."""

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, groups=1,
        activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
        padding_mode="zeros", **base,
    ):  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias_initializer,
            padding_mode, **base,
        )  # fmt: skip
        self.filters = arguments.whole(self, "filters", filters, f"{type(self).__name__}(32, 3)")
        self.groups = arguments.whole(self, "groups", groups, "groups=1")
        spatial.divide(self, "filters", filters)
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        spatial.samples(self, input_shape, self.axes)
        channels = spatial.divide(self, "channels", input_shape[-1], input_shape)
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.add_weight(shape, self.kernel_initializer, name="kernel")
        self.declare_bias()
        return self.slide(input_shape, self.filters, self.groups)

    def forward(self, x, training=False):
        W, b = self.taps(self.params["kernel"]), self.params.get("bias")
        x, sides, g = self.padded(x)
        if self.pool is not None:  # y = the maximum of each 2 x 2 of z
            y, winners, ending = self.behind((len(x), *self.sizes(g), g.filters), training)
            self.k.conv2d_pooled(x, W, g, out=y, bias=b, winners=winners, activation=ending)
            return self.finish(training, y, None, x, g, sides, winners)
        y = self.buffer("y", (len(x), *self.sizes(g), g.filters))
        z = self.buffer("z", y.shape) if training and self.activation.needs == "z" else None
        given = {"bias": b, "activation": self.activation, "z": self.seen(z)}
        self.of_axes("conv")(self.seen(x), W, g, out=self.seen(y), **given)  # y = a(im2col(x) W + b)
        return self.finish(training, y, z, x, g, sides)

    def backward(self, dy):
        if self.pool is not None:
            return self.backward_pooled(dy)
        x, g, sides, y, output = self.saved()
        dz = self.seen(self.begin(dy, y, output))  # dz = dy · a'(z), db = Σ dz
        return self.gradients(x, dz, g, sides)

    def backward_pooled(self, dy):
        """As `backward`, where dz = dy at the winner of each 2 x 2; without dx it is made in parts alone."""
        x, g, sides, winners, *_ = self.saved()
        dz = self.buffer("dz", (len(x), *g.out, g.filters)) if self.needs_dx else None
        self.k.unpool(dy, winners, g.out, out=dz, sums=self.grads.get("bias"))  # dz, db = Σ dz
        if dz is not None:
            return self.gradients(x, dz, g, sides)
        self.k.conv2d_pooled_dkernel(x, dy, winners, g, out=self.grads["kernel"])  # dW = im2col(x)ᵀ dz
        return None

    def gradients(self, x, dz, g, sides):
        """Assigns dW; returns dx."""
        W, dW = self.taps(self.params["kernel"]), self.taps(self.grads["kernel"])
        self.of_axes("conv_dkernel")(self.seen(x), dz, g, out=dW)  # dW = im2col(x)ᵀ dz
        if not self.needs_dx:
            return None
        dx = self.buffer("dx", x.shape)
        self.of_axes("conv_dx")(dz, W, g, out=self.seen(dx))  # dx = col2im(dz Wᵀ)
        return self.without_padding(dx, sides)


class Conv2D(Convolution):
    """Convolution: slide a window over the image, at each place multiply what it shows by a matrix, add a bias.

        forward     z[n, i, j] = Σ_{p, q} x[n, i·stride + p·dilation − pad, j·stride + q·dilation − pad] W[p, q] + b
                    y = a(z)
        backward    dz = dy · a'(z)             db = Σ dz
                    dW[p, q] = Σ_{n, i, j} xᵀ dz        of the x that tap (p, q) read for z[n, i, j]
                    dx = Σ_{i, j, p, q} dz W[p, q]ᵀ     added up at the place that was read

    With im2col, which lays each window out as a row, this is the fully connected layer: cols = im2col(x),
    z = cols W + b, dW = colsᵀ dz, dx = col2im(dz Wᵀ). npdl/kernels/reference/conv.py does just that.

    Shapes: x (N, H, W, C) · kernel W (KH, KW, C/groups, F) · bias b (F,) · y (N, OH, OW, F), H and W of any length.
        valid   OH = floor((H − (KH − 1)·dilation − 1) / stride) + 1
        same    OH = ceil(H / stride); zeros around the image, the odd one at the end
    Saves: x for dW, and y (or z, where a' is computed from z). cols is KH·KW times larger than x: nobody keeps it.

    Args:
        filters: number of output channels F.
        kernel_size: KH and KW, one number for both or two.
        strides: steps of the window, one number or two.
        padding: "valid" or "same".
        data_format: None or "channels_last".
        dilation_rate: distance between the window's taps, one number or two. Unlike in Keras it goes together with
            strides above 1.
        groups: channels and filters are cut into that many parts, and part i of the filters sees part i of the
            channels.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a b.
        kernel_initializer, bias_initializer: name or `npdl.initializers` object.
        padding_mode: what windows see outside, as PyTorch names it: "zeros", "reflect", "replicate" or "circular".
        kernel_regularizer, bias_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        kernel_constraint, bias_constraint: name or `npdl.constraints` object.

    Raises:
        ValueError: a size below 1, groups that do not divide, samples that are no images, a window larger than they
            are.

    Reference: LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998.

    >>> Conv2D(8, 3, padding="same", strides=2).init(input_shape=(28, 28, 1), seed=0).output_shape
    (14, 14, 8)
    """

    axes = 2
