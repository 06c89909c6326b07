# Losses.

from libc.stdint cimport INT64_MIN

cdef extern from "engine.h" nogil:
    enum: NPDL_CONSTANTS
    enum: NPDL_SQUARED, NPDL_ABSOLUTE, NPDL_HUBER, NPDL_BINARY_LOGITS, NPDL_BINARY, NPDL_SMOOTH_L1, NPDL_LOG_COSH
    enum: NPDL_SQUARED_LOGARITHMIC, NPDL_PERCENTAGE, NPDL_QUANTILE, NPDL_POISSON, NPDL_POISSON_LOG, NPDL_KL_DIVERGENCE
    enum: NPDL_HINGE, NPDL_SQUARED_HINGE, NPDL_SOFT_MARGIN, NPDL_HINGE_EMBEDDING, NPDL_CONTRASTIVE_DISTANCE
    enum: NPDL_BINARY_FOCAL_LOGITS, NPDL_BINARY_FOCAL, NPDL_GENERALIZED, NPDL_KL_LOGARITHMS
    int64_t npdl_wrong_label(const int32_t *narrow, const int64_t *wide, int64_t count, int64_t classes, int64_t ignore)
    void npdl_loss_f32(
        int kind, const double *c, const void *t, const void *p, const void *scale, void *out, int64_t samples,
        int64_t d)
    void npdl_loss_f64(
        int kind, const double *c, const void *t, const void *p, const void *scale, void *out, int64_t samples,
        int64_t d)
    void npdl_cross_entropy_f32(
        const void *t, const int32_t *narrow, const int64_t *wide, const void *p, const void *scale, void *out,
        void *dy, int logits, double smoothing, const void *weights, int64_t ignore, int64_t samples,
        int64_t positions, int64_t classes)
    void npdl_cross_entropy_f64(
        const void *t, const int32_t *narrow, const int64_t *wide, const void *p, const void *scale, void *out,
        void *dy, int logits, double smoothing, const void *weights, int64_t ignore, int64_t samples,
        int64_t positions, int64_t classes)
    double npdl_weighted_sum_f32(const void *values, const void *weights, int64_t n)
    double npdl_weighted_sum_f64(const void *values, const void *weights, int64_t n)

ELEMENT_LOSSES = {
    "squared": NPDL_SQUARED, "absolute": NPDL_ABSOLUTE, "huber": NPDL_HUBER,
    "binary_logits": NPDL_BINARY_LOGITS, "binary": NPDL_BINARY,
    "smooth_l1": NPDL_SMOOTH_L1, "log_cosh": NPDL_LOG_COSH, "squared_logarithmic": NPDL_SQUARED_LOGARITHMIC,
    "percentage": NPDL_PERCENTAGE, "quantile": NPDL_QUANTILE, "poisson": NPDL_POISSON, "poisson_log": NPDL_POISSON_LOG,
    "kl_divergence": NPDL_KL_DIVERGENCE, "generalized": NPDL_GENERALIZED,
    "kl_logarithms": NPDL_KL_LOGARITHMS,
    "hinge": NPDL_HINGE, "squared_hinge": NPDL_SQUARED_HINGE, "soft_margin": NPDL_SOFT_MARGIN,
    "hinge_embedding": NPDL_HINGE_EMBEDDING, "contrastive_distance": NPDL_CONTRASTIVE_DISTANCE,
    "binary_focal_logits": NPDL_BINARY_FOCAL_LOGITS, "binary_focal": NPDL_BINARY_FOCAL,
}


def loss(str kernel, int kind, tuple constants, y_true, y_pred, scale, out, int64_t samples, int64_t d):
    """A mean over the d elements of each sample: out (samples,); with `scale` its gradient: out (samples, d)."""
    cdef double c[NPDL_CONSTANTS]
    cdef int i
    for i in range(NPDL_CONSTANTS):
        c[i] = constants[i] if i < len(constants) else 0
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
    str kernel, y_true, labels, y_pred, scale, out, dy, int logits, double smoothing, weights, ignore,
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
    cdef void *weights_ = at(kernel, "weights", weights, type, classes)
    cdef int64_t ignored = INT64_MIN if ignore is None else ignore
    cdef int32_t *narrow = NULL
    cdef int64_t *wide = NULL
    if labels is not None:
        if labels.dtype.itemsize == 8:
            wide = <int64_t *> at(kernel, "labels", labels, b"q", samples * positions)
        else:
            narrow = <int32_t *> at(kernel, "labels", labels, b"i", samples * positions)
        wrong = npdl_wrong_label(narrow, wide, samples * positions, classes, ignored)
        if wrong >= 0:
            raise ValueError(
                f"{kernel}: labels must be 0 to {classes - 1}, got {wide[wrong] if wide else narrow[wrong]} "
                f"in sample {wrong // positions}"
            )
    with nogil:
        if type == b"f":
            npdl_cross_entropy_f32(
                t_, narrow, wide, p_, scale_, out_, dy_, logits, smoothing, weights_, ignored,
                samples, positions, classes)
        else:
            npdl_cross_entropy_f64(
                t_, narrow, wide, p_, scale_, out_, dy_, logits, smoothing, weights_, ignored,
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


# ---- losses of rows, of pairs and triplets of outputs, and of alignments

cdef extern from "engine.h" nogil:
    enum: NPDL_COSINE, NPDL_CATEGORICAL_HINGE, NPDL_MULTI_MARGIN, NPDL_WEIGHTED_BINARY, NPDL_FOCAL_LOGITS, NPDL_FOCAL
    enum: NPDL_TVERSKY, NPDL_MULTI_LABEL_MARGIN
    enum: NPDL_MARGIN_RANKING, NPDL_GAUSSIAN, NPDL_COSINE_EMBEDDING, NPDL_CONTRASTIVE
    void npdl_row_loss_f32(
        int kind, const double *c, const void *t, const void *p, const void *weights, const void *scale, void *out,
        void *dy, int64_t samples, int64_t positions, int64_t n)
    void npdl_row_loss_f64(
        int kind, const double *c, const void *t, const void *p, const void *weights, const void *scale, void *out,
        void *dy, int64_t samples, int64_t positions, int64_t n)
    void npdl_pair_loss_f32(
        int kind, const double *c, const void *t, const void *a, const void *b, const void *scale, void *out, void *da,
        void *db, int64_t samples, int64_t n)
    void npdl_pair_loss_f64(
        int kind, const double *c, const void *t, const void *a, const void *b, const void *scale, void *out, void *da,
        void *db, int64_t samples, int64_t n)
    void npdl_triplet_f32(
        const double *c, const void *a, const void *p, const void *n, const void *scale, void *out, void *da, void *dp,
        void *dn, int64_t samples, int64_t size)
    void npdl_triplet_f64(
        const double *c, const void *a, const void *p, const void *n, const void *scale, void *out, void *da, void *dp,
        void *dn, int64_t samples, int64_t size)
    void npdl_ctc_f32(
        const int32_t *labels, const void *z, const void *scale, void *out, void *dz, int64_t samples, int64_t frames,
        int64_t classes, int64_t width, int64_t blank)
    void npdl_ctc_f64(
        const int32_t *labels, const void *z, const void *scale, void *out, void *dz, int64_t samples, int64_t frames,
        int64_t classes, int64_t width, int64_t blank)

ROW_LOSSES = {
    "cosine": NPDL_COSINE, "categorical_hinge": NPDL_CATEGORICAL_HINGE, "multi_margin": NPDL_MULTI_MARGIN,
    "weighted_binary": NPDL_WEIGHTED_BINARY, "focal_logits": NPDL_FOCAL_LOGITS, "focal": NPDL_FOCAL,
    "tversky": NPDL_TVERSKY, "multi_label_margin": NPDL_MULTI_LABEL_MARGIN,
}
PAIR_LOSSES = {
    "margin_ranking": NPDL_MARGIN_RANKING, "gaussian": NPDL_GAUSSIAN, "cosine_embedding": NPDL_COSINE_EMBEDDING,
    "contrastive": NPDL_CONTRASTIVE,
}


def row_loss(
    str kernel, int kind, tuple constants, y_true, y_pred, weights, int64_t weight_count, scale, out, dy,
    int64_t samples, int64_t positions, int64_t n,
):
    """A mean over the rows of each sample: out (samples,), and with `scale` the gradient dy; one may be None."""
    cdef double c[NPDL_CONSTANTS]
    cdef int i
    for i in range(NPDL_CONSTANTS):
        c[i] = constants[i] if i < len(constants) else 0
    cdef char type = type_of(kernel, "y_pred", y_pred)
    cdef int64_t count = samples * positions * n
    cdef void *t_ = at(kernel, "y_true", y_true, type, count)
    cdef void *p_ = at(kernel, "y_pred", y_pred, type, count)
    cdef void *weights_ = at(kernel, "weights", weights, type, weight_count)
    cdef void *scale_ = at(kernel, "scale", scale, type, samples)
    cdef void *out_ = at(kernel, "out", out, type, samples, True)
    cdef void *dy_ = at(kernel, "dy", dy, type, count, True)
    with nogil:
        if type == b"f":
            npdl_row_loss_f32(kind, c, t_, p_, weights_, scale_, out_, dy_, samples, positions, n)
        else:
            npdl_row_loss_f64(kind, c, t_, p_, weights_, scale_, out_, dy_, samples, positions, n)
    done(kernel)


def pair_loss(
    str kernel, int kind, tuple constants, y_true, int64_t targets, a, b, scale, out, da, db, int64_t samples,
    int64_t n,
):
    """Of two outputs: out (samples,), and with `scale` the gradients da and db."""
    cdef double c[NPDL_CONSTANTS]
    cdef int i
    for i in range(NPDL_CONSTANTS):
        c[i] = constants[i] if i < len(constants) else 0
    cdef char type = type_of(kernel, "a", a)
    cdef void *t_ = at(kernel, "y_true", y_true, type, targets)
    cdef void *a_ = at(kernel, "a", a, type, samples * n)
    cdef void *b_ = at(kernel, "b", b, type, samples * n)
    cdef void *scale_ = at(kernel, "scale", scale, type, samples)
    cdef void *out_ = at(kernel, "out", out, type, samples, True)
    cdef void *da_ = at(kernel, "da", da, type, samples * n, True)
    cdef void *db_ = at(kernel, "db", db, type, samples * n, True)
    with nogil:
        if type == b"f":
            npdl_pair_loss_f32(kind, c, t_, a_, b_, scale_, out_, da_, db_, samples, n)
        else:
            npdl_pair_loss_f64(kind, c, t_, a_, b_, scale_, out_, da_, db_, samples, n)
    done(kernel)


def triplet(str kernel, tuple constants, a, p, n, scale, out, da, dp, dn, int64_t samples, int64_t size):
    """Of three outputs: out (samples,), and with `scale` the gradients da, dp and dn."""
    cdef double c[NPDL_CONSTANTS]
    cdef int i
    for i in range(NPDL_CONSTANTS):
        c[i] = constants[i]
    cdef char type = type_of(kernel, "a", a)
    cdef void *a_ = at(kernel, "a", a, type, samples * size)
    cdef void *p_ = at(kernel, "p", p, type, samples * size)
    cdef void *n_ = at(kernel, "n", n, type, samples * size)
    cdef void *scale_ = at(kernel, "scale", scale, type, samples)
    cdef void *out_ = at(kernel, "out", out, type, samples, True)
    cdef void *da_ = at(kernel, "da", da, type, samples * size, True)
    cdef void *dp_ = at(kernel, "dp", dp, type, samples * size, True)
    cdef void *dn_ = at(kernel, "dn", dn, type, samples * size, True)
    with nogil:
        if type == b"f":
            npdl_triplet_f32(c, a_, p_, n_, scale_, out_, da_, dp_, dn_, samples, size)
        else:
            npdl_triplet_f64(c, a_, p_, n_, scale_, out_, da_, dp_, dn_, samples, size)
    done(kernel)


def ctc(
    str kernel, labels, y_pred, int64_t blank, scale, out, dy, int64_t samples, int64_t frames, int64_t classes,
    int64_t width,
):
    """Of logits (samples, frames, classes): out (samples,), and with `scale` the gradient dy; one may be None."""
    cdef char type = type_of(kernel, "y_pred", y_pred)
    cdef int64_t count = samples * frames * classes, wrong
    cdef int32_t *labels_ = <int32_t *> at(kernel, "labels", labels, b"i", samples * width)
    cdef void *z_ = at(kernel, "y_pred", y_pred, type, count)
    cdef void *scale_ = at(kernel, "scale", scale, type, samples)
    cdef void *out_ = at(kernel, "out", out, type, samples, True)
    cdef void *dy_ = at(kernel, "dy", dy, type, count, True)
    wrong = npdl_wrong_label(labels_, NULL, samples * width, classes, INT64_MIN)
    if wrong >= 0:
        raise ValueError(
            f"{kernel}: labels must be 0 to {classes - 1}, got {labels_[wrong]} in sample {wrong // width}"
        )
    with nogil:
        if type == b"f":
            npdl_ctc_f32(labels_, z_, scale_, out_, dy_, samples, frames, classes, width, blank)
        else:
            npdl_ctc_f64(labels_, z_, scale_, out_, dy_, samples, frames, classes, width, blank)
    done(kernel)
