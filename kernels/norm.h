/* Batch normalization over rows of `channels` numbers. Formulas: npdl/kernels/reference/norm.py.
 *
 * Sums run over blocks of NPDL_NORM_ROWS rows, each channel on its own from the first row of the block to the last;
 * the blocks' results are combined in order, in double precision. A task is such a block, for up to NPDL_NORM_CHANNELS
 * channels: which threads and which vectors take part changes no bit.
 *
 * Most of the time goes to memory. So rows are gone through in groups of NPDL_NORM_GROUP, a group's channels before the
 * next group: what is read and written lies together. What is written NPDL_NORM_AHEAD bytes further on is fetched
 * meanwhile. A second pass over the same numbers goes backwards, from those that are still in the cache. Together this
 * gained 14 to 35 % forward and 7 to 22 % backward at 4 to 17 MB (Xeon, 36 MB of third cache), nothing below.
 */
#ifndef NPDL_NORM_H
#define NPDL_NORM_H

#define NPDL_NORM_ROWS 256
#define NPDL_NORM_CHANNELS 512
#define NPDL_NORM_GROUP 8
#define NPDL_NORM_AHEAD 1024
/* The address is a number here: it may lie behind the array. */
#define NPDL_FETCH_OUTPUT(p) __builtin_prefetch((const void *)((uintptr_t)(p) + NPDL_NORM_AHEAD), 1)
#define NPDL_STRIP_LANES (4 * NPDL_VECTOR_BYTES / (int64_t)sizeof(REAL))

#endif

typedef struct {
    const REAL *x, *dy;
    REAL *out;
    const REAL *mean, *factor, *bias, *slope, *offset;  /* a channel each, see npdl_norm_apply */
    const REAL *shortcut;                               /* what is added to y before the ReLU, or NULL */
    const REAL *y;                                      /* that sum after the ReLU, where dy comes from there, or NULL */
    REAL *dz;                                           /* with y: dy before the ReLU is put here */
    const FN(npdl_unpooled) *unpooled;                  /* what dy is made of, or NULL */
    int64_t dy_step, dy_row, dy_channel;                /* from row to row of dy, and what its first number is */
    double *partial;                                    /* a block: two numbers a channel */
    int64_t rows, channels;
    int64_t shares;                                     /* into which tasks fall that go backwards, 0 if they do not */
} FN(npdl_norm_work);

static int64_t FN(npdl_norm_tasks)(const FN(npdl_norm_work) *s) {
    return NPDL_BLOCKS(s->rows, NPDL_NORM_ROWS) * NPDL_BLOCKS(s->channels, NPDL_NORM_CHANNELS);
}

/* Rows [*r, *r1) and channels [*c, *c1) of a task. */
static void FN(npdl_norm_task)(const FN(npdl_norm_work) *s, int64_t task, int64_t *r, int64_t *r1, int64_t *c,
                               int64_t *c1) {
    int64_t across = NPDL_BLOCKS(s->channels, NPDL_NORM_CHANNELS);
    if (s->shares) {
        const int64_t tasks = FN(npdl_norm_tasks)(s), share = ((task + 1) * s->shares - 1) / tasks;
        task = tasks * share / s->shares + tasks * (share + 1) / s->shares - 1 - task;
    }
    *r = task / across * NPDL_NORM_ROWS;
    *r1 = NPDL_LESS(s->rows, *r + NPDL_NORM_ROWS);
    *c = task % across * NPDL_NORM_CHANNELS;
    *c1 = NPDL_LESS(s->channels, *c + NPDL_NORM_CHANNELS);
}

static void FN(npdl_norm_run)(FN(npdl_norm_work) *s, npdl_block block) {
    const int64_t numbers = s->unpooled ? NPDL_UNPOOL_ROWS * NPDL_LESS(s->channels, NPDL_NORM_CHANNELS) : 0;
    npdl_parallel(block, s, FN(npdl_norm_tasks)(s), numbers * sizeof(REAL));
}

/* The same backwards within each thread's share, which is still in the cache of its core. */
static void FN(npdl_norm_run_back)(FN(npdl_norm_work) *s, npdl_block block) {
    s->shares = NPDL_LESS(FN(npdl_norm_tasks)(s), npdl_get_num_threads());
    FN(npdl_norm_run)(s, block);
}

/* dy of row r and channel c; NULL forward. */
NPDL_INLINE const REAL *FN(npdl_norm_dy)(const FN(npdl_norm_work) *s, int64_t r, int64_t c) {
    return s->dy ? s->dy + (r - s->dy_row) * s->dy_step + c - s->dy_channel : NULL;
}

/* Makes dy of rows [r, r1) and channels [c, c1) at `work`, if it is not there: where the task's rows end at `stop`, so
 * many are gone through at a time. The end of these rows. */
static int64_t FN(npdl_norm_unpool)(FN(npdl_norm_work) *s, int64_t r, int64_t stop, int64_t c, int64_t c1, void *work) {
    if (!s->unpooled) return stop;
    const int64_t end = NPDL_LESS(stop, r + NPDL_UNPOOL_ROWS);
    s->dy = work, s->dy_step = c1 - c, s->dy_row = r, s->dy_channel = c;
    FN(npdl_unpool_rows)(s->unpooled, r, end - r, c, c1, work, c1 - c);
    return end;
}

/* Some vectors of channels side by side, or the first `count` lanes of one. */
#define NPDL_LANES_OF(wide, count) ((wide) > 1 || (count) == VL)
#define NPDL_GET(p) (NPDL_LANES_OF(wide, count) ? LD(p) : LDN(p, count))
#define NPDL_PUT(p, v) do { if (NPDL_LANES_OF(wide, count)) ST(p, v); else STN(p, v, count); } while (0)

/* Calls STRIP(wide, count, ...) with c at the first of its channels, for all channels from c to c1. */
#define NPDL_STRIPS(STRIP, ...) \
    for (; c + 4 * VL <= c1; c += 4 * VL) STRIP(4, VL, ##__VA_ARGS__); \
    if (c + 2 * VL <= c1) { STRIP(2, VL, ##__VA_ARGS__); c += 2 * VL; } \
    if (c + VL <= c1) { STRIP(1, VL, ##__VA_ARGS__); c += VL; } \
    if (c < c1) STRIP(1, c1 - c, ##__VA_ARGS__);
/* The same for rows from r to r1 in groups; in STRIP they are r to r1 of its group, and the channels start at c. */
#define NPDL_GROUPS(STRIP, ...) \
    for (int64_t first = c, end = r1; r < end; r = r1) { \
        c = first; \
        r1 = NPDL_LESS(end, r + (c1 - c > NPDL_STRIP_LANES ? NPDL_NORM_GROUP : NPDL_NORM_ROWS)); \
        NPDL_STRIPS(STRIP, ##__VA_ARGS__) \
    }

/* ---- statistics: mean and Σ (x − mean)² of a block */

NPDL_INLINE void FN(npdl_moments)(const FN(npdl_norm_work) *s, int64_t r, int64_t r1, int64_t c, double *mean,
                                  double *square, int wide, int64_t count) {
    const REAL *first = s->x + r * s->channels + c;
    const int64_t step = s->channels, n = r1 - r;
    const VEC share = BC((REAL)1 / (REAL)n);
    VEC sum[4], about[4], squares[4];
    for (int j = 0; j < 4; j++) sum[j] = squares[j] = BC(0);
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < wide; j++) sum[j] = sum[j] + NPDL_GET(first + i * step + j * VL);
    /* The squares are taken about a rounded mean; the sum of the differences says by how much it is off. */
    for (int j = 0; j < wide; j++) about[j] = sum[j] * share, sum[j] = BC(0);
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < wide; j++) {
            VEC d = NPDL_GET(first + i * step + j * VL) - about[j];
            sum[j] = sum[j] + d;
            squares[j] = FMA(d, d, squares[j]);
        }
    REAL a[NPDL_STRIP_LANES] = {0}, d[NPDL_STRIP_LANES] = {0}, q[NPDL_STRIP_LANES] = {0};
    for (int j = 0; j < wide; j++) ST(a + j * VL, about[j]), ST(d + j * VL, sum[j]), ST(q + j * VL, squares[j]);
    for (int64_t i = 0; i < wide * count; i++) {
        double off = (double)d[i] / (double)n;
        mean[i] = a[i] + off;
        square[i] = q[i] - off * d[i];
    }
}

static void FN(npdl_moments_block)(void *context, int64_t task, void *work) {
    const FN(npdl_norm_work) *s = context;
    int64_t r, r1, c, c1;
    (void)work;
    FN(npdl_norm_task)(s, task, &r, &r1, &c, &c1);
    double *mean = s->partial + r / NPDL_NORM_ROWS * 2 * s->channels, *square = mean + s->channels;
    #define NPDL_STRIP(wide, count) FN(npdl_moments)(s, r, r1, c, mean + c, square + c, wide, count)
    NPDL_STRIPS(NPDL_STRIP)
    #undef NPDL_STRIP
}

NPDL_API void FN(npdl_batch_norm_statistics)(const REAL *x, REAL *mean, REAL *variance, int64_t rows, int64_t channels) {
    int64_t blocks = NPDL_BLOCKS(rows, NPDL_NORM_ROWS);
    FN(npdl_norm_work) s = {.x = x, .rows = rows, .channels = channels};
    if (!(s.partial = npdl_shared(blocks * 2 * channels * sizeof(double)))) return;
    FN(npdl_norm_run)(&s, FN(npdl_moments_block));
    /* Chan, Golub and LeVeque's formula: the blocks before, and one more. */
    double *m = s.partial, *q = m + channels, *more = q + channels, count = NPDL_LESS(rows, NPDL_NORM_ROWS);
    for (int64_t b = 1; b < blocks; b++, more += 2 * channels) {
        double n = NPDL_LESS(rows - b * NPDL_NORM_ROWS, NPDL_NORM_ROWS), all = count + n;
        double between = count * n / all, share = n / all;
        for (int64_t c = 0; c < channels; c++) {
            double d = more[c] - m[c];
            q[c] = q[c] + (more[channels + c] + d * d * between);
            m[c] = m[c] + d * share;
        }
        count = all;
    }
    for (int64_t c = 0; c < channels; c++) {
        mean[c] = (REAL)m[c];
        variance[c] = (REAL)(q[c] / (double)rows);
    }
}

/* ---- results: y = a((x − mean) · factor + bias), and dx = (x − mean) · slope + (dy − offset) · factor
 *
 * Behind ReLU dy counts only where y > 0, and 0 stands for it elsewhere. The same formula in the same numbers says
 * where that is: y itself is not kept.
 */

enum { FN(npdl_norm_forward), FN(npdl_norm_backward), FN(npdl_norm_frozen) };

NPDL_INLINE void FN(npdl_norm_apply)(const FN(npdl_norm_work) *s, int64_t r, int64_t r1, int64_t c, int result,
                                     int relu, int wide, int64_t count) {
    const VEC zero = BC(0);
    VEC mean[4], factor[4], bias[4], slope[4], offset[4];
    for (int j = 0; j < wide; j++) {
        factor[j] = NPDL_GET(s->factor + c + j * VL);
        if (result != FN(npdl_norm_frozen) || relu) mean[j] = NPDL_GET(s->mean + c + j * VL);
        if (result == FN(npdl_norm_forward) || relu) bias[j] = NPDL_GET(s->bias + c + j * VL);
        if (result == FN(npdl_norm_backward)) slope[j] = NPDL_GET(s->slope + c + j * VL);
        if (result == FN(npdl_norm_backward)) offset[j] = NPDL_GET(s->offset + c + j * VL);
    }
    const REAL *dy = FN(npdl_norm_dy)(s, r, c);
    for (int64_t i = r * s->channels + c; i < r1 * s->channels; i += s->channels, dy += s->dy_step)
        for (int j = 0; j < wide; j++) {
            VEC x = zero, y = zero, d = zero;
            NPDL_FETCH_OUTPUT(s->out + i + j * VL);
            if (result != FN(npdl_norm_frozen) || relu) x = NPDL_GET(s->x + i + j * VL) - mean[j];
            if (result == FN(npdl_norm_forward) || relu) y = FMA(x, factor[j], bias[j]);
            if (result != FN(npdl_norm_forward)) d = NPDL_GET(dy + j * VL);
            if (result != FN(npdl_norm_forward) && relu) d = SELECT(y > zero, d, zero);
            if (result == FN(npdl_norm_forward) && s->shortcut) y = y + NPDL_GET(s->shortcut + i + j * VL);
            if (result == FN(npdl_norm_forward) && relu) y = RELU(y);
            if (result == FN(npdl_norm_backward)) y = FMA(x, slope[j], (d - offset[j]) * factor[j]);
            if (result == FN(npdl_norm_frozen)) y = d * factor[j];
            NPDL_PUT(s->out + i + j * VL, y);
        }
}

#define NPDL_NORM_APPLY(result, relu) \
    static void FN(result##_block##relu)(void *context, int64_t task, void *work) { \
        FN(npdl_norm_work) own = *(const FN(npdl_norm_work) *)context, *s = &own; \
        int64_t r, r1, c, c1; \
        FN(npdl_norm_task)(s, task, &r, &r1, &c, &c1); \
        for (int64_t stop = r1, c0 = c; r < stop; c = c0) { \
            r1 = FN(npdl_norm_unpool)(s, r, stop, c, c1, work); \
            NPDL_GROUPS(NPDL_STRIP, result, relu) \
        } \
    }
#define NPDL_STRIP(wide, count, result, relu) FN(npdl_norm_apply)(s, r, r1, c, FN(result), relu, wide, count)
NPDL_NORM_APPLY(npdl_norm_forward, 0)
NPDL_NORM_APPLY(npdl_norm_forward, 1)
NPDL_NORM_APPLY(npdl_norm_backward, 0)
NPDL_NORM_APPLY(npdl_norm_backward, 1)
NPDL_NORM_APPLY(npdl_norm_frozen, 0)
NPDL_NORM_APPLY(npdl_norm_frozen, 1)
#undef NPDL_STRIP
#undef NPDL_NORM_APPLY
#define NPDL_NORM_BLOCK(result, relu) ((relu) ? FN(result##_block1) : FN(result##_block0))

/* 1 / √(variance + ε) */
NPDL_INLINE double FN(npdl_inverse_deviation)(REAL variance, double epsilon) {
    return 1 / sqrt((double)variance + epsilon);
}

/* γ / √(variance + ε), and β; of one channel, NULL standing for 1 and 0 */
NPDL_INLINE REAL FN(npdl_norm_factor)(const REAL *gamma, const REAL *variance, double epsilon, int64_t c) {
    return (REAL)((gamma ? gamma[c] : 1) * FN(npdl_inverse_deviation)(variance[c], epsilon));
}

/* shortcut may be NULL. */
NPDL_API void FN(npdl_batch_norm)(const REAL *x, const REAL *mean, const REAL *variance, const REAL *gamma,
                                  const REAL *beta, double epsilon, const REAL *shortcut, int relu, REAL *out,
                                  int64_t rows, int64_t channels) {
    REAL *factor = npdl_shared(2 * channels * sizeof(REAL)), *bias = factor + channels;
    if (!factor) return;
    FN(npdl_norm_work) s = {.x = x, .out = out, .mean = mean, .factor = factor, .bias = bias, .shortcut = shortcut,
                            .rows = rows, .channels = channels};
    for (int64_t c = 0; c < channels; c++) {
        factor[c] = FN(npdl_norm_factor)(gamma, variance, epsilon, c);
        bias[c] = beta ? beta[c] : 0;
    }
    FN(npdl_norm_run_back)(&s, NPDL_NORM_BLOCK(npdl_norm_forward, relu));
}

/* ---- gradients: Σ dy and Σ dy (x − mean) of a block */

/* Adds rows from r to r1 to the sums at `plain` and `product`. */
NPDL_INLINE void FN(npdl_norm_sums)(const FN(npdl_norm_work) *s, int64_t r, int64_t r1, int64_t c, REAL *plain,
                                    REAL *product, int relu, int wide, int64_t count) {
    VEC mean[4], factor[4], bias[4], sum[4], products[4];
    for (int j = 0; j < wide; j++) {
        sum[j] = NPDL_GET(plain + j * VL), products[j] = NPDL_GET(product + j * VL);
        mean[j] = NPDL_GET(s->mean + c + j * VL);
        if (relu) factor[j] = NPDL_GET(s->factor + c + j * VL), bias[j] = NPDL_GET(s->bias + c + j * VL);
    }
    const REAL *dy = FN(npdl_norm_dy)(s, r, c);
    for (int64_t i = r * s->channels + c; i < r1 * s->channels; i += s->channels, dy += s->dy_step)
        for (int j = 0; j < wide; j++) {
            VEC d = NPDL_GET(dy + j * VL), x = NPDL_GET(s->x + i + j * VL) - mean[j];
            if (relu) d = SELECT(FMA(x, factor[j], bias[j]) > BC(0), d, BC(0));
            if (!relu && s->y) {
                d = SELECT(NPDL_GET(s->y + i + j * VL) > BC(0), d, BC(0));
                NPDL_PUT(s->dz + i + j * VL, d);
            }
            sum[j] = sum[j] + d;
            products[j] = FMA(d, x, products[j]);
        }
    for (int j = 0; j < wide; j++) {
        NPDL_PUT(plain + j * VL, sum[j]);
        NPDL_PUT(product + j * VL, products[j]);
    }
}

#define NPDL_NORM_SUMS(relu) \
    static void FN(npdl_norm_sums_block##relu)(void *context, int64_t task, void *work) { \
        FN(npdl_norm_work) own = *(const FN(npdl_norm_work) *)context, *s = &own; \
        int64_t r, r1, c, c1; \
        REAL plain[NPDL_NORM_CHANNELS] = {0}, product[NPDL_NORM_CHANNELS] = {0}; \
        FN(npdl_norm_task)(s, task, &r, &r1, &c, &c1); \
        double *sums = s->partial + r / NPDL_NORM_ROWS * 2 * s->channels; \
        const int64_t c0 = c; \
        for (int64_t stop = r1; r < stop; c = c0) { \
            r1 = FN(npdl_norm_unpool)(s, r, stop, c, c1, work); \
            NPDL_GROUPS(NPDL_STRIP, relu) \
        } \
        for (c = c0; c < c1; c++) sums[c] = plain[c - c0], sums[s->channels + c] = product[c - c0]; \
    }
#define NPDL_STRIP(wide, count, relu) \
    FN(npdl_norm_sums)(s, r, r1, c, plain + (c - c0), product + (c - c0), relu, wide, count)
NPDL_NORM_SUMS(0)
NPDL_NORM_SUMS(1)
#undef NPDL_STRIP
#undef NPDL_NORM_SUMS

/* What npdl_batch_norm_grad and npdl_batch_norm_pooled_grad share; dy or `unpooled` is given.
 *
 * frozen: mean and variance are constants. dx, dgamma, dbeta may be NULL. y, or NULL: what ReLU made of out + shortcut;
 * then relu is 0, and dz gets dy where y > 0 and 0 elsewhere; it may be dy. */
static void FN(npdl_norm_gradients)(int frozen, const REAL *dy, const FN(npdl_unpooled) *unpooled, const REAL *x,
                                    const REAL *mean, const REAL *variance, const REAL *gamma, const REAL *beta,
                                    double epsilon, int relu, const REAL *y, REAL *dz, REAL *dx, REAL *dgamma,
                                    REAL *dbeta, int64_t rows, int64_t channels) {
    int64_t blocks = NPDL_BLOCKS(rows, NPDL_NORM_ROWS);
    int sums = dgamma || dbeta || !frozen || y;
    size_t numbers = sums ? (blocks + 1) * 2 * channels : 0;
    char *memory = npdl_shared(numbers * sizeof(double) + 4 * channels * sizeof(REAL));
    if (!memory) return;
    double *plain = (double *)memory, *product = plain + channels;
    REAL *factor = (REAL *)(memory + numbers * sizeof(double)), *bias = factor + channels;
    REAL *slope = bias + channels, *offset = slope + channels;
    FN(npdl_norm_work) s = {.x = x, .dy = dy, .out = dx, .mean = mean, .factor = factor, .bias = bias, .slope = slope,
                            .offset = offset, .y = y, .dz = dz, .unpooled = unpooled, .dy_step = channels,
                            .rows = rows, .channels = channels};
    for (int64_t c = 0; c < channels; c++) {
        factor[c] = FN(npdl_norm_factor)(gamma, variance, epsilon, c);
        bias[c] = beta ? beta[c] : 0;
    }
    if (sums) {
        memset(plain, 0, 2 * channels * sizeof(double));
        s.partial = product + channels;
        FN(npdl_norm_run)(&s, relu ? FN(npdl_norm_sums_block1) : FN(npdl_norm_sums_block0));
        for (int64_t b = 0; b < blocks; b++)
            for (int64_t c = 0; c < 2 * channels; c++) plain[c] += s.partial[b * 2 * channels + c];
    }
    for (int64_t c = 0; sums && c < channels; c++) {
        double inverse = FN(npdl_inverse_deviation)(variance[c], epsilon), a = (gamma ? gamma[c] : 1) * inverse;
        if (dbeta) dbeta[c] = (REAL)plain[c];
        if (dgamma) dgamma[c] = (REAL)(product[c] * inverse);
        /* dx = a (dy − Σ dy / n − (x − mean) Σ dy (x − mean) / (n σ²)) */
        slope[c] = (REAL)(-a * inverse * inverse * product[c] / (double)rows);
        offset[c] = (REAL)(plain[c] / (double)rows);
    }
    if (!dx) return;
    if (y) s.dy = dz;
    FN(npdl_norm_run_back)(
        &s, frozen ? NPDL_NORM_BLOCK(npdl_norm_frozen, relu) : NPDL_NORM_BLOCK(npdl_norm_backward, relu));
}

NPDL_API void FN(npdl_batch_norm_grad)(int frozen, const REAL *dy, const REAL *x, const REAL *mean, const REAL *variance,
                                       const REAL *gamma, const REAL *beta, double epsilon, int relu, const REAL *y,
                                       REAL *dz, REAL *dx, REAL *dgamma, REAL *dbeta, int64_t rows, int64_t channels) {
    FN(npdl_norm_gradients)(frozen, dy, NULL, x, mean, variance, gamma, beta, epsilon, relu, y, dz, dx, dgamma, dbeta,
                            rows, channels);
}

/* ---- images (in_h, in_w), pooled on the way; see pooled.h */

typedef struct {
    FN(npdl_norm_work) norm;
    FN(npdl_pooled) pooled;
    int64_t in_w, lines, block; /* lines of windows: of all images, of a task */
    int64_t in_h;
} FN(npdl_norm_pooled);

/* A line of windows: x from `at` on, the next row `down` further, to the pooled numbers from `to` on. */
NPDL_INLINE void FN(npdl_norm_pool_line)(const FN(npdl_norm_pooled) *p, int64_t at, int64_t down, int64_t windows,
                                         int64_t to, int64_t c, int wide, int64_t count) {
    const FN(npdl_norm_work) *s = &p->norm;
    VEC mean[4], factor[4], bias[4];
    for (int j = 0; j < wide; j++) {
        mean[j] = NPDL_GET(s->mean + c + j * VL), factor[j] = NPDL_GET(s->factor + c + j * VL);
        bias[j] = NPDL_GET(s->bias + c + j * VL);
    }
    uint8_t *winners = p->pooled.winners ? p->pooled.winners + to + c : NULL;
    REAL *out = p->pooled.out + to + c;
    const int64_t next = s->channels;
    for (const REAL *x = s->x + at + c; windows > 0; windows--, x += 2 * next, out += next) {
        for (int j = 0; j < wide; j++) {
            VEC v[4] = {NPDL_GET(x + j * VL), NPDL_GET(x + next + j * VL), NPDL_GET(x + down + j * VL),
                        NPDL_GET(x + down + next + j * VL)};
            for (int t = 0; t < 4; t++) v[t] = FMA(v[t] - mean[j], factor[j], bias[j]);
            FN(npdl_pool_of_two)(v, out + j * VL, winners ? winners + j * VL : NULL, p->pooled.relu, count);
        }
        if (winners) winners += next;
    }
}

static void FN(npdl_norm_pooled_block)(void *context, int64_t task, void *work) {
    const FN(npdl_norm_pooled) own = *(const FN(npdl_norm_pooled) *)context, *p = &own;
    const int64_t out_h = p->in_h / 2, out_w = p->in_w / 2, c1 = p->norm.channels, down = p->in_w * c1;
    const int64_t last = NPDL_LESS(p->lines, (task + 1) * p->block);
    (void)work;
    for (int64_t line = task * p->block; line < last; line++) {
        const int64_t at = (line / out_h * p->in_h + line % out_h * 2) * down, to = line * out_w * c1;
        int64_t c = 0;
        #define NPDL_STRIP(wide, count) FN(npdl_norm_pool_line)(p, at, down, out_w, to, c, wide, count)
        NPDL_STRIPS(NPDL_STRIP)
        #undef NPDL_STRIP
    }
}

/* out = a(the maximum of each 2 x 2 of what npdl_batch_norm gives), a is ReLU or nothing; winners may be NULL. */
NPDL_API void FN(npdl_batch_norm_pooled)(const REAL *x, const REAL *mean, const REAL *variance, const REAL *gamma,
                                         const REAL *beta, double epsilon, int relu, REAL *out, void *winners,
                                         int64_t images, int64_t in_h, int64_t in_w, int64_t channels) {
    REAL *factor = npdl_shared(2 * channels * sizeof(REAL)), *bias = factor + channels;
    if (!factor) return;
    FN(npdl_norm_pooled) p = {
        .norm = {.x = x, .mean = mean, .factor = factor, .bias = bias, .channels = channels},
        .pooled = {out, winners, relu}, .in_h = in_h, .in_w = in_w, .lines = images * (in_h / 2),
        .block = NPDL_MORE(NPDL_GRAIN / NPDL_MORE(2 * in_w * channels, 1), 1),
    };
    for (int64_t c = 0; c < channels; c++) {
        factor[c] = FN(npdl_norm_factor)(gamma, variance, epsilon, c);
        bias[c] = beta ? beta[c] : 0;
    }
    npdl_parallel(FN(npdl_norm_pooled_block), &p, NPDL_BLOCKS(p.lines, p.block), 0);
}

/* As npdl_batch_norm_grad; dy and winners are of pooled images. */
NPDL_API void FN(npdl_batch_norm_pooled_grad)(int frozen, const REAL *dy, const void *winners, const REAL *x,
                                              const REAL *mean, const REAL *variance, const REAL *gamma, double epsilon,
                                              REAL *dx, REAL *dgamma, REAL *dbeta, int64_t images, int64_t in_h,
                                              int64_t in_w, int64_t channels) {
    const FN(npdl_unpooled) from = {dy, winners, in_h, in_w, channels};
    FN(npdl_norm_gradients)(frozen, NULL, &from, x, mean, variance, gamma, NULL, epsilon, 0, NULL, NULL, dx, dgamma,
                            dbeta, images * in_h * in_w, channels);
}

NPDL_API void FN(npdl_moving_average)(const REAL *value, double momentum, REAL *out, int64_t n) {
    const VEC keep = BC((REAL)momentum), add = BC((REAL)(1 - momentum));
    NPDL_MAP2(value, out, out, n, FMA(keep, w, add * v))
}

#undef NPDL_LANES_OF
#undef NPDL_GET
#undef NPDL_PUT
#undef NPDL_STRIPS
#undef NPDL_GROUPS
#undef NPDL_NORM_BLOCK
