/* Convolution of few channels, channels last: NPDL_NW images side by side.
 *
 * Vectors along the filters, as in conv.h, would be half empty with 10 or 20 of them. Here a vector has the same number
 * of VL images. A task lays out what it needs of the images of a group so that number r of all of them follow each
 * other (a transpose), and then two vectors, a tile's columns, are read for each tap, and a weight is broadcast:
 *
 *     y[f, images]  = Σ_taps w[tap, f] x[tap, images]         rows of the tile: filters
 *     dx[c, images] = Σ_taps (Σ_f w[tap, c, f] dz[f, images]) rows of the tile: channels; taps that lie outside dz
 *                                                             are left out
 *
 * Order of the sums: that of the ways in conv.h which do the images that do not fill a group, and all of small batches:
 * y along (p, q, c), in one block; dx a sum along f for each tap, and these added in the order of the taps.
 */
#ifndef NPDL_NARROW_H
#define NPDL_NARROW_H

#define NPDL_LANES_FILTERS 32 /* more than these: dx as in conv.h, transposing dz costs too much; at most NPDL_KB */
#define NPDL_LANES_BAND 65536 /* numbers in a task's images at most, if it can be: they stay in the second cache */

/* Numbers that follow each other in the images, and the rows of the weights that they meet. */
typedef struct { int64_t from, weight, length; } npdl_run;

#endif

/* ---- transposes */

#if NPDL_REAL_BITS == 32 && NPDL_VECTOR_BYTES == 64
#define NPDL_X86_WIDE(name) _mm512_##name
#elif NPDL_REAL_BITS == 32 && NPDL_VECTOR_BYTES == 32
#define NPDL_X86_WIDE(name) _mm256_##name
#endif

#ifdef NPDL_X86_WIDE
/* Transposes each square of 4 x 4 numbers in four vectors. */
NPDL_INLINE void FN(npdl_transpose_lanes)(const VEC v[4], VEC to[4]) {
    VEC ab = (VEC)NPDL_X86_WIDE(unpacklo_ps)(v[0], v[1]), cd = (VEC)NPDL_X86_WIDE(unpacklo_ps)(v[2], v[3]);
    to[0] = (VEC)NPDL_X86_WIDE(shuffle_ps)(ab, cd, 0x44), to[1] = (VEC)NPDL_X86_WIDE(shuffle_ps)(ab, cd, 0xee);
    ab = (VEC)NPDL_X86_WIDE(unpackhi_ps)(v[0], v[1]), cd = (VEC)NPDL_X86_WIDE(unpackhi_ps)(v[2], v[3]);
    to[2] = (VEC)NPDL_X86_WIDE(shuffle_ps)(ab, cd, 0x44), to[3] = (VEC)NPDL_X86_WIDE(shuffle_ps)(ab, cd, 0xee);
}
#undef NPDL_X86_WIDE
#define NPDL_X86_WIDE 1
#endif

/* NPDL_SIDE numbers of VL images, `image` apart, to lanes; and back. */
NPDL_INLINE void FN(npdl_into_lanes)(const REAL *x, int64_t image, REAL *lanes) {
#if NPDL_X86_WIDE
    VEC v[4], to[4];
    #pragma GCC unroll 4
    for (int k = 0; k < 4; k++) { /* images k, k + 4, ... */
        const REAL *from = x + k * image;
#if NPDL_VECTOR_BYTES == 64
        __m512 w = _mm512_castps128_ps512(_mm_loadu_ps(from));
        w = _mm512_insertf32x4(w, _mm_loadu_ps(from + 4 * image), 1);
        w = _mm512_insertf32x4(w, _mm_loadu_ps(from + 8 * image), 2);
        v[k] = (VEC)_mm512_insertf32x4(w, _mm_loadu_ps(from + 12 * image), 3);
#else
        v[k] = (VEC)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)), _mm_loadu_ps(from + 4 * image), 1);
#endif
    }
    FN(npdl_transpose_lanes)(v, to);
    for (int r = 0; r < 4; r++) ST(lanes + r * NPDL_NW, to[r]);
#else
    for (int i = 0; i < VL; i += NPDL_SIDE) FN(npdl_transpose)(x + i * image, image, lanes + i, NPDL_NW);
#endif
}

NPDL_INLINE void FN(npdl_out_of_lanes)(const REAL *lanes, int64_t image, REAL *x) {
#if NPDL_X86_WIDE
    VEC v[4], from[4];
    for (int r = 0; r < 4; r++) from[r] = LD(lanes + r * NPDL_NW);
    FN(npdl_transpose_lanes)(from, v);
    #pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        REAL *to = x + k * image;
#if NPDL_VECTOR_BYTES == 64
        _mm_storeu_ps(to, _mm512_castps512_ps128((__m512)v[k]));
        _mm_storeu_ps(to + 4 * image, _mm512_extractf32x4_ps((__m512)v[k], 1));
        _mm_storeu_ps(to + 8 * image, _mm512_extractf32x4_ps((__m512)v[k], 2));
        _mm_storeu_ps(to + 12 * image, _mm512_extractf32x4_ps((__m512)v[k], 3));
#else
        _mm_storeu_ps(to, _mm256_castps256_ps128((__m256)v[k]));
        _mm_storeu_ps(to + 4 * image, _mm256_extractf128_ps((__m256)v[k], 1));
#endif
    }
#else
    for (int i = 0; i < VL; i += NPDL_SIDE) FN(npdl_transpose)(lanes + i, NPDL_NW, x + i * image, image);
#endif
}
#undef NPDL_X86_WIDE

/* Asks for a cache line of each of VL images: that far apart, no machine sees a stream in them. */
#define NPDL_FETCH_NEXT(x, image, write) \
    for (int i_ = 0; i_ < VL; i_++) __builtin_prefetch((x) + i_ * (image), write)

/* Number r of image i, at x[i·image + r], goes to lanes[r·NPDL_NW + i]; and back. */
static void FN(npdl_to_lanes)(const REAL *x, int64_t image, int64_t n, REAL *lanes) {
    for (int64_t i = 0, r; i < NPDL_NW; i += VL) {
        for (r = 0; r + NPDL_SIDE <= n; r += NPDL_SIDE) {
            if (r % (64 / (int)sizeof(REAL)) == 0) NPDL_FETCH_NEXT(x + i * image + r + n, image, 0);
            FN(npdl_into_lanes)(x + i * image + r, image, lanes + r * NPDL_NW + i);
        }
        for (; r < n; r++)
            for (int64_t e = i; e < i + VL; e++) lanes[r * NPDL_NW + e] = x[e * image + r];
    }
}

static void FN(npdl_from_lanes)(const REAL *lanes, int64_t image, int64_t n, REAL *x) {
    for (int64_t i = 0, r; i < NPDL_NW; i += VL) {
        for (r = 0; r + NPDL_SIDE <= n; r += NPDL_SIDE) {
            if (r % (64 / (int)sizeof(REAL)) == 0) NPDL_FETCH_NEXT(x + i * image + r + n, image, 1);
            FN(npdl_out_of_lanes)(lanes + r * NPDL_NW + i, image, x + i * image + r);
        }
        for (; r < n; r++)
            for (int64_t e = i; e < i + VL; e++) x[e * image + r] = lanes[r * NPDL_NW + e];
    }
}

/* ---- the tile */

/* mr numbers of a pixel of all images: the sum over the runs, or (`each`) the sum of the runs' sums. */
NPDL_INLINE void FN(npdl_lanes_tile)(const int mr, const int each, const REAL *x, const npdl_run *run, int64_t runs,
                                     const REAL *w, int64_t w_step, const REAL *bias, REAL *out) {
    VEC acc[NPDL_MR][2], sum[NPDL_MR][2];
    #pragma GCC unroll 16
    for (int i = 0; i < mr; i++) acc[i][0] = acc[i][1] = sum[i][0] = sum[i][1] = BC(0);
    for (const npdl_run *end = run + runs; run < end; run++) {
        const REAL *from = x + run->from, *stop = from + run->length * NPDL_NW, *weight = w + run->weight;
        for (; from < stop; from += NPDL_NW, weight += w_step) {
            VEC a = LD(from), b = LD(from + VL);
            #pragma GCC unroll 16
            for (int i = 0; i < mr; i++) {
                VEC factor = BC(weight[i]);
                ADD_PRODUCT(acc[i][0], factor, a);
                ADD_PRODUCT(acc[i][1], factor, b);
            }
        }
        if (each)
            #pragma GCC unroll 16
            for (int i = 0; i < mr; i++) {
                sum[i][0] += acc[i][0], sum[i][1] += acc[i][1];
                acc[i][0] = acc[i][1] = BC(0);
            }
    }
    #pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < 2; j++) {
            VEC v = each ? sum[i][j] : acc[i][j];
            if (bias) v += BC(bias[i]);
            ST(out + i * NPDL_NW + j * VL, v);
        }
}

/* A function for each size: half as many rows where there are two sums to keep in registers. */
#define NPDL_LANES_OF(mr, each)                                                                                       \
    static __attribute__((noinline)) void FN(npdl_lanes_##mr##_##each)(                                               \
        const REAL *x, const npdl_run *run, int64_t runs, const REAL *w, int64_t w_step, const REAL *bias,            \
        REAL *out) {                                                                                                  \
        FN(npdl_lanes_tile)(mr, each, x, run, runs, w, w_step, bias, out);                                            \
    }
NPDL_LANES_OF(1, 0) NPDL_LANES_OF(2, 0) NPDL_LANES_OF(3, 0) NPDL_LANES_OF(4, 0) NPDL_LANES_OF(1, 1) NPDL_LANES_OF(2, 1)
#if NPDL_MR >= 6
NPDL_LANES_OF(5, 0) NPDL_LANES_OF(6, 0) NPDL_LANES_OF(3, 1)
#endif
#if NPDL_MR >= 8
NPDL_LANES_OF(7, 0) NPDL_LANES_OF(8, 0) NPDL_LANES_OF(4, 1)
#endif
#if NPDL_MR == 12
NPDL_LANES_OF(9, 0) NPDL_LANES_OF(10, 0) NPDL_LANES_OF(11, 0) NPDL_LANES_OF(12, 0) NPDL_LANES_OF(5, 1)
NPDL_LANES_OF(6, 1)
#endif
#undef NPDL_LANES_OF

/* All n numbers of a pixel: as few tiles as can be, all about equally large. */
static void FN(npdl_lanes_tiles)(int each, const REAL *x, const npdl_run *run, int64_t runs, const REAL *w, int64_t n,
                                 const REAL *bias, REAL *out) {
    static void (*const of_size[][2])(const REAL *, const npdl_run *, int64_t, const REAL *, int64_t, const REAL *,
                                      REAL *) = {
        {NULL},
        {FN(npdl_lanes_1_0), FN(npdl_lanes_1_1)}, {FN(npdl_lanes_2_0), FN(npdl_lanes_2_1)},
#if NPDL_MR >= 6
        {FN(npdl_lanes_3_0), FN(npdl_lanes_3_1)},
#else
        {FN(npdl_lanes_3_0)},
#endif
#if NPDL_MR >= 8
        {FN(npdl_lanes_4_0), FN(npdl_lanes_4_1)},
#else
        {FN(npdl_lanes_4_0)},
#endif
#if NPDL_MR == 12
        {FN(npdl_lanes_5_0), FN(npdl_lanes_5_1)}, {FN(npdl_lanes_6_0), FN(npdl_lanes_6_1)},
#elif NPDL_MR >= 6
        {FN(npdl_lanes_5_0)}, {FN(npdl_lanes_6_0)},
#endif
#if NPDL_MR >= 8
        {FN(npdl_lanes_7_0)}, {FN(npdl_lanes_8_0)},
#endif
#if NPDL_MR == 12
        {FN(npdl_lanes_9_0)}, {FN(npdl_lanes_10_0)}, {FN(npdl_lanes_11_0)}, {FN(npdl_lanes_12_0)},
#endif
    };
    int64_t mr, tiles = npdl_ceil_div(n, each ? NPDL_MR / 2 : NPDL_MR);
    for (int64_t i = 0; tiles > 0; tiles--, i += mr) {
        mr = npdl_ceil_div(n - i, tiles);
        of_size[mr][each](x, run, runs, w + i, n, bias ? bias + i : NULL, out + i * NPDL_NW);
    }
}

/* Rows of the source that `lines` rows of the output need, at most. */
static int64_t FN(npdl_lanes_rows)(const FN(npdl_lines) *s) {
    const npdl_window *g = s->g;
    int64_t span = (g->kernel_h - 1) * g->dilation_h;
    if (s->rows) return npdl_min(s->in_h, (s->lines - 1 + span) / g->stride_h + 1);
    return (s->lines - 1) * g->stride_h + span + 1;
}

/* Columns: y's windows may leave the image, into zeros; dx's runs leave out what is not there. */
static int64_t FN(npdl_lanes_width)(const FN(npdl_lines) *s) {
    const npdl_window *g = s->g;
    return s->rows ? s->in_w : (g->out_w - 1) * g->stride_w + (g->kernel_w - 1) * g->dilation_w + 1;
}

/* `lines` rows of the output of one group of images. */
static void FN(npdl_lanes_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_lines) *s = ctx;
    const npdl_window *g = s->g;
    int64_t bands = npdl_ceil_div(s->out_h, s->lines), width = FN(npdl_lanes_width)(s), depth = s->channels, taps = 0;
    int64_t n0 = task / bands * NPDL_NW, h0 = task % bands * s->lines, h1 = npdl_min(h0 + s->lines, s->out_h);
    int64_t top = h0 * g->stride_h - g->pad_top, left = s->rows ? 0 : g->pad_left; /* the band's corner */
    int64_t bottom = (h1 - 1) * g->stride_h - g->pad_top + (g->kernel_h - 1) * g->dilation_h + 1;
    if (s->rows) {
        top = s->in_h, bottom = 0;
        for (int64_t e = h0 * g->kernel_h; e < h1 * g->kernel_h; e++)
            if (s->rows[e] >= 0) top = npdl_min(top, s->rows[e]), bottom = npdl_max(bottom, s->rows[e] + 1);
    }
    REAL *band = work, *line = band + FN(npdl_lanes_rows)(s) * width * depth * NPDL_NW;
    npdl_run *run = (npdl_run *)(line + s->out_w * s->filters * NPDL_NW);

    int64_t image = s->in_h * s->in_w * depth, a = npdl_min(npdl_max(left, 0), width); /* columns [a, b) show it */
    int64_t b = npdl_max(a, npdl_min(s->in_w + left, width)), row = width * depth * NPDL_NW;
    for (int64_t r = top; r < bottom; r++) {
        REAL *to = band + (r - top) * row;
        if (r < 0 || r >= s->in_h) {
            memset(to, 0, row * sizeof(REAL));
            continue;
        }
        memset(to, 0, a * depth * NPDL_NW * sizeof(REAL));
        memset(to + b * depth * NPDL_NW, 0, (width - b) * depth * NPDL_NW * sizeof(REAL));
        FN(npdl_to_lanes)(s->x + n0 * image + (r * s->in_w + a - left) * depth, image, (b - a) * depth,
                          to + a * depth * NPDL_NW);
    }

    if (!s->rows)
        for (int64_t p = 0; p < g->kernel_h; p++)
            for (int64_t q = 0; q < g->kernel_w; q++) {
                int64_t tap = p * g->kernel_w + q;
                if (q && g->dilation_w == 1) run[taps - 1].length += depth;
                else run[taps++] = (npdl_run){(p * g->dilation_h * width + q * g->dilation_w) * depth * NPDL_NW,
                                              tap * depth * s->filters, depth};
            }
    int64_t n = s->out_w * s->filters;
    for (int64_t h = h0; h < h1; h++) {
        for (int64_t w = 0; w < s->out_w; w++) {
            const REAL *x = band;
            if (s->rows) {
                const int64_t *rows = s->rows + h * g->kernel_h, *columns = s->columns + w * g->kernel_w;
                taps = 0;
                for (int64_t p = 0; p < g->kernel_h; p++)
                    for (int64_t q = 0; rows[p] >= 0 && q < g->kernel_w; q++)
                        if (columns[q] >= 0)
                            run[taps++] = (npdl_run){(rows[p] - top) * row + columns[q] * depth * NPDL_NW,
                                                     (p * g->kernel_w + q) * depth * s->filters, depth};
            } else
                x += (h - h0) * g->stride_h * row + w * g->stride_w * depth * NPDL_NW;
            FN(npdl_lanes_tiles)(s->rows != NULL, x, run, taps, s->panels, s->filters, s->bias,
                                 line + w * s->filters * NPDL_NW);
        }
        int64_t at = n0 * s->out_h * n + h * n;
        FN(npdl_from_lanes)(line, s->out_h * n, n, s->out + at);
        for (int64_t i = 0; i < NPDL_NW && (s->z || s->code); i++, at += s->out_h * n) {
            if (s->z) memcpy(s->z + at, s->out + at, n * sizeof(REAL));
            if (s->code) FN(npdl_activate)(s->code, s->constants, s->out + at, n);
        }
    }
}

/* The first s->images images, whole groups. */
static void FN(npdl_run_lanes)(FN(npdl_lines) *s) {
    const npdl_window *g = s->g;
    int64_t groups = s->images / NPDL_NW, width = FN(npdl_lanes_width)(s);
    int64_t wanted = npdl_get_num_threads() > 1 ? npdl_get_num_threads() * 4 : 1;
    s->lines = npdl_max(1, s->out_h);
    while (s->lines > g->kernel_h &&
           (groups * npdl_ceil_div(s->out_h, s->lines) < wanted ||
            FN(npdl_lanes_rows)(s) * width * s->channels * NPDL_NW > NPDL_LANES_BAND))
        s->lines = (s->lines + 1) / 2;
    size_t numbers = (FN(npdl_lanes_rows)(s) * width * s->channels + s->out_w * s->filters) * NPDL_NW;
    npdl_parallel(FN(npdl_lanes_task), s, groups * npdl_ceil_div(s->out_h, s->lines),
                  numbers * sizeof(REAL) + g->kernel_h * g->kernel_w * sizeof(npdl_run));
}
