/* Elementary functions on VEC, our own: the C library's differ from machine to machine.
 *
 * Branch-free, but that Φ looks whether any number lies far out; with FMA every build gives the same bits. Each keeps
 * NaN, is right at ±0, ±infinity and in the subnormals, and has its largest error stated in units in the last place
 * (ulp), as measured by tests/kernels/test_activation.py against wider numbers: float over every exponent and sign,
 * double over random ones. Polynomials are least-squares fits on Chebyshev points, coefficients rounded one by one,
 * lowest first.
 *
 *     FN(npdl_exp)(x)              eˣ                        float 0.9 ulp   double 1.0
 *     FN(npdl_expm1_negative)(x)   eˣ − 1 for x ≤ 0          float 0.9       double 1.2
 *     FN(npdl_log)(x)              ln x                      float 0.9       double 0.8
 *     FN(npdl_log1p)(x)            ln(1 + x), −1 < x ≤ 1     float 0.9       double 0.9
 *     FN(npdl_tanh)(x)                                       float 1.4       double 1.5
 *     FN(npdl_sigmoid)(x)          1 / (1 + e⁻ˣ)             float 2.3       double 2.3
 *     FN(npdl_normal)(x, &d)       Φ(x), and d = Φ'(x)       float 2.8       double 3.8; float below 1.2 within ±5.25
 *     FN(npdl_softpluses)(&x, 1)   ln(1 + eˣ)                float 1.6       double 1.6 (more_activations.h)
 *     FN(npdl_sum), FN(npdl_dot)   sums in 16 lanes, the same 16 whatever the vector's width
 *
 * A function is a chain of some fifteen operations, each of which waits four cycles for the one before, and a processor
 * looks ahead over three or four vectors only. So the frequent ones are written for `count` vectors side by side,
 * FN(npdl_exps)(x, count) with x[j] = eˣ⁽ʲ⁾: every step on all vectors before the next step. (Cycles for 16 numbers of the
 * first cache with AVX-512, vector by vector and four side by side: exp 17.4, 11.6.)
 */

#ifndef NPDL_ELEMENTARY_H
#define NPDL_ELEMENTARY_H

#define NPDL_PIECE 4096   /* numbers that a kernel works through at a time: they stay in the first cache */
#define NPDL_GRAIN 16384  /* elements of a block: less is not worth a second thread */

#define NPDL_LESS(a, b) ((a) < (b) ? (a) : (b))
#define NPDL_MORE(a, b) ((a) > (b) ? (a) : (b))
#define NPDL_BLOCKS(count, size) (((count) + (size) - 1) / (size))

#define NPDL_WIDE 4 /* vectors side by side */

/* For every one of `count` vectors, a number known when this is compiled. */
#define EACH _Pragma("GCC unroll 8") for (int j = 0; j < count; j++)

/* Ask for what lies 2 KB behind p, of what is read and of what is written: a line that is written is read first. Arrays
 * that are in no near cache come faster by it, and others as before: a copy of 4 million floats by a half, one of 20
 * million by a fifth (Xeon, 36 MB of third cache, two threads). Stores past the caches, which read no line first, are no
 * faster than plain ones there, and take twice as long where the third cache would have held the array. An address beyond
 * the array does no harm. */
#define NPDL_FETCH_ONE(p) __builtin_prefetch((const void *)((uintptr_t)(p) + 2048));
#define NPDL_FETCH(p) \
    for (int byte_ = 0; byte_ < NPDL_WIDE * NPDL_VECTOR_BYTES; byte_ += 64) NPDL_FETCH_ONE((uintptr_t)(p) + byte_)

/* out[i] = FUNCTION of in[i], NPDL_WIDE vectors at a time; FUNCTION(v, count) replaces v[j]. */
#define NPDL_MAP_WIDE(in, out, size, FUNCTION) \
    { \
        VEC v[NPDL_WIDE]; \
        int64_t i = 0; \
        for (; i + NPDL_WIDE * VL <= (size); i += NPDL_WIDE * VL) { \
            enum { count = NPDL_WIDE }; \
            NPDL_FETCH((in) + i) \
            NPDL_FETCH((out) + i) \
            EACH v[j] = LD((in) + i + j * VL); \
            FUNCTION(v, count); \
            EACH ST((out) + i + j * VL, v[j]); \
        } \
        for (; i < (size); i += VL) { \
            int64_t n_ = NPDL_LESS((size) - i, VL); \
            v[0] = n_ == VL ? LD((in) + i) : LDN((in) + i, n_); \
            FUNCTION(v, 1); \
            if (n_ == VL) ST((out) + i, v[0]); \
            else STN((out) + i, v[0], n_); \
        } \
    }

/* out[i] = EXPRESSION in v = in[i], a vector at a time; the last one partly. */
#define NPDL_MAP(in, out, count, EXPRESSION) \
    { \
        int64_t i = 0; \
        for (; i + VL <= (count); i += VL) { \
            VEC v = LD((in) + i); \
            NPDL_FETCH_ONE((in) + i) \
            NPDL_FETCH_ONE((out) + i) \
            ST((out) + i, EXPRESSION); \
        } \
        if (i < (count)) { VEC v = LDN((in) + i, (count) - i); STN((out) + i, EXPRESSION, (count) - i); } \
    }

/* The same in v = in[i] and w = other[i]. */
#define NPDL_MAP2(in, other, out, count, EXPRESSION) \
    { \
        int64_t i = 0; \
        for (; i + VL <= (count); i += VL) { \
            VEC v = LD((in) + i), w = LD((other) + i); \
            NPDL_FETCH_ONE((in) + i) \
            NPDL_FETCH_ONE((other) + i) \
            NPDL_FETCH_ONE((out) + i) \
            ST((out) + i, EXPRESSION); \
        } \
        if (i < (count)) { \
            VEC v = LDN((in) + i, (count) - i), w = LDN((other) + i, (count) - i); \
            STN((out) + i, EXPRESSION, (count) - i); \
        } \
    }

/* out[i] = EXPRESSION in v[j] = in[i] and w[j], which FUNCTION(w, count) made from other[i]. */
#define NPDL_MAP2_WIDE(in, other, out, size, FUNCTION, EXPRESSION) \
    { \
        VEC v[NPDL_WIDE], w[NPDL_WIDE]; \
        int64_t i = 0; \
        for (; i + NPDL_WIDE * VL <= (size); i += NPDL_WIDE * VL) { \
            enum { count = NPDL_WIDE }; \
            NPDL_FETCH((in) + i) \
            NPDL_FETCH((other) + i) \
            NPDL_FETCH((out) + i) \
            EACH w[j] = LD((other) + i + j * VL); \
            FUNCTION(w, count); \
            EACH v[j] = LD((in) + i + j * VL); \
            EACH ST((out) + i + j * VL, EXPRESSION); \
        } \
        for (int j = 0; i < (size); i += VL) { \
            int64_t n_ = NPDL_LESS((size) - i, VL); \
            w[0] = n_ == VL ? LD((other) + i) : LDN((other) + i, n_); \
            v[0] = n_ == VL ? LD((in) + i) : LDN((in) + i, n_); \
            FUNCTION(w, 1); \
            if (n_ == VL) ST((out) + i, EXPRESSION); \
            else STN((out) + i, EXPRESSION, n_); \
        } \
    }

#define NPDL_LANES 16
#define UVEC FN(npdl_uvec)
#define POLY(table, x) FN(npdl_poly)(table, sizeof(table) / sizeof(table[0]), x)
#define POLYS(table, x, p, count) FN(npdl_polys)(table, sizeof(table) / sizeof(table[0]), x, p, count)

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
/* tanh a ≈ c₀ + c₁ t + ... + c₅ t⁵ with t = a − m, in 16 intervals: four to each doubling of a + 0.625, that is to four
 * values of its exponent. Rows: m, c₀, ..., c₅; column: the exponent's last two bits and the mantissa's first two. The
 * first interval, where a + 0.625 < 0.75, has m = c₀ = 0 and c₁ = 1; in the others m is a place in the middle at which
 * tanh m is next to a float. */
#define NPDL_TANH_SHIFT 0.625f
#define NPDL_TANH_LIMIT 9.1f  /* from here on tanh a rounds to 1 */
static const REAL FN(npdl_tanh_table)[7][16] = {
    {1.61669922f, 2.11810303f, 2.62402344f, 3.12475586f, 3.88897705f, 4.85913086f, 5.88592529f, 6.85888672f,
     8.27197266f, 0, 0.189941406f, 0.312072754f, 0.49798584f, 0.747009277f, 1.00415039f, 1.2487793f},
    {0.92414391f, 0.971487641f, 0.989539444f, 0.996144652f, 0.999162614f, 0.999879658f, 0.999984562f, 0.999997795f,
     0.999999881f, 0, 0.187689677f, 0.302321583f, 0.460531652f, 0.63336134f, 0.763331711f, 0.847940981f},
    {0.145958096f, 0.0562117361f, 0.0208116882f, 0.00769583369f, 0.00167419307f, 0.000240660404f, 3.08767085e-05f,
     4.41052953e-06f, 2.64840196e-07f, 1, 0.964772582f, 0.908601642f, 0.78791064f, 0.598853409f, 0.417324662f,
     0.280996084f},
    {-0.134893477f, -0.0546081364f, -0.0205929056f, -0.00766565045f, -0.00167065579f, -0.000240349531f,
     -3.08341841e-05f, -4.40486565e-06f, -3.2130103e-07f, 2.96966675e-07f, -0.18107751f, -0.274689466f,
     -0.362852335f, -0.379290491f, -0.31855911f, -0.238269567f},
    {0.0759987235f, 0.034317404f, 0.0134412227f, 0.00507108821f, 0.00111025549f, 0.000160518306f, 2.05333199e-05f,
     2.94267056e-06f, 1.47906789e-07f, -0.33335489f, -0.287604511f, -0.219807491f, -0.0955409855f, 0.0406084843f,
     0.104067549f, 0.108373299f},
    {-0.0249013286f, -0.0151798362f, -0.00649174023f, -0.0025227929f, -0.000580441556f, -8.38972337e-05f,
     -1.07844517e-05f, -1.54053009e-06f, -2.99471026e-08f, 0.000462404802f, 0.114027552f, 0.15763697f, 0.163836524f,
     0.10067834f, 0.0271602329f, -0.0121456506f},
    {0.00115936482f, 0.00445204275f, 0.00235800259f, 0.00097520306f, 0.000236819295f, 3.21742882e-05f,
     4.39798487e-06f, 5.91390119e-07f, 7.27976754e-08f, 0.130029544f, 0.0961874202f, 0.0429541543f, -0.0256848484f,
     -0.0635608658f, -0.0464679487f, -0.0194174796f},
};
static const REAL FN(npdl_log_poly)[] = {  /* (ln((1+s)/(1−s))/s − 2) / z, z = s², √½ ≤ (1+s)/(1−s) ≤ √2 */
    0.666666627f, 0.4000085f, 0.285101414f, 0.240292087f};
/* Φ(−a) ≈ c₀ + c₁ t + ... + c₆ t⁶ with t = a − m, below NPDL_NORMAL_NEAR, in 16 intervals: a is in the one of the number
 * next to a (0.9 + 0.39 a), for the further from 0 they are, the narrower they must be. Rows: m, c₀, ..., c₆; column: the
 * interval. m is 0 in the first, else a place in the middle at which the function is next to a float. */
#define NPDL_NORMAL_NEAR 5.25f
static const REAL FN(npdl_normal_near)[8][16] = {
    {0, 0.79209876f, 1.3751655f, 1.8424755f, 2.2448373f, 2.6041791f, 2.931066f, 3.2342708f, 3.5180788f, 3.784477f,
     4.036989f, 4.2804484f, 4.5098047f, 4.733303f, 4.9464254f, 5.152582f},
    {0.5f, 0.21415155f, 0.08454008f, 0.03270281f, 0.01238929f, 0.0046047303f, 0.0016890048f, 0.0006097688f,
     0.00021734163f, 7.701608e-05f, 2.7070779e-05f, 9.325855e-06f, 3.2443663e-06f, 1.1044764e-06f,
     3.779433e-07f, 1.2846199e-07f},
    {-0.39894238f, -0.29151943f, -0.15497702f, -0.073072985f, -0.032110065f, -0.01343606f, -0.0054370826f,
     -0.0021352055f, -0.0008190399f, -0.00030964887f, -0.00011534541f, -4.1906995e-05f, -1.5293117e-05f,
     -5.4438865e-06f, -1.9406245e-06f, -6.852447e-07f},
    {3.9897345e-06f, 0.11545586f, 0.10655948f, 0.0673176f, 0.036040947f, 0.017494956f, 0.007968225f, 0.0034529169f,
     0.0014407232f, 0.0005859293f, 0.00023282401f, 8.969034e-05f, 3.448447e-05f, 1.28837755e-05f, 4.799573e-06f,
     1.765388e-06f},
    {0.066436514f, 0.018106233f, -0.02301347f, -0.029164601f, -0.02161714f, -0.012947532f, -0.006879027f,
     -0.0033666883f, -0.0015530173f, -0.00068753294f, -0.00029407346f, -0.00012098421f, -4.9289138e-05f,
     -1.9419651e-05f, -7.589909e-06f, -2.9177907e-06f},
    {0.0003398689f, -0.022819357f, -0.009845862f, 0.0022136276f, 0.0061237738f, 0.00551341f, 0.0037126401f,
     0.0021466548f, 0.001125835f, 0.00055287365f, 0.00025800522f, 0.000114524475f, 4.9827715e-05f,
     2.0834255e-05f, 8.587072e-06f, 3.4648888e-06f},
    {-0.011074727f, 0.0008230202f, 0.006079621f, 0.0035519425f, 0.0005058721f, -0.00091670925f, -0.0011392894f,
     -0.0008831826f, -0.00055973214f, -0.00031606518f, -0.0001648435f, -8.029376e-05f, -3.7762118e-05f,
     -1.691575e-05f, -7.4030136e-06f, -3.1544835e-06f},
    {0.0017919539f, 0.002838972f, -0.00010407193f, -0.0013694282f, -0.0009779638f, -0.0003317943f, 6.241962e-05f,
     0.00019122937f, 0.00017587484f, 0.00012361856f, 7.5584605e-05f, 4.1645817e-05f, 2.1475254e-05f,
     1.044886e-05f, 4.8674287e-06f, 2.2026843e-06f},
};
/* Φ(−a) e^(a²/2) ≈ c₀ + c₁ t + ... + c₇ t⁷ with t = a − m, in 8 intervals to 15, two to each doubling of a + 1. Rows: m,
 * c₀, ..., c₇; column: the exponent's last two bits and the mantissa's first. m is a place in the middle at which the
 * function is next to a float. (A table of 16 intervals takes a sixth more time with AVX2, which looks up 8 at once.) */
static const REAL FN(npdl_normal_far)[9][8] = {
    {1.4806519f, 2.49646f, 3.9732056f, 5.9675293f, 9.008728f, 12.903198f, 0.25372314f, 0.7648926f},
    {0.20754051f, 0.14149298f, 0.09498468f, 0.06511436f, 0.04375734f, 0.03073564f, 0.4129345f, 0.29766333f},
    {-0.09164704f, -0.045710728f, -0.021548623f, -0.01037045f, -0.004744289f, -0.0023542263f, -0.29417124f,
     -0.1712618f},
    {0.035921656f, 0.013688999f, 0.0046838373f, 0.0016141993f, 0.0005086746f, 0.00017929627f, 0.16914825f,
     0.083333224f},
    {-0.01281982f, -0.0038455485f, -0.0009796179f, -0.0002458927f, -5.3950534e-05f, -1.3578273e-05f, -0.083750874f,
     -0.035840817f},
    {0.0042330464f, 0.001021937f, 0.00019758697f, 3.6686422e-05f, 5.650213e-06f, 1.0221166e-06f, 0.03697213f,
     0.013979536f},
    {-0.0013106322f, -0.00025888742f, -3.8748352e-05f, -5.377774e-06f, -5.8693354e-07f, -7.66926e-08f, -0.014889541f,
     -0.0050141253f},
    {0.000395949f, 6.4292966e-05f, 7.826207e-06f, 8.015288e-07f, 6.555627e-08f, 5.9428045e-09f, 0.0056074644f,
     0.0017019405f},
    {-0.00010583473f, -1.4536373e-05f, -1.377476e-06f, -1.0879334e-07f, -6.691168e-09f, -4.171847e-10f, -0.0018155519f,
     -0.0006701668f},
};
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

/* p[j] = c₀ + c₁ x[j] + c₂ x[j]² + ... */
NPDL_INLINE void FN(npdl_polys)(const REAL *c, int terms, const VEC *x, VEC *p, int count) {
    EACH p[j] = BC(c[terms - 1]);
    #pragma GCC unroll 32
    for (int i = terms - 2; i >= 0; i--) EACH p[j] = FMA(p[j], x[j], BC(c[i]));
}

NPDL_INLINE IVEC FN(npdl_ibroadcast)(INT s) {
    IVEC zero = {0};
    return zero + s;
}

/* The bits of x without and of the sign alone. */
NPDL_INLINE VEC FN(npdl_abs)(VEC x) { return (VEC)((IVEC)x & FN(npdl_ibroadcast)((INT)(~(UINT)0 >> 1))); }
NPDL_INLINE IVEC FN(npdl_sign)(VEC x) { return (IVEC)x & FN(npdl_ibroadcast)((INT)~(~(UINT)0 >> 1)); }

/* x = k ln 2 + r with |r| ≤ ln 2 / 2: r replaces x; shifted = k + magic. */
NPDL_INLINE void FN(npdl_reduce)(VEC *x, VEC *shifted, int count) {
    const VEC magic = BC(FN(npdl_magic));
    VEC k[NPDL_WIDE];
    EACH shifted[j] = FMA(x[j], BC((REAL)1.4426950408889634), magic);
    EACH k[j] = shifted[j] - magic;
    EACH x[j] = FMA(k[j], BC(-FN(npdl_ln2_hi)), x[j]);
    EACH x[j] = FMA(k[j], BC(-FN(npdl_ln2_lo)), x[j]);
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

NPDL_INLINE void FN(npdl_exps)(VEC *x, int count) {
    VEC k[NPDL_WIDE], p[NPDL_WIDE];
    EACH x[j] = MAX(BC(FN(npdl_exp_range)[0]), x[j]);
    EACH x[j] = MIN(BC(FN(npdl_exp_range)[1]), x[j]);
    FN(npdl_reduce)(x, k, count);
    POLYS(FN(npdl_exp_poly), x, p, count);
    EACH p[j] = FMA(p[j], x[j], BC(1));
    EACH p[j] = FMA(p[j], x[j], BC(1));
    EACH x[j] = FN(npdl_scale)(p[j], k[j]);
}

NPDL_INLINE VEC FN(npdl_exp)(VEC x) {
    FN(npdl_exps)(&x, 1);
    return x;
}

/* x > 0 counts as 0. */
NPDL_INLINE void FN(npdl_expm1s_negative)(VEC *x, int count) {
    const UVEC magic = (UVEC)BC(FN(npdl_magic));
    VEC shifted[NPDL_WIDE], p[NPDL_WIDE], scale[NPDL_WIDE];
    EACH x[j] = MIN(BC(0), MAX(BC(-40), x[j]));  /* −1 below −40 */
    FN(npdl_reduce)(x, shifted, count);
    POLYS(FN(npdl_exp_poly), x, p, count);
    EACH p[j] = FMA(p[j], x[j] * x[j], x[j]);
    EACH scale[j] = (VEC)(((UVEC)shifted[j] - magic + FN(npdl_bias)) << FN(npdl_mantissa));
    EACH x[j] = FMA(p[j], scale[j], scale[j] - BC(1));
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

NPDL_INLINE void FN(npdl_tanhs)(VEC *x, int count) {
    VEC a[NPDL_WIDE], y[NPDL_WIDE];
    EACH a[j] = FN(npdl_abs)(x[j]);
#if NPDL_REAL_BITS == 32
    const REAL (*table)[16] = FN(npdl_tanh_table);
    IVEC at[NPDL_WIDE];
    EACH a[j] = MIN(BC(NPDL_TANH_LIMIT), a[j]);
    EACH at[j] = (IVEC)(a[j] + BC(NPDL_TANH_SHIFT)) >> 21;
    EACH a[j] = a[j] - LOOKUP(table[0], at[j]);
    EACH y[j] = LOOKUP(table[6], at[j]);
    #pragma GCC unroll 8
    for (int k = 5; k > 0; k--) EACH y[j] = FMA(y[j], a[j], LOOKUP(table[k], at[j]));
#else
    VEC z[NPDL_WIDE], e[NPDL_WIDE];
    EACH e[j] = a[j] * BC(-2);
    FN(npdl_exps)(e, count);
    EACH e[j] = BC(1) - (e[j] + e[j]) / (e[j] + BC(1));
    EACH z[j] = a[j] * a[j];
    POLYS(FN(npdl_tanh_poly), z, y, count);
    EACH y[j] = FMA(y[j] * z[j], a[j], a[j]);
    EACH y[j] = SELECT(a[j] < BC((REAL)0.625), y[j], e[j]);
#endif
    EACH x[j] = (VEC)((IVEC)y[j] | FN(npdl_sign)(x[j]));
}

NPDL_INLINE void FN(npdl_sigmoids)(VEC *x, int count) {
    VEC e[NPDL_WIDE];
    EACH e[j] = -FN(npdl_abs)(x[j]);
    FN(npdl_exps)(e, count);
    EACH x[j] = SELECT(x[j] < BC(0), e[j], BC(1)) / (e[j] + BC(1));
}

NPDL_INLINE VEC FN(npdl_sigmoid)(VEC x) {
    FN(npdl_sigmoids)(&x, 1);
    return x;
}

/* e^(−a²/2) */
NPDL_INLINE void FN(npdl_bells)(const VEC *a, VEC *e, int count) {
    VEC lost[NPDL_WIDE];
    EACH {
        VEC half = a[j] * BC((REAL)0.5), square = a[j] * half;
        e[j] = -square, lost[j] = -FMA(a[j], half, -square);
    }
    FN(npdl_exps)(e, count);
    EACH e[j] = FMA(e[j], lost[j], e[j]);
}

/* Φ(x) = ½ (1 + erf(x/√2)), the normal distribution's; density = e^(−x²/2) / √(2π), or NULL. */
NPDL_INLINE void FN(npdl_normals)(VEC *x, VEC *density, int count) {
    VEC a[NPDL_WIDE], e[NPDL_WIDE], tail[NPDL_WIDE];
    EACH a[j] = MIN(BC(40), FN(npdl_abs)(x[j]));  /* Φ(−40) is 0 in double precision */
#if NPDL_REAL_BITS == 32
    VEC t[NPDL_WIDE];
    IVEC at[NPDL_WIDE], far = a[0] >= BC(NPDL_NORMAL_NEAR);
    EACH far |= a[j] >= BC(NPDL_NORMAL_NEAR);
    int any = ANY(far); /* hardly ever behind a layer: 64 numbers of which one lies there take 2.7 times as long */
    if (density || any) FN(npdl_bells)(a, e, count);
    if (density) EACH density[j] = e[j] * BC((REAL)0.3989422804014327);
    EACH at[j] = (IVEC)FMA(a[j], FMA(a[j], BC(0.39f), BC(0.9f)), BC(FN(npdl_magic)));
    EACH t[j] = a[j] - LOOKUP(FN(npdl_normal_near)[0], at[j]);
    EACH tail[j] = LOOKUP(FN(npdl_normal_near)[7], at[j]);
    #pragma GCC unroll 8
    for (int k = 6; k > 0; k--) EACH tail[j] = FMA(tail[j], t[j], LOOKUP(FN(npdl_normal_near)[k], at[j]));
    if (any) {
        const REAL (*table)[8] = FN(npdl_normal_far);
        VEC p[NPDL_WIDE];
        EACH at[j] = (IVEC)(a[j] + BC(1)) >> 22;
        EACH t[j] = a[j] - LOOKUP8(table[0], at[j]);
        EACH p[j] = LOOKUP8(table[8], at[j]);
        #pragma GCC unroll 8
        for (int k = 7; k > 0; k--) EACH p[j] = FMA(p[j], t[j], LOOKUP8(table[k], at[j]));
        EACH tail[j] = SELECT(a[j] >= BC(NPDL_NORMAL_NEAR), e[j] * p[j], tail[j]);
    }
    EACH x[j] = SELECT(x[j] > BC(0), BC(1) - tail[j], tail[j]);
#else
    VEC square[NPDL_WIDE], w[NPDL_WIDE], near[NPDL_WIDE];
    FN(npdl_bells)(a, e, count);
    if (density) EACH density[j] = e[j] * BC((REAL)0.3989422804014327);
    EACH w[j] = BC(1) / (a[j] + BC(4));
    EACH square[j] = FMA(w[j], BC(-8), BC(1));
    POLYS(FN(npdl_normal_far), square, tail, count);
    EACH tail[j] = e[j] * (tail[j] * w[j]);
    EACH square[j] = x[j] * x[j];
    POLYS(FN(npdl_normal_near), square, near, count);
    EACH near[j] = FMA(near[j], x[j], BC((REAL)0.5));
    EACH x[j] = SELECT(a[j] < BC(1), near[j], SELECT(x[j] > BC(0), BC(1) - tail[j], tail[j]));
#endif
}

NPDL_INLINE void FN(npdl_cdfs)(VEC *x, int count) {
    FN(npdl_normals)(x, NULL, count);
}

/* Sums. Element i goes to lane i mod 16, in order; the lanes are added in halves: 8 + 8, 4 + 4, ... */

#if NPDL_HAS_SHUFFLE
typedef REAL FN(npdl_eight) __attribute__((vector_size(8 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
#endif

NPDL_INLINE REAL FN(npdl_add_halves)(REAL *lane) {
#if NPDL_HAS_SHUFFLE /* all in registers: a loop would store each half and wait for it */
    FN(npdl_eight) s = *(FN(npdl_eight) *)lane + *(FN(npdl_eight) *)(lane + 8);
    __auto_type four = __builtin_shufflevector(s, s, 0, 1, 2, 3) + __builtin_shufflevector(s, s, 4, 5, 6, 7);
    __auto_type two = __builtin_shufflevector(four, four, 0, 1) + __builtin_shufflevector(four, four, 2, 3);
    return two[0] + two[1];
#else
    for (int half = NPDL_LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++) lane[j] += lane[j + half];
    return lane[0];
#endif
}

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
    return FN(npdl_add_halves)(lane);
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
