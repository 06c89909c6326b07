"""A driver with no GPU behind it: memory is the host's, kernels run on the CPU (replay.py). For tests and for learning.

It keeps the rules of a real one: fresh memory holds rubbish, kernels see only what lies behind their addresses, a graph
does not keep the memory that it was given, and threads may run in either order.
"""

import weakref

import numpy as np
from numba import types

from npdl.devices.cuda.driver import Driver, demand_sizes
from npdl.devices.cuda.stand_in.races import Race, races
from npdl.devices.cuda.stand_in.replay import replay

RUBBISH = 0xAB
MEMORY = 8 << 30


class Piece:
    """What is freed when nobody refers to it."""

    def __init__(self, nbytes):
        self.bytes = np.full(nbytes, RUBBISH, np.uint8)


class Memory:
    """A piece of memory; copies are of the same one."""

    def __init__(self, driver, nbytes):
        self.driver, self.piece = driver, Piece(nbytes)
        self.bytes = self.piece.bytes

    @property
    def address(self):
        return self.bytes.ctypes.data


class Graph:
    """Captured work: calls with the arguments that they had."""

    def __init__(self, driver):
        self._driver = driver

    def begin(self):
        self.calls = []

    def end(self):
        """Nothing to compile."""

    def launch(self):
        """Do it all, one graph after the other as in a stream: they share scratch memory."""
        with self._driver._lock:
            for call in self.calls:
                call()


class Event:
    """Nothing: all is done when it is asked for."""

    def record(self, lane=0):
        """Now."""

    def hold(self, lane=0):
        """For nothing."""

    def wait(self):
        """For nothing."""


class StandIn(Driver):
    """A driver that computes on the CPU.

    Args:
        watch: whether launches are run by races.py, which looks for races and takes about a millisecond a thread.

    Attributes:
        order: 1 runs a block's threads in ascending order, -1 in descending: results may not depend on it.
        launched: how many times each kernel was launched, by name.
        watched: the Python functions of the kernels in which it looked for races.
    """

    def __init__(self, watch=False):
        super().__init__()
        self.order, self.launched = 1, {}
        self.watch, self.watched = watch, set()

    def _allocate(self, nbytes):
        return Memory(self, nbytes)

    def _upload(self, array, host):
        _host(array)[...] = host

    def _download(self, array, host):
        host[...] = _host(array)

    def pinned(self, nbytes):
        """Memory like any other."""
        return np.empty(nbytes, np.uint8)

    def event(self):
        """An `Event`."""
        return Event()

    def _send(self, array, page, early):
        _host(array)[...] = page

    def _receive(self, page, array):
        page[...] = _host(array)

    def memory_left(self):
        """As of a GPU: the host's counts its own."""
        return MEMORY, MEMORY

    def _copy(self, source, target):
        _host(target)[...] = _host(source)

    def synchronize(self):
        """Nothing is ever left to do."""

    def _new_graph(self):
        return Graph(self)

    def _launch(self, kernel, blocks, threads, arguments):
        """As a GPU would.

        Raises:
            ValueError: no blocks or threads, or too many.
            Race: with `watch`, the result depends on which thread is first.
        """
        demand_sizes(kernel, blocks, threads)
        given = [self._argument(value, kind) for value, kind in zip(arguments, kernel.kinds, strict=True)]
        self._do(lambda: self._run(kernel, blocks, threads, given), kernel.name, arguments)

    def _argument(self, value, kind):
        """What a kernel sees: flat memory with its bounds, or a number of the declared type."""
        if not isinstance(kind, types.CPointer):
            return np.dtype(kind.name).type(value)
        dtype = np.dtype(kind.dtype.name)
        if value is None:
            return np.empty(0, dtype)
        if value.dtype != dtype:
            raise TypeError(f"a kernel's argument of {dtype} got an array of {value.dtype}")
        self.demand_own(value)
        return _host(value).reshape(-1)

    def _run(self, kernel, blocks, threads, given):
        self.launched[kernel.name] = self.launched.get(kernel.name, 0) + 1
        if (given := kernel.admitted(given)) is None:
            return
        if not self.watch:
            replay(kernel.function)(blocks, threads, *given, order=self.order)
            return
        self.watched.add(kernel.function)
        found = races(kernel, blocks, threads, *given)
        if found:
            raise Race("; ".join(found))

    def _product(self, a, b, out, transpose_a, transpose_b, add, kind):
        """cuBLAS' part."""
        arguments = a, b, out
        a, b, out = map(_matrix, arguments)
        a, b = a.T if transpose_a else a, b.T if transpose_b else b

        def call():
            with np.errstate(invalid="ignore", over="ignore"):  # float16 overflows, and a loss scale waits for it
                made = _widened(a, kind) @ _widened(b, kind)
                out[...] = out + made if add else made

        self._do(call, "a product", arguments)

    def _do(self, call, name, arguments):
        if not self.capturing:
            call()
            return
        pieces = [weakref.ref(array.memory.piece) for array in arguments if hasattr(array, "memory")]

        def later():
            if any(piece() is None for piece in pieces):
                raise RuntimeError(f"{name} of a graph is given memory that has been freed")
            call()

        self._graph.calls.append(later)


def _matrix(array):
    """A `CudaArray` of two axes, or `Columns` of one."""
    rows, columns = array.shape
    numbers = array.leading * (rows - 1) + columns if rows and columns else 0
    flat = array.memory.bytes[array.offset : array.offset + numbers * array.dtype.itemsize].view(array.dtype)
    steps = array.leading * array.dtype.itemsize, array.dtype.itemsize
    return np.lib.stride_tricks.as_strided(flat, array.shape, steps)


def _host(array):
    raw = array.memory.bytes[array.offset : array.offset + array.nbytes]
    return raw.view(array.dtype).reshape(array.shape)


def _widened(factor, kind):
    """A factor of a product as float32."""
    if kind is None:
        return factor
    if kind == "float16":
        return factor.view(np.float16).astype(np.float32)
    return (factor.astype(np.uint32) << 16).view(np.float32)
