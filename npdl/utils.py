"""Small helpers with Keras' names."""

import numpy as np


def to_categorical(x, num_classes=None):
    """Class numbers as rows of 0 and 1: y[..., c] = 1 where x = c.

    Args:
        x: whole numbers 0 ... C − 1, any shape; a last axis of one, as in (N, 1), is dropped.
        num_classes: C; None takes the largest number plus one.

    Returns:
        float32, shape (..., C).

    Raises:
        TypeError: x holds something other than whole numbers.
        ValueError: x is empty and num_classes is None, or a number lies outside 0 ... C − 1.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    x = np.asarray(x)
    if x.dtype.kind not in "iufb" or not np.all(np.isfinite(x) & (x == np.floor(x))):
        raise TypeError(
            f"to_categorical needs whole numbers, got dtype {x.dtype}, e.g. {x.reshape(-1)[:1].tolist()}; "
            "number the classes by np.unique(x, return_inverse=True)[1]"
        )
    x = x.astype(np.int64)
    if x.ndim > 1 and x.shape[-1] == 1:
        x = x[..., 0]
    if num_classes is None:
        if not x.size:
            raise ValueError("to_categorical got no class numbers; pass num_classes, e.g. num_classes=10")
        num_classes = int(x.max()) + 1
    wrong = np.unique(x[(x < 0) | (x >= num_classes)])
    if wrong.size:
        raise ValueError(
            f"class numbers lie in 0 ... {num_classes - 1}, got {', '.join(map(str, wrong[:5]))}; number the "
            f"classes from 0 (np.unique(x, return_inverse=True)[1]), or pass num_classes"
        )
    y = np.zeros((*x.shape, num_classes), np.float32)
    np.put_along_axis(y, x[..., None], 1, -1)
    return y
