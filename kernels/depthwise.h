/* Depthwise convolution, channels last: a filter sees one channel, filter f channel f / multiplier.
 *
 *     y[f] = Σ_taps x[f / multiplier] w[tap, f]     dx[c] = Σ_f Σ_taps dz[f] w[tap, f]     dW[tap, f] = Σ_pixels x dz
 *
 * No matrix product: vectors run along the filters, and what a window shows of the image stands in two tables, one an
 * axis (dx of few channels in conv.h uses them, too). With a multiplier above 1 the rows of x that are read are first
 * spread out, so that they have a number for each filter; dx is computed for each filter and added up. Under windows of
 * 3, 5 or 7 taps that move by one, rows are swept from pixel to pixel, so that each number is read once a window's row
 * and not once a tap: y and dx take 0.5 to 0.7 of the time. dW: each image row is a sum from zero, added to its part;
 * parts are as many rows each, NPDL_PARTS at most, and added in order.
 */
#ifndef NPDL_DEPTHWISE_H
#define NPDL_DEPTHWISE_H

static int npdl_is_depthwise(const npdl_window *g) { return g->groups > 1 && g->groups == g->channels; }

#endif

/* ---- what a window shows of an axis, as a table */

/* to[o·kernel + p]: where in the source output o's tap p lies, −1 for nowhere. With `transposed` the source is dz and
 * the output dx. */
static void FN(npdl_axis)(int64_t *to, int64_t outputs, int64_t kernel, int64_t source, int64_t stride, int64_t pad,
                          int64_t dilation, int transposed) {
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t p = 0; p < kernel; p++, to++) {
            int64_t at = transposed ? o + pad - p * dilation : o * stride - pad + p * dilation;
            if (transposed) at = at % stride ? -1 : at / stride;
            *to = at < 0 || at >= source ? -1 : at;
        }
}

/* A convolution without a matrix product: lines of output pixels, each a sum over its taps. */
typedef struct {
    const REAL *x, *w, *bias;    /* x: the source, dz for dx */
    REAL *out, *z;
    int64_t in_h, in_w, out_h, out_w, channels, filters; /* of the source, of the output; pixels of x, out */
    const npdl_window *g;
    const int64_t *rows, *columns; /* tables of npdl_axis */
    int64_t images, lines;       /* rows of the output in a task */
    int64_t first_swept, swept;  /* pixels of a row that npdl_depthwise_swept computes */
    const REAL *panels;          /* npdl_narrow_task: packed weights */
    int code;
    const double *constants;
} FN(npdl_lines);

static size_t FN(npdl_tables_bytes)(const FN(npdl_lines) *s) {
    return npdl_round_up((s->out_h * s->g->kernel_h + s->out_w * s->g->kernel_w) * sizeof(int64_t), 64);
}

static void FN(npdl_tables)(FN(npdl_lines) *s, int64_t *to, int transposed) {
    const npdl_window *g = s->g;
    int64_t *columns = to + s->out_h * g->kernel_h;
    FN(npdl_axis)(to, s->out_h, g->kernel_h, s->in_h, g->stride_h, g->pad_top, g->dilation_h, transposed);
    FN(npdl_axis)(columns, s->out_w, g->kernel_w, s->in_w, g->stride_w, g->pad_left, g->dilation_w, transposed);
    s->rows = to, s->columns = columns;
}

/* ---- y, dx and dW */

/* nv vectors from f on, for np pixels: the second one reads `step` further on. */
NPDL_INLINE void FN(npdl_depthwise_tile)(const int nv, const int np, const REAL *const *x, int64_t shift, int64_t step,
                                         const REAL *const *w, int64_t taps, int64_t f, int64_t lanes, const REAL *bias,
                                         REAL *out, int64_t out_step) {
    VEC acc[2][4];
    #pragma GCC unroll 4
    for (int v = 0; v < nv; v++) acc[0][v] = acc[1][v] = BC(0);
    for (int64_t t = 0; t < taps; t++) {
        const REAL *from = x[t] + shift + f;
        #pragma GCC unroll 4
        for (int v = 0; v < nv; v++) {
            VEC weight = lanes < VL ? LDN(w[t] + f + v * VL, lanes) : LD(w[t] + f + v * VL);
            #pragma GCC unroll 2
            for (int i = 0; i < np; i++) {
                const REAL *at = from + i * step + v * VL;
                acc[i][v] = FMA(lanes < VL ? LDN(at, lanes) : LD(at), weight, acc[i][v]);
            }
        }
    }
    #pragma GCC unroll 2
    for (int i = 0; i < np; i++)
        #pragma GCC unroll 4
        for (int v = 0; v < nv; v++) {
            int64_t at = f + v * VL;
            if (bias) acc[i][v] += lanes < VL ? LDN(bias + at, lanes) : LD(bias + at);
            if (lanes < VL) STN(out + i * out_step + at, acc[i][v], lanes);
            else ST(out + i * out_step + at, acc[i][v]);
        }
}

/* n numbers of np pixels, each the sum over the taps of x[tap] · w[tap]. */
#define NPDL_PIXELS_OF(np)                                                                                            \
    static void FN(npdl_depthwise_##np)(const REAL *const *x, int64_t shift, int64_t step, const REAL *const *w,      \
                                        int64_t taps, int64_t n, const REAL *bias, REAL *out) {                       \
        int64_t f = 0;                                                                                                \
        for (; f + 4 * VL <= n; f += 4 * VL)                                                                          \
            FN(npdl_depthwise_tile)(4, np, x, shift, step, w, taps, f, VL, bias, out, n);                             \
        for (; f + VL <= n; f += VL)                                                                                  \
            FN(npdl_depthwise_tile)(1, np, x, shift, step, w, taps, f, VL, bias, out, n);                             \
        if (f < n) FN(npdl_depthwise_tile)(1, np, x, shift, step, w, taps, f, n - f, bias, out, n);                   \
    }
NPDL_PIXELS_OF(1) NPDL_PIXELS_OF(2)
#undef NPDL_PIXELS_OF

/* What some rows of the image add to `count` pixels side by side, under windows that move by one: a vector is
 * read once, and goes through registers from one window to the next. `first`: nothing has been added yet. x: the leftmost
 * pixel of the first window; w: a row's taps, the first of which is the rightmost if `backwards`. */
NPDL_INLINE void FN(npdl_depthwise_sweep)(const int rows, const int taps, const int backwards, const int64_t lanes,
                                          const REAL *const *x, const REAL *const *w, int64_t f, int64_t n,
                                          int64_t count, int first, const REAL *bias, REAL *out) {
    VEC weight[3][7], seen[3][7], add = BC(0);
    if (bias) add = lanes < VL ? LDN(bias + f, lanes) : LD(bias + f);
    #pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
        #pragma GCC unroll 7
        for (int q = 0; q < taps; q++) {
            int64_t at = q * n + f;
            weight[r][q] = lanes < VL ? LDN(w[r] + at, lanes) : LD(w[r] + at);
            if (q + 1 < taps) seen[r][q] = lanes < VL ? LDN(x[r] + at, lanes) : LD(x[r] + at);
        }
    for (int64_t j = 0; j < count; j++) {
        int64_t from = (j + taps - 1) * n + f, to = j * n + f;
        VEC acc = first ? BC(0) : lanes < VL ? LDN(out + to, lanes) : LD(out + to);
        #pragma GCC unroll 3
        for (int r = 0; r < rows; r++) {
            seen[r][taps - 1] = lanes < VL ? LDN(x[r] + from, lanes) : LD(x[r] + from);
            #pragma GCC unroll 7
            for (int q = 0; q < taps; q++) acc = FMA(seen[r][backwards ? taps - 1 - q : q], weight[r][q], acc);
            #pragma GCC unroll 7
            for (int q = 1; q < taps; q++) seen[r][q - 1] = seen[r][q];
        }
        if (bias) acc += add;
        if (lanes < VL) STN(out + to, acc, lanes);
        else ST(out + to, acc);
    }
}

/* n numbers of each of these pixels. */
#define NPDL_SWEEP_OF(rows, taps)                                                                                     \
    static void FN(npdl_depthwise_##rows##x##taps)(int backwards, const REAL *const *x, const REAL *const *w,         \
                                                   int64_t n, int64_t count, int first, const REAL *bias,             \
                                                   REAL *out) {                                                       \
        int64_t f = 0;                                                                                                \
        if (backwards)                                                                                                \
            for (; f + VL <= n; f += VL)                                                                              \
                FN(npdl_depthwise_sweep)(rows, taps, 1, VL, x, w, f, n, count, first, bias, out);                     \
        else                                                                                                          \
            for (; f + VL <= n; f += VL)                                                                              \
                FN(npdl_depthwise_sweep)(rows, taps, 0, VL, x, w, f, n, count, first, bias, out);                     \
        if (f < n) FN(npdl_depthwise_sweep)(rows, taps, backwards, n - f, x, w, f, n, count, first, bias, out);       \
    }
NPDL_SWEEP_OF(1, 3) NPDL_SWEEP_OF(2, 3) NPDL_SWEEP_OF(3, 3) NPDL_SWEEP_OF(1, 5) NPDL_SWEEP_OF(1, 7)
#undef NPDL_SWEEP_OF

/* The sums over `rows` rows, tap by tap as above. */
static void FN(npdl_depthwise_swept)(int taps, int rows, int backwards, const REAL *const *x, const REAL *const *w,
                                     int64_t n, int64_t count, const REAL *bias, REAL *out) {
    for (int r = 0, some; r < rows; r += some) {
        some = taps > 3 ? 1 : rows - r < 3 ? rows - r : 3; /* what the registers hold */
        const REAL *last = r + some < rows ? NULL : bias;
        if (taps == 7) FN(npdl_depthwise_1x7)(backwards, x + r, w + r, n, count, r == 0, last, out);
        else if (taps == 5) FN(npdl_depthwise_1x5)(backwards, x + r, w + r, n, count, r == 0, last, out);
        else if (some == 3) FN(npdl_depthwise_3x3)(backwards, x + r, w + r, n, count, r == 0, last, out);
        else if (some == 2) FN(npdl_depthwise_2x3)(backwards, x + r, w + r, n, count, r == 0, last, out);
        else FN(npdl_depthwise_1x3)(backwards, x + r, w + r, n, count, r == 0, last, out);
    }
}

/* Whether all of a pixel's taps lie inside a row. */
static int FN(npdl_whole)(const int64_t *columns, int64_t kernel_w) {
    for (int64_t q = 0; q < kernel_w; q++)
        if (columns[q] < 0) return 0;
    return 1;
}

/* Finds the pixels of a row that can be swept: side by side, with all of their taps inside. */
static void FN(npdl_find_swept)(FN(npdl_lines) *s) {
    const npdl_window *g = s->g;
    int64_t k = g->kernel_w, first = 0, stop;
    if (s->filters != g->filters || g->stride_w > 1 || g->dilation_w > 1 || (k != 3 && k != 5 && k != 7)) return;
    while (first < s->out_w && !FN(npdl_whole)(s->columns + first * k, k)) first++;
    for (stop = first; stop < s->out_w && FN(npdl_whole)(s->columns + stop * k, k);) stop++;
    s->first_swept = first, s->swept = stop - first;
}

/* Each of n numbers `times` times. */
static const REAL *FN(npdl_repeat)(const REAL *from, int64_t n, int64_t times, REAL *to) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < times; k++) to[i * times + k] = from[i];
    return to;
}

/* Asks for what a line reads that the one before it did not: its lowest row. A sweep itself goes from pixel to pixel, in
 * steps too wide for the processor to foresee. */
static void FN(npdl_fetch_line)(const FN(npdl_lines) *s, int64_t line) {
    int64_t row = -1, n = s->in_w * s->channels;
    for (int64_t p = 0; p < s->g->kernel_h; p++) row = npdl_max(row, s->rows[line % s->out_h * s->g->kernel_h + p]);
    if (row < 0) return;
    const REAL *from = s->x + (line / s->out_h * s->in_h + row) * n;
    for (int64_t i = 0; i < n; i += 64 / (int64_t)sizeof(REAL)) __builtin_prefetch(from + i);
}

/* y or, where the output has fewer channels than the filters, dx. */
static void FN(npdl_depthwise_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_lines) *s = ctx;
    const npdl_window *g = s->g;
    int64_t all = g->kernel_h * g->kernel_w, filters = g->filters, multiplier = filters / g->channels;
    const REAL **x = work, **w = x + all, **row = w + all;
    REAL *sums = (REAL *)(row + g->kernel_h), *repeated = sums + filters;
    int64_t lines = s->images * s->out_h, stop = npdl_min((task + 1) * s->lines, lines), depth = s->filters;
    for (int64_t line = task * s->lines; line < stop; line++) {
        const int64_t *rows = s->rows + line % s->out_h * g->kernel_h, *columns = s->columns;
        const REAL *image = s->x + line / s->out_h * s->in_h * s->in_w * s->channels;
        REAL *out = s->out + line * s->out_w * depth;
        for (int64_t p = 0; p < g->kernel_h; p++) {
            row[p] = rows[p] < 0 ? NULL : image + rows[p] * s->in_w * s->channels;
            if (row[p] && s->channels < filters)
                row[p] = FN(npdl_repeat)(row[p], s->in_w * s->channels, multiplier,
                                         repeated + p * s->in_w * filters);
        }
        if (s->swept && line + 1 < lines) FN(npdl_fetch_line)(s, line + 1);
        int64_t taps = 0, built = -1; /* the taps were listed for a pixel whose first one is in this column */
        for (int64_t j = 0, np; j < s->out_w; j += np, columns += np * g->kernel_w, out += np * depth) {
            if (s->swept && j == s->first_swept) {
                int64_t left = npdl_min(columns[0], columns[g->kernel_w - 1]), seen = 0;
                for (int64_t p = 0; p < g->kernel_h; p++)
                    if (row[p]) x[seen] = row[p] + left * filters, w[seen++] = s->w + p * g->kernel_w * filters;
                np = s->swept, built = -1;
                int back = columns[0] > left;
                FN(npdl_depthwise_swept)((int)g->kernel_w, (int)seen, back, x, w, filters, np, s->bias, out);
                if (seen) continue;
            }
            int whole = FN(npdl_whole)(columns, g->kernel_w);
            if (!whole || built < 0) {
                taps = 0, built = whole ? columns[0] : -1;
                for (int64_t p = 0; p < g->kernel_h; p++)
                    for (int64_t q = 0; row[p] && q < g->kernel_w; q++)
                        if (columns[q] >= 0) {
                            x[taps] = row[p] + columns[q] * filters;
                            w[taps++] = s->w + (p * g->kernel_w + q) * filters;
                        }
            }
            int64_t shift = whole ? (columns[0] - built) * filters : 0, step = 0;
            np = 1 + (whole && depth == filters && j + 1 < s->out_w &&
                      FN(npdl_whole)(columns + g->kernel_w, g->kernel_w));
            if (np == 2) step = (columns[g->kernel_w] - columns[0]) * filters;
            if (np == 2) FN(npdl_depthwise_2)(x, shift, step, w, taps, filters, s->bias, out);
            else if (depth == filters) FN(npdl_depthwise_1)(x, shift, 0, w, taps, filters, s->bias, out);
            else {
                FN(npdl_depthwise_1)(x, shift, 0, w, taps, filters, NULL, sums);
                for (int64_t c = 0; c < depth; c++) {
                    out[c] = sums[c * multiplier];
                    for (int64_t k = 1; k < multiplier; k++) out[c] += sums[c * multiplier + k];
                }
            }
        }
        int64_t n = s->out_w * depth, at = line * n;
        if (s->z) memcpy(s->z + at, s->out + at, n * sizeof(REAL));
        if (s->code) FN(npdl_activate)(s->code, s->constants, s->out + at, n);
    }
}

/* One part of dW: output rows [part·lines, ...). */
static void FN(npdl_depthwise_part)(void *ctx, int64_t part, void *work) {
    const FN(npdl_lines) *s = ctx;
    const npdl_window *g = s->g;
    int64_t filters = g->filters, multiplier = filters / g->channels, step = g->stride_w * filters;
    int64_t stop = npdl_min((part + 1) * s->lines, s->images * g->out_h);
    REAL *out = s->out + part * g->kernel_h * g->kernel_w * filters;
    memset(out, 0, g->kernel_h * g->kernel_w * filters * sizeof(REAL));
    for (int64_t line = part * s->lines; line < stop; line++)
        for (int64_t p = 0; p < g->kernel_h; p++) {
            int64_t at = s->rows[line % g->out_h * g->kernel_h + p];
            if (at < 0) continue;
            const REAL *row = s->x + (line / g->out_h * g->in_h + at) * g->in_w * g->channels;
            if (multiplier > 1) row = FN(npdl_repeat)(row, g->in_w * g->channels, multiplier, work);
            for (int64_t q = 0; q < g->kernel_w; q++) {
                int64_t a = 0, b = g->out_w; /* pixels [a, b) see the image through tap q */
                while (a < b && s->columns[a * g->kernel_w + q] < 0) a++;
                while (a < b && s->columns[(b - 1) * g->kernel_w + q] < 0) b--;
                if (a == b) continue;
                const REAL *x = row + s->columns[a * g->kernel_w + q] * filters;
                const REAL *dz = s->w + (line * g->out_w + a) * filters;
                REAL *to = out + (p * g->kernel_w + q) * filters;
                int64_t f = 0;
                for (; f + 4 * VL <= filters; f += 4 * VL) {
                    VEC acc[4] = {BC(0), BC(0), BC(0), BC(0)};
                    for (int64_t j = 0; j < b - a; j++)
                        #pragma GCC unroll 4
                        for (int v = 0; v < 4; v++)
                            acc[v] = FMA(LD(x + j * step + f + v * VL), LD(dz + j * filters + f + v * VL), acc[v]);
                    for (int v = 0; v < 4; v++) ST(to + f + v * VL, LD(to + f + v * VL) + acc[v]);
                }
                for (; f < filters; f += VL) {
                    int64_t lanes = npdl_min(filters - f, VL);
                    VEC acc = BC(0);
                    for (int64_t j = 0; j < b - a; j++)
                        acc = FMA(LDN(x + j * step + f, lanes), LDN(dz + j * filters + f, lanes), acc);
                    STN(to + f, LDN(to + f, lanes) + acc, lanes);
                }
            }
        }
}

/* Runs a task on every few lines of the output, about 16384 multiply-adds. */
static void FN(npdl_run_lines)(FN(npdl_lines) *s, int transposed) {
    const npdl_window *g = s->g;
    int64_t *tables = npdl_shared(FN(npdl_tables_bytes)(s));
    if (!tables) return;
    FN(npdl_tables)(s, tables, transposed);
    s->lines = npdl_max(1, 16384 / npdl_max(1, s->out_w * g->filters * g->kernel_h * g->kernel_w));
    FN(npdl_find_swept)(s);
    size_t bytes = (2 * g->kernel_w + 1) * g->kernel_h * sizeof(REAL *) + g->filters * sizeof(REAL);
    if (s->channels < g->filters) bytes += g->kernel_h * s->in_w * g->filters * sizeof(REAL);
    npdl_parallel(FN(npdl_depthwise_task), s, npdl_ceil_div(s->images * s->out_h, s->lines), bytes);
}

static void FN(npdl_depthwise_dkernel)(const REAL *x, const REAL *dz, REAL *out, int64_t images, const npdl_window *g) {
    int64_t size = g->kernel_h * g->kernel_w * g->filters, lines = images * g->out_h;
    FN(npdl_lines) s = {
        .x = x, .w = dz, .in_h = g->in_h, .in_w = g->in_w, .out_h = g->out_h, .out_w = g->out_w, .g = g,
        .images = images, .lines = npdl_max(1, npdl_ceil_div(lines, NPDL_PARTS)),
    };
    int64_t parts = npdl_ceil_div(lines, s.lines);
    size_t bytes = FN(npdl_tables_bytes)(&s);
    char *shared = npdl_shared(bytes + parts * size * sizeof(REAL));
    if (!shared) return;
    FN(npdl_tables)(&s, (int64_t *)shared, 0);
    s.out = (REAL *)(shared + bytes);
    npdl_parallel(FN(npdl_depthwise_part), &s, parts,
                  g->filters > g->channels ? g->in_w * g->filters * sizeof(REAL) : 0);
    for (int64_t j = 0; j < size; j++) {
        REAL sum = 0;
        for (int64_t p = 0; p < parts; p++) sum += s.out[p * size + j];
        out[j] = sum;
    }
}
