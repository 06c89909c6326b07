"""Initializers that keep the variance of what passes through a layer."""

import math

from npdl import random
from npdl.initializers.base import Initializer, check_seed


class VarianceScaling(Initializer):
    """Mean 0 and variance scale / n, so that a layer keeps the variance of what passes through it.

        mode "fan_in"   n = fan_in, the inputs that one output adds up
             "fan_out"  n = fan_out
             "fan_avg"  n = (fan_in + fan_out) / 2

        distribution "truncated_normal"    stddev √(scale/n) / 0.8796, cut at two stddev
                     "untruncated_normal"  stddev √(scale/n)
                     "uniform"             limits ±√(3 scale/n)

    Kernels (D, U): fan_in = D, fan_out = U. Kernels (KH, KW, C, F): fan_in = KH·KW·C, fan_out = KH·KW·F. Where an array
    is read otherwise, the axes of its inputs and outputs say so: fan_in and fan_out are their products.

    Args:
        scale: above 0.
        mode, distribution: as above ("normal" is "truncated_normal").
        seed: see `Initializer`.
        input_axes, output_axes: of the weight, both or none; e.g. (0,) and (1, 2) for a kernel (D, heads, size).

    Raises:
        ValueError: scale, mode or distribution is none of these; one of the axes without the other.

    References: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015. LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998.
    """

    MODES = ("fan_in", "fan_out", "fan_avg")
    DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
    CUT = 0.87962566103423978  # standard deviation of a standard normal cut at ±2

    def __init__(
        self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None, input_axes=None, output_axes=None
    ):
        distribution = {"normal": "truncated_normal"}.get(distribution, distribution)
        if not scale > 0:
            raise ValueError(f"VarianceScaling needs scale above 0, got {scale!r}; pass e.g. scale=1.0")
        for name, value, allowed in (("mode", mode, self.MODES), ("distribution", distribution, self.DISTRIBUTIONS)):
            if value not in allowed:
                raise ValueError(f"VarianceScaling has no {name} {value!r}; pass one of {', '.join(allowed)}")
        if (input_axes is None) != (output_axes is None):
            raise ValueError(
                f"{type(self).__name__} needs both input_axes and output_axes or none, got input_axes={input_axes!r}, "
                f"output_axes={output_axes!r}; pass e.g. input_axes=(0,), output_axes=(1, 2)"
            )
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, check_seed(seed)
        self.input_axes = None if input_axes is None else tuple(input_axes)
        self.output_axes = None if output_axes is None else tuple(output_axes)

    def values(self, shape, key):
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
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

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(*self.fixed, seed, input_axes, output_axes)


class GlorotUniform(_Scaled):
    """Uniform within ±√(6 / (fan_in + fan_out)); also known as Xavier. Args: as of `VarianceScaling`."""

    fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out). Args: as of `VarianceScaling`."""

    fixed = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform within ±√(6 / fan_in), for ReLU. Args: as of `VarianceScaling`."""

    fixed = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in, for ReLU. Args: as of `VarianceScaling`."""

    fixed = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform within ±√(3 / fan_in). Args: as of `VarianceScaling`."""

    fixed = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in. Args: as of `VarianceScaling`."""

    fixed = (1.0, "fan_in", "truncated_normal")


def fans(shape, input_axes=None, output_axes=None):
    """(fan_in, fan_out): how many inputs one output adds up, and how many outputs one input goes to.

    >>> fans((784, 128)), fans((3, 3, 16, 32)), fans((7,)), fans(()), fans((64, 4, 16), (0,), (1, 2))
    ((784, 128), (144, 288), (7, 7), (1, 1), (64, 64))
    """
    if input_axes is not None:
        return tuple(math.prod(shape[axis] for axis in axes) for axes in (input_axes, output_axes))
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    taps = math.prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1]
