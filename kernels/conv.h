/* Convolution, channels last: x (N, H, W, C), w (KH, KW, C/groups, F), y (N, OH, OW, F).
 *
 * All three products go through the matrix product of matmul.h. The matrix of windows (im2col) has a row for each
 * output pixel and is never made as a whole: the product asks for the few rows that it is about to multiply, and
 * npdl_copy_windows cuts them out of the image.
 *
 *     y  = windows(x) W          dW = windows(x)ᵀ dz          dx = windows'(dz) W'
 *
 * For dx take the pixels (h, w) with h ≡ a modulo stride_h and w ≡ b modulo stride_w: one phase. All of them are
 * reached by the same taps p with (a + pad_top − p·dilation_h) divisible by stride_h, from dz's rows
 * i = (h + pad_top − p·dilation_h) / stride_h. So each phase is a convolution of dz with stride 1, its taps in reverse
 * order, each tap's matrix transposed. Nothing is scattered: every element of dx is one sum.
 */
#ifndef NPDL_CONV_H
#define NPDL_CONV_H

/* One axis of a phase: pixels first, first + stride, ... (`size` of them); its taps first_tap, first_tap + tap_step,
 * ... (`taps` of them) and, with these reversed, the padding before and the dilation of the convolution of dz. */
typedef struct { int64_t first, size, first_tap, tap_step, taps, pad, dilation; } npdl_phase;

static npdl_phase npdl_phase_of(int64_t phase, int64_t in, int64_t kernel, int64_t stride, int64_t pad,
                                int64_t dilation) {
    npdl_phase s = {.first = phase, .size = phase < in ? (in - phase + stride - 1) / stride : 0};
    int64_t p = 0;
    while (p < kernel && (phase + pad - p * dilation) % stride) p++;
    int64_t step = 1;
    while (step * dilation % stride) step++;
    s.first_tap = p, s.tap_step = step, s.taps = p < kernel ? (kernel - p + step - 1) / step : 0;
    s.dilation = step * dilation / stride;
    s.pad = (s.taps - 1) * s.dilation - (phase + pad - p * dilation) / stride;
    return s;
}

#endif

/* The matrix of windows of `channels` channels from `channel` on: rows (n, i, j), columns (p, q, c). `end` is behind
 * the last number of x. */
typedef struct { const REAL *x, *end; npdl_window g; int64_t channel, channels; } FN(npdl_windows);

/* `rows` rows of `length` numbers; the first `careless` of them in whole vectors. */
static void FN(npdl_copy_inside)(REAL *to, int64_t step, const REAL *from, int64_t from_step, int64_t rows,
                                 int64_t length, int64_t careless) {
    int64_t r = 0;
    if (length <= VL)
        for (; r < careless; r++, to += step, from += from_step) ST(to, LD(from));
    for (; r < careless; r++, to += step, from += from_step)
        for (int64_t e = 0; e < length; e += VL) ST(to + e, LD(from + e));
    for (; r < rows; r++, to += step, from += from_step) memcpy(to, from, length * sizeof(REAL));
}

/* The same for rows of which only the numbers [start, stop) may lie inside the image: 0 elsewhere. From row to row
 * these bounds move by `shift` to the left. */
static void FN(npdl_copy_edge)(REAL *to, int64_t step, const REAL *from, int64_t from_step, int64_t rows,
                               int64_t length, int64_t start, int64_t stop, int64_t shift) {
    for (; rows > 0; rows--, to += step, from += from_step, start -= shift, stop -= shift)
        for (int64_t e = 0; e < length; e++) to[e] = e >= start && e < stop ? from[e] : 0;
}

/* Rows and columns of that matrix, to `to`; a place outside the image is 0. Where there is room behind each row of
 * `to`, whole vectors are copied: what they write behind a run is overwritten by the next run, or never read. */
static void FN(npdl_copy_windows)(const void *source, int64_t row, int64_t rows, int64_t column, int64_t columns,
                                  REAL *to, int64_t step) {
    const FN(npdl_windows) *s = source;
    const npdl_window *g = &s->g;
    /* What is contiguous in the image as in the row: one tap's channels, or all taps of a kernel row. */
    int64_t joined = s->channels == g->channels && g->dilation_w == 1 ? g->kernel_w : 1;
    int64_t run = joined * s->channels, room = step - columns >= VL, from_step = g->stride_w * g->channels;
    for (int64_t c = column, first, length; c < column + columns; c += length) {
        int64_t tap = c / run * joined, p = tap / g->kernel_w, q = tap % g->kernel_w;
        int64_t n = row / (g->out_h * g->out_w), i = row / g->out_w % g->out_h, j = row % g->out_w;
        REAL *out = to + c - column;
        first = c % run, length = npdl_min(run - first, column + columns - c);
        for (int64_t r = 0, count; r < rows; r += count, out += count * step, j = 0) {
            /* pixels (i, j) ... (i, j + count - 1): their runs start at row h, columns w, w + stride_w, ... */
            int64_t h = i * g->stride_h - g->pad_top + p * g->dilation_h;
            int64_t w = j * g->stride_w - g->pad_left + q * g->dilation_w;
            const REAL *from = s->x + ((n * g->in_h + h) * g->in_w + w) * g->channels + s->channel + first;
            count = npdl_min(rows - r, g->out_w - j);
            if (++i == g->out_h) i = 0, n++;
            if (h < 0 || h >= g->in_h) {
                FN(npdl_copy_edge)(out, step, from, 0, count, length, 0, 0, 0);
                continue;
            }
            /* the whole run is inside the image for pixels [a, b) */
            int64_t a = w < 0 ? npdl_min(count, npdl_ceil_div(-w, g->stride_w)) : 0, last = g->in_w - joined - w;
            int64_t b = npdl_max(a, last < 0 ? 0 : npdl_min(count, last / g->stride_w + 1));
            int64_t start = -w * s->channels - first, stop = start + g->in_w * s->channels;
            int64_t shift = g->stride_w * s->channels, left = s->end - from - npdl_round_up(length, VL);
            int64_t careless = room ? npdl_max(a, npdl_min(b, left < 0 ? 0 : left / from_step + 1)) : a;
            FN(npdl_copy_edge)(out, step, from, from_step, a, length, start, stop, shift);
            FN(npdl_copy_inside)(out + a * step, step, from + a * from_step, from_step, b - a, length, careless - a);
            FN(npdl_copy_edge)(out + b * step, step, from + b * from_step, from_step, count - b, length,
                               start - b * shift, stop - b * shift, shift);
        }
    }
}

/* ---- forward and the kernel's gradient: one product a group */

/* out = act(windows(x) W + bias) */
static void FN(npdl_conv2d)(const REAL *x, const REAL *w, REAL *out, const REAL *bias, REAL *z, int64_t images,
                            const npdl_window *g, int code, const double *constants) {
    int64_t channels = g->channels / g->groups, filters = g->filters / g->groups;
    for (int64_t i = 0; i < g->groups; i++) {
        const REAL *end = x + images * g->in_h * g->in_w * g->channels;
        FN(npdl_windows) windows = {x, end, *g, i * channels, channels};
        FN(npdl_product) s = {
            .m = images * g->out_h * g->out_w, .n = filters, .k = g->kernel_h * g->kernel_w * channels,
            .copy = FN(npdl_copy_windows), .source = &windows,
            .b = w + i * filters, .b_step = g->filters,
            .out = out + i * filters, .out_step = g->filters,
            .bias = bias ? bias + i * filters : NULL, .z = z ? z + i * filters : NULL,
            .code = code, .constants = constants,
        };
        FN(npdl_run_product)(&s);
    }
}

/* out = dW = windows(x)ᵀ dz */
static void FN(npdl_conv2d_dkernel)(const REAL *x, const REAL *dz, REAL *out, int64_t images, const npdl_window *g) {
    int64_t channels = g->channels / g->groups, filters = g->filters / g->groups;
    for (int64_t i = 0; i < g->groups; i++) {
        const REAL *end = x + images * g->in_h * g->in_w * g->channels;
        FN(npdl_windows) windows = {x, end, *g, i * channels, channels};
        FN(npdl_product) s = {
            .m = g->kernel_h * g->kernel_w * channels, .n = filters, .k = images * g->out_h * g->out_w,
            .copy = FN(npdl_copy_windows), .source = &windows, .transpose_a = 1,
            .b = dz + i * filters, .b_step = g->filters,
            .out = out + i * filters, .out_step = g->filters,
        };
        FN(npdl_run_product)(&s);
    }
}

/* ---- the input's gradient: one product a group and phase */

/* The weights of one phase and group, taps reversed, each tap's (C, F) transposed: (taps·F, C). */
static void FN(npdl_phase_weights)(const REAL *w, const npdl_window *g, int64_t group, npdl_phase v, npdl_phase h,
                                   REAL *to) {
    int64_t channels = g->channels / g->groups, filters = g->filters / g->groups;
    for (int64_t p = v.taps - 1; p >= 0; p--)
        for (int64_t q = h.taps - 1; q >= 0; q--, to += filters * channels) {
            int64_t tap = (v.first_tap + p * v.tap_step) * g->kernel_w + h.first_tap + q * h.tap_step;
            const REAL *from = w + tap * channels * g->filters + group * filters;
            for (int64_t c0 = 0; c0 < channels; c0 += 16) /* few rows at a time: they stay in the cache */
                for (int64_t f = 0; f < filters; f++)
                    for (int64_t c = c0; c < npdl_min(c0 + 16, channels); c++)
                        to[f * channels + c] = from[c * g->filters + f];
        }
}

/* A phase's pixels (N, v.size, h.size, C) to their places in dx. */
typedef struct { const REAL *from; REAL *dx; npdl_window g; npdl_phase v, h; } FN(npdl_spread);

static void FN(npdl_spread_task)(void *ctx, int64_t image, void *work) {
    const FN(npdl_spread) *s = ctx;
    const npdl_window *g = &s->g;
    const REAL *from = s->from + image * s->v.size * s->h.size * g->channels;
    (void)work;
    for (int64_t i = 0; i < s->v.size; i++)
        for (int64_t j = 0; j < s->h.size; j++, from += g->channels) {
            int64_t row = s->v.first + i * g->stride_h, column = s->h.first + j * g->stride_w;
            REAL *to = s->dx + ((image * g->in_h + row) * g->in_w + column) * g->channels;
            memcpy(to, from, g->channels * sizeof(REAL));
        }
}

/* out = dx: dz convolved with the reversed, transposed weights, phase by phase */
static void FN(npdl_conv2d_dx)(const REAL *dz, const REAL *w, REAL *out, int64_t images, const npdl_window *g) {
    int64_t channels = g->channels / g->groups, filters = g->filters / g->groups;
    int64_t weights = npdl_round_up(g->kernel_h * g->kernel_w * channels * filters, 16);
    int spread = g->stride_h > 1 || g->stride_w > 1;
    int64_t pixels = images * npdl_ceil_div(g->in_h, g->stride_h) * npdl_ceil_div(g->in_w, g->stride_w);
    REAL *turned = npdl_shared((weights + spread * pixels * g->channels) * sizeof(REAL));
    if (!turned) return;
    for (int64_t a = 0; a < g->stride_h; a++)
        for (int64_t b = 0; b < g->stride_w; b++) {
            npdl_phase v = npdl_phase_of(a, g->in_h, g->kernel_h, g->stride_h, g->pad_top, g->dilation_h);
            npdl_phase h = npdl_phase_of(b, g->in_w, g->kernel_w, g->stride_w, g->pad_left, g->dilation_w);
            REAL *to = spread ? turned + weights : out;
            for (int64_t i = 0; i < g->groups; i++) {
                FN(npdl_windows) windows = {
                    .x = dz, .end = dz + images * g->out_h * g->out_w * g->filters,
                    .g = {
                        .in_h = g->out_h, .in_w = g->out_w, .channels = g->filters, .kernel_h = v.taps,
                        .kernel_w = h.taps, .stride_h = 1, .stride_w = 1, .pad_top = v.pad, .pad_left = h.pad,
                        .dilation_h = v.dilation, .dilation_w = h.dilation, .out_h = v.size, .out_w = h.size,
                    },
                    .channel = i * filters, .channels = filters,
                };
                FN(npdl_product) s = {
                    .m = images * v.size * h.size, .n = channels, .k = v.taps * h.taps * filters,
                    .copy = FN(npdl_copy_windows), .source = &windows,
                    .b = turned, .b_step = channels,
                    .out = to + i * channels, .out_step = g->channels,
                };
                FN(npdl_phase_weights)(w, g, i, v, h, turned);
                FN(npdl_run_product)(&s);
            }
            if (spread) {
                FN(npdl_spread) s = {to, out, *g, v, h};
                npdl_parallel(FN(npdl_spread_task), &s, images, 0);
            }
        }
}

/* ---- the textbook's two steps by themselves */

#define NPDL_WINDOW_ROWS 64 /* output pixels a block of im2col; only copies, no sum */

typedef struct { FN(npdl_windows) windows; int64_t rows, columns; REAL *out; } FN(npdl_im2col_call);

static void FN(npdl_im2col_task)(void *ctx, int64_t block, void *work) {
    const FN(npdl_im2col_call) *s = ctx;
    int64_t row = block * NPDL_WINDOW_ROWS, rows = npdl_min(s->rows - row, NPDL_WINDOW_ROWS);
    (void)work;
    FN(npdl_copy_windows)(&s->windows, row, rows, 0, s->columns, s->out + row * s->columns, s->columns);
}

static void FN(npdl_im2col)(const REAL *x, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_im2col_call) s = {
        {x, x, *g, 0, g->channels}, images * g->out_h * g->out_w, g->kernel_h * g->kernel_w * g->channels, out,
    };
    if (s.columns > 0) npdl_parallel(FN(npdl_im2col_task), &s, npdl_ceil_div(s.rows, NPDL_WINDOW_ROWS), 0);
}

typedef struct { const REAL *cols; REAL *out; npdl_window g; } FN(npdl_col2im_call);

/* One image: tap after tap, each added where it was read. */
static void FN(npdl_col2im_task)(void *ctx, int64_t image, void *work) {
    const FN(npdl_col2im_call) *s = ctx;
    const npdl_window *g = &s->g;
    int64_t taps = g->kernel_h * g->kernel_w, c = g->channels;
    REAL *out = s->out + image * g->in_h * g->in_w * c;
    (void)work;
    memset(out, 0, g->in_h * g->in_w * c * sizeof(REAL));
    for (int64_t tap = 0; tap < taps; tap++)
        for (int64_t i = 0; i < g->out_h; i++) {
            int64_t row = i * g->stride_h - g->pad_top + tap / g->kernel_w * g->dilation_h;
            if (row < 0 || row >= g->in_h) continue;
            for (int64_t j = 0; j < g->out_w; j++) {
                int64_t column = j * g->stride_w - g->pad_left + tap % g->kernel_w * g->dilation_w;
                if (column < 0 || column >= g->in_w) continue;
                const REAL *from = s->cols + (((image * g->out_h + i) * g->out_w + j) * taps + tap) * c;
                REAL *to = out + (row * g->in_w + column) * c;
                for (int64_t e = 0; e < c; e++) to[e] += from[e];
            }
        }
}

static void FN(npdl_col2im)(const REAL *cols, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_col2im_call) s = {cols, out, *g};
    npdl_parallel(FN(npdl_col2im_task), &s, images, 0);
}
