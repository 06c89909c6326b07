/* Convolution, channels last: x (N, H, W, C), w (KH, KW, C/groups, F), y (N, OH, OW, F).
 *
 * All three products run on the register tile of matmul.h. The matrix of windows (im2col) has a row for each output
 * pixel and is never made: its number (pixel, tap) lies in the image at
 *
 *     place of the pixel's window + place of the tap in a window
 *
 * and the tile reads it there. Where windows leave the image, a task first copies the few image rows that it needs,
 * with zeros around them: a band.
 *
 *     y  = windows(x) W          rows of the tile: pixels     along k: taps, in runs of KW·C (one kernel row) or C/groups
 *     dW = windows(x)ᵀ dz        rows of the tile: taps       along k: pixels, in runs of an image row
 *     dx = windows'(dz) W'       as y
 *
 * For dx take the pixels (h, w) with h ≡ a modulo stride_h and w ≡ b modulo stride_w: one phase. All of them are
 * reached by the same taps p with (a + pad_top − p·dilation_h) divisible by stride_h, from dz's rows
 * i = (h + pad_top − p·dilation_h) / stride_h. So each phase is a convolution of dz with stride 1, its taps in reverse
 * order, each tap's matrix transposed. Nothing is scattered: every element of dx is one sum.
 *
 * Order of the sums: y and dx as in matmul.h, blocks of NPDL_KB along (p, q, c) and (p, q, f); dW in blocks of NPDL_KB
 * pixels, and over long batches in parts, as any product with a transposed left matrix.
 *
 * Depthwise convolution (one channel a group) has no product in it: see below.
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

/* A matrix of windows: source of the products' left matrix. */
typedef struct {
    const REAL *x;
    npdl_window g;           /* in: the image x; out: pixels; groups cut g.channels and the product's columns */
    int banded;              /* whether a window leaves the image */
    int64_t width, span_h;   /* of a band, in pixels; of a window */
    int64_t joined;          /* taps whose channels follow each other in the image as in w */
    /* a pixel (n, i, j) of the result goes to `place` + n·image_step + i·row_step + j·column_step */
    int64_t place, image_step, row_step, column_step;
    npdl_phase v, h;         /* dx: which taps of w, ... */
    int64_t kernel_w;        /* ... which has so many in a row */
} FN(npdl_windows);

static FN(npdl_windows) FN(npdl_windows_of)(const REAL *x, const npdl_window *g) {
    FN(npdl_windows) s = {.x = x, .g = *g};
    int64_t span_w = (g->kernel_w - 1) * g->dilation_w + 1;
    s.span_h = (g->kernel_h - 1) * g->dilation_h + 1;
    s.banded = g->kernel_h * g->kernel_w > 0 && /* else nothing is read */
               (g->pad_top > 0 || g->pad_left > 0 ||
                (g->out_h - 1) * g->stride_h - g->pad_top + s.span_h > g->in_h ||
                (g->out_w - 1) * g->stride_w - g->pad_left + span_w > g->in_w);
    s.width = s.banded ? (g->out_w - 1) * g->stride_w + span_w : g->in_w;
    s.joined = g->groups == 1 && g->dilation_w == 1 ? g->kernel_w : 1;
    return s;
}

/* Numbers in the band of any `pixels` pixels that follow each other. */
static int64_t FN(npdl_band_size)(const FN(npdl_windows) *s, int64_t pixels) {
    const npdl_window *g = &s->g;
    if (!s->banded || pixels == 0) return 0;
    int64_t rows = (pixels - 1) / g->out_w + 2, images = (pixels - 1) / (g->out_h * g->out_w) + 2;
    rows = rows * g->stride_h + images * npdl_max(s->span_h - g->stride_h, 0);
    return rows * s->width * g->channels;
}

/* `rows` rows of image n, from padded row `first` on. */
static void FN(npdl_copy_band)(const FN(npdl_windows) *s, int64_t n, int64_t first, int64_t rows, REAL *to) {
    const npdl_window *g = &s->g;
    int64_t c = g->channels, a = npdl_min(npdl_max(g->pad_left, 0), s->width); /* columns [a, b) show the image */
    int64_t b = npdl_max(a, npdl_min(g->in_w + g->pad_left, s->width));
    for (int64_t r = first - g->pad_top; rows > 0; rows--, r++, to += s->width * c) {
        if (r < 0 || r >= g->in_h) {
            memset(to, 0, s->width * c * sizeof(REAL));
            continue;
        }
        const REAL *from = s->x + ((n * g->in_h + r) * g->in_w + a - g->pad_left) * c;
        for (int64_t e = 0; e < a * c; e++) to[e] = 0;
        memcpy(to + a * c, from, (b - a) * c * sizeof(REAL));
        for (int64_t e = b * c; e < s->width * c; e++) to[e] = 0;
    }
}

/* Where the windows of pixels [r0, r1) lie: as rows of a tile or, if `row` is NULL, as runs along k. Makes their band,
 * if there must be one. */
static const REAL *FN(npdl_pixels)(const FN(npdl_windows) *s, int64_t r0, int64_t r1, REAL *band, npdl_row *row,
                                   npdl_run *run, int64_t *runs) {
    const npdl_window *g = &s->g;
    int64_t n = r0 / (g->out_h * g->out_w), i = r0 / g->out_w % g->out_h, j = r0 % g->out_w, count;
    int64_t step = g->stride_w * g->channels, top = 0, left = 0, origin = 0; /* of the image's (padded) row `top` */
    REAL *end = band;
    *runs = 0;
    for (int64_t r = r0; r < r1; r += count, j = 0) {
        if (!s->banded) origin = n * g->in_h * g->in_w * g->channels, top = g->pad_top, left = g->pad_left;
        else if (r == r0 || i == 0) {
            int64_t last = npdl_min(g->out_h - 1, i + (j + r1 - r - 1) / g->out_w); /* of this image's rows */
            int64_t rows = (last - i) * g->stride_h + s->span_h;
            top = i * g->stride_h, origin = end - band;
            FN(npdl_copy_band)(s, n, top, rows, end);
            end += rows * s->width * g->channels;
        }
        count = npdl_min(r1 - r, g->out_w - j);
        int64_t from = origin + ((i * g->stride_h - top) * s->width + j * g->stride_w - left) * g->channels;
        if (row) {
            int64_t to = s->place + n * s->image_step + i * s->row_step + j * s->column_step;
            for (int64_t e = 0; e < count; e++) *row++ = (npdl_row){from + e * step, to + e * s->column_step};
        } else run[(*runs)++] = (npdl_run){from, count};
        if (++i == g->out_h) i = 0, n++;
    }
    return s->banded ? band : s->x;
}

/* Where in a window taps [c0, c1) of (p, q, c) lie, as runs; how many. */
static int64_t FN(npdl_taps)(const FN(npdl_windows) *s, int64_t c0, int64_t c1, npdl_run *run) {
    const npdl_window *g = &s->g;
    int64_t length = s->joined * (g->channels / g->groups), runs = 0;
    for (int64_t c = c0; c < c1; c += run[runs++].length) {
        int64_t tap = c / length * s->joined, p = tap / g->kernel_w, q = tap % g->kernel_w;
        run[runs].first = (p * g->dilation_h * s->width + q * g->dilation_w) * g->channels + c % length;
        run[runs].length = npdl_min(length - c % length, c1 - c);
    }
    return runs;
}

/* dx: rows [k0, k0 + k) of (p, q, f) and n columns, from c on, of the phase's weights in one group: w's taps in
 * reverse, each transposed. */
static void FN(npdl_pack_phase)(const FN(npdl_product) *s, int64_t group, int64_t k0, int64_t k, int64_t c, int64_t n,
                                REAL *panels) {
    const FN(npdl_windows) *x = s->images;
    int64_t filters = x->g.channels / x->g.groups, channels = s->n / x->g.groups;
    for (int64_t r = 0, length; r < k; r += length) {
        int64_t tap = (k0 + r) / filters, f = (k0 + r) % filters;
        int64_t p = x->v.first_tap + (x->v.taps - 1 - tap / x->h.taps) * x->v.tap_step;
        int64_t q = x->h.first_tap + (x->h.taps - 1 - tap % x->h.taps) * x->h.tap_step;
        const REAL *from = s->b + ((p * x->kernel_w + q) * channels + c) * s->b_step + group * filters + f;
        length = npdl_min(filters - f, k - r);
        FN(npdl_pack_b)(from, s->b_step, 1, length, n, panels, r);
    }
}

/* Working memory of the rectangles: panels, the tile's rows, the band. */
static size_t FN(npdl_conv_bytes)(const FN(npdl_product) *s, int64_t rows, int64_t columns) {
    int64_t pixels = s->transpose_a ? NPDL_KB : rows;
    return (NPDL_KB * npdl_round_up(columns, NPDL_NW) + FN(npdl_band_size)(s->images, pixels)) * sizeof(REAL) +
           rows * sizeof(npdl_row);
}

/* y and dx: pixels [m0, m0 + m), channels [n0, n0 + n), all taps. */
static void FN(npdl_conv_rectangle)(const FN(npdl_product) *s, int64_t m0, int64_t m, int64_t n0, int64_t n,
                                    int64_t k0, int64_t k1, REAL *out, int64_t out_step, int finish, void *work) {
    const FN(npdl_windows) *x = s->images;
    REAL *panels = work, *band;
    npdl_row *row = (npdl_row *)(panels + NPDL_KB * npdl_round_up(n, NPDL_NW));
    npdl_run run[NPDL_KB];
    int64_t runs, depth = x->g.channels / x->g.groups, width = s->n / x->g.groups;
    band = (REAL *)(row + m);
    const REAL *windows = FN(npdl_pixels)(x, m0, m0 + m, band, row, NULL, &runs);
    (void)out, (void)out_step, (void)finish;
    for (int64_t c0 = n0, c1; c0 < n0 + n; c0 = c1) {
        int64_t group = c0 / width, kb = k0, k;
        c1 = npdl_min((group + 1) * width, n0 + n);
        const REAL *bias = s->bias ? s->bias + c0 : NULL;
        do {
            k = npdl_min(k1 - kb, NPDL_KB);
            int last = kb + k == k1;
            runs = FN(npdl_taps)(x, kb, kb + k, run);
            if (s->transpose_b) FN(npdl_pack_phase)(s, group, kb, k, c0 - group * width, c1 - c0, panels);
            else FN(npdl_pack_b)(s->b + kb * s->b_step + c0, s->b_step, 0, k, c1 - c0, panels, 0);
            for (int64_t i = 0; i < m; i += NPDL_MB) {
                int64_t mb = npdl_min(m - i, NPDL_MB);
                FN(npdl_tiles)(windows + group * depth, row + i, mb, run, runs, 1, panels, s->out + c0, c1 - c0,
                               kb > k0, last ? bias : NULL);
                if (last && c1 == n0 + n) FN(npdl_epilogue)(s, m0 + i, mb, n0, n);
            }
        } while ((kb += k) < k1); /* without a tap, too: dx of a pixel that no window shows is 0 */
    }
}

/* dW: taps [m0, m0 + m), filters [n0, n0 + n), pixels [k0, k1). */
static void FN(npdl_dkernel_rectangle)(const FN(npdl_product) *s, int64_t m0, int64_t m, int64_t n0, int64_t n,
                                       int64_t k0, int64_t k1, REAL *out, int64_t out_step, int finish, void *work) {
    const FN(npdl_windows) *x = s->images;
    REAL *panels = work;
    npdl_row *row = (npdl_row *)(panels + NPDL_KB * npdl_round_up(n, NPDL_NW));
    npdl_run run[NPDL_KB];
    int64_t runs, depth = x->g.channels / x->g.groups, width = s->n / x->g.groups;
    for (int64_t i = 0; i < m; i += NPDL_KB) {
        int64_t mb = npdl_min(m - i, NPDL_KB), e = i;
        runs = FN(npdl_taps)(x, m0 + i, m0 + i + mb, run);
        for (int64_t r = 0; r < runs; r++)
            for (int64_t c = 0; c < run[r].length; c++, e++) row[e] = (npdl_row){run[r].first + c, e * out_step};
    }
    (void)finish;
    if (k0 >= k1) FN(npdl_empty_sums)(out, out_step, m, n, NULL);
    for (int64_t kb = k0; kb < k1; kb += NPDL_KB) {
        int64_t k = npdl_min(k1 - kb, NPDL_KB);
        const REAL *windows = FN(npdl_pixels)(x, kb, kb + k, (REAL *)(row + m), NULL, run, &runs);
        for (int64_t c0 = n0, c1; c0 < n0 + n; c0 = c1) {
            int64_t group = c0 / width;
            c1 = npdl_min((group + 1) * width, n0 + n);
            FN(npdl_pack_b)(s->b + kb * s->b_step + c0, s->b_step, 0, k, c1 - c0, panels, 0);
            FN(npdl_tiles)(windows + group * depth, row, m, run, runs, x->g.stride_w * x->g.channels, panels,
                           out + c0 - n0, c1 - c0, kb > k0, NULL);
        }
    }
}

/* out = act(windows(x) W + bias) */
static void FN(npdl_conv2d)(const REAL *x, const REAL *w, REAL *out, const REAL *bias, REAL *z, int64_t images,
                            const npdl_window *g, int code, const double *constants) {
    if (npdl_winograd_suits(g, g->out_h, g->out_w)) {
        FN(npdl_winograd_conv2d)(x, w, out, bias, z, images, g, code, constants);
        return;
    }
    FN(npdl_windows) windows = FN(npdl_windows_of)(x, g);
    windows.column_step = g->filters, windows.row_step = g->out_w * g->filters;
    windows.image_step = g->out_h * windows.row_step;
    FN(npdl_product) s = {
        .m = images * g->out_h * g->out_w, .n = g->filters, .k = g->kernel_h * g->kernel_w * (g->channels / g->groups),
        .images = &windows, .rectangle = FN(npdl_conv_rectangle), .bytes = FN(npdl_conv_bytes),
        .b = w, .b_step = g->filters, .out = out, .out_step = g->filters,
        .bias = bias, .z = z, .code = code, .constants = constants,
    };
    FN(npdl_run_product)(&s);
}

/* out = dW = windows(x)ᵀ dz */
static void FN(npdl_conv2d_dkernel)(const REAL *x, const REAL *dz, REAL *out, int64_t images, const npdl_window *g) {
    if (npdl_winograd_suits_dkernel(g, images)) {
        FN(npdl_winograd_dkernel)(x, dz, out, images, g);
        return;
    }
    FN(npdl_windows) windows = FN(npdl_windows_of)(x, g);
    FN(npdl_product) s = {
        .m = g->kernel_h * g->kernel_w * (g->channels / g->groups), .n = g->filters, .k = images * g->out_h * g->out_w,
        .images = &windows, .rectangle = FN(npdl_dkernel_rectangle), .bytes = FN(npdl_conv_bytes), .transpose_a = 1,
        .b = dz, .b_step = g->filters, .out = out, .out_step = g->filters,
    };
    FN(npdl_run_product)(&s);
}

/* out = dx: dz convolved with the reversed, transposed weights, phase by phase */
static void FN(npdl_conv2d_dx)(const REAL *dz, const REAL *w, REAL *out, int64_t images, const npdl_window *g) {
    if (npdl_winograd_suits(g, g->in_h, g->in_w)) {
        FN(npdl_winograd_dx)(dz, w, out, images, g);
        return;
    }
    for (int64_t a = 0; a < g->stride_h; a++)
        for (int64_t b = 0; b < g->stride_w; b++) {
            npdl_phase v = npdl_phase_of(a, g->in_h, g->kernel_h, g->stride_h, g->pad_top, g->dilation_h);
            npdl_phase h = npdl_phase_of(b, g->in_w, g->kernel_w, g->stride_w, g->pad_left, g->dilation_w);
            npdl_window phase = {
                .in_h = g->out_h, .in_w = g->out_w, .channels = g->filters, .kernel_h = v.taps, .kernel_w = h.taps,
                .stride_h = 1, .stride_w = 1, .pad_top = v.pad, .pad_left = h.pad, .dilation_h = v.dilation,
                .dilation_w = h.dilation, .out_h = v.size, .out_w = h.size, .groups = g->groups,
            };
            FN(npdl_windows) windows = FN(npdl_windows_of)(dz, &phase);
            windows.v = v, windows.h = h, windows.kernel_w = g->kernel_w;
            windows.place = (a * g->in_w + b) * g->channels;
            windows.image_step = g->in_h * g->in_w * g->channels;
            windows.row_step = g->stride_h * g->in_w * g->channels, windows.column_step = g->stride_w * g->channels;
            FN(npdl_product) s = {
                .m = images * v.size * h.size, .n = g->channels, .k = v.taps * h.taps * (g->filters / g->groups),
                .images = &windows, .rectangle = FN(npdl_conv_rectangle), .bytes = FN(npdl_conv_bytes),
                .b = w, .b_step = g->filters, .transpose_b = 1, .out = out, .out_step = g->channels,
            };
            FN(npdl_run_product)(&s);
        }
}

/* ---- the textbook's two steps by themselves */

typedef struct { const REAL *x; npdl_window g; REAL *out; } FN(npdl_im2col_call);

/* The windows of one image row of output pixels. */
static void FN(npdl_im2col_task)(void *ctx, int64_t line, void *work) {
    const FN(npdl_im2col_call) *s = ctx;
    const npdl_window *g = &s->g;
    int64_t n = line / g->out_h, i = line % g->out_h, c = g->channels;
    REAL *to = s->out + line * g->out_w * g->kernel_h * g->kernel_w * c;
    (void)work;
    for (int64_t j = 0; j < g->out_w; j++)
        for (int64_t p = 0; p < g->kernel_h; p++)
            for (int64_t q = 0; q < g->kernel_w; q++, to += c) {
                int64_t row = i * g->stride_h - g->pad_top + p * g->dilation_h;
                int64_t column = j * g->stride_w - g->pad_left + q * g->dilation_w;
                if (row < 0 || row >= g->in_h || column < 0 || column >= g->in_w) memset(to, 0, c * sizeof(REAL));
                else memcpy(to, s->x + ((n * g->in_h + row) * g->in_w + column) * c, c * sizeof(REAL));
            }
}

static void FN(npdl_im2col)(const REAL *x, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_im2col_call) s = {x, *g, out};
    npdl_parallel(FN(npdl_im2col_task), &s, images * g->out_h, 0);
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
