"""Initializers that draw nothing."""

import numpy as np

from npdl.initializers.base import Initializer


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


class Identity(Initializer):
    """gain times the identity matrix:  w[i, j] = gain where i = j, else 0; of weights of two axes.

    Args:
        gain: number on the diagonal.

    Raises:
        ValueError: the weight has not two axes.
    """

    def __init__(self, gain=1.0):
        self.gain = gain

    def values(self, shape, key):
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices, the weight has shape {shape}; pass another initializer")
        return self.gain * np.eye(*shape)
