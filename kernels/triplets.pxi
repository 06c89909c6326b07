# Pairs and triplets of a batch.

cdef extern from "engine.h" nogil:
    void npdl_semi_hard_f32(
        const int32_t *labels, const void *e, const void *scale, void *out, void *dy, double margin, int root,
        double factor, double share, int64_t samples, int64_t size)
    void npdl_semi_hard_f64(
        const int32_t *labels, const void *e, const void *scale, void *out, void *dy, double margin, int root,
        double factor, double share, int64_t samples, int64_t size)
    void npdl_circle_f32(
        const int32_t *labels, const void *similarity, const void *scale, void *out, void *ds, double gamma,
        double margin, int diagonal, double share, int64_t samples)
    void npdl_circle_f64(
        const int32_t *labels, const void *similarity, const void *scale, void *out, void *ds, double gamma,
        double margin, int diagonal, double share, int64_t samples)


def semi_hard(
    str kernel, labels, e, scale, out, dy, double margin, bint root, double factor, double share, int64_t samples,
    int64_t size,
):
    """Of embeddings (samples, size): out (samples,), and with `scale` the gradient dy; one may be None."""
    cdef char type = type_of(kernel, "e", e)
    cdef int32_t *labels_ = <int32_t *> at(kernel, "labels", labels, b"i", samples)
    cdef void *e_ = at(kernel, "e", e, type, samples * size)
    cdef void *scale_ = at(kernel, "scale", scale, type, samples)
    cdef void *out_ = at(kernel, "out", out, type, samples, True)
    cdef void *dy_ = at(kernel, "dy", dy, type, samples * size, True)
    with nogil:
        if type == b"f":
            npdl_semi_hard_f32(labels_, e_, scale_, out_, dy_, margin, root, factor, share, samples, size)
        else:
            npdl_semi_hard_f64(labels_, e_, scale_, out_, dy_, margin, root, factor, share, samples, size)
    done(kernel)


def circle(
    str kernel, labels, s, scale, out, ds, double gamma, double margin, bint diagonal, double share, int64_t samples
):
    """Of similarities s (samples, samples): out (samples,), and with `scale` the gradient ds; one may be None."""
    cdef char type = type_of(kernel, "s", s)
    cdef int32_t *labels_ = <int32_t *> at(kernel, "labels", labels, b"i", samples)
    cdef void *s_ = at(kernel, "s", s, type, samples * samples)
    cdef void *scale_ = at(kernel, "scale", scale, type, samples)
    cdef void *out_ = at(kernel, "out", out, type, samples, True)
    cdef void *ds_ = at(kernel, "out", ds, type, samples * samples, True)
    with nogil:
        if type == b"f":
            npdl_circle_f32(labels_, s_, scale_, out_, ds_, gamma, margin, diagonal, share, samples)
        else:
            npdl_circle_f64(labels_, s_, scale_, out_, ds_, gamma, margin, diagonal, share, samples)
    done(kernel)
