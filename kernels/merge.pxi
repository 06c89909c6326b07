# Sums of two arrays.

cdef extern from "engine.h" nogil:
    void npdl_add_f32(int relu, const void *a, const void *b, void *out, int64_t n)
    void npdl_add_f64(int relu, const void *a, const void *b, void *out, int64_t n)


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
