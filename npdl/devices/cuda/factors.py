"""What a driver does to the factors of its products in mixed precision: cuBLAS reads them in 16 bits.

    with driver.factors.narrowed("bfloat16"):       # of this thread, as long as it lasts
        driver.product(a, b, ...)                   # casts a and b, multiplies 16-bit numbers, adds them up in float32

Weights need no cast: a `Copy` of a model's flat weights in 16 bits lies beside them. SGD, Adam and AdamW write it in
the launch that writes the weights, behind other updates one kernel casts all; what changes weights else makes it stale,
and then they are cast like other factors.
"""

import contextlib
import math
import threading
import weakref

import numpy as np

from npdl.devices.cuda.array import CudaArray
from npdl.kernels.cuda import rounding


class _Own(threading.local):
    """What each thread has: the type of its factors, None for float32, and room for two of them."""

    kind = None

    def __init__(self):
        self.rooms = {}


class Factors:
    """The factors of one driver's products.

    Args:
        driver: the `Driver`.
    """

    def __init__(self, driver):
        self._driver, self._own = driver, _Own()
        self._copies = weakref.WeakValueDictionary()  # id of a piece of memory -> its Copy

    @property
    def kind(self):
        """The type of the calling thread's factors: "bfloat16", "float16", or None for float32."""
        return self._own.kind

    @contextlib.contextmanager
    def narrowed(self, kind):
        """A context in which the calling thread's products have factors of that type."""
        before, self._own.kind = self._own.kind, kind
        try:
            yield
        finally:
            self._own.kind = before

    def cast(self, *factors):
        """Matrices as they are multiplied: in 16 bits where that is asked for."""
        kind = self._own.kind
        return factors if kind is None else [self._cast(one, place, kind) for place, one in enumerate(factors)]

    def _cast(self, factor, place, kind):
        copy = self._copies.get(id(factor.memory))
        whole = isinstance(factor, CudaArray)
        if whole and copy is not None and copy.fresh and copy.kind == kind:
            return copy.part(factor)
        out = self._room((place, np.uint16), factor.shape)
        if whole:
            rounding.narrow(factor, kind, out=out)
        elif out.size:
            rounding.narrow_columns(factor, kind, out=out)
        return out

    def rounded(self, *factors):
        """Arrays for a kernel that multiplies by itself, in float32: rounded where that is asked for."""
        if self._own.kind is None:
            return factors
        rounded = []
        for place, factor in enumerate(factors):
            rounded.append(self._room((place, np.float32), factor.shape))
            getattr(rounding, f"round_{self._own.kind}")(factor, out=rounded[-1])
        return rounded

    def _room(self, key, shape):
        """Memory of the calling thread, or of the graph that it captures, until the next product or kernel."""
        rooms = self._driver.graph_rooms()
        rooms = self._own.rooms if rooms is None else rooms
        room, size = rooms.get(key), math.prod(shape)
        if room is None or room.size < size:
            room = rooms[key] = self._driver.array((size,), key[1])
        return room[0:size].reshape(shape)

    def keep(self, copy):
        """Take what lies in this copy from there."""
        self._copies[id(copy.flat.memory)] = copy

    def copy_of(self, flat):
        """The `Copy` of this flat array, or None."""
        copy = self._copies.get(id(flat.memory))
        return copy if copy is not None and copy.flat.address == flat.address else None

    def changed(self, array):
        """Say that somebody writes into this array."""
        copy = self._copies.get(id(array.memory))
        if copy is not None:
            copy.fresh = copy.written = False


class Copy:
    """A flat array's numbers in 16 bits.

    Args:
        flat: the array, which begins its piece of memory.
        kind: "bfloat16" or "float16".

    Attributes:
        fresh: whether it has what the array has.
        written: whether the update that wrote the array last wrote the copy too, all of it that is another now.
    """

    def __init__(self, flat, kind):
        self.flat, self.kind, self.fresh, self.written = flat, kind, False, False
        self.array = flat.memory.driver.array(flat.shape, np.uint16)
        flat.memory.driver.factors.keep(self)

    def renew(self):
        """Cast all of it, if no update has."""
        if not self.written:
            rounding.narrow(self.flat, self.kind, out=self.array)
        self.fresh, self.written = True, False

    def part(self, array):
        """Of an array that lies in the flat one, of any shape."""
        return CudaArray(self.array.memory, self.array.offset + array.offset // 2, array.shape, np.uint16)
