/* Losses of rows: one number from all of a row's elements. Formulas: npdl/kernels/reference/row_loss.py, pair_loss.py.
 *
 * A function of a row gives its loss and, where dy is not NULL, writes factor times its gradient. Sums run in the 16
 * lanes of elementary.h, so the row alone sets their order; rows of a sample are added in double precision. A block is a
 * number of samples; `work` is two rows.
 */
#ifndef NPDL_ROW_LOSS_H
#define NPDL_ROW_LOSS_H

enum {
    NPDL_COSINE, NPDL_CATEGORICAL_HINGE, NPDL_MULTI_MARGIN, NPDL_WEIGHTED_BINARY, NPDL_FOCAL_LOGITS, NPDL_FOCAL,
    NPDL_TVERSKY, NPDL_MULTI_LABEL_MARGIN
};
#define NPDL_ROOT(x) ((REAL)sqrt((double)(x)))

enum { NPDL_MARGIN_RANKING, NPDL_GAUSSIAN, NPDL_COSINE_EMBEDDING, NPDL_CONTRASTIVE };

#endif

/* Σ a b / (‖a‖ ‖b‖) as Keras takes it, ‖a‖² at least 1e-12, and the inverse norm of b; 0 norm: no slope of its own */
static REAL FN(npdl_cosine_row)(const REAL *t, const REAL *p, int64_t n, REAL *dy, REAL factor) {
    const REAL least = (REAL)1e-12, tt = FN(npdl_long_dot)(t, t, n), pp = FN(npdl_long_dot)(p, p, n);
    const REAL it = 1 / NPDL_ROOT(tt < least ? least : tt), ip = 1 / NPDL_ROOT(pp < least ? least : pp);
    const REAL cosine = FN(npdl_long_dot)(t, p, n) * it * ip;
    if (dy) {
        const VEC a = BC(-factor * ip * it), b = BC(pp < least ? 0 : factor * ip * (cosine * ip));
        NPDL_MAP2(t, p, dy, n, a * v + b * w)
    }
    return -cosine;
}

static REAL FN(npdl_categorical_hinge_row)(const REAL *t, const REAL *p, int64_t n, REAL *work, REAL *dy, REAL factor) {
    NPDL_MAP2(t, p, work, n, (BC(1) - v) * w)
    int64_t place = 0;
    for (int64_t i = 1; i < n; i++)
        if (work[i] > work[place]) place = i;
    const REAL most = work[place], right = FN(npdl_long_dot)(t, p, n), gap = most - right + 1;
    if (dy) {
        const VEC f = BC(gap > 0 ? -factor : gap * 0);  /* NaN stays */
        NPDL_MAP(t, dy, n, v * f)
        if (gap > 0) dy[place] += (1 - t[place]) * factor;
    }
    return gap < 0 ? 0 : gap;
}

/* Σ over labels j, t of each, and over others i, those with t = 0, of max(1 − p_j + p_i, 0) / n */
static REAL FN(npdl_multi_label_margin_row)(const REAL *t, const REAL *p, int64_t n, REAL *work, REAL *dy, REAL factor) {
    REAL *others = work, *gaps = work + n, total = 0;
    NPDL_MAP2(t, p, others, n, SELECT(v == BC(0), w, BC((REAL)-INFINITY)))
    if (dy) memset(dy, 0, n * sizeof(REAL));
    for (int64_t j = 0; j < n; j++) {
        if (t[j] == 0) continue;
        const VEC shift = BC(1 - p[j]), f = BC(t[j] * factor / (REAL)n);
        NPDL_MAP(others, gaps, n, FN(npdl_positive)(v + shift))
        total += t[j] * FN(npdl_sum)(gaps, n);
        if (!dy) continue;
        NPDL_MAP(gaps, gaps, n, SELECT(v > BC(0), f, v * BC(0)))
        NPDL_MAP2(dy, gaps, dy, n, v + w)
        dy[j] -= FN(npdl_sum)(gaps, n);
    }
    return total / (REAL)n;
}

/* t one-hot; c: the power, 1 or 2, and the margin; weights of the classes or NULL */
static REAL FN(npdl_multi_margin_row)(const REAL *t, const REAL *p, int64_t n, const double *c, const REAL *weights,
                                      REAL *work, REAL *dy, REAL factor) {
    int64_t label = 0;
    while (label + 1 < n && t[label] == 0) label++;
    const REAL each = (weights ? weights[label] : 1) / (REAL)n;
    const VEC shift = BC((REAL)c[1] - p[label]);
    NPDL_MAP(p, work, n, FN(npdl_positive)(v + shift))
    work[label] = 0;
    const int square = c[0] == 2;
    const REAL sum = square ? FN(npdl_long_dot)(work, work, n) : FN(npdl_sum)(work, n);
    if (dy) {
        const VEC f = BC((square ? 2 : 1) * each * factor);
        if (square) NPDL_MAP(work, dy, n, v * f)
        else NPDL_MAP(work, dy, n, SELECT(v > BC(0), f, v * BC(0)))
        dy[label] = -FN(npdl_sum)(dy, n);
    }
    return sum * each;
}

/* Of logits, a mean: weights[0] t softplus(−z) + weights[1] (1 − t) softplus(z) */
static REAL FN(npdl_weighted_binary_row)(const REAL *t, const REAL *z, int64_t n, const REAL *weights, REAL *work,
                                         REAL *dy, REAL factor) {
    const REAL *yes = weights, *no = weights + n;
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = NPDL_LESS(n - i, VL);
        const VEC a = LDN(yes + i, m), b = LDN(no + i, m), v = LDN(t + i, m), w = LDN(z + i, m);
        const VEC one = a * v, other = b * (BC(1) - v);
        STN(work + i, one * FN(npdl_softplus)(-w) + other * FN(npdl_softplus)(w), m);
        if (dy) STN(dy + i, (other * FN(npdl_sigmoid)(w) - one * FN(npdl_sigmoid)(-w)) * BC(factor / (REAL)n), m);
    }
    return FN(npdl_sum)(work, n) / (REAL)n;
}

/* q = 1 − p, its power γ and that of γ − 1 times p: one place for both focal rows */
NPDL_INLINE VEC FN(npdl_lower)(VEC power, VEC q) { return SELECT(q == BC(0), BC(0), power / q); }

/* a t' qᵞ (−ln p) and, times p, its slope by p */
static void FN(npdl_focal_terms)(const REAL *t, const REAL *alpha, REAL *p, REAL *logs, int64_t n, const double *c) {
    const VEC gamma = BC((REAL)c[0]), keep = BC((REAL)(1 - c[1])), add = BC((REAL)(c[1] / n));
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = NPDL_LESS(n - i, VL);
        const VEC y = LDN(p + i, m), log = LDN(logs + i, m), q = BC(1) - y;
        const VEC a = LDN(alpha + i, m) * FMA(LDN(t + i, m), keep, add), power = FN(npdl_power)(q, gamma);
        STN(p + i, -(a * power * log), m);
        STN(logs + i, a * (gamma * (FN(npdl_lower)(power, q) * y * log) - power), m);
    }
}

static REAL FN(npdl_focal_logits_row)(const REAL *t, const REAL *z, int64_t n, const double *c, const REAL *alpha,
                                      REAL *work, REAL *dy, REAL factor) {
    REAL *p = work, *logs = work + n, top, sum;
    const VEC most = BC(top = FN(npdl_max)(z, n));
    NPDL_MAP(z, logs, n, v - most)
    NPDL_MAP(logs, p, n, FN(npdl_exp)(v))
    sum = FN(npdl_sum)(p, n);
    const VEC total = BC(sum), log_total = FN(npdl_log)(total);
    NPDL_MAP(logs, logs, n, v - log_total)
    NPDL_MAP(p, p, n, v / total)
    if (dy) NPDL_MAP(p, dy, n, v)
    FN(npdl_focal_terms)(t, alpha, p, logs, n, c);
    if (dy) {
        const VEC h = BC(FN(npdl_sum)(logs, n)), f = BC(factor);
        NPDL_MAP2(logs, dy, dy, n, (v - w * h) * f)
    }
    return FN(npdl_sum)(p, n);
}

static REAL FN(npdl_focal_row)(const REAL *t, const REAL *y, int64_t n, const double *c, const REAL *alpha, REAL *work,
                               REAL *dy, REAL factor) {
    REAL *p = work, *logs = work + n;
    const VEC total = BC(FN(npdl_sum)(y, n));
    NPDL_MAP(y, p, n, FN(npdl_clip)(v / total))
    NPDL_MAP(p, logs, n, FN(npdl_log)(v))
    FN(npdl_focal_terms)(t, alpha, p, logs, n, c);
    if (dy) {  /* g = slope by p, 0 where it is clipped; dy = (g − Σ g p) / total */
        const VEC f = BC(factor) / total;
        NPDL_MAP2(logs, y, dy, n, FN(npdl_where_clipped)(w / total, BC(0), v / FN(npdl_clip)(w / total)))
        NPDL_MAP(y, logs, n, v / total)
        const VEC dot = BC(FN(npdl_long_dot)(dy, logs, n));
        NPDL_MAP(dy, dy, n, (v - dot) * f)
    }
    return FN(npdl_sum)(p, n);
}

/* c: α, β, ε */
static REAL FN(npdl_tversky_row)(const REAL *t, const REAL *p, int64_t n, const double *c, REAL *dy, REAL factor) {
    const REAL alpha = (REAL)c[0], beta = (REAL)c[1], epsilon = (REAL)c[2];
    const REAL both = FN(npdl_long_dot)(t, p, n), more = FN(npdl_sum)(p, n) - both, less = FN(npdl_sum)(t, n) - both;
    const REAL top = both + epsilon, bottom = both + alpha * more + beta * less + epsilon;
    if (dy) {
        const VEC one = BC(1 / bottom), ratio = BC(top / bottom), a = BC(alpha), rest = BC(1 - alpha - beta);
        const VEC f = BC(-factor);
        NPDL_MAP(t, dy, n, (v - ratio * (a + rest * v)) * one * f)
    }
    return 1 - top / bottom;
}

typedef struct {
    int kind;
    const double *c;
    const REAL *t, *p, *weights, *scale;
    REAL *out, *dy;  /* either may be NULL; dy needs the scale */
    int64_t samples, positions, n, block;
} FN(npdl_row_loss_work);

static REAL FN(npdl_row_of)(const FN(npdl_row_loss_work) *s, int64_t row, REAL *work, REAL *dy, REAL factor) {
    const int64_t n = s->n;
    const REAL *t = s->t + row * n, *p = s->p + row * n;
    switch (s->kind) {
    case NPDL_COSINE: return FN(npdl_cosine_row)(t, p, n, dy, factor);
    case NPDL_CATEGORICAL_HINGE: return FN(npdl_categorical_hinge_row)(t, p, n, work, dy, factor);
    case NPDL_MULTI_MARGIN: return FN(npdl_multi_margin_row)(t, p, n, s->c, s->weights, work, dy, factor);
    case NPDL_WEIGHTED_BINARY: return FN(npdl_weighted_binary_row)(t, p, n, s->weights, work, dy, factor);
    case NPDL_FOCAL_LOGITS: return FN(npdl_focal_logits_row)(t, p, n, s->c, s->weights, work, dy, factor);
    case NPDL_FOCAL: return FN(npdl_focal_row)(t, p, n, s->c, s->weights, work, dy, factor);
    case NPDL_MULTI_LABEL_MARGIN: return FN(npdl_multi_label_margin_row)(t, p, n, work, dy, factor);
    default: return FN(npdl_tversky_row)(t, p, n, s->c, dy, factor);
    }
}

static void FN(npdl_row_loss_block)(void *context, int64_t block, void *work) {
    const FN(npdl_row_loss_work) *s = context;
    const int64_t last = NPDL_LESS(s->samples, (block + 1) * s->block);
    for (int64_t i = block * s->block; i < last; i++) {
        const REAL scale = s->dy ? s->scale[i] : 0;
        REAL *dy = scale == 0 ? NULL : s->dy + i * s->positions * s->n;
        double total = 0;
        if (s->dy && !dy) memset(s->dy + i * s->positions * s->n, 0, s->positions * s->n * sizeof(REAL));
        if (!dy && !s->out) continue;
        for (int64_t j = 0; j < s->positions; j++)
            total += FN(npdl_row_of)(s, i * s->positions + j, work, dy ? dy + j * s->n : NULL, scale / (REAL)s->positions);
        if (s->out) s->out[i] = (REAL)(total / s->positions);
    }
}

NPDL_API void FN(npdl_row_loss)(int kind, const double *c, const REAL *t, const REAL *p, const REAL *weights,
                                const REAL *scale, REAL *out, REAL *dy, int64_t samples, int64_t positions, int64_t n) {
    FN(npdl_row_loss_work) s = {kind, c, t, p, weights, scale, out, dy, samples, positions, n,
                                NPDL_MORE(NPDL_GRAIN / (positions * n), 1)};
    npdl_parallel(FN(npdl_row_loss_block), &s, NPDL_BLOCKS(samples, s.block), 2 * n * sizeof(REAL));
}

/* ---- losses of two outputs a and b, rows of n numbers; t: one number a row, or a row for the first two kinds */

static REAL FN(npdl_margin_ranking_row)(const REAL *t, const REAL *a, const REAL *b, int64_t n, const double *c,
                                        REAL *work, REAL *da, REAL *db, REAL factor) {
    const VEC margin = BC((REAL)c[0]), f = BC(factor / (REAL)n);
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = NPDL_LESS(n - i, VL);
        const VEC y = LDN(t + i, m), gap = FN(npdl_positive)(margin - y * (LDN(a + i, m) - LDN(b + i, m)));
        const VEC slope = SELECT(gap > BC(0), y * f, gap);
        STN(work + i, gap, m);
        if (da) STN(da + i, -slope, m), STN(db + i, slope, m);
    }
    return FN(npdl_sum)(work, n) / (REAL)n;
}

/* a: means, b: variances, at least c[0]; c[1]: a constant */
static REAL FN(npdl_gaussian_row)(const REAL *t, const REAL *a, const REAL *b, int64_t n, const double *c, REAL *work,
                                  REAL *da, REAL *db, REAL factor) {
    const VEC least = BC((REAL)c[0]), half = BC((REAL)0.5), f = BC(factor / (REAL)n);
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = NPDL_LESS(n - i, VL);
        const VEC given = m == VL ? LD(b + i) : LDN(b + i, m), var = FN(npdl_at_least)(given, least);
        const VEC e = LDN(a + i, m) - LDN(t + i, m), part = e / var;
        STN(work + i, half * (FN(npdl_log)(var) + e * part) + BC((REAL)c[1]), m);
        if (!da) continue;
        STN(da + i, part * f, m);
        STN(db + i, SELECT(given < least, BC(0), half * (BC(1) / var - part * part) * f), m);
    }
    return FN(npdl_sum)(work, n) / (REAL)n;
}

/* y = 1: 1 − cos; y = −1: max(cos − margin, 0); squared norms with 1e-12 added, as in PyTorch */
static REAL FN(npdl_cosine_embedding_row)(REAL y, const REAL *a, const REAL *b, int64_t n, const double *c, REAL *da,
                                          REAL *db, REAL factor) {
    const REAL aa = FN(npdl_long_dot)(a, a, n) + (REAL)1e-12, bb = FN(npdl_long_dot)(b, b, n) + (REAL)1e-12;
    const REAL inverse = 1 / (NPDL_ROOT(aa) * NPDL_ROOT(bb)), cosine = FN(npdl_long_dot)(a, b, n) * inverse;
    const REAL loss = y > 0 ? 1 - cosine : cosine - (REAL)c[0];
    if (da) {
        const REAL g = y > 0 ? -factor : loss < 0 || loss == 0 ? 0 : factor;
        const VEC across = BC(g * inverse), own = BC(g * cosine / aa), other = BC(g * cosine / bb);
        NPDL_MAP2(a, b, da, n, across * w - own * v)
        NPDL_MAP2(a, b, db, n, across * v - other * w)
    }
    return y > 0 || !(loss < 0) ? loss : 0;
}

/* d = ‖a − b‖:  y d² + (1 − y) max(margin − d, 0)² */
static REAL FN(npdl_contrastive_row)(REAL y, const REAL *a, const REAL *b, int64_t n, const double *c, REAL *work,
                                     REAL *da, REAL *db, REAL factor) {
    NPDL_MAP2(a, b, work, n, v - w)
    const REAL square = FN(npdl_long_dot)(work, work, n), d = NPDL_ROOT(square), rest = (REAL)c[0] - d;
    const REAL gap = rest < 0 ? 0 : rest;
    if (da) {
        const VEC g = BC(2 * (d == 0 ? y : y - (1 - y) * gap / d) * factor);
        NPDL_MAP(work, da, n, g * v)
        NPDL_MAP(da, db, n, -v)
    }
    return y * square + (1 - y) * gap * gap;
}

typedef struct {
    int kind;
    const double *c;
    const REAL *t, *a, *b, *scale;
    REAL *out, *da, *db;
    int64_t samples, n, block;
} FN(npdl_pair_loss_work);

static void FN(npdl_pair_loss_block)(void *context, int64_t block, void *work) {
    const FN(npdl_pair_loss_work) *s = context;
    const int64_t last = NPDL_LESS(s->samples, (block + 1) * s->block), n = s->n;
    for (int64_t i = block * s->block; i < last; i++) {
        const REAL *a = s->a + i * n, *b = s->b + i * n, scale = s->da ? s->scale[i] : 0;
        const int live = s->da && scale != 0;
        REAL *da = live ? s->da + i * n : NULL, *db = live ? s->db + i * n : NULL, loss;
        if (s->da && !live) {
            memset(s->da + i * n, 0, n * sizeof(REAL));
            memset(s->db + i * n, 0, n * sizeof(REAL));
        }
        if (!live && !s->out) continue;
        switch (s->kind) {
        case NPDL_MARGIN_RANKING: loss = FN(npdl_margin_ranking_row)(s->t + i * n, a, b, n, s->c, work, da, db, scale); break;
        case NPDL_GAUSSIAN: loss = FN(npdl_gaussian_row)(s->t + i * n, a, b, n, s->c, work, da, db, scale); break;
        case NPDL_COSINE_EMBEDDING: loss = FN(npdl_cosine_embedding_row)(s->t[i], a, b, n, s->c, da, db, scale); break;
        default: loss = FN(npdl_contrastive_row)(s->t[i], a, b, n, s->c, work, da, db, scale);
        }
        if (s->out) s->out[i] = loss;
    }
}

NPDL_API void FN(npdl_pair_loss)(int kind, const double *c, const REAL *t, const REAL *a, const REAL *b, const REAL *scale,
                                 REAL *out, REAL *da, REAL *db, int64_t samples, int64_t n) {
    FN(npdl_pair_loss_work) s = {kind, c, t, a, b, scale, out, da, db, samples, n, NPDL_MORE(NPDL_GRAIN / n, 1)};
    npdl_parallel(FN(npdl_pair_loss_block), &s, NPDL_BLOCKS(samples, s.block), n * sizeof(REAL));
}

/* ---- triplets: max(d(a, p) − d(a, n) + margin, 0), d(x, y) = ‖x − y + ε‖ of power c[1]; c: margin, power, ε, swap */

/* ‖x − y + ε‖, the differences in `work` */
static REAL FN(npdl_distance)(const REAL *x, const REAL *y, REAL *work, REAL *powers, int64_t n, const double *c) {
    const VEC epsilon = BC((REAL)c[2]), power = BC((REAL)c[1]);
    NPDL_MAP2(x, y, work, n, v - w + epsilon)
    if (c[1] == 2) return NPDL_ROOT(FN(npdl_long_dot)(work, work, n));
    NPDL_MAP(work, powers, n, FN(npdl_power)(FN(npdl_abs)(v), power))
    const REAL sum = FN(npdl_sum)(powers, n);
    const VEC root = FN(npdl_power)(BC(sum), BC((REAL)(1 / c[1])));
    return c[1] == 1 ? sum : root[0];
}

/* work = factor · sign(e) (|e| / d)^(power − 1) of e = work, 0 where d is 0 */
static void FN(npdl_distance_slope)(REAL *work, int64_t n, REAL d, const double *c, REAL factor) {
    const VEC power = BC((REAL)(c[1] - 1)), f = BC(factor), inverse = BC(1 / d);
    if (d == 0) memset(work, 0, n * sizeof(REAL));
    else if (c[1] == 2) NPDL_MAP(work, work, n, v * inverse * f)
    else NPDL_MAP(work, work, n, FN(npdl_signum)(v) * FN(npdl_power)(FN(npdl_abs)(v) * inverse, power) * f)
}

typedef struct {
    const double *c;
    const REAL *a, *p, *n, *scale;
    REAL *out, *da, *dp, *dn;
    int64_t samples, size, block;
} FN(npdl_triplet_work);

static void FN(npdl_triplet_block)(void *context, int64_t block, void *work_) {
    const FN(npdl_triplet_work) *s = context;
    const int64_t last = NPDL_LESS(s->samples, (block + 1) * s->block), size = s->size;
    REAL *near = work_, *far = near + size, *swapped = far + size, *powers = swapped + size;
    for (int64_t i = block * s->block; i < last; i++) {
        const int64_t at = i * size;
        const REAL scale = s->da ? s->scale[i] : 0;
        const int live = s->da && scale != 0;
        if (!live && !s->out) {
            memset(s->da + at, 0, size * sizeof(REAL));
            memset(s->dp + at, 0, size * sizeof(REAL));
            memset(s->dn + at, 0, size * sizeof(REAL));
            continue;
        }
        const REAL close = FN(npdl_distance)(s->a + at, s->p + at, near, powers, size, s->c);
        REAL away = FN(npdl_distance)(s->a + at, s->n + at, far, powers, size, s->c);
        int swap = 0;
        if (s->c[3]) {
            const REAL other = FN(npdl_distance)(s->p + at, s->n + at, swapped, powers, size, s->c);
            if (other < away) swap = 1, away = other;
        }
        const REAL loss = close - away + (REAL)s->c[0];
        if (s->out) s->out[i] = loss < 0 ? 0 : loss;
        if (!s->da) continue;
        const REAL factor = !live || loss <= 0 ? 0 : scale;
        if (factor == 0) {
            memset(s->da + at, 0, size * sizeof(REAL));
            memset(s->dp + at, 0, size * sizeof(REAL));
            memset(s->dn + at, 0, size * sizeof(REAL));
            continue;
        }
        FN(npdl_distance_slope)(near, size, close, s->c, factor);
        FN(npdl_distance_slope)(swap ? swapped : far, size, away, s->c, factor);
        if (swap) {  /* +near to a, −near − swapped to p, +swapped to n */
            NPDL_MAP(near, s->da + at, size, v)
            NPDL_MAP2(near, swapped, s->dp + at, size, -v - w)
            NPDL_MAP(swapped, s->dn + at, size, v)
        } else {
            NPDL_MAP2(near, far, s->da + at, size, v - w)
            NPDL_MAP(near, s->dp + at, size, -v)
            NPDL_MAP(far, s->dn + at, size, v)
        }
    }
}

NPDL_API void FN(npdl_triplet)(const double *c, const REAL *a, const REAL *p, const REAL *n, const REAL *scale, REAL *out,
                               REAL *da, REAL *dp, REAL *dn, int64_t samples, int64_t size) {
    FN(npdl_triplet_work) s = {c, a, p, n, scale, out, da, dp, dn, samples, size, NPDL_MORE(NPDL_GRAIN / size, 1)};
    npdl_parallel(FN(npdl_triplet_block), &s, NPDL_BLOCKS(samples, s.block), 4 * size * sizeof(REAL));
}
