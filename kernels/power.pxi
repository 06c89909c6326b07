# Powers.

cdef extern from "engine.h" nogil:
    void npdl_powers_f32(const void *dy, const void *x, double exponent, void *out, int64_t n)
    void npdl_powers_f64(const void *dy, const void *x, double exponent, void *out, int64_t n)


def power(str kernel, dy, x, double exponent, out):
    """out = |x|^exponent; where dy is not None dy times its derivative"""
    cdef char type = type_of(kernel, "x", x)
    cdef int64_t n = x.size
    cdef void *x_ = at(kernel, "x", x, type, n)
    cdef void *dy_ = at(kernel, "dy", dy, type, n)
    cdef void *out_ = at(kernel, "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_powers_f32(dy_, x_, exponent, out_, n)
        else:
            npdl_powers_f64(dy_, x_, exponent, out_, n)
    done(kernel)
