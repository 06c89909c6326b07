/* Max-pooling over windows of 2 x 2 that lie side by side, on the way: in the kernel that makes the numbers, while they
 * are in the cache, and back again in the kernels that read their gradient. Formulas: npdl/kernels/reference/pooled.py.
 *
 * The whole image has up to four times as many numbers as the pooled one, and one more pass over it costs as much as
 * the arithmetic of many a layer. So forward a convolution (conv.h, winograd.h) and a batch normalization (norm.h) call
 * npdl_pool_of_two on what they have just made, and keep no whole image. Backward npdl_unpool_rows makes some rows of
 * the whole gradient where they are read. Bits are those of max_pool2d and max_pool2d_grad (pooling.h).
 *
 * What it gains, float32, two threads, milliseconds one layer after the other and together (Xeon, AVX-512, 64 images):
 *
 *     convolution 3 -> 64, 32x32, ReLU, pooling    3.1, 1.7      normalization, 64 channels, 32x32     2.2, 0.9
 *         gradient before it, and its sums         1.9, 1.5          gradients                         4.5, 3.5
 *         the sums alone, where no dx is wanted         0.5      normalization, 128 channels, 16x16    0.73, 0.37
 *     convolution 64 -> 128, 16x16                 4.9, 4.2          gradients                         1.8, 1.5
 *
 * Winners are taps, as there; behind ReLU NPDL_NO_TAP where it gave 0 or NaN: backward reads neither y nor the image.
 *
 * A row or column that an odd size leaves over takes no part, and its gradient is 0.
 */
#ifndef NPDL_POOLED_H
#define NPDL_POOLED_H

#define NPDL_NO_TAP 4
#define NPDL_UNPOOL_ROWS 32 /* of the whole gradient made at a time: they stay in the first cache; changes no sum */

#endif

/* ---- forward */

/* One window: numbers at x, x + right, x + down and x + down + right. */
NPDL_INLINE void FN(npdl_pool_of_two)(const VEC v[4], REAL *out, uint8_t *winners, int relu, int64_t count) {
    VEC m = v[0];
    IVEC k = FN(npdl_ibroadcast)(0);
    #pragma GCC unroll 4
    for (int t = 1; t < 4; t++) { /* as npdl_max_strip: the first maximum, the first NaN */
        IVEC wins = ~(v[t] <= m) & (m == m);
        m = SELECT(wins, v[t], m);
        k = (wins & (INT)t) | (~wins & k);
    }
    if (relu) {
        IVEC counts = m > BC(0);
        k = (counts & k) | (~counts & (INT)NPDL_NO_TAP);
        m = RELU(m);
    }
    NPDL_GIVE(out, m);
    if (winners) {
        FN(npdl_narrow_lanes) narrow = FN(npdl_narrow)(k);
        if (count == VL) memcpy(winners, &narrow, sizeof narrow);
        else npdl_copy_few(winners, &narrow, count, sizeof narrow);
    }
}

/* Where pooled numbers go. */
typedef struct { REAL *out; uint8_t *winners; int relu; } FN(npdl_pooled);

NPDL_INLINE void FN(npdl_pool_strip_of_two)(const FN(npdl_pooled) *s, const REAL *x, int64_t right, int64_t down,
                                            int64_t at, int64_t count) {
    const VEC v[4] = {NPDL_TAKE(x), NPDL_TAKE(x + right), NPDL_TAKE(x + down), NPDL_TAKE(x + down + right)};
    FN(npdl_pool_of_two)(v, s->out + at, s->winners ? s->winners + at : NULL, s->relu, count);
}

/* `windows` windows beside each other, of two rows of `channels` numbers a pixel that are `down` apart, to the pooled
 * numbers from `at` on. */
static void FN(npdl_pool_row_of_two)(const FN(npdl_pooled) *s, const REAL *x, int64_t down, int64_t windows,
                                     int64_t channels, int64_t at) {
    for (; windows > 0; windows--, x += 2 * channels, at += channels) {
        #define NPDL_STRIP(count) FN(npdl_pool_strip_of_two)(s, x + c, channels, down, at + c, count)
        NPDL_CHANNELS(channels, NPDL_STRIP)
        #undef NPDL_STRIP
    }
}

/* ---- backward */

/* The gradient of whole images (in_h, in_w), from that of the pooled ones. */
typedef struct {
    const REAL *dy;
    const uint8_t *winners;
    int64_t in_h, in_w, channels;
} FN(npdl_unpooled);

/* A window's gradient where tap `tap` won, else 0; of the next tap, too, to the next pixel, if `both` are wanted. */
NPDL_INLINE void FN(npdl_unpool_strip)(const FN(npdl_unpooled) *s, int64_t i, INT tap, int both, REAL *to, int64_t step,
                                       int64_t count) {
    const VEC d = NPDL_TAKE(s->dy + i) + BC(0); /* as in a sum: no -0 */
    FN(npdl_narrow_lanes) narrow = {0};
    if (count == VL) memcpy(&narrow, s->winners + i, sizeof narrow);
    else npdl_copy_few(&narrow, s->winners + i, count, sizeof narrow);
    const IVEC winner = FN(npdl_widen)(narrow);
    const VEC here = (VEC)((winner == FN(npdl_ibroadcast)(tap)) & (IVEC)d);
    NPDL_GIVE(to, here);
    if (!both) return;
    const VEC beside = (VEC)((winner == FN(npdl_ibroadcast)(tap + 1)) & (IVEC)d);
    NPDL_GIVE(to + step, beside);
}

/* Rows [first, first + rows) of the whole gradient as a matrix (pixels, channels), of which channels [c0, c1), to rows
 * that are `step` apart. */
static void FN(npdl_unpool_rows)(const FN(npdl_unpooled) *from, int64_t first, int64_t rows, int64_t c0, int64_t c1,
                                 REAL *to, int64_t step) {
    const FN(npdl_unpooled) own = *from, *s = &own; /* which no store can change */
    const int64_t out_h = s->in_h / 2, out_w = s->in_w / 2;
    int64_t j = first % s->in_w, i = first / s->in_w % s->in_h, n = first / s->in_w / s->in_h;
    while (rows > 0) {
        const int64_t line = NPDL_LESS(rows, s->in_w - j), shown = i / 2 < out_h ? NPDL_LESS(line, 2 * out_w - j) : 0;
        const REAL *end = to + line * step;
        const int64_t windows = (n * out_h + i / 2) * out_w;
        const INT tap = i % 2 * 2;
        for (int64_t left = shown, column = j; left > 0;) {
            const int both = column % 2 == 0 && left > 1;
            const int64_t at = (windows + column / 2) * s->channels + c0;
            const INT first_tap = tap + column % 2;
            #define NPDL_STRIP(count) FN(npdl_unpool_strip)(s, at + c, first_tap, both, to + c, step, count)
            NPDL_CHANNELS(c1 - c0, NPDL_STRIP)
            #undef NPDL_STRIP
            to += (1 + both) * step, column += 1 + both, left -= 1 + both;
        }
        for (; to < end; to += step)
            for (int64_t c = 0; c < c1 - c0; c++) to[c] = 0;
        rows -= line, j = 0;
        if (++i == s->in_h) i = 0, n++;
    }
}

typedef struct {
    FN(npdl_unpooled) from;
    FN(npdl_row_sum) sum;
    REAL *out; /* NULL: the sums alone */
} FN(npdl_unpool_call);

/* A block of sum_rows: some of its rows, and then their sums from the cache. */
static void FN(npdl_unpool_task)(void *ctx, int64_t block, void *work) {
    const FN(npdl_unpool_call) *s = ctx;
    const int64_t columns = s->sum.columns, end = NPDL_LESS(s->sum.rows, (block + 1) * NPDL_SUM_ROWS);
    const int64_t few = columns < NPDL_SUM_NARROW ? NPDL_SUM_ROWS : NPDL_UNPOOL_ROWS;
    for (int64_t row = block * NPDL_SUM_ROWS, first = row; row < end; row += few) {
        const int64_t rows = NPDL_LESS(end - row, few);
        REAL *to = s->out ? s->out + row * columns : work;
        FN(npdl_unpool_rows)(&s->from, row, rows, 0, columns, to, columns);
        if (s->sum.partial) FN(npdl_sum_rows_block)(to, rows, columns, row > first, s->sum.partial + block * columns);
    }
}

/* out: the whole gradient, or NULL; sums: over its rows, as npdl_sum_rows makes them, or NULL. */
NPDL_API void FN(npdl_unpool)(const REAL *dy, const void *winners, REAL *out, REAL *sums, int64_t images,
                              int64_t in_h, int64_t in_w, int64_t channels) {
    const int64_t rows = images * in_h * in_w, blocks = NPDL_BLOCKS(rows, NPDL_SUM_ROWS);
    FN(npdl_unpool_call) s = {{dy, winners, in_h, in_w, channels}, {NULL, rows, channels, blocks, 1, NULL}, out};
    const int64_t few = channels < NPDL_SUM_NARROW ? NPDL_SUM_ROWS : NPDL_UNPOOL_ROWS;
    if (!out && !sums) return;
    if (sums && !(s.sum.partial = npdl_shared(blocks * channels * sizeof(REAL)))) return;
    npdl_parallel(FN(npdl_unpool_task), &s, blocks, out ? 0 : few * channels * sizeof(REAL));
    if (!sums) return;
    if (blocks == 1) memcpy(sums, s.sum.partial, channels * sizeof(REAL));
    else FN(npdl_add_rows)(s.sum.partial, channels, blocks, channels, sums);
}
