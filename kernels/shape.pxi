# Moving numbers.

cdef extern from "engine.h" nogil:
    const int NPDL_MOVE_AXES
    void npdl_move_all_f32(const void *x, void *out, int axes, const int64_t *size, const int64_t *from_,
                           const int64_t *to)
    void npdl_move_all_f64(const void *x, void *out, int axes, const int64_t *size, const int64_t *from_,
                           const int64_t *to)
    void npdl_repeat_grad_f32(const void *dy, void *out, int64_t samples, const int64_t *size, const int64_t *times,
                              int64_t channels)
    void npdl_repeat_grad_f64(const void *dy, void *out, int64_t samples, const int64_t *size, const int64_t *times,
                              int64_t channels)
    void npdl_fold_f32(const void *dy, void *out, const void *source, int64_t rows, int64_t longer, int64_t length,
                       int64_t before, int64_t channels)
    void npdl_fold_f64(const void *dy, void *out, const void *source, int64_t rows, int64_t longer, int64_t length,
                       int64_t before, int64_t channels)

cdef double ZERO = 0  # of both types, in its first bytes


cdef char strided(str kernel, str name, object array, int64_t *steps, void **address, bint write) except 0:
    """The type letter of an aligned NumPy array of any strides, which are put into `steps`, in numbers."""
    cdef numpy.ndarray a = array_of(kernel, name, array)
    cdef char c = type_of(kernel, name, array)
    cdef int axis
    if write and not numpy.PyArray_ISWRITEABLE(a):
        raise ValueError(f"{kernel}: {name} is written to, and is read-only")
    if not numpy.PyArray_ISALIGNED(a):
        raise ValueError(
            f"{kernel}: {name} is not aligned in memory, as a field of a packed record is not; pass {name}.copy()"
        )
    address[0] = numpy.PyArray_DATA(a)
    for axis in range(a.ndim):
        steps[axis] = a.strides[axis] // numpy.PyArray_ITEMSIZE(a)
    return c


def move(str kernel, x, out):
    """out[...] = x for two views of one shape; zeros where x is None."""
    cdef int64_t size[16]
    cdef int64_t from_[16]
    cdef int64_t to[16]
    cdef void *x_ = &ZERO
    cdef void *out_
    cdef int axis, axes = out.ndim
    cdef char type
    if axes > NPDL_MOVE_AXES:
        raise ValueError(f"{kernel}: at most {NPDL_MOVE_AXES} axes, got {axes}")
    type = strided(kernel, "out", out, to, &out_, True)
    for axis in range(axes):
        size[axis], from_[axis] = out.shape[axis], 0
    if x is not None:
        if x.shape != out.shape:
            raise ValueError(f"{kernel}: x of shape {x.shape} does not fit out of shape {out.shape}")
        if strided(kernel, "x", x, from_, &x_, False) != type:
            raise TypeError(f"{kernel}: x must be {TYPE_NAMES[type]}, got {x.dtype}; convert it by astype")
    with nogil:
        if type == b"f":
            npdl_move_all_f32(x_, out_, axes, size, from_, to)
        else:
            npdl_move_all_f64(x_, out_, axes, size, from_, to)
    done(kernel)


def repeat_grad(dy, out, int64_t samples, tuple sizes, tuple repeats, int64_t channels):
    """out = Σ dy over the copies of each place; three sizes and three numbers of copies"""
    cdef char type = type_of("repeat_grad", "dy", dy)
    cdef int64_t[3] size = sizes
    cdef int64_t[3] times = repeats
    cdef int64_t n = samples * size[0] * size[1] * size[2] * channels
    cdef void *dy_ = at("repeat_grad", "dy", dy, type, n * times[0] * times[1] * times[2])
    cdef void *out_ = at("repeat_grad", "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_repeat_grad_f32(dy_, out_, samples, size, times, channels)
        else:
            npdl_repeat_grad_f64(dy_, out_, samples, size, times, channels)
    done("repeat_grad")


def fold(dy, out, int64_t before, source):
    """out (rows, length, channels) = dy (rows, longer, channels) from `before` on, and what source says added."""
    cdef char type = type_of("extend_grad", "dy", dy)
    cdef int64_t rows = dy.shape[0], longer = dy.shape[1], channels = dy.shape[2], length = out.shape[1], i
    cdef void *dy_ = at("extend_grad", "dy", dy, type, rows * longer * channels)
    cdef void *out_ = at("extend_grad", "out", out, type, rows * length * channels, True)
    cdef const int64_t *source_ = <const int64_t *> at("extend_grad", "source", source, b"q", longer)
    if not 0 <= before <= longer - length:
        raise ValueError(f"extend_grad: {length} places from {before} on of {longer}")
    for i in range(longer):
        if not 0 <= source_[i] < length:
            raise ValueError(f"extend_grad: place {i} shows {source_[i]}, of {length} places")
    with nogil:
        if type == b"f":
            npdl_fold_f32(dy_, out_, source_, rows, longer, length, before, channels)
        else:
            npdl_fold_f64(dy_, out_, source_, rows, longer, length, before, channels)
    done("extend_grad")
