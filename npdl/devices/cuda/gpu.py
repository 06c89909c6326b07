"""The driver of a real GPU: memory, launches and graphs through cuda.core, matrix products through cuBLAS.

Numba compiles a kernel once for this GPU (compiler.py; cache.py keeps the result on disk); from then on a launch is one
call into CUDA of about a microsecond. All work goes to one stream, in the order in which it is asked; batches are
copied ahead on a second one, and results back on a third.
"""

import ctypes
import threading
import weakref

import numpy as np
from cuda.bindings import driver as cu
from cuda.core import Device, LaunchConfig, ObjectCode, launch
from numba import types

from npdl.devices.cuda import cache
from npdl.devices.cuda.ahead import AHEAD, BACK, LANES, WORK
from npdl.devices.cuda.cublas import Cublas
from npdl.devices.cuda.driver import Driver

_threads = threading.local()
"""Attributes `gpu`: the one that a thread's calls of CUDA mean."""

WORKSPACE = 32 << 20
"""Bytes for cuBLAS to work in: with room of its own it allocates none, as a graph demands."""


class Memory:
    """A piece of a GPU's memory; it goes back to the pool when nobody refers to it."""

    __slots__ = ("address", "buffer", "driver")

    def __init__(self, driver, buffer):
        self.driver, self.buffer, self.address = driver, buffer, int(buffer.handle)


class Graph:
    """Captured work, which one call starts."""

    def __init__(self, gpu):
        self._gpu, self._builder, self._graph = gpu, gpu.device.create_graph_builder(), None

    def begin(self):
        self._builder.begin_building()
        self._gpu.direct(self._builder, self._builder.stream.handle)

    def end(self):
        self._gpu.direct(self._gpu.stream, self._gpu.stream.handle)
        self._graph = self._builder.end_building().complete()

    def launch(self):
        """Start it all."""
        self._gpu.be_current()
        self._graph.launch(self._gpu.stream)


class Event:
    """A point in the order of the work, or of the copies."""

    def __init__(self, gpu):
        self._gpu, self._event = gpu, gpu.device.create_event()

    def record(self, lane=WORK):
        """It is when all is done that was asked for in a lane until now."""
        self._gpu.be_current()
        self._gpu.lane(lane).record(self._event)

    def hold(self, lane=WORK):
        """What is asked for there from now on waits for it."""
        self._gpu.be_current()
        self._gpu.lane(lane).wait(self._event)

    def wait(self):
        """So does the host."""
        self._event.sync()


class Gpu(Driver):
    """One GPU.

    Args:
        number: which, from 0.

    Attributes:
        device: cuda.core's.
        capability: such as (9, 0) for an H100.
        stream: where all work goes.
    """

    def __init__(self, number=0):
        super().__init__()
        self.device = Device(number)
        self.be_current()
        self._lanes = [self.device.create_stream() for _ in range(LANES)]
        self.stream = self._lanes[WORK]
        self.capability = tuple(self.device.compute_capability)
        self._kernels, self._configs = {}, {}
        self._room = self._allocate(WORKSPACE)
        self._blas = Cublas(int(self.stream.handle), self._room.address, WORKSPACE)
        self._target = self.stream

    @property
    def tf32(self):
        """Whether products may round their factors to TF32, which has 10 bits, for several times the speed. A
        graph keeps what was so when it was captured."""
        return self._blas.tf32

    @tf32.setter
    def tf32(self, on):
        self._blas.tf32 = bool(on)

    def direct(self, target, stream):
        """Send what comes to this stream, or into this graph that is being built on one."""
        self._target = target
        self._blas.use_stream(int(stream))

    def memory_left(self):
        """(bytes free, bytes in all)"""
        self.be_current()
        return _checked(cu.cuMemGetInfo())

    def lane(self, lane):
        """The stream of a lane."""
        return self._lanes[lane]

    def pinned(self, nbytes):
        """Page-locked memory, which goes back when nobody refers to the array."""
        self.be_current()
        (pointer,) = _checked(cu.cuMemHostAlloc(max(nbytes, 1), 0))
        memory = (ctypes.c_uint8 * nbytes).from_address(int(pointer))
        weakref.finalize(memory, self._unpin, pointer).atexit = False
        return np.frombuffer(memory, np.uint8)

    def _unpin(self, pointer):
        self.be_current()
        for stream in self._lanes:  # a copy may still be under way
            stream.sync()
        cu.cuMemFreeHost(pointer)

    def event(self):
        """An `Event`."""
        self.be_current()
        return Event(self)

    def synchronize(self):
        self.stream.sync()

    def be_current(self):
        """CUDA asks each thread which GPU it means; with two of them that changes."""
        if getattr(_threads, "gpu", None) is not self:
            self.device.set_current()
            _threads.gpu = self

    def _allocate(self, nbytes):
        self.be_current()
        try:
            return Memory(self, self.device.allocate(max(nbytes, 1), stream=self.stream))
        except Exception as error:
            if "OUT_OF_MEMORY" not in str(error):
                raise
            free, total = self.memory_left()
            raise MemoryError(
                f"{self.device.name} has no room for {nbytes:,} bytes: {free:,} of {total:,} are free; use a smaller "
                "batch_size"
            ) from None

    def _upload(self, array, host):
        self.be_current()
        _checked(cu.cuMemcpyHtoDAsync(array.address, host.ctypes.data, array.nbytes, self.stream.handle))

    def _download(self, array, host):
        self.be_current()
        _checked(cu.cuMemcpyDtoHAsync(host.ctypes.data, array.address, array.nbytes, self.stream.handle))
        self.synchronize()

    def _send(self, array, page, early):
        self.be_current()
        stream = self.lane(AHEAD if early else WORK)
        _checked(cu.cuMemcpyHtoDAsync(array.address, page.ctypes.data, array.nbytes, stream.handle))

    def _receive(self, page, array):
        self.be_current()
        _checked(cu.cuMemcpyDtoHAsync(page.ctypes.data, array.address, array.nbytes, self.lane(BACK).handle))

    def _copy(self, source, target):
        self.be_current()
        _checked(cu.cuMemcpyDtoDAsync(target.address, source.address, target.nbytes, self.stream.handle))

    def _launch(self, kernel, blocks, threads, arguments):
        self.be_current()
        code, kinds = self._kernels.get(kernel) or self._load(kernel)
        size = blocks, threads
        if size not in self._configs:
            self._configs[size] = LaunchConfig(grid=blocks, block=threads)
        launch(self._target, self._configs[size], code, *[pack(value) for pack, value in zip(kinds, arguments)])

    def _load(self, kernel):
        """(the kernel on this GPU, what makes each of its arguments from ours)"""
        code, entry = cache.cubin(kernel, self.capability)
        packs = [_address_of(kind) if isinstance(kind, types.CPointer) else np.dtype(kind.name).type
                 for kind in kernel.kinds]  # fmt: skip
        self._kernels[kernel] = ObjectCode.from_cubin(code).get_kernel(entry), packs
        return self._kernels[kernel]

    def _product(self, a, b, out, transpose_a, transpose_b, add, kind):
        self.be_current()
        self._blas.product(a, b, out, transpose_a, transpose_b, add, kind)

    def _new_graph(self):
        self.be_current()
        return Graph(self)


def _address_of(kind):
    """A function from an array of this pointer's dtype to its address; None is an array that is not read."""
    dtype = np.dtype(kind.dtype.name)

    def address(array):
        if array is None:
            return 0
        if array.dtype != dtype:
            raise TypeError(f"a kernel's argument of {dtype} got an array of {array.dtype}")
        return array.address

    return address


def _checked(result):
    """The values of a call of CUDA's.

    Raises:
        RuntimeError: it failed.
    """
    status, *values = result
    if status != cu.CUresult.CUDA_SUCCESS:
        _, name = cu.cuGetErrorName(status)
        raise RuntimeError(f"CUDA: {(name or b'unknown error').decode()}")
    return values
