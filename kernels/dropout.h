/* Dropout and noise with Philox4x32-10; see npdl/kernels/reference/dropout.py and philox.py.
 *
 * Element e of sample n takes word e mod 4 of the counter (step, n, e / 4, 0), so any piece of a sample can be made
 * alone. A task is some samples, or a piece of one.
 */
#ifndef NPDL_DROPOUT_H
#define NPDL_DROPOUT_H

#define NPDL_PHILOX_GROUPS 256  /* counters worked through at a time */
#define NPDL_PHILOX_SETS 2      /* vectors side by side: a round waits for its products */
#define NPDL_PHILOX_LANES ((int)(NPDL_VECTOR_BYTES / sizeof(uint64_t)))

typedef uint64_t npdl_words __attribute__((vector_size(NPDL_VECTOR_BYTES)));

/* The 64-bit products of the lanes' lower halves. */
#if NPDL_VECTOR_BYTES == 64
#define NPDL_PRODUCT(a, b) ((npdl_words)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#elif NPDL_VECTOR_BYTES == 32
#define NPDL_PRODUCT(a, b) ((npdl_words)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#elif defined(__SSE2__)
#include <emmintrin.h>
#define NPDL_PRODUCT(a, b) ((npdl_words)_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
#else
#define NPDL_PRODUCT(a, b) (((a) & 0xffffffffu) * ((b) & 0xffffffffu))
#endif

/* words[4 i ... 4 i + 3] = philox((step, sample, first + i, 0), key) for i in [0, NPDL_PHILOX_GROUPS) */
static void npdl_philox(uint32_t step, uint32_t sample, uint32_t first, const uint32_t *key, uint32_t *words) {
    const npdl_words zero = {0}, m0 = zero + 0xD2511F53u, m1 = zero + 0xCD9E8D57u, low = zero + 0xffffffffu;
    npdl_words place = zero;
    for (int j = 0; j < NPDL_PHILOX_LANES; j++) place[j] = j;
    for (int i = 0; i < NPDL_PHILOX_GROUPS; i += NPDL_PHILOX_SETS * NPDL_PHILOX_LANES) {
        npdl_words c0[NPDL_PHILOX_SETS], c1[NPDL_PHILOX_SETS], c2[NPDL_PHILOX_SETS], c3[NPDL_PHILOX_SETS];
        uint32_t k0 = key[0], k1 = key[1];
        for (int u = 0; u < NPDL_PHILOX_SETS; u++) {
            c0[u] = zero + step, c1[u] = zero + sample, c3[u] = zero;
            c2[u] = place + (uint64_t)(first + (uint32_t)(i + u * NPDL_PHILOX_LANES));
        }
        #pragma GCC unroll 10
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
            #pragma GCC unroll 2
            for (int u = 0; u < NPDL_PHILOX_SETS; u++) {  /* only the lower half of each lane counts */
                npdl_words a = NPDL_PRODUCT(m0, c0[u]), b = NPDL_PRODUCT(m1, c2[u]);
                c0[u] = (b >> 32) ^ c1[u] ^ (uint64_t)k0, c1[u] = b;
                c2[u] = (a >> 32) ^ c3[u] ^ (uint64_t)k1, c3[u] = a;
            }
        for (int u = 0; u < NPDL_PHILOX_SETS; u++) {
            uint64_t pair[NPDL_VECTOR_BYTES / sizeof(uint64_t)], other[NPDL_VECTOR_BYTES / sizeof(uint64_t)];
            npdl_words p = (c0[u] & low) | (c1[u] << 32), q = (c2[u] & low) | (c3[u] << 32);
            memcpy(pair, &p, sizeof p);
            memcpy(other, &q, sizeof q);
            for (int j = 0; j < NPDL_PHILOX_LANES; j++, words += 4) {
                memcpy(words, pair + j, 8);
                memcpy(words + 2, other + j, 8);
            }
        }
    }
}

#define NPDL_DROPOUT_AXES 8
#define NPDL_PHILOX_WORDS (4 * NPDL_PHILOX_GROUPS)

enum { NPDL_DROPOUT, NPDL_ALPHA_DROPOUT, NPDL_GAUSSIAN_DROPOUT, NPDL_GAUSSIAN_NOISE };

#endif

typedef struct {
    int kind;
    const REAL *x;
    REAL *out;
    REAL scale, shift, dropped;    /* out = scale x + shift, or `dropped`; of Gaussian noise the scale is its deviation */
    uint32_t threshold, step, key[2];
    int64_t samples, size, noise;  /* elements of a sample, and of its mask */
    int64_t block;                 /* samples a task; 0: a task is a piece of NPDL_GRAIN of one sample */
    /* broadcast mask: the axes of a sample, and the mask's step along each (0: repeated) */
    int axes;
    int64_t shape[NPDL_DROPOUT_AXES], stride[NPDL_DROPOUT_AXES];
} FN(npdl_dropout_work);

/* ---- normal numbers: |Φ⁻¹(p)| after Wichura's algorithm AS 241, PPND7 for float and PPND16 for double */

#if NPDL_REAL_BITS == 32
static const REAL FN(npdl_centre_above)[] = {3.3871327179f, 50.434271938f, 159.29113202f, 59.109374720f};
static const REAL FN(npdl_centre_below)[] = {1, 17.895169469f, 78.757757664f, 67.187563600f};
static const REAL FN(npdl_side_above)[] = {1.4234372777f, 2.7568153900f, 1.3067284816f, 0.17023821103f};
static const REAL FN(npdl_side_below)[] = {1, 0.73700164250f, 0.12021132975f};
#else
static const REAL FN(npdl_centre_above)[] = {
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3};
static const REAL FN(npdl_centre_below)[] = {
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3};
static const REAL FN(npdl_side_above)[] = {
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
    1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4};
static const REAL FN(npdl_side_below)[] = {
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9};
#endif

NPDL_INLINE VEC FN(npdl_roots)(VEC v) {
    REAL lane[NPDL_VECTOR_BYTES / sizeof(REAL)];
    ST(lane, v);
    for (int j = 0; j < VL; j++) lane[j] = sizeof(REAL) == 4 ? (REAL)sqrtf((float)lane[j]) : (REAL)sqrt((double)lane[j]);
    return LD(lane);
}

/* 2⁻³³ ≤ p ≤ ½, where the third of Wichura's cases does not occur */
NPDL_INLINE VEC FN(npdl_upper_normal)(VEC p) {
    const VEC q = BC((REAL)0.5) - p, r = FMA(-q, q, BC((REAL)0.180625));
    const VEC near = q * POLY(FN(npdl_centre_above), r) / POLY(FN(npdl_centre_below), r);
    const VEC t = FN(npdl_roots)(-FN(npdl_log)(p)) - BC((REAL)1.6);
    const VEC far = POLY(FN(npdl_side_above), t) / POLY(FN(npdl_side_below), t);
    return SELECT(q <= BC((REAL)0.425), near, far);
}

/* z[i] from words[i]: the upper bit is the sign, the others make p = (k + ½) 2⁻³² */
static void FN(npdl_normal_numbers)(const uint32_t *words, REAL *z, int64_t n) {
    for (int64_t i = 0; i < n; i++) z[i] = ((REAL)(int32_t)(words[i] & 0x7fffffffu) + (REAL)0.5) * (REAL)0x1p-32;
    NPDL_MAP(z, z, n, FN(npdl_upper_normal)(v))
    for (int64_t i = 0; i < n; i++) z[i] = words[i] >> 31 ? -z[i] : z[i];
}

/* ---- pieces */

/* out where a word says kept; alpha is a constant where this is called. */
NPDL_INLINE REAL FN(npdl_kept_or_dropped)(const FN(npdl_dropout_work) *s, uint32_t word, REAL x, int alpha) {
    REAL v = x * s->scale;
    if (alpha) v = v + s->shift;
    return (word >> 8) >= s->threshold ? v : alpha ? s->dropped : 0;
}

/* Elements [start, stop) of one sample; start is a multiple of four. */
static void FN(npdl_dropout_piece)(const FN(npdl_dropout_work) *restrict s, int64_t sample, int64_t start,
                                   int64_t stop) {
    uint32_t words[NPDL_PHILOX_WORDS];
    REAL z[NPDL_PHILOX_WORDS];
    const FN(npdl_dropout_work) w = *s; /* so that the compiler knows that results do not change it */
    const VEC deviation = BC(w.scale), one = BC(1);
    for (int64_t e = start; e < stop; e += NPDL_PHILOX_WORDS) {
        const int64_t n = NPDL_LESS(stop - e, NPDL_PHILOX_WORDS);
        const REAL *x = w.x + sample * w.size + e;
        REAL *out = w.out + sample * w.size + e;
        npdl_philox(w.step, (uint32_t)sample, (uint32_t)(e / 4), w.key, words);
        if (w.kind >= NPDL_GAUSSIAN_DROPOUT) FN(npdl_normal_numbers)(words, z, n);
        switch (w.kind) {
        case NPDL_DROPOUT:
            #pragma GCC ivdep
            for (int64_t i = 0; i < n; i++) out[i] = FN(npdl_kept_or_dropped)(&w, words[i], x[i], 0);
            break;
        case NPDL_ALPHA_DROPOUT:
            #pragma GCC ivdep
            for (int64_t i = 0; i < n; i++) out[i] = FN(npdl_kept_or_dropped)(&w, words[i], x[i], 1);
            break;
        case NPDL_GAUSSIAN_DROPOUT: NPDL_MAP2(z, x, out, n, w * FMA(deviation, v, one)) break;
        case NPDL_GAUSSIAN_NOISE: NPDL_MAP2(z, x, out, n, FMA(deviation, v, w)) break;
        }
    }
}

/* A sample whose mask is broadcast: `kept` receives the mask. */
static void FN(npdl_dropout_broadcast)(const FN(npdl_dropout_work) *s, int64_t sample, uint32_t *kept) {
    const FN(npdl_dropout_work) w = *s;
    const REAL *x = w.x + sample * w.size;
    REAL *out = w.out + sample * w.size;
    for (int64_t e = 0; e < w.noise; e += NPDL_PHILOX_WORDS)
        npdl_philox(w.step, (uint32_t)sample, (uint32_t)(e / 4), w.key, kept + e);
    int64_t index[NPDL_DROPOUT_AXES] = {0};
    const int last = w.axes - 1;
    const int64_t width = w.shape[last], step = w.stride[last];
    for (int64_t i = 0; i < w.size; i += width) {
        const uint32_t *mask = kept;
        for (int a = 0; a < last; a++) mask += index[a] * w.stride[a];
        #define NPDL_ROW(alpha, place) \
            _Pragma("GCC ivdep") \
            for (int64_t j = 0; j < width; j++) out[i + j] = FN(npdl_kept_or_dropped)(&w, mask[place], x[i + j], alpha);
        if (w.kind == NPDL_ALPHA_DROPOUT) { if (step) NPDL_ROW(1, j) else NPDL_ROW(1, 0) }
        else { if (step) NPDL_ROW(0, j) else NPDL_ROW(0, 0) }
        #undef NPDL_ROW
        for (int a = last - 1; a >= 0 && ++index[a] == w.shape[a]; a--) index[a] = 0;
    }
}

static void FN(npdl_dropout_block)(void *context, int64_t block, void *work) {
    const FN(npdl_dropout_work) *s = context;
    if (!s->block) {
        const int64_t pieces = NPDL_BLOCKS(s->size, NPDL_GRAIN), start = block % pieces * NPDL_GRAIN;
        FN(npdl_dropout_piece)(s, block / pieces, start, NPDL_LESS(s->size, start + NPDL_GRAIN));
        return;
    }
    const int64_t last = NPDL_LESS(s->samples, (block + 1) * s->block);
    uint32_t *kept = s->axes ? work : NULL; /* a whole sample's mask */
    for (int64_t n = block * s->block; n < last; n++)
        if (kept) FN(npdl_dropout_broadcast)(s, n, kept);
        else FN(npdl_dropout_piece)(s, n, 0, s->size);
}

/* threshold: ⌈rate · 2²⁴⌉. axes 0: a mask of the sample's own shape, or Gaussian noise. */
NPDL_API void FN(npdl_dropout)(int kind, const REAL *x, REAL *out, double scale, double shift, double dropped,
                               uint32_t threshold, uint32_t step, const uint32_t *key, int64_t samples, int64_t size,
                               int64_t noise, int axes, const int64_t *shape, const int64_t *stride) {
    FN(npdl_dropout_work) s = {kind, x, out, (REAL)scale, (REAL)shift, (REAL)dropped, threshold, step,
                               {key[0], key[1]}, samples, size, noise, 0, axes, {0}, {0}};
    int64_t blocks = samples * NPDL_BLOCKS(size, NPDL_GRAIN);
    if (!size) return;
    for (int a = 0; a < axes; a++) s.shape[a] = shape[a], s.stride[a] = stride[a];
    if (axes || size < NPDL_GRAIN) {
        s.block = NPDL_MORE(NPDL_GRAIN / size, 1);
        blocks = NPDL_BLOCKS(samples, s.block);
    }
    npdl_parallel(FN(npdl_dropout_block), &s, blocks, axes ? (noise + NPDL_PHILOX_WORDS) * sizeof(uint32_t) : 0);
}
