# Pooling; see pooling.h. g is a Window2D: a tuple.

from npdl.kernels.checks import whole_window

cdef extern from "engine.h" nogil:
    const int NPDL_NARROW_TAPS
    void npdl_max_pool2d_f32(const void *x, void *out, void *winners, bint relu, int64_t images, const npdl_window *g)
    void npdl_max_pool2d_f64(const void *x, void *out, void *winners, bint relu, int64_t images, const npdl_window *g)
    void npdl_max_pool2d_grad_f32(
        const void *dy, const void *winners, const void *y, void *out, int64_t images, const npdl_window *g)
    void npdl_max_pool2d_grad_f64(
        const void *dy, const void *winners, const void *y, void *out, int64_t images, const npdl_window *g)
    void npdl_average_pool2d_f32(const void *x, void *out, int64_t images, const npdl_window *g)
    void npdl_average_pool2d_f64(const void *x, void *out, int64_t images, const npdl_window *g)
    void npdl_average_pool2d_grad_f32(const void *dy, void *out, int64_t images, const npdl_window *g)
    void npdl_average_pool2d_grad_f64(const void *dy, void *out, int64_t images, const npdl_window *g)
    void npdl_global_pool_f32(
        int kind, const void *x, void *out, void *winners, int64_t images, int64_t places, int64_t channels)
    void npdl_global_pool_f64(
        int kind, const void *x, void *out, void *winners, int64_t images, int64_t places, int64_t channels)


# The window, and the shapes of the larger and the smaller array.
ctypedef struct pool_sizes:
    npdl_window g
    int64_t images
    numpy.npy_intp large[4]
    numpy.npy_intp small[4]


cdef pool_sizes pool_of(str kernel, g, str name, object large) except *:
    """Of as many images as the larger array has."""
    cdef pool_sizes s
    cdef numpy.ndarray array = array_of(kernel, name, large)
    for size in g:
        if type(size) is not int:
            whole_window(kernel, g)
    cdef npdl_window w = window(g)
    if (
        min(w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.dilation_h, w.dilation_w) < 1
        or min(w.in_h, w.in_w, w.out_h, w.out_w, w.channels) < 0
    ):
        raise ValueError(f"{kernel}: window, strides and dilation must be at least 1 and sizes not negative, got {g}")
    s.g, s.images = w, array.shape[0] if array.ndim else 0
    s.large[0], s.large[1], s.large[2], s.large[3] = s.images, w.in_h, w.in_w, w.channels
    s.small[0], s.small[1], s.small[2], s.small[3] = s.images, w.out_h, w.out_w, w.channels
    return s


cdef char winner_type(const npdl_window *g) noexcept:
    return b"B" if g.kernel_h * g.kernel_w <= NPDL_NARROW_TAPS else b"i"


def max_pool2d(x, out, winners, bint relu, g):
    cdef pool_sizes s = pool_of("max_pool2d", g, "x", x)
    cdef char t = type_of("max_pool2d", "x", x)
    cdef void *px = shaped("max_pool2d", "x", x, t, 4, s.large)
    cdef void *po = shaped("max_pool2d", "out", out, t, 4, s.small, True)
    cdef void *pw = NULL
    if winners is not None:
        pw = shaped("max_pool2d", "winners", winners, winner_type(&s.g), 4, s.small, True)
    with nogil:
        if t == b"f":
            npdl_max_pool2d_f32(px, po, pw, relu, s.images, &s.g)
        else:
            npdl_max_pool2d_f64(px, po, pw, relu, s.images, &s.g)
    done("max_pool2d")


def max_pool2d_grad(dy, winners, y, out, g):
    cdef pool_sizes s = pool_of("max_pool2d_grad", g, "out", out)
    cdef char t = type_of("max_pool2d_grad", "dy", dy)
    cdef void *pd = shaped("max_pool2d_grad", "dy", dy, t, 4, s.small)
    cdef void *pw = shaped("max_pool2d_grad", "winners", winners, winner_type(&s.g), 4, s.small)
    cdef void *py = NULL if y is None else shaped("max_pool2d_grad", "y", y, t, 4, s.small)
    cdef void *po = shaped("max_pool2d_grad", "out", out, t, 4, s.large, True)
    with nogil:
        if t == b"f":
            npdl_max_pool2d_grad_f32(pd, pw, py, po, s.images, &s.g)
        else:
            npdl_max_pool2d_grad_f64(pd, pw, py, po, s.images, &s.g)
    done("max_pool2d_grad")


def average_pool2d(x, out, g):
    cdef pool_sizes s = pool_of("average_pool2d", g, "x", x)
    cdef char t = type_of("average_pool2d", "x", x)
    cdef void *px = shaped("average_pool2d", "x", x, t, 4, s.large)
    cdef void *po = shaped("average_pool2d", "out", out, t, 4, s.small, True)
    with nogil:
        if t == b"f":
            npdl_average_pool2d_f32(px, po, s.images, &s.g)
        else:
            npdl_average_pool2d_f64(px, po, s.images, &s.g)
    done("average_pool2d")


def average_pool2d_grad(dy, out, g):
    cdef pool_sizes s = pool_of("average_pool2d_grad", g, "out", out)
    cdef char t = type_of("average_pool2d_grad", "dy", dy)
    cdef void *pd = shaped("average_pool2d_grad", "dy", dy, t, 4, s.small)
    cdef void *po = shaped("average_pool2d_grad", "out", out, t, 4, s.large, True)
    with nogil:
        if t == b"f":
            npdl_average_pool2d_grad_f32(pd, po, s.images, &s.g)
        else:
            npdl_average_pool2d_grad_f64(pd, po, s.images, &s.g)
    done("average_pool2d_grad")


cdef int global_pool(str kernel, int kind, str name, images, str per_image_name, per_image, winners) except -1:
    """images (N, H, W, C), per_image and winners (N, C); of these, an even kind of pooling reads the images alone."""
    cdef numpy.ndarray array = array_of(kernel, name, images)
    cdef numpy.npy_intp *shape = array.shape
    cdef numpy.npy_intp small[2]
    cdef bint backward = kind % 2
    if array.ndim != 4 or (shape[0] and shape[3] and not (shape[1] and shape[2])):
        raise ValueError(f"{kernel}: expected images (N, H, W, C) of at least one place, got shape {images.shape}")
    small[0], small[1] = shape[0], shape[3]
    cdef char t = type_of(kernel, name, images)
    cdef void *large = shaped(kernel, name, images, t, 4, shape, backward)
    cdef void *few = shaped(kernel, per_image_name, per_image, t, 2, small, not backward)
    cdef void *pw = NULL if winners is None else shaped(kernel, "winners", winners, b"i", 2, small, not backward)
    cdef int64_t places = shape[1] * shape[2]
    with nogil:
        if backward and t == b"f":
            npdl_global_pool_f32(kind, few, large, pw, small[0], places, small[1])
        elif backward:
            npdl_global_pool_f64(kind, few, large, pw, small[0], places, small[1])
        elif t == b"f":
            npdl_global_pool_f32(kind, large, few, pw, small[0], places, small[1])
        else:
            npdl_global_pool_f64(kind, large, few, pw, small[0], places, small[1])
    return 0


def global_max_pool2d(x, out, winners):
    global_pool("global_max_pool2d", 0, "x", x, "out", out, winners)


def global_max_pool2d_grad(dy, winners, out):
    array_of("global_max_pool2d_grad", "winners", winners)
    global_pool("global_max_pool2d_grad", 1, "out", out, "dy", dy, winners)


def global_average_pool2d(x, out):
    global_pool("global_average_pool2d", 2, "x", x, "out", out, None)


def global_average_pool2d_grad(dy, out):
    global_pool("global_average_pool2d_grad", 3, "out", out, "dy", dy, None)
