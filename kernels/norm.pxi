# Batch normalization.

cdef extern from "engine.h" nogil:
    void npdl_batch_norm_statistics_f32(const void *x, void *mean, void *variance, int64_t rows, int64_t channels)
    void npdl_batch_norm_statistics_f64(const void *x, void *mean, void *variance, int64_t rows, int64_t channels)
    void npdl_batch_norm_f32(
        const void *x, const void *mean, const void *variance, const void *gamma, const void *beta, double epsilon,
        bint relu, void *out, int64_t rows, int64_t channels)
    void npdl_batch_norm_f64(
        const void *x, const void *mean, const void *variance, const void *gamma, const void *beta, double epsilon,
        bint relu, void *out, int64_t rows, int64_t channels)
    void npdl_batch_norm_grad_f32(
        int frozen, const void *dy, const void *x, const void *mean, const void *variance, const void *gamma,
        const void *beta, double epsilon, bint relu, void *dx, void *dgamma, void *dbeta, int64_t rows,
        int64_t channels)
    void npdl_batch_norm_grad_f64(
        int frozen, const void *dy, const void *x, const void *mean, const void *variance, const void *gamma,
        const void *beta, double epsilon, bint relu, void *dx, void *dgamma, void *dbeta, int64_t rows,
        int64_t channels)
    void npdl_moving_average_f32(const void *value, double momentum, void *out, int64_t n)
    void npdl_moving_average_f64(const void *value, double momentum, void *out, int64_t n)


def batch_norm_statistics(x, mean, variance, int64_t rows, int64_t channels):
    """Mean and biased variance of each channel."""
    cdef char type = type_of("batch_norm_statistics", "x", x)
    cdef void *x_ = at("batch_norm_statistics", "x", x, type, rows * channels)
    cdef void *mean_ = at("batch_norm_statistics", "mean", mean, type, channels, True)
    cdef void *variance_ = at("batch_norm_statistics", "variance", variance, type, channels, True)
    with nogil:
        if type == b"f":
            npdl_batch_norm_statistics_f32(x_, mean_, variance_, rows, channels)
        else:
            npdl_batch_norm_statistics_f64(x_, mean_, variance_, rows, channels)
    done("batch_norm_statistics")


def batch_norm(x, mean, variance, gamma, beta, double epsilon, bint relu, out, int64_t rows, int64_t channels):
    """out = γ (x − mean) / √(variance + ε) + β, or ReLU of it"""
    cdef char type = type_of("batch_norm", "x", x)
    cdef void *x_ = at("batch_norm", "x", x, type, rows * channels)
    cdef void *mean_ = at("batch_norm", "mean", mean, type, channels)
    cdef void *variance_ = at("batch_norm", "variance", variance, type, channels)
    cdef void *gamma_ = at("batch_norm", "gamma", gamma, type, channels)
    cdef void *beta_ = at("batch_norm", "beta", beta, type, channels)
    cdef void *out_ = at("batch_norm", "out", out, type, rows * channels, True)
    with nogil:
        if type == b"f":
            npdl_batch_norm_f32(x_, mean_, variance_, gamma_, beta_, epsilon, relu, out_, rows, channels)
        else:
            npdl_batch_norm_f64(x_, mean_, variance_, gamma_, beta_, epsilon, relu, out_, rows, channels)
    done("batch_norm")


def batch_norm_grad(
    str kernel, bint frozen, dy, x, mean, variance, gamma, beta, double epsilon, bint relu, dx, dgamma, dbeta,
    int64_t rows, int64_t channels,
):
    """The gradients of `batch_norm`; frozen: mean and variance are constants. beta is read for ReLU alone."""
    cdef char type = type_of(kernel, "dy", dy)
    cdef void *dy_ = at(kernel, "dy", dy, type, rows * channels)
    cdef void *x_ = at(kernel, "x", x, type, rows * channels)
    cdef void *mean_ = at(kernel, "mean", mean, type, channels)
    cdef void *variance_ = at(kernel, "variance", variance, type, channels)
    cdef void *gamma_ = at(kernel, "gamma", gamma, type, channels)
    cdef void *beta_ = at(kernel, "beta", beta, type, channels)
    cdef void *dx_ = at(kernel, "dx", dx, type, rows * channels, True)
    cdef void *dgamma_ = at(kernel, "dgamma", dgamma, type, channels, True)
    cdef void *dbeta_ = at(kernel, "dbeta", dbeta, type, channels, True)
    with nogil:
        if type == b"f":
            npdl_batch_norm_grad_f32(
                frozen, dy_, x_, mean_, variance_, gamma_, beta_, epsilon, relu, dx_, dgamma_, dbeta_, rows, channels)
        else:
            npdl_batch_norm_grad_f64(
                frozen, dy_, x_, mean_, variance_, gamma_, beta_, epsilon, relu, dx_, dgamma_, dbeta_, rows, channels)
    done(kernel)


def moving_average(value, double momentum, out):
    """out = momentum · out + (1 − momentum) · value"""
    cdef char type = type_of("moving_average", "value", value)
    cdef int64_t n = value.size
    cdef void *value_ = at("moving_average", "value", value, type, n)
    cdef void *out_ = at("moving_average", "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_moving_average_f32(value_, momentum, out_, n)
        else:
            npdl_moving_average_f64(value_, momentum, out_, n)
    done("moving_average")
