"""The driver of a real GPU: streams, launches and graphs through cuda.core, matrix products through cuBLAS.

Numba compiles a kernel once for this GPU (compiler.py; cache.py keeps the result on disk); from then on a launch is one
call into CUDA of about a microsecond. All work goes to one stream, in the order in which it is asked; batches are
copied ahead on a second one, and results back on a third.
"""

import ctypes
import sys
import weakref

import numpy as np
from cuda.bindings import driver as cu
from cuda.core import Device, LaunchConfig, ObjectCode, launch
from numba import types

from npdl.devices.cuda import cache
from npdl.devices.cuda.ahead import AHEAD, BACK, LANES, WORK, room_of
from npdl.devices.cuda.cublas import Cublas
from npdl.devices.cuda.driver import Driver, demand_sizes

WORKSPACE = 32 << 20
"""Bytes for cuBLAS to work in: with room of its own it allocates none, as a graph demands."""
SMALL, HALF = 1 << 16, 1 << 20
"""Bytes of an array that is uploaded from page-locked memory at most, and of each half of that."""
KEEP_ALL = (1 << 64) - 1
"""Bytes that CUDA's pool of memory keeps for itself; else it would give all back whenever somebody waits."""
ATTRIBUTE = cu.CUmemPool_attribute
BROKEN = {
    "CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_ILLEGAL_INSTRUCTION", "CUDA_ERROR_INVALID_ADDRESS_SPACE",
    "CUDA_ERROR_INVALID_PC", "CUDA_ERROR_MISALIGNED_ADDRESS", "CUDA_ERROR_HARDWARE_STACK_ERROR",
    "CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_LAUNCH_TIMEOUT", "CUDA_ERROR_ASSERT", "CUDA_ERROR_ECC_UNCORRECTABLE",
}  # fmt: skip
"""Errors of a kernel: every later call of the process ends in the same one."""


class Piece:
    """Bytes of CUDA's pool; when nobody refers to them they go back, in the order of the work."""

    __slots__ = ("_gpu", "address")

    def __init__(self, gpu, address):
        self._gpu, self.address = gpu, address

    def __del__(self, ending=sys.is_finalizing, free=cu.cuMemFreeAsync):  # the module's names may be gone by then
        if not ending():  # what the end of the process leaves, it frees by itself
            self._gpu.aside(free, self.address, self._gpu.stream.handle)


class Memory:
    """A piece of a GPU's memory."""

    __slots__ = ("address", "driver", "piece")

    def __init__(self, driver, piece):
        self.driver, self.piece, self.address = driver, piece, piece.address


class Graph:
    """Captured work, which one call starts."""

    def __init__(self, gpu):
        self._gpu, self._builder, self._graph = gpu, gpu.device.create_graph_builder(), None

    def begin(self):
        _tried(self._builder.begin_building)
        self._gpu.direct(self._builder, self._builder.stream.handle)

    def end(self):
        self._gpu.direct(self._gpu.stream, self._gpu.stream.handle)
        self._graph = _tried(lambda: self._builder.end_building().complete())

    def launch(self):
        """Start it all."""
        self._gpu.be_current()
        _tried(self._graph.launch, self._gpu.stream)


class Stage:
    """Page-locked memory in which small arrays lie while they are copied; its halves take turns.

    Args:
        gpu: whose.
    """

    def __init__(self, gpu):
        self._memory, self._done = gpu.pinned(2 * HALF), [gpu.event(), gpu.event()]
        self._first, self._turn, self._filled = self._memory.ctypes.data, 0, 0

    def put(self, host):
        """The address of a copy, for a copy to the GPU in the lane `WORK` that is asked for before the next call."""
        if self._filled + host.nbytes > HALF:
            self._done[self._turn].record()
            self._turn, self._filled = 1 - self._turn, 0
            self._done[self._turn].wait()
        address = self._first + self._turn * HALF + self._filled
        self._filled += room_of(host)
        ctypes.memmove(address, host.ctypes.data, host.nbytes)
        return address


class Event:
    """A point in the order of the work, or of the copies."""

    def __init__(self, gpu):
        self._gpu, self._event = gpu, gpu.device.create_event()

    def record(self, lane=WORK):
        """It is when all is done that was asked for in a lane until now."""
        self._gpu.be_current()
        _tried(self._gpu.lane(lane).record, self._event)

    def hold(self, lane=WORK):
        """What is asked for there from now on waits for it."""
        self._gpu.aside(_tried, self._gpu.lane(lane).wait, self._event)

    def wait(self):
        """So does the host."""
        self._gpu.be_current()
        _tried(self._event.sync)


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
        self.device.set_current()
        (self._context,) = _checked(cu.cuCtxGetCurrent())
        self._lanes = [self.device.create_stream() for _ in range(LANES)]
        self.stream = self._lanes[WORK]
        self.capability = tuple(self.device.compute_capability)
        self._kernels, self._configs, self._stage = {}, {}, None
        (self._pool,) = _checked(cu.cuDeviceGetMemPool(number))
        threshold = ATTRIBUTE.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
        _checked(cu.cuMemPoolSetAttribute(self._pool, threshold, cu.cuuint64_t(KEEP_ALL)))
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
        """(bytes free, bytes in all); free are those, too, that the pool keeps and nobody uses."""
        self.be_current()
        free, total = _checked(cu.cuMemGetInfo())
        held, used = ATTRIBUTE.CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, ATTRIBUTE.CU_MEMPOOL_ATTR_USED_MEM_CURRENT
        held, used = (int(*_checked(cu.cuMemPoolGetAttribute(self._pool, which))) for which in (held, used))
        return free + held - used, total

    def lane(self, lane):
        """The stream of a lane."""
        return self._lanes[lane]

    def pinned(self, nbytes):
        """Page-locked memory, which goes back when nobody refers to the array."""
        self.be_current()
        status, pointer = cu.cuMemHostAlloc(max(nbytes, 1), 0)
        if status == cu.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            raise MemoryError(f"the host has no {nbytes:,} bytes of page-locked memory; use a smaller batch_size")
        _checked((status,))
        memory = (ctypes.c_uint8 * nbytes).from_address(int(pointer))
        weakref.finalize(memory, self._unpin, pointer).atexit = False
        return np.frombuffer(memory, np.uint8)

    def _unpin(self, pointer):
        for stream in self._lanes:  # a copy may still be under way
            self.aside(cu.cuStreamSynchronize, stream.handle)
        self.aside(cu.cuMemFreeHost, pointer)

    def aside(self, call, *arguments):
        """Call CUDA for a destructor, which may run in any thread and between two calls of its own: what was current
        stays so."""
        _, before = cu.cuCtxGetCurrent()
        self.be_current()
        try:
            call(*arguments)
        finally:
            cu.cuCtxSetCurrent(before)

    def event(self):
        """An `Event`."""
        self.be_current()
        return Event(self)

    def synchronize(self):
        self.be_current()
        _tried(self.stream.sync)

    def be_current(self):
        """Have the thread's calls of CUDA mean this GPU: other libraries may have chosen another one since."""
        cu.cuCtxSetCurrent(self._context)

    def _allocate(self, nbytes):
        self.be_current()
        status, address = cu.cuMemAllocAsync(max(nbytes, 1), self.stream.handle)
        if status == cu.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            free, total = self.memory_left()
            raise MemoryError(
                f"{self.device.name} has no room for {nbytes:,} bytes: {free:,} of {total:,} are free; use a smaller "
                "batch_size"
            )
        _checked((status,))
        return Memory(self, Piece(self, int(address)))

    def _upload(self, array, host):
        self.be_current()
        small = host.nbytes <= SMALL
        if small:
            self._stage = self._stage or Stage(self)
        source = self._stage.put(host) if small else host.ctypes.data
        _checked(cu.cuMemcpyHtoDAsync(array.address, source, host.nbytes, self.stream.handle))
        if not small:
            self.synchronize()  # memory that is not page-locked may be read after the call has returned

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
        code, kinds = self._kernels.get(kernel) or self._load(kernel)
        size = blocks, threads
        if size not in self._configs:
            demand_sizes(kernel, blocks, threads)
            self._configs[size] = LaunchConfig(grid=blocks, block=threads)
        packed = [pack(value) for pack, value in zip(kinds, arguments, strict=True)]
        self.be_current()
        _tried(launch, self._target, self._configs[size], code, *packed)

    def _load(self, kernel):
        """(the kernel on this GPU, what makes each of its arguments from ours)"""
        code, entry = cache.cubin(kernel, self.capability)
        self.be_current()  # what compiles may have chosen another GPU
        packs = [self._address_of(kind) if isinstance(kind, types.CPointer) else np.dtype(kind.name).type
                 for kind in kernel.kinds]  # fmt: skip
        self._kernels[kernel] = ObjectCode.from_cubin(code).get_kernel(entry), packs
        return self._kernels[kernel]

    def _address_of(self, kind):
        """A function from an array of this pointer's dtype to its address; None is an array that is not read."""
        dtype = np.dtype(kind.dtype.name)

        def address(array):
            if array is None:
                return 0
            if array.dtype != dtype:
                raise TypeError(f"a kernel's argument of {dtype} got an array of {array.dtype}")
            if array.memory.driver is not self:
                self.demand_own(array)  # raises
            return array.address

        return address

    def _product(self, a, b, out, transpose_a, transpose_b, add, kind):
        self.be_current()
        self._blas.product(a, b, out, transpose_a, transpose_b, add, kind)

    def _new_graph(self):
        self.be_current()
        return Graph(self)


def _checked(result):
    """The values of a call of CUDA's.

    Raises:
        RuntimeError: it failed, or work before it.
    """
    status, *values = result
    if status != cu.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"CUDA: {status.name}{_advice(status.name)}")
    return values


def _tried(call, *arguments):
    """What a call of cuda.core's returns.

    Raises:
        MemoryError: there is no room.
        RuntimeError: it failed, or work before it.
    """
    try:
        return call(*arguments)
    except Exception as error:
        if "CUDA_ERROR_OUT_OF_MEMORY" in str(error):
            raise MemoryError(f"CUDA: {error}; use a smaller batch_size") from error
        if advice := _advice(str(error)):
            raise RuntimeError(f"CUDA: {error}{advice}") from error
        raise


def _advice(said):
    """What to do about an error; "" where nobody knows."""
    if "CUDA_ERROR_NOT_INITIALIZED" in said:
        return "; after a fork nobody can use CUDA: have multiprocessing start processes by 'spawn'"
    if not any(name in said for name in BROKEN):
        return ""
    return (
        "; a kernel failed, now or before: npdl.cuda.debug() in a new process says which. This one cannot use the GPU "
        "any more"
    )
