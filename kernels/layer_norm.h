/* Normalization of rows: layer, root mean square and unit normalization. Formulas: npdl/kernels/reference/layer_norm.py.
 *
 * A row's sums run in pieces of NPDL_PIECE numbers, element i of a piece in lane i mod 16, in order; the lanes are added
 * in halves, the pieces in double precision. So a row is made in an order that its length alone sets. Some rows are
 * worked through side by side, since a sum in one vector waits for its own additions; each keeps to its own order.
 *
 * Sums over rows, for γ and β, run over at most NPDL_ROW_BLOCKS blocks of rows, which are added in double precision.
 */
#ifndef NPDL_LAYER_NORM_H
#define NPDL_LAYER_NORM_H

enum { NPDL_LAYER_NORM, NPDL_RMS_NORM, NPDL_UNIT_NORM };

#define NPDL_UNIT_LEAST 1e-12                    /* no smaller Σ x² is divided by, as in Keras */
#define NPDL_ROW_SET (NPDL_VECTOR_BYTES / 16)    /* rows side by side, */
#define NPDL_ROW_SET_BYTES 16384                 /* which stay in the first cache */
#define NPDL_ROW_BLOCKS 64

#endif

enum { FN(npdl_row_vectors) = NPDL_LANES * sizeof(REAL) / NPDL_VECTOR_BYTES };

static const INT FN(npdl_ones_and_zeros)[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

typedef struct {
    const REAL *x, *dy, *gamma, *beta, *known_mean, *known_inverse;
    const REAL *add; /* to the gradient, or NULL */
    REAL *out, *mean, *inverse, *partial; /* partial: a block's sums for γ and for β, NULL where nobody reads them */
    double epsilon;
    int64_t rows, features, block;
} FN(npdl_row_norm_work);

/* v in the first n lanes, 0 in the others */
NPDL_INLINE VEC FN(npdl_keep_lanes)(VEC v, int64_t n) {
    return (VEC)((IVEC)v & *(const IVEC *)(FN(npdl_ones_and_zeros) + 16 - n));
}

NPDL_INLINE REAL FN(npdl_add_lanes)(const VEC *sum) {
    REAL lane[NPDL_LANES];
    for (int j = 0; j < FN(npdl_row_vectors); j++) ST(lane + j * VL, sum[j]);
    return FN(npdl_add_halves)(lane);
}

/* The last argument for each vector of the places [start, stop): `at` its first one, n its lanes, j the place of its lanes among 16. */
#define NPDL_ROW_VECTORS(start, stop, ...) \
    { \
        int64_t i = start; \
        for (; i + NPDL_LANES <= (stop); i += NPDL_LANES) \
            _Pragma("GCC unroll 8") \
            for (int j = 0; j < FN(npdl_row_vectors); j++) { const int64_t at = i + j * VL, n = VL; __VA_ARGS__ } \
        _Pragma("GCC unroll 8") \
        for (int j = 0; j < FN(npdl_row_vectors); j++) \
            if (i + j * VL < (stop)) { const int64_t at = i + j * VL, n = NPDL_LESS(VL, (stop) - at); __VA_ARGS__ } \
    }
#define NPDL_EACH_ROW _Pragma("GCC unroll 4") for (int r = 0; r < set; r++)
#define NPDL_GET(p) (n == VL ? LD(p) : LDN(p, n))
#define NPDL_PUT(p, v) do { if (n == VL) ST(p, v); else STN(p, v, n); } while (0)

/* ---- forward: `set` rows from `row` on; kind and set are constants where this is called */

NPDL_INLINE void FN(npdl_normalize_rows)(const FN(npdl_row_norm_work) *s, int64_t row, int kind, int set) {
    enum { vectors = FN(npdl_row_vectors) };
    const int64_t d = s->features;
    const REAL *x = s->x + row * d;
    REAL *out = s->out + row * d;
    double total[NPDL_ROW_SET], square[NPDL_ROW_SET];
    VEC mean[NPDL_ROW_SET], inverse[NPDL_ROW_SET];
    REAL about[NPDL_ROW_SET];
    NPDL_EACH_ROW total[r] = square[r] = 0, about[r] = 0;
    if (kind == NPDL_LAYER_NORM) {
        for (int64_t piece = 0; piece < d; piece += NPDL_PIECE) {
            VEC sum[NPDL_ROW_SET * vectors];
            for (int j = 0; j < set * vectors; j++) sum[j] = BC(0);
            NPDL_ROW_VECTORS(piece, NPDL_LESS(d, piece + NPDL_PIECE), {
                NPDL_EACH_ROW sum[r * vectors + j] = sum[r * vectors + j] + NPDL_GET(x + r * d + at);
            })
            NPDL_EACH_ROW total[r] += FN(npdl_add_lanes)(sum + r * vectors);
        }
        NPDL_EACH_ROW about[r] = (REAL)(total[r] / d), total[r] = 0;
    }
    /* The squares are taken about a rounded mean; the sum of the differences says by how much it is off. */
    NPDL_EACH_ROW mean[r] = BC(about[r]);
    for (int64_t piece = 0; piece < d; piece += NPDL_PIECE) {
        VEC sum[NPDL_ROW_SET * vectors], squares[NPDL_ROW_SET * vectors];
        for (int j = 0; j < set * vectors; j++) sum[j] = squares[j] = BC(0);
        NPDL_ROW_VECTORS(piece, NPDL_LESS(d, piece + NPDL_PIECE), {
            NPDL_EACH_ROW {
                VEC v = NPDL_GET(x + r * d + at);
                if (n == VL) __builtin_prefetch(x + (set + r) * d + at), __builtin_prefetch(out + r * d + at, 1);
                if (kind == NPDL_LAYER_NORM) {
                    v = v - mean[r];
                    if (n < VL) v = FN(npdl_keep_lanes)(v, n);
                    sum[r * vectors + j] = sum[r * vectors + j] + v;
                }
                squares[r * vectors + j] = FMA(v, v, squares[r * vectors + j]);
            }
        })
        if (kind == NPDL_LAYER_NORM) NPDL_EACH_ROW total[r] += FN(npdl_add_lanes)(sum + r * vectors);
        NPDL_EACH_ROW square[r] += FN(npdl_add_lanes)(squares + r * vectors);
    }
    NPDL_EACH_ROW {
        double off = total[r] / d, q = square[r] - off * total[r];
        q = kind == NPDL_UNIT_NORM ? (q < NPDL_UNIT_LEAST ? NPDL_UNIT_LEAST : q) : (q < 0 ? 0 : q) / d + s->epsilon;
        const REAL m = (REAL)(about[r] + off), f = (REAL)(1 / sqrt(q));
        if (s->mean) s->mean[row + r] = m;
        if (s->inverse) s->inverse[row + r] = f;
        mean[r] = BC(m), inverse[r] = BC(f);
    }
    NPDL_ROW_VECTORS(0, d, {
        VEC gamma = kind == NPDL_UNIT_NORM ? BC(1) : NPDL_GET(s->gamma + at), beta = BC(0);
        if (kind == NPDL_LAYER_NORM) beta = NPDL_GET(s->beta + at);
        NPDL_EACH_ROW {
            VEC v = NPDL_GET(x + r * d + at);
            if (kind == NPDL_LAYER_NORM) v = FMA((v - mean[r]) * inverse[r], gamma, beta);
            else if (kind == NPDL_RMS_NORM) v = v * inverse[r] * gamma;
            else v = v * inverse[r];
            NPDL_PUT(out + r * d + at, v);
        }
    })
}

/* ---- backward: g = γ dy,  dx = (g − Σ g / D − x̂ Σ g x̂ / D) / σ + add,  or without the first sum */

NPDL_INLINE void FN(npdl_normalize_rows_grad)(const FN(npdl_row_norm_work) *s, int64_t row, REAL *dgamma, int kind,
                                              int set) {
    enum { vectors = FN(npdl_row_vectors) };
    const int64_t d = s->features;
    const REAL *x = s->x + row * d, *dy = s->dy + row * d;
    REAL *out = s->out ? s->out + row * d : NULL;
    const REAL *add = s->add ? s->add + row * d : NULL;
    double plain[NPDL_ROW_SET], product[NPDL_ROW_SET];
    VEC mean[NPDL_ROW_SET], inverse[NPDL_ROW_SET], slope[NPDL_ROW_SET], offset[NPDL_ROW_SET];
    NPDL_EACH_ROW {
        plain[r] = product[r] = 0;
        mean[r] = BC(kind == NPDL_LAYER_NORM ? s->known_mean[row + r] : 0), inverse[r] = BC(s->known_inverse[row + r]);
    }
    for (int64_t piece = 0; piece < d; piece += NPDL_PIECE) {
        VEC sum[NPDL_ROW_SET * vectors], products[NPDL_ROW_SET * vectors];
        for (int j = 0; j < set * vectors; j++) sum[j] = products[j] = BC(0);
        NPDL_ROW_VECTORS(piece, NPDL_LESS(d, piece + NPDL_PIECE), {
            VEC gamma = kind == NPDL_UNIT_NORM ? BC(1) : NPDL_GET(s->gamma + at), a = BC(0), b = BC(0);
            if (dgamma) a = NPDL_GET(dgamma + at);
            if (dgamma && kind == NPDL_LAYER_NORM) b = NPDL_GET(dgamma + d + at);
            NPDL_EACH_ROW {
                VEC g = NPDL_GET(dy + r * d + at), v = NPDL_GET(x + r * d + at);
                if (n == VL && out) __builtin_prefetch(out + r * d + at, 1);
                if (kind == NPDL_LAYER_NORM) v = v - mean[r];
                v = v * inverse[r];
                if (dgamma) a = FMA(g, v, a);
                if (dgamma && kind == NPDL_LAYER_NORM) b = b + g;
                if (kind != NPDL_UNIT_NORM) g = g * gamma;
                if (kind == NPDL_LAYER_NORM) sum[r * vectors + j] = sum[r * vectors + j] + g;
                products[r * vectors + j] = FMA(g, v, products[r * vectors + j]); /* g is 0 beyond n lanes */
            }
            if (dgamma) NPDL_PUT(dgamma + at, a);
            if (dgamma && kind == NPDL_LAYER_NORM) NPDL_PUT(dgamma + d + at, b);
        })
        if (kind == NPDL_LAYER_NORM) NPDL_EACH_ROW plain[r] += FN(npdl_add_lanes)(sum + r * vectors);
        NPDL_EACH_ROW product[r] += FN(npdl_add_lanes)(products + r * vectors);
    }
    if (!out) return;
    NPDL_EACH_ROW {
        const double f = s->known_inverse[row + r], share = kind == NPDL_UNIT_NORM ? 1 : 1 / (double)d;
        const int constant = kind == NPDL_UNIT_NORM && f >= (REAL)(1 / sqrt(NPDL_UNIT_LEAST));
        slope[r] = BC(constant ? 0 : (REAL)(-f * product[r] * share)), offset[r] = BC((REAL)(-f * plain[r] * share));
    }
    NPDL_ROW_VECTORS(0, d, {
        VEC gamma = kind == NPDL_UNIT_NORM ? BC(1) : NPDL_GET(s->gamma + at);
        NPDL_EACH_ROW {
            VEC g = NPDL_GET(dy + r * d + at), v = NPDL_GET(x + r * d + at);
            if (n == VL) __builtin_prefetch(x + (set + r) * d + at), __builtin_prefetch(dy + (set + r) * d + at);
            if (kind == NPDL_LAYER_NORM) v = v - mean[r];
            if (kind != NPDL_UNIT_NORM) g = g * gamma;
            v = FMA(v * inverse[r], slope[r], offset[r]);
            v = FMA(g, inverse[r], v);
            if (add) v = v + NPDL_GET(add + r * d + at);
            NPDL_PUT(out + r * d + at, v);
        }
    })
}

#undef NPDL_ROW_VECTORS
#undef NPDL_EACH_ROW
#undef NPDL_GET
#undef NPDL_PUT

/* ---- blocks of rows */

#define NPDL_ROW_KIND(kind, grad) \
    static void FN(npdl_row_norm_block##kind##grad)(void *context, int64_t block, void *work) { \
        const FN(npdl_row_norm_work) *s = context; \
        int64_t r = block * s->block, stop = NPDL_LESS(s->rows, r + s->block); \
        REAL *sums = s->partial ? s->partial + block * 2 * s->features : NULL; \
        (void)work; \
        if (sums) memset(sums, 0, 2 * s->features * sizeof(REAL)); \
        if (NPDL_ROW_SET * s->features * sizeof(REAL) <= NPDL_ROW_SET_BYTES) \
            for (; r + NPDL_ROW_SET <= stop; r += NPDL_ROW_SET) NPDL_ROW_CALL##grad(kind, NPDL_ROW_SET) \
        for (; r < stop; r++) NPDL_ROW_CALL##grad(kind, 1) \
    }
#define NPDL_ROW_CALL0(kind, set) FN(npdl_normalize_rows)(s, r, kind, set);
#define NPDL_ROW_CALL1(kind, set) \
    { if (sums) FN(npdl_normalize_rows_grad)(s, r, sums, kind, set); \
      else FN(npdl_normalize_rows_grad)(s, r, NULL, kind, set); }
NPDL_ROW_KIND(0, 0)
NPDL_ROW_KIND(1, 0)
NPDL_ROW_KIND(2, 0)
NPDL_ROW_KIND(0, 1)
NPDL_ROW_KIND(1, 1)
NPDL_ROW_KIND(2, 1)
#undef NPDL_ROW_KIND
#undef NPDL_ROW_CALL0
#undef NPDL_ROW_CALL1

/* γ, β: NULL for 1 and 0. mean, inverse: of each row, 1/σ; NULL where nobody reads them. */
NPDL_API void FN(npdl_row_norm)(int kind, const REAL *x, const REAL *gamma, const REAL *beta, double epsilon, REAL *out,
                              REAL *mean, REAL *inverse, int64_t rows, int64_t features) {
    FN(npdl_row_norm_work) s = {.x = x, .gamma = gamma, .beta = beta, .out = out, .mean = mean,
                                .inverse = inverse, .epsilon = epsilon, .rows = rows, .features = features,
                                .block = NPDL_MORE(NPDL_GRAIN / features, 1)};
    static const npdl_block blocks[] = {FN(npdl_row_norm_block00), FN(npdl_row_norm_block10), FN(npdl_row_norm_block20)};
    if (!gamma || !beta) {
        REAL *fill = npdl_shared(2 * features * sizeof(REAL));
        if (!fill) return;
        for (int64_t c = 0; c < features; c++) fill[c] = 1, fill[features + c] = 0;
        s.gamma = gamma ? gamma : fill;
        s.beta = beta ? beta : fill + features;
    }
    npdl_parallel(blocks[kind], &s, NPDL_BLOCKS(rows, s.block), 0);
}

/* dx, dgamma, dbeta: NULL where nobody reads them; add: what is added to dx, or NULL. */
NPDL_API void FN(npdl_row_norm_grad)(int kind, const REAL *dy, const REAL *x, const REAL *mean, const REAL *inverse,
                                   const REAL *gamma, const REAL *add, REAL *dx, REAL *dgamma, REAL *dbeta,
                                   int64_t rows, int64_t features) {
    const int64_t d = features, most = NPDL_LESS(NPDL_ROW_BLOCKS, NPDL_BLOCKS(rows, 4));
    const int64_t wanted = NPDL_MORE(NPDL_LESS(rows * d / NPDL_GRAIN, most), 1);
    const int64_t block = NPDL_MORE(NPDL_BLOCKS(rows, wanted), 1), blocks = NPDL_BLOCKS(rows, block);
    static const npdl_block grads[] = {FN(npdl_row_norm_block01), FN(npdl_row_norm_block11), FN(npdl_row_norm_block21)};
    FN(npdl_row_norm_work) s = {.x = x, .dy = dy, .gamma = gamma, .known_mean = mean,
                                .known_inverse = inverse, .add = add, .out = dx, .rows = rows, .features = d, .block = block};
    const int sums = dgamma || dbeta;
    if (!gamma || sums) {
        REAL *memory = npdl_shared((1 + (sums ? 2 * blocks : 0)) * d * sizeof(REAL));
        if (!memory) return;
        for (int64_t c = 0; c < d; c++) memory[c] = 1;
        s.gamma = gamma ? gamma : memory;
        s.partial = sums ? memory + d : NULL;
    }
    npdl_parallel(grads[kind], &s, blocks, 0);
    for (int64_t c = 0; sums && c < d; c++) {
        double a = 0, b = 0;
        for (int64_t k = 0; k < blocks; k++) a += s.partial[2 * k * d + c], b += s.partial[(2 * k + 1) * d + c];
        if (dgamma) dgamma[c] = (REAL)a;
        if (dbeta) dbeta[c] = (REAL)b;
    }
}
