"""The device class of GPUs: memory and kernels through a driver, real or the stand-in."""

import copy
import weakref

import numpy as np

from npdl.devices.base import Device
from npdl.devices.cuda.ahead import Feed, Fetch
from npdl.devices.cuda.array import CudaArray
from npdl.devices.cuda.factors import Copy
from npdl.devices.cuda.scale import DeviceScale
from npdl.devices.precision import PRECISIONS
from npdl.devices.workspace import current_workspace
from npdl.kernels.cuda import measure
from npdl.kernels.cuda.loss import add_number


class RunningSums:
    """Sums of numbers that lie on the device: they grow there, and are read when somebody asks.

    One at a time may use them; who did before is given what they came to.

    Args:
        device: a `CudaDevice`.
        count: how many.
    """

    def __init__(self, device, count):
        self._device, self._sums, self._user = device, device.zeros((count,), np.float64), None

    def add(self, place, number, factor=1.0):
        """Add a float64 array of one element, as it is when the work before is done, times a factor."""
        add_number(number, factor, out=self._sums[place : place + 1])

    def lend(self, user):
        """Be another user's, all 0, if they are not; the one before gets `user.settle(what they were)`."""
        before = None if self._user is None else self._user()
        if before is not user:
            if before is not None:
                before.settle(self.read())
            self._device.write(self._sums, np.zeros(self._sums.shape))
            self._user = weakref.ref(user)

    def read(self):
        """What they are, a list of floats, after all work before."""
        return self._device.to_host(self._sums).tolist()

    def is_lent_to(self, user):
        """Whether they are this user's."""
        return self._user is not None and self._user() is user


class CudaDevice(Device):
    """Opaque arrays in a GPU's memory.

    Args:
        name: as in `model.to(name)`.
        kernels: its `Kernels`.
        driver: a `Driver`.
    """

    dtypes = (np.dtype("float32"),)

    def __init__(self, name, kernels, driver):
        super().__init__(name, kernels)
        self.driver = driver

    def running_sums(self, count):
        """`RunningSums`."""
        return RunningSums(self, count)

    def loss_scale(self):
        """`DeviceScale`."""
        return DeviceScale(self.driver)

    def feed(self, shape, dtype):
        """What copies host arrays of a shape here, beside the work on those before: a `Feed`, by its `put(array)`."""
        return Feed(self.driver, shape, dtype)

    def fetch(self, shape, dtype):
        """What copies arrays of a shape back, beside the work on those after: a `Fetch`, by its `take(array)`."""
        return Fetch(self.driver, shape, dtype)

    @property
    def most_kept(self):
        """An eighth of what is free: to make memory and graphs anew takes longer than what they are for."""
        return self.driver.memory_left()[0] // 8

    def measure_elements(self, target, y, kind, threshold):
        """The sum of a metric's values of all numbers, a float64 array of one element: npdl/kernels/cuda/measure.py."""
        out = self._total()
        measure.elements(target, y, kind, threshold, out=out)
        return out

    def measure_rows(self, target, y, k, sparse):
        """How many rows of classes are right, as `measure_elements`."""
        out = self._total()
        measure.rows(target, y, k, sparse, out=out)
        return out

    def _total(self):
        workspace = current_workspace()
        return self.alloc((1,), np.float64) if workspace is None else workspace.take(self, "total", (1,), np.float64)

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

    def apart(self, array):
        """The same array as one that does not refer to its `owner`: a graph's outputs, which its next start writes over
        and others of the same workspace may, too."""
        return CudaArray(copy.copy(array.memory), array.offset, array.shape, array.dtype)

    def is_own(self, array):
        return isinstance(array, CudaArray) and array.memory.driver is self.driver

    @property
    def _advice(self):
        device = f"npdl.devices.get({self.name!r})"
        return (
            f". {device}.from_host(array) copies it there and {device}.to_host(y) back; predict, evaluate and fit do "
            "that by themselves"
        )

    def from_host(self, array, dtype=None):
        if isinstance(array, CudaArray):
            return array if self.is_own(array) else self.driver.filled(array.memory.driver.download(array))
        return self.driver.filled(np.asarray(array, dtype))

    def to_host(self, array):
        return self.driver.download(array)

    def write(self, target, array):
        self.driver.upload(target, np.ascontiguousarray(np.broadcast_to(array, target.shape), target.dtype))
