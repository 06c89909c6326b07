"""The device class of GPUs: memory and kernels through a driver, real or the stand-in."""

import numpy as np

from npdl.devices.base import Device
from npdl.devices.cuda.array import CudaArray


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
