# Group normalization.

cdef extern from "engine.h" nogil:
    void npdl_group_norm_f32(
        const void *x, const void *gamma, const void *beta, double epsilon, void *out, void *mean, void *inverse,
        int64_t samples, int64_t positions, int64_t channels, int64_t groups)
    void npdl_group_norm_f64(
        const void *x, const void *gamma, const void *beta, double epsilon, void *out, void *mean, void *inverse,
        int64_t samples, int64_t positions, int64_t channels, int64_t groups)
    void npdl_group_norm_grad_f32(
        const void *dy, const void *x, const void *mean, const void *inverse, const void *gamma, void *dx, void *dgamma,
        void *dbeta, int64_t samples, int64_t positions, int64_t channels, int64_t groups)
    void npdl_group_norm_grad_f64(
        const void *dy, const void *x, const void *mean, const void *inverse, const void *gamma, void *dx, void *dgamma,
        void *dbeta, int64_t samples, int64_t positions, int64_t channels, int64_t groups)


def group_norm(
    x, gamma, beta, double epsilon, out, mean, inverse, int64_t samples, int64_t positions, int64_t channels,
    int64_t groups,
):
    """out = γ (x − mean) · inverse + β, of each sample and group"""
    cdef char type = type_of("group_norm", "x", x)
    cdef int64_t size = samples * positions * channels
    cdef void *x_ = at("group_norm", "x", x, type, size)
    cdef void *gamma_ = at("group_norm", "gamma", gamma, type, channels)
    cdef void *beta_ = at("group_norm", "beta", beta, type, channels)
    cdef void *out_ = at("group_norm", "out", out, type, size, True)
    cdef void *mean_ = at("group_norm", "mean", mean, type, samples * groups, True)
    cdef void *inverse_ = at("group_norm", "inverse", inverse, type, samples * groups, True)
    with nogil:
        if type == b"f":
            npdl_group_norm_f32(
                x_, gamma_, beta_, epsilon, out_, mean_, inverse_, samples, positions, channels, groups)
        else:
            npdl_group_norm_f64(
                x_, gamma_, beta_, epsilon, out_, mean_, inverse_, samples, positions, channels, groups)
    done("group_norm")


def group_norm_grad(
    dy, x, mean, inverse, gamma, dx, dgamma, dbeta, int64_t samples, int64_t positions, int64_t channels,
    int64_t groups,
):
    """The gradients of `group_norm`."""
    cdef char type = type_of("group_norm_grad", "dy", dy)
    cdef int64_t size = samples * positions * channels
    cdef void *dy_ = at("group_norm_grad", "dy", dy, type, size)
    cdef void *x_ = at("group_norm_grad", "x", x, type, size)
    cdef void *mean_ = at("group_norm_grad", "mean", mean, type, samples * groups)
    cdef void *inverse_ = at("group_norm_grad", "inverse", inverse, type, samples * groups)
    cdef void *gamma_ = at("group_norm_grad", "gamma", gamma, type, channels)
    cdef void *dx_ = at("group_norm_grad", "dx", dx, type, size, True)
    cdef void *dgamma_ = at("group_norm_grad", "dgamma", dgamma, type, channels, True)
    cdef void *dbeta_ = at("group_norm_grad", "dbeta", dbeta, type, channels, True)
    with nogil:
        if type == b"f":
            npdl_group_norm_grad_f32(
                dy_, x_, mean_, inverse_, gamma_, dx_, dgamma_, dbeta_, samples, positions, channels, groups)
        else:
            npdl_group_norm_grad_f64(
                dy_, x_, mean_, inverse_, gamma_, dx_, dgamma_, dbeta_, samples, positions, channels, groups)
    done("group_norm_grad")
