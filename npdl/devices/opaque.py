"""What an array on a device can do: everything else goes through kernels."""


class OpaqueArray:
    """shape, dtype, size, len(), reshape() and [i:j] on the first axis, nothing else.

    Subclasses give `shape`, `dtype`, `size`, `_reshaped(shape)` and `_rows(start, stop)`.
    """

    __slots__ = ()
    __array_ufunc__ = None  # NumPy's operators are refused too

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype})"

    def reshape(self, *shape):
        return self._reshaped(shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape)

    def __getitem__(self, index):
        if not isinstance(index, slice) or index.step not in (None, 1):
            raise TypeError(f"a device array takes [i:j] on its first axis, not [{index!r}]; use a kernel of self.k")
        return self._rows(index)

    def __setitem__(self, index, value):
        raise TypeError("a device array is written by kernels, or by device.write(target, host_array)")

    def __array__(self, *args, **kwargs):
        raise TypeError("this array lives on a device; device.to_host(array) copies it")

    def __iter__(self):
        raise TypeError("a device array cannot be iterated; device.to_host(array) copies it")

    def __bool__(self):
        raise TypeError("a device array has no truth value")
