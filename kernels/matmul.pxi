# Matrix product and sum over rows; see matmul.h.

cdef extern from "engine.h" nogil:
    void npdl_matmul_f32(
        const void *a, const void *b, void *out, const void *bias, const void *add, const void *times, void *z,
        void *slope, void *sums, int64_t m, int64_t n, int64_t k, int ta, int tb, int code, const double *constants)
    void npdl_matmul_f64(
        const void *a, const void *b, void *out, const void *bias, const void *add, const void *times, void *z,
        void *slope, void *sums, int64_t m, int64_t n, int64_t k, int ta, int tb, int code, const double *constants)
    void npdl_sum_rows_f32(const void *x, int64_t rows, int64_t columns, void *out)
    void npdl_sum_rows_f64(const void *x, int64_t rows, int64_t columns, void *out)


cdef int fill_constants(tuple constants, double *to) except -1:
    """An activation's constants, at most three; 0 where there are fewer."""
    cdef int i
    to[0] = to[1] = to[2] = 0
    for i in range(len(constants)):
        to[i] = constants[i]
    return 0


cdef int64_t rows_of(numpy.ndarray array) noexcept:
    """The product of all its axes but the last: a matrix of so many rows and array.shape[-1] columns."""
    cdef int64_t rows = 1
    cdef int i
    for i in range(array.ndim - 1):
        rows *= array.shape[i]
    return rows


def matmul(a, b, out, bias, add, times, z, slope, sums, bint ta, bint tb, int code, tuple constants):
    cdef char t = type_of("matmul", "out", out)
    cdef numpy.ndarray a_ = array_of("matmul", "a", a), b_ = array_of("matmul", "b", b), out_ = out
    cdef int64_t m, k, rows, n
    cdef double c[3]
    if not (a_.ndim and b_.ndim and out_.ndim):
        raise ValueError(f"matmul: a, b and out need at least one axis, got shapes {a.shape}, {b.shape}, {out.shape}")
    m, k = rows_of(a_), a_.shape[a_.ndim - 1]
    if ta:
        m, k = k, m
    rows, n = rows_of(b_), b_.shape[b_.ndim - 1]
    if tb:
        rows, n = n, rows
    if rows != k or out_.shape[out_.ndim - 1] != n or rows_of(out_) != m:
        raise ValueError(
            f"matmul: a {a.shape}{' transposed' if ta else ''} times b {b.shape}{' transposed' if tb else ''} does not "
            f"give out {out.shape}; expected ({m}, {k}) · ({k}, {n})"
        )
    if bias is not None and bias.shape != (n,):
        raise ValueError(f"matmul: bias must have shape ({n},), got {bias.shape}")
    for name, array in (("add", add), ("times", times), ("z", z), ("slope", slope)):
        if array is not None and array.shape != out.shape:
            raise ValueError(f"matmul: {name} must have shape {out.shape}, got {array.shape}")
    if sums is not None and (tb or sums.shape != (n,)):
        raise ValueError(f"matmul: sums must have shape ({n},), and b is not transposed then; got {sums.shape}")
    fill_constants(constants, c)
    cdef void *pa = at("matmul", "a", a, t, m * k)
    cdef void *pb = at("matmul", "b", b, t, k * n)
    cdef void *po = at("matmul", "out", out, t, m * n, True)
    cdef void *pbias = at("matmul", "bias", bias, t, n)
    cdef void *padd = at("matmul", "add", add, t, m * n)
    cdef void *ptimes = at("matmul", "times", times, t, m * n)
    cdef void *pz = at("matmul", "z", z, t, m * n, True)
    cdef void *pslope = at("matmul", "slope", slope, t, m * n, True)
    cdef void *psums = at("matmul", "sums", sums, t, n, True)
    with nogil:
        if t == b"f":
            npdl_matmul_f32(pa, pb, po, pbias, padd, ptimes, pz, pslope, psums, m, n, k, ta, tb, code, c)
        else:
            npdl_matmul_f64(pa, pb, po, pbias, padd, ptimes, pz, pslope, psums, m, n, k, ta, tb, code, c)
    done("matmul")


def sum_rows(x, out):
    cdef numpy.ndarray x_ = array_of("sum_rows", "x", x), out_ = array_of("sum_rows", "out", out)
    if not x_.ndim or out_.ndim != 1 or out_.shape[0] != x_.shape[x_.ndim - 1]:
        expected = (x_.shape[x_.ndim - 1],) if x_.ndim else ()
        raise ValueError(f"sum_rows: out must have shape {expected}, got {out.shape}")
    cdef int64_t rows = rows_of(x_), columns = out_.shape[0]
    cdef char t = type_of("sum_rows", "out", out)
    cdef void *px = at("sum_rows", "x", x, t, rows * columns)
    cdef void *po = at("sum_rows", "out", out, t, columns, True)
    with nogil:
        if t == b"f":
            npdl_sum_rows_f32(px, rows, columns, po)
        else:
            npdl_sum_rows_f64(px, rows, columns, po)
    done("sum_rows")
