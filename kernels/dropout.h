/* Dropout with Philox4x32-10; see npdl/kernels/reference/dropout.py and philox.py.
 *
 * Element e of sample n takes word e mod 4 of the counter (step, n, e / 4, 0), so any piece of a sample can be made
 * alone. A task is some samples, or a piece of one.
 */
#ifndef NPDL_DROPOUT_H
#define NPDL_DROPOUT_H

#define NPDL_PHILOX_GROUPS 256  /* counters worked through at a time */

/* words[4 i ... 4 i + 3] = philox((step, sample, first + i, 0), key) for i in [0, NPDL_PHILOX_GROUPS) */
static void npdl_philox(uint32_t step, uint32_t sample, uint32_t first, const uint32_t *key, uint32_t *words) {
    const uint64_t m0 = 0xD2511F53u, m1 = 0xCD9E8D57u;
    for (int i = 0; i < NPDL_PHILOX_GROUPS; i++) {
        uint32_t c0 = step, c1 = sample, c2 = first + (uint32_t)i, c3 = 0, k0 = key[0], k1 = key[1];
        #pragma GCC unroll 10
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
            uint64_t a = m0 * c0, b = m1 * c2;
            c0 = (uint32_t)(b >> 32) ^ c1 ^ k0, c1 = (uint32_t)b;
            c2 = (uint32_t)(a >> 32) ^ c3 ^ k1, c3 = (uint32_t)a;
        }
        words[4 * i] = c0, words[4 * i + 1] = c1, words[4 * i + 2] = c2, words[4 * i + 3] = c3;
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

static void FN(npdl_dropout_block)(void *context, int64_t block, int64_t thread) {
    const FN(npdl_dropout_work) *s = context;
    if (!s->block) {
        const int64_t pieces = NPDL_BLOCKS(s->size, NPDL_GRAIN), start = block % pieces * NPDL_GRAIN;
        FN(npdl_dropout_piece)(s, block / pieces, start, NPDL_LESS(s->size, start + NPDL_GRAIN));
        return;
    }
    const int64_t last = NPDL_LESS(s->samples, (block + 1) * s->block);
    uint32_t *kept = NULL;
    if (s->axes) kept = npdl_scratch(thread, (s->noise + 4 * NPDL_PHILOX_GROUPS) * sizeof *kept);
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
    npdl_parallel(FN(npdl_dropout_block), &s, blocks);
}
