/* Convolution, channels last: x (N, H, W, C), w (KH, KW, C/groups, F), y (N, OH, OW, F); or volumes, x (N, D, H, W, C),
 * w (KD, KH, KW, C/groups, F), y (N, OD, OH, OW, F), of which an image is one plane.
 *
 * All three products run on the register tile of matmul.h. The matrix of windows (im2col) has a row for each output
 * pixel and is never made: its number (pixel, tap) lies in the image at
 *
 *     place of the pixel's window + place of the tap in a window
 *
 * and the tile reads it there. Where windows leave the image, a task first copies the few image rows that it needs,
 * with zeros around them: a band. Of a window that is one row high it copies parts of rows: a sequence is one long row.
 * Of volumes there is a band for each plane o that the windows show, `slab` numbers further on each.
 *
 *     y  = windows(x) W          rows of the tile: pixels     along k: taps (o, p, q, c)
 *     dW = windows(x)ᵀ dz        rows of the tile: taps       along k: pixels (n, d, i, j)
 *     dx = windows'(dz) W'       as y
 *
 * For dx take the pixels (h, w) with h ≡ a modulo stride_h and w ≡ b modulo stride_w: one phase. All of them are
 * reached by the same taps p with (a + pad_top − p·dilation_h) divisible by stride_h, from dz's rows
 * i = (h + pad_top − p·dilation_h) / stride_h; of volumes along the depth as well. So each phase is a convolution of dz
 * with stride 1, its taps in reverse order, each tap's matrix transposed. Nothing is scattered: every element of dx is
 * one sum.
 *
 * Two kinds would leave the vectors' lanes empty and have their own way: depthwise convolution (one channel a group;
 * depthwise.h), and dx of fewer than NPDL_NARROW channels, told where it begins. Both y and that dx have a faster way
 * to the same bits where there are many images (narrow.h).
 *
 * Transposed convolution is dx, with a bias and an activation.
 *
 * Order of the sums: y and dx as in matmul.h, in blocks of NPDL_KB along (o, p, q, c) and (o, p, q, f); dW in blocks of
 * NPDL_PIXELS pixels, and over long batches in parts, as any product with a transposed left matrix.
 */
#ifndef NPDL_CONV_H
#define NPDL_CONV_H

#define NPDL_NARROW 16  /* fewer channels than this: dx by dcols; part of the bits */
#define NPDL_PIXELS 128 /* pixels in a block sum of dW, few enough for the first cache; part of the bits */

/* One axis of a phase: pixels first, first + stride, ... (`size` of them); its taps first_tap, first_tap + tap_step,
 * ... (`taps` of them) and, with these reversed, the padding before and the dilation of the convolution of dz. */
typedef struct { int64_t first, size, first_tap, tap_step, taps, pad, dilation; } npdl_phase;

/* The axis of volumes that images have not; theirs is one plane and one tap. */
typedef struct { int64_t in, kernel, stride, pad, dilation, out; } npdl_depth;
static const npdl_depth npdl_one_plane = {1, 1, 1, 0, 1, 1};

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
    npdl_depth d;            /* in: planes of x a volume; out: planes of pixels */
    int banded;              /* whether a window leaves the image */
    int64_t width, span_h, span_w; /* of a band, in pixels; of a window */
    /* a pixel (n, d, i, j) of the result goes to `place` + n·image_step + d·plane_step + i·row_step + j·column_step */
    int64_t place, image_step, plane_step, row_step, column_step;
    npdl_phase f, v, h;      /* dx: which taps of w, ... */
    int64_t kernel_h, kernel_w; /* ... which has so many in a plane */
    const FN(npdl_unpooled) *unpooled; /* dW: what dz is made of, or NULL */
} FN(npdl_windows);

static FN(npdl_windows) FN(npdl_windows_of)(const REAL *x, const npdl_window *g, const npdl_depth *d) {
    FN(npdl_windows) s = {.x = x, .g = *g, .d = *d};
    s.span_w = (g->kernel_w - 1) * g->dilation_w + 1;
    s.span_h = (g->kernel_h - 1) * g->dilation_h + 1;
    s.banded = d->kernel * g->kernel_h * g->kernel_w > 0 && /* else nothing is read */
               (g->pad_top > 0 || g->pad_left > 0 || d->pad > 0 ||
                (g->out_h - 1) * g->stride_h - g->pad_top + s.span_h > g->in_h ||
                (g->out_w - 1) * g->stride_w - g->pad_left + s.span_w > g->in_w ||
                (d->out - 1) * d->stride - d->pad + (d->kernel - 1) * d->dilation + 1 > d->in);
    s.width = s.banded ? (g->out_w - 1) * g->stride_w + s.span_w : g->in_w;
    return s;
}

/* From a plane that windows show to the next; in bands, the numbers in one of any `pixels` pixels that follow each
 * other. */
static int64_t FN(npdl_slab)(const FN(npdl_windows) *s, int64_t pixels) {
    const npdl_window *g = &s->g;
    if (!s->banded) return s->d.dilation * g->in_h * g->in_w * g->channels;
    if (pixels == 0) return 0;
    int64_t rows = (pixels - 1) / g->out_w + 2, images = (pixels - 1) / (g->out_h * g->out_w) + 2;
    if (s->span_h == 1) return (pixels * g->stride_w + rows * npdl_max(s->span_w - g->stride_w, 0)) * g->channels;
    rows = rows * g->stride_h + images * npdl_max(s->span_h - g->stride_h, 0);
    return rows * s->width * g->channels;
}

/* `rows` rows of a plane, from padded row `first` on, and of each `columns` numbers of C from padded column `left` on;
 * zeros if the plane is NULL. */
static void FN(npdl_copy_band)(const FN(npdl_windows) *s, const REAL *plane, int64_t first, int64_t rows, int64_t left,
                               int64_t columns, REAL *to) {
    const npdl_window *g = &s->g;
    int64_t c = g->channels, shift = g->pad_left - left; /* columns [a, b) show the image */
    int64_t a = npdl_min(npdl_max(shift, 0), columns), b = npdl_max(a, npdl_min(g->in_w + shift, columns));
    for (int64_t r = first - g->pad_top; rows > 0; rows--, r++, to += columns * c) {
        if (!plane || r < 0 || r >= g->in_h) {
            memset(to, 0, columns * c * sizeof(REAL));
            continue;
        }
        for (int64_t e = 0; e < a * c; e++) to[e] = 0;
        memcpy(to + a * c, plane + (r * g->in_w + a - shift) * c, (b - a) * c * sizeof(REAL));
        for (int64_t e = b * c; e < columns * c; e++) to[e] = 0;
    }
}

/* Where the windows of pixels [r0, r1) lie: as rows of the tile or, if `row` is NULL, as places along k. Makes their
 * bands, if there must be some, `slab` apart; returns what the places are relative to. */
static const REAL *FN(npdl_pixels)(const FN(npdl_windows) *s, int64_t r0, int64_t r1, REAL *band, int64_t slab,
                                   npdl_row *row, int64_t *place) {
    const npdl_window *g = &s->g;
    const npdl_depth *d = &s->d;
    int64_t n = r0 / (g->out_h * g->out_w), i = r0 / g->out_w % g->out_h, j = r0 % g->out_w, count; /* n: planes */
    int64_t step = g->stride_w * g->channels, top = g->pad_top, left = g->pad_left, origin = 0; /* padded (top, left) */
    int64_t plane = g->in_h * g->in_w * g->channels;
    REAL *end = band;
    for (int64_t r = r0; r < r1; r += count, j = 0) {
        const int64_t volume = n / d->out, front = n % d->out;
        count = npdl_min(r1 - r, g->out_w - j);
        if (!s->banded) origin = (volume * d->in + front * d->stride - d->pad) * plane;
        else if (r == r0 || i == 0 || s->span_h == 1) {
            int64_t last = npdl_min(g->out_h - 1, i + (j + r1 - r - 1) / g->out_w); /* of this plane's rows */
            int64_t rows = (last - i) * g->stride_h + s->span_h, columns = s->width;
            top = i * g->stride_h, left = 0, origin = end - band;
            if (s->span_h == 1) rows = 1, left = j * g->stride_w, columns = (count - 1) * g->stride_w + s->span_w;
            for (int64_t o = 0; o < d->kernel; o++) {
                int64_t at = front * d->stride - d->pad + o * d->dilation;
                FN(npdl_copy_band)(s, at < 0 || at >= d->in ? NULL : s->x + (volume * d->in + at) * plane, top, rows,
                                   left, columns, end + o * slab);
            }
            end += rows * columns * g->channels;
        }
        int64_t from = origin + ((i * g->stride_h - top) * s->width + j * g->stride_w - left) * g->channels;
        if (row) {
            int64_t to = s->place + volume * s->image_step + front * s->plane_step + i * s->row_step;
            to += j * s->column_step;
            for (int64_t e = 0; e < count; e++) *row++ = (npdl_row){from + e * step, to + e * s->column_step};
        } else
            for (int64_t e = 0; e < count; e++) *place++ = from + e * step;
        if (++i == g->out_h) i = 0, n++;
    }
    return s->banded ? band : s->x;
}

/* Where in a window taps [c0, c1) of (o, p, q, c) lie. */
static void FN(npdl_taps)(const FN(npdl_windows) *s, int64_t c0, int64_t c1, int64_t slab, int64_t *place) {
    const npdl_window *g = &s->g;
    if (c0 == c1) return; /* there may be no tap at all */
    int64_t depth = g->channels / g->groups, q = c0 / depth % g->kernel_w, c = c0 % depth;
    int64_t p = c0 / depth / g->kernel_w % g->kernel_h, o = c0 / depth / g->kernel_w / g->kernel_h;
    for (; c0 < c1; c0++) {
        *place++ = o * slab + (p * g->dilation_h * s->width + q * g->dilation_w) * g->channels + c;
        if (++c == depth) c = 0, q++;
        if (q == g->kernel_w) q = 0, p++;
        if (p == g->kernel_h) p = 0, o++;
    }
}

/* dx: rows [k0, k0 + k) of (o, p, q, f) and n columns, from c on, of the phase's weights in one group: w's taps in
 * reverse, each transposed. */
static void FN(npdl_pack_phase)(const FN(npdl_product) *s, int64_t group, int64_t k0, int64_t k, int64_t c, int64_t n,
                                REAL *panels) {
    const FN(npdl_windows) *x = s->images;
    int64_t filters = x->g.channels / x->g.groups, channels = s->n / x->g.groups;
    for (int64_t r = 0, length; r < k; r += length) {
        int64_t tap = (k0 + r) / filters, f = (k0 + r) % filters;
        int64_t o = x->f.first_tap + (x->f.taps - 1 - tap / x->h.taps / x->v.taps) * x->f.tap_step;
        int64_t p = x->v.first_tap + (x->v.taps - 1 - tap / x->h.taps % x->v.taps) * x->v.tap_step;
        int64_t q = x->h.first_tap + (x->h.taps - 1 - tap % x->h.taps) * x->h.tap_step;
        tap = (o * x->kernel_h + p) * x->kernel_w + q;
        const REAL *from = s->b + (tap * channels + c) * s->b_step + group * filters + f;
        length = npdl_min(filters - f, k - r);
        FN(npdl_pack_b)(from, s->b_step, 1, length, n, panels, r);
    }
}

/* Working memory of the rectangles: panels, the tile's rows, the band. */
static size_t FN(npdl_conv_bytes)(const FN(npdl_product) *s, int64_t rows, int64_t columns) {
    const FN(npdl_windows) *x = s->images;
    int64_t band = x->banded ? x->d.kernel * FN(npdl_slab)(x, s->transpose_a ? NPDL_PIXELS : rows) : 0;
    if (x->unpooled) band += NPDL_PIXELS * columns;
    return (NPDL_KB * npdl_round_up(columns, NPDL_NW) + band) * sizeof(REAL) + rows * sizeof(npdl_row);
}

/* y and dx: pixels [m0, m0 + m), channels [n0, n0 + n), all taps. */
static void FN(npdl_conv_rectangle)(const FN(npdl_product) *s, int64_t m0, int64_t m, int64_t n0, int64_t n,
                                    int64_t k0, int64_t k1, REAL *out, int64_t out_step, int finish, void *work) {
    const FN(npdl_windows) *x = s->images;
    REAL *panels = work, *band;
    npdl_row *row = (npdl_row *)(panels + NPDL_KB * npdl_round_up(n, NPDL_NW));
    int64_t place[NPDL_KB], depth = x->g.channels / x->g.groups, width = s->n / x->g.groups;
    int64_t slab = FN(npdl_slab)(x, m);
    band = (REAL *)(row + m);
    const REAL *windows = FN(npdl_pixels)(x, m0, m0 + m, band, slab, row, NULL);
    (void)out, (void)out_step, (void)finish;
    for (int64_t c0 = n0, c1; c0 < n0 + n; c0 = c1) {
        int64_t group = c0 / width, kb = k0, k;
        c1 = npdl_min((group + 1) * width, n0 + n);
        const REAL *bias = s->bias ? s->bias + c0 : NULL;
        do {
            k = npdl_min(k1 - kb, NPDL_KB);
            int last = kb + k == k1;
            FN(npdl_taps)(x, kb, kb + k, slab, place);
            if (s->transpose_b) FN(npdl_pack_phase)(s, group, kb, k, c0 - group * width, c1 - c0, panels);
            else FN(npdl_pack_b)(s->b + kb * s->b_step + c0, s->b_step, 0, k, c1 - c0, panels, 0);
            for (int64_t i = 0; i < m; i += NPDL_MB) {
                int64_t mb = npdl_min(m - i, NPDL_MB);
                FN(npdl_tiles)(windows + group * depth, row + i, mb, place, k, panels, s->out + c0, c1 - c0, kb > k0,
                               last ? bias : NULL);
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
    int64_t place[NPDL_KB], depth = x->g.channels / x->g.groups, width = s->n / x->g.groups;
    int64_t slab = FN(npdl_slab)(x, NPDL_PIXELS), step = x->unpooled ? n : s->b_step;
    REAL *whole = (REAL *)(row + m) + (x->banded ? x->d.kernel * slab : 0);
    for (int64_t i = 0; i < m; i += NPDL_KB) {
        int64_t mb = npdl_min(m - i, NPDL_KB);
        FN(npdl_taps)(x, m0 + i, m0 + i + mb, slab, place);
        for (int64_t e = 0; e < mb; e++) row[i + e] = (npdl_row){place[e], (i + e) * out_step};
    }
    (void)finish;
    if (k0 >= k1) FN(npdl_empty_sums)(out, out_step, m, n, NULL);
    for (int64_t kb = k0; kb < k1; kb += NPDL_PIXELS) {
        int64_t k = npdl_min(k1 - kb, NPDL_PIXELS);
        const REAL *windows = FN(npdl_pixels)(x, kb, kb + k, (REAL *)(row + m), slab, NULL, place), *b = whole;
        if (x->unpooled) FN(npdl_unpool_rows)(x->unpooled, kb, k, n0, n0 + n, whole, n);
        else b = s->b + kb * s->b_step + n0;
        for (int64_t c0 = n0, c1; c0 < n0 + n; c0 = c1) {
            int64_t group = c0 / width;
            c1 = npdl_min((group + 1) * width, n0 + n);
            FN(npdl_pack_b)(b + c0 - n0, step, 0, k, c1 - c0, panels, 0);
            FN(npdl_tiles)(windows + group * depth, row, m, place, k, panels, out + c0 - n0,
                           c1 - c0, kb > k0, NULL);
        }
    }
}

/* ---- dx of few channels: the textbook's way round
 *
 * With fewer than NPDL_NARROW channels most lanes of a product with C columns would be empty. So a task makes
 * dcols = dz Wᵀ, (pixels, taps·C), for some rows of an image, and each pixel of dx adds up, in the order of the taps,
 * what it finds there for it (col2im, but gathered). */

static int64_t FN(npdl_narrow_rows)(const FN(npdl_lines) *s) { /* rows of dz that a task needs, at most */
    const npdl_window *g = s->g;
    return npdl_min(s->in_h, (s->lines - 1 + (g->kernel_h - 1) * g->dilation_h) / g->stride_h + 1);
}

static void FN(npdl_narrow_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_lines) *s = ctx;
    const npdl_window *g = s->g;
    int64_t filters = g->filters, n = g->kernel_h * g->kernel_w * g->channels;
    int64_t bands = npdl_ceil_div(s->out_h, s->lines);
    int64_t image = task / bands, h0 = task % bands * s->lines, h1 = npdl_min(h0 + s->lines, s->out_h);
    int64_t first = s->in_h, last = -1; /* rows of dz */
    for (int64_t e = h0 * g->kernel_h; e < h1 * g->kernel_h; e++)
        if (s->rows[e] >= 0) first = npdl_min(first, s->rows[e]), last = npdl_max(last, s->rows[e]);
    int64_t pixels = npdl_max(0, last - first + 1) * s->in_w, place[NPDL_KB];
    npdl_row *row = work;
    REAL *cols = (REAL *)(row + pixels);
    const REAL *dz = s->x + (image * s->in_h + first) * s->in_w * filters, *panels = s->panels;
    for (int64_t i = 0; i < pixels; i++) row[i] = (npdl_row){i * filters, i * n};
    for (int64_t i = 0; i < NPDL_KB; i++) place[i] = i;
    for (int64_t k = 0; k < filters && pixels; k += NPDL_KB, panels += NPDL_KB * npdl_round_up(n, NPDL_NW))
        FN(npdl_tiles)(dz + k, row, pixels, place, npdl_min(filters - k, NPDL_KB), panels, cols, n, k > 0, NULL);
    for (int64_t h = h0; h < h1; h++)
        for (int64_t w = 0; w < s->out_w; w++) {
            const int64_t *rows = s->rows + h * g->kernel_h, *columns = s->columns + w * g->kernel_w;
            REAL *to = s->out + ((image * s->out_h + h) * s->out_w + w) * g->channels;
            for (int64_t c = 0; c < g->channels; c += VL) {
                VEC sum = BC(0);
                for (int64_t p = 0; p < g->kernel_h; p++)
                    for (int64_t q = 0; rows[p] >= 0 && q < g->kernel_w; q++)
                        if (columns[q] >= 0) /* lanes beyond the channels are read and dropped */
                            sum += LD(cols + ((rows[p] - first) * s->in_w + columns[q]) * n +
                                      (p * g->kernel_w + q) * g->channels + c);
                STN(to + c, sum, npdl_min(g->channels - c, VL));
            }
        }
}

/* The same with images along the vectors, for the first `images` of them. */
static void FN(npdl_narrow_dx_lanes)(const REAL *dz, const REAL *w, REAL *out, int64_t images, const npdl_window *g) {
    int64_t taps = g->kernel_h * g->kernel_w, c = g->channels, filters = g->filters;
    FN(npdl_lines) s = {
        .x = dz, .out = out, .in_h = g->out_h, .in_w = g->out_w, .out_h = g->in_h, .out_w = g->in_w, .g = g,
        .channels = filters, .filters = c, .images = images,
    };
    size_t bytes = FN(npdl_tables_bytes)(&s);
    char *shared = npdl_shared(bytes + taps * c * filters * sizeof(REAL));
    if (!shared) return;
    FN(npdl_tables)(&s, (int64_t *)shared, 1);
    REAL *weights = (REAL *)(shared + bytes);
    for (int64_t t = 0; t < taps; t++)
        for (int64_t f = 0; f < filters; f++)
            for (int64_t e = 0; e < c; e++) weights[(t * filters + f) * c + e] = w[(t * c + e) * filters + f];
    s.panels = weights;
    FN(npdl_run_lanes)(&s);
}

static void FN(npdl_narrow_dx)(const REAL *dz, const REAL *w, REAL *out, int64_t images, const npdl_window *g) {
    if (images >= NPDL_NW && g->filters <= NPDL_LANES_FILTERS && g->kernel_h * g->kernel_w * g->channels >= 16) {
        int64_t whole = images / NPDL_NW * NPDL_NW;
        FN(npdl_narrow_dx_lanes)(dz, w, out, whole, g);
        dz += whole * g->out_h * g->out_w * g->filters, out += whole * g->in_h * g->in_w * g->channels;
        if (!(images -= whole)) return;
    }
    int64_t n = g->kernel_h * g->kernel_w * g->channels, filters = g->filters;
    int64_t panel = NPDL_KB * npdl_round_up(n, NPDL_NW);
    FN(npdl_lines) s = {
        .x = dz, .out = out, .in_h = g->out_h, .in_w = g->out_w, .out_h = g->in_h, .out_w = g->in_w, .g = g,
    };
    size_t bytes = FN(npdl_tables_bytes)(&s);
    char *shared = npdl_shared(bytes + npdl_ceil_div(filters, NPDL_KB) * panel * sizeof(REAL));
    if (!shared || g->in_h == 0) return;
    FN(npdl_tables)(&s, (int64_t *)shared, 1);
    REAL *panels = (REAL *)(shared + bytes);
    for (int64_t k = 0; k < filters; k += NPDL_KB)
        FN(npdl_pack_b)(w + k, filters, 1, npdl_min(filters - k, NPDL_KB), n, panels + k / NPDL_KB * panel, 0);
    s.panels = panels;
    s.lines = npdl_max(2 * g->kernel_h, 131072 / npdl_max(1, g->in_w * n)); /* dcols stays in the second cache */
    s.lines = npdl_min(s.lines, g->in_h);
    int64_t pixels = FN(npdl_narrow_rows)(&s) * g->out_w;
    npdl_parallel(FN(npdl_narrow_task), &s, images * npdl_ceil_div(g->in_h, s.lines),
                  pixels * (sizeof(npdl_row) + n * sizeof(REAL)) + NPDL_VECTOR_BYTES);
}

/* ---- the three products of a convolution of volumes, and of the images that go no other way */

/* out = act(windows(x) W + bias) */
NPDL_API void FN(npdl_conv3d)(const REAL *x, const REAL *w, REAL *out, const REAL *bias, REAL *z, int64_t volumes,
                              const npdl_window *g, const npdl_depth *d, int code, const double *constants) {
    FN(npdl_windows) windows = FN(npdl_windows_of)(x, g, d);
    windows.column_step = g->filters, windows.row_step = g->out_w * g->filters;
    windows.plane_step = g->out_h * windows.row_step, windows.image_step = d->out * windows.plane_step;
    FN(npdl_product) s = {
        .m = volumes * d->out * g->out_h * g->out_w, .n = g->filters,
        .k = d->kernel * g->kernel_h * g->kernel_w * (g->channels / g->groups),
        .images = &windows, .rectangle = FN(npdl_conv_rectangle), .bytes = FN(npdl_conv_bytes),
        .b = w, .b_step = g->filters, .out = out, .out_step = g->filters,
        .bias = bias, .z = z, .code = code, .constants = constants,
    };
    FN(npdl_run_product)(&s);
}

/* out = dW = windows(x)ᵀ dz */
NPDL_API void FN(npdl_conv3d_dkernel)(const REAL *x, const REAL *dz, REAL *out, int64_t volumes, const npdl_window *g,
                                      const npdl_depth *d) {
    FN(npdl_windows) windows = FN(npdl_windows_of)(x, g, d);
    FN(npdl_product) s = {
        .m = d->kernel * g->kernel_h * g->kernel_w * (g->channels / g->groups), .n = g->filters,
        .k = volumes * d->out * g->out_h * g->out_w,
        .images = &windows, .rectangle = FN(npdl_dkernel_rectangle), .bytes = FN(npdl_conv_bytes), .transpose_a = 1,
        .b = dz, .b_step = g->filters, .out = out, .out_step = g->filters,
    };
    FN(npdl_run_product)(&s);
}

/* A phase of dx: the pixels (c, a, b) modulo the strides. */
static void FN(npdl_dx_phase)(const REAL *dz, const REAL *w, REAL *out, int64_t volumes, const npdl_window *g,
                              const npdl_depth *d, int64_t c, int64_t a, int64_t b) {
    npdl_phase f = npdl_phase_of(c, d->in, d->kernel, d->stride, d->pad, d->dilation);
    npdl_phase v = npdl_phase_of(a, g->in_h, g->kernel_h, g->stride_h, g->pad_top, g->dilation_h);
    npdl_phase h = npdl_phase_of(b, g->in_w, g->kernel_w, g->stride_w, g->pad_left, g->dilation_w);
    npdl_window phase = {
        .in_h = g->out_h, .in_w = g->out_w, .channels = g->filters, .kernel_h = v.taps, .kernel_w = h.taps,
        .stride_h = 1, .stride_w = 1, .pad_top = v.pad, .pad_left = h.pad, .dilation_h = v.dilation,
        .dilation_w = h.dilation, .out_h = v.size, .out_w = h.size, .groups = g->groups,
    };
    npdl_depth depth = {d->out, f.taps, 1, f.pad, f.dilation, f.size};
    FN(npdl_windows) windows = FN(npdl_windows_of)(dz, &phase, &depth);
    int64_t row = g->in_w * g->channels, plane = g->in_h * row;
    windows.f = f, windows.v = v, windows.h = h, windows.kernel_h = g->kernel_h, windows.kernel_w = g->kernel_w;
    windows.place = c * plane + a * row + b * g->channels;
    windows.image_step = d->in * plane, windows.plane_step = d->stride * plane;
    windows.row_step = g->stride_h * row, windows.column_step = g->stride_w * g->channels;
    FN(npdl_product) s = {
        .m = volumes * f.size * v.size * h.size, .n = g->channels,
        .k = f.taps * v.taps * h.taps * (g->filters / g->groups),
        .images = &windows, .rectangle = FN(npdl_conv_rectangle), .bytes = FN(npdl_conv_bytes),
        .b = w, .b_step = g->filters, .transpose_b = 1, .out = out, .out_step = g->channels,
    };
    FN(npdl_run_product)(&s);
}

/* out = dx: dz convolved with the reversed, transposed weights, phase by phase */
NPDL_API void FN(npdl_conv3d_dx)(const REAL *dz, const REAL *w, REAL *out, int64_t volumes, const npdl_window *g,
                                 const npdl_depth *d) {
    for (int64_t c = 0; c < d->stride; c++)
        for (int64_t a = 0; a < g->stride_h; a++)
            for (int64_t b = 0; b < g->stride_w; b++) FN(npdl_dx_phase)(dz, w, out, volumes, g, d, c, a, b);
}

/* ---- y of images, pooled on the way; see pooled.h */

#ifndef NPDL_CONV_POOLED
#define NPDL_CONV_POOLED
#define NPDL_POOLED_PIXELS 512 /* of y in a task, about: they stay in the second cache; changes no sum */
#endif

typedef struct {
    const FN(npdl_product) *product;
    const FN(npdl_pooled) *pooled;
    int64_t images, lines; /* of a task: whole images, or of one image so many rows, an even number */
    int64_t columns;       /* of the product, at a time */
    size_t bytes;          /* of a rectangle's work, after which its pixels lie */
} FN(npdl_conv_pooled);

static void FN(npdl_conv_pooled_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_conv_pooled) *s = ctx;
    FN(npdl_product) part = *s->product;
    FN(npdl_windows) windows = *(const FN(npdl_windows) *)part.images;
    const int64_t height = windows.g.out_h, width = windows.g.out_w, n = part.n;
    const int64_t bands = npdl_ceil_div(height, s->lines);
    const int64_t r0 = task % bands * s->lines, r1 = npdl_min(r0 + s->lines, height), all = part.m / (height * width);
    const int64_t image = task / bands * s->images, end = npdl_min(image + s->images, all), line = width * n;
    const int64_t m0 = (image * height + r0) * width, m = (end - image - 1) * height * width + (r1 - r0) * width;
    part.images = &windows, part.out = (REAL *)((char *)work + s->bytes), windows.place = -m0 * n;
    for (int64_t c = 0; c < n; c += s->columns)
        FN(npdl_conv_rectangle)(&part, m0, m, c, npdl_min(n - c, s->columns), 0, part.k, NULL, 0, 0, work);
    for (int64_t i = image; i < end; i++)
        for (int64_t r = r0; r + 1 < r1; r += 2)
            FN(npdl_pool_row_of_two)(s->pooled, part.out + ((i - image) * height + r - r0) * line, line, width / 2, n,
                                     (i * (height / 2) + r / 2) * (width / 2) * n);
}

/* out = a(the maximum of each 2 x 2 of windows(x) W + bias), a is ReLU or nothing; g has one group. winners may be
 * NULL. */
NPDL_API void FN(npdl_conv2d_pooled)(const REAL *x, const REAL *w, REAL *out, const REAL *bias, void *winners, int relu,
                                     int64_t images, const npdl_window *g) {
    const FN(npdl_pooled) pooled = {out, winners, relu};
    if (images * (g->out_h / 2) * (g->out_w / 2) * g->filters == 0) return;
    if (npdl_winograd_suits(g, g->out_h, g->out_w)) {
        FN(npdl_winograd_pooled)(x, w, bias, images, g, &pooled);
        return;
    }
    FN(npdl_windows) windows = FN(npdl_windows_of)(x, g, &npdl_one_plane);
    windows.column_step = g->filters, windows.row_step = g->out_w * g->filters;
    windows.plane_step = windows.image_step = g->out_h * windows.row_step;
    const FN(npdl_product) product = {
        .m = images * g->out_h * g->out_w, .n = g->filters, .k = g->kernel_h * g->kernel_w * g->channels,
        .images = &windows, .b = w, .b_step = g->filters, .out_step = g->filters, .bias = bias,
    };
    FN(npdl_conv_pooled) s = {&product, &pooled, 1, g->out_h, npdl_min(g->filters, NPDL_TASK_COLUMNS), 0};
    s.lines = npdl_min(g->out_h, npdl_max(2, NPDL_POOLED_PIXELS / g->out_w / 2 * 2));
    if (s.lines == g->out_h) s.images = npdl_max(1, NPDL_POOLED_PIXELS / (g->out_h * g->out_w));
    const int64_t rows = s.images * s.lines * g->out_w;
    s.bytes = (FN(npdl_conv_bytes)(&product, rows, s.columns) + 63) / 64 * 64;
    npdl_parallel(FN(npdl_conv_pooled_task), &s, npdl_ceil_div(images, s.images) * npdl_ceil_div(g->out_h, s.lines),
                  s.bytes + rows * g->filters * sizeof(REAL));
}

/* out = dW of the convolution that npdl_conv2d_pooled makes: `from` is what dz is made of. */
static void FN(npdl_unpooled_dkernel)(const REAL *x, const FN(npdl_unpooled) *from, REAL *out, int64_t images,
                                      const npdl_window *g) {
    if (npdl_winograd_suits_dkernel(g, images)) {
        FN(npdl_winograd_sum_all)(x, NULL, from, out, images, g);
        return;
    }
    FN(npdl_windows) windows = FN(npdl_windows_of)(x, g, &npdl_one_plane);
    windows.unpooled = from;
    FN(npdl_product) s = {
        .m = g->kernel_h * g->kernel_w * g->channels, .n = g->filters, .k = images * g->out_h * g->out_w,
        .images = &windows, .rectangle = FN(npdl_dkernel_rectangle), .bytes = FN(npdl_conv_bytes), .transpose_a = 1,
        .b_step = g->filters, .out = out, .out_step = g->filters,
    };
    FN(npdl_run_product)(&s);
}

NPDL_API void FN(npdl_conv2d_pooled_dkernel)(const REAL *x, const REAL *dy, const void *winners, REAL *out,
                                             int64_t images, const npdl_window *g) {
    const FN(npdl_unpooled) from = {dy, winners, g->out_h, g->out_w, g->filters};
    FN(npdl_unpooled_dkernel)(x, &from, out, images, g);
}

/* ---- those of images */

/* Whether y is better made with images along the vectors: it gives the same bits. With filters along them a quarter or
 * more of the lanes would be empty. */
static int FN(npdl_lanes_suit)(const npdl_window *g, int64_t images) {
    int64_t k = g->kernel_h * g->kernel_w * g->channels; /* a single block sum, of enough work for the transposes */
    return g->groups == 1 && images >= NPDL_NW && k >= 16 && k <= NPDL_KB && g->out_h > 0 && g->out_w > 0 &&
           4 * g->filters <= 3 * npdl_round_up(g->filters, VL);
}

/* out = act(windows(x) W + bias) */
NPDL_API void FN(npdl_conv2d)(const REAL *x, const REAL *w, REAL *out, const REAL *bias, REAL *z, int64_t images,
                              const npdl_window *g, int code, const double *constants) {
    if (npdl_winograd_suits(g, g->out_h, g->out_w)) {
        FN(npdl_winograd_conv2d)(x, w, out, bias, z, images, g, code, constants);
        return;
    }
    if (npdl_is_depthwise(g)) {
        FN(npdl_lines) s = {
            x, w, bias, out, z, g->in_h, g->in_w, g->out_h, g->out_w, g->channels, g->filters, g,
            .images = images, .code = code, .constants = constants,
        };
        FN(npdl_run_lines)(&s, 0);
        return;
    }
    if (FN(npdl_lanes_suit)(g, images)) {
        FN(npdl_lines) s = {
            x, w, bias, out, z, g->in_h, g->in_w, g->out_h, g->out_w, g->channels, g->filters, g,
            .images = images / NPDL_NW * NPDL_NW, .panels = w, .code = code, .constants = constants,
        };
        FN(npdl_run_lanes)(&s);
        int64_t done = s.images * g->out_h * g->out_w * g->filters;
        x += s.images * g->in_h * g->in_w * g->channels, out += done, images -= s.images;
        if (z) z += done;
    }
    FN(npdl_conv3d)(x, w, out, bias, z, images, g, &npdl_one_plane, code, constants);
}

/* out = dW = windows(x)ᵀ dz */
NPDL_API void FN(npdl_conv2d_dkernel)(const REAL *x, const REAL *dz, REAL *out, int64_t images, const npdl_window *g) {
    if (npdl_is_depthwise(g)) {
        FN(npdl_depthwise_dkernel)(x, dz, out, images, g);
        return;
    }
    if (npdl_winograd_suits_dkernel(g, images)) {
        FN(npdl_winograd_dkernel)(x, dz, out, images, g);
        return;
    }
    FN(npdl_conv3d_dkernel)(x, dz, out, images, g, &npdl_one_plane);
}

/* out = dx: dz convolved with the reversed, transposed weights, phase by phase */
NPDL_API void FN(npdl_conv2d_dx)(const REAL *dz, const REAL *w, REAL *out, int64_t images, const npdl_window *g) {
    if (npdl_winograd_suits(g, g->in_h, g->in_w)) {
        FN(npdl_winograd_dx)(dz, w, out, images, g);
        return;
    }
    if (npdl_is_depthwise(g)) {
        FN(npdl_lines) s = {
            dz, w, NULL, out, NULL, g->out_h, g->out_w, g->in_h, g->in_w, g->filters, g->channels, g, .images = images,
        };
        FN(npdl_run_lines)(&s, 1);
        return;
    }
    if (g->groups == 1 && g->channels < NPDL_NARROW && g->filters > 0) {
        FN(npdl_narrow_dx)(dz, w, out, images, g);
        return;
    }
    FN(npdl_conv3d_dx)(dz, w, out, images, g, &npdl_one_plane);
}

/* ---- transposed convolution: dx with a bias and an activation */

typedef struct {
    REAL *out, *z;
    const REAL *bias;
    int64_t rows, n, block;
    int code;
    const double *constants;
} FN(npdl_ending);

static void FN(npdl_ending_block)(void *ctx, int64_t block, void *work) {
    const FN(npdl_ending) *s = ctx;
    int64_t first = block * s->block, rows = npdl_min(s->rows - first, s->block), n = s->n;
    REAL *out = s->out + first * n;
    (void)work;
    for (int64_t r = 0; r < rows && s->bias; r++)
        for (int64_t j = 0; j < n; j += VL) {
            int64_t lanes = npdl_min(n - j, VL);
            REAL *to = out + r * n + j;
            if (lanes == VL) ST(to, LD(to) + LD(s->bias + j));
            else STN(to, LDN(to, lanes) + LDN(s->bias + j, lanes), lanes);
        }
    if (s->z) memcpy(s->z + first * n, out, rows * n * sizeof(REAL));
    if (s->code) FN(npdl_activate)(s->code, s->constants, out, rows * n);
}

/* out = act(out + bias), rows of n numbers; z: before the activation */
static void FN(npdl_end)(REAL *out, const REAL *bias, REAL *z, int64_t rows, int64_t n, int code,
                         const double *constants) {
    FN(npdl_ending) s = {out, z, bias, rows, n, npdl_max(1, NPDL_GRAIN / npdl_max(1, n)), code, constants};
    if (bias || z || code) npdl_parallel(FN(npdl_ending_block), &s, npdl_ceil_div(rows, s.block), 0);
}

/* g and d: of the convolution whose inputs are `out` and whose outputs are x. */
NPDL_API void FN(npdl_conv2d_transpose)(const REAL *x, const REAL *w, REAL *out, const REAL *bias, REAL *z,
                                        int64_t images, const npdl_window *g, int code, const double *constants) {
    FN(npdl_conv2d_dx)(x, w, out, images, g);
    FN(npdl_end)(out, bias, z, images * g->in_h * g->in_w, g->channels, code, constants);
}

NPDL_API void FN(npdl_conv3d_transpose)(const REAL *x, const REAL *w, REAL *out, const REAL *bias, REAL *z,
                                        int64_t volumes, const npdl_window *g, const npdl_depth *d, int code,
                                        const double *constants) {
    FN(npdl_conv3d_dx)(x, w, out, volumes, g, d);
    FN(npdl_end)(out, bias, z, volumes * d->in * g->in_h * g->in_w, g->channels, code, constants);
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

NPDL_API void FN(npdl_im2col)(const REAL *x, REAL *out, int64_t images, const npdl_window *g) {
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

NPDL_API void FN(npdl_col2im)(const REAL *cols, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_col2im_call) s = {cols, out, *g};
    npdl_parallel(FN(npdl_col2im_task), &s, images, 0);
}
