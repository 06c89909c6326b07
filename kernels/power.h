/* Powers of absolute values. Formulas: npdl/kernels/reference/power.py. Outputs may be the inputs. */

typedef struct {
    const REAL *dy, *x; /* dy NULL: the power itself */
    REAL *out;
    double exponent;
    int64_t n;
} FN(npdl_power_work);

/* Whole exponents up to this one are products: x squared again and again, which loses p/2 ulp at most. */
#define NPDL_WHOLE_POWERS 64

/* xᵖ for a whole p ≥ 1 */
NPDL_INLINE VEC FN(npdl_whole_power)(VEC x, int p) {
    VEC y = BC(1);
    for (;; x = x * x) {
        if (p & 1) y = y * x;
        if (!(p >>= 1)) return y;
    }
}

static void FN(npdl_power_block)(void *context, int64_t block, void *work) {
    const FN(npdl_power_work) *s = context;
    const int64_t start = block * NPDL_GRAIN, n = NPDL_LESS(s->n - start, NPDL_GRAIN);
    const REAL *x = s->x + start, *dy = s->dy ? s->dy + start : NULL;
    REAL *out = s->out + start;
    const double p = s->exponent;
    const VEC zero = BC(0), exponent = BC((REAL)p), lower = BC((REAL)(p - 1));
    const int whole = p > 2 && p <= NPDL_WHOLE_POWERS && p == (int)p ? (int)p : 0;
    (void)work;
    if (!dy) {
        if (p == 1) NPDL_MAP(x, out, n, FN(npdl_abs)(v))
        else if (p == 2) NPDL_MAP(x, out, n, v * v)
        else if (p == 0.5) NPDL_MAP(x, out, n, FN(npdl_sqrt)(FN(npdl_abs)(v)))
        else if (whole) NPDL_MAP(x, out, n, FN(npdl_whole_power)(FN(npdl_abs)(v), whole))
        else NPDL_MAP(x, out, n, FN(npdl_power)(FN(npdl_abs)(v), exponent))
        return;
    }
    if (p == 1) NPDL_MAP2(dy, x, out, n, v * FN(npdl_signum)(w))
    else if (p == 2) NPDL_MAP2(dy, x, out, n, v * (w + w))
    else if (whole)
        NPDL_MAP2(dy, x, out, n, v * (exponent * FN(npdl_whole_power)(FN(npdl_abs)(w), whole - 1) * FN(npdl_signum)(w)))
    else if (p == 0.5)
        NPDL_MAP2(dy, x, out, n, v * SELECT(w == zero, zero, exponent / FN(npdl_sqrt)(FN(npdl_abs)(w)) * FN(npdl_signum)(w)))
    else
        NPDL_MAP2(dy, x, out, n,
                  v * SELECT(w == zero, zero,
                             exponent * FN(npdl_power)(FN(npdl_abs)(w), lower) * FN(npdl_signum)(w)))
}

/* out = |x|^exponent, or where dy is not NULL dy times its derivative; n elements */
NPDL_API void FN(npdl_powers)(const REAL *dy, const REAL *x, double exponent, REAL *out, int64_t n) {
    FN(npdl_power_work) s = {dy, x, out, exponent, n};
    npdl_parallel(FN(npdl_power_block), &s, NPDL_BLOCKS(n, NPDL_GRAIN), 0);
}
