# The Cython body of every build. A family's .pxi defines one Python function a kernel, called by
# npdl/kernels/cpu/<family>.py. One of the two compares the shapes (here it costs a tenth); here every array's type,
# order, alignment and number of elements are checked, the GIL is let go, and the C function of the right number type is
# called.

cimport numpy
from libc.stdint cimport int64_t, int32_t, uint8_t, uint32_t, uint64_t

numpy.import_array()

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
    ctypedef struct npdl_depth:
        int64_t in_ "in", kernel, stride, pad, dilation, out
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


cdef char letter(numpy.ndarray array) noexcept:
    """The type letter; ? where there is none, as for numbers of the other byte order."""
    cdef int type = numpy.PyArray_TYPE(array)
    cdef size_t bytes = <size_t> numpy.PyArray_ITEMSIZE(array)
    if numpy.PyArray_ISBYTESWAPPED(array):
        return b"?"
    if type == numpy.NPY_FLOAT:
        return b"f"
    if type == numpy.NPY_DOUBLE:
        return b"d"
    if type == numpy.NPY_UBYTE:
        return b"B"
    if type == numpy.NPY_UINT or type == numpy.NPY_ULONG:
        return b"I" if bytes == 4 else b"?"
    if type == numpy.NPY_INT or type == numpy.NPY_LONG or type == numpy.NPY_LONGLONG:  # long is 4 bytes on Windows
        return b"q" if bytes == 8 else b"i"
    return b"?"


cdef numpy.ndarray array_of(str kernel, str name, object array):
    """It, if it is an array.

    Raises:
        TypeError: something else.
    """
    if not isinstance(array, numpy.ndarray):
        raise TypeError(f"{kernel}: {name} must be a NumPy array, got {type(array).__name__}; pass np.asarray({name})")
    return <numpy.ndarray> array


cdef char type_of(str kernel, str name, object array) except 0:
    """The type letter of an array of float32 or float64: what decides which C function is called."""
    cdef char c = letter(array_of(kernel, name, array))
    if c != b"f" and c != b"d":
        raise TypeError(f"{kernel} works in float32 or float64, got {name} of {array.dtype}; convert it by astype")
    return c


cdef void *at(str kernel, str name, object array, char type, int64_t count, bint write=False) except? NULL:
    """The address of a C-contiguous, aligned array of `count` numbers of that type; NULL for None.

    The array must outlive the call: it does, being an argument of the Python function that asks."""
    if array is None:
        return NULL
    cdef numpy.ndarray a = array_of(kernel, name, array)
    if not numpy.PyArray_IS_C_CONTIGUOUS(a) or (write and not numpy.PyArray_ISWRITEABLE(a)):
        raise TypeError(
            f"{kernel}: {name} must be a {'writable ' if write else ''}C-contiguous NumPy array; "
            f"pass np.ascontiguousarray({name}){', of a read-only array its copy()' if write else ''}"
        )
    if letter(a) != type:
        raise TypeError(f"{kernel}: {name} must be {TYPE_NAMES[type]}, got {array.dtype}; convert it by astype")
    if numpy.PyArray_SIZE(a) != count:
        raise ValueError(f"{kernel}: {name} must have {count} elements, got {array.size} (shape {array.shape})")
    if not numpy.PyArray_ISALIGNED(a):
        raise ValueError(
            f"{kernel}: {name} is not aligned in memory, as a field of a packed record is not; pass {name}.copy()"
        )
    return numpy.PyArray_DATA(a)


def expect(str kernel, str name, object array, tuple shape):
    """Raise unless `array` is a NumPy array of that shape; for the wrappers, which know what shapes go together.

    Raises:
        TypeError: not an array.
        ValueError: another shape.
    """
    cdef numpy.ndarray a = array_of(kernel, name, array)
    cdef int i, axes = a.ndim
    cdef bint same = axes == len(shape)
    if same:
        for i in range(axes):
            same = same and a.shape[i] == <int64_t> shape[i]
    if not same:
        raise ValueError(f"{kernel}: {name} must have shape {shape}, got {array.shape}")


cdef void *shaped(
    str kernel, str name, object array, char type, int axes, const numpy.npy_intp *shape, bint write=False,
) except? NULL:
    """`at` of an array of that shape, not None.

    Raises:
        ValueError: another shape.
    """
    cdef numpy.ndarray a = array_of(kernel, name, array)
    cdef bint same = a.ndim == axes
    cdef int i = 0
    while same and i < axes:
        same = a.shape[i] == shape[i]
        i += 1
    if not same:
        expected = tuple([shape[i] for i in range(axes)])
        raise ValueError(f"{kernel}: {name} must have shape {expected}, got {array.shape}")
    return at(kernel, name, array, type, numpy.PyArray_SIZE(a), write)


cdef npdl_window window(g) except *:
    """The C struct of a Window2D."""
    cdef npdl_window w
    (
        w.in_h, w.in_w, w.channels, w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.pad_top, w.pad_left,
        w.dilation_h, w.dilation_w, w.out_h, w.out_w, w.filters, w.groups,
    ) = g
    return w


cdef npdl_window volume_window(g, npdl_depth *d) except *:
    """The C structs of a Window3D: what it has of a Window2D, and the axis of depth."""
    cdef npdl_window w
    (
        d.in_, w.in_h, w.in_w, w.channels, d.kernel, w.kernel_h, w.kernel_w, d.stride, w.stride_h, w.stride_w,
        d.pad, w.pad_top, w.pad_left, d.dilation, w.dilation_h, w.dilation_w, d.out, w.out_h, w.out_w, w.filters,
        w.groups,
    ) = g
    return w


cdef int done(str kernel) except -1:
    """Raise if the kernel found no working memory and left its output unwritten."""
    cdef size_t missing = npdl_take_missing()
    if missing:
        raise MemoryError(f"{kernel} found no {missing:,} bytes of working memory; use a smaller batch_size")
    return 0


# ---- updates: the pool runs them; those of update.h are compiled here, Numba compiles the others

cdef extern from "engine.h" nogil:
    void npdl_sgd_f32(void *context, int64_t block, void *work)
    void npdl_sgd_f64(void *context, int64_t block, void *work)
    void npdl_adam_f32(void *context, int64_t block, void *work)
    void npdl_adam_f64(void *context, int64_t block, void *work)
    void npdl_adamw_f32(void *context, int64_t block, void *work)
    void npdl_adamw_f64(void *context, int64_t block, void *work)

UPDATES = {
    ("sgd", "float32"): <size_t> &npdl_sgd_f32, ("sgd", "float64"): <size_t> &npdl_sgd_f64,
    ("adam", "float32"): <size_t> &npdl_adam_f32, ("adam", "float64"): <size_t> &npdl_adam_f64,
    ("adamw", "float32"): <size_t> &npdl_adamw_f32, ("adamw", "float64"): <size_t> &npdl_adamw_f64,
}



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
include "rnn.pxi"
include "conv.pxi"
include "activation.pxi"
include "row_activations.pxi"
include "regularize.pxi"
include "loss.pxi"
include "norm.pxi"
include "layer_norm.pxi"
include "group_norm.pxi"
include "pooling.pxi"
include "pooled.pxi"
include "adaptive.pxi"
include "merge.pxi"
include "shape.pxi"
include "interpolate.pxi"
include "image.pxi"
include "color.pxi"
include "embed.pxi"
include "triplets.pxi"
include "dropout.pxi"
include "power.pxi"
include "rounding.pxi"
include "attention.pxi"
