/* Pixels scaled and shifted, and images moved by affine maps. Formulas: npdl/kernels/reference/image.py.
 *
 * Where a pixel of the result lies in the image is computed in double for both number types, product by product, so
 * that no instruction set rounds a place to another pixel. An image's gradient is summed by one thread, in the order of
 * the result's pixels, which no other image has a part in.
 */
#ifndef NPDL_IMAGE_H
#define NPDL_IMAGE_H

#define NPDL_FURTHEST 0x1p52 /* places beyond are taken for that: they are as far outside, and fit an integer */
#define NPDL_PERIOD 256      /* numbers that a repeated row of parameters is written out to */

enum { NPDL_FILL_CONSTANT, NPDL_FILL_NEAREST, NPDL_FILL_REFLECT, NPDL_FILL_WRAP };

/* Where the number of place p of an axis of n is taken from; -1 is nowhere. */
static inline int64_t npdl_extended(int64_t p, int64_t n, int fill) {
    if (p >= 0 && p < n) return p;
    switch (fill) {
    case NPDL_FILL_NEAREST: return p < 0 ? 0 : n - 1;
    case NPDL_FILL_WRAP: return (p % n + n) % n;
    case NPDL_FILL_REFLECT: p = (p % (2 * n) + 2 * n) % (2 * n); return p < n ? p : 2 * n - 1 - p;
    default: return -1;
    }
}

/* The integer below; what is no number becomes the furthest place. */
static inline int64_t npdl_floor(double *v) {
    *v = *v > -NPDL_FURTHEST ? (*v < NPDL_FURTHEST ? *v : NPDL_FURTHEST) : -NPDL_FURTHEST;
    const int64_t whole = (int64_t)*v;
    return whole - ((double)whole > *v);
}

#endif

typedef struct {
    const REAL *x, *center, *scale, *offset;
    REAL *out, low, high;
    int64_t rows, period, block, pieces, each;
} FN(npdl_rescale_work);

static void FN(npdl_rescale_block)(void *context, int64_t block, void *work) {
    const FN(npdl_rescale_work) *s = context;
    const int64_t group = block / s->pieces, row = block % s->pieces * s->block;
    const int64_t stop = NPDL_LESS(s->rows, row + s->block), start = (group * s->rows + row) * s->period;
    const int64_t n = (stop - row) * s->period;
    const REAL *x = s->x + start, *center = s->center + group * s->period, *scale = s->scale + group * s->period;
    const REAL *offset = s->offset + group * s->period;
    REAL *out = s->out + start, *copies = work;
    const VEC low = BC(s->low), high = BC(s->high);
    int64_t period = s->period;
    if (period < NPDL_PERIOD) {
        const int64_t times = NPDL_BLOCKS(NPDL_PERIOD, period), length = times * period;
        for (int64_t i = 0; i < length; i++) {
            copies[i] = center[i % period];
            copies[length + i] = scale[i % period];
            copies[2 * length + i] = offset[i % period];
        }
        center = copies, scale = copies + length, offset = copies + 2 * length, period = length;
    }
    for (int64_t begin = 0; begin < n; begin += period)
        for (int64_t i = 0; i < period && begin + i < n; i += VL) {
            const int64_t c = begin + i, count = NPDL_LESS(NPDL_LESS(period - i, VL), n - c);
            const VEC v = FMA(NPDL_TAKE(x + c) - NPDL_TAKE(center + i), NPDL_TAKE(scale + i), NPDL_TAKE(offset + i));
            const VEC cut = MIN(high, MAX(low, v));
            NPDL_GIVE(out + c, cut);
        }
}

/* out = min(max((x - center) scale + offset, low), high): x is `groups` times `rows` rows of `period` numbers, and each
 * group has a row of parameters. */
NPDL_API void FN(npdl_rescale)(const REAL *x, const REAL *center, const REAL *scale, const REAL *offset, double low,
                               double high, REAL *out, int64_t groups, int64_t rows, int64_t period) {
    FN(npdl_rescale_work) s = {x, center, scale, offset, out, (REAL)low, (REAL)high, rows, period, 1, 1, 0};
    if (!groups || !rows || !period) return;
    s.block = NPDL_BLOCKS(NPDL_GRAIN, period);
    s.pieces = NPDL_BLOCKS(rows, s.block);
    npdl_parallel(FN(npdl_rescale_block), &s, groups * s.pieces,
                  period < NPDL_PERIOD ? 6 * NPDL_PERIOD * sizeof(REAL) : 0);
}

typedef struct {
    const REAL *from; /* x, or dy */
    REAL *to;         /* out, or dx */
    const double *transforms;
    int64_t in_h, in_w, out_h, out_w, channels, block, pieces;
    int linear, fill;
    REAL value;
} FN(npdl_affine_work);

/* Where pixel (i, j) of the result lies in the image: the integers below, and how far it is beyond them. */
NPDL_INLINE void FN(npdl_spot)(const FN(npdl_affine_work) *s, const double *t, int64_t i, int64_t j, int64_t *row,
                               int64_t *column, REAL *q, REAL *p) {
    double u = t[0] * (double)j + t[1] * (double)i + t[2], v = t[3] * (double)j + t[4] * (double)i + t[5];
    if (!s->linear) u = u + 0.5, v = v + 0.5;
    *column = npdl_floor(&u), *row = npdl_floor(&v);
    *p = (REAL)(u - (double)*column), *q = (REAL)(v - (double)*row);
}

/* The pixels that one pixel of the result is made of: offsets into an image, -1 for one outside, and their weights. */
NPDL_INLINE void FN(npdl_corners)(const FN(npdl_affine_work) *s, int64_t row, int64_t column, REAL q, REAL p,
                                  int64_t *place, REAL *weight) {
    int64_t r[2], c[2];
    for (int k = 0; k < 1 + s->linear; k++) {
        r[k] = npdl_extended(row + k, s->in_h, s->fill);
        c[k] = npdl_extended(column + k, s->in_w, s->fill);
    }
    if (!s->linear) {
        place[0] = r[0] < 0 || c[0] < 0 ? -1 : (r[0] * s->in_w + c[0]) * s->channels, weight[0] = 1;
        return;
    }
    for (int k = 0; k < 4; k++)
        place[k] = r[k / 2] < 0 || c[k % 2] < 0 ? -1 : (r[k / 2] * s->in_w + c[k % 2]) * s->channels;
    weight[0] = (1 - q) * (1 - p), weight[1] = (1 - q) * p, weight[2] = q * (1 - p), weight[3] = q * p;
}

/* out = Σ weight · pixel over four pixels of `channels` numbers, in order */
NPDL_INLINE void FN(npdl_mix_four)(const REAL *a, const REAL *b, const REAL *c_, const REAL *d, REAL w, REAL x, REAL y,
                                   REAL z, REAL *out, int64_t channels) {
    if (channels < 4) { /* as colours are: one by one, and all read before the first is written */
        #define NPDL_ONE(c) FMA1(z, d[c], FMA1(y, c_[c], FMA1(x, b[c], w * a[c])))
        const REAL one = NPDL_ONE(0), two = channels > 1 ? NPDL_ONE(1) : 0, three = channels > 2 ? NPDL_ONE(2) : 0;
        out[0] = one;
        if (channels > 1) out[1] = two;
        if (channels > 2) out[2] = three;
        #undef NPDL_ONE
        return;
    }
    #define NPDL_STRIP(width) \
        { \
            const int64_t count = width; \
            VEC sum = FMA(BC(x), NPDL_TAKE(b + c), BC(w) * NPDL_TAKE(a + c)); \
            sum = FMA(BC(z), NPDL_TAKE(d + c), FMA(BC(y), NPDL_TAKE(c_ + c), sum)); \
            NPDL_GIVE(out + c, sum); \
        }
    NPDL_CHANNELS(channels, NPDL_STRIP)
    #undef NPDL_STRIP
}

/* Some rows of one image. */
static void FN(npdl_affine_block)(void *context, int64_t block, void *work) {
    const FN(npdl_affine_work) own = *(const FN(npdl_affine_work) *)context, *s = &own;
    const int64_t image = block / s->pieces, first = block % s->pieces * s->block, channels = s->channels;
    const int64_t wide = s->in_w * channels, rows = s->in_h - s->linear, columns = s->in_w - s->linear;
    const REAL *x = s->from + image * s->in_h * wide;
    double t[6];
    memcpy(t, s->transforms + 6 * image, sizeof t);
    REAL *out = s->to + (image * s->out_h + first) * s->out_w * channels, *outside = work;
    for (int64_t c = 0; c < channels; c++) outside[c] = s->value;
    for (int64_t i = first; i < NPDL_LESS(s->out_h, first + s->block); i++)
        for (int64_t j = 0; j < s->out_w; j++, out += channels) {
            int64_t row, column, place[4];
            REAL q, p, w[4] = {0}; /* nearest: none is read */
            FN(npdl_spot)(s, t, i, j, &row, &column, &q, &p);
            if ((uint64_t)row < (uint64_t)rows && (uint64_t)column < (uint64_t)columns) { /* inside, as most are */
                const REAL *from = x + row * wide + column * channels;
                if (s->linear)
                    FN(npdl_mix_four)(from, from + channels, from + wide, from + wide + channels, (1 - q) * (1 - p),
                                      (1 - q) * p, q * (1 - p), q * p, out, channels);
                else for (int64_t c = 0; c < channels; c++) out[c] = from[c];
                continue;
            }
            FN(npdl_corners)(s, row, column, q, p, place, w);
            const REAL *from[4];
            for (int k = 0; k < (s->linear ? 4 : 1); k++) from[k] = place[k] < 0 ? outside : x + place[k];
            if (s->linear) FN(npdl_mix_four)(from[0], from[1], from[2], from[3], w[0], w[1], w[2], w[3], out, channels);
            else for (int64_t c = 0; c < channels; c++) out[c] = from[0][c];
        }
}

/* dx of one image. */
static void FN(npdl_affine_grad_block)(void *context, int64_t image, void *work) {
    const FN(npdl_affine_work) *s = context;
    const int64_t channels = s->channels, size = s->in_h * s->in_w * channels;
    const REAL *dy = s->from + image * s->out_h * s->out_w * channels;
    REAL *dx = s->to + image * size;
    (void)work;
    memset(dx, 0, (size_t)size * sizeof(REAL));
    for (int64_t i = 0; i < s->out_h; i++)
        for (int64_t j = 0; j < s->out_w; j++, dy += channels) {
            int64_t place[4];
            REAL w[4] = {0}; /* nearest: none is read */
            int64_t row, column;
            REAL q, p;
            FN(npdl_spot)(s, s->transforms + 6 * image, i, j, &row, &column, &q, &p);
            FN(npdl_corners)(s, row, column, q, p, place, w);
            for (int k = 0; k < (s->linear ? 4 : 1); k++)
                for (int64_t c = 0; place[k] >= 0 && c < channels; c++)
                    dx[place[k] + c] = FMA1(w[k], dy[c], dx[place[k] + c]);
        }
}

/* sizes: in_h, in_w, out_h, out_w, channels. grad: from is dy, to is dx. */
NPDL_API void FN(npdl_affine)(int grad, const REAL *from, const double *transforms, REAL *to, int64_t samples,
                              const int64_t *sizes, int linear, int fill, double value) {
    FN(npdl_affine_work) s = {from, to, transforms, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], 1, 1, linear,
                              fill, (REAL)value};
    if (!s.in_h || !s.in_w || !s.channels) return;
    if (grad) {
        npdl_parallel(FN(npdl_affine_grad_block), &s, samples, 0);
        return;
    }
    if (!s.out_h || !s.out_w) return;
    s.block = NPDL_BLOCKS(NPDL_GRAIN / 4, s.out_w * s.channels); /* a pixel takes longer than its few numbers */
    s.pieces = NPDL_BLOCKS(s.out_h, s.block);
    npdl_parallel(FN(npdl_affine_block), &s, samples * s.pieces, s.channels * sizeof(REAL));
}
