"""Runs what the libraries of this folder are asked to do, over the very addresses that they were given.

So the real driver class is at work, with cuda.core's memory, streams and graphs and the calls of cuBLAS; only the code
of the kernels is not a GPU's.
"""

import atexit
import collections
import ctypes
import gc

import numpy as np
from numba.types import CPointer

from npdl.devices.cuda import cache, find
from npdl.devices.cuda.stand_in.replay import replay

RUN, NOTE, END, GRAPH, TO, FROM, INSIDE, FREE, RECORD, HOLD, WAIT, SYNC = range(12)
SAID = {
    RUN: "kernel", GRAPH: "graph", TO: "copy there", FROM: "copy back", INSIDE: "copy inside", RECORD: "record",
    HOLD: "hold", WAIT: "wait", SYNC: "synchronize",
}  # fmt: skip
HALF, BFLOAT = 2, 14  # CUDA_R_16F, CUDA_R_16BF
FAILED = 719  # CUDA_ERROR_LAUNCH_FAILED
address, number = ctypes.c_uint64, ctypes.c_int
ON_WORK = ctypes.CFUNCTYPE(
    number, number, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint), ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p
)
MATRIX = address, number  # where it lies, and its leading dimension
ON_PRODUCT = ctypes.CFUNCTYPE(
    number, ctypes.c_void_p, *(number,) * 5, ctypes.c_float, *MATRIX, *MATRIX, ctypes.c_float, *MATRIX, number, number
)


class Point:
    """Where an event was recorded: done when the stream has come there."""

    def __init__(self, stream):
        self.stream, self.done = stream, False

    def come(self):
        """The stream is there."""
        self.done = True


class SoftwareGpu:
    """Stands behind libcuda.so.1 and libcublas.so.13 of this process.

    What is asked of a stream is done at once, or, of the streams in `late`, when somebody waits for it and not before:
    so late that whoever forgot to wait reads what was there before, or writes over what is still to be read.

    Attributes:
        late: streams, by their handles.
        calls: what was asked for, in order, as `SAID`.
        errors: what went wrong in kernels and products: CUDA only says that something did.
        launches, graphs: how many kernels and products were started one by one, and how many graphs.
    """

    def __init__(self):
        self.cuda, self.blas = ctypes.CDLL("libcuda.so.1"), ctypes.CDLL("libcublas.so.13")
        self.errors, self.launches, self.graphs = [], 0, 0
        self._names, self._noted, self._captured = {}, [], []
        self.late, self.calls, self._queues, self._points = set(), [], collections.defaultdict(collections.deque), {}
        gc.disable()  # what is collected while a callback runs would wait for the very stream that is at work
        self._kept = ON_WORK(self._on_work), ON_PRODUCT(self._on_product)  # C does not keep them alive
        self.cuda.software_on_work(self._kept[0])
        atexit.register(self.cuda.software_on_work, None)  # memory is freed when Python is gone
        self.blas.software_on_product(self._kept[1])
        cache.cubin = self._no_code
        find.library = lambda name, package: f"lib{name}.so.13"

    def _no_code(self, kernel, capability):
        """Instead of compiling: a name under which the kernel is found again."""
        name = f"kernel_{len(self._names)}"
        self._names[name.encode()] = kernel
        return b"no code", name

    def finish(self, stream, point=None):
        """Do what is left to do in a stream, up to a point."""
        while self._queues[stream] and not (point and point.done):
            self._queues[stream].popleft()()

    def _in_order(self, stream, call):
        """Do it, or have it done later."""
        self._queues[stream].append(call)
        if stream not in self.late:
            self.finish(stream)

    def _on_order(self, kind, stream, a, b, n):
        """Copies, what is freed, and events."""
        if kind in (TO, FROM, INSIDE):  # from the host late, too: CUDA may, where memory is not page-locked
            self._in_order(stream, lambda: self._copy(kind, a, b, n))
        elif kind == FREE:
            self._in_order(stream, lambda: self._free(a))
        elif kind == RECORD:
            point = self._points[a] = Point(stream)
            self._in_order(stream, point.come)
        elif kind == SYNC:
            self.finish(stream)
        elif point := self._points.get(a):
            if kind == WAIT:
                self.finish(point.stream, point)
            else:
                self._in_order(stream, lambda: self.finish(point.stream, point))

    def _copy(self, kind, to, source, n):
        for place in ((to,) if kind == TO else (source,) if kind == FROM else (to, source)) if n else ():
            self._memory(place, np.dtype(np.uint8), n)
        ctypes.memmove(to, source, n)

    def _free(self, start):
        if not self.cuda.software_free(address(start)):
            raise MemoryError(f"no memory at {start:#x} to free")

    def _on_work(self, kind, name, dims, parameters, stream):
        try:
            if kind in SAID:
                self.calls.append(SAID[kind])
            if kind > GRAPH:
                self._on_order(kind, stream, *(parameters[i] or 0 for i in range(3)))
                return 0
            if kind == END:
                self._captured.append(self._noted)
                self._noted = []
                return 0
            if kind == GRAPH:
                self.graphs += 1
                captured = self._captured[dims[0]]
                self._in_order(stream, lambda: [call() for call in captured])
                return 0
            kernel = self._names[name]
            blocks, threads = tuple(dims[0:3]), tuple(dims[3:6])
            given = [_given(parameters[place], kind) for place, kind in enumerate(kernel.kinds)]

            def run():
                arguments = kernel.admitted([*map(self._argument, given, kernel.kinds)])
                if arguments is not None:
                    replay(kernel.function)(blocks, threads, *arguments)

            return self._do(run, kind == NOTE, stream)
        except Exception as error:  # it would be lost in C
            self.errors.append(error)
            return FAILED

    def _on_product(
        self, stream, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, compute, type
    ):
        try:

            def run():
                left = self._columns(a, *((k, m) if transpose_a else (m, k)), lda, type)
                right = self._columns(b, *((n, k) if transpose_b else (k, n)), ldb, type)
                out = self._columns(c, m, n, ldc)
                with np.errstate(over="ignore", invalid="ignore"):
                    product = alpha * ((left.T if transpose_a else left) @ (right.T if transpose_b else right))
                    out[...] = product + beta * out if beta else product

            return self._do(run, self.cuda.software_is_captured(ctypes.c_void_p(stream)), stream)
        except Exception as error:  # it would be lost in C
            self.errors.append(error)
            return FAILED

    def _do(self, call, noted, stream):
        if noted:
            self._noted.append(call)
        else:
            self.launches += 1
            self._in_order(stream, call)
        return 0

    def _memory(self, start, dtype, least=0):
        """The rest of the piece of memory in which an address lies, so many elements at least."""
        first, size = address(), ctypes.c_size_t()
        if not self.cuda.software_find(address(start), ctypes.byref(first), ctypes.byref(size)):
            raise MemoryError(f"no memory at {start:#x}")
        left = (first.value + size.value - start) // dtype.itemsize
        if left < least:
            raise MemoryError(f"of {least} elements at {start:#x} only {left} are in memory")
        raw = ctypes.cast(start, ctypes.POINTER(ctypes.c_uint8))
        return np.ctypeslib.as_array(raw, (left * dtype.itemsize,)).view(dtype)

    def _argument(self, value, kind):
        if not isinstance(kind, CPointer):
            return value
        dtype = np.dtype(kind.dtype.name)
        return self._memory(int(value), dtype) if value else np.empty(0, dtype)

    def _columns(self, start, rows, columns, leading, type=0):
        """A matrix that lies column after column; of 16-bit numbers a copy in float32."""
        flat = self._memory(start, np.dtype({0: np.float32, HALF: np.float16, BFLOAT: np.uint16}[type]))
        if columns and leading * (columns - 1) + rows > flat.size:
            raise MemoryError(f"a matrix of {rows} x {columns} ends outside its memory")
        size = flat.itemsize
        matrix = np.lib.stride_tricks.as_strided(flat, (rows, columns), (size, size * leading))
        if type == BFLOAT:
            return (matrix.astype(np.uint32) << 16).view(np.float32)
        return matrix.astype(np.float32) if type == HALF else matrix


def _given(place, kind):
    """A parameter of a launch: a number, or an address. A graph keeps these, not what lies there."""
    dtype = np.dtype(np.uint64 if isinstance(kind, CPointer) else kind.name)
    return np.frombuffer(ctypes.string_at(place, dtype.itemsize), dtype)[0]
