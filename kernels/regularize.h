/* Penalties on weights and outputs, and constraints of weights. Formulas: npdl/regularizers.py, npdl/constraints.py.
 *
 * A sum over all numbers is made of blocks of NPDL_GRAIN, each summed in lanes, added in order in double precision.
 * Columns of (outer, n, inner) are worked on side by side, each summed from its first number to its last.
 */

/* ---- λ₁ Σ |x| + λ₂ Σ x² */

typedef struct {
    const REAL *x;
    double *sums;  /* two a block */
    int64_t n;
} FN(npdl_penalty_work);

static void FN(npdl_penalty_block)(void *context, int64_t block, void *work) {
    const FN(npdl_penalty_work) *t = context;
    const int64_t first = block * NPDL_GRAIN, size = NPDL_LESS(t->n - first, NPDL_GRAIN);
    double sums[2] = {0, 0};
    REAL positive[NPDL_PIECE];
    (void)work;
    for (int64_t start = 0; start < size; start += NPDL_PIECE) {
        const REAL *x = t->x + first + start;
        const int64_t m = NPDL_LESS(size - start, NPDL_PIECE);
        NPDL_MAP(x, positive, m, FN(npdl_abs)(v))
        sums[0] += (double)FN(npdl_dot)(positive, NULL, m);
        sums[1] += (double)FN(npdl_dot)(x, x, m);
    }
    t->sums[2 * block] = sums[0], t->sums[2 * block + 1] = sums[1];
}

NPDL_API void FN(npdl_penalty)(double l1, double l2, const REAL *x, double *out, int64_t n) {
    const int64_t blocks = NPDL_BLOCKS(n, NPDL_GRAIN);
    FN(npdl_penalty_work) t = {x, npdl_shared(NPDL_MORE(2 * blocks, 1) * sizeof(double)), n};
    double sums[2] = {0, 0};
    if (!t.sums) return;
    npdl_parallel(FN(npdl_penalty_block), &t, blocks, 0);
    for (int64_t i = 0; i < blocks; i++) sums[0] += t.sums[2 * i], sums[1] += t.sums[2 * i + 1];
    *out = (l1 ? l1 * sums[0] : 0) + (l2 ? l2 * sums[1] : 0);
}

/* ---- out += λ₁ sign(x) + 2 λ₂ x */

typedef struct {
    REAL l1, twice;
    const REAL *x;
    REAL *out;
    int64_t n;
} FN(npdl_penalty_grad_work);

static void FN(npdl_penalty_grad_block)(void *context, int64_t block, void *work) {
    const FN(npdl_penalty_grad_work) *t = context;
    const int64_t start = block * NPDL_GRAIN, n = NPDL_LESS(t->n - start, NPDL_GRAIN);
    const REAL *x = t->x + start;
    REAL *out = t->out + start;
    const VEC l1 = BC(t->l1), twice = BC(t->twice), zero = BC(0);
    (void)work;
    if (t->l1) NPDL_MAP2(out, x, out, n, v + FMA(twice, w, SELECT(w > zero, l1, SELECT(w < zero, -l1, zero))))
    else NPDL_MAP2(out, x, out, n, FMA(twice, w, v))
}

NPDL_API void FN(npdl_penalty_grad)(double l1, double l2, const REAL *x, REAL *out, int64_t n) {
    FN(npdl_penalty_grad_work) t = {(REAL)l1, (REAL)(2 * l2), x, out, n};
    npdl_parallel(FN(npdl_penalty_grad_block), &t, NPDL_BLOCKS(n, NPDL_GRAIN), 0);
}

/* ---- constraints: (rate clip(‖w‖, lowest, highest) + (1 − rate) ‖w‖) / (ε + ‖w‖) · w along the middle axis */

typedef struct {
    REAL lowest, highest, rate;
    const REAL *w;
    REAL *out;
    int64_t n, inner, per;
} FN(npdl_norm_limit_work);

NPDL_INLINE VEC FN(npdl_limit_factor)(const FN(npdl_norm_limit_work) *t, VEC square) {
    VEC norm = FN(npdl_sqrt)(square), wanted = MIN(BC(t->highest), MAX(BC(t->lowest), norm));
    wanted = FMA(BC(t->rate), wanted, BC(1 - t->rate) * norm);
    return wanted / (BC((REAL)1e-7) + norm);
}

static void FN(npdl_norm_limit_block)(void *context, int64_t block, void *work) {
    const FN(npdl_norm_limit_work) *t = context;
    const int64_t n = t->n, inner = t->inner, outer = block / t->per;
    (void)work;
    if (inner == 1) {
        const REAL *w = t->w + outer * n;
        REAL *out = t->out + outer * n, lane[NPDL_VECTOR_BYTES / sizeof(REAL)];
        ST(lane, FN(npdl_limit_factor)(t, BC(FN(npdl_long_dot)(w, w, n))));
        const VEC factor = BC(lane[0]);
        NPDL_MAP(w, out, n, factor * v)
        return;
    }
    const int64_t start = block % t->per * 64, stop = NPDL_LESS(inner, start + 64);
    for (int64_t column = start; column < stop; column += VL) {
        const int64_t count = NPDL_LESS(VL, stop - column);
        const REAL *w = t->w + outer * n * inner + column;
        REAL *out = t->out + outer * n * inner + column;
        VEC square = BC(0);
        for (int64_t i = 0; i < n;) {
            VEC part = BC(0);
            for (int64_t last = NPDL_LESS(n, i + NPDL_SOFTMAX_BLOCK); i < last; i++) {
                VEC v = NPDL_TAKE_LANES(w + i * inner);
                part = FMA(v, v, part);
            }
            square = square + part;
        }
        VEC factor = FN(npdl_limit_factor)(t, square);
        for (int64_t i = 0; i < n; i++) {
            VEC v = factor * NPDL_TAKE_LANES(w + i * inner);
            NPDL_PUT_LANES(out + i * inner, v);
        }
    }
}

NPDL_API void FN(npdl_norm_limit)(double lowest, double highest, double rate, const REAL *w, REAL *out, int64_t outer,
                                  int64_t n, int64_t inner) {
    FN(npdl_norm_limit_work) t = {(REAL)lowest, (REAL)highest, (REAL)rate, w, out, n, inner,
                                  inner == 1 ? 1 : NPDL_BLOCKS(inner, 64)};
    if (outer && n && inner) npdl_parallel(FN(npdl_norm_limit_block), &t, outer * t.per, 0);
}

/* ---- max(w, 0) */

NPDL_API void FN(npdl_not_negative)(const REAL *w, REAL *out, int64_t n) { NPDL_MAP(w, out, n, RELU(v)) }
