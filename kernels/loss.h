/* Losses: one number a sample, and its gradient. Formulas: npdl/kernels/reference/loss.py.
 *
 * A sample's loss is made by one thread in an order that its own shape sets: terms in pieces of NPDL_PIECE, each summed
 * in lanes, pieces added in double precision. So it does not depend on the batch. A block is a number of samples.
 */
#ifndef NPDL_LOSS_H
#define NPDL_LOSS_H

/* What the outputs of a cross-entropy are. */
enum { NPDL_PROBABILITIES, NPDL_LOGITS, NPDL_LOG_PROBABILITIES };

/* Place of the first label outside 0 ... classes − 1 that is not `ignore` either, −1 if there is none. */
static int64_t npdl_wrong_label(const int32_t *narrow, const int64_t *wide, int64_t count, int64_t classes,
                                int64_t ignore) {
    for (int64_t i = 0; i < count; i++) {
        int64_t label = wide ? wide[i] : narrow[i];
        if ((label < 0 || label >= classes) && label != ignore) return i;
    }
    return -1;
}

#endif

/* ---- losses that are a mean over elements: formulas of element_loss.h */

/* out = the terms of the mean */
static void FN(npdl_loss_terms)(int kind, const double *constants, const REAL *t, const REAL *p, REAL *out, int64_t n) {
    VEC c[NPDL_CONSTANTS];
    for (int j = 0; j < NPDL_CONSTANTS; j++) c[j] = BC((REAL)constants[j]);
    switch (kind) {  /* v = t, w = p */
#define NPDL_CASE(kind, name) case kind: NPDL_MAP2(t, p, out, n, FN(npdl_##name)(v, w, c)) break;
    NPDL_ELEMENT_LOSSES(NPDL_CASE)
#undef NPDL_CASE
    }
}

/* out = their derivatives by p */
static void FN(npdl_loss_slopes)(int kind, const double *constants, const REAL *t, const REAL *p, REAL *out, int64_t n) {
    VEC c[NPDL_CONSTANTS];
    for (int j = 0; j < NPDL_CONSTANTS; j++) c[j] = BC((REAL)constants[j]);
    switch (kind) {
#define NPDL_CASE(kind, name) case kind: NPDL_MAP2(t, p, out, n, FN(npdl_##name##_slope)(v, w, c)) break;
    NPDL_ELEMENT_LOSSES(NPDL_CASE)
#undef NPDL_CASE
    }
}

typedef struct {
    int kind;
    const double *c;
    const REAL *t, *p, *scale;  /* scale NULL: the loss itself */
    REAL *out;
    int64_t samples, d, block;
} FN(npdl_loss_work);

/* out[i] = scale[i] x[i] for samples of one element, 0 where the scale is 0 */
NPDL_INLINE VEC FN(npdl_scaled)(VEC x, VEC scale) { return SELECT(scale == BC(0), BC(0), x * scale); }

static void FN(npdl_loss_block)(void *context, int64_t block, void *work) {
    const FN(npdl_loss_work) *s = context;
    const int64_t d = s->d, first = block * s->block, last = NPDL_LESS(s->samples, first + s->block);
    const REAL *t = s->t + first * d, *p = s->p + first * d;
    (void)work;
    if (s->scale) {
        REAL *out = s->out + first * d;
        FN(npdl_loss_slopes)(s->kind, s->c, t, p, out, (last - first) * d);
        if (d == 1) {
            const REAL *scale = s->scale + first;
            NPDL_MAP2(out, scale, out, last - first, FN(npdl_scaled)(v, w))
            return;
        }
        for (int64_t i = first; i < last; i++, out += d) {
            VEC scale = BC(s->scale[i] / (REAL)d);
            if (s->scale[i] == 0) memset(out, 0, d * sizeof(REAL));
            else NPDL_MAP(out, out, d, v * scale)
        }
        return;
    }
    if (d == 1) {
        FN(npdl_loss_terms)(s->kind, s->c, t, p, s->out + first, last - first);
        return;
    }
    REAL terms[NPDL_PIECE];
    if (d > NPDL_PIECE) {
        for (int64_t i = first; i < last; i++, t += d, p += d) {
            double total = 0;
            for (int64_t j = 0; j < d; j += NPDL_PIECE) {
                int64_t n = NPDL_LESS(d - j, NPDL_PIECE);
                FN(npdl_loss_terms)(s->kind, s->c, t + j, p + j, terms, n);
                total += FN(npdl_sum)(terms, n);
            }
            s->out[i] = (REAL)(total / d);
        }
        return;
    }
    for (int64_t i = first; i < last;) {  /* as many samples at a time as make a piece */
        int64_t n = NPDL_LESS(NPDL_PIECE / d, last - i);
        FN(npdl_loss_terms)(s->kind, s->c, s->t + i * d, s->p + i * d, terms, n * d);
        for (int64_t j = 0; j < n; j++, i++) s->out[i] = (REAL)((double)FN(npdl_sum)(terms + j * d, d) / d);
    }
}

NPDL_API void FN(npdl_loss)(int kind, const double *c, const REAL *t, const REAL *p, const REAL *scale, REAL *out,
                            int64_t samples, int64_t d) {
    FN(npdl_loss_work) s = {kind, c, t, p, scale, out, samples, d, NPDL_MORE(NPDL_GRAIN / d, 1)};
    npdl_parallel(FN(npdl_loss_block), &s, NPDL_BLOCKS(samples, s.block), 0);
}

/* ---- cross-entropy over classes: rows of `classes` numbers, `positions` rows a sample */

typedef struct {
    const REAL *t;          /* targets, or NULL and labels of 32 or 64 bits */
    const int32_t *narrow;
    const int64_t *wide;
    const REAL *p, *scale;
    REAL *out, *dy;         /* the losses and their gradient, of which `scale` is read; either may be NULL */
    int logits;             /* NPDL_LOGITS and so on; logarithms go with labels only */
    double smoothing;
    const REAL *weights;    /* of the classes, for labels; or NULL */
    int64_t ignore;         /* rows with this label count nothing */
    int64_t samples, positions, classes, block;
} FN(npdl_classes_work);

NPDL_INLINE int64_t FN(npdl_label)(const FN(npdl_classes_work) *s, int64_t row) {
    return s->wide ? s->wide[row] : s->narrow[row];
}

/* loss[r] of `rows` rows from row `first`; top and sum: of logits each row's largest and Σ exp(z − top), of
 * probabilities sum alone. `work` holds the terms of a row. */
static void FN(npdl_classes_loss)(const FN(npdl_classes_work) *s, int64_t first, int64_t rows, const REAL *top,
                                  const REAL *sum, REAL *work, REAL *loss) {
    const int64_t n = s->classes;
    const REAL *p = s->p + first * n, *t = s->t ? s->t + first * n : NULL;
    const VEC keep = BC((REAL)(1 - s->smoothing)), add = BC((REAL)(s->smoothing / n));
    REAL logs[NPDL_PIECE];
    if (s->logits == NPDL_LOGITS) NPDL_MAP(sum, logs, rows, FN(npdl_log)(v))
    if (!t) {
        for (int64_t r = 0; r < rows; r++) {
            const int64_t label = FN(npdl_label)(s, first + r);
            REAL picked = p[r * n + (label == s->ignore ? 0 : label)];
            if (s->logits == NPDL_LOGITS) loss[r] = logs[r] - (picked - top[r]);
            else loss[r] = s->logits ? -picked : picked / sum[r];
        }
        if (!s->logits) NPDL_MAP(loss, loss, rows, -FN(npdl_log)(FN(npdl_clip)(v)))
        for (int64_t r = 0; r < rows; r++) {
            const int64_t label = FN(npdl_label)(s, first + r);
            if (label == s->ignore) loss[r] = 0;
            else if (s->weights) loss[r] *= s->weights[label];
        }
        return;
    }
    for (int64_t r = 0; r < rows; r++, t += n, p += n) {
        if (s->logits) {
            const VEC total = BC(logs[r]), shift = BC(top[r]);
            NPDL_MAP2(t, p, work, n, FMA(v, keep, add) * (total - (w - shift)))
        } else {
            const VEC total = BC(sum[r]);
            NPDL_MAP2(t, p, work, n, -(FMA(v, keep, add) * FN(npdl_log)(FN(npdl_clip)(w / total))))
        }
        loss[r] = FN(npdl_sum)(work, n);
    }
}

/* The gradient of the same rows, into dy, which holds exp(z − top) where p are logits. */
static void FN(npdl_classes_grad)(const FN(npdl_classes_work) *s, int64_t first, int64_t rows, const REAL *sum) {
    const int64_t n = s->classes;
    const REAL *p = s->p + first * n, *t = s->t ? s->t + first * n : NULL;
    const VEC keep = BC((REAL)(1 - s->smoothing)), add = BC((REAL)(s->smoothing / n));
    REAL *dy = s->dy + first * n;
    int64_t sample = first / s->positions, left = s->positions - first % s->positions;
    if (s->logits == NPDL_LOG_PROBABILITIES) memset(dy, 0, rows * n * sizeof(REAL));
    for (int64_t r = 0; r < rows; r++, p += n, dy += n, left--) {
        if (!left) sample++, left = s->positions; /* a division a row would take longer than a short row */
        const REAL scale = s->scale[sample];
        REAL factor = scale / (REAL)s->positions;
        const int64_t label = t ? 0 : FN(npdl_label)(s, first + r);
        if (scale == 0 || (!t && label == s->ignore)) {
            if (s->logits != NPDL_LOG_PROBABILITIES) memset(dy, 0, n * sizeof(REAL));
            continue;
        }
        if (!t && s->weights) factor *= s->weights[label];
        if (s->logits == NPDL_LOG_PROBABILITIES) {
            dy[label] = -factor;
            continue;
        }
        const VEC f = BC(factor), total = BC(sum[r]);
        if (t) {
            const REAL *row = t + r * n;
            if (s->logits) {
                const VEC mass = BC((REAL)(1 - s->smoothing) * FN(npdl_sum)(row, n) + (REAL)s->smoothing);
                NPDL_MAP2(row, dy, dy, n, (w / total * mass - FMA(v, keep, add)) * f)
                continue;
            }
            NPDL_MAP2(row, p, dy, n,
                      FN(npdl_where_clipped)(w / total, BC(0), -FMA(v, keep, add) / FN(npdl_clip)(w / total)))
            const VEC dot = BC(FN(npdl_long_dot)(dy, p, n) / sum[r]);
            NPDL_MAP(dy, dy, n, (v - dot) / total * f)
            continue;
        }
        if (s->logits) {
            const REAL q = dy[label] / sum[r];
            NPDL_MAP(dy, dy, n, v / total * f)
            dy[label] = (q - 1) * factor;
            continue;
        }
        /* g = −1/q at the label, 0 elsewhere and where q is clipped; Σ g q is −1 or 0 */
        const REAL q = p[label] / sum[r];
        const int clipped = q < (REAL)NPDL_CLIP || q > (REAL)(1 - NPDL_CLIP);
        const REAL rest = (clipped ? 0 : 1) / sum[r] * factor;
        for (int64_t i = 0; i < n; i++) dy[i] = rest;
        if (!clipped) dy[label] = (1 - 1 / q) / sum[r] * factor;
    }
}

/* Rows in groups: the exponentials are made once, in dy where that is asked for, and serve both. */
static void FN(npdl_classes_block)(void *context, int64_t block, void *work) {
    const FN(npdl_classes_work) *s = context;
    const int64_t n = s->classes, group = NPDL_LESS(NPDL_MORE(NPDL_PIECE / n, 1), NPDL_PIECE);
    const int64_t last = NPDL_LESS(s->samples, (block + 1) * s->block) * s->positions;
    REAL loss[NPDL_PIECE], top[NPDL_PIECE], sum[NPDL_PIECE];
    double total = 0;
    int64_t sample = block * s->block, left = s->positions;
    for (int64_t row = sample * s->positions, rows; row < last; row += rows) {
        const REAL *p = s->p + row * n;
        rows = NPDL_LESS(group, last - row);
        if (s->logits == NPDL_LOGITS) FN(npdl_shifted_exp)(p, s->dy ? s->dy + row * n : work, rows, n, top, sum);
        else if (!s->logits)
            for (int64_t r = 0; r < rows; r++) sum[r] = FN(npdl_sum)(p + r * n, n);
        if (s->out) FN(npdl_classes_loss)(s, row, rows, top, sum, work, loss);
        if (s->dy) FN(npdl_classes_grad)(s, row, rows, sum);
        for (int64_t r = 0; s->out && r < rows; r++) {
            total += loss[r];
            if (--left) continue;
            s->out[sample++] = (REAL)(s->positions == 1 ? total : total / s->positions);
            total = 0, left = s->positions;
        }
    }
}

NPDL_API void FN(npdl_cross_entropy)(const REAL *t, const int32_t *narrow, const int64_t *wide, const REAL *p,
                                     const REAL *scale, REAL *out, REAL *dy, int logits, double smoothing,
                                     const REAL *weights, int64_t ignore, int64_t samples, int64_t positions,
                                     int64_t classes) {
    FN(npdl_classes_work) s = {t, narrow, wide, p, scale, out, dy, logits, smoothing, weights, ignore, samples,
                               positions, classes,
                               NPDL_MORE(NPDL_GRAIN / (positions * classes), 1)};
    npdl_parallel(FN(npdl_classes_block), &s, NPDL_BLOCKS(samples, s.block),
                  out ? NPDL_MORE(classes, NPDL_PIECE) * sizeof(REAL) : 0);
}

/* ---- Σ weights[n] values[n], in order; a value of weight 0 is not looked at */

NPDL_API double FN(npdl_weighted_sum)(const REAL *values, const REAL *weights, int64_t n) {
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        if (weights[i] != 0) total += (double)weights[i] * values[i];
    return total;
}
