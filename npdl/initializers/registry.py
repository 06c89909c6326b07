"""Initializers by name."""

import re

import numpy as np

from npdl import names
from npdl.initializers.base import Initializer, changed
from npdl.initializers.constants import Constant, Identity, Ones, Zeros
from npdl.initializers.distributions import RandomNormal, RandomUniform, TruncatedNormal
from npdl.initializers.orthogonal import Orthogonal
from npdl.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)


class _Function(Initializer):
    """A plain function of the shape."""

    def __init__(self, function):
        self.function = function

    def values(self, shape, key):
        return self.function(shape)


_classes = {
    c.__name__: c
    for c in (
        Zeros, Ones, Constant, Identity, RandomUniform, RandomNormal, TruncatedNormal, VarianceScaling, GlorotUniform,
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
    if not changed(initializer):
        for name, found in _by_name.items():
            if found is kind:
                return name
    return {"class_name": kind.__name__, "config": initializer.get_config()}
