# Dropout.

cdef extern from "engine.h" nogil:
    const int NPDL_DROPOUT_AXES
    void npdl_dropout_f32(
        const void *x, void *out, double scale, uint32_t threshold, uint32_t step, const uint32_t *key,
        int64_t samples, int64_t size, int64_t noise, int axes, const int64_t *shape, const int64_t *stride)
    void npdl_dropout_f64(
        const void *x, void *out, double scale, uint32_t threshold, uint32_t step, const uint32_t *key,
        int64_t samples, int64_t size, int64_t noise, int axes, const int64_t *shape, const int64_t *stride)


def dropout(
    x, out, double scale, uint32_t threshold, uint32_t step, uint32_t key0, uint32_t key1,
    int64_t samples, int64_t size, tuple shape, tuple noise_shape,
):
    """x · scale where kept, else 0. shape and noise_shape: of one sample, or both () for a mask like the sample."""
    cdef char type = type_of("dropout", "x", x)
    cdef void *x_ = at("dropout", "x", x, type, samples * size)
    cdef void *out_ = at("dropout", "out", out, type, samples * size, True)
    cdef uint32_t key[2]
    cdef int64_t sizes[8]
    cdef int64_t strides[8]
    cdef int64_t noise = 1
    cdef int axes = len(shape), axis
    if axes > NPDL_DROPOUT_AXES:
        raise ValueError(f"dropout: noise_shape takes samples of at most {NPDL_DROPOUT_AXES} axes, got {axes}")
    for axis in range(axes - 1, -1, -1):
        sizes[axis] = shape[axis]
        strides[axis] = 0 if noise_shape[axis] == 1 else noise
        noise *= noise_shape[axis]
    key[0], key[1] = key0, key1
    with nogil:
        if type == b"f":
            npdl_dropout_f32(x_, out_, scale, threshold, step, key, samples, size, noise, axes, sizes, strides)
        else:
            npdl_dropout_f64(x_, out_, scale, threshold, step, key, samples, size, noise, axes, sizes, strides)
    done("dropout")
