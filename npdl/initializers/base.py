"""Initializer: what every initializer is."""

import inspect

import numpy as np

from npdl import names, random


class Initializer(names.Part):
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

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in changed(self).items())
        return f"{type(self).__name__}({arguments})"


def changed(initializer):
    """The arguments that are not at their defaults."""
    defaults = inspect.signature(type(initializer)).parameters
    return {name: v for name, v in initializer.get_config().items() if not _same(v, defaults[name].default)}


def _same(value, default):
    return type(value) is type(default) and value == default


def check_seed(seed):
    """A whole number that a generator takes; None stays None."""
    return None if seed is None else random.check_seed(seed)
