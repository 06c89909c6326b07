# Batch normalization.

cdef extern from "engine.h" nogil:
    void npdl_batch_norm_statistics_f32(const void *x, void *mean, void *variance, int64_t rows, int64_t channels)
    void npdl_batch_norm_statistics_f64(const void *x, void *mean, void *variance, int64_t rows, int64_t channels)
    void npdl_batch_norm_f32(
        const void *x, const void *mean, const void *variance, const void *gamma, const void *beta, double epsilon,
        const void *shortcut, bint relu, void *out, int64_t rows, int64_t channels)
    void npdl_batch_norm_f64(
        const void *x, const void *mean, const void *variance, const void *gamma, const void *beta, double epsilon,
        const void *shortcut, bint relu, void *out, int64_t rows, int64_t channels)
    void npdl_batch_norm_grad_f32(
        int frozen, const void *dy, const void *x, const void *mean, const void *variance, const void *gamma,
        const void *beta, double epsilon, bint relu, const void *y, void *dz, void *dx, void *dgamma, void *dbeta,
        int64_t rows, int64_t channels)
    void npdl_batch_norm_grad_f64(
        int frozen, const void *dy, const void *x, const void *mean, const void *variance, const void *gamma,
        const void *beta, double epsilon, bint relu, const void *y, void *dz, void *dx, void *dgamma, void *dbeta,
        int64_t rows, int64_t channels)
    void npdl_moving_average_f32(const void *value, double momentum, void *out, int64_t n)
    void npdl_moving_average_f64(const void *value, double momentum, void *out, int64_t n)


# x (..., C): so many rows of so many channels.
ctypedef struct norm_sizes:
    int axes
    numpy.npy_intp *shape
    numpy.npy_intp rows, channels


cdef norm_sizes sizes_of(str kernel, object x) except *:
    cdef numpy.ndarray array = array_of(kernel, "x", x)
    cdef norm_sizes n
    n.axes, n.shape, n.channels = array.ndim, array.shape, array.shape[array.ndim - 1] if array.ndim > 1 else 0
    if not n.channels:
        raise ValueError(f"{kernel}: x must be (..., C) with at least one channel, got shape {x.shape}")
    n.rows = numpy.PyArray_SIZE(array) // n.channels
    return n


cdef void *like_x(
    str kernel, str name, object array, char type, const norm_sizes *n, bint write=False,
) except? NULL:
    """The address of an array of x's shape; NULL for None."""
    return NULL if array is None else shaped(kernel, name, array, type, n.axes, n.shape, write)


cdef void *per_channel(
    str kernel, str name, object array, char type, const norm_sizes *n, bint write=False,
) except? NULL:
    """The address of an array of one number a channel; NULL for None."""
    return NULL if array is None else shaped(kernel, name, array, type, 1, &n.channels, write)


def batch_norm_statistics(x, mean, variance):
    """Mean and biased variance of each channel."""
    cdef norm_sizes n = sizes_of("batch_norm_statistics", x)
    if not n.rows:
        raise ValueError(f"batch_norm_statistics: x must have at least one row, got shape {x.shape}")
    cdef char type = type_of("batch_norm_statistics", "x", x)
    cdef void *x_ = at("batch_norm_statistics", "x", x, type, n.rows * n.channels)
    cdef void *mean_ = shaped("batch_norm_statistics", "mean", mean, type, 1, &n.channels, True)
    cdef void *variance_ = shaped("batch_norm_statistics", "variance", variance, type, 1, &n.channels, True)
    with nogil:
        if type == b"f":
            npdl_batch_norm_statistics_f32(x_, mean_, variance_, n.rows, n.channels)
        else:
            npdl_batch_norm_statistics_f64(x_, mean_, variance_, n.rows, n.channels)
    done("batch_norm_statistics")


def batch_norm(x, mean, variance, gamma, beta, double epsilon, shortcut, bint relu, out):
    """out = γ (x − mean) / √(variance + ε) + β, + shortcut, or ReLU of it"""
    cdef norm_sizes n = sizes_of("batch_norm", x)
    cdef char type = type_of("batch_norm", "x", x)
    cdef void *x_ = at("batch_norm", "x", x, type, n.rows * n.channels)
    cdef void *mean_ = shaped("batch_norm", "mean", mean, type, 1, &n.channels)
    cdef void *variance_ = shaped("batch_norm", "variance", variance, type, 1, &n.channels)
    cdef void *gamma_ = per_channel("batch_norm", "gamma", gamma, type, &n)
    cdef void *beta_ = per_channel("batch_norm", "beta", beta, type, &n)
    cdef void *shortcut_ = like_x("batch_norm", "shortcut", shortcut, type, &n)
    cdef void *out_ = shaped("batch_norm", "out", out, type, n.axes, n.shape, True)
    with nogil:
        if type == b"f":
            npdl_batch_norm_f32(
                x_, mean_, variance_, gamma_, beta_, epsilon, shortcut_, relu, out_, n.rows, n.channels)
        else:
            npdl_batch_norm_f64(
                x_, mean_, variance_, gamma_, beta_, epsilon, shortcut_, relu, out_, n.rows, n.channels)
    done("batch_norm")


def batch_norm_grad(
    str kernel, bint frozen, dy, x, mean, variance, gamma, beta, double epsilon, bint relu, y, dz, dx, dgamma, dbeta,
):
    """The gradients of `batch_norm`; frozen: mean and variance are constants. beta is read for ReLU alone, and that not
    where there is a y = ReLU(... + shortcut): then dz gets dy where y > 0, else 0."""
    if (y is None) != (dz is None):
        raise ValueError(f"{kernel}: y and dz go together, got {'dz' if y is None else 'y'} alone; pass both or neither")
    cdef norm_sizes n = sizes_of(kernel, x)
    cdef char type = type_of(kernel, "x", x)
    cdef void *x_ = at(kernel, "x", x, type, n.rows * n.channels)
    cdef void *dy_ = shaped(kernel, "dy", dy, type, n.axes, n.shape)
    cdef void *mean_ = shaped(kernel, "mean", mean, type, 1, &n.channels)
    cdef void *variance_ = shaped(kernel, "variance", variance, type, 1, &n.channels)
    cdef void *gamma_ = per_channel(kernel, "gamma", gamma, type, &n)
    cdef void *beta_ = per_channel(kernel, "beta", beta, type, &n)
    cdef void *y_ = like_x(kernel, "y", y, type, &n)
    cdef void *dz_ = like_x(kernel, "dz", dz, type, &n, True)
    cdef void *dx_ = like_x(kernel, "dx", dx, type, &n, True)
    cdef void *dgamma_ = per_channel(kernel, "dgamma", dgamma, type, &n, True)
    cdef void *dbeta_ = per_channel(kernel, "dbeta", dbeta, type, &n, True)
    with nogil:
        if type == b"f":
            npdl_batch_norm_grad_f32(
                frozen, dy_, x_, mean_, variance_, gamma_, beta_, epsilon, relu, y_, dz_, dx_, dgamma_, dbeta_,
                n.rows, n.channels)
        else:
            npdl_batch_norm_grad_f64(
                frozen, dy_, x_, mean_, variance_, gamma_, beta_, epsilon, relu, y_, dz_, dx_, dgamma_, dbeta_,
                n.rows, n.channels)
    done(kernel)


def moving_average(value, double momentum, out):
    """out = momentum · out + (1 − momentum) · value"""
    cdef numpy.ndarray array = array_of("moving_average", "out", out)
    cdef char type = type_of("moving_average", "out", out)
    cdef int64_t n = numpy.PyArray_SIZE(array)
    cdef void *value_ = shaped("moving_average", "value", value, type, array.ndim, array.shape)
    cdef void *out_ = at("moving_average", "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_moving_average_f32(value_, momentum, out_, n)
        else:
            npdl_moving_average_f64(value_, momentum, out_, n)
    done("moving_average")
