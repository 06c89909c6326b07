"""Constraints: what a weight is made to be after each step of the optimizer.

A layer's `kernel_constraint=`, `bias_constraint=` ... take a name or an object. `Optimizer.step` applies them, in `fit`
and by hand, to weights that are not frozen. Your own is a subclass with `__call__`; it runs in NumPy.

    layers.Dense(64, kernel_constraint=constraints.MaxNorm(2), bias_constraint="non_neg")

‖w‖ = √(Σ w² along `axis`): axis=0 for the weights that lead into each unit of a Dense, [0, 1, 2] for each filter of a
Conv2D. ε = 1e-7. Names, arguments and defaults are Keras 3's.
"""

import numbers

import numpy as np

from npdl import names

EPSILON = 1e-7  # of the compiled kernel too


class Constraint(names.Part):
    """c(w), of the shape of w; subclass it and write `__call__`.

    Every argument of `__init__` is kept under its own name.

    Attributes:
        code: the number under which the compiled kernels know it; None: they call this object instead.
    """

    code: int | None = None

    def __init_subclass__(cls, **kwargs):
        """A formula of your own is not what the compiled code of a built-in one computes."""
        super().__init_subclass__(**kwargs)
        if "__call__" in vars(cls) and "code" not in vars(cls):
            cls.code = None

    def __call__(self, w):
        """c(w)"""
        raise NotImplementedError(f"{type(self).__name__} needs __call__(self, w), which returns the new weights")


class NonNeg(Constraint):
    """c(w) = max(w, 0)"""

    code = 1

    def __call__(self, w):
        return np.maximum(w, 0)


class _Norm(Constraint):
    """c(w) = w (rate clip(‖w‖, lowest, highest) + (1 − rate) ‖w‖) / (ε + ‖w‖)

    Attributes:
        limits: (lowest, highest, rate).
    """

    code = 2
    limits: tuple[float, float, float] = (0.0, 1.0, 1.0)

    def __call__(self, w):
        lowest, highest, rate = self.limits
        norm = np.sqrt((w * w).sum(axis=self.axes(w.ndim), keepdims=True))
        return (w * ((rate * np.clip(norm, lowest, highest) + (1 - rate) * norm) / (EPSILON + norm))).astype(w.dtype)

    def axes(self, axes):
        """The axes of the norm, from 0, of a weight with so many.

        Raises:
            ValueError: it has no such axis.
        """
        several = self.axis if isinstance(self.axis, (list, tuple)) else [self.axis]
        if any(not isinstance(a, numbers.Integral) or not -axes <= a < axes for a in several):
            raise ValueError(
                f"{self!r} needs axis to be some of 0 ... {axes - 1} for a weight of {axes} axes; pass e.g. axis=0"
            )
        return tuple(sorted({int(a) % axes for a in several}))


def _number(owner, name, value, highest=np.inf):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= highest:
        top = "" if highest == np.inf else f" and at most {highest}"
        raise ValueError(f"{owner} needs {name} to be a number of at least 0{top}, got {value!r}; pass e.g. {name}=1")
    return value


class MaxNorm(_Norm):
    """c(w) = w min(‖w‖, max_value) / (ε + ‖w‖)

    Args:
        max_value: the largest norm.
        axis: axis or list of axes.

    Reference: Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014.
    """

    def __init__(self, max_value=2, axis=0):
        self.max_value, self.axis = _number("MaxNorm", "max_value", max_value), axis
        self.limits = (0.0, float(max_value), 1.0)


class UnitNorm(_Norm):
    """c(w) = w / (ε + ‖w‖)

    Args:
        axis: axis or list of axes.
    """

    limits = (1.0, 1.0, 1.0)

    def __init__(self, axis=0):
        self.axis = axis


class MinMaxNorm(_Norm):
    """c(w) = w (rate clip(‖w‖, min_value, max_value) + (1 − rate) ‖w‖) / (ε + ‖w‖)

    Args:
        min_value, max_value: the smallest and the largest norm.
        rate: in (0, 1], how far it goes; 1 goes all the way.
        axis: axis or list of axes.
    """

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.max_value = _number("MinMaxNorm", "max_value", max_value)
        self.min_value = _number("MinMaxNorm", "min_value", min_value, max_value)
        self.rate, self.axis = _number("MinMaxNorm", "rate", rate, 1), axis
        self.limits = (float(min_value), float(max_value), float(rate))


_classes = {kind.__name__: kind for kind in (MaxNorm, MinMaxNorm, NonNeg, UnitNorm)}
_by_name = {"max_norm": MaxNorm, "min_max_norm": MinMaxNorm, "non_neg": NonNeg, "unit_norm": UnitNorm}


def get(identifier):
    """The constraint for a name, an object or its `{"class_name", "config"}`; None for None.

    Raises:
        ValueError: an unknown name; the nearest one is suggested.
        TypeError: something else.

    >>> get("non_neg"), get({"class_name": "MaxNorm", "config": {"max_value": 3}})
    (NonNeg(), MaxNorm(max_value=3, axis=0))
    """
    return names.part("constraint", identifier, Constraint, _by_name, _classes, 'kernel_constraint="non_neg"')


def serialize(constraint):
    """What `get` reads back."""
    return {"class_name": type(constraint).__name__, "config": constraint.get_config()}
