"""The `strict` device: the CPU's kernels on arrays that refuse what a GPU's array cannot do."""

from npdl.devices.base import Device, Kernels
from npdl.devices.opaque import OpaqueArray


class StrictArray(OpaqueArray):
    """An opaque array over a host array."""

    __slots__ = ("_host",)

    def __init__(self, host):
        self._host = host

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    size = property(lambda self: self._host.size)

    def _reshaped(self, shape):
        view = self._host.view()
        view.shape = shape  # never a copy
        return StrictArray(view)

    def _rows(self, index):
        return StrictArray(self._host[index])


def _unwrap(value):
    return value._host if isinstance(value, StrictArray) else value


class StrictKernels(Kernels):
    def adapt(self, kernel):
        def call(*args, **kwargs):
            return kernel(*map(_unwrap, args), **{name: _unwrap(value) for name, value in kwargs.items()})

        return call


class StrictDevice(Device):
    """The CPU's kernels behind opaque arrays; for tests."""

    def alloc(self, shape, dtype):
        return StrictArray(super().alloc(shape, dtype))

    def zeros(self, shape, dtype):
        array = self.alloc(shape, dtype)
        array._host[...] = 0
        return array

    def view(self, array):
        return StrictArray(array._host.view())

    def owner(self, array):
        return super().owner(array._host)

    def is_own(self, array):
        return True  # the kernels take host arrays too

    def from_host(self, array, dtype=None):
        if isinstance(array, StrictArray):
            return array
        return StrictArray(super().from_host(array, dtype).copy())

    def to_host(self, array):
        return array._host.copy()

    def write(self, target, array):
        target._host[...] = array
