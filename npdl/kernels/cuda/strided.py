"""Arrays read in another order than memory's: an element's place as Σ stride · coordinate, by tables on the device."""

import math

import numpy as np

from npdl.kernels.cuda.kernel import device

MOST = 1 << 31
"""Elements of an array whose places are counted in 32 bits."""


@device
def place_of(i, table, axes):
    """Where element i of an array lies in another: `table` has the (size, stride) of each axis."""
    place = 0
    axis = axes - 1
    while axis >= 0:
        place += i % table[2 * axis] * table[2 * axis + 1]
        i //= table[2 * axis]
        axis -= 1
    return place


def strides_of(shape):
    """In elements, of a C-contiguous array."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def broadcast_strides(small, shape):
    """Those of an array of shape `small` where it stands for one of `shape`: 0 along the axes where it is repeated."""
    padded = (1,) * (len(shape) - len(small)) + tuple(small)
    return tuple(0 if size == 1 else step for size, step in zip(padded, strides_of(padded), strict=True))


def folded(shape, strides):
    """[(size, stride)] of as few axes as there can be: neighbours that are walked through like one become one."""
    axes = [[1, 0]]
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if axes[-1][0] == 1 or axes[-1][1] == size * stride:
            axes[-1] = [axes[-1][0] * size, stride]
        else:
            axes.append([size, stride])
    return axes


def table_for(driver, shape, strides):
    """(table, axes) for `place_of`, kept on the device."""
    key = "strided", tuple(shape), tuple(strides)
    if key not in driver.kept:
        driver.kept[key] = driver.filled(np.array(folded(shape, strides), np.int32))
    return driver.kept[key], len(driver.kept[key])


def offsets(driver, shape, axes):
    """Places of the elements along some axes, the others' coordinates being 0; int32, kept on the device."""
    key = "offsets", tuple(shape), tuple(axes)
    if key not in driver.kept:
        if math.prod(shape) > MOST:
            raise ValueError(f"an array of shape {tuple(shape)} has more than 2³¹ elements: too many for these tables")
        found, strides = np.zeros(1, np.int32), strides_of(shape)
        for axis in axes:
            steps = np.arange(shape[axis], dtype=np.int32) * np.int32(strides[axis])
            found = (found[:, None] + steps).reshape(-1)
        driver.kept[key] = driver.filled(found)
    return driver.kept[key]
