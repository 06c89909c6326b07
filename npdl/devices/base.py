"""Device: memory, and a table of kernels."""

import importlib
import math

import numpy as np

from npdl.devices.opaque import OpaqueArray

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


class NotInGraph(RuntimeError):
    """What cannot be a part of a graph was asked for while one is captured."""


def no_room(what, shape, dtype, error):
    """The MemoryError that names an array for which there was no room: `raise no_room(...) from error`."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    return MemoryError(f"{what}: no room for {dtype.name} of shape {tuple(shape)}, {size:,} bytes. {error}")


class Kernels:
    """The kernels of one device by name, each imported when it is first used.

    Attributes:
        table: kernel name -> "module:function".
        full: the table without mixed precision (`npdl.devices.precision`): this one.
    """

    def __init__(self, table):
        self.table, self.full = dict(table), self

    def over(self, table):
        """What this table does to kernels before they are called, done to those of another one: nothing."""
        return table

    def __getattr__(self, name):
        if name.startswith("__") or name not in self.__dict__.get("table", {}):
            raise AttributeError(f"this device has no kernel {name!r}")
        module, function = self.table[name].split(":")
        kernel = self.adapt(getattr(importlib.import_module(module), function))
        setattr(self, name, kernel)  # from now on a plain attribute
        return kernel

    def adapt(self, kernel):
        """What a device does to a kernel before it is called (`strict` unwraps its arrays)."""
        return kernel


class Device:
    """Host memory and NumPy arrays, 64-byte aligned; the base of every device.

    Args:
        name: as in `model.to(name)`.
        kernels: its `Kernels`.

    Attributes:
        precision: "mixed_bfloat16" or "mixed_float16", None for float32.
        dtypes: in which a model can work here.
        full: the device in float32, in the same memory: this one but for mixed precision.
        most_kept: bytes that may stay with a model after `predict` or `evaluate`, for the next one.
    """

    precision = None
    dtypes: tuple = np.dtype("float32"), np.dtype("float64")
    most_kept = 1 << 20
    driver = None  # of a GPU: work there goes on while Python does, and reading a number waits for it

    def __init__(self, name, kernels):
        self.name, self.kernels, self.full = name, kernels, self

    def __repr__(self):
        return f"<npdl device {self.name!r}>"

    def narrow_copy(self, flat):
        """What keeps flat weights in 16 bits beside them, for a device that multiplies those; None: nothing does."""
        return None

    def alloc(self, shape, dtype):
        """An uninitialised C-contiguous array."""
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        raw = np.empty(count * dtype.itemsize + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        return raw[start : start + count * dtype.itemsize].view(dtype).reshape(shape)

    def zeros(self, shape, dtype):
        """A C-contiguous array of zeros."""
        array = self.alloc(shape, dtype)
        array[...] = 0
        return array

    def view(self, array):
        """Another array over the same memory."""
        return array.view()

    def owner(self, array):
        """The object that this array of `alloc` refers to, and so does every view of it, and no other array."""
        return array.base

    def is_own(self, array):
        """Whether an array lies here."""
        return not isinstance(array, OpaqueArray)

    def demand_own(self, array, who):
        """Raise unless an array lies here.

        Args:
            array: an array.
            who: what was called with it, for the message.

        Raises:
            TypeError: so; the message says how it is copied.
        """
        if not self.is_own(array):
            raise TypeError(f"{who} computes on {self.name!r}, and this array lies elsewhere{self._advice}")

    _advice = ": pass device.to_host(array), of the device where it lies"

    def from_host(self, array, dtype=None):
        """A host array on this device: C-contiguous, of `dtype`; the array itself where that is what it already is."""
        return np.ascontiguousarray(array, dtype)

    def to_host(self, array):
        """A NumPy array with the values of `array`; it may share its memory."""
        return array

    def write(self, target, array):
        """Copy a host array into `target`, an array of this device of the same shape."""
        target[...] = array
