# Dropout and noise.

cdef extern from "engine.h" nogil:
    const int NPDL_DROPOUT_AXES
    const int NPDL_DROPOUT
    const int NPDL_ALPHA_DROPOUT
    const int NPDL_GAUSSIAN_DROPOUT
    const int NPDL_GAUSSIAN_NOISE
    void npdl_dropout_f32(
        int kind, const void *x, void *out, double scale, double shift, double dropped, uint32_t threshold,
        uint32_t step, const uint32_t *key, int64_t samples, int64_t size, int64_t noise, int axes,
        const int64_t *shape, const int64_t *stride)
    void npdl_dropout_f64(
        int kind, const void *x, void *out, double scale, double shift, double dropped, uint32_t threshold,
        uint32_t step, const uint32_t *key, int64_t samples, int64_t size, int64_t noise, int axes,
        const int64_t *shape, const int64_t *stride)

DROPOUT, ALPHA_DROPOUT = NPDL_DROPOUT, NPDL_ALPHA_DROPOUT
GAUSSIAN_DROPOUT, GAUSSIAN_NOISE = NPDL_GAUSSIAN_DROPOUT, NPDL_GAUSSIAN_NOISE


def dropout(
    str kernel, int kind, x, out, double scale, double shift, double dropped, uint32_t threshold, uint32_t step,
    uint32_t key0, uint32_t key1, int64_t samples, int64_t size, tuple shape, tuple noise_shape,
):
    """scale · x + shift where kept, else `dropped`; or noise of the deviation `scale`.

    shape and noise_shape: of one sample, or both () for a mask like the sample."""
    cdef char type = type_of(kernel, "x", x)
    cdef void *x_ = at(kernel, "x", x, type, samples * size)
    cdef void *out_ = at(kernel, "out", out, type, samples * size, True)
    cdef uint32_t key[2]
    cdef int64_t sizes[8]
    cdef int64_t strides[8]
    cdef int64_t noise = 1
    cdef int axes = len(shape), axis
    if axes > NPDL_DROPOUT_AXES:
        raise ValueError(f"{kernel}: noise_shape takes samples of at most {NPDL_DROPOUT_AXES} axes, got {axes}")
    for axis in range(axes - 1, -1, -1):
        sizes[axis] = shape[axis]
        strides[axis] = 0 if noise_shape[axis] == 1 else noise
        noise *= noise_shape[axis]
    key[0], key[1] = key0, key1
    with nogil:
        if type == b"f":
            npdl_dropout_f32(
                kind, x_, out_, scale, shift, dropped, threshold, step, key, samples, size, noise, axes, sizes, strides)
        else:
            npdl_dropout_f64(
                kind, x_, out_, scale, shift, dropped, threshold, step, key, samples, size, noise, axes, sizes, strides)
    done(kernel)
