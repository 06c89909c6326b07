"""An array in a GPU's memory."""

import math

import numpy as np

from npdl.devices.opaque import OpaqueArray


class CudaArray(OpaqueArray):
    """A C-contiguous array: a place in a piece of memory, a shape and a dtype.

    Attributes:
        memory: the driver's piece of memory, which it keeps alive; `memory.address` is where that begins.
        offset: bytes from there to the first element.
    """

    __slots__ = ("dtype", "memory", "offset", "shape", "size")

    def __init__(self, memory, offset, shape, dtype):
        self.memory, self.offset, self.shape, self.dtype = memory, offset, tuple(shape), np.dtype(dtype)
        self.size = math.prod(self.shape)

    def columns(self, start, stop):
        """Of a matrix: the `Columns` from `start` to before `stop`."""
        return Columns(self, start, stop)

    @property
    def leading(self):
        """Of a matrix: numbers from one row to the next."""
        return self.shape[1]

    @property
    def nbytes(self):
        return self.size * self.dtype.itemsize

    @property
    def address(self):
        return self.memory.address + self.offset

    def _reshaped(self, shape):
        shape = np.broadcast_to(np.uint8(0), self.shape).reshape(shape).shape if -1 in shape else shape
        if math.prod(shape) != self.size:
            raise ValueError(f"cannot reshape an array of shape {self.shape} into {tuple(shape)}")
        return CudaArray(self.memory, self.offset, shape, self.dtype)

    def _rows(self, index):
        start, stop, _ = index.indices(len(self))
        count = max(stop - start, 0)
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        return CudaArray(self.memory, self.offset + start * row, (count, *self.shape[1:]), self.dtype)


class Columns:
    """Some columns of a matrix, where they lie: what a product may read or write, and nothing else.

    Args:
        matrix: a `CudaArray` of two axes.
        start, stop: the first of them, and the one behind the last.
    """

    __slots__ = ("dtype", "leading", "memory", "offset", "shape")

    def __init__(self, matrix, start, stop):
        self.memory, self.dtype, self.leading = matrix.memory, matrix.dtype, matrix.leading
        self.offset = matrix.offset + start * matrix.dtype.itemsize
        self.shape = len(matrix), stop - start

    @property
    def address(self):
        return self.memory.address + self.offset
