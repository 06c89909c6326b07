"""Arrays read in another order than memory's: an element's place as Σ stride · coordinate, by tables on the device."""

import functools
import math

import numpy as np

from npdl.kernels.cuda.kernel import device

MOST = 1 << 31
"""Elements of an array whose places are counted in 32 bits."""


@device
def place_of(i, table, axes):
    """Where element i of an array lies in another: `table` has the (size, stride) of each axis, the last one first."""
    place = 0
    for axis in range(axes):
        size = table[2 * axis]
        up = i // size
        place += (i - up * size) * table[2 * axis + 1]
        i = up
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


@functools.lru_cache(1024)
def joined(sizes, *strides):
    """((size, stride, ...), ...) of axes, the last first; axes whose strides all fit make one."""
    rows = []
    for size, *steps in reversed(list(zip(sizes, *strides))):
        if rows and all(step == before * rows[-1][0] for step, before in zip(steps, rows[-1][1:])):
            rows[-1] = (rows[-1][0] * size, *rows[-1][1:])
        elif size != 1:
            rows.append((size, *steps))
    return tuple(rows)


def on_device(driver, rows):
    """A table in the driver's memory, where it stays."""
    return driver.kept.get(("table", rows), lambda: driver.filled(np.array(rows, np.int64).reshape(-1)))


def table_for(driver, shape, strides):
    """(table, axes) for `place_of`, kept on the device."""
    rows = joined(tuple(shape), tuple(strides))
    return on_device(driver, rows), len(rows)


def offsets(driver, shape, axes):
    """Places of the elements along some axes, the others' coordinates being 0; int32, kept on the device."""

    def make():
        if math.prod(shape) > MOST:
            raise ValueError(f"an array of shape {tuple(shape)} has more than 2³¹ elements: too many for these tables")
        found, strides = np.zeros(1, np.int32), strides_of(shape)
        for axis in axes:
            steps = np.arange(shape[axis], dtype=np.int32) * np.int32(strides[axis])
            found = (found[:, None] + steps).reshape(-1)
        return driver.filled(found)

    return driver.kept.get(("offsets", tuple(shape), tuple(axes)), make)
