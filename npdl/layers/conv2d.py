"""Conv2D: two-dimensional convolution."""

from npdl import activations, initializers
from npdl.layers import arguments
from npdl.layers.base import Layer


class Conv2D(Layer):
    """Convolution: slide a window over the image, at each place multiply what it shows by a matrix, add a bias.

        forward     z[n, i, j] = Σ_{p, q} x[n, i·stride + p·dilation − pad, j·stride + q·dilation − pad] W[p, q] + b
                    y = a(z)
        backward    dz = dy · a'(z)             db = Σ dz
                    dW[p, q] = Σ_{n, i, j} xᵀ dz        of the x that tap (p, q) read for z[n, i, j]
                    dx = Σ_{i, j, p, q} dz W[p, q]ᵀ     added up at the place that was read

    With im2col, which lays each window out as a row, this is the fully connected layer: cols = im2col(x),
    z = cols W + b, dW = colsᵀ dz, dx = col2im(dz Wᵀ). npdl/kernels/reference/conv.py does just that.

    Shapes: x (N, H, W, C) · kernel W (KH, KW, C/groups, F) · bias b (F,) · y (N, OH, OW, F).
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
        kernel_regularizer, bias_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        kernel_constraint, bias_constraint: name or `npdl.constraints` object.

    Raises:
        ValueError: a size below 1, groups that do not divide, samples that are no images, a window larger than they
            are.

    Reference: LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998.

    >>> Conv2D(8, 3, padding="same", strides=2).init(input_shape=(28, 28, 1), seed=0).output_shape
    (14, 14, 8)
    """

    ruled = ("kernel", "bias", "activity")

    def __init__(
        self, filters, kernel_size, strides=(1, 1), padding="valid", data_format=None, dilation_rate=(1, 1), groups=1,
        activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros", **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.filters = arguments.whole(self, "filters", filters, "Conv2D(32, 3)")
        self.kernel_size = arguments.pair(self, "kernel_size", kernel_size, "Conv2D(32, 3)")
        self.strides = arguments.pair(self, "strides", strides, "strides=1")
        self.padding = arguments.padding_mode(self, padding)
        self.data_format = arguments.channels_last(self, data_format)
        self.dilation_rate = arguments.pair(self, "dilation_rate", dilation_rate, "dilation_rate=1")
        self.groups = arguments.whole(self, "groups", groups, "groups=1")
        if self.filters % self.groups:
            raise ValueError(f"Conv2D: filters={filters} is no multiple of groups={groups}; make it one")
        self.activation, self.use_bias = activations.get(activation), use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        sizes = ("kernel_size", "dilation_rate")
        self.window = g = arguments.window(self, input_shape, sizes, filters=self.filters, groups=self.groups)
        if g.channels % g.groups:
            raise ValueError(
                f"{self.name}: Conv2D with groups={g.groups} needs a multiple of {g.groups} channels, "
                f"got samples of shape {input_shape}; choose groups that divide {g.channels}"
            )
        self.add_weight((*self.kernel_size, g.channels // g.groups, g.filters), self.kernel_initializer, name="kernel")
        if self.use_bias:
            self.add_weight((g.filters,), self.bias_initializer, name="bias")
        return g.out_h, g.out_w, g.filters

    def flops(self):
        g = self.window
        return g.out_h * g.out_w * g.filters * (2 * g.kernel_h * g.kernel_w * g.channels // g.groups + self.use_bias)

    def forward(self, x, training=False):
        W, b, g = self.params["kernel"], self.params.get("bias"), self.window
        y = self.buffer("y", (len(x), g.out_h, g.out_w, g.filters))
        z = self.buffer("z", y.shape) if training and self.activation.needs == "z" else None
        self.k.conv2d(x, W, g, out=y, z=z, bias=b, activation=self.activation)  # y = a(im2col(x) W + b)
        output = self.penalize(y)
        if training:
            self.save(x, self.activation.kept(y, z), output)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x, y, output = self.saved()
        W, g, dy = self.params["kernel"], self.window, self.with_penalty(dy, output)
        dz = self.inplace("dz", dy)
        self.k.activation_grad(dy, y, self.activation, out=dz)  # dz = dy · a'(z)
        self.k.conv2d_dkernel(x, dz, g, out=self.grads["kernel"])  # dW = im2col(x)ᵀ dz
        if self.use_bias:
            self.k.sum_rows(dz, out=self.grads["bias"])  # db = Σ dz
        if not self.needs_dx:
            return None
        dx = self.buffer("dx", x.shape)
        self.k.conv2d_dx(dz, W, g, out=dx)  # dx = col2im(dz Wᵀ)
        return dx
