"""Initializers: what a weight holds before the first step.

An initializer is called as `init(shape, key)`, with a key of `npdl.random`, and returns float64 values; the same key
gives the same bits on any machine. A layer's `kernel_initializer=` takes a name or an object:

    layers.Dense(64, kernel_initializer="he_normal")
    layers.Dense(64, kernel_initializer=initializers.RandomNormal(stddev=0.01, seed=7))

Your own is a subclass with `values(shape, key)`, or a plain function of the shape.

Names, arguments and defaults are Keras 3's. The random numbers differ from Keras'; so does the call, which takes a key
where Keras takes a dtype.
"""

from npdl.initializers.base import Initializer
from npdl.initializers.constants import Constant, Identity, Ones, Zeros
from npdl.initializers.distributions import RandomNormal, RandomUniform, TruncatedNormal
from npdl.initializers.orthogonal import Orthogonal
from npdl.initializers.registry import get, serialize
from npdl.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    fans,
)

__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "Initializer", "LecunNormal",
    "LecunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
    "Zeros", "fans", "get", "serialize",
]  # fmt: skip
