/* Sums of two arrays, element by element. Formulas: npdl/kernels/reference/merge.py.
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
static void FN(npdl_add)(int relu, const REAL *a, const REAL *b, REAL *out, int64_t n) {
    FN(npdl_add_work) s = {relu, a, b, out, n};
    npdl_parallel(FN(npdl_add_block), &s, NPDL_BLOCKS(n, NPDL_GRAIN), 0);
}
