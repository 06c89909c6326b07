# Losses.

cdef extern from "engine.h" nogil:
    enum: NPDL_SQUARED, NPDL_ABSOLUTE, NPDL_HUBER, NPDL_BINARY_LOGITS, NPDL_BINARY
    int64_t npdl_wrong_label(const int32_t *narrow, const int64_t *wide, int64_t count, int64_t classes)
    void npdl_loss_f32(
        int kind, double c, const void *t, const void *p, const void *scale, void *out, int64_t samples, int64_t d)
    void npdl_loss_f64(
        int kind, double c, const void *t, const void *p, const void *scale, void *out, int64_t samples, int64_t d)
    void npdl_cross_entropy_f32(
        const void *t, const int32_t *narrow, const int64_t *wide, const void *p, const void *scale, void *out,
        void *dy, int logits, double smoothing, int64_t samples, int64_t positions, int64_t classes)
    void npdl_cross_entropy_f64(
        const void *t, const int32_t *narrow, const int64_t *wide, const void *p, const void *scale, void *out,
        void *dy, int logits, double smoothing, int64_t samples, int64_t positions, int64_t classes)
    double npdl_weighted_sum_f32(const void *values, const void *weights, int64_t n)
    double npdl_weighted_sum_f64(const void *values, const void *weights, int64_t n)

SQUARED, ABSOLUTE, HUBER = NPDL_SQUARED, NPDL_ABSOLUTE, NPDL_HUBER
BINARY_LOGITS, BINARY = NPDL_BINARY_LOGITS, NPDL_BINARY


def loss(str kernel, int kind, double c, y_true, y_pred, scale, out, int64_t samples, int64_t d):
    """A mean over the d elements of each sample: out (samples,); with `scale` its gradient: out (samples, d)."""
    cdef char type = type_of(kernel, "y_pred", y_pred)
    cdef int64_t count = samples * d
    cdef void *t_ = at(kernel, "y_true", y_true, type, count)
    cdef void *p_ = at(kernel, "y_pred", y_pred, type, count)
    cdef void *scale_ = at(kernel, "scale", scale, type, samples)
    cdef void *out_ = at(kernel, "out", out, type, samples if scale is None else count, True)
    with nogil:
        if type == b"f":
            npdl_loss_f32(kind, c, t_, p_, scale_, out_, samples, d)
        else:
            npdl_loss_f64(kind, c, t_, p_, scale_, out_, samples, d)
    done(kernel)


def cross_entropy(
    str kernel, y_true, labels, y_pred, scale, out, dy, bint logits, double smoothing,
    int64_t samples, int64_t positions, int64_t classes,
):
    """Categorical cross-entropy of targets y_true or of labels: out, and with `scale` its gradient dy; one may be None."""
    cdef char type = type_of(kernel, "y_pred", y_pred)
    cdef int64_t count = samples * positions * classes, wrong
    cdef void *t_ = at(kernel, "y_true", y_true, type, count)
    cdef void *p_ = at(kernel, "y_pred", y_pred, type, count)
    cdef void *scale_ = at(kernel, "scale", scale, type, samples)
    cdef void *out_ = at(kernel, "out", out, type, samples, True)
    cdef void *dy_ = at(kernel, "dy", dy, type, count, True)
    cdef int32_t *narrow = NULL
    cdef int64_t *wide = NULL
    if labels is not None:
        if labels.dtype.itemsize == 8:
            wide = <int64_t *> at(kernel, "labels", labels, b"q", samples * positions)
        else:
            narrow = <int32_t *> at(kernel, "labels", labels, b"i", samples * positions)
        wrong = npdl_wrong_label(narrow, wide, samples * positions, classes)
        if wrong >= 0:
            raise ValueError(
                f"{kernel}: labels must be 0 to {classes - 1}, got {wide[wrong] if wide else narrow[wrong]} "
                f"in sample {wrong // positions}"
            )
    with nogil:
        if type == b"f":
            npdl_cross_entropy_f32(
                t_, narrow, wide, p_, scale_, out_, dy_, logits, smoothing,
                samples, positions, classes)
        else:
            npdl_cross_entropy_f64(
                t_, narrow, wide, p_, scale_, out_, dy_, logits, smoothing,
                samples, positions, classes)
    done(kernel)


def weighted_sum(values, weights, out):
    """out[0] = Σ weights[n] values[n]"""
    cdef char type = type_of("weighted_sum", "values", values)
    cdef int64_t n = values.size
    cdef void *values_ = at("weighted_sum", "values", values, type, n)
    cdef void *weights_ = at("weighted_sum", "weights", weights, type, n)
    cdef double *out_ = <double *> at("weighted_sum", "out", out, b"d", 1, True)
    with nogil:
        if type == b"f":
            out_[0] = npdl_weighted_sum_f32(values_, weights_, n)
        else:
            out_[0] = npdl_weighted_sum_f64(values_, weights_, n)
    done("weighted_sum")
