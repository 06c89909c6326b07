# Pixels scaled and shifted, images moved.

cdef extern from "engine.h" nogil:
    void npdl_rescale_f32(
        const void *x, const void *center, const void *scale, const void *offset, double low, double high, void *out,
        int64_t groups, int64_t rows, int64_t period)
    void npdl_rescale_f64(
        const void *x, const void *center, const void *scale, const void *offset, double low, double high, void *out,
        int64_t groups, int64_t rows, int64_t period)
    void npdl_affine_f32(
        int grad, const void *source, const double *transforms, void *to, int64_t samples, const int64_t *sizes,
        int linear, int fill, double value)
    void npdl_affine_f64(
        int grad, const void *source, const double *transforms, void *to, int64_t samples, const int64_t *sizes,
        int linear, int fill, double value)


def rescale(
    str kernel, x, center, scale, offset, double low, double high, out, int64_t groups, int64_t rows, int64_t period,
):
    """out = min(max((x − center) scale + offset, low), high), x of `groups` times `rows` times `period` numbers"""
    cdef char type = type_of(kernel, "x", x)
    cdef void *x_ = at(kernel, "x", x, type, groups * rows * period)
    cdef void *center_ = at(kernel, "center", center, type, groups * period)
    cdef void *scale_ = at(kernel, "scale", scale, type, groups * period)
    cdef void *offset_ = at(kernel, "offset", offset, type, groups * period)
    cdef void *out_ = at(kernel, "out", out, type, groups * rows * period, True)
    with nogil:
        if type == b"f":
            npdl_rescale_f32(x_, center_, scale_, offset_, low, high, out_, groups, rows, period)
        else:
            npdl_rescale_f64(x_, center_, scale_, offset_, low, high, out_, groups, rows, period)
    done(kernel)


def affine(
    str kernel, bint grad, x, transforms, out, int64_t samples, tuple sizes, bint linear, int fill, double value,
):
    """Images moved; sizes: height and width of an image, height and width of the result, channels. With `grad` x is dy
    and out is dx."""
    cdef char type = type_of(kernel, "dy" if grad else "x", x)
    cdef int64_t[5] size = sizes
    cdef int64_t image = samples * size[0] * size[1] * size[4], result = samples * size[2] * size[3] * size[4]
    cdef void *x_ = at(kernel, "dy" if grad else "x", x, type, result if grad else image)
    cdef void *out_ = at(kernel, "out", out, type, image if grad else result, True)
    cdef double *transforms_ = <double *> at(kernel, "transforms", transforms, b"d", 6 * samples)
    with nogil:
        if type == b"f":
            npdl_affine_f32(grad, x_, transforms_, out_, samples, size, linear, fill, value)
        else:
            npdl_affine_f64(grad, x_, transforms_, out_, samples, size, linear, fill, value)
    done(kernel)
