# Activations of whole rows, of halves, and with weights.

cdef extern from "engine.h" nogil:
    void npdl_row_activation_f32(
        int code, const void *dy, const void *x, void *out, int64_t outer, int64_t n, int64_t inner)
    void npdl_row_activation_f64(
        int code, const void *dy, const void *x, void *out, int64_t outer, int64_t n, int64_t inner)
    void npdl_glu_f32(const void *dy, const void *x, void *out, int64_t outer, int64_t m)
    void npdl_glu_f64(const void *dy, const void *x, void *out, int64_t outer, int64_t m)
    void npdl_prelu_f32(
        const void *dy, const void *x, const void *alpha, void *out, void *dalpha, int64_t rows, int64_t m)
    void npdl_prelu_f64(
        const void *dy, const void *x, const void *alpha, void *out, void *dalpha, int64_t rows, int64_t m)


def row_activation(str kernel, int code, dy, x, out, int64_t outer, int64_t n, int64_t inner):
    """out = a(x) along the middle of (outer, n, inner); with dy: its gradient, x being y"""
    cdef char type = type_of(kernel, "x", x)
    cdef int64_t count = outer * n * inner
    cdef void *dy_ = at(kernel, "dy", dy, type, count)
    cdef void *x_ = at(kernel, "x", x, type, count)
    cdef void *out_ = at(kernel, "out", out, type, count, True)
    with nogil:
        if type == b"f":
            npdl_row_activation_f32(code, dy_, x_, out_, outer, n, inner)
        else:
            npdl_row_activation_f64(code, dy_, x_, out_, outer, n, inner)
    done(kernel)


def glu(str kernel, dy, x, out, int64_t outer, int64_t m):
    """out = a σ(b) for x = (a, b) of shape (outer, 2, m); with dy: its gradient, of the shape of x"""
    cdef char type = type_of(kernel, "x", x)
    cdef int64_t count = outer * m
    cdef void *dy_ = at(kernel, "dy", dy, type, count)
    cdef void *x_ = at(kernel, "x", x, type, 2 * count)
    cdef void *out_ = at(kernel, "out", out, type, count if dy is None else 2 * count, True)
    with nogil:
        if type == b"f":
            npdl_glu_f32(dy_, x_, out_, outer, m)
        else:
            npdl_glu_f64(dy_, x_, out_, outer, m)
    done(kernel)


def prelu(str kernel, dy, x, alpha, out, dalpha, int64_t rows, int64_t m):
    """out = x or alpha x, x of shape (rows, m); with dy: dx, and each place's part of the gradient of alpha"""
    cdef char type = type_of(kernel, "x", x)
    cdef void *dy_ = at(kernel, "dy", dy, type, rows * m)
    cdef void *x_ = at(kernel, "x", x, type, rows * m)
    cdef void *alpha_ = at(kernel, "alpha", alpha, type, m)
    cdef void *out_ = at(kernel, "out", out, type, rows * m, True)
    cdef void *dalpha_ = at(kernel, "dalpha", dalpha, type, rows * m, True)
    with nogil:
        if type == b"f":
            npdl_prelu_f32(dy_, x_, alpha_, out_, dalpha_, rows, m)
        else:
            npdl_prelu_f64(dy_, x_, alpha_, out_, dalpha_, rows, m)
    done(kernel)
