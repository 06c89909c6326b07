/* Elementary functions on VEC, our own: the C library's differ from machine to machine.
 *
 * Branch-free; with FMA every build gives the same bits. Each keeps NaN, is right at ±0, ±infinity and in the
 * subnormals, and has its largest error stated in units in the last place (ulp), as measured by
 * tests/kernels/test_activation.py against wider numbers: float over every exponent and sign, double over random ones.
 * Polynomials are least-squares fits on Chebyshev points, coefficients rounded one by one, lowest first.
 *
 *     FN(npdl_exp)(x)              eˣ                        float 0.9 ulp   double 1.0
 *     FN(npdl_expm1_negative)(x)   eˣ − 1 for x ≤ 0          float 0.9       double 1.2
 *     FN(npdl_log)(x)              ln x                      float 0.9       double 0.8
 *     FN(npdl_log1p)(x)            ln(1 + x), −1 < x ≤ 1     float 0.9       double 0.9
 *     FN(npdl_tanh)(x)                                       float 1.9       double 1.5
 *     FN(npdl_sigmoid)(x)          1 / (1 + e⁻ˣ)             float 2.3       double 2.3
 *     FN(npdl_normal)(x, &d)       Φ(x), and d = Φ'(x)       float 6.2       double 3.8; for x > 0 below 1.5
 *     FN(npdl_sum), FN(npdl_dot)   sums in 16 lanes, the same 16 whatever the vector's width
 */

#ifndef NPDL_ELEMENTARY_H
#define NPDL_ELEMENTARY_H

#define NPDL_PIECE 4096   /* numbers that a kernel works through at a time: they stay in the first cache */
#define NPDL_GRAIN 16384  /* elements of a block: less is not worth a second thread */

#define NPDL_LESS(a, b) ((a) < (b) ? (a) : (b))
#define NPDL_MORE(a, b) ((a) > (b) ? (a) : (b))
#define NPDL_BLOCKS(count, size) (((count) + (size) - 1) / (size))

/* out[i] = EXPRESSION in v = in[i], a vector at a time; the last one partly. */
#define NPDL_MAP(in, out, count, EXPRESSION) \
    { \
        int64_t i = 0; \
        for (; i + VL <= (count); i += VL) { VEC v = LD((in) + i); ST((out) + i, EXPRESSION); } \
        if (i < (count)) { VEC v = LDN((in) + i, (count) - i); STN((out) + i, EXPRESSION, (count) - i); } \
    }

/* The same in v = in[i] and w = other[i]. */
#define NPDL_MAP2(in, other, out, count, EXPRESSION) \
    { \
        int64_t i = 0; \
        for (; i + VL <= (count); i += VL) { \
            VEC v = LD((in) + i), w = LD((other) + i); \
            ST((out) + i, EXPRESSION); \
        } \
        if (i < (count)) { \
            VEC v = LDN((in) + i, (count) - i), w = LDN((other) + i, (count) - i); \
            STN((out) + i, EXPRESSION, (count) - i); \
        } \
    }

#define NPDL_LANES 16
#define UVEC FN(npdl_uvec)
#define POLY(table, x) FN(npdl_poly)(table, sizeof(table) / sizeof(table[0]), x)

#endif

#undef UINT

#if NPDL_REAL_BITS == 32
#define UINT uint32_t
enum { FN(npdl_mantissa) = 23, FN(npdl_bias) = 127 };
static const REAL FN(npdl_magic) = 0x1.8p23f;  /* x + magic − magic rounds x to a whole number */
static const REAL FN(npdl_min_normal) = 0x1p-126f;
static const REAL FN(npdl_ln2_hi) = 0x1.62e4p-1f, FN(npdl_ln2_lo) = 0x1.7f7d1cp-20f;  /* n · ln2_hi is exact */
static const REAL FN(npdl_exp_range)[2] = {-104, 89};  /* below: 0, above: infinity */
static const REAL FN(npdl_exp_poly)[] = {  /* (eʳ − 1 − r) / r², |r| ≤ ln 2 / 2 */
    0.5f, 0.166666672f, 0.0416664779f, 0.00833319128f, 0.00139336928f, 0.00019959324f};
static const REAL FN(npdl_tanh_poly)[] = {  /* (tanh(√z)/√z − 1) / z, z ≤ 0.625² */
    -0.333333313f, 0.133332223f, -0.0539484546f, 0.021708671f, -0.00819482189f, 0.00215734588f};
/* √((e²ᵃ + 1) / 2) for a ≥ 0.625: refitted with new weights until 1 − 1/√² errs by at most 2⁻²⁸, as much at each of
 * the places where it errs most. Beyond a = 10 it goes on rising, so that the quotient is lost beside 1. */
static const REAL FN(npdl_tanh_far)[] = {
    0.999810755f, 0.501446843f, 0.370406657f, 0.153415516f, 0.0172824953f, 0.000613384706f,
    0.0067353528f, -0.0021043038f, 0.000500606431f, -5.60131302e-05f, 3.40918791e-06f};
static const REAL FN(npdl_log_poly)[] = {  /* (ln((1+s)/(1−s))/s − 2) / z, z = s², √½ ≤ (1+s)/(1−s) ≤ √2 */
    0.666666627f, 0.4000085f, 0.285101414f, 0.240292087f};
static const REAL FN(npdl_normal_near)[] = {  /* (Φ(√z) − ½) / √z, z ≤ 1 */
    0.398942202f, -0.0664887577f, 0.00996424071f, -0.00116543018f, 9.2498296e-05f};
static const REAL FN(npdl_normal_far)[] = {  /* Φ(−a) e^(a²/2) (a + 4) in t = 1 − 8/(a + 4), 1 ≤ a ≤ 40 */
    0.755285084f, -0.607896745f, 0.387140393f, -0.186521173f, 0.0603588931f,
    -0.00752440467f, -0.00332119572f, 0.00150602125f, -7.96144304e-05f};
#else
#define UINT uint64_t
enum { FN(npdl_mantissa) = 52, FN(npdl_bias) = 1023 };
static const REAL FN(npdl_magic) = 0x1.8p52;
static const REAL FN(npdl_min_normal) = 0x1p-1022;
static const REAL FN(npdl_ln2_hi) = 0x1.62e42feep-1, FN(npdl_ln2_lo) = 0x1.a39ef35793c76p-33;
static const REAL FN(npdl_exp_range)[2] = {-746, 710};
static const REAL FN(npdl_exp_poly)[] = {
    0.5, 0.16666666666666677, 0.041666666666666678, 0.0083333333333214521, 0.0013888888888877453,
    0.00019841269886523188, 2.4801587340580914e-05, 2.7557243850011981e-06, 2.7557259253183029e-07,
    2.5109151336062306e-08, 2.0919481448961705e-09};
static const REAL FN(npdl_tanh_poly)[] = {
    -0.33333333333333315, 0.13333333333329983, -0.053968253966166287, 0.021869488471209442, -0.0088632343470919916,
    0.0035921143052452431, -0.0014557277388493339, 0.00058945884248015482, -0.00023703010721104955,
    9.1588922989116809e-05, -3.0216403067710109e-05, 6.0547081182021807e-06};
static const REAL FN(npdl_log_poly)[] = {
    0.66666666666666663, 0.40000000000004887, 0.28571428569425988, 0.22222222604645789,
    0.1818177853707591, 0.15386981252616358, 0.13252310628654415, 0.13233378554330472};
static const REAL FN(npdl_normal_near)[] = {
    0.3989422804014327, -0.066490380066906607, 0.0099735570100544669, -0.0011873282156272982, 0.0001154346882681297,
    -9.4446579909566558e-06, 6.6597210245193716e-07, -4.1229046535662729e-08, 2.2740912655242291e-09,
    -1.121897021620868e-10, 4.35503153043688e-12};
static const REAL FN(npdl_normal_far)[] = {
    0.75528513041575152, -0.60789664197189219, 0.38713740074220931, -0.18652185795964099, 0.060396574891239806,
    -0.0075401889676022568, -0.0034796923746836794, 0.0016308184786149884, 0.00013334440074082732,
    -0.00023109520527560598, -1.9088367234920535e-06, 3.5146706231259046e-05, 7.1862598472227189e-07,
    -5.9292502301417961e-06, -6.3190936197697734e-07, 1.0457247374417815e-06, 2.6602367125260515e-07,
    -1.9032336769918285e-07, -6.4743449589739344e-08, 3.5938084927331294e-08};
#endif

typedef UINT UVEC __attribute__((vector_size(NPDL_VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));

/* c₀ + c₁ x + c₂ x² + ... */
NPDL_INLINE VEC FN(npdl_poly)(const REAL *c, int count, VEC x) {
    VEC p = BC(c[count - 1]);
    #pragma GCC unroll 32
    for (int i = count - 2; i >= 0; i--) p = FMA(p, x, BC(c[i]));
    return p;
}

NPDL_INLINE IVEC FN(npdl_ibroadcast)(INT s) {
    IVEC zero = {0};
    return zero + s;
}

/* The bits of x without and of the sign alone. */
NPDL_INLINE VEC FN(npdl_abs)(VEC x) { return (VEC)((IVEC)x & FN(npdl_ibroadcast)((INT)(~(UINT)0 >> 1))); }
NPDL_INLINE IVEC FN(npdl_sign)(VEC x) { return (IVEC)x & FN(npdl_ibroadcast)((INT)~(~(UINT)0 >> 1)); }

/* x = k ln 2 + r with |r| ≤ ln 2 / 2: returns r; *shifted = k + magic. */
NPDL_INLINE VEC FN(npdl_reduce)(VEC x, VEC *shifted) {
    VEC magic = BC(FN(npdl_magic));
    *shifted = FMA(x, BC((REAL)1.4426950408889634), magic);
    VEC k = *shifted - magic;
    return FMA(k, BC(-FN(npdl_ln2_lo)), FMA(k, BC(-FN(npdl_ln2_hi)), x));
}

/* y 2ᵏ, rounded once where it is subnormal; shifted = k + magic. */
NPDL_INLINE VEC FN(npdl_scale)(VEC y, VEC shifted) {
#if NPDL_VECTOR_BYTES == 64 && NPDL_REAL_BITS == 32
    return (VEC)_mm512_scalef_ps((__m512)y, (__m512)(shifted - BC(FN(npdl_magic))));
#elif NPDL_VECTOR_BYTES == 64
    return (VEC)_mm512_scalef_pd((__m512d)y, (__m512d)(shifted - BC(FN(npdl_magic))));
#else
    /* Twice half of 2ᵏ: k reaches beyond the exponents of normal numbers. */
    UVEC both = (UVEC)shifted - (UVEC)BC(FN(npdl_magic)) + 2 * FN(npdl_bias), half = both >> 1;
    return y * (VEC)(half << FN(npdl_mantissa)) * (VEC)((both - half) << FN(npdl_mantissa));
#endif
}

NPDL_INLINE VEC FN(npdl_exp)(VEC x) {
    VEC k, r = FN(npdl_reduce)(MIN(BC(FN(npdl_exp_range)[1]), MAX(BC(FN(npdl_exp_range)[0]), x)), &k);
    return FN(npdl_scale)(FMA(FMA(POLY(FN(npdl_exp_poly), r), r, BC(1)), r, BC(1)), k);
}

/* x > 0 counts as 0. */
NPDL_INLINE VEC FN(npdl_expm1_negative)(VEC x) {
    x = MIN(BC(0), MAX(BC(-40), x));  /* −1 below −40 */
    VEC shifted, r = FN(npdl_reduce)(x, &shifted);
    VEC p = FMA(POLY(FN(npdl_exp_poly), r), r * r, r);
    VEC scale = (VEC)(((UVEC)shifted - (UVEC)BC(FN(npdl_magic)) + FN(npdl_bias)) << FN(npdl_mantissa));
    return FMA(p, scale, scale - BC(1));
}

/* ln x + c for normal x > 0 and a small correction c. */
NPDL_INLINE VEC FN(npdl_log_normal)(VEC x, VEC k0, VEC c) {
    /* x = 2ᵏ (1 + f), √½ ≤ 1 + f < √2 */
    const UINT one = (UINT)FN(npdl_bias) << FN(npdl_mantissa);
#if NPDL_REAL_BITS == 32
    const UINT root_half = 0x3f3504f3;
#else
    const UINT root_half = 0x3fe6a09e667f3bcd;
#endif
    UVEC bits = (UVEC)x;
    UVEC e = (bits - root_half + one) >> FN(npdl_mantissa);  /* k + bias */
    VEC m = (VEC)(bits - ((e - FN(npdl_bias)) << FN(npdl_mantissa)));
    VEC magic = BC(FN(npdl_magic)), k = (VEC)((UVEC)magic + e) - (magic + BC(FN(npdl_bias))) + k0;
    /* With s = f / (2 + f):  ln(1 + f) = ln((1+s)/(1−s)) = 2s + s R(s²) = f − (f²/2 − s (f²/2 + R)) */
    VEC f = m - BC(1), s = f / (f + BC(2)), z = s * s, r = z * POLY(FN(npdl_log_poly), z);
    VEC half = BC((REAL)0.5) * f * f;
    VEC low = FMA(s, half + r, FMA(k, BC(FN(npdl_ln2_lo)), c));
    return FMA(k, BC(FN(npdl_ln2_hi)), f - (half - low));
}

NPDL_INLINE VEC FN(npdl_log)(VEC x) {
    const REAL shift = FN(npdl_mantissa) + 1;
    IVEC tiny = x < BC(FN(npdl_min_normal));
    VEC scaled = SELECT(tiny, x * BC((REAL)(((UINT)2) << FN(npdl_mantissa))), x);
    VEC y = FN(npdl_log_normal)(scaled, SELECT(tiny, BC(-shift), BC(0)), BC(0));
    VEC inf = BC((REAL)INFINITY);
    VEC other = SELECT(x == BC(0), -inf, SELECT(x < BC(0), inf - inf, x));
    return SELECT((x > BC(0)) & (x < inf), y, other);
}

NPDL_INLINE VEC FN(npdl_log1p)(VEC x) {
    VEC u = x + BC(1), lost = x - (u - BC(1));  /* 1 + x = u + lost, exactly */
    return SELECT(x == x, FN(npdl_log_normal)(u, BC(0), lost / u), x);
}

NPDL_INLINE VEC FN(npdl_tanh)(VEC x) {
    VEC a = FN(npdl_abs)(x), z = a * a;
    VEC near = FMA(POLY(FN(npdl_tanh_poly), z) * z, a, a);
#if NPDL_REAL_BITS == 32
    VEC root = POLY(FN(npdl_tanh_far), a), far = BC(1) - BC(1) / (root * root);
#else
    VEC e = FN(npdl_exp)(a * BC(-2)), far = BC(1) - (e + e) / (e + BC(1));
#endif
    return (VEC)((IVEC)SELECT(a < BC((REAL)0.625), near, far) | FN(npdl_sign)(x));
}

NPDL_INLINE VEC FN(npdl_sigmoid)(VEC x) {
    VEC e = FN(npdl_exp)(-FN(npdl_abs)(x));
    return SELECT(x < BC(0), e, BC(1)) / (e + BC(1));
}

/* Φ(x) = ½ (1 + erf(x/√2)), the normal distribution's; *density = e^(−x²/2) / √(2π). */
NPDL_INLINE VEC FN(npdl_normal)(VEC x, VEC *density) {
    VEC a = FN(npdl_abs)(x), far = BC(40);  /* Φ(−40) is 0 in double precision */
    a = MIN(far, a);
    VEC half = a * BC((REAL)0.5), square = a * half, lost = FMA(a, half, -square);
    VEC e = FN(npdl_exp)(-square);
    e = FMA(e, -lost, e);
    *density = e * BC((REAL)0.3989422804014327);
    VEC w = BC(1) / (a + BC(4)), tail = e * (POLY(FN(npdl_normal_far), FMA(w, BC(-8), BC(1))) * w);
    VEC near = FMA(POLY(FN(npdl_normal_near), x * x), x, BC((REAL)0.5));
    return SELECT(a < BC(1), near, SELECT(x > BC(0), BC(1) - tail, tail));
}

/* Sums. Element i goes to lane i mod 16, in order; the lanes are added in halves: 8 + 8, 4 + 4, ... */

/* Σ x[i] y[i], or Σ x[i] where y is NULL, of one piece. */
NPDL_INLINE REAL FN(npdl_dot)(const REAL *x, const REAL *y, int64_t n) {
    enum { vectors = NPDL_LANES * sizeof(REAL) / NPDL_VECTOR_BYTES };
    VEC sum[vectors];
    REAL lane[NPDL_LANES];
    for (int j = 0; j < vectors; j++) sum[j] = BC(0);
    int64_t i = 0;
    for (; i + NPDL_LANES <= n; i += NPDL_LANES)
        for (int j = 0; j < vectors; j++) {
            VEC v = LD(x + i + j * VL);
            if (y) sum[j] = FMA(v, LD(y + i + j * VL), sum[j]);
            else sum[j] = sum[j] + v;
        }
    for (int j = 0; j < vectors; j++) ST(lane + j * VL, sum[j]);
    for (int j = 0; i < n; i++, j++) lane[j] = y ? FMA1(x[i], y[i], lane[j]) : lane[j] + x[i];
    for (int half = NPDL_LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++) lane[j] += lane[j + half];
    return lane[0];
}

/* Σ x[i] y[i], or Σ x[i] where y is NULL, of any length. */
NPDL_INLINE REAL FN(npdl_long_dot)(const REAL *x, const REAL *y, int64_t n) {
    REAL total = 0;
    for (int64_t i = 0; i < n; i += NPDL_PIECE)
        total += FN(npdl_dot)(x + i, y ? y + i : y, NPDL_LESS(n - i, NPDL_PIECE));
    return total;
}

NPDL_INLINE REAL FN(npdl_sum)(const REAL *x, int64_t n) { return FN(npdl_long_dot)(x, (const REAL *)0, n); }

/* max x[i], n ≥ 1. Of NaNs it is unspecified whether they are seen. */
NPDL_INLINE REAL FN(npdl_max)(const REAL *x, int64_t n) {
    REAL top = x[0], lane[NPDL_VECTOR_BYTES / sizeof(REAL)];
    int64_t i = 0;
    if (n >= VL) {
        VEC most = LD(x);
        for (i = VL; i + VL <= n; i += VL) {
            VEC v = LD(x + i);
            most = MAX(v, most);
        }
        ST(lane, most);
        top = lane[0];
        for (int j = 1; j < VL; j++) top = lane[j] > top ? lane[j] : top;
    }
    for (; i < n; i++) top = x[i] > top ? x[i] : top;
    return top;
}
