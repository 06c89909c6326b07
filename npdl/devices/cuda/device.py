"""The device class of GPUs: memory and kernels through a driver, real or the stand-in."""

import numpy as np

from npdl.devices.base import Device
from npdl.devices.cuda.array import CudaArray
from npdl.devices.cuda.factors import Copy
from npdl.devices.precision import PRECISIONS
from npdl.kernels.cuda.loss import add_number


class RunningSum:
    """A sum of numbers that lie on the device: it grows there, and is read when somebody asks.

    Args:
        device: a `CudaDevice`.
    """

    def __init__(self, device):
        self._device, self._sum = device, device.zeros((1,), np.float64)

    def add(self, number):
        """Add a float64 array of one element, as it is when the work before is done."""
        add_number(number, out=self._sum)

    def __float__(self):
        return float(self._device.to_host(self._sum)[0])


class CudaDevice(Device):
    """Opaque arrays in a GPU's memory.

    Args:
        name: as in `model.to(name)`.
        kernels: its `Kernels`.
        driver: a `Driver`.
    """

    def __init__(self, name, kernels, driver):
        super().__init__(name, kernels)
        self.driver = driver

    def running_sum(self):
        """A `RunningSum`, 0 to begin with."""
        return RunningSum(self)

    def narrow_copy(self, flat):
        """A `Copy` of flat weights in 16 bits, None in float32."""
        return None if self.precision is None else Copy(flat, PRECISIONS[self.precision])

    def alloc(self, shape, dtype):
        return self.driver.array(shape, dtype)

    def zeros(self, shape, dtype):
        array = self.alloc(shape, dtype)
        self.write(array, np.zeros(shape, dtype))
        return array

    def view(self, array):
        return CudaArray(array.memory, array.offset, array.shape, array.dtype)

    def owner(self, array):
        return array.memory

    def from_host(self, array, dtype=None):
        if isinstance(array, CudaArray):
            return array
        return self.driver.filled(np.asarray(array, dtype))

    def to_host(self, array):
        return self.driver.download(array)

    def write(self, target, array):
        self.driver.upload(target, np.ascontiguousarray(np.broadcast_to(array, target.shape), target.dtype))
