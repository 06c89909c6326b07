/* Dropout with Philox4x32-10; see npdl/kernels/reference/dropout.py and philox.py.
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

#endif

typedef struct {
    const REAL *x;
    REAL *out;
    REAL scale;
    uint32_t threshold, step, key[2];
    int64_t samples, size, noise;  /* elements of a sample, and of its mask */
    int64_t block;                 /* samples a task; 0: a task is a piece of NPDL_GRAIN of one sample */
    /* broadcast mask: the axes of a sample, and the mask's step along each (0: repeated) */
    int axes;
    int64_t shape[NPDL_DROPOUT_AXES], stride[NPDL_DROPOUT_AXES];
} FN(npdl_dropout_work);

/* Elements [start, stop) of one sample; start is a multiple of four. */
static void FN(npdl_dropout_piece)(const FN(npdl_dropout_work) *s, int64_t sample, int64_t start, int64_t stop) {
    uint32_t words[4 * NPDL_PHILOX_GROUPS];
    const REAL *x = s->x + sample * s->size, scale = s->scale;
    REAL *out = s->out + sample * s->size;
    for (int64_t e = start; e < stop; e += 4 * NPDL_PHILOX_GROUPS) {
        const int64_t n = NPDL_LESS(stop - e, 4 * NPDL_PHILOX_GROUPS);
        npdl_philox(s->step, (uint32_t)sample, (uint32_t)(e / 4), s->key, words);
        #pragma GCC ivdep
        for (int64_t i = 0; i < n; i++) {
            REAL v = x[e + i] * scale;
            out[e + i] = (words[i] >> 8) >= s->threshold ? v : 0;
        }
    }
}

/* A sample whose mask is broadcast: `kept` receives the mask. */
static void FN(npdl_dropout_broadcast)(const FN(npdl_dropout_work) *s, int64_t sample, uint32_t *kept) {
    const REAL *x = s->x + sample * s->size;
    REAL *out = s->out + sample * s->size;
    for (int64_t e = 0; e < s->noise; e += 4 * NPDL_PHILOX_GROUPS)
        npdl_philox(s->step, (uint32_t)sample, (uint32_t)(e / 4), s->key, kept + e);
    int64_t index[NPDL_DROPOUT_AXES] = {0};
    const int last = s->axes - 1;
    const int64_t width = s->shape[last], step = s->stride[last];
    for (int64_t i = 0; i < s->size; i += width) {
        const uint32_t *mask = kept;
        for (int a = 0; a < last; a++) mask += index[a] * s->stride[a];
        for (int64_t j = 0; j < width; j++) {
            REAL v = x[i + j] * s->scale;
            out[i + j] = (mask[j * step] >> 8) >= s->threshold ? v : 0;
        }
        for (int a = last - 1; a >= 0 && ++index[a] == s->shape[a]; a--) index[a] = 0;
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

/* threshold: ⌈rate · 2²⁴⌉. axes 0: a mask of the sample's own shape. */
static void FN(npdl_dropout)(const REAL *x, REAL *out, double scale, uint32_t threshold, uint32_t step,
                             const uint32_t *key, int64_t samples, int64_t size, int64_t noise, int axes,
                             const int64_t *shape, const int64_t *stride) {
    FN(npdl_dropout_work) s = {x, out, (REAL)scale, threshold, step, {key[0], key[1]}, samples, size, noise, 0, axes,
                               {0}, {0}};
    int64_t blocks = samples * NPDL_BLOCKS(size, NPDL_GRAIN);
    if (!size) return;
    for (int a = 0; a < axes; a++) s.shape[a] = shape[a], s.stride[a] = stride[a];
    if (axes || size < NPDL_GRAIN) {
        s.block = NPDL_MORE(NPDL_GRAIN / size, 1);
        blocks = NPDL_BLOCKS(samples, s.block);
    }
    npdl_parallel(FN(npdl_dropout_block), &s, blocks, axes ? (noise + 4 * NPDL_PHILOX_GROUPS) * sizeof(uint32_t) : 0);
}
