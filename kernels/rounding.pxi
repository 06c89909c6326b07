# Rounding to numbers of 16 bits.

cdef extern from "engine.h" nogil:
    void npdl_rounded_f32(const void *x, void *out, int64_t n, int half)
    void npdl_rounded_f64(const void *x, void *out, int64_t n, int half)


def rounded(str kernel, x, bint half, out):
    """out = the bfloat16 nearest to x, or the float16"""
    cdef char type = type_of(kernel, "x", x)
    cdef int64_t n = x.size
    cdef void *x_ = at(kernel, "x", x, type, n)
    cdef void *out_ = at(kernel, "out", out, type, n, True)
    with nogil:
        if type == b"f":
            npdl_rounded_f32(x_, out_, n, half)
        else:
            npdl_rounded_f64(x_, out_, n, half)
    done(kernel)
