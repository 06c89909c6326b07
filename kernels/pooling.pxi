# Pooling; see pooling.h. g is a Window2D: a tuple.

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


cdef int64_t pool_in(int64_t images, const npdl_window *g) noexcept:
    return images * g.in_h * g.in_w * g.channels


cdef int64_t pool_out(int64_t images, const npdl_window *g) noexcept:
    return images * g.out_h * g.out_w * g.channels


cdef char winner_type(const npdl_window *g) noexcept:
    return b"B" if g.kernel_h * g.kernel_w <= NPDL_NARROW_TAPS else b"i"


def max_pool2d(x, out, winners, bint relu, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("max_pool2d", "x", x)
    cdef void *px = at("max_pool2d", "x", x, t, pool_in(images, &g))
    cdef void *po = at("max_pool2d", "out", out, t, pool_out(images, &g), True)
    cdef void *pw = at("max_pool2d", "winners", winners, winner_type(&g), pool_out(images, &g), True)
    with nogil:
        if t == b"f":
            npdl_max_pool2d_f32(px, po, pw, relu, images, &g)
        else:
            npdl_max_pool2d_f64(px, po, pw, relu, images, &g)
    done("max_pool2d")


def max_pool2d_grad(dy, winners, y, out, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("max_pool2d_grad", "dy", dy)
    cdef void *pd = at("max_pool2d_grad", "dy", dy, t, pool_out(images, &g))
    cdef void *pw = at("max_pool2d_grad", "winners", winners, winner_type(&g), pool_out(images, &g))
    cdef void *py = at("max_pool2d_grad", "y", y, t, pool_out(images, &g))
    cdef void *po = at("max_pool2d_grad", "out", out, t, pool_in(images, &g), True)
    with nogil:
        if t == b"f":
            npdl_max_pool2d_grad_f32(pd, pw, py, po, images, &g)
        else:
            npdl_max_pool2d_grad_f64(pd, pw, py, po, images, &g)
    done("max_pool2d_grad")


def average_pool2d(x, out, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("average_pool2d", "x", x)
    cdef void *px = at("average_pool2d", "x", x, t, pool_in(images, &g))
    cdef void *po = at("average_pool2d", "out", out, t, pool_out(images, &g), True)
    with nogil:
        if t == b"f":
            npdl_average_pool2d_f32(px, po, images, &g)
        else:
            npdl_average_pool2d_f64(px, po, images, &g)
    done("average_pool2d")


def average_pool2d_grad(dy, out, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("average_pool2d_grad", "dy", dy)
    cdef void *pd = at("average_pool2d_grad", "dy", dy, t, pool_out(images, &g))
    cdef void *po = at("average_pool2d_grad", "out", out, t, pool_in(images, &g), True)
    with nogil:
        if t == b"f":
            npdl_average_pool2d_grad_f32(pd, po, images, &g)
        else:
            npdl_average_pool2d_grad_f64(pd, po, images, &g)
    done("average_pool2d_grad")


cdef int global_pool(
    str kernel, int kind, str name, x, out, winners, bint write, int64_t images, int64_t places, int64_t channels,
) except -1:
    cdef char t = type_of(kernel, name, x)
    cdef int64_t small = images * channels, large = small * places
    cdef bint backward = kind % 2
    cdef void *px = at(kernel, name, x, t, small if backward else large)
    cdef void *po = at(kernel, "out", out, t, large if backward else small, True)
    cdef void *pw = at(kernel, "winners", winners, b"i", small, write)
    with nogil:
        if t == b"f":
            npdl_global_pool_f32(kind, px, po, pw, images, places, channels)
        else:
            npdl_global_pool_f64(kind, px, po, pw, images, places, channels)
    return 0


def global_max_pool2d(x, out, winners, int64_t images, int64_t places, int64_t channels):
    global_pool("global_max_pool2d", 0, "x", x, out, winners, True, images, places, channels)


def global_max_pool2d_grad(dy, winners, out, int64_t images, int64_t places, int64_t channels):
    global_pool("global_max_pool2d_grad", 1, "dy", dy, out, winners, False, images, places, channels)


def global_average_pool2d(x, out, int64_t images, int64_t places, int64_t channels):
    global_pool("global_average_pool2d", 2, "x", x, out, None, False, images, places, channels)


def global_average_pool2d_grad(dy, out, int64_t images, int64_t places, int64_t channels):
    global_pool("global_average_pool2d_grad", 3, "dy", dy, out, None, False, images, places, channels)
