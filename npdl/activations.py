"""Activation functions: one object each, with its formula and its derivative.

A layer's `activation=` takes a name or one of these objects and hands it down to the kernels, which compute it in the
same pass as the layer's own work. Your own activation is a subclass with `__call__` and `derivative`; it runs in NumPy.

    y = a(z)        dz = dy · a'(z)

References: the definitions are Keras 3's, names and defaults too.
"""

import math

import numpy as np

from npdl import names


class Activation:
    """y = a(z), elementwise.

    Attributes:
        name: Keras' name.
        code: the number under which the compiled kernels know it; None: they call this object instead.
        constants: up to three numbers for the compiled kernels.
        needs: what the derivative is computed from, "y", "z" or, for a constant, None.
    """

    name = ""
    code: int | None = None
    constants: tuple[float, ...] = ()
    needs: str | None = "y"

    def __init_subclass__(cls, **kwargs):
        """What a built-in function's compiled code and shortcuts compute is no longer so for a formula of your own."""
        super().__init_subclass__(**kwargs)
        for kind in cls.__mro__[: cls.__mro__.index(Activation)]:  # the first that has any of them, a mixin too
            if "code" in vars(kind):
                break
            if {"__call__", "derivative", "gradient"} & vars(kind).keys():
                cls.code = None
                if "derivative" in vars(kind) and "gradient" not in vars(kind):
                    cls.gradient = Activation.gradient  # softmax and linear have another
                cls.needs = cls.needs or "y"
                break

    def __call__(self, z):
        """a(z)"""
        raise NotImplementedError(f"{type(self).__name__} needs __call__(self, z), the formula of a(z)")

    def derivative(self, saved):
        """a'(z), from y or from z as `needs` says"""
        raise NotImplementedError(f"{type(self).__name__} needs derivative(self, saved), the formula of a'(z)")

    def gradient(self, dy, saved):
        """dz = dy · a'(z)"""
        return dy * self.derivative(saved)

    def kept(self, y, z=None):
        """What a layer keeps for the derivative: that one of the two that it `needs`, None for neither."""
        return {"y": y, "z": z}.get(self.needs)

    def get_config(self):
        """The arguments that make an equal object."""
        return {}

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), *map(str, self.get_config().items())))


class Linear(Activation):
    """y = z"""

    name, code, needs = "linear", 0, None

    def __call__(self, z):
        return z

    def gradient(self, dy, saved):
        return dy


class ReLU(Activation):
    """y = max(z, 0), and more generally

        y = max_value                           z >= max_value
        y = z                       threshold <= z <  max_value
        y = negative_slope · (z − threshold)    z <  threshold

    a'(z) = 1, 0 or negative_slope likewise; 0 at the kink z = 0 of the plain form, as in PyTorch and TensorFlow. Of
    z = −0 the plain form makes +0, the others, such as max_value=6, −0.
    """

    name, code = "relu", 1

    def __init__(self, negative_slope=0.0, max_value=None, threshold=0.0):
        self.negative_slope, self.max_value, self.threshold = negative_slope, max_value, threshold
        self.plain = negative_slope == 0 and max_value is None and threshold == 0
        code, self.needs = (1, "y") if self.plain else (2, "z")
        self.code = None if type(self).code is None else code
        self.constants = (negative_slope, math.inf if max_value is None else max_value, threshold)

    def __call__(self, z):
        slope, top, threshold = self.constants
        if self.plain:
            return np.maximum(z, 0)
        return np.where(z >= top, top, np.where(z >= threshold, z, slope * (z - threshold))).astype(z.dtype)

    def derivative(self, saved):
        slope, top, threshold = self.constants
        if self.plain:
            return (saved > 0).astype(saved.dtype)
        return np.where(saved >= top, 0, np.where(saved > threshold, 1, slope)).astype(saved.dtype)

    def get_config(self):
        return {"negative_slope": self.negative_slope, "max_value": self.max_value, "threshold": self.threshold}


class LeakyReLU(Activation):
    """y = z where z > 0, else negative_slope · z;  a' = 1 where y > 0, else negative_slope"""

    name, code = "leaky_relu", 3

    def __init__(self, negative_slope=0.2):
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"negative_slope must be at least 0, got {negative_slope!r}; pass e.g. LeakyReLU(0.2)")
        self.negative_slope = negative_slope
        self.constants = (negative_slope,)

    def __call__(self, z):
        return np.where(z > 0, z, z.dtype.type(self.negative_slope) * z)

    def derivative(self, y):
        return np.where(y > 0, 1, self.negative_slope).astype(y.dtype)

    def get_config(self):
        return {"negative_slope": self.negative_slope}


class ELU(Activation):
    """y = z where z > 0, else α (eᶻ − 1);  a' = 1 where y > 0, else y + α"""

    name, code = "elu", 4

    def __init__(self, alpha=1.0):
        if alpha < 0:
            raise ValueError(f"alpha must be at least 0, got {alpha!r}; pass e.g. ELU(1.0)")
        self.alpha = alpha
        self.constants = (alpha,)

    def __call__(self, z):
        return np.where(z > 0, z, z.dtype.type(self.alpha) * np.expm1(np.minimum(z, 0)))

    def derivative(self, y):
        return np.where(y > 0, 1, y + y.dtype.type(self.alpha)).astype(y.dtype)

    def get_config(self):
        return {"alpha": self.alpha}


_erf = np.frompyfunc(math.erf, 1, 1)


class GELU(Activation):
    """y = z Φ(z), Φ(z) = ½ (1 + erf(z/√2));  a' = Φ(z) + z φ(z), φ(z) = e^(−z²/2) / √(2π)

    approximate=True: y = ½ z (1 + t), t = tanh(u), u = √(2/π) (z + 0.044715 z³);  a' = ½ (1 + t) + ½ z (1 − t²) u'

    Reference: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """

    name, code, needs = "gelu", 5, "z"

    def __init__(self, approximate=False):
        self.approximate = approximate
        self.code = 6 if approximate and type(self).code else type(self).code

    def _tanh(self, z):
        c = math.sqrt(2 / math.pi)
        z = np.clip(z, -30, 30)  # tanh(u) is ±1 long before; z³ stays in range
        return np.tanh(c * (z + 0.044715 * z**3)), c * (1 + 3 * 0.044715 * z**2)

    def __call__(self, z):
        if self.approximate:
            return (0.5 * z * (1 + self._tanh(z)[0])).astype(z.dtype)
        return (z * 0.5 * (1 + _erf(z / math.sqrt(2)).astype(z.dtype))).astype(z.dtype)

    def derivative(self, z):
        if self.approximate:
            t, slope = self._tanh(z)
            return (0.5 * (1 + t) + 0.5 * z * (1 - t * t) * slope).astype(z.dtype)
        near = np.clip(z, -40, 40)  # e^(−z²/2) is 0 long before
        density = np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi)
        return (0.5 * (1 + _erf(z / math.sqrt(2)).astype(z.dtype)) + z * density).astype(z.dtype)

    def get_config(self):
        return {"approximate": self.approximate}


class Sigmoid(Activation):
    """y = 1 / (1 + e⁻ᶻ), computed from e^−|z| so that nothing overflows;  a' = y (1 − y)"""

    name, code = "sigmoid", 7

    def __call__(self, z):
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1, e) / (1 + e)

    def derivative(self, y):
        return y * (1 - y)


class Tanh(Activation):
    """y = tanh(z);  a' = 1 − y²"""

    name, code = "tanh", 8

    def __call__(self, z):
        return np.tanh(z)

    def derivative(self, y):
        return 1 - y * y


class Softmax(Activation):
    """y = eᶻ⁻ᵐ / Σ eᶻ⁻ᵐ along `axis`, m = max z;  dz = y (dy − Σ dy y)"""

    name, code = "softmax", 9

    def __init__(self, axis=-1):
        self.axis = axis
        self.constants = (axis,)

    def __call__(self, z):
        e = np.exp(z - z.max(axis=self.axis, keepdims=True))
        return e / e.sum(axis=self.axis, keepdims=True)

    def derivative(self, y):
        raise TypeError("softmax is not elementwise; gradient(dy, y) computes dz")

    def gradient(self, dy, y):
        return y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))

    def get_config(self):
        return {"axis": self.axis}


class ReLU6(ReLU):
    """y = min(max(z, 0), 6);  a' = 1 where 0 < z < 6, else 0

    Reference: Krizhevsky, Convolutional Deep Belief Networks on CIFAR-10, 2010.
    """

    name = "relu6"

    def __init__(self):
        super().__init__(max_value=6.0)

    def get_config(self):
        return {}


class _ExponentialUnit(Activation):
    """y = s z where z > 0, else A (e^(B z) − 1);  a' = s where y > 0, else B (y + A), with constants = (s, A, B)"""

    code = 12

    def __call__(self, z):
        s, a, b = self.constants
        return np.where(z > 0, s * z, a * np.expm1(b * np.minimum(z, 0))).astype(z.dtype)

    def derivative(self, y):
        s, a, b = self.constants
        return np.where(y > 0, s, b * (y + a)).astype(y.dtype)


class SELU(_ExponentialUnit):
    """y = s z where z > 0, else s α (eᶻ − 1);  a' = s where y > 0, else y + s α

    s = 1.0507 and α = 1.6733 keep mean 0 and variance 1 from layer to layer, with `lecun_normal` weights.

    Reference: Klambauer, Unterthiner, Mayr and Hochreiter, Self-Normalizing Neural Networks, 2017.
    """

    name = "selu"
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    constants = (scale, scale * alpha, 1.0)


class CELU(_ExponentialUnit):
    """y = z where z > 0, else α (e^(z/α) − 1);  a' = 1 where y > 0, else 1 + y/α

    Reference: Barron, Continuously Differentiable Exponential Linear Units, 2017.
    """

    name = "celu"

    def __init__(self, alpha=1.0):
        if not alpha > 0:
            raise ValueError(f"alpha must be above 0, got {alpha!r}; pass e.g. CELU(1.0)")
        self.alpha = alpha
        self.constants = (1.0, alpha, 1 / alpha)

    def get_config(self):
        return {"alpha": self.alpha}


class SiLU(Activation):
    """y = z σ(z), σ the sigmoid;  a' = σ + z σ (1 − σ)

    Reference: Ramachandran, Zoph and Le, Swish: A Self-Gated Activation Function, 2017.
    """

    name, code, needs = "silu", 13, "z"

    def __call__(self, z):
        return np.maximum(z, -750) * sigmoid(z)  # −infinity · 0 is not a number

    def derivative(self, z):
        s = sigmoid(z)
        return (s + np.clip(z, -750, 750) * s * sigmoid(-z)).astype(z.dtype)


class Softplus(Activation):
    """y = ln(1 + eᶻ), computed as max(z, 0) + ln(1 + e^−|z|);  a' = σ(z) = 1 − e⁻ʸ"""

    name, code = "softplus", 14

    def __call__(self, z):
        return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))

    def derivative(self, y):
        return -np.expm1(-y)


class LogSigmoid(Activation):
    """y = ln σ(z) = −ln(1 + e⁻ᶻ);  a' = σ(−z) = 1 − eʸ"""

    name, code = "log_sigmoid", 15

    def __call__(self, z):
        return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))

    def derivative(self, y):
        return -np.expm1(y)


class Softsign(Activation):
    """y = z / (1 + |z|);  a' = 1 / (1 + |z|)²"""

    name, code, needs = "softsign", 16, "z"

    def __call__(self, z):
        near = np.clip(z, -1e30, 1e30)  # infinity / infinity is not a number
        return near / (1 + np.abs(near))

    def derivative(self, z):
        return (1 / (1 + np.abs(z))) ** 2


class Mish(Activation):
    """y = z t, t = tanh(ln(1 + eᶻ)) = n / (n + 2), n = e (e + 2), e = eᶻ;  a' = t + 4 z e (1 + e) / (n + 2)²

    Reference: Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019.
    """

    name, code, needs = "mish", 17, "z"

    def _parts(self, z):
        e = np.exp(np.minimum(z, 40))  # from there on t is 1, and e² stays in range
        n = e * (e + 2)
        return e, n, n / (n + 2)

    def __call__(self, z):
        return np.maximum(z, -750) * self._parts(z)[2]  # −infinity · 0 is not a number

    def derivative(self, z):
        e, n, t = self._parts(z)
        return t + np.clip(z, -750, 40) * (4 * e / (n + 2)) * ((1 + e) / (n + 2))


class Exponential(Activation):
    """y = eᶻ;  a' = y"""

    name, code = "exponential", 18

    def __call__(self, z):
        return np.exp(z)

    def derivative(self, y):
        return y


class _Clipped(Activation):
    """y = min(max(a z + b, lowest), 1);  a' = a where lowest < y < 1, else 0, with constants = (a, b, lowest)"""

    code = 19

    def __call__(self, z):
        a, b, lowest = self.constants
        return np.clip(a * z + b, lowest, 1).astype(z.dtype)

    def derivative(self, y):
        a, _, lowest = self.constants
        return np.where((y > lowest) & (y < 1), a, 0).astype(y.dtype)


class HardSigmoid(_Clipped):
    """y = min(max(z/6 + ½, 0), 1);  a' = 1/6 where 0 < y < 1, else 0"""

    name, constants = "hard_sigmoid", (1 / 6, 0.5, 0.0)


class SparseSigmoid(_Clipped):
    """y = min(max((z + 1)/2, 0), 1);  a' = ½ where 0 < y < 1, else 0"""

    name, constants = "sparse_sigmoid", (0.5, 0.5, 0.0)


class HardTanh(_Clipped):
    """y = min(max(z, −1), 1);  a' = 1 where −1 < y < 1, else 0"""

    name, constants = "hard_tanh", (1.0, 0.0, -1.0)


class HardSiLU(Activation):
    """y = z h(z), h(z) = min(max(z/6 + ½, 0), 1);  a' = 0 where z ≤ −3, 1 where z ≥ 3, else z/3 + ½

    Reference: Howard and others, Searching for MobileNetV3, 2019.
    """

    name, code, needs = "hard_silu", 20, "z"

    def __call__(self, z):
        return np.maximum(z, -3) * np.clip(z / 6 + 0.5, 0, 1)

    def derivative(self, z):
        return np.where(z <= -3, 0, np.where(z >= 3, 1, z / 3 + 0.5)).astype(z.dtype)


class _Threshold(Activation):
    """What functions with a threshold share."""

    def __init__(self, threshold=0.5):
        if not threshold >= 0:
            kind = type(self).__name__
            raise ValueError(f"threshold must be at least 0, got {threshold!r}; pass e.g. {kind}(0.5)")
        self.threshold = threshold
        self.constants = (threshold,)

    def derivative(self, y):
        return (y != 0).astype(y.dtype)

    def get_config(self):
        return {"threshold": self.threshold}


class HardShrink(_Threshold):
    """y = z where |z| > threshold, else 0;  a' = 1 where y ≠ 0, else 0"""

    name, code = "hard_shrink", 21

    def __call__(self, z):
        return np.where(np.abs(z) <= self.threshold, z.dtype.type(0), z)


class SoftShrink(_Threshold):
    """y = z − min(max(z, −threshold), threshold): z brought nearer to 0;  a' = 1 where y ≠ 0, else 0"""

    name, code = "soft_shrink", 22

    def __call__(self, z):
        return (z - np.clip(z, -self.threshold, self.threshold)).astype(z.dtype)


class TanhShrink(Activation):
    """y = z − tanh(z);  a' = tanh²(z)"""

    name, code, needs = "tanh_shrink", 23, "z"

    def __call__(self, z):
        return z - np.tanh(z)

    def derivative(self, z):
        return np.tanh(z) ** 2


class Threshold(Activation):
    """y = z where z > threshold, else default_value;  a' = 1 where z > threshold, else 0"""

    name, code, needs = "threshold", 24, "z"

    def __init__(self, threshold, default_value):
        self.threshold, self.default_value = threshold, default_value
        self.constants = (threshold, default_value)

    def __call__(self, z):
        return np.where(z <= self.threshold, z.dtype.type(self.default_value), z)

    def derivative(self, z):
        return (z > self.threshold).astype(z.dtype)

    def get_config(self):
        return {"threshold": self.threshold, "default_value": self.default_value}


class Squareplus(Activation):
    """y = ½ (z + r), r = √(z² + b);  a' = ½ (1 + z/r) = y² / (y² + b/4)

    For z < 0, where the sum would cancel, y = ½ b / (r − z).

    Reference: Barron, Squareplus: A Softplus-Like Algebraic Rectifier, 2021.
    """

    name, code = "squareplus", 25

    def __init__(self, b=4):
        if not b > 0:
            raise ValueError(f"b must be above 0, got {b!r}; pass e.g. Squareplus(4), or activations.relu for b = 0")
        self.b = b
        self.constants = (b,)

    def __call__(self, z):
        a, b = np.abs(z), z.dtype.type(self.b)
        near = np.minimum(a, 1e18)  # the square of more is out of range, and r = |z| long before
        double = a + np.maximum(a, np.sqrt(near * near + b))
        return np.where(z < 0, b / double, double) / 2

    def derivative(self, y):
        square = np.minimum(y, 1e18) ** 2
        return square / (square + y.dtype.type(self.b / 4))

    def get_config(self):
        return {"b": self.b}


class SparsePlus(Activation):
    """y = 0 where z ≤ −1, z where z ≥ 1, else ¼ (z + 1)²;  a' = min(max(½ (z + 1), 0), 1) = min(√y, 1)"""

    name, code = "sparse_plus", 26

    def __call__(self, z):
        return np.where(z >= 1, z, (np.maximum(z, -1) + 1) ** 2 / 4)

    def derivative(self, y):
        return np.minimum(np.sqrt(y), 1)


class LogSoftmax(Activation):
    """y = z − m − ln Σ eᶻ⁻ᵐ along `axis`, m = max z;  dz = dy − eʸ Σ dy"""

    name, code = "log_softmax", 10

    def __init__(self, axis=-1):
        self.axis = axis
        self.constants = (axis,)

    def __call__(self, z):
        z = z - z.max(axis=self.axis, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=self.axis, keepdims=True))

    def derivative(self, y):
        raise TypeError(f"{self.name} is not elementwise; gradient(dy, y) computes dz")

    def gradient(self, dy, y):
        return dy - np.exp(y) * dy.sum(axis=self.axis, keepdims=True)

    def get_config(self):
        return {"axis": self.axis}


class Sparsemax(LogSoftmax):
    """y = max(z − τ, 0) along `axis`, with the τ that makes Σ y = 1: the nearest point to z among probabilities.

        τ = (Σ z − 1) / k over the k largest z, for the largest k with z₍ₖ₎ > τ
        dz = dy − Σ dy / k where y > 0, else 0, the sum over the k places where y > 0

    Reference: Martins and Astudillo, From Softmax to Sparsemax, 2016.
    """

    name, code = "sparsemax", 11

    def __call__(self, z):
        z = np.moveaxis(z - z.max(axis=self.axis, keepdims=True), self.axis, -1)
        largest = -np.sort(-z, axis=-1)
        tau = (np.cumsum(largest, axis=-1) - 1) / np.arange(1, z.shape[-1] + 1)
        k = (largest > tau).sum(axis=-1, keepdims=True)
        return np.moveaxis(np.maximum(z - np.take_along_axis(tau, k - 1, axis=-1), 0), -1, self.axis).astype(z.dtype)

    def gradient(self, dy, y):
        there = y > 0
        mean = np.where(there, dy, 0).sum(axis=self.axis, keepdims=True) / there.sum(axis=self.axis, keepdims=True)
        return np.where(there, dy - mean, 0).astype(dy.dtype)


class GLU(Activation):
    """y = a σ(b), z = (a, b) cut in two halves along `axis`;  da = dy σ(b),  db = dy a σ(b) (1 − σ(b))

    y is half as long as z, so no layer takes it as `activation=`: `layers.GLU` is the layer.

    Reference: Dauphin, Fan, Auli and Grangier, Language Modeling with Gated Convolutional Networks, 2016.
    """

    name, needs = "glu", "z"

    def __init__(self, axis=-1):
        self.axis = axis

    def _halves(self, z):
        if z.shape[self.axis] % 2:
            raise ValueError(f"glu cuts axis {self.axis} in two halves, got shape {z.shape}; make it an even number")
        return np.split(z, 2, axis=self.axis)

    def __call__(self, z):
        a, b = self._halves(z)
        return a * sigmoid(b)

    def derivative(self, z):
        raise TypeError("glu is not elementwise; gradient(dy, z) computes dz")

    def gradient(self, dy, z):
        a, b = self._halves(z)
        s = sigmoid(b)
        return np.concatenate([dy * s, dy * a * s * sigmoid(-b)], axis=self.axis)

    def get_config(self):
        return {"axis": self.axis}


linear, relu, leaky_relu, elu, gelu = Linear(), ReLU(), LeakyReLU(), ELU(), GELU()
sigmoid, tanh, softmax, log_softmax, sparsemax = Sigmoid(), Tanh(), Softmax(), LogSoftmax(), Sparsemax()
relu6, selu, celu, silu, mish, exponential = ReLU6(), SELU(), CELU(), SiLU(), Mish(), Exponential()
softplus, softsign, squareplus, sparse_plus = Softplus(), Softsign(), Squareplus(), SparsePlus()
log_sigmoid, sparse_sigmoid = LogSigmoid(), SparseSigmoid()
hard_sigmoid, hard_silu, hard_tanh = HardSigmoid(), HardSiLU(), HardTanh()
hard_shrink, soft_shrink, tanh_shrink = HardShrink(), SoftShrink(), TanhShrink()
glu = GLU()
swish, hard_swish = silu, hard_silu

_by_name = {
    a.name: a
    for a in (
        linear, relu, relu6, leaky_relu, elu, celu, selu, gelu, silu, mish, exponential, sigmoid, log_sigmoid,
        hard_sigmoid, sparse_sigmoid, tanh, hard_tanh, hard_silu, softplus, softsign, squareplus, sparse_plus,
        hard_shrink, soft_shrink, tanh_shrink, softmax, log_softmax, sparsemax,
    )
}  # fmt: skip
_aliases = {"swish": silu, "hard_swish": hard_silu}
_classes = {type(a).__name__: type(a) for a in _by_name.values()} | {"Threshold": Threshold}


def get(identifier):
    """The activation object for None (linear), a name, an object or its `{"class_name", "config"}`.

    Raises:
        ValueError: an unknown name; the nearest one is suggested. Or glu, which halves an axis, and threshold by its
            name alone.
        TypeError: something else.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, GLU) or (isinstance(identifier, str) and identifier.lower() == glu.name):
        raise ValueError("glu makes half as many numbers, and activation= keeps their number; add layers.GLU() instead")
    if isinstance(identifier, Activation):
        return identifier
    if isinstance(identifier, dict) and identifier.get("class_name") in _classes:
        return _classes[identifier["class_name"]](**identifier.get("config", {}))
    if isinstance(identifier, str):
        if identifier.lower() == Threshold.name:
            raise ValueError("threshold needs two numbers; pass e.g. activations.Threshold(1.0, default_value=0.0)")
        return names.find("activation", identifier, _by_name, _aliases)
    raise TypeError(
        f"activation must be a name or an npdl.activations object, got {identifier!r}; "
        'pass e.g. activation="relu", or subclass npdl.activations.Activation'
    )


def serialize(activation):
    """What `get` reads back: the name where that says it all, else class and arguments."""
    if _by_name.get(activation.name) == activation:
        return activation.name
    return {"class_name": type(activation).__name__, "config": activation.get_config()}
