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


linear, relu, leaky_relu, elu, gelu = Linear(), ReLU(), LeakyReLU(), ELU(), GELU()
sigmoid, tanh, softmax = Sigmoid(), Tanh(), Softmax()

_by_name = {a.name: a for a in (linear, relu, leaky_relu, elu, gelu, sigmoid, tanh, softmax)}
_classes = {type(a).__name__: type(a) for a in _by_name.values()}


def get(identifier):
    """The activation object for None (linear), a name, an object or its `{"class_name", "config"}`.

    Raises:
        ValueError: an unknown name; the nearest one is suggested.
        TypeError: something else.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, Activation):
        return identifier
    if isinstance(identifier, dict) and identifier.get("class_name") in _classes:
        return _classes[identifier["class_name"]](**identifier.get("config", {}))
    if isinstance(identifier, str):
        return names.find("activation", identifier, _by_name)
    raise TypeError(
        f"activation must be a name or an npdl.activations object, got {identifier!r}; "
        'pass e.g. activation="relu", or subclass npdl.activations.Activation'
    )


def serialize(activation):
    """What `get` reads back: the name where that says it all, else class and arguments."""
    if _by_name.get(activation.name) == activation:
        return activation.name
    return {"class_name": type(activation).__name__, "config": activation.get_config()}
