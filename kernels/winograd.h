/* Convolution with 3x3 kernels by Winograd's minimal filtering F(4x4, 3x3): a quarter of the multiplications.
 *
 * Four outputs of a filter of three taps, from six inputs, are the product of two polynomials. Evaluated at six points
 * it takes six multiplications where the definition takes twelve; in two dimensions 36 where it takes 144. Each 4x4 tile
 * of the output is computed from the 6x6 tile of the input that it sees:
 *
 *     y = Aᵀ [ Σ_c  (G w G^T) ⊙ (Bᵀ x B) ] A          dw = Gᵀ [ Σ_tiles  (Bᵀ x B) ⊙ (A dy Aᵀ) ] G
 *
 * and dx is the forward formula on dz, with the taps turned by 180° and each tap's (C, F) transposed. The sum over c at
 * each of the 36 places ξ is a product of matrices, M[ξ] = V[ξ] U[ξ]: there the time goes, in matmul.h's register tile.
 *
 * The points are 0, ±a, ±b and infinity with a = 3/4, b = 3/2. They halve the rounding error of the usual 0, ±1, ±2 at
 * the same number of operations: all of Bᵀ and A is exact in binary.
 *
 *          | a²b²  0  −(a²+b²)  0  1  0 |        | 1  1   1   1   1   0 |         | 1/(a²b²)      0      0 |
 *          |  0 −ab²   −b²      a  1  0 |   Aᵀ = | 0  a  −a   b  −b   0 |         |   p     a·p    a²·p    |
 *     Bᵀ = |  0  ab²   −b²     −a  1  0 |        | 0  a²  a²  b²  b²  0 |     G = |   p    −a·p    a²·p    |
 *          |  0 −a²b   −a²      b  1  0 |        | 0  a³ −a³  b³ −b³  1 |         |   q     b·q    b²·q    |
 *          |  0  a²b   −a²     −b  1  0 |                                         |   q    −b·q    b²·q    |
 *          |  0 a²b² 0  −(a²+b²)   0  1 |        p = 1/(2a²(a²−b²))               |   0      0      1      |
 *                                                q = 1/(2b²(b²−a²))
 *
 * Tiles that overhang the image read a line of zeros there, by a table of pointers: no padded copy is made.
 *
 * Forward and dx. The weights are transformed once a call, U[ξ][panel][channel][NW]. Then a task takes a few tiles
 * through all three steps while they are in the cache: V[ξ][tile][channel], M[ξ][tile][filter], output with epilogue.
 * It reads all of U. Where that is many times the size of a core's cache, the three steps follow each other instead, on
 * many tiles at a time, and a task of the second multiplies all of them by one place's U: with 256 channels and filters
 * and images of 8x8 forward takes 0.87 of the time for 64 images, 0.83 for 8. How many tiles changes no sum.
 *
 * Where max-pooling follows, a tile is made in a task's memory, and only its pooled numbers are written (pooled.h).
 *
 * The weights' gradient: winograd_sum.h.
 *
 * Which convolutions. Times of the direct way over times of this one, AVX-512, float32, one thread:
 *
 *     channels, image, batch       forward   dx     dW        channels, image, batch       forward   dx     dW
 *     64 -> 64, 32x32, 16            2.3     2.3    1.9       8 -> 8, 32x32, 32              1.0     1.7    1.0
 *     128 -> 128, 16x16, 16          2.1     2.1              3 -> 64, 32x32, 32                            0.8
 *     64 -> 64, 8x8, 64              2.2     2.2    1.7       64 -> 64, 5x5, 64              1.1     1.1    0.8
 *     256 -> 256, 8x8, 32            1.6     1.7              64 -> 64, 2x2, 64              0.7     0.7
 *     32 -> 32, 16x16, 32            1.9     1.9    1.9       256 -> 256, 8x8, 8             0.9     0.9    1.3
 *     16 -> 16, 32x32, 32            1.5     1.5    1.6       256 -> 256, 8x8, 1                            0.25
 *     64 -> 64, 7x7, 32              1.9     2.0    1.7       256 -> 256, 4x4, 64            1.3     1.3    1.8
 *     64 -> 64, 6x6, 64              1.5     1.5    1.2       512 -> 512, 7x7, 8             0.7     0.6    1.2
 *     64 -> 64, 4x4, 64              2.2     2.2    2.0       64 -> 64, 8x8, 1               0.9     0.9    0.85
 *
 * So: 16 channels and filters or more, tiles at least half inside the image, and not more weights than the tiles of few
 * images pay for: forward and dx transform them in every call, and may not know the batch.
 *
 * References: Winograd, Arithmetic Complexity of Computations, SIAM 1980; Lavin and Gray, Fast Algorithms for
 * Convolutional Neural Networks, CVPR 2016; Barabasz et al., Error Analysis and Improving the Accuracy of Winograd
 * Convolution for Deep Neural Networks, ACM TOMS 46, 2020.
 */
#ifndef NPDL_WINOGRAD_H
#define NPDL_WINOGRAD_H

/* The rule; part of the bits. */
#define NPDL_WINOGRAD_CHANNELS 16   /* at least so many, and filters */
#define NPDL_WINOGRAD_WEIGHTS 16384 /* at most so many pairs of channel and filter for each tile of an image */
#define NPDL_WINOGRAD_LEAST 32      /* at least so many tiles in a sum over the batch */

/* Divisions of the work, which change no sum. */
#define NPDL_WINOGRAD_TILES 24    /* tiles multiplied together, forward and dx: 36 V and M of theirs stay ... */
#define NPDL_WINOGRAD_MANY 131072 /* ... in a core's cache; from so many bytes of a tap's weights on U would not */
#define NPDL_WINOGRAD_FEW 4       /* tiles that a task transforms where others multiply them */

/* The rule: whether a convolution that gives images of height x width goes this way. By the layer's shape alone. */
static int npdl_winograd_suits(const npdl_window *g, int64_t height, int64_t width) {
    int64_t tiles = npdl_ceil_div(height, 4) * npdl_ceil_div(width, 4);
    return g->kernel_h == 3 && g->kernel_w == 3 && g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 &&
           g->dilation_w == 1 && g->groups == 1 && npdl_min(g->channels, g->filters) >= NPDL_WINOGRAD_CHANNELS &&
           2 * height * width >= 16 * tiles && g->channels * g->filters <= NPDL_WINOGRAD_WEIGHTS * tiles;
}

/* The same for the weights' gradient: a sum over the batch, which may count. */
static int npdl_winograd_suits_dkernel(const npdl_window *g, int64_t images) {
    npdl_window few = *g;  /* of few weights: it does not transform them */
    int64_t tiles = images * npdl_ceil_div(g->out_h, 4) * npdl_ceil_div(g->out_w, 4);
    few.channels = few.filters = npdl_min(NPDL_WINOGRAD_CHANNELS, npdl_min(g->channels, g->filters));
    return npdl_winograd_suits(&few, g->out_h, g->out_w) && tiles >= NPDL_WINOGRAD_LEAST;
}

#endif

#define NPDL_ROOM 16 /* numbers behind rows and planes: powers of two would crowd them into few cache sets */

/* ---- the transforms of a column or row of a tile */

/* o = Bᵀ d */
NPDL_INLINE void FN(npdl_winograd_bt)(const VEC d[6], VEC o[6]) {
    const VEC a = BC((REAL)0.75), b = BC((REAL)1.5), a2 = BC((REAL)-0.5625), b2 = BC((REAL)-2.25);
    const VEC product = BC((REAL)1.265625), sum = BC((REAL)-2.8125); /* a²b², −(a² + b²) */
    VEC even_a = FMA(b2, d[2], d[4]), odd_a = FMA(b2, d[1], d[3]);
    VEC even_b = FMA(a2, d[2], d[4]), odd_b = FMA(a2, d[1], d[3]);
    o[0] = FMA(product, d[0], FMA(sum, d[2], d[4]));
    o[1] = FMA(a, odd_a, even_a), o[2] = FMA(-a, odd_a, even_a);
    o[3] = FMA(b, odd_b, even_b), o[4] = FMA(-b, odd_b, even_b);
    o[5] = FMA(product, d[1], FMA(sum, d[3], d[5]));
}

/* o = A d */
NPDL_INLINE void FN(npdl_winograd_a)(const VEC d[4], VEC o[6]) {
    const VEC a = BC((REAL)0.75), b = BC((REAL)1.5), a2 = BC((REAL)0.5625), b2 = BC((REAL)2.25);
    VEC even_a = FMA(a2, d[2], d[0]), odd_a = FMA(a2, d[3], d[1]);
    VEC even_b = FMA(b2, d[2], d[0]), odd_b = FMA(b2, d[3], d[1]);
    o[0] = d[0], o[5] = d[3];
    o[1] = FMA(a, odd_a, even_a), o[2] = FMA(-a, odd_a, even_a);
    o[3] = FMA(b, odd_b, even_b), o[4] = FMA(-b, odd_b, even_b);
}

/* o = Aᵀ m */
NPDL_INLINE void FN(npdl_winograd_at)(const VEC m[6], VEC o[4]) {
    const VEC a = BC((REAL)0.75), b = BC((REAL)1.5), a2 = BC((REAL)0.5625), b2 = BC((REAL)2.25);
    const VEC a3 = BC((REAL)0.421875), b3 = BC((REAL)3.375);
    VEC even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    o[0] = m[0] + even_a + even_b;
    o[1] = FMA(b, odd_b, a * odd_a);
    o[2] = FMA(b2, even_b, a2 * even_a);
    o[3] = FMA(b3, odd_b, FMA(a3, odd_a, m[5]));
}

#define NPDL_WINOGRAD_ZERO BC((REAL)(64.0 / 81)) /* 1/(a²b²), p and q */
#define NPDL_WINOGRAD_P BC((REAL)(-128.0 / 243))
#define NPDL_WINOGRAD_Q BC((REAL)(32.0 / 243))

/* o = G w */
NPDL_INLINE void FN(npdl_winograd_g)(const VEC w[3], VEC o[6]) {
    const VEC a = BC((REAL)0.75), b = BC((REAL)1.5), p = NPDL_WINOGRAD_P, q = NPDL_WINOGRAD_Q;
    VEC even_a = FMA(BC((REAL)0.5625), w[2], w[0]), even_b = FMA(BC((REAL)2.25), w[2], w[0]);
    o[0] = NPDL_WINOGRAD_ZERO * w[0], o[5] = w[2];
    o[1] = p * FMA(a, w[1], even_a), o[2] = p * FMA(-a, w[1], even_a);
    o[3] = q * FMA(b, w[1], even_b), o[4] = q * FMA(-b, w[1], even_b);
}

/* o = Gᵀ m */
NPDL_INLINE void FN(npdl_winograd_gt)(const VEC m[6], VEC o[3]) {
    const VEC p = NPDL_WINOGRAD_P, q = NPDL_WINOGRAD_Q;
    VEC even_a = p * (m[1] + m[2]), odd_a = p * (m[1] - m[2]), even_b = q * (m[3] + m[4]), odd_b = q * (m[3] - m[4]);
    o[0] = FMA(NPDL_WINOGRAD_ZERO, m[0], even_a + even_b);
    o[1] = FMA(BC((REAL)1.5), odd_b, BC((REAL)0.75) * odd_a);
    o[2] = FMA(BC((REAL)2.25), even_b, FMA(BC((REAL)0.5625), even_a, m[5]));
}

/* ---- tiles to the places ξ and back */

/* The size x size pixels from (row, column) of an image (height, width, channels): a line of zeros outside it. */
NPDL_INLINE void FN(npdl_winograd_pixels)(const REAL *image, int64_t height, int64_t width, int64_t channels,
                                          int64_t row, int64_t column, int size, const REAL *zeros,
                                          const REAL **pixel) {
    int64_t first = npdl_max(-column, 0), end = npdl_min(width - column, size); /* columns inside */
    for (int i = 0; i < size; i++) {
        int64_t at = ((row + i) * width + column) * channels;
        int inside = row + i >= 0 && row + i < height;
        for (int j = 0; j < size; j++, at += channels)
            pixel[i * size + j] = (inside & (j >= first) & (j < end)) ? image + at : zeros;
    }
}

/* One vector of channels of a tile, n of which exist: rows [i0, i1) of Bᵀ x B of 6x6 pixels, or of A x Aᵀ of 4x4. What
 * the tile to the right reads, `ahead` of it, is fetched meanwhile: the processor does not foresee so many short runs. */
NPDL_INLINE void FN(npdl_winograd_vector)(const int size, const int i0, const int i1, const REAL *const *pixel,
                                          int64_t channel, int64_t n, REAL *to, int64_t plane, int64_t ahead) {
    VEC half[6][6], in[6], out[6];
    #pragma GCC unroll 6
    for (int j = 0; j < size; j++) {
        #pragma GCC unroll 6
        for (int i = 0; i < size; i++) {
            const REAL *p = pixel[i * size + j] + channel;
            in[i] = n == VL ? LD(p) : LDN(p, n);
            if (j >= size - 4) __builtin_prefetch(p + ahead);
        }
        if (size == 6) FN(npdl_winograd_bt)(in, out);
        else FN(npdl_winograd_a)(in, out);
        #pragma GCC unroll 6
        for (int i = i0; i < i1; i++) half[i][j] = out[i];
    }
    #pragma GCC unroll 6
    for (int i = i0; i < i1; i++) {
        if (size == 6) FN(npdl_winograd_bt)(half[i], out);
        else FN(npdl_winograd_a)(half[i], out);
        #pragma GCC unroll 6
        for (int j = 0; j < 6; j++) ST(to + ((i - i0) * 6 + j) * plane, out[j]);
    }
}

/* Channels [first, end) of a tile to panels `wide` channels wide that lie `step` apart, in each of the planes: 36, or
 * those of the rows [i0, i1); behind the last channel zeros up to a whole vector. */
#define NPDL_WINOGRAD_TILE_OF(name, size, i0, i1)                                                                     \
    static __attribute__((noinline)) void FN(name)(const REAL *const *pixel, int64_t first, int64_t end, REAL *to,    \
                                                   int64_t wide, int64_t step, int64_t plane, int64_t ahead) {        \
        for (; first < end; first += wide, to += step) {                                                              \
            int64_t c = first, stop = npdl_min(end, first + wide);                                                    \
            for (; c + VL <= stop; c += VL)                                                                           \
                FN(npdl_winograd_vector)(size, i0, i1, pixel, c, VL, to + c - first, plane, ahead);                   \
            if (c < stop)                                                                                             \
                FN(npdl_winograd_vector)(size, i0, i1, pixel, c, stop - c, to + c - first, plane, ahead);             \
        }                                                                                                             \
    }
NPDL_WINOGRAD_TILE_OF(npdl_winograd_tile_x, 6, 0, 6)
NPDL_WINOGRAD_TILE_OF(npdl_winograd_upper_x, 6, 0, 3)
NPDL_WINOGRAD_TILE_OF(npdl_winograd_lower_x, 6, 3, 6)
NPDL_WINOGRAD_TILE_OF(npdl_winograd_tile_dy, 4, 0, 6)
NPDL_WINOGRAD_TILE_OF(npdl_winograd_upper_dy, 4, 0, 3)
NPDL_WINOGRAD_TILE_OF(npdl_winograd_lower_dy, 4, 3, 6)
#undef NPDL_WINOGRAD_TILE_OF

/* ---- forward and the input's gradient */

typedef struct {
    const REAL *x, *w, *bias;
    REAL *out, *z;
    int turned;                  /* dx: w is (3, 3, filters, channels), its taps are turned and each one transposed */
    int64_t in_h, in_w, channels, out_h, out_w, filters, pad_top, pad_left;
    int code;
    const double *constants;
    const FN(npdl_pooled) *pooled; /* in place of out, or NULL */
    int64_t down, across, tiles; /* of an image; of all images */
    int64_t room;                /* tiles in V and in M, at most */
    REAL *u;                     /* [36][panel][channel][NW] */
    int64_t u_plane, v_step, v_plane, m_step, m_plane;
    int64_t first, count;        /* many weights: the tiles at hand, */
    REAL *v, *m;                 /* and their V and M */
} FN(npdl_winograd);

#define NPDL_U_ROWS 16 /* channels of the weights that a task transforms */

/* U = G w Gᵀ for one panel of filters and NPDL_U_ROWS channels. */
static void FN(npdl_winograd_weights)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd) *s = ctx;
    int64_t slices = npdl_ceil_div(s->channels, NPDL_U_ROWS), c0 = task % slices * NPDL_U_ROWS;
    int64_t f0 = task / slices * NPDL_NW, rows = npdl_min(s->channels - c0, NPDL_U_ROWS);
    int64_t n = npdl_min(s->filters - f0, NPDL_NW), wide = n > VL ? NPDL_NW : VL;
    REAL *taps = work; /* [9][NPDL_U_ROWS][NW] */
    if (n < wide) memset(taps, 0, 9 * NPDL_U_ROWS * NPDL_NW * sizeof(REAL));
    for (int tap = 0; tap < 9; tap++) {
        REAL *to = taps + tap * NPDL_U_ROWS * NPDL_NW;
        if (!s->turned) {
            const REAL *from = s->w + (tap * s->channels + c0) * s->filters + f0;
            for (int64_t c = 0; c < rows; c++) memcpy(to + c * NPDL_NW, from + c * s->filters, n * sizeof(REAL));
            continue;
        }
        const REAL *from = s->w + ((8 - tap) * s->filters + f0) * s->channels + c0;
        int64_t f = 0;
        for (; f + NPDL_SIDE <= n; f += NPDL_SIDE, from += NPDL_SIDE * s->channels) {
            int64_t c = 0;
            for (; c + NPDL_SIDE <= rows; c += NPDL_SIDE)
                FN(npdl_transpose)(from + c, s->channels, to + c * NPDL_NW + f, NPDL_NW);
            for (; c < rows; c++)
                for (int i = 0; i < NPDL_SIDE; i++) to[c * NPDL_NW + f + i] = from[i * s->channels + c];
        }
        for (; f < n; f++, from += s->channels)
            for (int64_t c = 0; c < rows; c++) to[c * NPDL_NW + f] = from[c];
    }
    REAL *u = s->u + f0 * s->channels + c0 * wide;
    for (int64_t c = 0; c < rows; c++)
        for (int64_t j = 0; j < wide; j += VL) {
            VEC half[6][3], in[3], out[6];
            #pragma GCC unroll 3
            for (int q = 0; q < 3; q++) {
                #pragma GCC unroll 3
                for (int p = 0; p < 3; p++) in[p] = LD(taps + ((p * 3 + q) * NPDL_U_ROWS + c) * NPDL_NW + j);
                FN(npdl_winograd_g)(in, out);
                #pragma GCC unroll 6
                for (int p = 0; p < 6; p++) half[p][q] = out[p];
            }
            #pragma GCC unroll 6
            for (int p = 0; p < 6; p++) {
                FN(npdl_winograd_g)(half[p], out);
                #pragma GCC unroll 6
                for (int q = 0; q < 6; q++) ST(u + (p * 6 + q) * s->u_plane + c * wide + j, out[q]);
            }
        }
}

/* y = Aᵀ m A + bias of one vector of filters, n of which exist, on the tile's rows x columns pixels inside the image,
 * whose rows are `step` apart. */
NPDL_INLINE void FN(npdl_winograd_pixels_out)(const FN(npdl_winograd) *s, const REAL *m, int64_t f, int64_t n, REAL *to,
                                              int64_t step, int64_t rows, int64_t columns) {
    VEC half[4][6], in[6], out[4], bias = !s->bias ? BC(0) : n == VL ? LD(s->bias + f) : LDN(s->bias + f, n);
    #pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
        #pragma GCC unroll 6
        for (int i = 0; i < 6; i++) in[i] = LD(m + (i * 6 + j) * s->m_plane + f);
        FN(npdl_winograd_at)(in, out);
        #pragma GCC unroll 4
        for (int i = 0; i < 4; i++) half[i][j] = out[i];
    }
    #pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        if (i >= rows) break;
        FN(npdl_winograd_at)(half[i], out);
        #pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            if (j >= columns) break;
            REAL *p = to + i * step + j * s->filters + f;
            __builtin_prefetch(p + 4 * s->filters, 1); /* of the tile to the right */
            if (n == VL) ST(p, out[j] + bias);
            else STN(p, out[j] + bias, n);
        }
    }
}

/* V = Bᵀ x B of `count` tiles, from the first one on. */
static void FN(npdl_winograd_in)(const FN(npdl_winograd) *s, int64_t first, int64_t count, REAL *v, const REAL *zeros) {
    int64_t each = s->down * s->across, image = first / each, r = first % each / s->across, c = first % each % s->across;
    const REAL *pixel[36];
    for (; count > 0; count--, v += s->v_step) {
        FN(npdl_winograd_pixels)(s->x + image * s->in_h * s->in_w * s->channels, s->in_h, s->in_w, s->channels,
                                 4 * r - s->pad_top, 4 * c - s->pad_left, 6, zeros, pixel);
        FN(npdl_winograd_tile_x)(pixel, 0, s->channels, v, s->channels, 0, s->v_plane, 4 * s->channels);
        if (++c == s->across) c = 0, r++;
        if (r == s->down) r = 0, image++;
    }
}

/* M = V U at places [xi, end), of `count` tiles. */
static void FN(npdl_winograd_products)(const FN(npdl_winograd) *s, int64_t xi, int64_t end, int64_t count,
                                       const REAL *v, REAL *m) {
    npdl_row row[NPDL_WINOGRAD_TILES];
    for (int64_t t = 0; t < NPDL_WINOGRAD_TILES; t++) row[t].from = t * s->v_step, row[t].to = t * s->m_step;
    for (; xi < end; xi++)
        for (int64_t f = 0; f < s->filters; f += NPDL_NW) {
            int64_t wide = s->filters - f > VL ? NPDL_NW : VL;
            const REAL *u = s->u + xi * s->u_plane + f * s->channels;
            for (int64_t k = 0; k < s->channels; k += NPDL_KB)
                for (int64_t t = 0; t < count; t += NPDL_WINOGRAD_TILES)
                    FN(npdl_tiles)(v + xi * s->v_plane + t * s->v_step + k, row, npdl_min(count - t, NPDL_WINOGRAD_TILES),
                                   NULL, npdl_min(s->channels - k, NPDL_KB), u + k * wide,
                                   m + xi * s->m_plane + t * s->m_step + f, wide, k > 0, NULL);
        }
}

/* The output from M, of `count` tiles. A tile that is pooled is made at `pixels`, (4, 4, filters). */
static void FN(npdl_winograd_out)(const FN(npdl_winograd) *s, int64_t first, int64_t count, const REAL *m,
                                  REAL *pixels) {
    const int64_t line = (s->pooled ? 4 : s->out_w) * s->filters;
    for (int64_t tile = first; tile < first + count; tile++, m += s->m_step) {
        int64_t c = tile % s->across * 4, image = tile / s->across, r = image % s->down * 4, f = 0;
        int64_t rows = npdl_min(4, s->out_h - r), columns = npdl_min(4, s->out_w - c);
        image /= s->down;
        REAL *to = s->pooled ? pixels : s->out + (image * s->out_h + r) * line + c * s->filters;
        for (; f + VL <= s->filters; f += VL) FN(npdl_winograd_pixels_out)(s, m, f, VL, to, line, rows, columns);
        if (f < s->filters) FN(npdl_winograd_pixels_out)(s, m, f, s->filters - f, to, line, rows, columns);
        for (int64_t i = 0; s->pooled && i + 1 < rows; i += 2)
            FN(npdl_pool_row_of_two)(s->pooled, to + i * line, line, columns / 2, s->filters,
                                     ((image * (s->out_h / 2) + (r + i) / 2) * (s->out_w / 2) + c / 2) * s->filters);
        if (s->z || s->code)
            for (int64_t i = 0; i < rows; i++, to += line) {
                if (s->z) memcpy(s->z + (to - s->out), to, columns * s->filters * sizeof(REAL));
                if (s->code) FN(npdl_activate)(s->code, s->constants, to, columns * s->filters);
            }
    }
}

/* Few weights: some tiles, from the images to the output. */
static void FN(npdl_winograd_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd) *s = ctx;
    int64_t first = task * s->room, count = npdl_min(s->tiles - first, s->room);
    REAL *zeros = work, *v = zeros + s->v_step, *m = v + 36 * s->v_plane;
    memset(zeros, 0, s->channels * sizeof(REAL));
    FN(npdl_winograd_in)(s, first, count, v, zeros);
    FN(npdl_winograd_products)(s, 0, 36, count, v, m);
    FN(npdl_winograd_out)(s, first, count, m, m + 36 * s->m_plane);
}

/* Many weights: the three steps one after the other, of s->count tiles from s->first on. */
static void FN(npdl_winograd_in_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd) *s = ctx;
    int64_t t = task * NPDL_WINOGRAD_FEW;
    memset(work, 0, s->channels * sizeof(REAL));
    FN(npdl_winograd_in)(s, s->first + t, npdl_min(s->count - t, NPDL_WINOGRAD_FEW), s->v + t * s->v_step, work);
}

static void FN(npdl_winograd_product_task)(void *ctx, int64_t xi, void *work) {
    const FN(npdl_winograd) *s = ctx;
    (void)work;
    FN(npdl_winograd_products)(s, xi, xi + 1, s->count, s->v, s->m);
}

static void FN(npdl_winograd_out_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd) *s = ctx;
    int64_t t = task * NPDL_WINOGRAD_FEW;
    FN(npdl_winograd_out)(s, s->first + t, npdl_min(s->count - t, NPDL_WINOGRAD_FEW), s->m + t * s->m_step, work);
}

static void FN(npdl_winograd_run)(FN(npdl_winograd) *s, int64_t images) {
    s->down = npdl_ceil_div(s->out_h, 4), s->across = npdl_ceil_div(s->out_w, 4);
    s->tiles = images * s->down * s->across;
    if (s->tiles == 0) return;
    s->u_plane = s->channels * npdl_round_up(s->filters, VL) + NPDL_ROOM;
    s->v_step = npdl_round_up(s->channels, VL) + NPDL_ROOM, s->m_step = npdl_round_up(s->filters, VL) + NPDL_ROOM;
    int64_t weights = s->channels * s->filters, many = weights * (int64_t)sizeof(REAL) >= NPDL_WINOGRAD_MANY;
    if (many) /* as many as make V and M no larger than U */
        s->room = npdl_min(s->tiles, npdl_round_up(weights / (s->channels + s->filters), NPDL_WINOGRAD_TILES));
    else { /* few tiles: equally many for each thread */
        int64_t tasks = npdl_ceil_div(s->tiles, NPDL_WINOGRAD_TILES), threads = npdl_get_num_threads();
        if (tasks < 4 * threads) tasks = npdl_round_up(tasks, threads);
        s->room = npdl_ceil_div(s->tiles, tasks);
    }
    s->v_plane = s->room * s->v_step + NPDL_ROOM, s->m_plane = s->room * s->m_step + NPDL_ROOM;
    int64_t shared = s->u_plane + (many ? s->v_plane + s->m_plane : 0);
    if (!(s->u = npdl_shared(36 * shared * sizeof(REAL)))) return;
    npdl_parallel(FN(npdl_winograd_weights), s,
                  npdl_ceil_div(s->channels, NPDL_U_ROWS) * npdl_ceil_div(s->filters, NPDL_NW),
                  9 * NPDL_U_ROWS * NPDL_NW * sizeof(REAL));

    const int64_t pixels = s->pooled ? 16 * s->filters : 0;
    if (!many) {
        npdl_parallel(FN(npdl_winograd_task), s, npdl_ceil_div(s->tiles, s->room),
                      (s->v_step + 36 * (s->v_plane + s->m_plane) + pixels) * sizeof(REAL));
        return;
    }
    s->v = s->u + 36 * s->u_plane, s->m = s->v + 36 * s->v_plane;
    for (; s->first < s->tiles; s->first += s->room) {
        s->count = npdl_min(s->tiles - s->first, s->room);
        int64_t tasks = npdl_ceil_div(s->count, NPDL_WINOGRAD_FEW);
        npdl_parallel(FN(npdl_winograd_in_task), s, tasks, s->channels * sizeof(REAL));
        npdl_parallel(FN(npdl_winograd_product_task), s, 36, 0);
        npdl_parallel(FN(npdl_winograd_out_task), s, tasks, pixels * sizeof(REAL));
    }
}

/* As npdl_conv2d_pooled. */
static void FN(npdl_winograd_pooled)(const REAL *x, const REAL *w, const REAL *bias, int64_t images,
                                     const npdl_window *g, const FN(npdl_pooled) *pooled) {
    FN(npdl_winograd) s = {
        .x = x, .w = w, .bias = bias, .pooled = pooled,
        .in_h = g->in_h, .in_w = g->in_w, .channels = g->channels, .out_h = g->out_h, .out_w = g->out_w,
        .filters = g->filters, .pad_top = g->pad_top, .pad_left = g->pad_left,
    };
    FN(npdl_winograd_run)(&s, images);
}

/* As npdl_conv2d. */
NPDL_API void FN(npdl_winograd_conv2d)(const REAL *x, const REAL *w, REAL *out, const REAL *bias, REAL *z, int64_t images,
                                       const npdl_window *g, int code, const double *constants) {
    FN(npdl_winograd) s = {
        .x = x, .w = w, .bias = bias, .out = out, .z = z,
        .in_h = g->in_h, .in_w = g->in_w, .channels = g->channels, .out_h = g->out_h, .out_w = g->out_w,
        .filters = g->filters, .pad_top = g->pad_top, .pad_left = g->pad_left, .code = code, .constants = constants,
    };
    FN(npdl_winograd_run)(&s, images);
}

/* As npdl_conv2d_dx: the convolution of dz with the turned taps, so padded that dx has x's size. */
NPDL_API void FN(npdl_winograd_dx)(const REAL *dz, const REAL *w, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_winograd) s = {
        .x = dz, .w = w, .out = out, .turned = 1,
        .in_h = g->out_h, .in_w = g->out_w, .channels = g->filters, .out_h = g->in_h, .out_w = g->in_w,
        .filters = g->channels, .pad_top = 2 - g->pad_top, .pad_left = 2 - g->pad_left,
    };
    FN(npdl_winograd_run)(&s, images);
}
