/* Attention: softmax(scale q kᵀ) v of each sample and head, and its gradients. Formulas:
 * npdl/kernels/reference/attention.py.
 *
 * A task is a head of a sample; backward all heads that share keys, since they add to one dk and dv. It goes through the
 * queries NPDL_ATTEND_CHUNK at a time. Their scores lie transposed, a row for each key: k is then read where it lies,
 * and a vector holds the same key's scores for several queries, so that the softmax takes no sum within a vector. No
 * more of the probabilities is ever there than those of a chunk. Backward makes them again, which costs one product of
 * five and saves keeping queries x keys numbers for each head.
 *
 * With `causal` a query sees the keys up to its own place. Of each panel of queries, NPDL_ATTEND_ROWS wide, only the keys
 * up to its last one are looked at; above the diagonal inside it are zeros.
 *
 * All sums run over keys or queries in their order, in blocks that the sizes of one sample set.
 */
#ifndef NPDL_ATTENTION_H
#define NPDL_ATTENTION_H

#define NPDL_ATTEND_CHUNK 64 /* queries at a time; part of the bits */
#define NPDL_ATTEND_ROWS 32  /* queries that look at as many keys: a multiple of a panel's width; part of the bits */
#define NPDL_ATTEND_KEYS 256 /* keys in a block sum of a softmax; part of the bits */
#define NPDL_ATTEND_GAP 16   /* between the rows of two keys, or they would crowd into few cache sets */

/* What may be attended to: each NULL, or 0 where not. */
typedef struct { const uint8_t *query, *key, *pair; int causal; } npdl_attend_mask;

/* Dropout of probabilities, none where the threshold is 0. */
typedef struct { uint32_t threshold, step, key[2]; double scale; } npdl_attend_dropout;

#endif

enum { FN(npdl_attend_step) = NPDL_ATTEND_CHUNK + NPDL_ATTEND_GAP }; /* from key to key */

typedef struct {
    const REAL *q, *k, *v, *dout;  /* (N, T, H, D), (N, S, G, D), (N, S, G, E), (N, T, H, E) */
    REAL *out, *dq, *dk, *dv;
    int64_t samples, queries, keys, heads, groups, size, value_size;
    REAL scale;
    npdl_attend_mask mask;
    npdl_attend_dropout dropout;
} FN(npdl_attend);

/* ---- products with a packed matrix */

/* Numbers that a packed matrix of k rows and n columns takes. */
static int64_t FN(npdl_packed)(int64_t k, int64_t n) {
    return npdl_round_up(k, NPDL_KB) * npdl_round_up(n, NPDL_NW);
}

static void FN(npdl_pack_whole)(const REAL *b, int64_t step, int transpose, int64_t k, int64_t n, REAL *to) {
    for (int64_t kb = 0; kb < k; kb += NPDL_KB)
        FN(npdl_pack_b)(b + (transpose ? kb : kb * step), step, transpose, npdl_min(k - kb, NPDL_KB), n,
                        to + kb * npdl_round_up(n, NPDL_NW), 0);
}

/* How rows of a matrix are read, and those of the result written. */
typedef struct { npdl_row row[NPDL_MB]; int64_t down, along, to; } FN(npdl_walk);

/* At most `rows` rows, `down` apart, whose numbers lie `along` apart, to rows `to` apart; down or along is 1. */
static void FN(npdl_set_walk)(FN(npdl_walk) *w, int64_t rows, int64_t down, int64_t along, int64_t to) {
    for (int64_t i = 0; i < npdl_min(rows, NPDL_MB); i++) w->row[i] = (npdl_row){i * down, i * to};
    w->down = down, w->along = along, w->to = to;
}

/* out (rows, n) (+)= Σ over [k0, k1) of a · b, columns [n0, n1) of packed b, which has `columns`; n0 begins a panel. */
static void FN(npdl_times)(const FN(npdl_walk) *w, const REAL *a, int64_t rows, const REAL *b, int64_t columns,
                           int64_t k0, int64_t k1, REAL *out, int64_t n0, int64_t n1, int add) {
    const int64_t width = npdl_round_up(columns, NPDL_NW);
    for (int64_t k = k0, stop; k < k1; k = stop) {
        const REAL *block = b + k / NPDL_KB * NPDL_KB * width;
        stop = npdl_min(k1, (k / NPDL_KB + 1) * NPDL_KB);
        for (int64_t i = 0; i < rows; i += NPDL_MB)
            for (int64_t j = n0; j < n1; j += NPDL_NW) {
                const int64_t wide = columns - j > VL ? NPDL_NW : VL;
                FN(npdl_tiles_and_more)(w->along == 1 ? NPDL_ROWS : NPDL_STRIP, a + i * w->down + k * w->along, w->row,
                                        npdl_min(rows - i, NPDL_MB), &w->along, stop - k,
                                        block + j * NPDL_KB + k % NPDL_KB * wide, out + i * w->to + j,
                                        npdl_min(n1 - j, wide), add || k > k0, NULL, NULL, NULL);
            }
    }
}

/* ---- a chunk: queries first ... first + count - 1 of one head */

typedef struct { int64_t sample, head, first, count; } FN(npdl_chunk);

/* How many keys the queries below `stop` look at. */
NPDL_INLINE int64_t FN(npdl_attend_limit)(const FN(npdl_attend) *s, int64_t stop) {
    return s->mask.causal ? npdl_min(s->keys, stop) : s->keys;
}

/* For each panel of queries: columns [from, to) of the chunk, which look at keys [0, limit). */
#define NPDL_ATTEND_PANELS(c) \
    for (int64_t from = 0, to, limit; \
         from < (c)->count && (to = npdl_min((c)->count, from + NPDL_ATTEND_ROWS), \
                               limit = FN(npdl_attend_limit)(s, (c)->first + to), 1); \
         from = to)

/* x (keys, queries) = a bᵀ of the keys' rows a and the packed queries' b. */
static void FN(npdl_attend_scores)(const FN(npdl_attend) *s, const FN(npdl_chunk) *c, const FN(npdl_walk) *w,
                                   const REAL *a, const REAL *packed, int64_t size, REAL *x) {
    NPDL_ATTEND_PANELS(c) FN(npdl_times)(w, a, limit, packed, c->count, 0, size, x, from, to, 0);
}

/* −infinity where a query may not look: by the masks, and above the diagonal. */
static void FN(npdl_attend_hide)(const FN(npdl_attend) *s, const FN(npdl_chunk) *c, REAL *x) {
    const npdl_attend_mask *m = &s->mask;
    const int64_t query = c->sample * s->queries + c->first;
    if (m->causal)
        NPDL_ATTEND_PANELS(c)
            for (int64_t j = c->first + from + 1; j < limit; j++) { /* queries of the panel before key j */
                const int64_t stop = npdl_min(to, j - c->first);
                for (int64_t i = from; i < stop; i += VL)
                    STN(x + j * FN(npdl_attend_step) + i, BC(-(REAL)INFINITY), npdl_min(VL, stop - i));
            }
    if (!m->query && !m->key && !m->pair) return;
    NPDL_ATTEND_PANELS(c)
        for (int64_t j = 0; j < limit; j++) {
            REAL *row = x + j * FN(npdl_attend_step);
            if (m->key && !m->key[c->sample * s->keys + j])
                for (int64_t i = from; i < to; i++) row[i] = -(REAL)INFINITY;
            if (m->query)
                for (int64_t i = from; i < to; i++) row[i] = m->query[query + i] ? row[i] : -(REAL)INFINITY;
            if (m->pair)
                for (int64_t i = from; i < to; i++)
                    row[i] = m->pair[(query + i) * s->keys + j] ? row[i] : -(REAL)INFINITY;
        }
}

/* e^(scale (v − top)); 0 where that is near the least normal number or below: subnormal ones take hundreds of cycles. */
NPDL_INLINE void FN(npdl_attend_exps)(VEC *v, int count, const VEC *top, VEC scale) {
    const VEC least = BC(sizeof(REAL) == 4 ? -87 : -708);
    IVEC tiny[NPDL_WIDE];
    EACH v[j] = (v[j] - top[j]) * scale;
    EACH tiny[j] = v[j] < least;
    EACH v[j] = MAX(least, v[j]);
    FN(npdl_exps)(v, count);
    EACH v[j] = SELECT(tiny[j], BC(0), v[j]);
}

/* x = softmax(scale x) down the keys, for `count` vectors of queries, n of whose numbers count; zeros where all are
 * −infinity. */
NPDL_INLINE void FN(npdl_attend_softmax)(REAL *x, int64_t keys, int count, int64_t n, REAL scale) {
    const VEC least = BC(-(REAL)INFINITY), factor = BC(scale);
    VEC top[NPDL_WIDE], total[NPDL_WIDE];
    REAL *const stop = x + keys * FN(npdl_attend_step);
    #define NPDL_ATTEND_GET(p, j) (n == count * VL ? LD((p) + j * VL) : LDN((p) + j * VL, npdl_min(n - j * VL, VL)))
    #define NPDL_ATTEND_PUT(p, j, v) \
        do { if (n == count * VL) ST((p) + j * VL, v); else STN((p) + j * VL, v, npdl_min(n - j * VL, VL)); } while (0)
    EACH top[j] = least, total[j] = BC(0);
    for (const REAL *p = x; p < stop; p += FN(npdl_attend_step))
        EACH { VEC v = NPDL_ATTEND_GET(p, j); top[j] = MAX(v, top[j]); }
    EACH top[j] = SELECT(top[j] == least, BC(0), top[j]);
    for (REAL *block = x; block < stop; block += NPDL_ATTEND_KEYS * FN(npdl_attend_step)) {
        REAL *const end = block + NPDL_LESS(stop - block, NPDL_ATTEND_KEYS * FN(npdl_attend_step));
        VEC sum[NPDL_WIDE];
        EACH sum[j] = BC(0);
        for (REAL *p = block; p < end; p += FN(npdl_attend_step)) {
            VEC v[NPDL_WIDE];
            EACH v[j] = NPDL_ATTEND_GET(p, j);
            FN(npdl_attend_exps)(v, count, top, factor);
            EACH sum[j] = sum[j] + v[j];
            EACH NPDL_ATTEND_PUT(p, j, v[j]);
        }
        EACH total[j] = total[j] + sum[j];
    }
    EACH total[j] = SELECT(total[j] == BC(0), BC(0), BC(1) / total[j]);
    for (REAL *p = x; p < stop; p += FN(npdl_attend_step))
        EACH NPDL_ATTEND_PUT(p, j, NPDL_ATTEND_GET(p, j) * total[j]);
}

/* d = scale · p (d − Σ p d) down the keys, likewise. */
NPDL_INLINE void FN(npdl_attend_softmax_grad)(const REAL *x, REAL *d, int64_t keys, int count, int64_t n, REAL scale) {
    const VEC factor = BC(scale);
    VEC total[NPDL_WIDE];
    const int64_t step = FN(npdl_attend_step);
    EACH total[j] = BC(0);
    for (int64_t k = 0; k < keys; k += NPDL_ATTEND_KEYS) {
        VEC sum[NPDL_WIDE];
        EACH sum[j] = BC(0);
        for (int64_t i = k; i < npdl_min(keys, k + NPDL_ATTEND_KEYS); i++)
            EACH sum[j] = FMA(NPDL_ATTEND_GET(x + i * step, j), NPDL_ATTEND_GET(d + i * step, j), sum[j]);
        EACH total[j] = total[j] + sum[j];
    }
    for (int64_t i = 0; i < keys; i++)
        EACH {
            VEC v = NPDL_ATTEND_GET(d + i * step, j) - total[j];
            NPDL_ATTEND_PUT(d + i * step, j, v * NPDL_ATTEND_GET(x + i * step, j) * factor);
        }
    #undef NPDL_ATTEND_GET
    #undef NPDL_ATTEND_PUT
}

/* CALL(count, n) with `at` on each few vectors of the columns [from, to). */
#define NPDL_ATTEND_VECTORS(CALL) \
    { \
        int64_t at = from; \
        for (; at + NPDL_WIDE * VL <= to; at += NPDL_WIDE * VL) CALL(NPDL_WIDE, NPDL_WIDE * VL); \
        for (; at + 2 * VL <= to; at += 2 * VL) CALL(2, 2 * VL); \
        for (; at + VL <= to; at += VL) CALL(1, VL); \
        if (at < to) CALL(1, to - at); \
    }

/* The probabilities of a chunk. */
static void FN(npdl_attend_chunk)(const FN(npdl_attend) *s, const FN(npdl_chunk) *c, const FN(npdl_walk) *of_k,
                                  const REAL *k, const REAL *packed_q, REAL *p) {
    FN(npdl_attend_scores)(s, c, of_k, k, packed_q, s->size, p);
    FN(npdl_attend_hide)(s, c, p);
    #define NPDL_ATTEND_CALL(count, n) FN(npdl_attend_softmax)(p + at, limit, count, n, s->scale)
    NPDL_ATTEND_PANELS(c) NPDL_ATTEND_VECTORS(NPDL_ATTEND_CALL)
    #undef NPDL_ATTEND_CALL
}

/* x (keys, queries) of a chunk times the mask of dropout, whose numbers count those of (head, query, key). */
static void FN(npdl_attend_drop)(const FN(npdl_attend) *s, const FN(npdl_chunk) *c, REAL *x) {
    uint32_t words[NPDL_PHILOX_WORDS];
    const int64_t keys = s->keys, start = (c->head * s->queries + c->first) * keys, stop = start + c->count * keys;
    const REAL scale = (REAL)s->dropout.scale;
    if (!s->dropout.threshold) return;
    for (int64_t e = start / 4 * 4; e < stop; e += NPDL_PHILOX_WORDS) {
        npdl_philox(s->dropout.step, (uint32_t)c->sample, (uint32_t)(e / 4), s->dropout.key, words);
        for (int64_t i = npdl_max(start, e); i < npdl_min(stop, e + NPDL_PHILOX_WORDS); i++) {
            REAL *one = x + (i - start) % keys * FN(npdl_attend_step) + (i - start) / keys;
            *one = (words[i - e] >> 8) >= s->dropout.threshold ? *one * scale : 0;
        }
    }
}

/* ---- forward */

static size_t FN(npdl_attend_bytes)(const FN(npdl_attend) *s) {
    return (FN(npdl_packed)(s->size, NPDL_ATTEND_CHUNK) + FN(npdl_packed)(s->keys, s->value_size) +
            s->keys * FN(npdl_attend_step)) * sizeof(REAL);
}

static void FN(npdl_attend_task)(void *context, int64_t task, void *work) {
    const FN(npdl_attend) *s = context;
    const int64_t d = s->size, e = s->value_size, heads = s->heads, groups = s->groups;
    FN(npdl_chunk) c = {task / heads, task % heads, 0, 0};
    const int64_t at = c.sample * s->keys * groups + c.head / (heads / groups);
    REAL *packed_q = work, *packed_v = packed_q + FN(npdl_packed)(d, NPDL_ATTEND_CHUNK);
    REAL *p = packed_v + FN(npdl_packed)(s->keys, e);
    FN(npdl_walk) of_k, of_p;
    FN(npdl_set_walk)(&of_k, s->keys, groups * d, 1, FN(npdl_attend_step));
    FN(npdl_set_walk)(&of_p, NPDL_ATTEND_ROWS, 1, FN(npdl_attend_step), heads * e);
    FN(npdl_pack_whole)(s->v + at * e, groups * e, 0, s->keys, e, packed_v);
    for (; c.first < s->queries; c.first += NPDL_ATTEND_CHUNK) {
        const int64_t query = (c.sample * s->queries + c.first) * heads + c.head;
        c.count = npdl_min(NPDL_ATTEND_CHUNK, s->queries - c.first);
        FN(npdl_pack_whole)(s->q + query * d, heads * d, 1, d, c.count, packed_q);
        FN(npdl_attend_chunk)(s, &c, &of_k, s->k + at * d, packed_q, p);
        FN(npdl_attend_drop)(s, &c, p);
        NPDL_ATTEND_PANELS(&c)
            FN(npdl_times)(&of_p, p + from, to - from, packed_v, e, 0, limit, s->out + (query + from * heads) * e, 0, e,
                           0);
    }
}

/* ---- backward */

static size_t FN(npdl_attend_grad_bytes)(const FN(npdl_attend) *s) {
    const int64_t chunk = NPDL_ATTEND_CHUNK, d = s->size, e = s->value_size;
    return (FN(npdl_packed)(d, chunk) + FN(npdl_packed)(chunk, d) + FN(npdl_packed)(e, chunk) +
            FN(npdl_packed)(chunk, e) + FN(npdl_packed)(s->keys, d) + 2 * s->keys * FN(npdl_attend_step)) * sizeof(REAL);
}

static void FN(npdl_attend_grad_task)(void *context, int64_t task, void *work) {
    const FN(npdl_attend) *s = context;
    const int64_t keys = s->keys, d = s->size, e = s->value_size, heads = s->heads, groups = s->groups;
    const int64_t group = task % groups, each = heads / groups, chunk = NPDL_ATTEND_CHUNK;
    FN(npdl_chunk) c = {task / groups, group * each, 0, 0};
    const int64_t at = c.sample * keys * groups + group;
    const REAL *k = s->k + at * d, *v = s->v + at * e;
    REAL *dk = s->dk + at * d, *dv = s->dv + at * e;
    REAL *packed_qt = work, *packed_q = packed_qt + FN(npdl_packed)(d, chunk);
    REAL *packed_ot = packed_q + FN(npdl_packed)(chunk, d), *packed_o = packed_ot + FN(npdl_packed)(e, chunk);
    REAL *packed_k = packed_o + FN(npdl_packed)(chunk, e), *p = packed_k + FN(npdl_packed)(keys, d);
    REAL *dp = p + keys * FN(npdl_attend_step);
    FN(npdl_walk) of_k, of_v, of_ds, of_dst, of_pt;
    FN(npdl_set_walk)(&of_k, keys, groups * d, 1, FN(npdl_attend_step));
    FN(npdl_set_walk)(&of_v, keys, groups * e, 1, FN(npdl_attend_step));
    FN(npdl_set_walk)(&of_ds, NPDL_ATTEND_ROWS, 1, FN(npdl_attend_step), heads * d);
    FN(npdl_set_walk)(&of_dst, keys, FN(npdl_attend_step), 1, groups * d);
    FN(npdl_set_walk)(&of_pt, keys, FN(npdl_attend_step), 1, groups * e);
    FN(npdl_pack_whole)(k, groups * d, 0, keys, d, packed_k);
    /* The first chunk of the first head writes dk and dv of the keys that it looks at; what follows adds. */
    for (int64_t j = s->queries ? FN(npdl_attend_limit)(s, npdl_min(chunk, s->queries)) : 0; j < keys; j++) {
        memset(dk + j * groups * d, 0, d * sizeof(REAL));
        memset(dv + j * groups * e, 0, e * sizeof(REAL));
    }
    for (; c.head < (group + 1) * each; c.head++)
        for (c.first = 0; c.first < s->queries; c.first += chunk) {
            const int64_t query = (c.sample * s->queries + c.first) * heads + c.head;
            const int add = c.first > 0 || c.head > group * each;
            c.count = npdl_min(chunk, s->queries - c.first);
            FN(npdl_pack_whole)(s->q + query * d, heads * d, 1, d, c.count, packed_qt);
            FN(npdl_pack_whole)(s->q + query * d, heads * d, 0, c.count, d, packed_q);
            FN(npdl_pack_whole)(s->dout + query * e, heads * e, 1, e, c.count, packed_ot);
            FN(npdl_pack_whole)(s->dout + query * e, heads * e, 0, c.count, e, packed_o);
            FN(npdl_attend_chunk)(s, &c, &of_k, k, packed_qt, p);
            FN(npdl_attend_scores)(s, &c, &of_v, v, packed_ot, e, dp); /* dP = v doutᵀ */
            FN(npdl_attend_drop)(s, &c, dp);
            #define NPDL_ATTEND_CALL(count, n) FN(npdl_attend_softmax_grad)(p + at, dp + at, limit, count, n, s->scale)
            NPDL_ATTEND_PANELS(&c) NPDL_ATTEND_VECTORS(NPDL_ATTEND_CALL)
            #undef NPDL_ATTEND_CALL
            FN(npdl_attend_drop)(s, &c, p);
            NPDL_ATTEND_PANELS(&c) {
                /* keys that the panels before did not see: no query of theirs is in the sum */
                const int64_t seen = from ? FN(npdl_attend_limit)(s, c.first + from) : 0;
                FN(npdl_times)(&of_ds, dp + from, to - from, packed_k, d, 0, limit, s->dq + (query + from * heads) * d,
                               0, d, 0);
                if (limit == seen) continue;
                FN(npdl_times)(&of_dst, dp + seen * FN(npdl_attend_step), limit - seen, packed_q, d, from, c.count,
                               dk + seen * groups * d, 0, d, add);
                FN(npdl_times)(&of_pt, p + seen * FN(npdl_attend_step), limit - seen, packed_o, e, from, c.count,
                               dv + seen * groups * e, 0, e, add);
            }
        }
}

/* ---- both */

NPDL_API void FN(npdl_attention)(FN(npdl_attend) *s, int grad) {
    if (s->keys && grad)
        npdl_parallel(FN(npdl_attend_grad_task), s, s->samples * s->groups, FN(npdl_attend_grad_bytes)(s));
    else if (s->keys)
        npdl_parallel(FN(npdl_attend_task), s, s->samples * s->heads, FN(npdl_attend_bytes)(s));
    else if (grad)
        memset(s->dq, 0, s->samples * s->queries * s->heads * s->size * sizeof(REAL));
    else
        memset(s->out, 0, s->samples * s->queries * s->heads * s->value_size * sizeof(REAL));
}
