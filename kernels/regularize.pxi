# Penalties and constraints.

cdef extern from "engine.h" nogil:
    void npdl_penalty_f32(double l1, double l2, const void *x, double *out, int64_t n)
    void npdl_penalty_f64(double l1, double l2, const void *x, double *out, int64_t n)
    void npdl_penalty_grad_f32(double l1, double l2, const void *x, void *out, int64_t n)
    void npdl_penalty_grad_f64(double l1, double l2, const void *x, void *out, int64_t n)
    void npdl_norm_limit_f32(
        double lowest, double highest, double rate, const void *w, void *out, int64_t outer, int64_t n, int64_t inner)
    void npdl_norm_limit_f64(
        double lowest, double highest, double rate, const void *w, void *out, int64_t outer, int64_t n, int64_t inner)
    void npdl_not_negative_f32(const void *w, void *out, int64_t n)
    void npdl_not_negative_f64(const void *w, void *out, int64_t n)


def penalty(x, double l1, double l2, out):
    """out[0] = l1 Σ |x| + l2 Σ x²"""
    cdef char type = type_of("penalty", "x", x)
    cdef int64_t n = x.size
    cdef void *x_ = at("penalty", "x", x, type, n)
    cdef double *out_ = <double *> at("penalty", "out", out, b"d", 1, True)
    with nogil:
        if type == b"f":
            npdl_penalty_f32(l1, l2, x_, out_, n)
        else:
            npdl_penalty_f64(l1, l2, x_, out_, n)
    done("penalty")


def penalty_grad(x, double l1, double l2, out):
    """out += l1 sign(x) + 2 l2 x"""
    cdef char type = type_of("penalty_grad", "x", x)
    cdef int64_t n = x.size
    cdef void *x_ = at("penalty_grad", "x", x, type, n)
    cdef void *out_ = at("penalty_grad", "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_penalty_grad_f32(l1, l2, x_, out_, n)
        else:
            npdl_penalty_grad_f64(l1, l2, x_, out_, n)
    done("penalty_grad")


def norm_limit(w, double lowest, double highest, double rate, out, int64_t outer, int64_t n, int64_t inner):
    """out = w with its norms along the middle of (outer, n, inner) brought between the two"""
    cdef char type = type_of("constrain", "w", w)
    cdef void *w_ = at("constrain", "w", w, type, outer * n * inner)
    cdef void *out_ = at("constrain", "out", out, type, outer * n * inner, True)
    with nogil:
        if type == b"f":
            npdl_norm_limit_f32(lowest, highest, rate, w_, out_, outer, n, inner)
        else:
            npdl_norm_limit_f64(lowest, highest, rate, w_, out_, outer, n, inner)
    done("constrain")


def not_negative(w, out):
    """out = max(w, 0)"""
    cdef char type = type_of("constrain", "w", w)
    cdef int64_t n = w.size
    cdef void *w_ = at("constrain", "w", w, type, n)
    cdef void *out_ = at("constrain", "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_not_negative_f32(w_, out_, n)
        else:
            npdl_not_negative_f64(w_, out_, n)
    done("constrain")
