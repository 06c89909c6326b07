"""Initializers: what a weight holds before the first step.

An initializer is called as `init(shape, key)`, with a key of `npdl.random`, and returns float64 values; the same key
gives the same bits on any machine. A layer's `kernel_initializer=` takes a name or an object:

    layers.Dense(64, kernel_initializer="he_normal")
    layers.Dense(64, kernel_initializer=initializers.RandomNormal(stddev=0.01, seed=7))

Your own is a subclass with `values(shape, key)`, or a plain function of the shape.

Names, arguments and defaults are Keras 3's. The random numbers differ from Keras'; so does the call, which takes a key
where Keras takes a dtype.
"""

import inspect
import math
import re

import numpy as np

from npdl import names, random


class Initializer:
    """Values for a weight of a given shape; subclass it and write `values(shape, key)`.

    Every argument of `__init__` is kept under its own name. An argument `seed`, where there is one and it is not None,
    takes the place of the model's key: the same values every time, in every layer.
    """

    seed: int | None = None

    def __call__(self, shape, key=None):
        """float64 values of `shape`.

        Args:
            shape: of the weight.
            key: from `npdl.random.key`; None draws one.
        """
        shape = tuple(shape)
        if self.seed is not None:
            key = random.key(self.seed, "initializer")
        elif key is None:
            key = random.key(random.draw_seed(), "initializer")
        values = np.asarray(self.values(shape, key), np.float64)
        if values.shape != shape:
            raise ValueError(
                f"{self!r} made values of shape {values.shape} for a weight of shape {shape}; "
                "return exactly the shape that was asked for"
            )
        return values

    def values(self, shape, key):
        """What the initializer is: an array of `shape`."""
        raise NotImplementedError(f"{type(self).__name__} needs values(self, shape, key), which returns the weights")

    def get_config(self):
        """The arguments that make an equal object."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in _changed(self).items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), repr(self)))


def _changed(initializer):
    """The arguments that are not at their defaults."""
    defaults = inspect.signature(type(initializer)).parameters
    return {name: v for name, v in initializer.get_config().items() if not _same(v, defaults[name].default)}


def _same(value, default):
    return type(value) is type(default) and value == default


class Zeros(Initializer):
    """0"""

    def values(self, shape, key):
        return np.zeros(shape)


class Ones(Initializer):
    """1"""

    def values(self, shape, key):
        return np.ones(shape)


class Constant(Initializer):
    """One number everywhere, or an array of exactly the weight's shape.

    Args:
        value: number or array; an array is kept as nested lists, so that it can be saved.

    Raises:
        ValueError: the array's shape is not the weight's.
    """

    def __init__(self, value=0.0):
        self.value = np.asarray(value, np.float64).tolist()

    def values(self, shape, key):
        value = np.array(self.value)
        if value.ndim and value.shape != shape:
            raise ValueError(
                f"Constant holds an array of shape {value.shape}, the weight has {shape}; reshape the array"
            )
        return np.full(shape, value)


class RandomUniform(Initializer):
    """Uniform on [minval, maxval).

    Args:
        minval, maxval: limits.
        seed: see `Initializer`.
    """

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        if not minval < maxval:
            raise ValueError(f"RandomUniform needs minval < maxval, got minval={minval}, maxval={maxval}; swap them")
        self.minval, self.maxval, self.seed = minval, maxval, _seed(seed)

    def values(self, shape, key):
        return random.uniform(key, shape, self.minval, self.maxval)


class RandomNormal(Initializer):
    """Normal.

    Args:
        mean, stddev: of the distribution.
        seed: see `Initializer`.
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = mean, _not_negative(self, stddev), _seed(seed)

    def values(self, shape, key):
        return random.normal(key, shape, self.mean, self.stddev)


class TruncatedNormal(Initializer):
    """Normal, cut off at two stddev from the mean (which leaves a standard deviation of 0.8796 stddev).

    Args:
        mean, stddev: of the distribution before it is cut.
        seed: see `Initializer`.
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = mean, _not_negative(self, stddev), _seed(seed)

    def values(self, shape, key):
        return random.truncated_normal(key, shape, self.mean, self.stddev)


class VarianceScaling(Initializer):
    """Mean 0 and variance scale / n, so that a layer keeps the variance of what passes through it.

        mode "fan_in"   n = fan_in, the inputs that one output adds up
             "fan_out"  n = fan_out
             "fan_avg"  n = (fan_in + fan_out) / 2

        distribution "truncated_normal"    stddev √(scale/n) / 0.8796, cut at two stddev
                     "untruncated_normal"  stddev √(scale/n)
                     "uniform"             limits ±√(3 scale/n)

    Kernels (D, U): fan_in = D, fan_out = U. Kernels (KH, KW, C, F): fan_in = KH·KW·C, fan_out = KH·KW·F.

    Args:
        scale: above 0.
        mode, distribution: as above ("normal" is "truncated_normal").
        seed: see `Initializer`.

    Raises:
        ValueError: scale, mode or distribution is none of these.

    References: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015. LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998.
    """

    MODES = ("fan_in", "fan_out", "fan_avg")
    DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
    CUT = 0.87962566103423978  # standard deviation of a standard normal cut at ±2

    def __init__(self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None):
        distribution = {"normal": "truncated_normal"}.get(distribution, distribution)
        if not scale > 0:
            raise ValueError(f"VarianceScaling needs scale above 0, got {scale!r}; pass e.g. scale=1.0")
        for name, value, allowed in (("mode", mode, self.MODES), ("distribution", distribution, self.DISTRIBUTIONS)):
            if value not in allowed:
                raise ValueError(f"VarianceScaling has no {name} {value!r}; pass one of {', '.join(allowed)}")
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, _seed(seed)

    def values(self, shape, key):
        fan_in, fan_out = fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(key, shape, -limit, limit)
        if self.distribution == "untruncated_normal":
            return random.normal(key, shape, 0.0, math.sqrt(variance))
        return random.truncated_normal(key, shape, 0.0, math.sqrt(variance) / self.CUT)


class _Scaled(VarianceScaling):
    """VarianceScaling of fixed arguments."""

    fixed: tuple[float, str, str]

    def __init__(self, seed=None):
        super().__init__(*self.fixed, seed)


class GlorotUniform(_Scaled):
    """Uniform within ±√(6 / (fan_in + fan_out)); also known as Xavier. Args: seed, see `Initializer`."""

    fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out). Args: seed, see `Initializer`."""

    fixed = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform within ±√(6 / fan_in), for ReLU. Args: seed, see `Initializer`."""

    fixed = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in, for ReLU. Args: seed, see `Initializer`."""

    fixed = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform within ±√(3 / fan_in). Args: seed, see `Initializer`."""

    fixed = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in. Args: seed, see `Initializer`."""

    fixed = (1.0, "fan_in", "truncated_normal")


class Orthogonal(Initializer):
    """gain times a random matrix with orthonormal columns (rows, where it is wide), every one equally likely.

    All axes but the last are one. With m rows and n ≤ m columns (else of the transpose),

        Q = H₁ H₂ ... Hₙ [I; 0] D,  Hₖ = I − 2 vₖvₖᵀ / vₖᵀvₖ,  vₖ = gₖ + s |gₖ| e,  D = diag(−s)

    where gₖ is column k of a normal (m, n) matrix from the diagonal down, e its first axis and s = sign(gₖ[0]). It is
    distributed as what Keras takes, the Q of a normal matrix's QR decomposition with a positive diagonal of R, without
    the decomposition: what a reflection makes of the next columns is again normal, and independent of it.

    Args:
        gain: factor.
        seed: see `Initializer`.

    Raises:
        ValueError: a shape of fewer than two axes.

    References: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning, 2013.
    Stewart, The efficient generation of random orthogonal matrices, 1980.
    """

    def __init__(self, gain=1.0, seed=None):
        self.gain, self.seed = gain, _seed(seed)

    def values(self, shape, key):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs a weight of at least two axes, got shape {shape}; use RandomNormal")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        m, n = max(rows, columns), min(rows, columns)
        g = random.normal(key, (m, n))
        q = np.eye(m, n)
        for k in range(n - 1, -1, -1):
            v = g[k:, k].copy()
            s = math.copysign(1.0, v[0])
            v[0] += s * math.sqrt(_sum(v * v))
            part = q[k:, k:]
            part -= (v * (2.0 / _sum(v * v)))[:, None] * _sum(v[:, None] * part)  # Hₖ q
            part[:, 0] *= -s
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


def _sum(x):
    """Σ over the first axis by adding the halves until one is left: one order on every machine. Overwrites x."""
    while len(x) > 1:
        half = (len(x) + 1) // 2
        x[: len(x) - half] += x[half:]
        x = x[:half]
    return x[0]


def fans(shape):
    """(fan_in, fan_out): how many inputs one output adds up, and how many outputs one input goes to.

    >>> fans((784, 128)), fans((3, 3, 16, 32)), fans((7,)), fans(())
    ((784, 128), (144, 288), (7, 7), (1, 1))
    """
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    taps = math.prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1]


def _seed(seed):
    return None if seed is None else random.check_seed(seed)


def _not_negative(initializer, stddev):
    if not stddev >= 0:
        raise ValueError(
            f"{type(initializer).__name__} needs stddev of at least 0, got {stddev!r}; pass e.g. stddev=0.05"
        )
    return stddev


class _Function(Initializer):
    """A plain function of the shape."""

    def __init__(self, function):
        self.function = function

    def values(self, shape, key):
        return self.function(shape)


_classes = {
    c.__name__: c
    for c in (
        Zeros, Ones, Constant, RandomUniform, RandomNormal, TruncatedNormal, VarianceScaling, GlorotUniform,
        GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal,
    )
}  # fmt: skip
_aliases = {"uniform": RandomUniform, "normal": RandomNormal}  # Keras' short names
_by_name = {re.sub("(?<=.)([A-Z])", r"_\1", name).lower(): c for name, c in _classes.items()}  # he_normal -> HeNormal


def get(identifier):
    """The initializer for a name, an object or its `{"class_name", "config"}`, a class, an array or a function.

    Names are Keras' ("glorot_uniform", "GlorotUniform"); an array is its values; a function is called with the shape.

    Raises:
        ValueError: an unknown name; the nearest one is suggested.
        TypeError: something else.
    """
    if isinstance(identifier, Initializer):
        return identifier
    if isinstance(identifier, str):
        return names.find("initializer", identifier, _by_name, _classes, _aliases)()
    if isinstance(identifier, dict) and identifier.get("class_name") in _classes:
        return _classes[identifier["class_name"]](**identifier.get("config", {}))
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if isinstance(identifier, np.ndarray):
        return Constant(identifier)
    if callable(identifier):
        return _Function(identifier)
    raise TypeError(
        f"an initializer must be a name, an npdl.initializers object, an array or a function of the shape, "
        f'got {identifier!r}; pass e.g. "glorot_uniform" or "zeros"'
    )


def serialize(initializer):
    """What `get` reads back: the name where that says it all, else class and arguments; a plain function is itself."""
    if isinstance(initializer, _Function):
        return initializer.function
    kind = type(initializer)
    if not _changed(initializer):
        for name, found in _by_name.items():
            if found is kind:
                return name
    return {"class_name": kind.__name__, "config": initializer.get_config()}
