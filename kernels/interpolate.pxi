# Images resized.

cdef extern from "engine.h" nogil:
    ctypedef struct npdl_resampling:
        const int64_t *start
        const int64_t *index
        const double *weight
    int npdl_resampling_fits(const npdl_resampling *t, int64_t places, int64_t count, int64_t size)
    void npdl_interpolate_f32(
        const void *x, void *out, int64_t samples, const int64_t *sizes, npdl_resampling rows, npdl_resampling columns)
    void npdl_interpolate_f64(
        const void *x, void *out, int64_t samples, const int64_t *sizes, npdl_resampling rows, npdl_resampling columns)


cdef npdl_resampling taps_of(str kernel, str name, taps, int64_t size, int64_t places) except *:
    """The C struct of a Taps, from `size` to `places`; it points into its arrays."""
    cdef npdl_resampling t
    start, index, weight = taps[1:]
    cdef int64_t count = len(index)
    t.start = <int64_t *> at(kernel, name, start, b"q", places + 1)
    t.index = <int64_t *> at(kernel, name, index, b"q", count)
    t.weight = <double *> at(kernel, name, weight, b"d", count)
    if not npdl_resampling_fits(&t, places, count, size):
        raise ValueError(f"{kernel}: {name} are no taps from {size} places to {places}; see npdl/kernels/taps.py")
    return t


def interpolate(str kernel, x, out, int64_t samples, tuple sizes, rows, columns):
    """out = x resized; sizes: height and width of x, height and width of out, channels"""
    cdef char type = type_of(kernel, "x", x)
    cdef int64_t[5] size = sizes
    cdef void *x_ = at(kernel, "x", x, type, samples * size[0] * size[1] * size[4])
    cdef void *out_ = at(kernel, "out", out, type, samples * size[2] * size[3] * size[4], True)
    cdef npdl_resampling down = taps_of(kernel, "rows", rows, size[0], size[2])
    cdef npdl_resampling across = taps_of(kernel, "columns", columns, size[1], size[3])
    with nogil:
        if type == b"f":
            npdl_interpolate_f32(x_, out_, samples, size, down, across)
        else:
            npdl_interpolate_f64(x_, out_, samples, size, down, across)
    done(kernel)
