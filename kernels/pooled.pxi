# Max-pooling over windows of 2 x 2 on the way; see pooled.h.

cdef extern from "engine.h" nogil:
    void npdl_unpool_f32(
        const void *dy, const void *winners, void *out, void *sums, int64_t images, int64_t in_h,
        int64_t in_w, int64_t channels)
    void npdl_unpool_f64(
        const void *dy, const void *winners, void *out, void *sums, int64_t images, int64_t in_h,
        int64_t in_w, int64_t channels)
    void npdl_conv2d_pooled_f32(
        const void *x, const void *w, void *out, const void *bias, void *winners, bint relu, int64_t images,
        const npdl_window *g)
    void npdl_conv2d_pooled_f64(
        const void *x, const void *w, void *out, const void *bias, void *winners, bint relu, int64_t images,
        const npdl_window *g)
    void npdl_conv2d_pooled_dkernel_f32(
        const void *x, const void *dy, const void *winners, void *out, int64_t images,
        const npdl_window *g)
    void npdl_conv2d_pooled_dkernel_f64(
        const void *x, const void *dy, const void *winners, void *out, int64_t images,
        const npdl_window *g)
    void npdl_batch_norm_pooled_f32(
        const void *x, const void *mean, const void *variance, const void *gamma, const void *beta, double epsilon,
        bint relu, void *out, void *winners, int64_t images, int64_t in_h, int64_t in_w, int64_t channels)
    void npdl_batch_norm_pooled_f64(
        const void *x, const void *mean, const void *variance, const void *gamma, const void *beta, double epsilon,
        bint relu, void *out, void *winners, int64_t images, int64_t in_h, int64_t in_w, int64_t channels)
    void npdl_batch_norm_pooled_grad_f32(
        int frozen, const void *dy, const void *winners, const void *x, const void *mean,
        const void *variance, const void *gamma, double epsilon, void *dx, void *dgamma, void *dbeta, int64_t images,
        int64_t in_h, int64_t in_w, int64_t channels)
    void npdl_batch_norm_pooled_grad_f64(
        int frozen, const void *dy, const void *winners, const void *x, const void *mean,
        const void *variance, const void *gamma, double epsilon, void *dx, void *dgamma, void *dbeta, int64_t images,
        int64_t in_h, int64_t in_w, int64_t channels)


# Shapes of the whole images and of the pooled ones.
ctypedef struct pooled_sizes:
    numpy.npy_intp large[4]
    numpy.npy_intp small[4]


cdef pooled_sizes pooled_of(int64_t images, int64_t height, int64_t width, int64_t channels) noexcept:
    cdef pooled_sizes s
    s.large[0], s.large[1], s.large[2], s.large[3] = images, height, width, channels
    s.small[0], s.small[1], s.small[2], s.small[3] = images, height // 2, width // 2, channels
    return s


cdef pooled_sizes whole_of(str kernel, object x) except *:
    """Of whole images x."""
    cdef numpy.ndarray a = array_of(kernel, "x", x)
    if a.ndim != 4 or not a.shape[3]:
        raise ValueError(f"{kernel}: x must be (N, H, W, C) with at least one channel, got shape {x.shape}")
    return pooled_of(a.shape[0], a.shape[1], a.shape[2], a.shape[3])


cdef void *maybe(
    str kernel, str name, object array, char type, numpy.npy_intp *shape, bint write=False,
) except? NULL:
    """The address of images of that shape; NULL for None."""
    return NULL if array is None else shaped(kernel, name, array, type, 4, shape, write)


def unpool(dy, winners, int64_t height, int64_t width, out, sums):
    """out = the gradient of images (height, width) from that of the pooled ones; sums: over its rows."""
    cdef numpy.ndarray a = array_of("unpool", "dy", dy)
    if a.ndim != 4 or height < 0 or width < 0:
        raise ValueError(f"unpool: dy must be (N, H // 2, W // 2, C), got shape {dy.shape} for H={height}, W={width}")
    cdef pooled_sizes s = pooled_of(a.shape[0], height, width, a.shape[3])
    cdef char t = type_of("unpool", "dy", dy)
    cdef void *pd = shaped("unpool", "dy", dy, t, 4, s.small)
    cdef void *pw = shaped("unpool", "winners", winners, b"B", 4, s.small)
    cdef void *po = maybe("unpool", "out", out, t, s.large, True)
    cdef void *ps = NULL if sums is None else shaped("unpool", "sums", sums, t, 1, &s.large[3], True)
    with nogil:
        if t == b"f":
            npdl_unpool_f32(pd, pw, po, ps, s.large[0], height, width, s.large[3])
        else:
            npdl_unpool_f64(pd, pw, po, ps, s.large[0], height, width, s.large[3])
    done("unpool")


def conv2d_pooled(x, w, out, bias, winners, bint relu, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("conv2d_pooled", "out", out)
    cdef pooled_sizes s = pooled_of(images, g.out_h, g.out_w, g.filters)
    cdef void *px = at("conv2d_pooled", "x", x, t, size_x(images, &g))
    cdef void *pw = at("conv2d_pooled", "w", w, t, size_w(&g))
    cdef void *po = shaped("conv2d_pooled", "out", out, t, 4, s.small, True)
    cdef void *pb = at("conv2d_pooled", "bias", bias, t, g.filters)
    cdef void *pi = maybe("conv2d_pooled", "winners", winners, b"B", s.small, True)
    with nogil:
        if t == b"f":
            npdl_conv2d_pooled_f32(px, pw, po, pb, pi, relu, images, &g)
        else:
            npdl_conv2d_pooled_f64(px, pw, po, pb, pi, relu, images, &g)
    done("conv2d_pooled")


def conv2d_pooled_dkernel(x, dy, winners, out, int64_t images, window_):
    cdef npdl_window g = window(window_)
    cdef char t = type_of("conv2d_pooled_dkernel", "out", out)
    cdef pooled_sizes s = pooled_of(images, g.out_h, g.out_w, g.filters)
    cdef void *px = at("conv2d_pooled_dkernel", "x", x, t, size_x(images, &g))
    cdef void *pd = shaped("conv2d_pooled_dkernel", "dy", dy, t, 4, s.small)
    cdef void *pw = shaped("conv2d_pooled_dkernel", "winners", winners, b"B", 4, s.small)
    cdef void *po = at("conv2d_pooled_dkernel", "out", out, t, size_w(&g), True)
    with nogil:
        if t == b"f":
            npdl_conv2d_pooled_dkernel_f32(px, pd, pw, po, images, &g)
        else:
            npdl_conv2d_pooled_dkernel_f64(px, pd, pw, po, images, &g)
    done("conv2d_pooled_dkernel")


def batch_norm_pooled(x, mean, variance, gamma, beta, double epsilon, bint relu, out, winners):
    cdef norm_sizes n = sizes_of("batch_norm_pooled", x)
    cdef pooled_sizes s = whole_of("batch_norm_pooled", x)
    cdef char t = type_of("batch_norm_pooled", "x", x)
    cdef void *px = at("batch_norm_pooled", "x", x, t, n.rows * n.channels)
    cdef void *pm = shaped("batch_norm_pooled", "mean", mean, t, 1, &n.channels)
    cdef void *pv = shaped("batch_norm_pooled", "variance", variance, t, 1, &n.channels)
    cdef void *pg = per_channel("batch_norm_pooled", "gamma", gamma, t, &n)
    cdef void *pb = per_channel("batch_norm_pooled", "beta", beta, t, &n)
    cdef void *po = shaped("batch_norm_pooled", "out", out, t, 4, s.small, True)
    cdef void *pi = maybe("batch_norm_pooled", "winners", winners, b"B", s.small, True)
    with nogil:
        if t == b"f":
            npdl_batch_norm_pooled_f32(
                px, pm, pv, pg, pb, epsilon, relu, po, pi, s.large[0], s.large[1], s.large[2], s.large[3])
        else:
            npdl_batch_norm_pooled_f64(
                px, pm, pv, pg, pb, epsilon, relu, po, pi, s.large[0], s.large[1], s.large[2], s.large[3])
    done("batch_norm_pooled")


def batch_norm_pooled_grad(bint frozen, dy, winners, x, mean, variance, gamma, double epsilon, dx, dgamma, dbeta):
    cdef str kernel = "batch_norm_pooled_grad"
    cdef norm_sizes n = sizes_of(kernel, x)
    cdef pooled_sizes s = whole_of(kernel, x)
    cdef char t = type_of(kernel, "x", x)
    cdef void *px = at(kernel, "x", x, t, n.rows * n.channels)
    cdef void *pd = shaped(kernel, "dy", dy, t, 4, s.small)
    cdef void *pw = shaped(kernel, "winners", winners, b"B", 4, s.small)
    cdef void *pm = shaped(kernel, "mean", mean, t, 1, &n.channels)
    cdef void *pv = shaped(kernel, "variance", variance, t, 1, &n.channels)
    cdef void *pg = per_channel(kernel, "gamma", gamma, t, &n)
    cdef void *po = maybe(kernel, "dx", dx, t, s.large, True)
    cdef void *pdg = per_channel(kernel, "dgamma", dgamma, t, &n, True)
    cdef void *pdb = per_channel(kernel, "dbeta", dbeta, t, &n, True)
    with nogil:
        if t == b"f":
            npdl_batch_norm_pooled_grad_f32(
                frozen, pd, pw, px, pm, pv, pg, epsilon, po, pdg, pdb, s.large[0], s.large[1], s.large[2],
                s.large[3])
        else:
            npdl_batch_norm_pooled_grad_f64(
                frozen, pd, pw, px, pm, pv, pg, epsilon, po, pdg, pdb, s.large[0], s.large[1], s.large[2],
                s.large[3])
    done(kernel)
