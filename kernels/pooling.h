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

NPDL_INLINE IVEC FN(npdl_load_winners)(const FN(npdl_pool_work) *s, int64_t i, int64_t count) {
    FN(npdl_narrow_lanes) narrow = {0};
    FN(npdl_wide_lanes) wide = {0};
    if (s->narrow) {
        memcpy(&narrow, s->narrow + i, count);
        return __builtin_convertvector(narrow, IVEC);
    }
    memcpy(&wide, s->wide + i, count * sizeof(int32_t));
    return __builtin_convertvector(wide, IVEC);
}

NPDL_INLINE void FN(npdl_store_winners)(const FN(npdl_pool_work) *s, int64_t i, IVEC winner, int64_t count) {
    if (s->narrow) {
        FN(npdl_narrow_lanes) narrow = __builtin_convertvector(winner, FN(npdl_narrow_lanes));
        memcpy(s->narrow + i, &narrow, count);
        return;
    }
    FN(npdl_wide_lanes) wide = __builtin_convertvector(winner, FN(npdl_wide_lanes));
    memcpy(s->wide + i, &wide, count * sizeof(int32_t));
}

/* One window: taps [p, p1) x [q, q1), `origin` the place of tap (0, 0) in x, which may lie outside. */
typedef struct { int64_t p, p1, q, q1, origin, down, right; } FN(npdl_pool_taps);

/* m = max over the taps; the first maximum wins, and the first NaN wins over every number. */
NPDL_INLINE void FN(npdl_max_strip)(const FN(npdl_pool_work) *s, const FN(npdl_pool_taps) *w, int64_t out, int64_t c,
                                    int64_t count) {
    const REAL *x = s->in + c;
    VEC m = BC(-(REAL)INFINITY);
    IVEC k = {0}, first = ~k;  /* the first tap wins anyhow */
    for (int64_t p = w->p; p < w->p1; p++)
        for (int64_t q = w->q; q < w->q1; q++) {
            VEC v = NPDL_TAKE(x + w->origin + p * w->down + q * w->right);
            IVEC wins = first | (~(v <= m) & (m == m));
            m = SELECT(wins, v, m);
            k = (wins & (INT)(p * s->g->kernel_w + q)) | (~wins & k);
            first = first ^ first;
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
            IVEC here = winner == FN(npdl_ibroadcast)((INT)(p * s->g->kernel_w + q));
            VEC sum = NPDL_TAKE(x) + (VEC)(here & (IVEC)d);
            NPDL_GIVE(x, sum);
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

/* Row `row` of all results (N · OH rows): STRIP at each of its windows. */
#define NPDL_POOL_ROW(row, strip) \
    { \
        const npdl_window *g = s->g; \
        const int64_t top = (row) % g->out_h * g->stride_h - g->pad_top, image = (row) / g->out_h * g->in_h; \
        FN(npdl_pool_taps) w; \
        w.down = g->dilation_h * g->in_w * g->channels, w.right = g->dilation_w * g->channels; \
        npdl_taps(top, g->kernel_h, g->dilation_h, g->in_h, &w.p, &w.p1); \
        for (int64_t j = 0; j < g->out_w; j++) { \
            const int64_t left = j * g->stride_w - g->pad_left, at = ((row) * g->out_w + j) * g->channels; \
            npdl_taps(left, g->kernel_w, g->dilation_w, g->in_w, &w.q, &w.q1); \
            w.origin = ((image + top) * g->in_w + left) * g->channels; \
            NPDL_CHANNELS(g->channels, strip) \
        } \
    }

#define NPDL_POOL_FORWARD(name, strip) \
    static void FN(name)(void *context, int64_t block, void *work) { \
        const FN(npdl_pool_work) *s = context; \
        const int64_t last = NPDL_LESS(s->images * s->g->out_h, (block + 1) * s->block); \
        (void)work; \
        for (int64_t row = block * s->block; row < last; row++) NPDL_POOL_ROW(row, strip) \
    }

#define NPDL_POOL_BACKWARD(name, strip) \
    static void FN(name)(void *context, int64_t block, void *work) { \
        const FN(npdl_pool_work) *s = context; \
        const int64_t first = block * s->block, last = NPDL_LESS(s->images, first + s->block); \
        const int64_t image = s->g->in_h * s->g->in_w * s->g->channels; \
        (void)work; \
        memset(s->out + first * image, 0, (last - first) * image * sizeof(REAL)); \
        for (int64_t row = first * s->g->out_h; row < last * s->g->out_h; row++) NPDL_POOL_ROW(row, strip) \
    }

#define NPDL_STRIP(count) FN(npdl_max_strip)(s, &w, at, c, count)
NPDL_POOL_FORWARD(npdl_max_block, NPDL_STRIP)
#undef NPDL_STRIP
#define NPDL_STRIP(count) FN(npdl_average_strip)(s, &w, at, c, count)
NPDL_POOL_FORWARD(npdl_average_block, NPDL_STRIP)
#undef NPDL_STRIP
#define NPDL_STRIP(count) FN(npdl_max_grad_strip)(s, &w, at, c, count)
NPDL_POOL_BACKWARD(npdl_max_grad_block, NPDL_STRIP)
#undef NPDL_STRIP
#define NPDL_STRIP(count) FN(npdl_average_grad_strip)(s, &w, at, c, count)
NPDL_POOL_BACKWARD(npdl_average_grad_block, NPDL_STRIP)
#undef NPDL_STRIP

static FN(npdl_pool_work) FN(npdl_pool_start)(const REAL *in, REAL *out, void *winners, int64_t images,
                                              const npdl_window *g) {
    const int narrow = g->kernel_h * g->kernel_w <= NPDL_NARROW_TAPS;
    FN(npdl_pool_work) s = {in, out, g, narrow ? winners : NULL, narrow ? NULL : winners, images, 1, 0, NULL};
    return s;
}

static void FN(npdl_pool_forward)(npdl_block block, const REAL *x, REAL *out, void *winners, int relu, int64_t images,
                                  const npdl_window *g) {
    FN(npdl_pool_work) s = FN(npdl_pool_start)(x, out, winners, images, g);
    s.relu = relu;
    s.block = NPDL_MORE(NPDL_GRAIN / NPDL_MORE(g->out_w * g->channels, 1), 1);
    npdl_parallel(block, &s, NPDL_BLOCKS(images * g->out_h, s.block), 0);
}

static void FN(npdl_pool_backward)(npdl_block block, const REAL *dy, REAL *out, void *winners, const REAL *y,
                                   int64_t images, const npdl_window *g) {
    FN(npdl_pool_work) s = FN(npdl_pool_start)(dy, out, winners, images, g);
    s.y = y;
    s.block = NPDL_MORE(NPDL_GRAIN / NPDL_MORE(g->in_h * g->in_w * g->channels, 1), 1);
    npdl_parallel(block, &s, NPDL_BLOCKS(images, s.block), 0);
}

static void FN(npdl_max_pool2d)(const REAL *x, REAL *out, void *winners, int relu, int64_t images,
                                const npdl_window *g) {
    FN(npdl_pool_forward)(FN(npdl_max_block), x, out, winners, relu, images, g);
}

/* y: what npdl_max_pool2d gave if ReLU followed, else NULL. */
static void FN(npdl_max_pool2d_grad)(const REAL *dy, const void *winners, const REAL *y, REAL *out, int64_t images,
                                     const npdl_window *g) {
    FN(npdl_pool_backward)(FN(npdl_max_grad_block), dy, out, (void *)winners, y, images, g);
}

static void FN(npdl_average_pool2d)(const REAL *x, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_pool_forward)(FN(npdl_average_block), x, out, NULL, 0, images, g);
}

static void FN(npdl_average_pool2d_grad)(const REAL *dy, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_pool_backward)(FN(npdl_average_grad_block), dy, out, NULL, NULL, images, g);
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
static void FN(npdl_global_pool)(int kind, const REAL *in, REAL *out, int32_t *winners, int64_t images, int64_t places,
                                 int64_t channels) {
    FN(npdl_global_work) s = {kind, in, out, winners, images, places, channels, 1};
    s.block = NPDL_MORE(NPDL_GRAIN / NPDL_MORE(places * channels, 1), 1);
    npdl_parallel(FN(npdl_global_block), &s, NPDL_BLOCKS(images, s.block), 0);
}
