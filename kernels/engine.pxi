# The Cython body of every build. A family's .pxi defines one Python function a kernel, called by
# npdl/kernels/cpu/<family>.py, which has compared the shapes; here every array's type, order and number of elements are
# checked, the GIL is let go, and the C function of the right number type is called.

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, int32_t, uint8_t, uint32_t, uint64_t

cdef extern from "engine.h" nogil:
    ctypedef void (*npdl_block)(void *ctx, int64_t block, void *work)
    int npdl_start_pool()
    void npdl_parallel(npdl_block fn, void *ctx, int64_t blocks, size_t bytes)
    size_t npdl_take_missing()
    int npdl_get_num_threads()
    void npdl_set_num_threads(int n)
    int npdl_cpu_level()
    ctypedef struct npdl_window:
        int64_t in_h, in_w, channels, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w
        int64_t out_h, out_w, filters, groups
    const int NPDL_HAS_FMA
    const char *__VERSION__

if npdl_start_pool():
    raise ImportError("npdl could not set up its threads")

HAS_FMA = bool(NPDL_HAS_FMA)
COMPILER = __VERSION__.decode()


def cpu_level():
    """The x86-64 level of this machine, 2 to 4; 0 on other processors."""
    return npdl_cpu_level()


def get_num_threads():
    return npdl_get_num_threads()


def set_num_threads(int n):
    npdl_set_num_threads(n)


def run_blocks(size_t function, size_t context, int64_t blocks):
    """npdl_parallel on a function of that address, void f(void *context, int64_t block, void *work)."""
    with nogil:
        npdl_parallel(<npdl_block> function, <void *> context, blocks, 0)
    done("update")


# ---- arrays

# Number types by their letter: f float32, d float64, B uint8, i int32, I uint32, q int64.
cdef dict TYPE_NAMES = {
    c: name for c, name in zip(b"fdBiIq", ("float32", "float64", "uint8", "int32", "uint32", "int64"))
}


cdef char letter(const Py_buffer *view) noexcept:
    cdef char c = view.format[0]
    if view.format[1]:  # '>f', '=f': swapped or unaligned
        return b"?"
    if c == b"l":  # C's long is 8 bytes on Linux and macOS, 4 on Windows
        return b"q" if view.itemsize == 8 else b"i"
    if c == b"L":
        return b"I" if view.itemsize == 4 else b"?"
    return c


cdef int get_view(str kernel, str name, object array, Py_buffer *view, bint write) except -1:
    try:
        PyObject_GetBuffer(array, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if write else 0))
    except (BufferError, TypeError, ValueError) as error:
        raise TypeError(
            f"{kernel}: {name} must be a {'writable ' if write else ''}C-contiguous NumPy array, got "
            f"{type(array).__name__} ({error}); pass np.ascontiguousarray({name})"
        ) from None
    return 0


cdef char type_of(str kernel, str name, object array) except 0:
    """The type letter of an array of float32 or float64: what decides which C function is called."""
    cdef Py_buffer view
    cdef char c
    get_view(kernel, name, array, &view, False)
    c = letter(&view)
    PyBuffer_Release(&view)
    if c != b"f" and c != b"d":
        raise TypeError(f"{kernel} works in float32 or float64, got {name} of {array.dtype}; convert it by astype")
    return c


cdef void *at(str kernel, str name, object array, char type, int64_t count, bint write=False) except? NULL:
    """The address of a C-contiguous array of `count` numbers of that type; NULL for None.

    The array must outlive the call: it does, being an argument of the Python function that asks."""
    cdef Py_buffer view
    cdef char c
    cdef int64_t size
    cdef void *address
    if array is None:
        return NULL
    get_view(kernel, name, array, &view, write)
    c, size, address = letter(&view), view.len // (view.itemsize or 1), view.buf
    PyBuffer_Release(&view)
    if c != type:
        raise TypeError(f"{kernel}: {name} must be {TYPE_NAMES[type]}, got {array.dtype}; convert it by astype")
    if size != count:
        raise ValueError(f"{kernel}: {name} must have {count} elements, got {size} (shape {array.shape})")
    return address


cdef npdl_window window(g) except *:
    """The C struct of a Window2D."""
    cdef npdl_window w
    (
        w.in_h, w.in_w, w.channels, w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.pad_top, w.pad_left,
        w.dilation_h, w.dilation_w, w.out_h, w.out_w, w.filters, w.groups,
    ) = g
    return w


cdef int done(str kernel) except -1:
    """Raise if the kernel found no working memory and left its output unwritten."""
    cdef size_t missing = npdl_take_missing()
    if missing:
        raise MemoryError(f"{kernel} found no {missing:,} bytes of working memory; use a smaller batch_size")
    return 0


# ---- updates: Numba compiles them, the pool runs them

def run_update(
    str kernel, size_t function, int64_t blocks, tuple tables, hyper, int64_t numbers, tuple names, tuple arrays,
    int required,
):
    """npdl_parallel on the compiled body of an update, void f(void **context, int64_t block, void *work).

    The context is three addresses of tables, that of `hyper`, and those of at most five arrays, NULL for None, which
    the first `required` are not; all have the shape of the first one; all but the second one, g, are written to."""
    cdef void *context[9]
    cdef char type = type_of(kernel, names[0], arrays[0])
    cdef int64_t i, length = arrays[0].size
    cdef tuple shape = arrays[0].shape
    for i in range(3):
        context[i] = <void *> <size_t> tables[i]
    context[3] = at(kernel, "hyper", hyper, b"d", numbers)
    if len(hyper) != numbers:
        raise ValueError(f"{kernel}: hyper must hold {numbers} numbers, got {len(hyper)}")
    for i in range(len(arrays)):
        if arrays[i] is None:
            if i < required:
                raise TypeError(f"{kernel}: {names[i]} must be an array, got None")
        elif arrays[i].shape != shape:
            raise ValueError(f"{kernel}: {names[i]} must have shape {shape}, got {arrays[i].shape}")
        context[4 + i] = at(kernel, names[i], arrays[i], type, length, i != 1)
    with nogil:
        npdl_parallel(<npdl_block> function, context, blocks, 0)
    done(kernel)


# ---- families

include "matmul.pxi"
include "conv.pxi"
include "activation.pxi"
include "loss.pxi"
include "norm.pxi"
include "layer_norm.pxi"
include "group_norm.pxi"
include "pooling.pxi"
include "merge.pxi"
include "dropout.pxi"
