/* The weights' gradient of 3x3 convolutions by Winograd's minimal filtering; formula and transforms: winograd.h.
 *
 * It is a sum over all tiles of a batch. NPDL_WINOGRAD_SUM of them at a time are transformed to panels and multiplied,
 * M[ξ] += V[ξ]ᵀ D[ξ]: a block sum.
 *
 * Many weights: all threads make one block sum after the other, first V and D by tasks of a few tiles, then M by tasks
 * of a place ξ and some channels. Few weights leave such tasks so little to multiply that handing them over, and V and D
 * from core to core, costs more. There the block sums fall into parts, by shape and batch size, and a task makes a part
 * from beginning to end in its thread's cache, up to a dW of its own; dW is the sum of these. Where the cache does not
 * hold V, D and M at all places ξ, a task makes three of their six rows, with fewer tiles at a time; another one makes
 * the others: dW is linear in M.
 *
 * Two threads, 64 images, of the time that all threads together take: 0.82 for 64 -> 64 channels and 32x32 (half of the
 * places), 0.77 for 14x14; 1.1 for 64 -> 128 and 16x16, as three tasks of two rows, 1.25 for 128 -> 128 as four pairs of
 * slices, whose V and D are made twice. More tiles at a time, for fewer passes over a large M, gain nothing either:
 * their panels leave the caches.
 */
#ifndef NPDL_WINOGRAD_SUM_H
#define NPDL_WINOGRAD_SUM_H

#define NPDL_WINOGRAD_SUM 64     /* tiles in a block sum; part of the bits */
#define NPDL_WINOGRAD_OWN 221184 /* few weights: at most so many numbers of V, D and M in a task; part of the bits */
#define NPDL_WINOGRAD_HALF 48    /* tiles in a block sum of half of the places; part of the bits */
#define NPDL_WINOGRAD_PART 768   /* a task has at least so many rows of places of tiles; part of the bits */
#define NPDL_WINOGRAD_SLICE 64   /* a task's channels; changes no sum */
#define NPDL_SUM_ROWS_OUT 4      /* channels of dW that a task transforms back; neither */

#endif

typedef struct {
    const REAL *x, *dz;
    const FN(npdl_unpooled) *unpooled;     /* in place of dz, or NULL */
    REAL *out;                             /* dW, or of few weights [part][6 / rows][9][C][F] */
    const npdl_window *g;
    int64_t down, across, tiles, parts;    /* tiles of an image, of all images; into how many parts they fall */
    int64_t rows;                          /* of places in a task: 6 or 3 */
    int64_t block, first, count;           /* tiles of a block sum; many weights: this one's first, and how many */
    REAL *v, *d, *m;                       /* [36][C/VL][tile][VL], [36][F/NW][tile][NW] and [36][C][F], ... */
    int64_t v_plane, d_plane, m_plane, m_step; /* ... F in vectors */
} FN(npdl_winograd_sum);

/* The 4 x 4 pixels of dz from (row, column) of an image, made at `to`; 0 outside. */
static void FN(npdl_winograd_unpool)(const FN(npdl_winograd_sum) *s, int64_t image, int64_t row, int64_t column,
                                     REAL *to, const REAL **pixel) {
    const npdl_window *g = s->g;
    const int64_t rows = npdl_min(4, g->out_h - row), columns = npdl_min(4, g->out_w - column), filters = g->filters;
    if (rows < 4 || columns < 4) memset(to, 0, 16 * filters * sizeof(REAL));
    for (int64_t i = 0; i < rows; i++)
        FN(npdl_unpool_rows)(s->unpooled, (image * g->out_h + row + i) * g->out_w + column, columns, 0, filters,
                             to + 4 * i * filters, filters);
    for (int i = 0; i < 16; i++) pixel[i] = to + i * filters;
}

/* V = Bᵀ x B and D = A dz Aᵀ, from row i0 of places on, of tiles [t, end) of the block that begins at tile `first`. */
static void FN(npdl_winograd_sum_in)(const FN(npdl_winograd_sum) *s, int64_t i0, int64_t first, int64_t t, int64_t end,
                                     REAL *v, REAL *d, REAL *zeros) {
    static void (*const of[][2])(const REAL *const *, int64_t, int64_t, REAL *, int64_t, int64_t, int64_t, int64_t) = {
        {FN(npdl_winograd_tile_x), FN(npdl_winograd_tile_dy)},
        {FN(npdl_winograd_upper_x), FN(npdl_winograd_upper_dy)},
        {FN(npdl_winograd_lower_x), FN(npdl_winograd_lower_dy)},
    };
    int kind = s->rows == 6 ? 0 : i0 ? 2 : 1;
    const npdl_window *g = s->g;
    const REAL *pixel[36];
    int64_t filters = g->filters, rest = filters % NPDL_NW;
    int64_t whole = rest > VL ? filters : filters - rest; /* in panels two vectors wide */
    memset(zeros, 0, npdl_max(g->channels, filters) * sizeof(REAL));
    for (; t < end; t++) {
        int64_t tile = first + t, column = tile % s->across * 4, image = tile / s->across, row = image % s->down * 4;
        image /= s->down;
        FN(npdl_winograd_pixels)(s->x + image * g->in_h * g->in_w * g->channels, g->in_h, g->in_w, g->channels,
                                 row - g->pad_top, column - g->pad_left, 6, zeros, pixel);
        of[kind][0](pixel, 0, g->channels, v + t * VL, VL, s->block * VL, s->v_plane, 4 * g->channels);
        if (s->unpooled) FN(npdl_winograd_unpool)(s, image, row, column, zeros + npdl_max(g->channels, filters), pixel);
        else FN(npdl_winograd_pixels)(s->dz + image * g->out_h * g->out_w * filters, g->out_h, g->out_w, filters, row,
                                      column, 4, zeros, pixel);
        of[kind][1](pixel, 0, whole, d + t * NPDL_NW, NPDL_NW, s->block * NPDL_NW, s->d_plane, 4 * filters);
        of[kind][1](pixel, whole, filters, d + whole * s->block + t * VL, VL, 0, s->d_plane, 4 * filters);
    }
}

/* M (+)= Vᵀ D for places [xi, end) and `channels` channels from c0 on. */
static void FN(npdl_winograd_sum_products)(const FN(npdl_winograd_sum) *s, int64_t xi, int64_t end, int64_t c0,
                                           int64_t channels, int64_t count, int add, const REAL *v, const REAL *d,
                                           REAL *m) {
    npdl_row row[NPDL_WINOGRAD_SLICE];
    int64_t along[NPDL_WINOGRAD_SUM];
    for (int64_t t = 0; t < count; t++) along[t] = t * VL;
    for (int64_t c = 0; c < channels; c++)
        row[c].from = c / VL * s->block * VL + c % VL, row[c].to = c * s->m_step;
    for (; xi < end; xi++)
        for (int64_t f = 0; f < s->m_step; f += NPDL_NW)
            FN(npdl_tiles)(v + xi * s->v_plane + c0 * s->block, row, channels, along, count,
                           d + xi * s->d_plane + f * s->block, m + xi * s->m_plane + c0 * s->m_step + f,
                           npdl_min(s->m_step - f, NPDL_NW), add, NULL);
}

/* Many weights: a block sum of all threads, first V and D ... */
static void FN(npdl_winograd_sum_in_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd_sum) *s = ctx;
    int64_t t = task * NPDL_WINOGRAD_FEW;
    FN(npdl_winograd_sum_in)(s, 0, s->first, t, npdl_min(t + NPDL_WINOGRAD_FEW, s->count), s->v, s->d, work);
}

/* ... then M. */
static void FN(npdl_winograd_sum_product_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd_sum) *s = ctx;
    int64_t slices = npdl_ceil_div(s->g->channels, NPDL_WINOGRAD_SLICE), xi = task / slices;
    int64_t c = task % slices * NPDL_WINOGRAD_SLICE, channels = npdl_min(s->g->channels - c, NPDL_WINOGRAD_SLICE);
    (void)work;
    FN(npdl_winograd_sum_products)(s, xi, xi + 1, c, channels, s->count, s->first > 0, s->v, s->d, s->m);
}

/* dW = Gᵀ M G of channels [c, end), of M's rows of places from i0 on, the others 0. */
static void FN(npdl_winograd_sum_out)(const FN(npdl_winograd_sum) *s, int64_t i0, const REAL *m, int64_t c,
                                      int64_t end, REAL *out) {
    int64_t i1 = i0 + s->rows, filters = s->g->filters, tap = s->g->channels * filters;
    for (; c < end; c++)
        for (int64_t f = 0; f < filters; f += VL) {
            const REAL *from = m + c * s->m_step + f;
            REAL *to = out + c * filters + f;
            VEC half[3][6], in[6], sum[3];
            #pragma GCC unroll 6
            for (int j = 0; j < 6; j++) {
                #pragma GCC unroll 6
                for (int i = 0; i < 6; i++)
                    in[i] = i >= i0 && i < i1 ? LD(from + ((i - i0) * 6 + j) * s->m_plane) : BC(0);
                FN(npdl_winograd_gt)(in, sum);
                #pragma GCC unroll 3
                for (int i = 0; i < 3; i++) half[i][j] = sum[i];
            }
            #pragma GCC unroll 3
            for (int i = 0; i < 3; i++) {
                FN(npdl_winograd_gt)(half[i], sum);
                #pragma GCC unroll 3
                for (int j = 0; j < 3; j++)
                    if (filters - f >= VL) ST(to + (i * 3 + j) * tap, sum[j]);
                    else STN(to + (i * 3 + j) * tap, sum[j], filters - f);
            }
        }
}

static void FN(npdl_winograd_sum_out_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd_sum) *s = ctx;
    int64_t c = task * NPDL_SUM_ROWS_OUT;
    (void)work;
    FN(npdl_winograd_sum_out)(s, 0, s->m, c, npdl_min(c + NPDL_SUM_ROWS_OUT, s->g->channels), s->out);
}

/* Few weights: some rows of places of a part. */
static void FN(npdl_winograd_sum_part)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd_sum) *s = ctx;
    int64_t channels = s->g->channels, blocks = npdl_ceil_div(s->tiles, s->block), places = 6 * s->rows;
    int64_t i0 = task * s->rows % 6, part = task * s->rows / 6;
    int64_t first = blocks * part / s->parts * s->block, tile = first;
    int64_t end = npdl_min(blocks * (part + 1) / s->parts * s->block, s->tiles);
    REAL *v = work, *d = v + places * s->v_plane, *m = d + places * s->d_plane, *zeros = m + places * s->m_plane;
    for (; tile < end; tile += s->block) {
        int64_t count = npdl_min(end - tile, s->block);
        FN(npdl_winograd_sum_in)(s, i0, tile, 0, count, v, d, zeros);
        for (int64_t c = 0; c < channels; c += NPDL_WINOGRAD_SLICE)
            FN(npdl_winograd_sum_products)(s, 0, places, c, npdl_min(channels - c, NPDL_WINOGRAD_SLICE), count,
                                           tile > first, v, d, m);
    }
    FN(npdl_winograd_sum_out)(s, i0, m, 0, channels, s->out + task * 9 * channels * s->g->filters);
}

/* dW, of dz or of what it is made of. */
static void FN(npdl_winograd_sum_all)(const REAL *x, const REAL *dz, const FN(npdl_unpooled) *unpooled, REAL *out,
                                      int64_t images, const npdl_window *g) {
    FN(npdl_winograd_sum) s = {
        .x = x, .dz = dz, .unpooled = unpooled, .out = out, .g = g,
        .down = npdl_ceil_div(g->out_h, 4), .across = npdl_ceil_div(g->out_w, 4),
        .m_step = npdl_round_up(g->filters, VL),
    };
    s.tiles = images * s.down * s.across;
    int64_t size = 9 * g->channels * g->filters, zeros = npdl_max(g->channels, g->filters);
    if (unpooled) zeros += 16 * g->filters;
    if (s.tiles == 0) {
        memset(out, 0, size * sizeof(REAL));
        return;
    }
    int64_t sides = g->channels + g->filters, weights = g->channels * g->filters;
    int all = 36 * (NPDL_WINOGRAD_SUM * sides + weights) <= NPDL_WINOGRAD_OWN;
    int few = all || 18 * (NPDL_WINOGRAD_HALF * sides + weights) <= NPDL_WINOGRAD_OWN;
    s.rows = few && !all ? 3 : 6;
    s.block = npdl_min(s.tiles, s.rows == 3 ? NPDL_WINOGRAD_HALF : NPDL_WINOGRAD_SUM);
    s.v_plane = s.block * npdl_round_up(g->channels, VL) + NPDL_ROOM, s.d_plane = s.block * s.m_step + NPDL_ROOM;
    s.m_plane = g->channels * s.m_step + NPDL_ROOM;
    if (few) {
        s.parts = npdl_max(1, npdl_min(NPDL_PARTS, s.tiles * s.rows / NPDL_WINOGRAD_PART));
        FN(npdl_product) sum = {.m = 9 * g->channels, .n = g->filters, .out = out, .out_step = g->filters};
        sum.parts = 6 / s.rows * s.parts, sum.task_rows = g->channels;
        if (!(s.out = sum.partial = npdl_shared(sum.parts * size * sizeof(REAL)))) return;
        npdl_parallel(FN(npdl_winograd_sum_part), &s, sum.parts,
                      (6 * s.rows * (s.v_plane + s.d_plane + s.m_plane) + zeros) * sizeof(REAL));
        npdl_parallel(FN(npdl_combine_task), &sum, 9, 0);
        return;
    }
    if (!(s.m = npdl_shared(36 * (s.m_plane + s.v_plane + s.d_plane) * sizeof(REAL)))) return;
    s.v = s.m + 36 * s.m_plane, s.d = s.v + 36 * s.v_plane;
    for (; s.first < s.tiles; s.first += s.block) {
        s.count = npdl_min(s.tiles - s.first, s.block);
        npdl_parallel(FN(npdl_winograd_sum_in_task), &s, npdl_ceil_div(s.count, NPDL_WINOGRAD_FEW), zeros * sizeof(REAL));
        npdl_parallel(FN(npdl_winograd_sum_product_task), &s, 36 * npdl_ceil_div(g->channels, NPDL_WINOGRAD_SLICE), 0);
    }
    npdl_parallel(FN(npdl_winograd_sum_out_task), &s, npdl_ceil_div(g->channels, NPDL_SUM_ROWS_OUT), 0);
}

/* As npdl_conv2d_dkernel. */
NPDL_API void FN(npdl_winograd_dkernel)(const REAL *x, const REAL *dz, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_winograd_sum_all)(x, dz, NULL, out, images, g);
}
