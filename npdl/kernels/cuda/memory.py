"""What kernels' wrappers do with memory that is there already: other dtypes for it, parts of the driver's scratch."""

import numpy as np


def viewed(array, dtype):
    """The memory of an array under another dtype of the same size, or, of a flat array, of a multiple of it.

    Kernels read and write bool as uint8, 0 or 1: Numba has no pointers to bool.
    """
    if array is None:
        return None
    small, large = array.dtype.itemsize, np.dtype(dtype).itemsize
    shape = array.shape if small == large else (array.size * small // large,)
    return type(array)(array.memory, array.offset, shape, dtype)


def areas(driver, *counts):
    """Parts of the driver's scratch, so many float32 each, at multiples of 16 bytes; the caller's until the next call.

    Together, for a second call of `driver.scratch` may give the same memory.
    """
    starts = [0]
    for count in counts:
        starts.append(starts[-1] + -(-count // 4) * 4)
    whole = driver.scratch(starts[-1])
    return [whole[start : start + count] for start, count in zip(starts, counts, strict=False)]
