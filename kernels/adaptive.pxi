# Pooling of an axis into bins; see adaptive.h.

cdef extern from "engine.h" nogil:
    void npdl_bins_f32(
        int kind, const void *x, void *out, void *winners, int64_t rows, int64_t places, int64_t bins, int64_t channels)
    void npdl_bins_f64(
        int kind, const void *x, void *out, void *winners, int64_t rows, int64_t places, int64_t bins, int64_t channels)


def adaptive_pool(str kernel, int kind, str x_name, x, str y_name, y, winners):
    """x (rows, places, channels), y and winners (rows, bins, channels); of an odd kind x is what is written."""
    cdef numpy.ndarray large = array_of(kernel, x_name, x)
    cdef numpy.ndarray small = array_of(kernel, y_name, y)
    cdef bint backward = kind % 2
    cdef char t = type_of(kernel, x_name, x)
    if large.ndim != 3 or small.ndim != 3 or small.shape[0] != large.shape[0] or small.shape[2] != large.shape[2]:
        raise ValueError(
            f"{kernel}: {x_name} must be (rows, places, channels) and {y_name} (rows, bins, channels), "
            f"got {x.shape} and {y.shape}"
        )
    cdef int64_t rows = large.shape[0], places = large.shape[1], channels = large.shape[2], bins = small.shape[1]
    if rows and channels and (places < 1 or bins < 1):
        raise ValueError(f"{kernel}: at least one place and one bin, got {places} and {bins}")
    cdef void *px = shaped(kernel, x_name, x, t, 3, large.shape, backward)
    cdef void *py = shaped(kernel, y_name, y, t, 3, small.shape, not backward)
    cdef void *pw = NULL if winners is None else shaped(kernel, "winners", winners, b"i", 3, small.shape, not backward)
    with nogil:
        if backward and t == b"f":
            npdl_bins_f32(kind, py, px, pw, rows, places, bins, channels)
        elif backward:
            npdl_bins_f64(kind, py, px, pw, rows, places, bins, channels)
        elif t == b"f":
            npdl_bins_f32(kind, px, py, pw, rows, places, bins, channels)
        else:
            npdl_bins_f64(kind, px, py, pw, rows, places, bins, channels)
