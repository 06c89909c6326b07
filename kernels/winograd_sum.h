/* The weights' gradient of 3x3 convolutions by Winograd's minimal filtering; formula and transforms: winograd.h.
 *
 * It is a sum over all tiles of a batch. NPDL_WINOGRAD_SUM of them at a time are transformed to panels and multiplied,
 * M[ξ] += V[ξ]ᵀ D[ξ]: a block sum.
 *
 * Many weights: all threads make one block sum after the other, first V and D by tasks of a few tiles, then M by tasks
 * of a place ξ and some channels. Few weights leave such tasks so little to multiply that handing them over, and V and D
 * from core to core, costs more. There the block sums fall into parts, by shape and batch size, and a task makes a part
 * from beginning to end in its thread's cache, with an M of its own; dW is made of the sum of these. With two threads,
 * 64 images: 0.65 of the time with 16 channels and filters, 0.75 with 32, but 1.5 times with 64, whose M and panels a
 * core's cache does not hold. Nor do many weights gain from more tiles at a time, for fewer passes over M: panels of 256
 * tiles leave the caches (64 -> 128 channels: 1.5 times).
 */
#ifndef NPDL_WINOGRAD_SUM_H
#define NPDL_WINOGRAD_SUM_H

#define NPDL_WINOGRAD_SUM 64   /* tiles in a block sum; part of the bits */
#define NPDL_WINOGRAD_OWN 1024 /* few weights: at most so many pairs of channel and filter; part of the bits */
#define NPDL_WINOGRAD_PARTS 8  /* parts, at most; part of the bits */
#define NPDL_WINOGRAD_SLICE 64 /* a task's channels; changes no sum */
#define NPDL_SUM_ROWS_OUT 4    /* channels of dW that a task transforms back; neither */

#endif


typedef struct {
    const REAL *x, *dz;
    REAL *out;
    const npdl_window *g;
    int64_t down, across, tiles, parts;    /* tiles of an image, of all images; into how many parts they fall */
    int64_t first, count;                  /* one part: tiles of this block sum */
    int64_t room;                          /* tiles of a block sum, at most */
    REAL *v, *d, *m;                       /* [36][C/VL][tile][VL], [36][F/NW][tile][NW] and [part][36][C][F], ... */
    int64_t v_plane, d_plane, m_plane, m_step; /* ... F in vectors */
} FN(npdl_winograd_sum);

/* V = Bᵀ x B and D = A dz Aᵀ of tiles [t, end) of the block that begins at tile `first`. */
static void FN(npdl_winograd_sum_in)(const FN(npdl_winograd_sum) *s, int64_t first, int64_t t, int64_t end, REAL *v,
                                     REAL *d, REAL *zeros) {
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
        FN(npdl_winograd_tile_x)(pixel, 0, g->channels, v + t * VL, VL, s->room * VL, s->v_plane, 4 * g->channels);
        FN(npdl_winograd_pixels)(s->dz + image * g->out_h * g->out_w * filters, g->out_h, g->out_w, filters, row, column,
                                 4, zeros, pixel);
        FN(npdl_winograd_tile_dy)(pixel, 0, whole, d + t * NPDL_NW, NPDL_NW, s->room * NPDL_NW, s->d_plane, 4 * filters);
        FN(npdl_winograd_tile_dy)(pixel, whole, filters, d + whole * s->room + t * VL, VL, 0, s->d_plane, 4 * filters);
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
        row[c].from = c / VL * s->room * VL + c % VL, row[c].to = c * s->m_step;
    for (; xi < end; xi++)
        for (int64_t f = 0; f < s->m_step; f += NPDL_NW)
            FN(npdl_tiles)(v + xi * s->v_plane + c0 * s->room, row, channels, along, count,
                           d + xi * s->d_plane + f * s->room, m + xi * s->m_plane + c0 * s->m_step + f,
                           npdl_min(s->m_step - f, NPDL_NW), add, NULL);
}

/* Few weights: a part, which its thread keeps in its cache. */
static void FN(npdl_winograd_sum_part)(void *ctx, int64_t part, void *work) {
    const FN(npdl_winograd_sum) *s = ctx;
    int64_t blocks = npdl_ceil_div(s->tiles, NPDL_WINOGRAD_SUM), tile = blocks * part / s->parts * NPDL_WINOGRAD_SUM;
    int64_t end = npdl_min(blocks * (part + 1) / s->parts * NPDL_WINOGRAD_SUM, s->tiles);
    REAL *v = work, *d = v + 36 * s->v_plane, *m = s->m + part * 36 * s->m_plane, *zeros = d + 36 * s->d_plane;
    for (int add = 0; tile < end; tile += NPDL_WINOGRAD_SUM, add = 1) {
        int64_t count = npdl_min(end - tile, NPDL_WINOGRAD_SUM);
        FN(npdl_winograd_sum_in)(s, tile, 0, count, v, d, zeros);
        for (int64_t c = 0; c < s->g->channels; c += NPDL_WINOGRAD_SLICE)
            FN(npdl_winograd_sum_products)(s, 0, 36, c, npdl_min(s->g->channels - c, NPDL_WINOGRAD_SLICE), count, add, v,
                                           d, m);
    }
}

/* Many weights: a block sum of all threads, first V and D ... */
static void FN(npdl_winograd_sum_in_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd_sum) *s = ctx;
    int64_t t = task * NPDL_WINOGRAD_FEW;
    FN(npdl_winograd_sum_in)(s, s->first, t, npdl_min(t + NPDL_WINOGRAD_FEW, s->count), s->v, s->d, work);
}

/* ... then M. */
static void FN(npdl_winograd_sum_product_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd_sum) *s = ctx;
    int64_t slices = npdl_ceil_div(s->g->channels, NPDL_WINOGRAD_SLICE), xi = task / slices;
    int64_t c = task % slices * NPDL_WINOGRAD_SLICE, channels = npdl_min(s->g->channels - c, NPDL_WINOGRAD_SLICE);
    (void)work;
    FN(npdl_winograd_sum_products)(s, xi, xi + 1, c, channels, s->count, s->first > 0, s->v, s->d, s->m);
}

/* dW = Gᵀ M G of some channels; M is the sum of the parts, in their order. */
static void FN(npdl_winograd_sum_out)(void *ctx, int64_t task, void *work) {
    const FN(npdl_winograd_sum) *s = ctx;
    int64_t c = task * NPDL_SUM_ROWS_OUT, end = npdl_min(c + NPDL_SUM_ROWS_OUT, s->g->channels);
    int64_t filters = s->g->filters, tap = s->g->channels * filters;
    (void)work;
    for (; c < end; c++)
        for (int64_t f = 0; f < filters; f += VL) {
            const REAL *m = s->m + c * s->m_step + f;
            REAL *to = s->out + c * filters + f;
            VEC half[3][6], in[6], out[3];
            #pragma GCC unroll 6
            for (int j = 0; j < 6; j++) {
                #pragma GCC unroll 6
                for (int i = 0; i < 6; i++) {
                    const REAL *at = m + (i * 6 + j) * s->m_plane;
                    in[i] = LD(at);
                    for (int64_t part = 1; part < s->parts; part++) in[i] += LD(at + part * 36 * s->m_plane);
                }
                FN(npdl_winograd_gt)(in, out);
                #pragma GCC unroll 3
                for (int i = 0; i < 3; i++) half[i][j] = out[i];
            }
            #pragma GCC unroll 3
            for (int i = 0; i < 3; i++) {
                FN(npdl_winograd_gt)(half[i], out);
                #pragma GCC unroll 3
                for (int j = 0; j < 3; j++)
                    if (filters - f >= VL) ST(to + (i * 3 + j) * tap, out[j]);
                    else STN(to + (i * 3 + j) * tap, out[j], filters - f);
            }
        }
}

/* As npdl_conv2d_dkernel. */
NPDL_API void FN(npdl_winograd_dkernel)(const REAL *x, const REAL *dz, REAL *out, int64_t images, const npdl_window *g) {
    FN(npdl_winograd_sum) s = {
        .x = x, .dz = dz, .out = out, .g = g,
        .down = npdl_ceil_div(g->out_h, 4), .across = npdl_ceil_div(g->out_w, 4),
        .m_step = npdl_round_up(g->filters, VL),
    };
    s.tiles = images * s.down * s.across;
    if (s.tiles == 0) {
        memset(out, 0, 9 * g->channels * g->filters * sizeof(REAL));
        return;
    }
    int few = g->channels * g->filters <= NPDL_WINOGRAD_OWN;
    s.parts = few ? npdl_min(NPDL_WINOGRAD_PARTS, npdl_ceil_div(s.tiles, NPDL_WINOGRAD_SUM)) : 1;
    s.room = npdl_min(s.tiles, NPDL_WINOGRAD_SUM);
    s.v_plane = s.room * npdl_round_up(g->channels, VL) + NPDL_ROOM, s.d_plane = s.room * s.m_step + NPDL_ROOM;
    s.m_plane = g->channels * s.m_step + NPDL_ROOM;
    int64_t panels = 36 * (s.v_plane + s.d_plane), zeros = npdl_max(g->channels, g->filters);
    if (!(s.m = npdl_shared((36 * s.m_plane * s.parts + (few ? 0 : panels)) * sizeof(REAL)))) return;
    if (few) npdl_parallel(FN(npdl_winograd_sum_part), &s, s.parts, (panels + zeros) * sizeof(REAL));
    s.v = s.m + 36 * s.m_plane, s.d = s.v + 36 * s.v_plane;
    for (; !few && s.first < s.tiles; s.first += NPDL_WINOGRAD_SUM) {
        s.count = npdl_min(s.tiles - s.first, NPDL_WINOGRAD_SUM);
        npdl_parallel(FN(npdl_winograd_sum_in_task), &s, npdl_ceil_div(s.count, NPDL_WINOGRAD_FEW), zeros * sizeof(REAL));
        npdl_parallel(FN(npdl_winograd_sum_product_task), &s, 36 * npdl_ceil_div(g->channels, NPDL_WINOGRAD_SLICE), 0);
    }
    npdl_parallel(FN(npdl_winograd_sum_out), &s, npdl_ceil_div(g->channels, NPDL_SUM_ROWS_OUT), 0);
}
