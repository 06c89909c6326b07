"""What the wrappers of compiled kernels check before memory is read by its address."""

import numpy as np


def expect(kernel, name, array, shape):
    """Raise unless `array` is a NumPy array of that shape.

    Raises:
        TypeError: not an array.
        ValueError: another shape.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{kernel}: {name} must be a NumPy array, got {type(array).__name__}; pass np.asarray({name})")
    if array.shape != tuple(shape):
        raise ValueError(f"{kernel}: {name} must have shape {tuple(shape)}, got {array.shape}")
