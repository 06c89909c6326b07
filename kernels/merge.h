/* Sums, differences, products, largest and smallest of two arrays, element by element, and what their gradients need.
 * Formulas: npdl/kernels/reference/merge.py.
 *
 * ReLU, the usual end of a residual block, costs no second pass. Outputs may be the inputs.
 */

typedef struct {
    int relu;
    const REAL *a, *b;
    REAL *out;
    int64_t n;
} FN(npdl_add_work);

static void FN(npdl_add_block)(void *context, int64_t block, void *work) {
    const FN(npdl_add_work) *s = context;
    const int64_t start = block * NPDL_GRAIN, n = NPDL_LESS(s->n - start, NPDL_GRAIN);
    const REAL *a = s->a + start, *b = s->b + start;
    REAL *out = s->out + start;
    (void)work;
    if (s->relu) NPDL_MAP2(a, b, out, n, (v = v + w, RELU(v)))
    else NPDL_MAP2(a, b, out, n, v + w)
}

/* out = a + b, or max(a + b, 0); n elements. */
NPDL_API void FN(npdl_add)(int relu, const REAL *a, const REAL *b, REAL *out, int64_t n) {
    FN(npdl_add_work) s = {relu, a, b, out, n};
    npdl_parallel(FN(npdl_add_block), &s, NPDL_BLOCKS(n, NPDL_GRAIN), 0);
}

#ifndef NPDL_MERGE_OPERATIONS
#define NPDL_MERGE_OPERATIONS
enum { NPDL_SUBTRACT, NPDL_MULTIPLY, NPDL_MAXIMUM, NPDL_MINIMUM, NPDL_SCALE };
#endif

typedef struct {
    int op;
    REAL factor;
    const REAL *a, *b;
    REAL *out;
    int64_t n;
} FN(npdl_combine_work);

static void FN(npdl_combine_block)(void *context, int64_t block, void *work) {
    const FN(npdl_combine_work) *s = context;
    const int64_t start = block * NPDL_GRAIN, n = NPDL_LESS(s->n - start, NPDL_GRAIN);
    const REAL *a = s->a + start, *b = s->b + start;
    REAL *out = s->out + start;
    const VEC factor = BC(s->factor);
    (void)work;
    switch (s->op) {
    case NPDL_SUBTRACT: NPDL_MAP2(a, b, out, n, v - w) break;
    case NPDL_MULTIPLY: NPDL_MAP2(a, b, out, n, v * w) break;
    case NPDL_MAXIMUM: NPDL_MAP2(a, b, out, n, SELECT(v >= w, v, SELECT(v == v, w, v))) break;  /* v of no number: v */
    case NPDL_MINIMUM: NPDL_MAP2(a, b, out, n, SELECT(v <= w, v, SELECT(v == v, w, v))) break;
    case NPDL_SCALE: NPDL_MAP(a, out, n, v * factor) break;
    }
}

/* out = a op b, or a · factor; n elements; b is not read then. */
NPDL_API void FN(npdl_combine)(int op, double factor, const REAL *a, const REAL *b, REAL *out, int64_t n) {
    FN(npdl_combine_work) s = {op, (REAL)factor, a, b, out, n};
    npdl_parallel(FN(npdl_combine_block), &s, NPDL_BLOCKS(n, NPDL_GRAIN), 0);
}

typedef struct {
    const REAL *dy, *x, *y;
    REAL *out, *rest;
    int64_t n;
} FN(npdl_match_work);

static void FN(npdl_match_block)(void *context, int64_t block, void *work) {
    const FN(npdl_match_work) *s = context;
    const int64_t start = block * NPDL_GRAIN, n = NPDL_LESS(s->n - start, NPDL_GRAIN);
    const VEC zero = BC(0);
    (void)work;
    for (int64_t i = start; i < start + n; i += VL) {
        const int64_t k = NPDL_LESS(start + n - i, VL);
        const VEC dy = LDN(s->dy + i, k), x = LDN(s->x + i, k), y = LDN(s->y + i, k);
        STN(s->out + i, SELECT(x == y, dy, zero), k);
        STN(s->rest + i, SELECT(x == y, zero, dy), k);
    }
}

/* out = dy where x = y, rest = dy where not, 0 elsewhere; n elements; rest may be dy. */
NPDL_API void FN(npdl_match_grad)(const REAL *dy, const REAL *x, const REAL *y, REAL *out, REAL *rest, int64_t n) {
    FN(npdl_match_work) s = {dy, x, y, out, rest, n};
    npdl_parallel(FN(npdl_match_block), &s, NPDL_BLOCKS(n, NPDL_GRAIN), 0);
}
