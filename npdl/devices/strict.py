"""The `strict` device: the CPU's kernels on arrays that refuse what a GPU's array cannot do."""

from npdl.devices.base import Device, Kernels


class StrictArray:
    """An opaque array: shape, dtype, size, len(), reshape() and [i:j] on the first axis, nothing else."""

    __slots__ = ("_host",)
    __array_ufunc__ = None  # NumPy's operators are refused too

    def __init__(self, host):
        self._host = host

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    size = property(lambda self: self._host.size)

    def __len__(self):
        return len(self._host)

    def __repr__(self):
        return f"StrictArray(shape={self.shape}, dtype={self.dtype})"

    def reshape(self, *shape):
        view = self._host.view()
        view.shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape  # never a copy
        return StrictArray(view)

    def __getitem__(self, index):
        if not isinstance(index, slice) or index.step not in (None, 1):
            raise TypeError(f"a device array takes [i:j] on its first axis, not [{index!r}]; use a kernel of self.k")
        return StrictArray(self._host[index])

    def __setitem__(self, index, value):
        raise TypeError("a device array is written by kernels, or by device.write(target, host_array)")

    def __array__(self, *args, **kwargs):
        raise TypeError("this array lives on a device; device.to_host(array) copies it")

    def __iter__(self):
        raise TypeError("a device array cannot be iterated; device.to_host(array) copies it")

    def __bool__(self):
        raise TypeError("a device array has no truth value")


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

    def from_host(self, array, dtype=None):
        if isinstance(array, StrictArray):
            return array
        return StrictArray(super().from_host(array, dtype).copy())

    def to_host(self, array):
        return array._host.copy()

    def write(self, target, array):
        target._host[...] = array
