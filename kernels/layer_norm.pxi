# Layer, root mean square and unit normalization of rows.

cdef extern from "engine.h" nogil:
    const int NPDL_LAYER_NORM
    const int NPDL_RMS_NORM
    const int NPDL_UNIT_NORM
    void npdl_row_norm_f32(
        int kind, const void *x, const void *gamma, const void *beta, double epsilon, void *out, void *mean,
        void *inverse, int64_t rows, int64_t features)
    void npdl_row_norm_f64(
        int kind, const void *x, const void *gamma, const void *beta, double epsilon, void *out, void *mean,
        void *inverse, int64_t rows, int64_t features)
    void npdl_row_norm_grad_f32(
        int kind, const void *dy, const void *x, const void *mean, const void *inverse, const void *gamma,
        const void *add, void *dx, void *dgamma, void *dbeta, int64_t rows, int64_t features)
    void npdl_row_norm_grad_f64(
        int kind, const void *dy, const void *x, const void *mean, const void *inverse, const void *gamma,
        const void *add, void *dx, void *dgamma, void *dbeta, int64_t rows, int64_t features)

LAYER_NORM, RMS_NORM, UNIT_NORM = NPDL_LAYER_NORM, NPDL_RMS_NORM, NPDL_UNIT_NORM


def row_norm(str kernel, int kind, x, gamma, beta, double epsilon, out, mean, inverse, int64_t rows, int64_t features):
    """out = γ (x − mean) · inverse + β, of each row"""
    cdef char type = type_of(kernel, "x", x)
    cdef void *x_ = at(kernel, "x", x, type, rows * features)
    cdef void *gamma_ = at(kernel, "gamma", gamma, type, features)
    cdef void *beta_ = at(kernel, "beta", beta, type, features)
    cdef void *out_ = at(kernel, "out", out, type, rows * features, True)
    cdef void *mean_ = at(kernel, "mean", mean, type, rows, True)
    cdef void *inverse_ = at(kernel, "inverse", inverse, type, rows, True)
    with nogil:
        if type == b"f":
            npdl_row_norm_f32(kind, x_, gamma_, beta_, epsilon, out_, mean_, inverse_, rows, features)
        else:
            npdl_row_norm_f64(kind, x_, gamma_, beta_, epsilon, out_, mean_, inverse_, rows, features)
    done(kernel)


def row_norm_grad(
    str kernel, int kind, dy, x, mean, inverse, gamma, add, dx, dgamma, dbeta, int64_t rows, int64_t features
):
    """The gradients of `row_norm`."""
    cdef char type = type_of(kernel, "dy", dy)
    cdef void *dy_ = at(kernel, "dy", dy, type, rows * features)
    cdef void *x_ = at(kernel, "x", x, type, rows * features)
    cdef void *mean_ = at(kernel, "mean", mean, type, rows)
    cdef void *inverse_ = at(kernel, "inverse", inverse, type, rows)
    cdef void *gamma_ = at(kernel, "gamma", gamma, type, features)
    cdef void *add_ = at(kernel, "add", add, type, rows * features)
    cdef void *dx_ = at(kernel, "dx", dx, type, rows * features, True)
    cdef void *dgamma_ = at(kernel, "dgamma", dgamma, type, features, True)
    cdef void *dbeta_ = at(kernel, "dbeta", dbeta, type, features, True)
    with nogil:
        if type == b"f":
            npdl_row_norm_grad_f32(kind, dy_, x_, mean_, inverse_, gamma_, add_, dx_, dgamma_, dbeta_, rows, features)
        else:
            npdl_row_norm_grad_f64(kind, dy_, x_, mean_, inverse_, gamma_, add_, dx_, dgamma_, dbeta_, rows, features)
    done(kernel)
