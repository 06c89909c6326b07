"""Dense: the fully connected layer."""

from npdl import activations, initializers
from npdl.layers import arguments
from npdl.layers.base import Layer


class Dense(Layer):
    """Fully connected layer: multiply by a weight matrix, add a bias, apply an activation.

        forward     z = x W + b         y = a(z)
        backward    dz = dy · a'(z)
                    dW = xᵀ dz          db = Σ dz           dx = dz Wᵀ

    Shapes: x (N, ..., D) · kernel W (D, U) · bias b (U,) · y (N, ..., U). Sums run over all leading axes.
    Saves: x for dW, and y, z or a'(z), whichever dz is made of.

    Args:
        units: number of outputs U.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a b.
        kernel_initializer, bias_initializer: name or `npdl.initializers` object.
        kernel_regularizer, bias_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        kernel_constraint, bias_constraint: name or `npdl.constraints` object.

    Raises:
        ValueError: units below 1.

    >>> Dense(3).init(input_shape=(4,), seed=0).output_shape
    (3,)
    """

    ruled = ("kernel", "bias", "activity")

    def __init__(
        self, units, activation=None, use_bias=True,
        kernel_initializer="glorot_uniform", bias_initializer="zeros", **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.units, self.use_bias = arguments.whole(self, "units", units, "Dense(64)"), use_bias
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        if not input_shape or input_shape[-1] is None:
            raise ValueError(f"{self.name}: Dense needs a fixed last axis, got samples of shape {input_shape}")
        self.add_weight((input_shape[-1], self.units), self.kernel_initializer, name="kernel")
        if self.use_bias:
            self.add_weight((self.units,), self.bias_initializer, name="bias")
        return (*input_shape[:-1], self.units)

    def flops(self):
        rows = 1
        for size in self.output_shape[:-1]:
            rows *= size or 1
        return rows * self.units * (2 * self.input_shape[-1] + self.use_bias)

    def forward(self, x, training=False, shortcut=None):
        """y; a(x W + b + shortcut) in one pass over memory, for a layer with a way around this one."""
        W, b, y = self.params["kernel"], self.params.get("bias"), self.buffer("y", (*x.shape[:-1], self.units))
        slope = self.buffer("slope", y.shape) if training and self.activation.keeps_slope else None
        z = self.buffer("z", y.shape) if training and self.activation.needs == "z" and slope is None else None
        # y = a(x W + b)
        self.k.matmul(x, W, out=y, z=z, slope=slope, bias=b, add=shortcut, activation=self.activation)
        output = self.penalize(y)
        if training:
            self.save(x, self.activation.kept(y, z), slope, output)
        else:
            self.forget()
        return y

    def backward(self, dy, shortcut=None, times=None):
        """dx; (dx + the gradient of a way around this layer) · the slope of an activation below it, where given."""
        _, y, slope, output = self.saved()
        dy = self.with_penalty(dy, output)
        dz = self.inplace("dz", dy)
        if slope is not None:
            self.k.multiply(dy, slope, out=dz)  # dz = dy · a'(z)
        else:
            self.k.activation_grad(dy, y, self.activation, out=dz)  # dz = dy · a'(z)
        return self.backward_from_z(dz, shortcut, times)

    def slope(self):
        """a'(z), where forward has made it and dy is to be multiplied by it and by nothing else."""
        _, _, slope, output = self.saved()
        return slope if output is None else None

    def backward_from_z(self, dz, shortcut=None, times=None):
        """dx, from dz = dy · a'(z)."""
        x, *_ = self.saved()
        W, dW, db = self.params["kernel"], self.grads["kernel"], self.grads.get("bias")
        self.k.matmul(x, dz, out=dW, sums=db, transpose_a=True)  # dW = xᵀ dz, db = Σ dz
        if not self.needs_dx:
            return None
        dx = self.buffer("dx", x.shape)
        self.k.matmul(dz, W, out=dx, transpose_b=True, add=shortcut, times=times)  # dx = dz Wᵀ
        return dx
