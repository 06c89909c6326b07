# Convolution; see conv.h. g is a Window2D: a tuple.

cdef extern from "engine.h" nogil:
    void npdl_im2col_f32(const void *x, void *out, int64_t images, const npdl_window *g)
    void npdl_im2col_f64(const void *x, void *out, int64_t images, const npdl_window *g)
    void npdl_col2im_f32(const void *cols, void *out, int64_t images, const npdl_window *g)
    void npdl_col2im_f64(const void *cols, void *out, int64_t images, const npdl_window *g)
    void npdl_conv2d_f32(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t images, const npdl_window *g,
        int code, const double *constants)
    void npdl_conv2d_f64(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t images, const npdl_window *g,
        int code, const double *constants)
    void npdl_conv2d_dx_f32(const void *dz, const void *w, void *out, int64_t images, const npdl_window *g)
    void npdl_conv2d_dx_f64(const void *dz, const void *w, void *out, int64_t images, const npdl_window *g)
    void npdl_conv2d_dkernel_f32(const void *x, const void *dz, void *out, int64_t images, const npdl_window *g)
    void npdl_conv2d_dkernel_f64(const void *x, const void *dz, void *out, int64_t images, const npdl_window *g)
    void npdl_conv2d_transpose_f32(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t images, const npdl_window *g,
        int code, const double *constants)
    void npdl_conv2d_transpose_f64(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t images, const npdl_window *g,
        int code, const double *constants)
    void npdl_conv3d_f32(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t volumes, const npdl_window *g,
        const npdl_depth *d, int code, const double *constants)
    void npdl_conv3d_f64(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t volumes, const npdl_window *g,
        const npdl_depth *d, int code, const double *constants)
    void npdl_conv3d_transpose_f32(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t volumes, const npdl_window *g,
        const npdl_depth *d, int code, const double *constants)
    void npdl_conv3d_transpose_f64(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t volumes, const npdl_window *g,
        const npdl_depth *d, int code, const double *constants)
    void npdl_conv3d_dx_f32(
        const void *dz, const void *w, void *out, int64_t volumes, const npdl_window *g, const npdl_depth *d)
    void npdl_conv3d_dx_f64(
        const void *dz, const void *w, void *out, int64_t volumes, const npdl_window *g, const npdl_depth *d)
    void npdl_conv3d_dkernel_f32(
        const void *x, const void *dz, void *out, int64_t volumes, const npdl_window *g, const npdl_depth *d)
    void npdl_conv3d_dkernel_f64(
        const void *x, const void *dz, void *out, int64_t volumes, const npdl_window *g, const npdl_depth *d)
    void npdl_winograd_conv2d_f32(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t images, const npdl_window *g,
        int code, const double *constants)
    void npdl_winograd_dx_f32(const void *dz, const void *w, void *out, int64_t images, const npdl_window *g)
    void npdl_winograd_dkernel_f32(const void *x, const void *dz, void *out, int64_t images, const npdl_window *g)
    void npdl_winograd_conv2d_f64(
        const void *x, const void *w, void *out, const void *bias, void *z, int64_t images, const npdl_window *g,
        int code, const double *constants)
    void npdl_winograd_dx_f64(const void *dz, const void *w, void *out, int64_t images, const npdl_window *g)
    void npdl_winograd_dkernel_f64(const void *x, const void *dz, void *out, int64_t images, const npdl_window *g)

# Numbers of elements of the arrays of a convolution.

cdef int64_t size_x(int64_t images, const npdl_window *g) noexcept:
    return images * g.in_h * g.in_w * g.channels


cdef int64_t size_y(int64_t images, const npdl_window *g) noexcept:
    return images * g.out_h * g.out_w * g.filters


cdef int64_t size_w(const npdl_window *g) noexcept:
    return g.kernel_h * g.kernel_w * (g.channels // g.groups) * g.filters


cdef int64_t size_cols(int64_t images, const npdl_window *g) noexcept:
    return images * g.out_h * g.out_w * g.kernel_h * g.kernel_w * g.channels


def im2col(x, out, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("im2col", "out", out)
    cdef void *px = at("im2col", "x", x, t, size_x(images, &g))
    cdef void *po = at("im2col", "out", out, t, size_cols(images, &g), True)
    with nogil:
        if t == b"f":
            npdl_im2col_f32(px, po, images, &g)
        else:
            npdl_im2col_f64(px, po, images, &g)
    done("im2col")


def col2im(cols, out, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("col2im", "out", out)
    cdef void *pc = at("col2im", "cols", cols, t, size_cols(images, &g))
    cdef void *po = at("col2im", "out", out, t, size_x(images, &g), True)
    with nogil:
        if t == b"f":
            npdl_col2im_f32(pc, po, images, &g)
        else:
            npdl_col2im_f64(pc, po, images, &g)
    done("col2im")


def conv2d(x, w, out, bias, z, int64_t images, window_, int code, tuple constants):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("conv2d", "out", out)
    cdef double c[3]
    fill_constants(constants, c)
    cdef void *px = at("conv2d", "x", x, t, size_x(images, &g))
    cdef void *pw = at("conv2d", "w", w, t, size_w(&g))
    cdef void *po = at("conv2d", "out", out, t, size_y(images, &g), True)
    cdef void *pbias = at("conv2d", "bias", bias, t, g.filters)
    cdef void *pz = at("conv2d", "z", z, t, size_y(images, &g), True)
    with nogil:
        if t == b"f":
            npdl_conv2d_f32(px, pw, po, pbias, pz, images, &g, code, c)
        else:
            npdl_conv2d_f64(px, pw, po, pbias, pz, images, &g, code, c)
    done("conv2d")


def conv2d_dx(dz, w, out, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("conv2d_dx", "out", out)
    cdef void *pz = at("conv2d_dx", "dz", dz, t, size_y(images, &g))
    cdef void *pw = at("conv2d_dx", "w", w, t, size_w(&g))
    cdef void *po = at("conv2d_dx", "out", out, t, size_x(images, &g), True)
    with nogil:
        if t == b"f":
            npdl_conv2d_dx_f32(pz, pw, po, images, &g)
        else:
            npdl_conv2d_dx_f64(pz, pw, po, images, &g)
    done("conv2d_dx")


def conv2d_dkernel(x, dz, out, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("conv2d_dkernel", "out", out)
    cdef void *px = at("conv2d_dkernel", "x", x, t, size_x(images, &g))
    cdef void *pz = at("conv2d_dkernel", "dz", dz, t, size_y(images, &g))
    cdef void *po = at("conv2d_dkernel", "out", out, t, size_w(&g), True)
    with nogil:
        if t == b"f":
            npdl_conv2d_dkernel_f32(px, pz, po, images, &g)
        else:
            npdl_conv2d_dkernel_f64(px, pz, po, images, &g)
    done("conv2d_dkernel")


def conv2d_transpose(x, w, out, bias, z, int64_t images, window_, int code, tuple constants):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("conv2d_transpose", "out", out)
    cdef double c[3]
    fill_constants(constants, c)
    cdef void *px = at("conv2d_transpose", "x", x, t, size_y(images, &g))
    cdef void *pw = at("conv2d_transpose", "w", w, t, size_w(&g))
    cdef void *po = at("conv2d_transpose", "out", out, t, size_x(images, &g), True)
    cdef void *pbias = at("conv2d_transpose", "bias", bias, t, g.channels)
    cdef void *pz = at("conv2d_transpose", "z", z, t, size_x(images, &g), True)
    with nogil:
        if t == b"f":
            npdl_conv2d_transpose_f32(px, pw, po, pbias, pz, images, &g, code, c)
        else:
            npdl_conv2d_transpose_f64(px, pw, po, pbias, pz, images, &g, code, c)
    done("conv2d_transpose")


def conv3d(x, w, out, bias, z, int64_t volumes, window_, int code, tuple constants, bint transpose):
    """With `transpose` the transposed convolution: x are the convolution's outputs, and `out` its inputs."""
    cdef str kernel = "conv3d_transpose" if transpose else "conv3d"
    cdef npdl_depth d
    cdef npdl_window g = volume_window(window_, &d)
    cdef char t = type_of(kernel, "out", out)
    cdef double c[3]
    fill_constants(constants, c)
    cdef int64_t large = d.in_ * size_x(volumes, &g), small = d.out * size_y(volumes, &g)
    cdef void *px = at(kernel, "x", x, t, small if transpose else large)
    cdef void *pw = at(kernel, "w", w, t, d.kernel * size_w(&g))
    cdef void *po = at(kernel, "out", out, t, large if transpose else small, True)
    cdef void *pbias = at(kernel, "bias", bias, t, g.channels if transpose else g.filters)
    cdef void *pz = at(kernel, "z", z, t, large if transpose else small, True)
    with nogil:
        if transpose and t == b"f":
            npdl_conv3d_transpose_f32(px, pw, po, pbias, pz, volumes, &g, &d, code, c)
        elif transpose:
            npdl_conv3d_transpose_f64(px, pw, po, pbias, pz, volumes, &g, &d, code, c)
        elif t == b"f":
            npdl_conv3d_f32(px, pw, po, pbias, pz, volumes, &g, &d, code, c)
        else:
            npdl_conv3d_f64(px, pw, po, pbias, pz, volumes, &g, &d, code, c)
    done(kernel)


def conv3d_dx(dz, w, out, int64_t volumes, window_):
    cdef npdl_depth d
    cdef npdl_window g = volume_window(window_, &d)
    cdef char t = type_of("conv3d_dx", "out", out)
    cdef void *pz = at("conv3d_dx", "dz", dz, t, d.out * size_y(volumes, &g))
    cdef void *pw = at("conv3d_dx", "w", w, t, d.kernel * size_w(&g))
    cdef void *po = at("conv3d_dx", "out", out, t, d.in_ * size_x(volumes, &g), True)
    with nogil:
        if t == b"f":
            npdl_conv3d_dx_f32(pz, pw, po, volumes, &g, &d)
        else:
            npdl_conv3d_dx_f64(pz, pw, po, volumes, &g, &d)
    done("conv3d_dx")


def conv3d_dkernel(x, dz, out, int64_t volumes, window_):
    cdef npdl_depth d
    cdef npdl_window g = volume_window(window_, &d)
    cdef char t = type_of("conv3d_dkernel", "out", out)
    cdef void *px = at("conv3d_dkernel", "x", x, t, d.in_ * size_x(volumes, &g))
    cdef void *pz = at("conv3d_dkernel", "dz", dz, t, d.out * size_y(volumes, &g))
    cdef void *po = at("conv3d_dkernel", "out", out, t, d.kernel * size_w(&g), True)
    with nogil:
        if t == b"f":
            npdl_conv3d_dkernel_f32(px, pz, po, volumes, &g, &d)
        else:
            npdl_conv3d_dkernel_f64(px, pz, po, volumes, &g, &d)
    done("conv3d_dkernel")


def winograd(str kernel, a, b, out, int64_t images, window_, bias=None, z=None, int code=0, tuple constants=()):
    """For tests: conv2d, conv2d_dx or conv2d_dkernel by winograd.h, whatever its rule says; 3x3, stride 1 only."""
    cdef npdl_window g = window(window_)
    cdef char t = type_of("winograd", "out", out)
    cdef double c[3]
    fill_constants(constants, c)
    cdef int64_t x = size_x(images, &g), y = size_y(images, &g), w = size_w(&g)
    sizes = {"conv2d": (x, w, y), "conv2d_dx": (y, w, x), "conv2d_dkernel": (x, y, w)}[kernel]
    cdef void *pa = at("winograd", "a", a, t, sizes[0])
    cdef void *pb = at("winograd", "b", b, t, sizes[1])
    cdef void *po = at("winograd", "out", out, t, sizes[2], True)
    cdef void *pbias = at("winograd", "bias", bias, t, g.filters)
    cdef void *pz = at("winograd", "z", z, t, y, True)
    if kernel == "conv2d":
        if t == b"f":
            npdl_winograd_conv2d_f32(pa, pb, po, pbias, pz, images, &g, code, c)
        else:
            npdl_winograd_conv2d_f64(pa, pb, po, pbias, pz, images, &g, code, c)
    elif kernel == "conv2d_dx":
        if t == b"f":
            npdl_winograd_dx_f32(pa, pb, po, images, &g)
        else:
            npdl_winograd_dx_f64(pa, pb, po, images, &g)
    else:
        if t == b"f":
            npdl_winograd_dkernel_f32(pa, pb, po, images, &g)
        else:
            npdl_winograd_dkernel_f64(pa, pb, po, images, &g)
    done("winograd")
