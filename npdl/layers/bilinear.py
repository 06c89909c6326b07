"""Bilinear: products of the features of two inputs, with a learnt weight each."""

import math

from npdl import activations, initializers
from npdl.layers import arguments
from npdl.layers.base import Layer
from npdl.layers.merging import check_places, check_several


class Bilinear(Layer):
    """Every product of a feature of one input and a feature of another, weighted and summed, as in PyTorch.

        forward     p[r, i, j] = a[r, i] b[r, j]        z = p W + bias, p and W as matrices (R, I J) and (I J, U)
                    y = α(z)
        backward    dz = dy α'(z)       dW = pᵀ dz      dbias = Σᵣ dz       dp = dz Wᵀ
                    da[r, i] = Σⱼ dp[r, i, j] b[r, j]                       db[r, j] = Σᵢ dp[r, i, j] a[r, i]

    r is a row: a sample, and one place of the axes before the last. PyTorch's weight is (U, I, J), its first axis
    our last one.

    Shapes: a (N, ..., I) and b (N, ..., J) alike but for the last axis · kernel W (I, J, U) · bias (U,) · y (N, ...,
    U); x is a list or tuple of two arrays, dx a tuple.
    Saves: a, b, p, and y or z for α'.

    Args:
        units: number of outputs U.
        activation: name or `npdl.activations` object; None is linear.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: names or `npdl.initializers` objects.
        kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint: names or objects.

    Raises:
        ValueError: units below 1, not two inputs, or inputs that differ before their last axis.

    >>> Bilinear(7).init(input_shape=((5, 4), (5, 3))).params["kernel"].shape
    (4, 3, 7)
    """

    ruled = ("kernel", "bias")

    def __init__(
        self, units, activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
        **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.units = arguments.whole(self, "units", units, "Bilinear(64)")
        self.activation, self.use_bias = activations.get(activation), use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        pair = isinstance(input_shape, (tuple, list)) and len(input_shape) == 2
        if not pair or not all(isinstance(shape, (tuple, list)) and len(shape) for shape in input_shape):
            raise ValueError(
                f"{self.name}: Bilinear needs the shapes of two inputs, got input_shape={input_shape}; "
                "pass a list, e.g. layers.Bilinear(64)([a, b])"
            )
        (*places, i), (*others, j) = input_shape
        if places != others or None in (i, j):
            raise ValueError(
                f"{self.name}: Bilinear takes inputs that differ in their last axis alone, which has a fixed length, "
                f"got samples of shapes {tuple(input_shape[0])} and {tuple(input_shape[1])}; reshape one of them"
            )
        self.sizes = i, j
        self.add_weight((i, j, self.units), self.kernel_initializer, name="kernel")
        if self.use_bias:
            self.add_weight((self.units,), self.bias_initializer, name="bias")
        return (*places, self.units)

    def flops(self):
        i, j = self.sizes
        return super().flops() * (2 * i * j + self.use_bias) + (super().flops() // self.units) * i * j

    def check(self, x, expected=None):
        check_several(self, x)

    def _of_pairs(self, name, a, b):
        """a[r, i] and b[r, j] as arrays (R, I, J), in scratch memory."""
        pair = []
        for one, shape, times in ((a, (*a.shape, 1), (1, b.shape[1])), (b, (len(b), 1, b.shape[1]), (a.shape[1], 1))):
            pair.append(self.scratch(f"{name}{len(pair)}", (len(a), a.shape[1], b.shape[1])))
            self.k.repeat(one.reshape(shape), times, out=pair[-1])
        return pair

    def forward(self, x, training=False):
        check_places(self, x)
        (i, j), places = self.sizes, x[0].shape[:-1]
        rows = math.prod(places)
        a, b = x[0].reshape(rows, i), x[1].reshape(rows, j)
        W, p = self.params["kernel"].reshape(i * j, self.units), self.buffer("p", (rows, i, j))
        self.k.multiply(*self._of_pairs("pair", a, b), out=p)  # p = a b
        y = self.buffer("y", (rows, self.units))
        z = self.buffer("z", y.shape) if training and self.activation.needs == "z" else None
        given = {"bias": self.params.get("bias"), "activation": self.activation}
        self.k.matmul(p.reshape(rows, i * j), W, out=y, z=z, **given)  # y = α(p W + bias)
        if training:
            self.save(a, b, p, self.activation.kept(y, z), places)
        else:
            self.forget()
        return y.reshape(*places, self.units)

    def backward(self, dy):
        a, b, p, kept, places = self.saved()
        (rows, i, j), u = p.shape, self.units
        dz = self.inplace("dz", dy).reshape(rows, u)
        self.k.activation_grad(dy.reshape(rows, u), kept, self.activation, out=dz)  # dz = dy α'(z)
        W, dW = (one.reshape(i * j, u) for one in (self.params["kernel"], self.grads["kernel"]))
        self.k.matmul(p.reshape(rows, i * j), dz, out=dW, transpose_a=True)  # dW = pᵀ dz
        if self.use_bias:
            self.k.sum_rows(dz, out=self.grads["bias"])  # dbias = Σᵣ dz
        if not self.needs_dx:
            return None
        dp = self.scratch("dp", p.shape)
        self.k.matmul(dz, W, out=dp.reshape(rows, i * j), transpose_b=True)  # dp = dz Wᵀ
        as_pairs, bs_pairs = self._of_pairs("pair", a, b)
        da, db = self.buffer("da", (*places, i)), self.buffer("db", (*places, j))
        self.k.multiply(dp, bs_pairs, out=bs_pairs)
        self.k.sum_to(bs_pairs, out=da.reshape(rows, i, 1))  # da = Σⱼ dp b
        self.k.multiply(dp, as_pairs, out=as_pairs)
        self.k.sum_to(as_pairs, out=db.reshape(rows, 1, j))  # db = Σᵢ dp a
        return da, db
