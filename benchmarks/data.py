"""The same numbers for every engine, channels last, float32."""

import numpy as np


def normal(*shape, seed=0, scale=1.0):
    """Standard normal numbers times `scale`."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) * np.float32(scale)


def labels(n, classes, seed=1):
    """n classes 0 ... classes - 1, int64."""
    return np.random.default_rng(seed).integers(0, classes, n)


def sequences(n, length, classes):
    """(x, y) of that length: whole numbers below `classes`, int64, each y the number that follows."""
    numbers = np.random.default_rng(0).integers(0, classes, (n, length + 1))
    return np.ascontiguousarray(numbers[:, :-1]), np.ascontiguousarray(numbers[:, 1:])


def images(samples, width=784, seed=2):
    """Rows of `width` numbers between 0 and 1, and labels of ten classes: as large as MNIST."""
    return np.random.default_rng(seed).random((samples, width), dtype=np.float32), labels(samples, 10)


def mnist():
    """((x, y), (x_test, y_test)): images (N, 28, 28, 1) float32 from 0 to 1, labels int64.

    Raises:
        FileNotFoundError: the files are not there and cannot be downloaded.
    """
    from npdl.datasets import mnist  # here: other engines' processes do not hold npdl otherwise

    return tuple(((x[..., None] / np.float32(255)), y.astype(np.int64)) for x, y in mnist.load_data())
