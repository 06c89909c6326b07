/* Connectionist temporal classification: −ln of the probability of all alignments of a label row with T frames of logits.
 *
 * Formulas: npdl/kernels/reference/ctc.py. The states of a row of U labels are b l₁ b l₂ ... l_U b, b the blank: S = 2 U + 1.
 * Forward and backward variables are kept as logarithms, a vector of states at a time. A block is one sample.
 * `work`: ln p (T C), α (T rows), β (two rows), ln p of the states (one), all rows of S + 4 numbers.
 */
#ifndef NPDL_CTC_H
#define NPDL_CTC_H

#define NPDL_CTC_ROW(labels) (2 * (labels) + 1 + 4)  /* two numbers of −∞ before and behind the states */
#define NPDL_CTC_WORK(frames, labels, classes) ((frames) * (classes) + ((frames) + 5) * NPDL_CTC_ROW(labels))

#endif

/* ln(eᵃ + eᵇ + eᶜ), −∞ where all are */
NPDL_INLINE VEC FN(npdl_log_add)(VEC a, VEC b, VEC c) {
    const VEC lowest = BC((REAL)-INFINITY);
    VEC top = SELECT(a > b, a, b);
    top = SELECT(top > c, top, c);
    VEC safe = SELECT(top == lowest, BC(0), top);
    VEC sum = FN(npdl_exp)(a - safe) + FN(npdl_exp)(b - safe) + FN(npdl_exp)(c - safe);
    return SELECT(top == lowest, a + b + c, safe + FN(npdl_log)(sum));  /* the first is −∞, or a NaN stays */
}

typedef struct {
    const int32_t *labels;
    const REAL *z, *scale;
    REAL *out, *dz;  /* either may be NULL */
    int64_t frames, classes, width, blank;
} FN(npdl_ctc_work);

/* out[s] = own[s] + ln(Σ of the states that lead to s): s itself, s ∓ 1, and s ∓ 2 where skip[s] is 0 (else −∞) */
static void FN(npdl_ctc_step)(const REAL *from, const REAL *own, const REAL *skip, REAL *out, int64_t states,
                              int64_t step) {
    for (int64_t i = 0; i < states; i += VL) {
        const int64_t m = NPDL_LESS(states - i, VL);
        const VEC two = LDN(from + i + 2 * step, m) + LDN(skip + i, m);
        STN(out + i, LDN(own + i, m) + FN(npdl_log_add)(LDN(from + i, m), LDN(from + i + step, m), two), m);
    }
}

static void FN(npdl_ctc_block)(void *context, int64_t sample, void *work_) {
    const FN(npdl_ctc_work) *s = context;
    const int64_t T = s->frames, C = s->classes, row = NPDL_CTC_ROW(s->width);
    const int32_t *given = s->labels + sample * s->width;
    const REAL lowest = (REAL)-INFINITY, *z = s->z + sample * T * C, scale = s->dz ? s->scale[sample] : 0;
    REAL *dz = s->dz ? s->dz + sample * T * C : NULL;
    if (dz && scale == 0) memset(dz, 0, T * C * sizeof(REAL)), dz = NULL;
    if (!dz && !s->out) return;
    REAL *log_p = work_, *alpha = log_p + T * C + 2, *own = alpha + T * row, *beta[2] = {own + row, own + 2 * row};
    REAL *skip = own + 3 * row, *back = own + 4 * row;
    int64_t labels = 0;
    while (labels < s->width && given[labels] != s->blank) labels++;
    const int64_t states = 2 * labels + 1;
#define NPDL_STATE(i) ((i) % 2 ? given[(i) / 2] : s->blank)
    for (int64_t t = 0; t < T; t++) {
        REAL *p = log_p + t * C;
        const VEC top = BC(FN(npdl_max)(z + t * C, C));
        NPDL_MAP(z + t * C, p, C, FN(npdl_exp)(v - top))
        const VEC total = FN(npdl_log)(BC(FN(npdl_sum)(p, C)));
        NPDL_MAP(z + t * C, p, C, v - top - total)
    }
    for (int64_t i = 0; i < (T + 5) * row; i++) alpha[i - 2] = lowest;
    for (int64_t i = 0; i < states; i++) {
        skip[i] = i % 2 && i > 1 && NPDL_STATE(i) != NPDL_STATE(i - 2) ? 0 : lowest;
        back[i] = i % 2 && i + 2 < states && NPDL_STATE(i) != NPDL_STATE(i + 2) ? 0 : lowest;
    }
    alpha[0] = log_p[s->blank];
    if (states > 1) alpha[1] = log_p[NPDL_STATE(1)];
    for (int64_t t = 1; t < T; t++) {
        for (int64_t i = 0; i < states; i++) own[i] = log_p[t * C + NPDL_STATE(i)];
        FN(npdl_ctc_step)(alpha + (t - 1) * row, own, skip, alpha + t * row, states, -1);
    }
    const REAL *end = alpha + (T - 1) * row + states - 1;
    const VEC both_ends = FN(npdl_log_add)(BC(end[0]), BC(states > 1 ? end[-1] : lowest), BC(lowest));
    const REAL total = both_ends[0];
    if (s->out) s->out[sample] = -total;
    if (!dz) return;
    if (total == lowest) {  /* no alignment has these labels: no slope */
        memset(dz, 0, T * C * sizeof(REAL));
        return;
    }
    const VEC f = BC(scale);
    for (int64_t t = T - 1; t >= 0; t--) {
        REAL *now = beta[t % 2], *next = beta[(t + 1) % 2], *slope = dz + t * C;
        for (int64_t i = 0; i < states; i++) own[i] = log_p[t * C + NPDL_STATE(i)];
        if (t == T - 1) {
            now[states - 1] = own[states - 1];
            if (states > 1) now[states - 2] = own[states - 2];
        } else FN(npdl_ctc_step)(next, own, back, now, states, 1);
        NPDL_MAP(log_p + t * C, slope, C, FN(npdl_exp)(v))
        REAL *share = alpha + t * row;  /* exp(α + β − ln p − total): the part of alignments in this state now */
        const VEC all = BC(total);
        for (int64_t i = 0; i < states; i += VL) {
            const int64_t m = NPDL_LESS(states - i, VL);
            const VEC a = LDN(share + i, m), both = a + LDN(now + i, m) - LDN(own + i, m) - all;
            STN(share + i, SELECT((a == BC(lowest)) | (LDN(now + i, m) == BC(lowest)), BC(0), FN(npdl_exp)(both)), m);
        }
        for (int64_t i = 0; i < states; i++) slope[NPDL_STATE(i)] -= share[i];
        NPDL_MAP(slope, slope, C, v * f)
    }
#undef NPDL_STATE
}

NPDL_API void FN(npdl_ctc)(const int32_t *labels, const REAL *z, const REAL *scale, REAL *out, REAL *dz, int64_t samples,
                           int64_t frames, int64_t classes, int64_t width, int64_t blank) {
    FN(npdl_ctc_work) s = {labels, z, scale, out, dz, frames, classes, width, blank};
    npdl_parallel(FN(npdl_ctc_block), &s, samples, (size_t)NPDL_CTC_WORK(frames, width, classes) * sizeof(REAL));
}
