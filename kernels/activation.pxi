# Activations and softmax.

cdef extern from "engine.h" nogil:
    void npdl_activation_f32(int code, const double *constants, const void *z, void *out, int64_t n)
    void npdl_activation_f64(int code, const double *constants, const void *z, void *out, int64_t n)
    void npdl_activation_grad_f32(
        int code, const double *constants, const void *dy, const void *saved, void *out, int64_t n)
    void npdl_activation_grad_f64(
        int code, const double *constants, const void *dy, const void *saved, void *out, int64_t n)
    void npdl_elementary_f32(int function, const void *x, void *out, int64_t n)
    void npdl_elementary_f64(int function, const void *x, void *out, int64_t n)
    void npdl_softmax_f32(const void *dy, const void *x, void *out, int64_t outer, int64_t n, int64_t inner)
    void npdl_softmax_f64(const void *dy, const void *x, void *out, int64_t outer, int64_t n, int64_t inner)


def activation(z, out, int code, tuple constants):
    """out = a(z)"""
    cdef char type = type_of("activation", "z", z)
    cdef int64_t n = z.size
    cdef double c[3]
    fill_constants(constants, c)
    cdef void *z_ = at("activation", "z", z, type, n)
    cdef void *out_ = at("activation", "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_activation_f32(code, c, z_, out_, n)
        else:
            npdl_activation_f64(code, c, z_, out_, n)
    done("activation")


def activation_grad(dy, saved, out, int code, tuple constants):
    """out = dy · a'(saved)"""
    cdef char type = type_of("activation_grad", "dy", dy)
    cdef int64_t n = dy.size
    cdef double c[3]
    fill_constants(constants, c)
    cdef void *dy_ = at("activation_grad", "dy", dy, type, n)
    cdef void *saved_ = at("activation_grad", "saved", saved, type, n)
    cdef void *out_ = at("activation_grad", "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_activation_grad_f32(code, c, dy_, saved_, out_, n)
        else:
            npdl_activation_grad_f64(code, c, dy_, saved_, out_, n)
    done("activation_grad")


def softmax(z, out, int64_t outer, int64_t n, int64_t inner):
    """out = softmax(z) along the middle of (outer, n, inner)"""
    cdef char type = type_of("softmax", "z", z)
    cdef int64_t count = outer * n * inner
    cdef void *z_ = at("softmax", "z", z, type, count)
    cdef void *out_ = at("softmax", "out", out, type, count, True)
    with nogil:
        if type == b"f":
            npdl_softmax_f32(NULL, z_, out_, outer, n, inner)
        else:
            npdl_softmax_f64(NULL, z_, out_, outer, n, inner)
    done("softmax")


def softmax_grad(dy, y, out, int64_t outer, int64_t n, int64_t inner):
    """out = y (dy − Σ dy y)"""
    cdef char type = type_of("softmax_grad", "dy", dy)
    cdef int64_t count = outer * n * inner
    cdef void *dy_ = at("softmax_grad", "dy", dy, type, count)
    cdef void *y_ = at("softmax_grad", "y", y, type, count)
    cdef void *out_ = at("softmax_grad", "out", out, type, count, True)
    with nogil:
        if type == b"f":
            npdl_softmax_f32(dy_, y_, out_, outer, n, inner)
        else:
            npdl_softmax_f64(dy_, y_, out_, outer, n, inner)
    done("softmax_grad")


ELEMENTARY = ("exp", "expm1_negative", "log", "log1p", "tanh", "sigmoid", "normal", "softplus")


def elementary(str function, x, out):
    """out = function(x), one of ELEMENTARY: the functions of elementary.h by themselves, for their tests."""
    cdef char type = type_of("elementary", "x", x)
    cdef int64_t n = x.size
    cdef int index = ELEMENTARY.index(function)
    cdef void *x_ = at("elementary", "x", x, type, n)
    cdef void *out_ = at("elementary", "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_elementary_f32(index, x_, out_, n)
        else:
            npdl_elementary_f64(index, x_, out_, n)
    done("elementary")
