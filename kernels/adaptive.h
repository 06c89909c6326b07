/* Pooling of an axis into a given number of bins. Formulas: npdl/kernels/reference/adaptive_pool.py.
 *
 * Arrays are (rows, places, channels), the channels' numbers lie beside each other. Bin o of O holds the places from
 * floor(o L / O) to ceil((o + 1) L / O) of L: neighbours may share one. A task is some rows.
 */

typedef struct {
    int kind; /* 0 max, 1 its gradient, 2 average, 3 its gradient */
    const REAL *in;
    REAL *out;
    int32_t *winners;
    int64_t rows, places, bins, channels, block;
} FN(npdl_bins_work);

NPDL_INLINE void FN(npdl_bin_max_strip)(const REAL *x, int64_t first, int64_t last, int64_t channels, REAL *to,
                                        int32_t *winners, int64_t c, int64_t count) {
    VEC m = NPDL_TAKE(x + first * channels + c);
    IVEC k = FN(npdl_ibroadcast)((INT)first);
    for (int64_t i = first + 1; i < last; i++) {
        VEC v = NPDL_TAKE(x + i * channels + c);
        IVEC wins = ~(v <= m) & (m == m);
        m = SELECT(wins, v, m);
        k = (wins & (INT)i) | (~wins & k);
    }
    NPDL_GIVE(to + c, m);
    if (winners)
        for (int64_t i = 0; i < count; i++) winners[c + i] = (int32_t)k[i];
}

NPDL_INLINE void FN(npdl_bin_average_strip)(const REAL *x, int64_t first, int64_t last, int64_t channels, REAL *to,
                                            int64_t c, int64_t count) {
    VEC total = BC(0);
    for (int64_t i = first; i < last;) {
        VEC sum = BC(0);
        for (int64_t stop = NPDL_LESS(last, i + NPDL_POOL_PLACES); i < stop; i++)
            sum = sum + NPDL_TAKE(x + i * channels + c);
        total = total + sum;
    }
    total = total / BC((REAL)(last - first));
    NPDL_GIVE(to + c, total);
}

NPDL_INLINE void FN(npdl_bin_spread_strip)(const REAL *dy, int64_t first, int64_t last, int64_t channels, REAL *dx,
                                           int64_t c, int64_t count) {
    const VEC d = NPDL_TAKE(dy + c) / BC((REAL)(last - first));
    for (int64_t i = first; i < last; i++) {
        REAL *to = dx + i * channels + c;
        VEC sum = NPDL_TAKE(to) + d;
        NPDL_GIVE(to, sum);
    }
}

static void FN(npdl_bins_block)(void *context, int64_t block, void *work) {
    const FN(npdl_bins_work) *s = context;
    const int64_t stop = NPDL_LESS(s->rows, (block + 1) * s->block), size = s->places * s->channels, n = s->channels;
    (void)work;
    for (int64_t row = block * s->block; row < stop; row++) {
        const REAL *x = s->in + row * size; /* max, average */
        REAL *dx = s->out + row * size;     /* gradients */
        if (s->kind % 2) memset(dx, 0, size * sizeof(REAL));
        for (int64_t o = 0; o < s->bins; o++) {
            const int64_t first = o * s->places / s->bins, last = NPDL_BLOCKS((o + 1) * s->places, s->bins);
            const int64_t at = (row * s->bins + o) * n;
            #define NPDL_STRIP_MAX(count) \
                FN(npdl_bin_max_strip)(x, first, last, n, s->out + at, s->winners ? s->winners + at : NULL, c, count)
            #define NPDL_STRIP_AVERAGE(count) FN(npdl_bin_average_strip)(x, first, last, n, s->out + at, c, count)
            #define NPDL_STRIP_SPREAD(count) FN(npdl_bin_spread_strip)(s->in + at, first, last, n, dx, c, count)
            if (s->kind == 0) NPDL_CHANNELS(n, NPDL_STRIP_MAX)
            if (s->kind == 2) NPDL_CHANNELS(n, NPDL_STRIP_AVERAGE)
            if (s->kind == 3) NPDL_CHANNELS(n, NPDL_STRIP_SPREAD)
            #undef NPDL_STRIP_MAX
            #undef NPDL_STRIP_AVERAGE
            #undef NPDL_STRIP_SPREAD
            for (int64_t c = 0; c < n && s->kind == 1; c++) {
                const int64_t place = s->winners[at + c];
                if (place >= first && place < last) dx[place * n + c] += s->in[at + c];
            }
        }
    }
}

/* kind: see npdl_bins_work; x, dx (rows, places, channels), y, dy and winners (rows, bins, channels) */
NPDL_API void FN(npdl_bins)(int kind, const REAL *in, REAL *out, int32_t *winners, int64_t rows, int64_t places,
                            int64_t bins, int64_t channels) {
    FN(npdl_bins_work) s = {kind, in, out, winners, rows, places, bins, channels, 1};
    s.block = NPDL_MORE(NPDL_GRAIN / NPDL_MORE(places * channels, 1), 1);
    npdl_parallel(FN(npdl_bins_block), &s, NPDL_BLOCKS(rows, s.block), 0);
}
