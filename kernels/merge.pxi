# Two arrays made into one, element by element.

cdef extern from "engine.h" nogil:
    void npdl_add_f32(int relu, const void *a, const void *b, void *out, int64_t n)
    void npdl_add_f64(int relu, const void *a, const void *b, void *out, int64_t n)
    void npdl_combine_f32(int op, double factor, const void *a, const void *b, void *out, int64_t n)
    void npdl_combine_f64(int op, double factor, const void *a, const void *b, void *out, int64_t n)
    void npdl_match_grad_f32(const void *dy, const void *x, const void *y, void *out, void *rest, int64_t n)
    void npdl_match_grad_f64(const void *dy, const void *x, const void *y, void *out, void *rest, int64_t n)
    const int NPDL_SUBTRACT, NPDL_MULTIPLY, NPDL_MAXIMUM, NPDL_MINIMUM, NPDL_SCALE

SUBTRACT, MULTIPLY, MAXIMUM, MINIMUM, SCALE = (
    NPDL_SUBTRACT, NPDL_MULTIPLY, NPDL_MAXIMUM, NPDL_MINIMUM, NPDL_SCALE,
)


def add(a, b, out, bint relu):
    """out = a + b, or max(a + b, 0)"""
    cdef char type = type_of("add", "a", a)
    cdef int64_t n = a.size
    cdef void *a_ = at("add", "a", a, type, n)
    cdef void *b_ = at("add", "b", b, type, n)
    cdef void *out_ = at("add", "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_add_f32(relu, a_, b_, out_, n)
        else:
            npdl_add_f64(relu, a_, b_, out_, n)
    done("add")


def combine(str kernel, int op, a, b, out, double factor=1.0):
    """out = a op b, or a · factor where b is None"""
    cdef char type = type_of(kernel, "a", a)
    cdef int64_t n = a.size
    cdef void *a_ = at(kernel, "a", a, type, n)
    cdef void *b_ = a_ if b is None else at(kernel, "b", b, type, n)
    cdef void *out_ = at(kernel, "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_combine_f32(op, factor, a_, b_, out_, n)
        else:
            npdl_combine_f64(op, factor, a_, b_, out_, n)
    done(kernel)


def match_grad(dy, x, y, out, rest):
    """out = dy where x = y, rest = dy where not"""
    cdef char type = type_of("match_grad", "dy", dy)
    cdef int64_t n = dy.size
    cdef void *dy_ = at("match_grad", "dy", dy, type, n)
    cdef void *x_ = at("match_grad", "x", x, type, n)
    cdef void *y_ = at("match_grad", "y", y, type, n)
    cdef void *out_ = at("match_grad", "out", out, type, n, True)
    cdef void *rest_ = at("match_grad", "rest", rest, type, n, True)
    with nogil:
        if type == b"f":
            npdl_match_grad_f32(dy_, x_, y_, out_, rest_, n)
        else:
            npdl_match_grad_f64(dy_, x_, y_, out_, rest_, n)
    done("match_grad")
