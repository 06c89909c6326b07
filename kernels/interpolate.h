/* Images resized: weighted sums of rows and of columns. Formulas: npdl/kernels/reference/interpolate.py.
 *
 * A number of the result is a weighted sum along one axis of weighted sums along the other. The sum over rows runs along
 * whole rows of numbers, the other pixel by pixel, which is slower where there are few channels; so the columns come
 * first where the result has more rows than the image, and last where it has fewer. Either way what lies between the
 * two sums stays in a block's working memory. A gradient is the same on the transposed taps.
 */
#ifndef NPDL_INTERPOLATE_H
#define NPDL_INTERPOLATE_H

#define NPDL_TAPS_AT_ONCE 8

/* npdl/kernels/taps.py's Taps */
typedef struct {
    const int64_t *start, *index;
    const double *weight;
} npdl_resampling;

/* Whether they read no place outside 0 ... size - 1. */
static int npdl_resampling_fits(const npdl_resampling *t, int64_t places, int64_t count, int64_t size) {
    int good = t->start[0] == 0 && t->start[places] == count;
    for (int64_t i = 0; good && i < places; i++) good = t->start[i] <= t->start[i + 1];
    for (int64_t p = 0; good && p < count; p++) good = t->index[p] >= 0 && t->index[p] < size;
    return good;
}

/* The first place of x that places `place` to `stop` - 1 of the result read; `end` is the one behind the last. */
static int64_t npdl_first_read(const npdl_resampling *t, int64_t place, int64_t stop, int64_t *end) {
    int64_t first = INT64_MAX;
    *end = 0;
    for (int64_t p = t->start[place]; p < t->start[stop]; p++)
        first = NPDL_LESS(first, t->index[p]), *end = NPDL_MORE(*end, t->index[p] + 1);
    return NPDL_LESS(first, *end);
}

#endif

typedef struct {
    const REAL *x;
    REAL *out;
    int64_t in_h, in_w, out_h, out_w, channels;
    npdl_resampling rows, columns;
    int64_t block, pieces, kept; /* rows of the result a block, blocks an image, rows of x that a block reads at most */
} FN(npdl_interpolate_work);

/* out = Σ weight[p] x[index[p] · n + ...] over the taps of place i: n numbers */
NPDL_INLINE void FN(npdl_tapped)(const npdl_resampling *t, int64_t i, const REAL *x, REAL *out, int64_t n) {
    int64_t first = t->start[i];
    const int64_t last = t->start[i + 1];
    if (first == last) {
        memset(out, 0, (size_t)n * sizeof(REAL));
        return;
    }
    if (last - first == 2) { /* bilinear: the same as below, without its lists of taps */
        const REAL *one = x + t->index[first] * n, *other = x + t->index[first + 1] * n;
        const VEC v = BC((REAL)t->weight[first]), w = BC((REAL)t->weight[first + 1]);
        #define NPDL_STRIP(width) \
            { \
                const int64_t count = width; \
                const VEC sum = FMA(w, NPDL_TAKE(other + c), v * NPDL_TAKE(one + c)); \
                NPDL_GIVE(out + c, sum); \
            }
        NPDL_CHANNELS(n, NPDL_STRIP)
        #undef NPDL_STRIP
        return;
    }
    for (int64_t begin = first; first < last; first += NPDL_TAPS_AT_ONCE) {
        const int taps = (int)NPDL_LESS(last - first, NPDL_TAPS_AT_ONCE);
        const REAL *from[NPDL_TAPS_AT_ONCE];
        REAL weight[NPDL_TAPS_AT_ONCE];
        for (int p = 0; p < taps; p++) from[p] = x + t->index[first + p] * n, weight[p] = (REAL)t->weight[first + p];
        #define NPDL_STRIP(width) \
            { \
                const int64_t count = width; \
                VEC sum = BC(weight[0]) * NPDL_TAKE(from[0] + c); \
                if (first > begin) sum = FMA(BC(weight[0]), NPDL_TAKE(from[0] + c), NPDL_TAKE(out + c)); \
                for (int p = 1; p < taps; p++) sum = FMA(BC(weight[p]), NPDL_TAKE(from[p] + c), sum); \
                NPDL_GIVE(out + c, sum); \
            }
        NPDL_CHANNELS(n, NPDL_STRIP)
        #undef NPDL_STRIP
    }
}

/* One row of pixels, resized. */
static void FN(npdl_resize_row)(const FN(npdl_interpolate_work) *s, const REAL *x, REAL *out) {
    for (int64_t j = 0; j < s->out_w; j++) FN(npdl_tapped)(&s->columns, j, x, out + j * s->channels, s->channels);
}

static void FN(npdl_interpolate_block)(void *context, int64_t block, void *work) {
    const FN(npdl_interpolate_work) *s = context;
    const int64_t image = block / s->pieces, row = block % s->pieces * s->block;
    const int64_t wide = s->in_w * s->channels, width = s->out_w * s->channels, stop = NPDL_LESS(s->out_h, row + s->block);
    const REAL *x = s->x + image * s->in_h * wide;
    REAL *out = s->out + image * s->out_h * width, *between = work;
    if (!s->kept) {
        for (int64_t i = row; i < stop; i++) {
            FN(npdl_tapped)(&s->rows, i, x, between, wide);
            FN(npdl_resize_row)(s, between, out + i * width);
        }
        return;
    }
    int64_t end;
    const int64_t first = npdl_first_read(&s->rows, row, stop, &end);
    for (int64_t i = first; i < end; i++) FN(npdl_resize_row)(s, x + i * wide, between + (i - first) * width);
    for (int64_t i = row; i < stop; i++) FN(npdl_tapped)(&s->rows, i, between - first * width, out + i * width, width);
}

/* sizes: in_h, in_w, out_h, out_w, channels */
NPDL_API void FN(npdl_interpolate)(const REAL *x, REAL *out, int64_t samples, const int64_t *sizes, npdl_resampling rows,
                                   npdl_resampling columns) {
    FN(npdl_interpolate_work) s = {x, out, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], rows, columns, 1, 1, 0};
    const int64_t width = s.out_w * s.channels;
    int64_t end;
    if (!samples || !s.out_h || !width) return;
    s.block = NPDL_LESS(NPDL_MORE(NPDL_BLOCKS(NPDL_GRAIN, width), 8), s.out_h);
    s.pieces = NPDL_BLOCKS(s.out_h, s.block);
    if (s.in_h < s.out_h)
        for (int64_t row = 0; row < s.out_h; row += s.block) {
            const int64_t first = npdl_first_read(&rows, row, NPDL_LESS(s.out_h, row + s.block), &end);
            s.kept = NPDL_MORE(s.kept, end - first);
        }
    npdl_parallel(FN(npdl_interpolate_block), &s, samples * s.pieces,
                  (s.kept ? s.kept * width : s.in_w * s.channels) * sizeof(REAL));
}
