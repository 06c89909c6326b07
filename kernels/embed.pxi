# Embedding.

cdef extern from "engine.h" nogil:
    ctypedef struct npdl_ids:
        const int32_t *narrow
        const int64_t *wide
        int64_t count, rows
    int64_t npdl_embedding_f32(const npdl_ids *ids, const void *table, void *out, int64_t width)
    int64_t npdl_embedding_f64(const npdl_ids *ids, const void *table, void *out, int64_t width)
    int64_t npdl_embedding_grad_f32(const npdl_ids *ids, const void *dy, void *out, int64_t width)
    int64_t npdl_embedding_grad_f64(const npdl_ids *ids, const void *dy, void *out, int64_t width)


cdef int get_ids(str kernel, object array, npdl_ids *ids, int64_t count, int64_t rows) except -1:
    ids.narrow, ids.wide, ids.count, ids.rows = NULL, NULL, count, rows
    if array.dtype == "int32":
        ids.narrow = <const int32_t *> at(kernel, "ids", array, b"i", count)
    elif array.dtype == "int64":
        ids.wide = <const int64_t *> at(kernel, "ids", array, b"q", count)
    else:
        raise TypeError(f"{kernel}: ids must be int32 or int64, got {array.dtype}; convert it by astype")
    return 0


def embedding(ids, table, out, int64_t count, int64_t rows, int64_t width):
    """out = rows of the table; the place of the first number that names none, or -1"""
    cdef char type = type_of("embedding", "table", table)
    cdef npdl_ids ids_
    cdef int64_t outside
    get_ids("embedding", ids, &ids_, count, rows)
    cdef void *table_ = at("embedding", "table", table, type, rows * width)
    cdef void *out_ = at("embedding", "out", out, type, count * width, True)
    with nogil:
        if type == b"f":
            outside = npdl_embedding_f32(&ids_, table_, out_, width)
        else:
            outside = npdl_embedding_f64(&ids_, table_, out_, width)
    done("embedding")
    return outside


def embedding_grad(dy, ids, out, int64_t count, int64_t rows, int64_t width):
    """out = sums of rows of dy; the place of the first number that names none, or -1"""
    cdef char type = type_of("embedding_grad", "dy", dy)
    cdef npdl_ids ids_
    cdef int64_t outside
    get_ids("embedding_grad", ids, &ids_, count, rows)
    cdef void *dy_ = at("embedding_grad", "dy", dy, type, count * width)
    cdef void *out_ = at("embedding_grad", "out", out, type, rows * width, True)
    with nogil:
        if type == b"f":
            outside = npdl_embedding_grad_f32(&ids_, dy_, out_, width)
        else:
            outside = npdl_embedding_grad_f64(&ids_, dy_, out_, width)
    done("embedding_grad")
    return outside
