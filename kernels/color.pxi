# Images in other colours.

cdef extern from "engine.h" nogil:
    void npdl_recolor_f32(
        int grad, int way, const void *x, const void *dy, const double *numbers, double low, double high, void *out,
        int64_t samples, int64_t size)
    void npdl_recolor_f64(
        int grad, int way, const void *x, const void *dy, const double *numbers, double low, double high, void *out,
        int64_t samples, int64_t size)


def recolor(
    str kernel, bint grad, x, dy, int way, numbers, double low, double high, out, int64_t samples, int64_t size,
):
    """x in other colours, by two numbers of each sample; with `grad` dx"""
    cdef char type = type_of(kernel, "x", x)
    cdef void *x_ = at(kernel, "x", x, type, samples * size)
    cdef void *dy_ = at(kernel, "dy", dy, type, samples * size)
    cdef double *numbers_ = <double *> at(kernel, "numbers", numbers, b"d", 2 * samples)
    cdef void *out_ = at(kernel, "out", out, type, samples * size, True)
    with nogil:
        if type == b"f":
            npdl_recolor_f32(grad, way, x_, dy_, numbers_, low, high, out_, samples, size)
        else:
            npdl_recolor_f64(grad, way, x_, dy_, numbers_, low, high, out_, samples, size)
    done(kernel)
