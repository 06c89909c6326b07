"""What the device class and the kernels ask of a driver, real or the stand-in."""

import abc
import contextlib
import copy
import math
import threading

import numpy as np

from npdl.devices.base import NotInGraph, no_room
from npdl.devices.cuda.ahead import Numbers, Rehearsal, described, kept_apart
from npdl.devices.cuda.array import CudaArray
from npdl.devices.cuda.asked import asked_by
from npdl.devices.cuda.debug import debugging
from npdl.devices.cuda.factors import Factors
from npdl.devices.cuda.kept import Kept
from npdl.kernels.counted import Counted
from npdl.kernels.cuda.kernel import guarded

MOST_ROOMS = 64
"""Of a thread's arrays for `numbers`."""
MOST_THREADS, MOST_EACH = 1024, (1024, 1024, 64)  # of a block, and along x, y and z, on every GPU
MOST_BLOCKS = (1 << 31) - 1, 65535, 65535


def demand_sizes(kernel, blocks, threads):
    """Raise unless a GPU can start so many blocks (x, y, z) of threads (x, y, z).

    Raises:
        ValueError: so.
    """
    if min(*blocks, *threads) < 1 or math.prod(threads) > MOST_THREADS:
        raise ValueError(
            f"{kernel.name}: sizes of a grid and its blocks must be 1 or more, and a block's product at most "
            f"{MOST_THREADS}, got grid {tuple(blocks)} and block {tuple(threads)}"
        )
    if any(n > most for n, most in zip((*blocks, *threads), (*MOST_BLOCKS, *MOST_EACH), strict=True)):
        raise ValueError(
            f"{kernel.name}: a grid has at most {MOST_BLOCKS} blocks and a block {MOST_EACH} threads, "
            f"got {tuple(blocks)} and {tuple(threads)}"
        )


class _Own(threading.local):
    """What each thread has: `scratch`, `rehearsal`, `guard`, and `rooms` for `numbers`, by how many bytes they have."""

    scratch = rehearsal = guard = None

    def __init__(self):
        self.rooms = {}


class Driver(abc.ABC):
    """Moves bytes, launches kernels, multiplies matrices, all in the order in which it is asked.

    Inside `with driver.capture() as graph:` launches and products are not done but noted, with the arguments that they
    have now, and `graph.launch()` does them all, as often as one likes. Memory that is asked for there lives as long as
    the graph. Copies from and to the host are not possible: they would not be part of it. What is another at each start
    (`numbers`, `counter`) lies in an array of the graph's, `graph.numbers`, which is copied before each start.

    Several threads may ask: each has scratch memory of its own, and what others ask for while one captures waits. All
    graphs share one, for they are done one after another.

    Attributes:
        factors: the `Factors` of its products, in mixed precision of 16 bits.
        kept: what kernels keep on the device from call to call, by keys of their own: a `Kept`.
        tf32: whether products may round their factors to TF32.
    """

    tf32 = False

    def __init__(self):
        self._own, self._lock, self._graph = _Own(), threading.RLock(), None
        self.kept = Kept(self, self._lock)
        self.factors = Factors(self)
        self._scratch_of_graphs = None

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
    def pinned(self, nbytes):
        """Page-locked memory of the host, a NumPy array of bytes: copies from there go on by themselves."""

    @abc.abstractmethod
    def event(self):
        """An object with record(lane=WORK): what was asked for there until now; hold(lane=WORK): what is asked for
        there from now on waits for that; wait(): so does the host. The lanes are those of ahead.py: the work, what is
        copied there ahead of it, and what is copied back behind it. Before the first record nothing waits."""

    @abc.abstractmethod
    def _send(self, array, page, early):
        """Copy from page-locked memory, which must not change before the copy is done: in order, or beside the work."""

    @abc.abstractmethod
    def _receive(self, page, array):
        """Copy into page-locked memory, in the lane `BACK`."""

    @abc.abstractmethod
    def memory_left(self):
        """(bytes free, bytes in all)"""

    @abc.abstractmethod
    def _copy(self, source, target):
        """Copy an array to one of the same shape and dtype."""

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
                self._graph.held.append(copy.copy(memory))  # who refers to the memory itself, a `Workspace` counts
            return memory

    def upload(self, array, host):
        """Copy a C-contiguous host array into a `CudaArray` of the same size and dtype.

        Raises:
            ValueError: it is no such array.
        """
        if (host.size, host.dtype) != (array.size, array.dtype) or not host.flags.c_contiguous:
            raise ValueError(
                f"an array of {host.dtype} and shape {host.shape}, C-contiguous or not, cannot be copied as it lies "
                f"into one of {array.dtype} and shape {array.shape}"
            )
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

    def send(self, array, page, early=False):
        """Copy from `pinned` memory into an array and do not wait: in the order of the work, or `early`, beside it."""
        with self._lock:
            self._refuse("an array is copied from the host")
            self._send(array, page, early)

    def receive(self, page, array):
        """Copy an array into `pinned` memory and do not wait, in the lane `BACK`."""
        with self._lock:
            self._refuse("an array is copied to the host")
            self._receive(page, array)

    def copy(self, source, target):
        """Copy an array to another of the same shape and dtype, both on this device."""
        with self._lock:
            self._refuse("an array is copied")
            self._copy(source, target)

    def numbers(self, values, name=""):
        """An array with the values of a host array that are others in each step: the calling thread's, until it asks
        for one of that name and shape again. In a graph it has what the rehearsal before each start gives, or of a
        `npdl.kernels.counted.Drawn` what this makes of the step."""
        if self._mine() and self._graph.noting:
            return self._graph.numbers.place(values)
        if self._mine() and getattr(values, "make", None) is not None:
            return self._graph.numbers.drawn(values)
        rehearsed, rooms = self._own.rehearsal, self._own.rooms
        if rehearsed is not None and (array := rehearsed.take(values)) is not None:
            return array
        key = name, values.shape, values.dtype
        array = rooms.pop(key, None)
        if array is None:
            array = self.array(values.shape, values.dtype)
            if len(rooms) == MOST_ROOMS:
                del rooms[next(iter(rooms))]
        rooms[key] = array  # the last asked for stands last
        if rehearsed is None:
            self.upload(array, values)
        return array

    def counter(self, step):
        """(a step, an int32 array that has it, 1 if that counts): where a graph repeats the step of a layer, its array
        gets the step of each start."""
        if not isinstance(step, Counted) or not self._mine():
            return step, None, 0
        return 0, self._graph.numbers.counter(step), 1

    @contextlib.contextmanager
    def rehearsal(self, tables=None, scratch=None):
        """A context in which the calling thread's launches and products are not done but listed: a `Rehearsal`.

        `tables` are those of a graph, `scratch` is its scratch memory."""
        own = self._own
        with (
            kept_apart(own, "scratch", own.scratch if scratch is None else scratch),
            kept_apart(own, "rehearsal", Rehearsal(tables)) as rehearsed,
        ):
            yield rehearsed

    def launch(self, kernel, blocks, threads, arguments):
        """Start a kernel on blocks (x, y, z) of threads (x, y, z)."""
        if (guard := self._own.guard) is not None:
            kernel, arguments = guarded(kernel), (guard, *arguments)
        if self._noted(kernel, blocks, threads, *arguments):
            return
        if debugging() and self._graph is None:
            what = f"kernel {kernel.name!r} with blocks {tuple(blocks)} of threads {tuple(threads)}"
            self._wait_for(what, self._launch, kernel, blocks, threads, arguments)
            return
        with self._lock:
            self._launch(kernel, blocks, threads, arguments)

    def product(self, a, b, out, transpose_a, transpose_b, add=False):
        """out = op(a) op(b) of matrices or `Columns` of them; with `add` out += op(a) op(b)."""
        if self._own.guard is not None:
            raise NotInGraph("a product of matrices, which would be made in a step that is to be skipped, too")
        for array in (a, b, out):
            self.demand_own(array)
        a, b = self.factors.cast(a, b)
        if self._noted(a, b, out, transpose_a, transpose_b, add):
            return
        call = a, b, out, transpose_a, transpose_b, add, self.factors.kind
        if debugging() and self._graph is None:
            self._wait_for(f"a product of matrices {a.shape} and {b.shape}", self._product, *call)
            return
        with self._lock:
            self._product(*call)

    def demand_own(self, array):
        """Raise unless an array lies in this driver's memory: elsewhere its address means something else.

        Raises:
            ValueError: so.
        """
        if array.memory.driver is not self:
            raise ValueError(f"{array!r} lies on another device than what it is computed with")

    def guarded(self, guard):
        """A context in which the calling thread's kernels do nothing where guard[0], int32, is not 0 by then."""
        return kept_apart(self._own, "guard", guard)

    @contextlib.contextmanager
    def capture(self, room=1 << 12):
        """A context that gives a graph of what is asked for in it; `room` bytes for what is another at each start."""
        with self._lock:
            if self._graph is not None:
                raise RuntimeError("a graph is being captured already; end it first")
            graph = self._new_graph()
            graph.numbers, graph.noting, graph.thread = Numbers(self, room), False, threading.get_ident()
            graph.held, graph.rooms = [self._scratch_of_graphs], {}
            with kept_apart(self._own, "scratch", self._scratch_of_graphs):
                graph.begin()
                self._graph = graph
                try:
                    yield graph
                finally:
                    self._graph = None
                    graph.end()
                    self._scratch_of_graphs = graph.numbers.scratch = self._own.scratch

    def _noted(self, *call):
        """Note a launch or a product where that is asked for; whether that was all."""
        rehearsed = self._own.rehearsal
        if rehearsed is not None:
            rehearsed.calls.append(described(call))
        elif self._graph is not None and self._graph.noting and self._mine():
            self._graph.numbers.calls.append(described(call))
        return rehearsed is not None

    def _mine(self):
        """Whether the calling thread is capturing a graph."""
        graph = self._graph
        return graph is not None and graph.thread == threading.get_ident()

    def hold(self, table):
        """Have what is kept live as long as the graph that is being captured, if there is one."""
        if self._mine():
            self._graph.held.append(table)

    @property
    def debugging(self):
        """Whether each launch is waited for (`npdl.cuda.debug`)."""
        return debugging()

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
        scratch = self._own.scratch
        if scratch is None or scratch.size < count:
            try:
                scratch = self._own.scratch = self.array((count,), np.float32)
            except MemoryError as error:
                raise no_room(f"{asked_by() or 'a kernel'}: scratch memory", (count,), np.float32, error) from error
        return scratch[0:count]

    def graph_rooms(self):
        """Room for factors of the graph that the calling thread is capturing, None where it captures none."""
        return self._graph.rooms if self._mine() else None

    def _refuse(self, what):
        if self._graph is not None:
            who = asked_by()
            raise NotInGraph(f"{who and who + ': '}{what} while a graph is captured; do it before or after")

    def _wait_for(self, what, call, *arguments):
        """Ask for a piece of work and wait until it is done.

        Raises:
            RuntimeError: it failed; the message names the layer, loss or optimizer that asked for it.
        """
        try:
            with self._lock:
                call(*arguments)
            self.synchronize()
        except Exception as error:
            who = asked_by()
            raise RuntimeError(f"{who and who + ': '}{what} failed: {error}") from error
