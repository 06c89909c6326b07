/* Numbers of 16 bits, in arrays of REAL. Formulas: npdl/kernels/reference/rounding.py. Outputs may be the inputs.
 *
 * A number of p binary digits with the power of two s, so from s to 2s, is a multiple of u = s 2^(1 − p). REAL has
 * M = NPDL_BEHIND digits behind the point. So C = s 2^(M − p + 1) is large enough that C + x has no room for less than
 * u: the processor rounds it to the nearest multiple, of two as near to the even one, and C is taken away again without
 * an error. Below the least power of two of the type u stays what it is there. C must not overflow: numbers from 1 on
 * are made smaller meanwhile.
 */

typedef struct {
    const REAL *x;
    REAL *out;
    int64_t n;
    int half; /* float16, else bfloat16 */
} FN(npdl_rounded_work);

#undef NPDL_EXPONENT
#undef NPDL_BEHIND
#if NPDL_REAL_BITS == 32
#define NPDL_EXPONENT 0x7f800000 /* the bits of the power of two */
#define NPDL_BEHIND 23
#else
#define NPDL_EXPONENT 0x7ff0000000000000
#define NPDL_BEHIND 52
#endif

typedef struct {
    VEC least, too_large, up; /* the least power of two, half a unit above the largest number, C / s */
} FN(npdl_narrow_type);

NPDL_INLINE VEC FN(npdl_nearest)(VEC x, FN(npdl_narrow_type) t) {
    const VEC whole = FN(npdl_abs)(x);
    const IVEC large = whole >= BC(1);
    const VEC a = SELECT(large, whole * BC((REAL)0x1p-64), whole);
    const VEC power = (VEC)((IVEC)a & FN(npdl_ibroadcast)(NPDL_EXPONENT));
    const VEC c = SELECT(large, power, MAX(power, t.least)) * t.up;
    const VEC near = (a + c) - c, y = SELECT(large, near * BC((REAL)0x1p64), near);
    return (VEC)((IVEC)SELECT(whole >= t.too_large, BC((REAL)INFINITY), y) | FN(npdl_sign)(x));
}

static void FN(npdl_rounded_block)(void *context, int64_t block, void *work) {
    const FN(npdl_rounded_work) *s = context;
    const int64_t start = block * NPDL_GRAIN, n = NPDL_LESS(s->n - start, NPDL_GRAIN);
    const REAL *x = s->x + start;
    REAL *out = s->out + start;
    const FN(npdl_narrow_type) t = {
        BC((REAL)(s->half ? 0x1p-14 : 0x1p-126)),
        BC((REAL)(s->half ? 65520 : 0x1.ffp127)),
        BC((REAL)((int64_t)1 << (NPDL_BEHIND + 1 - (s->half ? 11 : 8)))),
    };
    (void)work;
    NPDL_MAP(x, out, n, FN(npdl_nearest)(v, t))
}

/* out = the bfloat16 nearest to x, with `half` the float16; n elements */
NPDL_API void FN(npdl_rounded)(const REAL *x, REAL *out, int64_t n, int half) {
    FN(npdl_rounded_work) s = {x, out, n, half};
    npdl_parallel(FN(npdl_rounded_block), &s, NPDL_BLOCKS(n, NPDL_GRAIN), 0);
}
