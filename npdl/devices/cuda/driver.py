"""What the device class and the kernels ask of a driver, real or the stand-in."""

import abc
import contextlib
import math
import threading

import numpy as np

from npdl.devices.cuda.array import CudaArray
from npdl.devices.cuda.factors import Factors

_debug = False


def set_debug(on):
    """Whether each launch is waited for, so that an error is raised where it happened; returns what it was before."""
    global _debug
    before, _debug = _debug, bool(on)
    return before


class Driver(abc.ABC):
    """Moves bytes, launches kernels, multiplies matrices, all in the order in which it is asked.

    Inside `with driver.capture() as graph:` launches and products are not done but noted, with the arguments that they
    have now, and `graph.launch()` does them all, as often as one likes. Memory that is asked for there lives as long as
    the graph. Copies from and to the host are not possible: they would not be part of it.

    Several threads may ask: each has scratch memory of its own, and what others ask for while one captures waits.

    Attributes:
        factors: the `Factors` of its products, in mixed precision of 16 bits.
        kept: what kernels keep on the device from call to call, by keys of their own.
        tf32: whether products may round their factors to TF32.
    """

    tf32 = False

    def __init__(self):
        self.kept, self._graph = {}, None
        self._own, self._lock = threading.local(), threading.RLock()
        self.factors = Factors(self)

    # ---- what a driver writes

    @abc.abstractmethod
    def _allocate(self, nbytes):
        """A piece of memory, with `driver` and `address`; freed when nobody refers to it."""

    @abc.abstractmethod
    def _upload(self, array, host):
        """Copy; the host array may change when this returns."""

    @abc.abstractmethod
    def _download(self, array, host):
        """Copy, after all work before."""

    @abc.abstractmethod
    def _launch(self, kernel, blocks, threads, arguments):
        """Start a kernel on blocks (x, y, z) of threads (x, y, z)."""

    @abc.abstractmethod
    def _product(self, a, b, out, transpose_a, transpose_b, add, kind):
        """out = op(a) op(b) of matrices, or out += it; a and b are float32, or the bits of that 16-bit type."""

    @abc.abstractmethod
    def _new_graph(self):
        """An object with begin(), end() and launch()."""

    @abc.abstractmethod
    def synchronize(self):
        """Wait until all work is done; errors of it are raised here."""

    # ---- what is asked of it

    def allocate(self, nbytes):
        """A piece of memory of that many bytes, uninitialised.

        Raises:
            MemoryError: there is no room.
        """
        with self._lock:
            memory = self._allocate(nbytes)
            if self._graph is not None:
                self._graph.held.append(memory)
            return memory

    def upload(self, array, host):
        """Copy a host array into a `CudaArray` of the same shape and dtype."""
        with self._lock:
            self._refuse("an array is copied from the host")
            self._upload(array, host)
            self.factors.changed(array)

    def download(self, array):
        """A NumPy array with a `CudaArray`'s values, after all work before."""
        with self._lock:
            self._refuse("an array is copied to the host")
        host = np.empty(array.shape, array.dtype)
        self._download(array, host)
        return host

    def launch(self, kernel, blocks, threads, arguments):
        """Start a kernel on blocks (x, y, z) of threads (x, y, z)."""
        with self._lock:
            self._launch(kernel, blocks, threads, arguments)
        if _debug and self._graph is None:
            self._wait_for(f"kernel {kernel.name!r} with blocks {tuple(blocks)} of threads {tuple(threads)}")

    def product(self, a, b, out, transpose_a, transpose_b, add=False):
        """out = op(a) op(b) of matrices; with `add` out += op(a) op(b)."""
        a, b = self.factors.cast(a, b)
        with self._lock:
            self._product(a, b, out, transpose_a, transpose_b, add, self.factors.kind)
        if _debug and self._graph is None:
            self._wait_for(f"a product of matrices {a.shape} and {b.shape}")

    @contextlib.contextmanager
    def capture(self):
        """A context that gives a graph of what is asked for in it."""
        with self._lock:
            if self._graph is not None:
                raise RuntimeError("a graph is being captured already; end it first")
            graph = self._new_graph()
            graph.held = [getattr(self._own, "scratch", None)]
            graph.begin()
            self._graph = graph
            try:
                yield graph
            finally:
                self._graph = None
                graph.end()

    @property
    def capturing(self):
        """Whether a graph is being captured."""
        return self._graph is not None

    def array(self, shape, dtype):
        """An uninitialised array."""
        dtype = np.dtype(dtype)
        return CudaArray(self.allocate(math.prod(shape) * dtype.itemsize), 0, shape, dtype)

    def filled(self, host):
        """An array with a host array's values."""
        array = self.array(host.shape, host.dtype)
        self.upload(array, np.ascontiguousarray(host))
        return array

    def scratch(self, count):
        """An array of `count` float32, the calling thread's until it asks again."""
        scratch = getattr(self._own, "scratch", None)
        if scratch is None or scratch.size < count:
            scratch = self._own.scratch = self.array((count,), np.float32)
        return scratch[0:count]

    def hold_room(self, room):
        """Have memory that was there before live as long as a graph that is being captured."""
        if self._graph is not None:
            self._graph.held.append(room)

    def _refuse(self, what):
        if self._graph is not None:
            raise RuntimeError(f"{what} while a graph is captured; do it before or after")

    def _wait_for(self, what):
        try:
            self.synchronize()
        except Exception as error:
            raise RuntimeError(f"{what} failed: {error}") from error
