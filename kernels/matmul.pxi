# Matrix product and sum over rows; see matmul.h.

cdef extern from "engine.h" nogil:
    void npdl_matmul_f32(
        const void *a, const void *b, void *out, const void *bias, void *z, int64_t m, int64_t n, int64_t k,
        int ta, int tb, int code, const double *constants)
    void npdl_matmul_f64(
        const void *a, const void *b, void *out, const void *bias, void *z, int64_t m, int64_t n, int64_t k,
        int ta, int tb, int code, const double *constants)
    void npdl_sum_rows_f32(const void *x, int64_t rows, int64_t columns, void *out)
    void npdl_sum_rows_f64(const void *x, int64_t rows, int64_t columns, void *out)


cdef int fill_constants(tuple constants, double *to) except -1:
    """An activation's constants, at most three."""
    cdef int i
    for i in range(len(constants)):
        to[i] = constants[i]
    return 0


def matmul(a, b, out, bias, z, int64_t m, int64_t n, int64_t k, bint ta, bint tb, int code, tuple constants):
    cdef char t = type_of("matmul", "out", out)
    cdef double c[3]
    fill_constants(constants, c)
    cdef void *pa = at("matmul", "a", a, t, m * k)
    cdef void *pb = at("matmul", "b", b, t, k * n)
    cdef void *po = at("matmul", "out", out, t, m * n, True)
    cdef void *pbias = at("matmul", "bias", bias, t, n)
    cdef void *pz = at("matmul", "z", z, t, m * n, True)
    with nogil:
        if t == b"f":
            npdl_matmul_f32(pa, pb, po, pbias, pz, m, n, k, ta, tb, code, c)
        else:
            npdl_matmul_f64(pa, pb, po, pbias, pz, m, n, k, ta, tb, code, c)
    done("matmul")


def sum_rows(x, out, int64_t rows, int64_t columns):
    cdef char t = type_of("sum_rows", "out", out)
    cdef void *px = at("sum_rows", "x", x, t, rows * columns)
    cdef void *po = at("sum_rows", "out", out, t, columns, True)
    with nogil:
        if t == b"f":
            npdl_sum_rows_f32(px, rows, columns, po)
        else:
            npdl_sum_rows_f64(px, rows, columns, po)
    done("sum_rows")
