/* Group normalization: x (samples, positions, channels), the channels in groups. Formulas: npdl/kernels/reference/
 * group_norm.py.
 *
 * A channel's sums over the positions of a sample run in blocks of NPDL_GROUP_ROWS, each in order from zero; the blocks
 * are combined in double precision, then the channels of a group, each in order. So a sample is made in an order that
 * its shape alone sets. A task is some samples, or some whole groups of one.
 */
#ifndef NPDL_GROUP_NORM_H
#define NPDL_GROUP_NORM_H

#define NPDL_GROUP_ROWS 256
#define NPDL_GROUP_SAMPLES 4   /* fewer samples are cut into strips of groups, so that there is work for all threads: */
#define NPDL_GROUP_STRIP 32    /* at least that many channels */
#define NPDL_GROUP_LANES (4 * NPDL_VECTOR_BYTES / sizeof(REAL))

#endif

typedef struct {
    const REAL *x, *dy, *gamma, *beta, *known_mean, *known_inverse;
    REAL *out, *mean, *inverse;  /* mean, inverse: (samples, groups) */
    double *partial;             /* a sample: its share of dγ and of dβ; NULL where nobody reads them */
    double epsilon;
    int64_t samples, positions, channels, groups;
    int64_t block, strip;        /* samples and groups of a task */
} FN(npdl_group_norm_work);

/* A task's working memory, a number each channel of its strip. */
typedef struct { double *first, *second; REAL *mean, *factor, *bias, *slope; } FN(npdl_group_memory);

#define NPDL_LANES_OF(wide, count) ((wide) > 1 || (count) == VL)
#define NPDL_GET(p) (NPDL_LANES_OF(wide, count) ? LD(p) : LDN(p, count))
#define NPDL_PUT(p, v) do { if (NPDL_LANES_OF(wide, count)) ST(p, v); else STN(p, v, count); } while (0)

/* STRIP(c, wide, count) for the channels [0, n): up to four vectors from c on, or `count` lanes of one */
#define NPDL_STRIPS(n, STRIP) \
    { \
        int64_t c = 0; \
        for (; c + 4 * VL <= (n); c += 4 * VL) STRIP(c, 4, VL); \
        if (c + 2 * VL <= (n)) { STRIP(c, 2, VL); c += 2 * VL; } \
        if (c + VL <= (n)) { STRIP(c, 1, VL); c += VL; } \
        if (c < (n)) STRIP(c, 1, (n) - c); \
    }

/* ---- sums over positions */

/* mean and Σ (x − mean)² of each channel */
NPDL_INLINE void FN(npdl_group_moments)(const REAL *x, int64_t step, int64_t positions, double *mean, double *square,
                                        int wide, int64_t count) {
    for (int64_t first = 0; first < positions; first += NPDL_GROUP_ROWS) {
        const int64_t n = NPDL_LESS(positions - first, NPDL_GROUP_ROWS);
        const REAL *rows = x + first * step;
        const VEC share = BC((REAL)1 / (REAL)n);
        VEC sum[4], about[4], squares[4];
        for (int j = 0; j < wide; j++) sum[j] = squares[j] = BC(0);
        for (int64_t i = 0; i < n; i++)
            for (int j = 0; j < wide; j++) sum[j] = sum[j] + NPDL_GET(rows + i * step + j * VL);
        /* The squares are taken about a rounded mean; the sum of the differences says by how much it is off. */
        for (int j = 0; j < wide; j++) about[j] = sum[j] * share, sum[j] = BC(0);
        for (int64_t i = 0; i < n; i++)
            for (int j = 0; j < wide; j++) {
                VEC d = NPDL_GET(rows + i * step + j * VL) - about[j];
                sum[j] = sum[j] + d;
                squares[j] = FMA(d, d, squares[j]);
            }
        REAL a[NPDL_GROUP_LANES] = {0}, d[NPDL_GROUP_LANES] = {0}, q[NPDL_GROUP_LANES] = {0};
        for (int j = 0; j < wide; j++) ST(a + j * VL, about[j]), ST(d + j * VL, sum[j]), ST(q + j * VL, squares[j]);
        for (int64_t i = 0; i < wide * count; i++) {
            const double off = (double)d[i] / (double)n, m = a[i] + off, more = q[i] - off * d[i];
            if (!first) {
                mean[i] = m, square[i] = more;
                continue;
            }
            /* Chan, Golub and LeVeque's formula: the blocks before, and one more */
            const double all = (double)(first + n), apart = m - mean[i];
            square[i] = square[i] + (more + apart * apart * ((double)first * (double)n / all));
            mean[i] = mean[i] + apart * ((double)n / all);
        }
    }
}

/* Σ dy and Σ dy (x − mean) of each channel */
NPDL_INLINE void FN(npdl_group_products)(const REAL *x, const REAL *dy, const REAL *mean, int64_t step,
                                         int64_t positions, double *plain, double *product, int wide, int64_t count) {
    VEC middle[4];
    for (int j = 0; j < wide; j++) middle[j] = NPDL_GET(mean + j * VL);
    for (int64_t i = 0; i < wide * count; i++) plain[i] = product[i] = 0;
    for (int64_t first = 0; first < positions; first += NPDL_GROUP_ROWS) {
        const int64_t last = NPDL_LESS(positions, first + NPDL_GROUP_ROWS);
        VEC sum[4], sums[4];
        for (int j = 0; j < wide; j++) sum[j] = sums[j] = BC(0);
        for (int64_t i = first; i < last; i++)
            for (int j = 0; j < wide; j++) {
                VEC d = NPDL_GET(dy + i * step + j * VL);
                sum[j] = sum[j] + d;
                sums[j] = FMA(d, NPDL_GET(x + i * step + j * VL) - middle[j], sums[j]);
            }
        REAL a[NPDL_GROUP_LANES] = {0}, b[NPDL_GROUP_LANES] = {0};
        for (int j = 0; j < wide; j++) ST(a + j * VL, sum[j]), ST(b + j * VL, sums[j]);
        for (int64_t i = 0; i < wide * count; i++) plain[i] += a[i], product[i] += b[i];
    }
}

/* ---- results: y = (x − mean) factor + bias, and dx = dy factor + ((x − mean) slope + bias) */

NPDL_INLINE void FN(npdl_group_apply)(const REAL *x, const REAL *dy, REAL *out, const REAL *mean, const REAL *factor,
                                      const REAL *bias, const REAL *slope, int64_t step, int64_t positions, int wide,
                                      int64_t count) {
    VEC m[4], f[4], b[4], s[4];
    for (int j = 0; j < wide; j++) {
        m[j] = NPDL_GET(mean + j * VL), f[j] = NPDL_GET(factor + j * VL), b[j] = NPDL_GET(bias + j * VL);
        if (dy) s[j] = NPDL_GET(slope + j * VL);
    }
    for (int64_t i = 0; i < positions * step; i += step)
        for (int j = 0; j < wide; j++) {
            VEC v = NPDL_GET(x + i + j * VL) - m[j];
            if (dy) v = FMA(NPDL_GET(dy + i + j * VL), f[j], FMA(v, s[j], b[j]));
            else v = FMA(v, f[j], b[j]);
            NPDL_PUT(out + i + j * VL, v);
        }
}

/* ---- a sample's groups [g, g + groups) */

static void FN(npdl_group_forward)(const FN(npdl_group_norm_work) *s, int64_t sample, int64_t g, int64_t groups,
                                   const FN(npdl_group_memory) *work) {
    const int64_t width = s->channels / s->groups, at = g * width, n = groups * width;
    const double count = (double)(s->positions * width);
    const REAL *x = s->x + sample * s->positions * s->channels + at;
    REAL *out = s->out + sample * s->positions * s->channels + at;
    #define NPDL_STRIP(c, wide, count) \
        FN(npdl_group_moments)(x + c, s->channels, s->positions, work->first + c, work->second + c, wide, count)
    NPDL_STRIPS(n, NPDL_STRIP)
    #undef NPDL_STRIP
    for (int64_t i = 0; i < groups; i++) {
        double *mean = work->first + i * width, *square = work->second + i * width, middle = 0, total = 0;
        for (int64_t k = 0; k < width; k++) middle += mean[k];
        middle /= (double)width;
        for (int64_t k = 0; k < width; k++)
            total += square[k] + (mean[k] - middle) * (mean[k] - middle) * (double)s->positions;
        const double inverse = 1 / sqrt((total < 0 ? 0 : total) / count + s->epsilon);
        for (int64_t k = i * width; k < (i + 1) * width; k++) {
            work->mean[k] = (REAL)middle;
            work->factor[k] = (REAL)(inverse * (s->gamma ? s->gamma[at + k] : 1));
            work->bias[k] = s->beta ? s->beta[at + k] : 0;
        }
        if (s->mean) s->mean[sample * s->groups + g + i] = (REAL)middle;
        if (s->inverse) s->inverse[sample * s->groups + g + i] = (REAL)inverse;
    }
    #define NPDL_STRIP(c, wide, count) \
        FN(npdl_group_apply)(x + c, NULL, out + c, work->mean + c, work->factor + c, work->bias + c, NULL, s->channels, \
                             s->positions, wide, count)
    NPDL_STRIPS(n, NPDL_STRIP)
    #undef NPDL_STRIP
}

static void FN(npdl_group_backward)(const FN(npdl_group_norm_work) *s, int64_t sample, int64_t g, int64_t groups,
                                    const FN(npdl_group_memory) *work) {
    const int64_t width = s->channels / s->groups, at = g * width, n = groups * width;
    const int64_t start = sample * s->positions * s->channels + at;
    const double share = 1 / (double)(s->positions * width);
    const REAL *x = s->x + start, *dy = s->dy + start;
    const REAL *mean = s->known_mean + sample * s->groups + g, *inverse = s->known_inverse + sample * s->groups + g;
    for (int64_t k = 0; k < n; k++) work->mean[k] = mean[k / width];
    #define NPDL_STRIP(c, wide, count) \
        FN(npdl_group_products)(x + c, dy + c, work->mean + c, s->channels, s->positions, work->first + c, \
                                work->second + c, wide, count)
    NPDL_STRIPS(n, NPDL_STRIP)
    #undef NPDL_STRIP
    double *dgamma = s->partial ? s->partial + sample * 2 * s->channels + at : NULL;
    for (int64_t i = 0; i < groups; i++) {
        double plain = 0, product = 0;
        const double f = inverse[i];
        for (int64_t k = i * width; k < (i + 1) * width; k++) {
            const double gamma = s->gamma ? s->gamma[at + k] : 1, slope = work->second[k] * f;
            plain += gamma * work->first[k], product += gamma * slope;
            if (dgamma) dgamma[k] = slope, dgamma[s->channels + k] = work->first[k];
        }
        for (int64_t k = i * width; k < (i + 1) * width; k++) {
            work->factor[k] = (REAL)(f * (s->gamma ? s->gamma[at + k] : 1));
            work->slope[k] = (REAL)(-f * f * product * share);
            work->bias[k] = (REAL)(-f * plain * share);
        }
    }
    if (!s->out) return;
    REAL *out = s->out + start;
    #define NPDL_STRIP(c, wide, count) \
        FN(npdl_group_apply)(x + c, dy + c, out + c, work->mean + c, work->factor + c, work->bias + c, work->slope + c, \
                             s->channels, s->positions, wide, count)
    NPDL_STRIPS(n, NPDL_STRIP)
    #undef NPDL_STRIP
}

#undef NPDL_LANES_OF
#undef NPDL_GET
#undef NPDL_PUT
#undef NPDL_STRIPS

static void FN(npdl_group_block)(void *context, int64_t task, void *work) {
    const FN(npdl_group_norm_work) *s = context;
    const int64_t strips = NPDL_BLOCKS(s->groups, s->strip), g = task % strips * s->strip;
    const int64_t groups = NPDL_LESS(s->strip, s->groups - g), first = task / strips * s->block;
    const int64_t last = NPDL_LESS(s->samples, first + s->block), n = s->strip * (s->channels / s->groups);
    double *wide = work;
    REAL *narrow = (REAL *)(wide + 2 * n);
    const FN(npdl_group_memory) m = {wide, wide + n, narrow, narrow + n, narrow + 2 * n, narrow + 3 * n};
    for (int64_t sample = first; sample < last; sample++)
        if (s->dy) FN(npdl_group_backward)(s, sample, g, groups, &m);
        else FN(npdl_group_forward)(s, sample, g, groups, &m);
}

static void FN(npdl_group_run)(FN(npdl_group_norm_work) *s) {
    const int64_t size = s->positions * s->channels, width = s->channels / s->groups;
    const int few = s->samples < NPDL_GROUP_SAMPLES && size > NPDL_GRAIN;
    s->block = NPDL_MORE(NPDL_GRAIN / size, 1);
    s->strip = few ? NPDL_LESS(NPDL_BLOCKS(NPDL_GROUP_STRIP, width), s->groups) : s->groups;
    npdl_parallel(FN(npdl_group_block), s, NPDL_BLOCKS(s->samples, s->block) * NPDL_BLOCKS(s->groups, s->strip),
                  s->strip * width * (2 * sizeof(double) + 4 * sizeof(REAL)));
}

/* gamma, beta: NULL for 1 and 0. mean, inverse: of each sample and group, 1/σ; NULL where nobody reads them. */
NPDL_API void FN(npdl_group_norm)(const REAL *x, const REAL *gamma, const REAL *beta, double epsilon, REAL *out,
                                  REAL *mean, REAL *inverse, int64_t samples, int64_t positions, int64_t channels,
                                  int64_t groups) {
    FN(npdl_group_norm_work) s = {.x = x, .gamma = gamma, .beta = beta, .out = out, .mean = mean, .inverse = inverse,
                                  .epsilon = epsilon, .samples = samples, .positions = positions, .channels = channels,
                                  .groups = groups};
    FN(npdl_group_run)(&s);
}

/* dx, dgamma, dbeta: NULL where nobody reads them. */
NPDL_API void FN(npdl_group_norm_grad)(const REAL *dy, const REAL *x, const REAL *mean, const REAL *inverse,
                                       const REAL *gamma, REAL *dx, REAL *dgamma, REAL *dbeta, int64_t samples,
                                       int64_t positions, int64_t channels, int64_t groups) {
    FN(npdl_group_norm_work) s = {.x = x, .dy = dy, .gamma = gamma, .known_mean = mean, .known_inverse = inverse,
                                  .out = dx, .samples = samples, .positions = positions, .channels = channels,
                                  .groups = groups};
    const int sums = dgamma || dbeta;
    if (sums && !(s.partial = npdl_shared(samples * 2 * channels * sizeof(double)))) return;
    FN(npdl_group_run)(&s);
    for (int64_t c = 0; sums && c < channels; c++) {
        double a = 0, b = 0;
        for (int64_t i = 0; i < samples; i++)
            a += s.partial[2 * i * channels + c], b += s.partial[(2 * i + 1) * channels + c];
        if (dgamma) dgamma[c] = (REAL)a;
        if (dbeta) dbeta[c] = (REAL)b;
    }
}
