"""What the device class and the kernels ask of a driver, real or the stand-in."""

import abc
import math

import numpy as np

from npdl.devices.cuda.array import CudaArray


class Driver(abc.ABC):
    """Moves bytes, launches kernels, multiplies matrices, all in the order in which it is asked.

    Attributes:
        kept: what kernels keep on the device from call to call, by keys of their own.
    """

    def __init__(self):
        self._scratch, self.kept = None, {}

    @abc.abstractmethod
    def allocate(self, nbytes):
        """A piece of memory, with `driver` and `address`; freed when nobody refers to it."""

    @abc.abstractmethod
    def upload(self, array, host):
        """Copy a host array into a `CudaArray` of the same shape and dtype."""

    @abc.abstractmethod
    def download(self, array):
        """A NumPy array with a `CudaArray`'s values."""

    @abc.abstractmethod
    def launch(self, kernel, blocks, threads, arguments):
        """Start a kernel on blocks (x, y, z) of threads (x, y, z)."""

    @abc.abstractmethod
    def product(self, a, b, out, transpose_a, transpose_b, add=False):
        """out = op(a) op(b) of matrices; with `add` out += op(a) op(b)."""

    def array(self, shape, dtype):
        """An uninitialised array."""
        dtype = np.dtype(dtype)
        return CudaArray(self.allocate(math.prod(shape) * dtype.itemsize), 0, shape, dtype)

    def filled(self, host):
        """An array with a host array's values."""
        array = self.array(host.shape, host.dtype)
        self.upload(array, np.ascontiguousarray(host))
        return array

    def scratch(self, count):
        """An array of `count` float32, the caller's until it asks again or another does."""
        if self._scratch is None or self._scratch.size < count:
            self._scratch = self.array((count,), np.float32)
        return self._scratch[0:count]
