"""What an array on a device can do: everything else goes through kernels."""

ADVICE = (
    "; a layer of your own works on arrays of any device by kernels, self.k, or with NumPy on the CPU: "
    'model.to("cpu"). device.to_host(array) copies what is to be looked at'
)


class OpaqueArray:
    """shape, dtype, size, len(), reshape() and [i:j] on the first axis, nothing else.

    Subclasses give `shape`, `dtype`, `size`, `_reshaped(shape)` and `_rows(start, stop)`.
    """

    __slots__ = ()

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

    def _refuse(self, *_, **__):
        raise TypeError(f"only kernels compute with {self!r}{ADVICE}")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __matmul__ = __rmatmul__ = __pow__ = __neg__ = __lt__ = __le__ = __gt__ = __ge__ = __array_ufunc__ = _refuse

    def __getattr__(self, name):
        raise AttributeError(f"a device array has no {name!r}{ADVICE}")
