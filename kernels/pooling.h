/* Pooling over windows and over whole images, channels last. Formulas: npdl/kernels/reference/pool.py.
 *
 * Places outside the image take no part. A task is some rows of one result's image, or some images: no sum goes across
 * tasks, and each goes through its places in one order.
 */
#ifndef NPDL_POOLING_H
#define NPDL_POOLING_H

/* Taps [first, last) of an axis that fall inside the image, of a window that starts at `origin`. */
static void npdl_taps(int64_t origin, int64_t kernel, int64_t dilation, int64_t size, int64_t *first, int64_t *last) {
    *first = origin < 0 ? NPDL_BLOCKS(-origin, dilation) : 0;
    *last = origin < size ? NPDL_LESS(kernel, NPDL_BLOCKS(size - origin, dilation)) : 0;
    if (*last < *first) *last = *first;
}

/* Whether all windows are 2 x 2 and lie inside the image. */
static int npdl_windows_of_two(const npdl_window *g) {
    return g->kernel_h == 2 && g->kernel_w == 2 && !g->pad_top && !g->pad_left &&
           (g->out_h - 1) * g->stride_h + g->dilation_h < g->in_h &&
           (g->out_w - 1) * g->stride_w + g->dilation_w < g->in_w;
}

/* Whether no two windows overlap, none leaves the image, and none has holes. */
static int npdl_windows_tile(const npdl_window *g) {
    return g->stride_h == g->kernel_h && g->stride_w == g->kernel_w && !g->pad_top && !g->pad_left &&
           g->dilation_h == 1 && g->dilation_w == 1 && g->out_h > 0 && g->out_h * g->kernel_h <= g->in_h &&
           g->out_w * g->kernel_w <= g->in_w;
}

/* Winners are kept as uint8 where the window has at most 256 taps, else as int32. */
#define NPDL_NARROW_TAPS 256

#define NPDL_POOL_PLACES 256  /* places in a block sum of a global average */

/* The lanes of one vector of channels: all, or the first `count`. */
#define NPDL_TAKE(p) (count == VL ? LD(p) : LDN(p, count))
#define NPDL_GIVE(p, v) do { if (count == VL) ST(p, v); else STN(p, v, count); } while (0)
/* STRIP(count) with c at each vector of channels. */
#define NPDL_CHANNELS(channels, STRIP) \
    { \
        int64_t c = 0; \
        for (; c + VL <= (channels); c += VL) STRIP(VL); \
        if (c < (channels)) STRIP((channels) - c); \
    }
/* The same with whole vectors only, where writing a number twice does no harm and the second time it is right. The last
 * vector ends at the last channel; fewer channels than lanes take a whole one, too, as long as there is `room` for it
 * in what is written later. */
#define NPDL_CHANNELS_AGAIN(channels, room, STRIP) \
    { \
        int64_t c = 0; \
        for (; c + VL <= (channels); c += VL) STRIP(VL); \
        if (c < (channels)) { \
            if ((channels) > VL) { c = (channels) - VL; STRIP(VL); } \
            else if ((room) >= VL) STRIP(VL); \
            else STRIP(channels); \
        } \
    }

/* memcpy of less than `limit` bytes, a constant of at most 64, without a call */
NPDL_INLINE void npdl_copy_few(void *to, const void *from, int64_t bytes, int limit) {
    char *t = to;
    const char *f = from;
    if (limit > 32 && bytes & 32) memcpy(t, f, 32), t += 32, f += 32;
    if (limit > 16 && bytes & 16) memcpy(t, f, 16), t += 16, f += 16;
    if (limit > 8 && bytes & 8) memcpy(t, f, 8), t += 8, f += 8;
    if (limit > 4 && bytes & 4) memcpy(t, f, 4), t += 4, f += 4;
    if (limit > 2 && bytes & 2) memcpy(t, f, 2), t += 2, f += 2;
    if (bytes & 1) *t = *f;
}

#endif

typedef struct {
    const REAL *in;  /* x forward, dy backward */
    REAL *out;
    const npdl_window *g;
    uint8_t *narrow;  /* winners: one of these, or none */
    int32_t *wide;
    int64_t images, block;
    int relu;          /* max forward: whether ReLU follows */
    const REAL *y;     /* max backward: what it gave, or NULL without ReLU */
} FN(npdl_pool_work);

/* Winners from index i on, as integers of a REAL's width, and back. */
typedef uint8_t FN(npdl_narrow_lanes) __attribute__((vector_size(NPDL_VECTOR_BYTES / sizeof(REAL))));
typedef int32_t FN(npdl_wide_lanes) __attribute__((vector_size(4 * NPDL_VECTOR_BYTES / sizeof(REAL))));

/* __builtin_convertvector, where GCC 12 would take the lanes apart one by one */
NPDL_INLINE IVEC FN(npdl_widen)(FN(npdl_narrow_lanes) narrow) {
#if NPDL_VECTOR_BYTES >= 32
    __m128i bytes = _mm_setzero_si128();
    memcpy(&bytes, &narrow, sizeof narrow);
#if NPDL_VECTOR_BYTES == 64 && NPDL_REAL_BITS == 32
    return (IVEC)_mm512_cvtepu8_epi32(bytes);
#elif NPDL_VECTOR_BYTES == 64
    return (IVEC)_mm512_cvtepu8_epi64(bytes);
#elif NPDL_REAL_BITS == 32
    return (IVEC)_mm256_cvtepu8_epi32(bytes);
#else
    return (IVEC)_mm256_cvtepu8_epi64(bytes);
#endif
#else
    return __builtin_convertvector(narrow, IVEC);
#endif
}

NPDL_INLINE FN(npdl_narrow_lanes) FN(npdl_narrow)(IVEC wide) {
#if NPDL_VECTOR_BYTES == 32
    FN(npdl_narrow_lanes) narrow;
    const __m256i zero = _mm256_setzero_si256();
    __m256i w = (__m256i)wide;
#if NPDL_REAL_BITS == 64
    w = _mm256_shuffle_epi32(w, 0x88);  /* the low halves of a 128-bit lane's two numbers, twice */
#endif
    w = _mm256_packus_epi16(_mm256_packs_epi32(w, zero), zero);  /* the bytes of a 128-bit lane, at its start */
    __m128i low = _mm256_castsi256_si128(w), high = _mm256_extracti128_si256(w, 1);
    w = _mm256_castsi128_si256(NPDL_REAL_BITS == 32 ? _mm_unpacklo_epi32(low, high) : _mm_unpacklo_epi16(low, high));
    memcpy(&narrow, &w, sizeof narrow);
    return narrow;
#else
    return __builtin_convertvector(wide, FN(npdl_narrow_lanes));
#endif
}

NPDL_INLINE IVEC FN(npdl_load_winners)(const FN(npdl_pool_work) *s, int64_t i, int64_t count) {
    FN(npdl_narrow_lanes) narrow = {0};
    FN(npdl_wide_lanes) wide = {0};
    if (s->narrow) {
        if (count == VL) memcpy(&narrow, s->narrow + i, sizeof narrow);
        else npdl_copy_few(&narrow, s->narrow + i, count, sizeof narrow);
        return FN(npdl_widen)(narrow);
    }
    if (count == VL) memcpy(&wide, s->wide + i, sizeof wide);
    else npdl_copy_few(&wide, s->wide + i, count * sizeof(int32_t), sizeof wide);
    return __builtin_convertvector(wide, IVEC);
}

NPDL_INLINE void FN(npdl_store_winners)(const FN(npdl_pool_work) *s, int64_t i, IVEC winner, int64_t count) {
    if (s->narrow) {
        FN(npdl_narrow_lanes) narrow = FN(npdl_narrow)(winner);
        if (count == VL) memcpy(s->narrow + i, &narrow, sizeof narrow);
        else npdl_copy_few(s->narrow + i, &narrow, count, sizeof narrow);
        return;
    }
    FN(npdl_wide_lanes) wide = __builtin_convertvector(winner, FN(npdl_wide_lanes));
    if (count == VL) memcpy(s->wide + i, &wide, sizeof wide);
    else npdl_copy_few(s->wide + i, &wide, count * sizeof(int32_t), sizeof wide);
}

/* One window: taps [p, p1) x [q, q1), `origin` the place of tap (0, 0) in x, which may lie outside; tap
 * (p, q) is `down` and `right` so many numbers from it, and has the number p · kernel_w + q. */
typedef struct { int64_t p, p1, q, q1, origin, down, right, kernel_w; } FN(npdl_pool_taps);

/* m = max over the taps; the first maximum wins, and the first NaN wins over every number. */
NPDL_INLINE void FN(npdl_max_strip)(const FN(npdl_pool_work) *s, const FN(npdl_pool_taps) *w, int64_t out, int64_t c,
                                    int64_t count) {
    const REAL *x = s->in + c + w->origin;
    const int any = w->p < w->p1 && w->q < w->q1;
    const INT first = w->p * s->g->kernel_w + w->q;
    VEC m = any ? NPDL_TAKE(x + w->p * w->down + w->q * w->right) : BC(-(REAL)INFINITY);
    IVEC k = FN(npdl_ibroadcast)(any ? first : 0);
    for (int64_t p = w->p; p < w->p1; p++)
        for (int64_t q = w->q; q < w->q1; q++) {
            if (p == w->p && q == w->q) continue;
            VEC v = NPDL_TAKE(x + p * w->down + q * w->right);
            IVEC wins = ~(v <= m) & (m == m);
            m = SELECT(wins, v, m);
            k = (wins & (INT)(p * w->kernel_w + q)) | (~wins & k);
        }
    if (s->relu) m = RELU(m);
    NPDL_GIVE(s->out + out + c, m);
    if (s->narrow || s->wide) FN(npdl_store_winners)(s, out + c, k, count);
}

NPDL_INLINE void FN(npdl_average_strip)(const FN(npdl_pool_work) *s, const FN(npdl_pool_taps) *w, int64_t out,
                                        int64_t c, int64_t count) {
    const REAL *x = s->in + c;
    const int64_t places = (w->p1 - w->p) * (w->q1 - w->q);
    VEC sum = BC(0);
    for (int64_t p = w->p; p < w->p1; p++)
        for (int64_t q = w->q; q < w->q1; q++)
            sum = sum + NPDL_TAKE(x + w->origin + p * w->down + q * w->right);
    sum = sum / BC((REAL)NPDL_MORE(places, 1));
    NPDL_GIVE(s->out + out + c, sum);
}

/* dx += dy at the winner */
NPDL_INLINE void FN(npdl_max_grad_strip)(const FN(npdl_pool_work) *s, const FN(npdl_pool_taps) *w, int64_t in,
                                         int64_t c, int64_t count) {
    VEC d = NPDL_TAKE(s->in + in + c);
    if (s->y) d = SELECT(NPDL_TAKE(s->y + in + c) > BC(0), d, BC(0));
    IVEC winner = FN(npdl_load_winners)(s, in + c, count);
    for (int64_t p = w->p; p < w->p1; p++)
        for (int64_t q = w->q; q < w->q1; q++) {
            REAL *x = s->out + c + w->origin + p * w->down + q * w->right;
            IVEC here = winner == FN(npdl_ibroadcast)((INT)(p * w->kernel_w + q));
            VEC sum = NPDL_TAKE(x) + (VEC)(here & (IVEC)d);
            NPDL_GIVE(x, sum);
        }
}

/* dx = dy at the winner, where no place belongs to two windows */
NPDL_INLINE void FN(npdl_max_tile_strip)(const FN(npdl_pool_work) *s, const FN(npdl_pool_taps) *w, int64_t in,
                                         int64_t c, int64_t count) {
    VEC d = NPDL_TAKE(s->in + in + c);
    if (s->y) d = SELECT(NPDL_TAKE(s->y + in + c) > BC(0), d, BC(0));
    d = d + BC(0);  /* as in a sum: no -0 */
    IVEC winner = FN(npdl_load_winners)(s, in + c, count);
    for (int64_t p = w->p; p < w->p1; p++)
        for (int64_t q = w->q; q < w->q1; q++) {
            IVEC here = winner == FN(npdl_ibroadcast)((INT)(p * w->kernel_w + q));
            VEC x = (VEC)(here & (IVEC)d);
            NPDL_GIVE(s->out + c + w->origin + p * w->down + q * w->right, x);
        }
}

/* dx += dy / places */
NPDL_INLINE void FN(npdl_average_grad_strip)(const FN(npdl_pool_work) *s, const FN(npdl_pool_taps) *w, int64_t in,
                                             int64_t c, int64_t count) {
    const int64_t places = (w->p1 - w->p) * (w->q1 - w->q);
    VEC d = NPDL_TAKE(s->in + in + c) / BC((REAL)NPDL_MORE(places, 1));
    for (int64_t p = w->p; p < w->p1; p++)
        for (int64_t q = w->q; q < w->q1; q++) {
            REAL *x = s->out + c + w->origin + p * w->down + q * w->right;
            VEC sum = NPDL_TAKE(x) + d;
            NPDL_GIVE(x, sum);
        }
}

/* dx = dy / places, where no place belongs to two windows */
NPDL_INLINE void FN(npdl_average_tile_strip)(const FN(npdl_pool_work) *s, const FN(npdl_pool_taps) *w, int64_t in,
                                             int64_t c, int64_t count) {
    const int64_t places = (w->p1 - w->p) * (w->q1 - w->q);
    VEC d = NPDL_TAKE(s->in + in + c) / BC((REAL)places) + BC(0);
    for (int64_t p = w->p; p < w->p1; p++)
        for (int64_t q = w->q; q < w->q1; q++)
            NPDL_GIVE(s->out + c + w->origin + p * w->down + q * w->right, d);
}

/* Row `row` of all results (N · OH rows): STRIP at each of its windows, CHANNELS naming how the channels are gone
 * through. 2 as `kernel` stands for 2 x 2 windows that lie inside the image, of which the compiler then knows all about
 * the taps; 0 for any. */
#define NPDL_POOL_ROW(row, kernel, CHANNELS, strip) \
    { \
        const int64_t top = (row) % g->out_h * g->stride_h - g->pad_top, image = (row) / g->out_h * g->in_h; \
        FN(npdl_pool_taps) w = {0, kernel, 0, kernel, 0, g->dilation_h * g->in_w * g->channels, \
                                g->dilation_w * g->channels, (kernel) ? (kernel) : g->kernel_w}; \
        if (!(kernel)) npdl_taps(top, g->kernel_h, g->dilation_h, g->in_h, &w.p, &w.p1); \
        for (int64_t j = 0; j < g->out_w; j++) { \
            const int64_t left = j * g->stride_w - g->pad_left, at = ((row) * g->out_w + j) * g->channels; \
            if (!(kernel)) npdl_taps(left, g->kernel_w, g->dilation_w, g->in_w, &w.q, &w.q1); \
            w.origin = ((image + top) * g->in_w + left) * g->channels; \
            CHANNELS(g, strip) \
        } \
    }
#define NPDL_EACH(g, strip) NPDL_CHANNELS(g->channels, strip)
/* A lane past the last channel reads what follows and writes where the next windows of this row will write: to the
 * row's end, if there is as much to read. */
#define NPDL_AGAIN(g, strip) \
    const int64_t last = w.origin + (w.p1 - 1) * w.down + (w.q1 - 1) * w.right; \
    const int64_t row_ends = (g->out_w - j) * g->channels; \
    const int64_t x_ends = s->images * g->in_h * g->in_w * g->channels - last; \
    NPDL_CHANNELS_AGAIN(g->channels, NPDL_LESS(row_ends, x_ends), strip)

/* The compiler need not fear that results are written over these. */
#define NPDL_POOL_LOCALS \
    const FN(npdl_pool_work) own_work = *(FN(npdl_pool_work) *)context, *s = &own_work; \
    const npdl_window own_window = *s->g, *g = &own_window;

#define NPDL_POOL_FORWARD(name, kernel, strip) \
    static void FN(name)(void *context, int64_t block, void *work) { \
        NPDL_POOL_LOCALS \
        const int64_t last = NPDL_LESS(s->images * g->out_h, (block + 1) * s->block); \
        (void)work; \
        for (int64_t row = block * s->block; row < last; row++) NPDL_POOL_ROW(row, kernel, NPDL_AGAIN, strip) \
    }

#define NPDL_POOL_BACKWARD(name, strip) \
    static void FN(name)(void *context, int64_t block, void *work) { \
        NPDL_POOL_LOCALS \
        const int64_t first = block * s->block, last = NPDL_LESS(s->images, first + s->block); \
        const int64_t image = g->in_h * g->in_w * g->channels; \
        (void)work; \
        memset(s->out + first * image, 0, (last - first) * image * sizeof(REAL)); \
        for (int64_t row = first * g->out_h; row < last * g->out_h; row++) \
            NPDL_POOL_ROW(row, 0, NPDL_EACH, strip) \
    }

/* Where windows lie side by side: every place is written once, and 0 where there is no window. A window's numbers lie
 * in x as its results do in y, only further apart: there is room in x where there is in y. */
#define NPDL_POOL_TILES(name, kernel, strip) \
    static void FN(name)(void *context, int64_t block, void *work) { \
        NPDL_POOL_LOCALS \
        const int64_t last = NPDL_LESS(s->images * g->out_h, (block + 1) * s->block), line = g->in_w * g->channels; \
        const int64_t covered = g->out_w * g->kernel_w * g->channels, below = g->in_h - g->out_h * g->kernel_h; \
        (void)work; \
        for (int64_t row = block * s->block; row < last; row++) { \
            REAL *x = s->out + (row / g->out_h * g->in_h + row % g->out_h * g->kernel_h) * line; \
            NPDL_POOL_ROW(row, kernel, NPDL_AGAIN, strip) \
            for (int64_t p = 0; p < g->kernel_h && covered < line; p++) \
                memset(x + p * line + covered, 0, (line - covered) * sizeof(REAL)); \
            if (row % g->out_h == g->out_h - 1) memset(x + g->kernel_h * line, 0, below * line * sizeof(REAL)); \
        } \
    }

#define NPDL_STRIP(count) FN(npdl_max_strip)(s, &w, at, c, count)
NPDL_POOL_FORWARD(npdl_max_block, 0, NPDL_STRIP)
NPDL_POOL_FORWARD(npdl_max_block2, 2, NPDL_STRIP)
#undef NPDL_STRIP
#define NPDL_STRIP(count) FN(npdl_average_strip)(s, &w, at, c, count)
NPDL_POOL_FORWARD(npdl_average_block, 0, NPDL_STRIP)
NPDL_POOL_FORWARD(npdl_average_block2, 2, NPDL_STRIP)
#undef NPDL_STRIP
#define NPDL_STRIP(count) FN(npdl_max_grad_strip)(s, &w, at, c, count)
NPDL_POOL_BACKWARD(npdl_max_grad_block, NPDL_STRIP)
#undef NPDL_STRIP
#define NPDL_STRIP(count) FN(npdl_max_tile_strip)(s, &w, at, c, count)
NPDL_POOL_TILES(npdl_max_tiles_block, 0, NPDL_STRIP)
NPDL_POOL_TILES(npdl_max_tiles_block2, 2, NPDL_STRIP)
#undef NPDL_STRIP
#define NPDL_STRIP(count) FN(npdl_average_grad_strip)(s, &w, at, c, count)
NPDL_POOL_BACKWARD(npdl_average_grad_block, NPDL_STRIP)
#undef NPDL_STRIP
#define NPDL_STRIP(count) FN(npdl_average_tile_strip)(s, &w, at, c, count)
NPDL_POOL_TILES(npdl_average_tiles_block, 0, NPDL_STRIP)
NPDL_POOL_TILES(npdl_average_tiles_block2, 2, NPDL_STRIP)
#undef NPDL_STRIP

static FN(npdl_pool_work) FN(npdl_pool_start)(const REAL *in, REAL *out, void *winners, int64_t images,
                                              const npdl_window *g) {
    const int narrow = g->kernel_h * g->kernel_w <= NPDL_NARROW_TAPS;
    FN(npdl_pool_work) s = {in, out, g, narrow ? winners : NULL, narrow ? NULL : winners, images, 1, 0, NULL};
    return s;
}

/* Tasks are rows of results, with about NPDL_GRAIN numbers of the image. */
static void FN(npdl_pool_rows)(npdl_block block, FN(npdl_pool_work) *s) {
    const npdl_window *g = s->g;
    s->block = NPDL_MORE(NPDL_GRAIN / NPDL_MORE(g->out_w * g->channels, 1), 1);
    npdl_parallel(block, s, NPDL_BLOCKS(s->images * g->out_h, s->block), 0);
}

/* Tasks are images. */
static void FN(npdl_pool_images)(npdl_block block, FN(npdl_pool_work) *s) {
    const npdl_window *g = s->g;
    s->block = NPDL_MORE(NPDL_GRAIN / NPDL_MORE(g->in_h * g->in_w * g->channels, 1), 1);
    npdl_parallel(block, s, NPDL_BLOCKS(s->images, s->block), 0);
}

NPDL_API void FN(npdl_max_pool2d)(const REAL *x, REAL *out, void *winners, int relu, int64_t images,
                                  const npdl_window *g) {
    FN(npdl_pool_work) s = FN(npdl_pool_start)(x, out, winners, images, g);
    s.relu = relu;
    FN(npdl_pool_rows)(npdl_windows_of_two(g) ? FN(npdl_max_block2) : FN(npdl_max_block), &s);
}

/* y: what npdl_max_pool2d gave if ReLU followed, else NULL. */
NPDL_API void FN(npdl_max_pool2d_grad)(const REAL *dy, const void *winners, const REAL *y, REAL *out, int64_t images,
                                       const npdl_window *g) {
    FN(npdl_pool_work) s = FN(npdl_pool_start)(dy, out, (void *)winners, images, g);
    s.y = y;
    if (!npdl_windows_tile(g)) FN(npdl_pool_images)(FN(npdl_max_grad_block), &s);
    else FN(npdl_pool_rows)(npdl_windows_of_two(g) ? FN(npdl_max_tiles_block2) : FN(npdl_max_tiles_block), &s);
}

NPDL_API void FN(npdl_average_pool2d)(const REAL *x, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_pool_work) s = FN(npdl_pool_start)(x, out, NULL, images, g);
    FN(npdl_pool_rows)(npdl_windows_of_two(g) ? FN(npdl_average_block2) : FN(npdl_average_block), &s);
}

NPDL_API void FN(npdl_average_pool2d_grad)(const REAL *dy, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_pool_work) s = FN(npdl_pool_start)(dy, out, NULL, images, g);
    if (!npdl_windows_tile(g)) FN(npdl_pool_images)(FN(npdl_average_grad_block), &s);
    else FN(npdl_pool_rows)(npdl_windows_of_two(g) ? FN(npdl_average_tiles_block2) : FN(npdl_average_tiles_block), &s);
}

/* ---- whole images: arrays (images, places, channels) and (images, channels) */

typedef struct {
    int kind;  /* 0 max, 1 its gradient, 2 average, 3 its gradient */
    const REAL *in;
    REAL *out;
    int32_t *winners;
    int64_t images, places, channels, block;
} FN(npdl_global_work);

NPDL_INLINE void FN(npdl_global_max_strip)(const FN(npdl_global_work) *s, int64_t image, int64_t c, int64_t count) {
    const REAL *x = s->in + image * s->places * s->channels + c;
    VEC m = NPDL_TAKE(x);
    IVEC k = {0};
    for (int64_t i = 1; i < s->places; i++) {
        VEC v = NPDL_TAKE(x + i * s->channels);
        IVEC wins = ~(v <= m) & (m == m);
        m = SELECT(wins, v, m);
        k = (wins & (INT)i) | (~wins & k);
    }
    NPDL_GIVE(s->out + image * s->channels + c, m);
    if (s->winners)
        for (int64_t i = 0; i < count; i++) s->winners[image * s->channels + c + i] = (int32_t)k[i];
}

NPDL_INLINE void FN(npdl_global_average_strip)(const FN(npdl_global_work) *s, int64_t image, int64_t c, int64_t count) {
    const REAL *x = s->in + image * s->places * s->channels + c;
    VEC total = BC(0);
    for (int64_t i = 0; i < s->places;) {
        VEC sum = BC(0);
        for (int64_t last = NPDL_LESS(s->places, i + NPDL_POOL_PLACES); i < last; i++)
            sum = sum + NPDL_TAKE(x + i * s->channels);
        total = total + sum;
    }
    total = total / BC((REAL)s->places);
    NPDL_GIVE(s->out + image * s->channels + c, total);
}

NPDL_INLINE void FN(npdl_global_spread_strip)(const FN(npdl_global_work) *s, int64_t image, int64_t c, int64_t count) {
    const VEC d = NPDL_TAKE(s->in + image * s->channels + c) / BC((REAL)s->places);
    REAL *x = s->out + image * s->places * s->channels + c;
    for (int64_t i = 0; i < s->places; i++) NPDL_GIVE(x + i * s->channels, d);
}

static void FN(npdl_global_block)(void *context, int64_t block, void *work) {
    const FN(npdl_global_work) *s = context;
    const int64_t last = NPDL_LESS(s->images, (block + 1) * s->block), size = s->places * s->channels;
    (void)work;
    for (int64_t image = block * s->block; image < last; image++) {
        #define NPDL_STRIP_MAX(count) FN(npdl_global_max_strip)(s, image, c, count)
        #define NPDL_STRIP_AVERAGE(count) FN(npdl_global_average_strip)(s, image, c, count)
        #define NPDL_STRIP_SPREAD(count) FN(npdl_global_spread_strip)(s, image, c, count)
        if (s->kind == 0) NPDL_CHANNELS(s->channels, NPDL_STRIP_MAX)
        if (s->kind == 2) NPDL_CHANNELS(s->channels, NPDL_STRIP_AVERAGE)
        if (s->kind == 3) NPDL_CHANNELS(s->channels, NPDL_STRIP_SPREAD)
        #undef NPDL_STRIP_MAX
        #undef NPDL_STRIP_AVERAGE
        #undef NPDL_STRIP_SPREAD
        if (s->kind != 1) continue;
        const int64_t first = image * s->channels;
        memset(s->out + image * size, 0, size * sizeof(REAL));
        for (int64_t c = 0; c < s->channels; c++) {
            const int64_t place = s->winners[first + c];
            if (place >= 0 && place < s->places) s->out[image * size + place * s->channels + c] = s->in[first + c];
        }
    }
}

/* kind: see npdl_global_work */
NPDL_API void FN(npdl_global_pool)(int kind, const REAL *in, REAL *out, int32_t *winners, int64_t images, int64_t places,
                                   int64_t channels) {
    FN(npdl_global_work) s = {kind, in, out, winners, images, places, channels, 1};
    s.block = NPDL_MORE(NPDL_GRAIN / NPDL_MORE(places * channels, 1), 1);
    npdl_parallel(FN(npdl_global_block), &s, NPDL_BLOCKS(images, s.block), 0);
}
