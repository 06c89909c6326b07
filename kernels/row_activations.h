/* Activations of whole rows, of halves, and with weights: log-softmax, sparsemax, GLU, PReLU.
 *
 * Formulas: npdl/activations/ and npdl/kernels/reference/activation.py. Rows are arrays (outer, n, inner) along the
 * middle axis, as for softmax (activation.h): inner = 1 is one piece of memory, summed in lanes; inner > 1 are columns
 * side by side, each summed from its first element to its last. Outputs may be the inputs of their size.
 */

#ifndef NPDL_ROW_ACTIVATIONS_H
#define NPDL_ROW_ACTIVATIONS_H
/* VL numbers, of which `count` are there. */
#define NPDL_TAKE_LANES(p) (count == VL ? LD(p) : LDN(p, count))
#define NPDL_PUT_LANES(p, v) if (count == VL) ST(p, v); else STN(p, v, count)
#endif

/* ---- log-softmax */

/* row − m − ln Σ eʳᵒʷ⁻ᵐ; the exponentials of a piece at a time. */
static void FN(npdl_log_softmax_row)(const REAL *in, REAL *out, int64_t n) {
    REAL e[NPDL_PIECE], sum = 0;
    const VEC top = BC(FN(npdl_max)(in, n));
    NPDL_MAP(in, out, n, v - top)
    for (int64_t start = 0; start < n; start += NPDL_PIECE) {
        const int64_t m = NPDL_LESS(n - start, NPDL_PIECE);
        NPDL_MAP_WIDE(out + start, e, m, FN(npdl_exps))
        sum += FN(npdl_sum)(e, m);
    }
    REAL lane[NPDL_VECTOR_BYTES / sizeof(REAL)];
    ST(lane, FN(npdl_log)(BC(sum)));
    const VEC shift = BC(lane[0]);
    NPDL_MAP(out, out, n, v - shift)
}

static void FN(npdl_log_softmax_grad_row)(const REAL *dy, const REAL *y, REAL *out, int64_t n) {
    const VEC total = BC(-FN(npdl_sum)(dy, n));
    NPDL_MAP2_WIDE(dy, y, out, n, FN(npdl_exps), FMA(w[j], total, v[j]))
}

NPDL_INLINE void FN(npdl_log_softmax_columns)(const REAL *dy, const REAL *in, REAL *out, int64_t n, int64_t step,
                                              int64_t count) {
    VEC top = NPDL_TAKE_LANES(in), sum = BC(0);
    for (int64_t i = 1; i < n && !dy; i++) {
        VEC v = NPDL_TAKE_LANES(in + i * step);
        top = SELECT(v > top, v, top);
    }
    for (int64_t i = 0; i < n;) {
        VEC block = BC(0);
        for (int64_t last = NPDL_LESS(n, i + NPDL_SOFTMAX_BLOCK); i < last; i++)
            block = block + (dy ? NPDL_TAKE_LANES(dy + i * step) : FN(npdl_exp)(NPDL_TAKE_LANES(in + i * step) - top));
        sum = sum + block;
    }
    if (!dy) sum = FN(npdl_log)(sum);
    for (int64_t i = 0; i < n; i++) {
        VEC v = NPDL_TAKE_LANES(in + i * step);
        if (dy) v = FMA(FN(npdl_exp)(v), -sum, NPDL_TAKE_LANES(dy + i * step));
        else v = (v - top) - sum;
        NPDL_PUT_LANES(out + i * step, v);
    }
}

/* ---- sparsemax: the numbers above τ and τ itself are found in turns (Michelot's method)
 *
 *     τ = (Σ z − 1) / k over the k numbers above the τ before, first above max z − 1
 *
 * until it does not rise. A column that is done finds its τ again while its neighbours go on. A NaN in a row, or ∞ as
 * its largest number, makes all of it NaN, as it does for softmax: τ becomes NaN, which no comparison would show.
 */

/* 0 for finite numbers and −∞ below a finite top, else NaN */
NPDL_INLINE VEC FN(npdl_taint)(VEC v, VEC top) { return BC(0) * MAX(BC(-1), v - top); }

/* τ from the sum and the number of those above it, if it rose. */
NPDL_INLINE VEC FN(npdl_risen)(VEC tau, VEC sum, VEC number) {
    VEC next = (sum - BC(1)) / number;
    return SELECT(next > tau, next, tau);
}

NPDL_INLINE void FN(npdl_sparsemax_columns)(const REAL *dy, const REAL *in, REAL *out, int64_t n, int64_t step,
                                            int64_t count) {
    VEC zero = BC(0), one = BC(1), top = NPDL_TAKE_LANES(in), tau = BC(-1), sum, number;
    if (dy) {
        sum = number = zero;
        for (int64_t i = 0; i < n; i++) {
            IVEC there = NPDL_TAKE_LANES(in + i * step) > zero;
            sum = sum + SELECT(there, NPDL_TAKE_LANES(dy + i * step), zero);
            number = number + SELECT(there, one, zero);
        }
        VEC mean = sum / number;
        for (int64_t i = 0; i < n; i++) {
            VEC v = SELECT(NPDL_TAKE_LANES(in + i * step) > zero, NPDL_TAKE_LANES(dy + i * step) - mean, zero);
            NPDL_PUT_LANES(out + i * step, v);
        }
        return;
    }
    for (int64_t i = 1; i < n; i++) {
        VEC v = NPDL_TAKE_LANES(in + i * step);
        top = SELECT(v > top, v, top);
    }
    for (;;) {
        sum = number = zero;
        for (int64_t i = 0; i < n; i++) {
            VEC v = NPDL_TAKE_LANES(in + i * step) - top;
            IVEC there = v > tau;
            sum = sum + SELECT(there, v, zero);
            number = number + SELECT(there, one, zero);
        }
        VEC next = FN(npdl_risen)(tau, sum, number);
        int rose = ANY(next > tau);
        tau = next;
        if (!rose) break;
    }
    for (int64_t i = 0; i < n; i++) tau = tau + FN(npdl_taint)(NPDL_TAKE_LANES(in + i * step), top);
    for (int64_t i = 0; i < n; i++) {
        VEC v = NPDL_TAKE_LANES(in + i * step) - top - tau;
        v = MAX(zero, v);
        NPDL_PUT_LANES(out + i * step, v);
    }
}

/* Σ of those of a row whose mark is above τ, and their number: x − shift of each, in 16 lanes. */
NPDL_INLINE void FN(npdl_sum_above)(const REAL *mark, const REAL *x, REAL shift, REAL tau, int64_t n, REAL *sum,
                                    REAL *number) {
    enum { vectors = NPDL_LANES * sizeof(REAL) / NPDL_VECTOR_BYTES };
    VEC s[vectors], k[vectors], below = BC(shift), zero = BC(0);
    REAL lane[2][NPDL_LANES];
    for (int j = 0; j < vectors; j++) s[j] = k[j] = zero;
    for (int64_t i = 0; i < n; i += NPDL_LANES)
        for (int j = 0; j < vectors && i + j * VL < n; j++) {
            const int64_t at = i + j * VL, count = NPDL_LESS(n - at, VL);
            VEC v = NPDL_TAKE_LANES(x + at) - below, m = mark == x ? v : NPDL_TAKE_LANES(mark + at);
            IVEC there = m > BC(tau);
            if (count < VL) {  /* the lanes beyond the row hold −shift */
                REAL ones[NPDL_VECTOR_BYTES / sizeof(REAL)] = {0};
                for (int64_t l = 0; l < count; l++) ones[l] = 1;
                there &= LD(ones) > zero;
            }
            s[j] = s[j] + SELECT(there, v, zero);
            k[j] = k[j] + SELECT(there, BC(1), zero);
        }
    for (int j = 0; j < vectors; j++) ST(lane[0] + j * VL, s[j]), ST(lane[1] + j * VL, k[j]);
    for (int half = NPDL_LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++) lane[0][j] += lane[0][j + half], lane[1][j] += lane[1][j + half];
    *sum = lane[0][0], *number = lane[1][0];
}

static void FN(npdl_sparsemax_row)(const REAL *dy, const REAL *in, REAL *out, int64_t n) {
    REAL sum, number, tau = -1;
    const VEC zero = BC(0);
    if (dy) {
        FN(npdl_sum_above)(in, dy, 0, 0, n, &sum, &number);
        const VEC mean = BC(sum / number);
        NPDL_MAP2(dy, in, out, n, SELECT(w > zero, v - mean, zero))
        return;
    }
    const REAL top = FN(npdl_max)(in, n);
    for (;;) {
        FN(npdl_sum_above)(in, in, top, tau, n, &sum, &number);
        const REAL next = (sum - 1) / number;
        if (!(next > tau)) break;
        tau = next;
    }
    const VEC shift = BC(top);
    VEC taint = zero, least;
    REAL lane[NPDL_VECTOR_BYTES / sizeof(REAL)];
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t count = NPDL_LESS(n - i, VL);
        taint = taint + FN(npdl_taint)(NPDL_TAKE_LANES(in + i), shift);
    }
    ST(lane, taint);
    for (int j = 0; j < VL; j++) tau += lane[j];
    least = BC(tau);
    NPDL_MAP(in, out, n, MAX(zero, v - shift - least))
}

/* ---- both */

typedef struct {
    int code;
    const REAL *dy, *in;  /* dy NULL: forward */
    REAL *out;
    int64_t outer, n, inner, block;  /* block: rows, or columns */
} FN(npdl_row_work);

static void FN(npdl_row_block)(void *context, int64_t block, void *work) {
    const FN(npdl_row_work) *t = context;
    const int64_t n = t->n;
    (void)work;
    if (t->inner == 1) {
        const int64_t stop = NPDL_LESS(t->outer, (block + 1) * t->block);
        for (int64_t r = block * t->block; r < stop; r++) {
            const REAL *in = t->in + r * n, *dy = t->dy ? t->dy + r * n : NULL;
            if (t->code == NPDL_SPARSEMAX) FN(npdl_sparsemax_row)(dy, in, t->out + r * n, n);
            else if (dy) FN(npdl_log_softmax_grad_row)(dy, in, t->out + r * n, n);
            else FN(npdl_log_softmax_row)(in, t->out + r * n, n);
        }
        return;
    }
    const int64_t per = NPDL_BLOCKS(t->inner, t->block), outer = block / per, start = block % per * t->block;
    const int64_t stop = NPDL_LESS(t->inner, start + t->block);
    for (int64_t column = start; column < stop; column += VL) {
        const int64_t at = outer * n * t->inner + column, count = NPDL_LESS(VL, stop - column);
        const REAL *dy = t->dy ? t->dy + at : NULL;
        if (t->code == NPDL_SPARSEMAX) FN(npdl_sparsemax_columns)(dy, t->in + at, t->out + at, n, t->inner, count);
        else FN(npdl_log_softmax_columns)(dy, t->in + at, t->out + at, n, t->inner, count);
    }
}

/* out = log-softmax or sparsemax of in; with dy: the gradient, from in = y. */
NPDL_API void FN(npdl_row_activation)(int code, const REAL *dy, const REAL *in, REAL *out, int64_t outer, int64_t n,
                                      int64_t inner) {
    FN(npdl_row_work) t = {code, dy, in, out, outer, n, inner, NPDL_MORE(NPDL_GRAIN / NPDL_MORE(n, 1), 16)};
    if (!outer || !n || !inner) return;
    if (inner == 1) t.block = NPDL_MORE(NPDL_GRAIN / n, 1);
    npdl_parallel(FN(npdl_row_block), &t, inner == 1 ? NPDL_BLOCKS(outer, t.block) : outer * NPDL_BLOCKS(inner, t.block), 0);
}

/* ---- GLU: x (outer, 2, m) is a and b, out (outer, m) = a σ(b) */

typedef struct {
    const REAL *dy, *x;  /* dy NULL: forward */
    REAL *out;
    int64_t m, per;  /* per: blocks of a row */
} FN(npdl_glu_work);

static void FN(npdl_glu_block)(void *context, int64_t block, void *work) {
    const FN(npdl_glu_work) *t = context;
    const int64_t row = block / t->per, start = block % t->per * NPDL_GRAIN, n = NPDL_LESS(t->m - start, NPDL_GRAIN);
    const REAL *a = t->x + 2 * row * t->m + start, *b = a + t->m;
    (void)work;
    if (!t->dy) {
        REAL *out = t->out + row * t->m + start;
        NPDL_MAP2_WIDE(a, b, out, n, FN(npdl_sigmoids), v[j] * w[j])
        return;
    }
    const REAL *dy = t->dy + row * t->m + start;
    REAL *da = t->out + 2 * row * t->m + start, *db = da + t->m;
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t count = NPDL_LESS(VL, n - i);
        VEC z = NPDL_TAKE_LANES(b + i), d = NPDL_TAKE_LANES(dy + i), at = NPDL_TAKE_LANES(a + i);
        VEC e = FN(npdl_exp)(-FN(npdl_abs)(z)), w = BC(1) / (BC(1) + e), s = e * w;
        VEC to_a = d * SELECT(z < BC(0), s, w), to_b = d * at * (s * w);
        NPDL_PUT_LANES(da + i, to_a);
        NPDL_PUT_LANES(db + i, to_b);
    }
}

NPDL_API void FN(npdl_glu)(const REAL *dy, const REAL *x, REAL *out, int64_t outer, int64_t m) {
    FN(npdl_glu_work) t = {dy, x, out, m, NPDL_BLOCKS(m, NPDL_GRAIN)};
    npdl_parallel(FN(npdl_glu_block), &t, outer * t.per, 0);
}

/* ---- PReLU: x (rows, m), alpha (m,) */

typedef struct {
    const REAL *dy, *x, *alpha;  /* dy NULL: forward */
    REAL *out, *dalpha;
    int64_t m, per;
} FN(npdl_prelu_work);

static void FN(npdl_prelu_block)(void *context, int64_t block, void *work) {
    const FN(npdl_prelu_work) *t = context;
    const int64_t row = block / t->per, start = block % t->per * NPDL_GRAIN, n = NPDL_LESS(t->m - start, NPDL_GRAIN);
    const REAL *x = t->x + row * t->m + start, *alpha = t->alpha + start, *dy = t->dy + (t->dy ? row * t->m + start : 0);
    REAL *out = t->out ? t->out + row * t->m + start : NULL, *dalpha = t->dalpha + (t->dalpha ? row * t->m + start : 0);
    const VEC zero = BC(0);
    (void)work;
    if (!t->dy) {
        NPDL_MAP2(x, alpha, out, n, SELECT(v > zero, v, w * v))
        return;
    }
    for (int64_t i = 0; i < n; i += VL) {  /* out may be dy */
        const int64_t count = NPDL_LESS(VL, n - i);
        VEC v = NPDL_TAKE_LANES(x + i), w = NPDL_TAKE_LANES(alpha + i), d = NPDL_TAKE_LANES(dy + i);
        VEC to_x = SELECT(v > zero, d, w * d), to_alpha = SELECT(v > zero, zero, v * d);
        NPDL_PUT_LANES(dalpha + i, to_alpha);
        if (out) { NPDL_PUT_LANES(out + i, to_x); }
    }
}

/* out = x where x > 0, else alpha x; with dy: out = dx (or NULL), dalpha what each x adds to the gradient of alpha. */
NPDL_API void FN(npdl_prelu)(const REAL *dy, const REAL *x, const REAL *alpha, REAL *out, REAL *dalpha, int64_t rows,
                             int64_t m) {
    FN(npdl_prelu_work) t = {dy, x, alpha, out, dalpha, m, NPDL_BLOCKS(m, NPDL_GRAIN)};
    npdl_parallel(FN(npdl_prelu_block), &t, rows * t.per, 0);
}
