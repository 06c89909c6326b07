/* Attention: softmax(scale q kᵀ) v of each sample and head, and its gradients. Formulas:
 * npdl/kernels/reference/attention.py.
 *
 * A task is a head of a sample; backward all heads that share keys, since they add to one dk and dv. It packs the keys
 * and values once and goes through the queries NPDL_ATTEND_ROWS at a time: their scores against all keys by the register
 * tile of the matrix product, the softmax of each row, and the product with the values. So no more of the probabilities
 * is ever there than those rows. Backward makes them again, which costs one product of five and saves keeping an array
 * of queries x keys for each head: T x T numbers where q, k and v have T x D. It keeps rows of probabilities and of
 * their gradients for NPDL_ATTEND_CHUNK queries, over which dk and dv are then summed.
 *
 * With `causal` a query sees the keys up to its own place. Blocks of rows lie at multiples of NPDL_ATTEND_ROWS, so what
 * lies above the diagonal is left out block by block, and is zeros inside a block.
 *
 * All sums run over keys or queries in their order, in blocks that the sizes of one sample set.
 */
#ifndef NPDL_ATTENTION_H
#define NPDL_ATTENTION_H

#define NPDL_ATTEND_ROWS 16  /* queries at a time; part of the bits */
#define NPDL_ATTEND_CHUNK 64 /* queries in a sum of dk and dv, a multiple of the rows; part of the bits */

/* What may be attended to: each NULL, or 0 where not. */
typedef struct { const uint8_t *query, *key, *pair; int causal; } npdl_attend_mask;

/* Dropout of probabilities, none where the threshold is 0. */
typedef struct { uint32_t threshold, step, key[2]; double scale; } npdl_attend_dropout;

#endif

typedef struct {
    const REAL *q, *k, *v, *dout;  /* (N, T, H, D), (N, S, G, D), (N, S, G, E), (N, T, H, E) */
    REAL *out, *dq, *dk, *dv;
    int64_t samples, queries, keys, heads, groups, size, value_size;
    REAL scale;
    npdl_attend_mask mask;
    npdl_attend_dropout dropout;
    int64_t step;  /* from row to row of probabilities */
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
typedef struct { npdl_row row[NPDL_ATTEND_ROWS]; int64_t place[NPDL_KB], along; } FN(npdl_walk);

/* Rows `down` apart whose numbers lie `along` apart, to rows `to` apart. */
static void FN(npdl_set_walk)(FN(npdl_walk) *w, int64_t down, int64_t along, int64_t to) {
    for (int i = 0; i < NPDL_ATTEND_ROWS; i++) w->row[i] = (npdl_row){i * down, i * to};
    for (int i = 0; i < NPDL_KB; i++) w->place[i] = i * along;
    w->along = along;
}

/* out (rows, n) (+)= Σ over [k0, k1) of a · b, the first n columns of packed b; n is all `columns` of b, or a multiple
 * of a panel's width. */
static void FN(npdl_times)(const FN(npdl_walk) *w, const REAL *a, int64_t rows, const REAL *b, int64_t columns,
                           int64_t k0, int64_t k1, REAL *out, int64_t n, int add) {
    const int64_t width = npdl_round_up(columns, NPDL_NW);
    for (int64_t k = k0, stop; k < k1; k = stop) {
        const REAL *block = b + k / NPDL_KB * NPDL_KB * width;
        stop = npdl_min(k1, (k / NPDL_KB + 1) * NPDL_KB);
        for (int64_t j = 0; j < n; j += NPDL_NW) {
            const int64_t wide = columns - j > VL ? NPDL_NW : VL;
            FN(npdl_tiles)(a + k * w->along, w->row, rows, w->place, stop - k,
                           block + j * NPDL_KB + k % NPDL_KB * wide, out + j, npdl_min(n - j, wide), add || k > k0,
                           NULL);
        }
    }
}

/* ---- rows of probabilities */

NPDL_INLINE void FN(npdl_attend_exps)(VEC *v, int count, VEC top, VEC scale) {
    EACH v[j] = (v[j] - top) * scale;
    FN(npdl_exps)(v, count);
}

/* x = softmax(scale x) of n numbers; zeros where all are −infinity. */
static void FN(npdl_attend_softmax)(REAL *x, int64_t n, REAL scale) {
    REAL top = FN(npdl_max)(x, n);
    if (top == -(REAL)INFINITY) top = 0;
    const VEC most = BC(top), factor = BC(scale);
    #define NPDL_ATTEND_EXPS(v, count) FN(npdl_attend_exps)(v, count, most, factor)
    NPDL_MAP_WIDE(x, x, n, NPDL_ATTEND_EXPS)
    #undef NPDL_ATTEND_EXPS
    const REAL total = FN(npdl_sum)(x, n);
    const VEC inverse = BC(total == 0 ? 0 : 1 / total);
    NPDL_MAP(x, x, n, v * inverse)
}

/* How many keys a block of rows that ends before `stop` looks at. */
NPDL_INLINE int64_t FN(npdl_attend_limit)(const FN(npdl_attend) *s, int64_t stop) {
    return s->mask.causal ? npdl_min(s->keys, stop) : s->keys;
}

/* Columns of whole panels for that many keys. */
NPDL_INLINE int64_t FN(npdl_attend_columns)(const FN(npdl_attend) *s, int64_t limit) {
    return npdl_min(s->keys, npdl_round_up(limit, NPDL_NW));
}

/* p (rows, limit) = the probabilities of queries first, first + 1, ... of a head. */
static void FN(npdl_attend_rows)(const FN(npdl_attend) *s, const FN(npdl_walk) *w, int64_t sample, int64_t head,
                                 int64_t first, int64_t rows, const REAL *packed_k, REAL *p) {
    const int64_t limit = FN(npdl_attend_limit)(s, first + rows);
    FN(npdl_times)(w, s->q + ((sample * s->queries + first) * s->heads + head) * s->size, rows, packed_k, s->keys, 0,
                   s->size, p, FN(npdl_attend_columns)(s, limit), 0);
    for (int64_t r = 0; r < rows; r++, p += s->step) {
        const int64_t t = sample * s->queries + first + r, n = FN(npdl_attend_limit)(s, first + r + 1);
        const uint8_t *key = s->mask.key ? s->mask.key + sample * s->keys : NULL;
        const uint8_t *pair = s->mask.pair ? s->mask.pair + t * s->keys : NULL;
        if (s->mask.query && !s->mask.query[t]) {
            memset(p, 0, limit * sizeof(REAL));
            continue;
        }
        if (key) for (int64_t j = 0; j < n; j++) p[j] = key[j] ? p[j] : -(REAL)INFINITY;
        if (pair) for (int64_t j = 0; j < n; j++) p[j] = pair[j] ? p[j] : -(REAL)INFINITY;
        FN(npdl_attend_softmax)(p, n, s->scale);
        for (int64_t j = n; j < limit; j++) p[j] = 0;
    }
}

/* x (rows, limit) times the mask of dropout, whose numbers count those of (head, query, key). */
static void FN(npdl_attend_drop)(const FN(npdl_attend) *s, int64_t sample, int64_t head, int64_t first, int64_t rows,
                                 int64_t limit, REAL *x) {
    uint32_t words[NPDL_PHILOX_WORDS];
    const int64_t start = (head * s->queries + first) * s->keys, stop = start + rows * s->keys;
    const REAL scale = (REAL)s->dropout.scale;
    if (!s->dropout.threshold) return;
    for (int64_t e = start / 4 * 4; e < stop; e += NPDL_PHILOX_WORDS) {
        npdl_philox(s->dropout.step, (uint32_t)sample, (uint32_t)(e / 4), s->dropout.key, words);
        const int64_t from = npdl_max(e, start) - start, to = npdl_min(e + NPDL_PHILOX_WORDS, stop) - start;
        for (int64_t r = from / s->keys; r * s->keys < to; r++) {
            const int64_t a = npdl_max(from - r * s->keys, 0), b = npdl_min(to - r * s->keys, limit);
            const int64_t place = start + r * s->keys - e;
            REAL *row = x + r * s->step;
            for (int64_t j = a; j < b; j++)
                row[j] = (words[place + j] >> 8) >= s->dropout.threshold ? row[j] * scale : 0;
        }
    }
}

/* ---- forward */

static size_t FN(npdl_attend_bytes)(const FN(npdl_attend) *s) {
    return (FN(npdl_packed)(s->size, s->keys) + FN(npdl_packed)(s->keys, s->value_size) + NPDL_ATTEND_ROWS * s->step) *
           sizeof(REAL);
}

static void FN(npdl_attend_task)(void *context, int64_t task, void *work) {
    const FN(npdl_attend) *s = context;
    const int64_t sample = task / s->heads, head = task % s->heads, group = head / (s->heads / s->groups);
    const int64_t at = sample * s->keys * s->groups + group, d = s->size, e = s->value_size;
    REAL *packed_k = work, *packed_v = packed_k + FN(npdl_packed)(d, s->keys), *p = packed_v;
    p += FN(npdl_packed)(s->keys, e);
    FN(npdl_walk) of_q, of_p;
    FN(npdl_set_walk)(&of_q, s->heads * d, 1, s->step);
    FN(npdl_set_walk)(&of_p, s->step, 1, s->heads * e);
    FN(npdl_pack_whole)(s->k + at * d, s->groups * d, 1, d, s->keys, packed_k);
    FN(npdl_pack_whole)(s->v + at * e, s->groups * e, 0, s->keys, e, packed_v);
    for (int64_t first = 0; first < s->queries; first += NPDL_ATTEND_ROWS) {
        const int64_t rows = npdl_min(NPDL_ATTEND_ROWS, s->queries - first);
        const int64_t limit = FN(npdl_attend_limit)(s, first + rows);
        FN(npdl_attend_rows)(s, &of_q, sample, head, first, rows, packed_k, p);
        FN(npdl_attend_drop)(s, sample, head, first, rows, limit, p);
        FN(npdl_times)(&of_p, p, rows, packed_v, e, 0, limit,
                       s->out + ((sample * s->queries + first) * s->heads + head) * e, e, 0);
    }
}

/* ---- backward */

static size_t FN(npdl_attend_grad_bytes)(const FN(npdl_attend) *s) {
    return (FN(npdl_packed)(s->size, s->keys) + FN(npdl_packed)(s->value_size, s->keys) +
            FN(npdl_packed)(s->keys, s->size) + FN(npdl_packed)(NPDL_ATTEND_CHUNK, s->size) +
            FN(npdl_packed)(NPDL_ATTEND_CHUNK, s->value_size) + 2 * NPDL_ATTEND_CHUNK * s->step) * sizeof(REAL);
}

/* Rows of dP, times the mask of dropout, to scale · P (dP − Σ P dP). */
static void FN(npdl_attend_softmax_grad)(const REAL *p, REAL *d, int64_t n, REAL scale) {
    const VEC dot = BC(FN(npdl_long_dot)(p, d, n)), factor = BC(scale);
    NPDL_MAP2(d, p, d, n, (v - dot) * w * factor)
}

static void FN(npdl_attend_grad_task)(void *context, int64_t task, void *work) {
    const FN(npdl_attend) *s = context;
    const int64_t sample = task / s->groups, group = task % s->groups, each = s->heads / s->groups;
    const int64_t keys = s->keys, d = s->size, e = s->value_size, at = sample * keys * s->groups + group;
    REAL *packed_kt = work, *packed_vt = packed_kt + FN(npdl_packed)(d, keys);
    REAL *packed_k = packed_vt + FN(npdl_packed)(e, keys), *packed_q = packed_k + FN(npdl_packed)(keys, d);
    REAL *packed_dout = packed_q + FN(npdl_packed)(NPDL_ATTEND_CHUNK, d);
    REAL *p = packed_dout + FN(npdl_packed)(NPDL_ATTEND_CHUNK, e), *dp = p + NPDL_ATTEND_CHUNK * s->step;
    REAL *dk = s->dk + at * d, *dv = s->dv + at * e;
    FN(npdl_walk) of_q, of_dout, of_ds, of_dst, of_pt;
    FN(npdl_set_walk)(&of_q, s->heads * d, 1, s->step);
    FN(npdl_set_walk)(&of_dout, s->heads * e, 1, s->step);
    FN(npdl_set_walk)(&of_ds, s->step, 1, s->heads * d);
    FN(npdl_set_walk)(&of_dst, 1, s->step, s->groups * d);
    FN(npdl_set_walk)(&of_pt, 1, s->step, s->groups * e);
    FN(npdl_pack_whole)(s->k + at * d, s->groups * d, 1, d, keys, packed_kt);
    FN(npdl_pack_whole)(s->v + at * e, s->groups * e, 1, e, keys, packed_vt);
    FN(npdl_pack_whole)(s->k + at * d, s->groups * d, 0, keys, d, packed_k);
    for (int64_t j = 0; j < keys; j++) {
        memset(dk + j * s->groups * d, 0, d * sizeof(REAL));
        memset(dv + j * s->groups * e, 0, e * sizeof(REAL));
    }
    for (int64_t head = group * each; head < (group + 1) * each; head++)
        for (int64_t chunk = 0; chunk < s->queries; chunk += NPDL_ATTEND_CHUNK) {
            const int64_t stop = npdl_min(s->queries, chunk + NPDL_ATTEND_CHUNK);
            const int64_t query = (sample * s->queries + chunk) * s->heads + head;
            FN(npdl_pack_whole)(s->q + query * d, s->heads * d, 0, stop - chunk, d, packed_q);
            FN(npdl_pack_whole)(s->dout + query * e, s->heads * e, 0, stop - chunk, e, packed_dout);
            for (int64_t first = chunk; first < stop; first += NPDL_ATTEND_ROWS) {
                const int64_t rows = npdl_min(NPDL_ATTEND_ROWS, stop - first);
                const int64_t limit = FN(npdl_attend_limit)(s, first + rows), down = first - chunk;
                const int64_t row = query + down * s->heads;
                REAL *ps = p + down * s->step, *ds = dp + down * s->step;
                FN(npdl_attend_rows)(s, &of_q, sample, head, first, rows, packed_kt, ps);
                FN(npdl_times)(&of_dout, s->dout + row * e, rows, packed_vt, keys, 0, e, ds,
                               FN(npdl_attend_columns)(s, limit), 0);
                FN(npdl_attend_drop)(s, sample, head, first, rows, limit, ds);
                for (int64_t r = 0; r < rows; r++)
                    FN(npdl_attend_softmax_grad)(ps + r * s->step, ds + r * s->step, limit, s->scale);
                FN(npdl_attend_drop)(s, sample, head, first, rows, limit, ps);
                FN(npdl_times)(&of_ds, ds, rows, packed_k, d, 0, limit, s->dq + row * d, d, 0);
            }
            const int64_t limit = FN(npdl_attend_limit)(s, stop);
            for (int64_t j = 0; j < limit; j += NPDL_ATTEND_ROWS) { /* keys; no query before them sees them */
                const int64_t rows = npdl_min(NPDL_ATTEND_ROWS, limit - j);
                const int64_t from = s->mask.causal && j > chunk ? j - chunk : 0;
                FN(npdl_times)(&of_dst, dp + j, rows, packed_q, d, from, stop - chunk, dk + j * s->groups * d, d, 1);
                FN(npdl_times)(&of_pt, p + j, rows, packed_dout, e, from, stop - chunk, dv + j * s->groups * e, e, 1);
            }
        }
}

/* ---- both */

static void FN(npdl_attention)(FN(npdl_attend) *s, int grad) {
    s->step = npdl_round_up(s->keys, NPDL_LANES) + NPDL_LANES;
    if (s->keys && grad)
        npdl_parallel(FN(npdl_attend_grad_task), s, s->samples * s->groups, FN(npdl_attend_grad_bytes)(s));
    else if (s->keys)
        npdl_parallel(FN(npdl_attend_task), s, s->samples * s->heads, FN(npdl_attend_bytes)(s));
    else if (grad)
        memset(s->dq, 0, s->samples * s->queries * s->heads * s->size * sizeof(REAL));
    else
        memset(s->out, 0, s->samples * s->queries * s->heads * s->value_size * sizeof(REAL));
}
