# Attention.

cdef extern from "engine.h" nogil:
    ctypedef struct npdl_attend_mask:
        const uint8_t *query
        const uint8_t *key
        const uint8_t *pair
        int causal
    ctypedef struct npdl_attend_dropout:
        uint32_t threshold
        uint32_t step
        uint32_t key[2]
        double scale
    ctypedef struct npdl_attend_f32:
        float *q
        float *k
        float *v
        float *dout
        float *out
        float *dq
        float *dk
        float *dv
        int64_t samples, queries, keys, heads, groups, size, value_size
        float scale
        npdl_attend_mask mask
        npdl_attend_dropout dropout
    ctypedef struct npdl_attend_f64:
        double *q
        double *k
        double *v
        double *dout
        double *out
        double *dq
        double *dk
        double *dv
        int64_t samples, queries, keys, heads, groups, size, value_size
        double scale
        npdl_attend_mask mask
        npdl_attend_dropout dropout
    void npdl_attention_f32(npdl_attend_f32 *s, int grad)
    void npdl_attention_f64(npdl_attend_f64 *s, int grad)

ctypedef fused npdl_attend:
    npdl_attend_f32
    npdl_attend_f64


cdef int run_attention(npdl_attend *s, str kernel, char type, tuple arrays, tuple sizes, double scale, masks,
                       dropout) except -1:
    """arrays: q, k, v, out, dout, dq, dk, dv; masks: of queries, keys, pairs, and whether causal;
    dropout: threshold, step, two words of the key, scale."""
    cdef bint grad = arrays[3] is None
    cdef int64_t q, k, v, o
    s.samples, s.queries, s.keys, s.heads, s.groups, s.size, s.value_size = sizes
    q, o = s.samples * s.queries * s.heads * s.size, s.samples * s.queries * s.heads * s.value_size
    k, v = s.samples * s.keys * s.groups * s.size, s.samples * s.keys * s.groups * s.value_size
    s.scale = scale
    if npdl_attend is npdl_attend_f32:
        s.q = <float *> at(kernel, "q", arrays[0], type, q)
        s.k = <float *> at(kernel, "k", arrays[1], type, k)
        s.v = <float *> at(kernel, "v", arrays[2], type, v)
        s.out = <float *> at(kernel, "out", arrays[3], type, o, True)
        s.dout = <float *> at(kernel, "dout", arrays[4], type, o)
        s.dq = <float *> at(kernel, "dq", arrays[5], type, q, True)
        s.dk = <float *> at(kernel, "dk", arrays[6], type, k, True)
        s.dv = <float *> at(kernel, "dv", arrays[7], type, v, True)
    else:
        s.q = <double *> at(kernel, "q", arrays[0], type, q)
        s.k = <double *> at(kernel, "k", arrays[1], type, k)
        s.v = <double *> at(kernel, "v", arrays[2], type, v)
        s.out = <double *> at(kernel, "out", arrays[3], type, o, True)
        s.dout = <double *> at(kernel, "dout", arrays[4], type, o)
        s.dq = <double *> at(kernel, "dq", arrays[5], type, q, True)
        s.dk = <double *> at(kernel, "dk", arrays[6], type, k, True)
        s.dv = <double *> at(kernel, "dv", arrays[7], type, v, True)
    s.mask.query = <const uint8_t *> at(kernel, "query_mask", masks[0], b"B", s.samples * s.queries)
    s.mask.key = <const uint8_t *> at(kernel, "key_mask", masks[1], b"B", s.samples * s.keys)
    s.mask.pair = <const uint8_t *> at(kernel, "mask", masks[2], b"B", s.samples * s.queries * s.keys)
    s.mask.causal = masks[3]
    s.dropout.threshold, s.dropout.step, s.dropout.key[0], s.dropout.key[1], s.dropout.scale = dropout
    with nogil:
        if npdl_attend is npdl_attend_f32:
            npdl_attention_f32(s, grad)
        else:
            npdl_attention_f64(s, grad)
    done(kernel)
    return 0


def attention(str kernel, tuple arrays, tuple sizes, double scale, tuple masks, tuple dropout):
    """out, or where it is None the gradients; see `run_attention`."""
    cdef npdl_attend_f32 narrow
    cdef npdl_attend_f64 wide
    cdef char type = type_of(kernel, "q", arrays[0])
    if type == b"f":
        run_attention(&narrow, kernel, type, arrays, sizes, scale, masks, dropout)
    else:
        run_attention(&wide, kernel, type, arrays, sizes, scale, masks, dropout)
