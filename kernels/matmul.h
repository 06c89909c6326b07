/* Matrix product: out = act((op(a) op(b) + bias + add) times), and the sum over rows.
 *
 * How it works. A task is a rectangle of the output. It goes through k in blocks of NPDL_KB; for each it packs its part
 * of b into panels of two vectors' width, and the register tile (NPDL_MR rows x 2 vectors) multiplies op(a) by them.
 * The tile is told where its rows begin and where along them the numbers lie, so op(a) is read where it is, whatever
 * its layout (conv.h reads windows of images so); where that would be slow, NPDL_MB rows at a time are packed first.
 * Every output element is thus
 *
 *     ((s_0 + s_1) + s_2) + ...       s_i = fma over the k of block i, in order, from zero
 *
 * whatever the tile, the rectangle and the number of rows are; only NPDL_KB is part of the bits. Where outputs are few
 * and sums are long, the block sums are made side by side, by tasks that each read rows of b that follow each other, and
 * added in the same order afterwards; not where op(a) is windows of images, whose tasks write to all of `out`. A product
 * with a transposed left matrix is a sum over a batch: if it is long it is cut into at most NPDL_PARTS parts along k, by
 * shape alone, and the parts' results are added in order.
 *
 * Reference: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS 34, 2008.
 */
#ifndef NPDL_MATMUL_H
#define NPDL_MATMUL_H

#define NPDL_KB 256    /* k in a block sum; part of the bits */
#define NPDL_PARTS 16  /* partial sums of a sum over the batch, at most; part of the bits */
#define NPDL_PART_K 1024     /* a part has at least this many k; part of the bits */
#define NPDL_PART_SIDE 256   /* outputs of this many rows and columns or more are tasks enough without parts; same */
#define NPDL_SUM_ROWS NPDL_KB /* rows in a block of sum_rows; part of the bits */
#define NPDL_SUM_NARROW 64   /* fewer columns than this: ... */
#define NPDL_SUM_FOLD 16     /* ... so many rows side by side; same */

#define NPDL_MR_IN_REGISTERS 9 /* rows of the tile whose address has a register of its own: x86-64 has 16 */
#define NPDL_AHEAD 4   /* rows of a and b that are fetched before they are packed */
#define NPDL_MB 96     /* rows of op(a) packed at a time: a multiple of every build's NPDL_MR */
#define NPDL_TASK_ROWS 960    /* a task's rectangle at most: a multiple of NPDL_MB, ... */
#define NPDL_TASK_COLUMNS 256 /* ... and of NPDL_NW; ... */
#define NPDL_TASK_WORK 131072 /* ... how many multiply-adds are worth a task of their own, ... */
#define NPDL_TASK_K 8         /* ... and how many of them an output is worth that takes fewer: it is written, too */
#define NPDL_FEW_OUTPUTS 32768 /* at most so many, and sums this long: the block sums are made side by side */
#define NPDL_LONG_SUM 2048
#define NPDL_LONG_ROW 512      /* the same for a single row of outputs */

static inline int64_t npdl_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t npdl_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t npdl_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t npdl_round_up(int64_t a, int64_t b) { return npdl_ceil_div(a, b) * b; }

typedef struct { int64_t from, to; } npdl_row;      /* where a row of the tile begins in a, and in out */

/* Where number k of row i of the tile lies. The last two need no load of its place: a tenth less time. */
enum {
    NPDL_PLACES, /* a[row[i].from + place[k]]: so windows of an image are read where they are */
    NPDL_ROWS,   /* a[row[i].from + k] */
    NPDL_STRIP   /* a[row[0].from + k · place[0] + i]; place NULL: packed, k · NPDL_MR */
};

/* The rows of a task, a multiple of `step` and at least `rows`, with which the busiest thread has the least to do: of
 * m = 784 eight tasks of 108 leave two threads 432 and 352 rows, six of 132 leave them 396 and 388. To pack its part of b
 * costs a task as much as some rows do. There are `others` tasks for each task's rows. */
static inline int64_t npdl_even_rows(int64_t m, int64_t rows, int64_t step, int64_t others) {
    const int64_t threads = npdl_get_num_threads(), most = npdl_ceil_div(m, rows), packing = 4;
    int64_t best = rows, least = INT64_MAX;
    for (int64_t tasks = most; threads > 1 && tasks > 0 && 2 * tasks >= most; tasks--) {
        int64_t mine = npdl_round_up(npdl_ceil_div(m, tasks), step);
        int64_t time = npdl_ceil_div(npdl_ceil_div(m, mine) * others, threads) * (mine + packing);
        if (mine <= NPDL_TASK_ROWS && time < least) best = mine, least = time;
    }
    return best;
}

#endif

#define NPDL_NW (2 * VL)          /* columns of a panel */
/* From row to row of packed op(a). Room after each row keeps the step from being a power of two, which would crowd the
 * rows into few cache sets. A transposed one is packed in strips of NPDL_MR rows of op(a) each, k by k, so that what a
 * tile reads lies together; their room also takes what the last k's vector is longer than that. */
#define NPDL_A_STEP (NPDL_KB + 16)
#define NPDL_A_STRIP (NPDL_KB * NPDL_MR + 16)

typedef struct FN(npdl_product) FN(npdl_product);
struct FN(npdl_product) {
    int64_t m, n, k;         /* out (m, n) = op(a) (m, k) · op(b) (k, n) */
    const REAL *a;           /* a as stored, rows a_step apart; or NULL: windows of images (conv.h), and in the */
    int64_t a_step;          /* place of npdl_rectangle and npdl_rectangle_bytes: */
    const void *images;
    void (*rectangle)(const FN(npdl_product) *s, int64_t m0, int64_t m, int64_t n0, int64_t n, int64_t k0, int64_t k1,
                      REAL *out, int64_t out_step, int finish, void *work);
    size_t (*bytes)(const FN(npdl_product) *s, int64_t rows, int64_t columns); /* of `work` */
    int transpose_a;
    const REAL *b;
    int64_t b_step;
    int transpose_b;
    REAL *out;
    int64_t out_step;
    /* epilogue */
    const REAL *bias;        /* (n,) or NULL */
    const REAL *add, *times; /* like out, or NULL; not with images */
    REAL *z, *slope;         /* like out, receive what is activated and the activation's slope there, or NULL */
    REAL *sums;              /* (n,) receives Σ of b's rows, or NULL */
    int code;                /* activation, 0: none */
    const double *constants;
    /* division into tasks, filled by npdl_run_product */
    int64_t task_rows, task_columns, row_tasks, column_tasks, parts, part_k;
    REAL *partial;           /* (parts, m, n), ... */
    REAL *block_sums;        /* ... (blocks of k, n), with parts */
};

/* ---- register tile: out (+)= a · b for mr rows and nv vectors of columns, n of which are stored, (+ bias).
 *
 * Row i goes to out + row[i].to; b's row k is at b + k·bs. mr, nv and layout are constants where this is used. */

/* One k; X: the number of row i. */
#define NPDL_TILE_STEP(X) \
    { \
        VEC panel[8]; \
        _Pragma("GCC unroll 8") \
        for (int j = 0; j < nv; j++) panel[j] = LD(b + j * VL); \
        _Pragma("GCC unroll 16") \
        for (int i = 0; i < mr; i++) { \
            if (layout != NPDL_STRIP && i < NPDL_MR_IN_REGISTERS) \
                __asm__("" : "+r"(from[i])); /* or the compiler derives one from another */ \
            VEC x = BC(X); \
            _Pragma("GCC unroll 8") \
            for (int j = 0; j < nv; j++) ADD_PRODUCT(acc[i][j], x, panel[j]); \
        } \
    }

NPDL_INLINE void FN(npdl_tile)(const int mr, const int nv, const int layout, const REAL *a, const npdl_row *row,
                               const int64_t *place, int64_t k, const REAL *b, int64_t bs, REAL *out, int64_t n,
                               int add, const REAL *bias) {
    const REAL *from[NPDL_MR], *volatile others[NPDL_MR], *more[NPDL_MR];
    VEC acc[NPDL_MR][8];
    #pragma GCC unroll 16
    for (int i = 0; i < mr; i++) {
        if (i < NPDL_MR_IN_REGISTERS) from[i] = a + row[i].from;
        else if (layout == NPDL_PLACES) others[i] = a + row[i].from;
        else more[i] = a + row[i].from;
        #pragma GCC unroll 8
        for (int j = 0; j < nv; j++) acc[i][j] = BC(0);
    }
    if (layout == NPDL_PLACES)
        for (const int64_t *end = place + k; place < end; place++, b += bs) {
            int64_t at = *place;
            NPDL_TILE_STEP((i < NPDL_MR_IN_REGISTERS ? from[i] : others[i])[at])
        }
    else if (layout == NPDL_STRIP) {
        const int64_t step = place ? *place : NPDL_MR;
        #pragma GCC unroll 4
        for (; k > 0; k--, b += bs, from[0] += step) NPDL_TILE_STEP(from[0][i])
    } else {
        int64_t at = 0;
        for (; at + 4 <= k; at += 4) {
            #pragma GCC unroll 4
            for (int u = 0; u < 4; u++, b += bs)
                NPDL_TILE_STEP((i < NPDL_MR_IN_REGISTERS ? from[i] : more[i])[at + u])
        }
        for (; at < k; at++, b += bs) NPDL_TILE_STEP((i < NPDL_MR_IN_REGISTERS ? from[i] : more[i])[at])
    }
    #pragma GCC unroll 8
    for (int j = 0; j < nv; j++) {
        int64_t lanes = npdl_min(n - j * VL, VL);
        VEC shift = !bias ? BC(0) : lanes == VL ? LD(bias + j * VL) : LDN(bias + j * VL, lanes);
        #pragma GCC unroll 16
        for (int i = 0; i < mr; i++) {
            REAL *to = out + row[i].to + j * VL;
            VEC v = acc[i][j];
            if (lanes == VL) {
                if (add) v = LD(to) + v;
                if (bias) v += shift;
                ST(to, v);
            } else {
                if (add) v = LDN(to, lanes) + v;
                if (bias) v += shift;
                STN(to, v, lanes);
            }
        }
    }
}

/* mr rows of a times one panel of nv vectors. A function for each size and layout: the compiler keeps all in registers. */
#define NPDL_SIZE_OF(mr, nv, layout)                                                                                  \
    static __attribute__((noinline)) void FN(npdl_rows_##mr##_##nv##_##layout)(                                       \
        const REAL *a, const npdl_row *row, const int64_t *place, int64_t k, const REAL *panel, REAL *out, int64_t n, \
        int add, const REAL *bias) {                                                                                  \
        FN(npdl_tile)(mr, nv, layout, a, row, place, k, panel, nv * VL, out, n, add, bias);                           \
    }
#define NPDL_LAYOUTS(mr, nv) \
    NPDL_SIZE_OF(mr, nv, NPDL_PLACES) NPDL_SIZE_OF(mr, nv, NPDL_ROWS) NPDL_SIZE_OF(mr, nv, NPDL_STRIP)
#define NPDL_SIZE(mr) NPDL_LAYOUTS(mr, 1) NPDL_LAYOUTS(mr, 2)
NPDL_SIZE(1) NPDL_SIZE(2) NPDL_SIZE(3) NPDL_SIZE(4)
#if NPDL_MR >= 6
NPDL_SIZE(5) NPDL_SIZE(6)
#endif
#if NPDL_MR >= 8
NPDL_SIZE(7) NPDL_SIZE(8)
#endif
#if NPDL_MR == 12
NPDL_SIZE(9) NPDL_SIZE(10) NPDL_SIZE(11) NPDL_SIZE(12)
#endif
#undef NPDL_SIZE
#undef NPDL_LAYOUTS
#undef NPDL_SIZE_OF
#undef NPDL_TILE_STEP

/* out = (out + more) times on n columns of some rows, which lie in `more` and `times`, or NULL, as in out: a pass of its
 * own, over what is in the first cache, so that tiles without it stay as they are. With `fetch` both are only asked for. */
static void FN(npdl_and_more)(const npdl_row *row, int64_t rows, REAL *out, int64_t n, const REAL *more,
                              const REAL *times, int fetch) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0, at = row[i].to; j < n; j += VL, at += VL) {
            const int64_t lanes = npdl_min(n - j, VL);
            if (fetch) {
                if (more) __builtin_prefetch(more + at);
                if (times) __builtin_prefetch(times + at);
                continue;
            }
            VEC v = LDN(out + at, lanes);
            if (more) v += LDN(more + at, lanes);
            if (times) v *= LDN(times + at, lanes);
            STN(out + at, v, lanes);
        }
}

/* `rows` rows of a times all panels of packed b: as few tiles as can be, all about equally large; in strips, the last
 * one smaller. `place` is not of NPDL_ROWS. */
static void FN(npdl_tiles_and_more)(const int layout, const REAL *a, const npdl_row *row, int64_t rows,
                                    const int64_t *place, int64_t k, const REAL *panels, REAL *out, int64_t n, int add,
                                    const REAL *bias, const REAL *more, const REAL *times) {
    static void (*const of_size[][2][3])(const REAL *, const npdl_row *, const int64_t *, int64_t, const REAL *, REAL *,
                                         int64_t, int, const REAL *) = {
#define NPDL_LAYOUTS(mr, nv) \
    {FN(npdl_rows_##mr##_##nv##_NPDL_PLACES), FN(npdl_rows_##mr##_##nv##_NPDL_ROWS), \
     FN(npdl_rows_##mr##_##nv##_NPDL_STRIP)}
#define NPDL_SIZE(mr) {NPDL_LAYOUTS(mr, 1), NPDL_LAYOUTS(mr, 2)}
        {{NULL}}, NPDL_SIZE(1), NPDL_SIZE(2), NPDL_SIZE(3), NPDL_SIZE(4),
#if NPDL_MR >= 6
        NPDL_SIZE(5), NPDL_SIZE(6),
#endif
#if NPDL_MR >= 8
        NPDL_SIZE(7), NPDL_SIZE(8),
#endif
#if NPDL_MR == 12
        NPDL_SIZE(9), NPDL_SIZE(10), NPDL_SIZE(11), NPDL_SIZE(12),
#endif
#undef NPDL_SIZE
#undef NPDL_LAYOUTS
    };
    int64_t mr, tiles = npdl_ceil_div(rows, NPDL_MR);
    for (; tiles > 0; tiles--, rows -= mr, row += mr) {
        mr = layout == NPDL_STRIP ? npdl_min(rows, NPDL_MR) : npdl_ceil_div(rows, tiles);
        for (int64_t j = 0; j < n; j += NPDL_NW) {
            const REAL *plus = more ? more + j : NULL, *by = times ? times + j : NULL;
            const int64_t columns = npdl_min(n - j, NPDL_NW);
            if (more || times) FN(npdl_and_more)(row, mr, out + j, columns, plus, by, 1);
            of_size[mr][n - j > VL][layout](a, row, place, k, panels + j * NPDL_KB, out + j, n - j, add,
                                            bias ? bias + j : NULL);
            if (more || times) FN(npdl_and_more)(row, mr, out + j, columns, plus, by, 0);
        }
    }
}

/* The same without an epilogue; place NULL: NPDL_ROWS. */
static void FN(npdl_tiles)(const REAL *a, const npdl_row *row, int64_t rows, const int64_t *place, int64_t k,
                           const REAL *panels, REAL *out, int64_t n, int add, const REAL *bias) {
    FN(npdl_tiles_and_more)(place ? NPDL_PLACES : NPDL_ROWS, a, row, rows, place, k, panels, out, n, add, bias, NULL,
                            NULL);
}

/* One row times b where it lies: packing b would cost as much as the product. Eight vectors of columns at a time.
 * Columns beyond the last whole vector are left to others; returns how many are done. */
static int64_t FN(npdl_one_row)(const REAL *a, const REAL *b, int64_t b_step, int64_t k, REAL *out, int64_t n,
                                const REAL *bias) {
    int64_t done = n / VL * VL;
    const npdl_row row = {0, 0};
    for (int64_t kb = 0; kb < k; kb += NPDL_KB, a += NPDL_KB, b += NPDL_KB * b_step) {
        int64_t kc = npdl_min(k - kb, NPDL_KB);
        const REAL *last = kb + kc == k ? bias : NULL;
        int64_t j = 0;
        for (; j + 8 * VL <= n; j += 8 * VL)
            FN(npdl_tile)(1, 8, NPDL_ROWS, a, &row, NULL, kc, b + j, b_step, out + j, 8 * VL, kb > 0,
                          last ? last + j : NULL);
        for (; j < done; j += VL)
            FN(npdl_tile)(1, 1, NPDL_ROWS, a, &row, NULL, kc, b + j, b_step, out + j, VL, kb > 0,
                          last ? last + j : NULL);
    }
    return k > 0 ? done : 0;
}

/* ---- packing */

/* Transposes a square of NPDL_SIDE x NPDL_SIDE numbers: 4 for float, 2 for double. */
#define NPDL_SIDE ((int)(16 / sizeof(REAL)))
NPDL_INLINE void FN(npdl_transpose)(const REAL *from, int64_t from_step, REAL *to, int64_t to_step) {
#if NPDL_HAS_SHUFFLE && NPDL_REAL_BITS == 32
    typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
    four a = *(const four *)from, b = *(const four *)(from + from_step);
    four c = *(const four *)(from + 2 * from_step), d = *(const four *)(from + 3 * from_step);
    four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    *(four *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(four *)(to + to_step) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    ab = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(four *)(to + 2 * to_step) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(four *)(to + 3 * to_step) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
#else
    for (int i = 0; i < NPDL_SIDE; i++)
        for (int j = 0; j < NPDL_SIDE; j++) to[i * to_step + j] = from[j * from_step + i];
#endif
}

/* k rows and n columns of op(b) into rows `row` ... of panels [n / NW][NPDL_KB][NW]; the last panel is a vector wide if
 * that will do. Whole rows of b are read, since the next one may lie pages away. */
static void FN(npdl_pack_b)(const REAL *b, int64_t b_step, int transpose, int64_t k, int64_t n, REAL *panels,
                            int64_t row) {
    const int64_t whole = transpose ? 0 : n / NPDL_NW * NPDL_NW;
    for (int64_t r = 0; r < k; r++) {
        const REAL *from = b + r * b_step;
        REAL *to = panels + (row + r) * NPDL_NW;
        for (int64_t j = 0; j < whole; j += NPDL_NW, to += NPDL_KB * NPDL_NW)
            for (int i = 0; i < NPDL_NW; i += VL) {
                __builtin_prefetch(from + NPDL_AHEAD * b_step + j + i);
                ST(to + i, LD(from + j + i));
            }
    }
    b += whole, panels += whole * NPDL_KB;
    for (n -= whole; n > 0; n -= NPDL_NW, panels += NPDL_KB * NPDL_NW) {
        int64_t width = npdl_min(n, NPDL_NW), bs = n > VL ? NPDL_NW : VL;
        const REAL *from = b;
        REAL *to = panels + row * bs;
        b += transpose ? NPDL_NW * b_step : NPDL_NW;
        if (!transpose) {
            for (int64_t r = 0; r < k; r++, from += b_step) {
                if (bs > VL) ST(to + r * bs, LD(from));
                ST(to + (r + 1) * bs - VL, LDN(from + bs - VL, width - bs + VL));
            }
            continue;
        }
        int64_t j = 0;
        for (; j + NPDL_SIDE <= width; j += NPDL_SIDE, from += NPDL_SIDE * b_step) {
            int64_t r = 0;
            for (; r + NPDL_SIDE <= k; r += NPDL_SIDE) FN(npdl_transpose)(from + r, b_step, to + r * bs + j, bs);
            for (; r < k; r++)
                for (int i = 0; i < NPDL_SIDE; i++) to[r * bs + j + i] = from[i * b_step + r];
        }
        for (; j < width; j++, from += b_step)
            for (int64_t r = 0; r < k; r++) to[r * bs + j] = from[r];
        for (; j < bs; j++)
            for (int64_t r = 0; r < k; r++) to[r * bs + j] = 0;
    }
}

/* Rows [m0, m0 + m) and columns [k0, k0 + k) of op(a): as [m][NPDL_A_STEP], or transposed [m / MR][NPDL_KB][MR]. */
static void FN(npdl_pack_a)(const FN(npdl_product) *s, int64_t m0, int64_t m, int64_t k0, int64_t k, REAL *to) {
    if (!s->transpose_a) {
        const REAL *from = s->a + m0 * s->a_step + k0;
        for (int64_t i = 0; i < m; i++, from += s->a_step) {
            for (int64_t j = 0; j < k; j += VL) __builtin_prefetch(from + NPDL_AHEAD * s->a_step + j);
            memcpy(to + i * NPDL_A_STEP, from, k * sizeof(REAL));
        }
        return;
    }
    const REAL *from = s->a + k0 * s->a_step + m0; /* whole rows of it, since the next one may lie pages away */
    for (int64_t r = 0; r < k; r++, from += s->a_step, to += NPDL_MR)
        for (int64_t i = 0; i < m; i += NPDL_MR)
            for (int64_t j = 0; j < npdl_min(m - i, NPDL_MR); j += VL) { /* into the next k's, which comes later */
                int64_t lanes = npdl_min(m - i - j, VL);
                const REAL *p = from + i + j;
                ST(to + i / NPDL_MR * NPDL_A_STRIP + j, lanes == VL ? LD(p) : LDN(p, lanes));
            }
}

/* Whether a is read where it lies rather than packed: where its rows do not crowd into few sets of the first cache; if
 * it is transposed, where each number is read only once or twice. The same bits either way. */
static int FN(npdl_reads_in_place)(const FN(npdl_product) *s) {
    return s->transpose_a ? s->n <= NPDL_NW : (s->a_step * (int64_t)sizeof(REAL) + 128) % 4096 >= 256;
}

/* ---- tasks */

/* z = out, slope = act'(z), out = act(z), on a rectangle; the rest has been done. */
static void FN(npdl_epilogue)(const FN(npdl_product) *s, int64_t m0, int64_t m, int64_t n0, int64_t n) {
    int64_t rows = s->out_step == n ? 1 : m; /* whole rows follow each other: one piece */
    n *= m / npdl_max(rows, 1);
    for (int64_t i = 0, at = m0 * s->out_step + n0; i < rows; i++, at += s->out_step) {
        if (s->z) memcpy(s->z + at, s->out + at, n * sizeof(REAL));
        if (s->slope) FN(npdl_activate_with_slope)(s->code, s->out + at, s->slope + at, n);
        else if (s->code) FN(npdl_activate)(s->code, s->constants, s->out + at, n);
    }
}

/* What a sum over no k gives: 0 + bias. */
static void FN(npdl_empty_sums)(REAL *out, int64_t out_step, int64_t m, int64_t n, const REAL *bias) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) out[i * out_step + j] = bias ? bias[j] : 0;
}

/* Bytes of working memory of npdl_rectangle. */
static size_t FN(npdl_rectangle_bytes)(const FN(npdl_product) *s, int64_t rows, int64_t columns) {
    int64_t packed_a = npdl_min(npdl_round_up(rows, NPDL_MR), NPDL_MB) * NPDL_A_STEP; /* strips are smaller, with room */
    return (NPDL_KB * npdl_round_up(columns, NPDL_NW) + packed_a) * sizeof(REAL);
}

/* out (+)= Σ_r x[r] of rows `step` apart, row by row; four vectors of columns at a time. */
static void FN(npdl_add_more_rows)(const REAL *x, int64_t step, int64_t rows, int64_t columns, int add, REAL *out) {
    int64_t j = 0;
    for (; j + 4 * VL <= columns; j += 4 * VL) {
        VEC sum[4] = {BC(0), BC(0), BC(0), BC(0)};
        for (int i = 0; add && i < 4; i++) sum[i] = LD(out + j + i * VL);
        for (int64_t r = 0; r < rows; r++)
            #pragma GCC unroll 4
            for (int i = 0; i < 4; i++) sum[i] += LD(x + r * step + j + i * VL);
        for (int i = 0; i < 4; i++) ST(out + j + i * VL, sum[i]);
    }
    for (; j < columns; j += VL) {
        int64_t lanes = npdl_min(columns - j, VL);
        VEC sum = add ? LDN(out + j, lanes) : BC(0);
        for (int64_t r = 0; r < rows; r++) sum += LDN(x + r * step + j, lanes);
        STN(out + j, sum, lanes);
    }
}

static void FN(npdl_add_rows)(const REAL *x, int64_t step, int64_t rows, int64_t columns, REAL *out) {
    FN(npdl_add_more_rows)(x, step, rows, columns, 0, out);
}

/* sums (+)= Σ of k rows of b, a block as `npdl_sum_rows` takes it: they have just been packed. */
static void FN(npdl_sum_block)(const REAL *b, int64_t b_step, int64_t k, int64_t n, int add, REAL *sums) {
    REAL block[2 * NPDL_TASK_COLUMNS];
    FN(npdl_add_rows)(b, b_step, k, n, add ? block : sums);
    for (int64_t j = 0; add && j < n; j++) sums[j] += block[j];
}

/* op(a) op(b) on one rectangle, k in [k0, k1), written to `out`, the rectangle's first element. With `finish` the
 * epilogue follows on each few rows, while they are in the cache. */
static void FN(npdl_rectangle)(const FN(npdl_product) *s, int64_t m0, int64_t m, int64_t n0, int64_t n, int64_t k0,
                               int64_t k1, REAL *out, int64_t out_step, int finish, void *work) {
    REAL *panels = work, *packed = panels + NPDL_KB * npdl_round_up(n, NPDL_NW);
    const int in_place = FN(npdl_reads_in_place)(s), layout = s->transpose_a ? NPDL_STRIP : NPDL_ROWS;
    const int64_t step = in_place ? s->a_step : s->transpose_a ? NPDL_MR : NPDL_A_STEP;
    npdl_row row[NPDL_MB];
    for (int64_t i = 0; i < npdl_min(m, NPDL_MB); i++) {
        int64_t strip = in_place ? i : i / NPDL_MR * NPDL_A_STRIP + i % NPDL_MR;
        row[i] = (npdl_row){layout == NPDL_STRIP ? strip : i * step, i * out_step};
    }
    const REAL *bias = finish && s->bias ? s->bias + n0 : NULL;
    const REAL *more = finish && s->add ? s->add + m0 * out_step + n0 : NULL;
    const REAL *times = finish && s->times ? s->times + m0 * out_step + n0 : NULL;
    for (int64_t kb = k0; kb < k1; kb += NPDL_KB) {
        int64_t k = npdl_min(k1 - kb, NPDL_KB);
        int last = kb + k == k1;
        FN(npdl_pack_b)(s->b + (s->transpose_b ? n0 * s->b_step + kb : kb * s->b_step + n0), s->b_step, s->transpose_b,
                        k, n, panels, 0);
        if (s->sums && m0 == 0) {
            const REAL *b = s->b + kb * s->b_step + n0;
            if (finish) FN(npdl_sum_block)(b, s->b_step, k, n, kb > k0, s->sums + n0);
            else FN(npdl_add_rows)(b, s->b_step, k, n, s->block_sums + kb / NPDL_KB * s->n + n0);
        }
        for (int64_t i = 0; i < m; i += NPDL_MB) {
            int64_t mb = npdl_min(m - i, NPDL_MB);
            const REAL *a = s->a + (s->transpose_a ? kb * s->a_step + m0 + i : (m0 + i) * s->a_step + kb);
            if (!in_place) FN(npdl_pack_a)(s, m0 + i, mb, kb, k, packed), a = packed;
            FN(npdl_tiles_and_more)(layout, a, row, mb, &step, k, panels, out + i * out_step, n, kb > k0,
                                    last ? bias : NULL, last && more ? more + i * out_step : NULL,
                                    last && times ? times + i * out_step : NULL);
            if (finish && last) FN(npdl_epilogue)(s, m0 + i, mb, n0, n);
        }
    }
    if (k0 >= k1) {
        FN(npdl_empty_sums)(out, out_step, m, n, bias);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0, at = i * out_step; j < n; j++, at++)
                out[at] = (out[at] + (more ? more[at] : 0)) * (times ? times[at] : 1);
        if (finish) FN(npdl_epilogue)(s, m0, m, n0, n);
    }
}

/* op(a) a column, b a row: each row of out is b times a number. */
static void FN(npdl_outer_product)(const FN(npdl_product) *s, int64_t m0, int64_t m, int64_t n0, int64_t n) {
    for (int64_t i = m0; i < m0 + m; i++) {
        VEC x = BC(s->a[s->transpose_a ? i : i * s->a_step]);
        REAL *out = s->out + i * s->out_step + n0;
        int64_t j = 0;
        for (; j + VL <= n; j += VL) ST(out + j, FMA(x, LD(s->b + n0 + j), BC(0)));
        if (j < n) STN(out + j, FMA(x, LDN(s->b + n0 + j, n - j), BC(0)), n - j);
    }
}

static void FN(npdl_product_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_product) *s = ctx;
    int64_t column = task % s->column_tasks, row = task / s->column_tasks % s->row_tasks;
    int64_t part = task / (s->column_tasks * s->row_tasks);
    int64_t m0 = row * s->task_rows, m = npdl_min(s->m - m0, s->task_rows);
    int64_t n0 = column * s->task_columns, n = npdl_min(s->n - n0, s->task_columns);
    int64_t k0 = part * s->part_k, k1 = npdl_min(s->k, k0 + s->part_k);
    if (s->k == 1 && s->a && !s->transpose_b && !s->bias && !s->add && !s->times && !s->z && !s->sums && !s->code) {
        FN(npdl_outer_product)(s, m0, m, n0, n);
        return;
    }
    int finish = s->parts == 1;
    REAL *out = finish ? s->out + m0 * s->out_step + n0 : s->partial + (part * s->m + m0) * s->n + n0;
    if (s->m == 1 && s->a && !s->transpose_a && !s->transpose_b) {
        const REAL *bias = finish && s->bias ? s->bias + n0 : NULL, *more = finish && s->add ? s->add + n0 : NULL;
        const REAL *times = finish && s->times ? s->times + n0 : NULL;
        int64_t done = FN(npdl_one_row)(s->a + k0, s->b + k0 * s->b_step + n0, s->b_step, k1 - k0, out, n, bias);
        if (more || times) FN(npdl_and_more)(&(npdl_row){0, 0}, 1, out, done, more, times, 0);
        if (finish) FN(npdl_epilogue)(s, 0, 1, n0, done);
        n0 += done, n -= done, out += done;
        if (n == 0) return;
    }
    s->rectangle(s, m0, m, n0, n, k0, k1, out, finish ? s->out_step : s->n, finish, work);
}

/* out = partial 0 + partial 1 + ..., in this order, on task_rows rows. */
static void FN(npdl_combine_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_product) *s = ctx;
    int64_t m0 = task * s->task_rows, m = npdl_min(s->m - m0, s->task_rows);
    for (int64_t i = m0; i < m0 + m; i++) {
        REAL *out = s->out + i * s->out_step;
        const REAL *from = s->partial + i * s->n;
        for (int64_t j = 0; j < s->n; j += VL) {
            int64_t lanes = npdl_min(s->n - j, VL);
            VEC sum = LDN(from + j, lanes);
            for (int64_t p = 1; p < s->parts; p++) sum += LDN(from + p * s->m * s->n + j, lanes);
            if (s->bias) sum += LDN(s->bias + j, lanes);
            if (s->add) sum += LDN(s->add + i * s->out_step + j, lanes);
            if (s->times) sum *= LDN(s->times + i * s->out_step + j, lanes);
            STN(out + j, sum, lanes);
        }
    }
    FN(npdl_epilogue)(s, m0, m, 0, s->n);
}

/* The whole product. */
static void FN(npdl_run_product)(FN(npdl_product) *s) {
    if (s->m == 0 || s->n == 0) return;
    if (!s->rectangle) s->rectangle = FN(npdl_rectangle), s->bytes = FN(npdl_rectangle_bytes);
    s->parts = 1;
    if (s->transpose_a) {
        int64_t sides = npdl_ceil_div(s->m, NPDL_PART_SIDE) * npdl_ceil_div(s->n, NPDL_PART_SIDE);
        s->parts = npdl_max(1, npdl_min(NPDL_PARTS / sides, s->k / NPDL_PART_K));
    } else if (s->a && s->m * s->n <= NPDL_FEW_OUTPUTS && s->k >= (s->m > 1 ? NPDL_LONG_SUM : NPDL_LONG_ROW))
        s->parts = npdl_ceil_div(s->k, NPDL_KB);
    s->part_k = npdl_round_up(npdl_ceil_div(s->k, s->parts), NPDL_KB);
    s->parts = npdl_max(1, npdl_ceil_div(s->k, npdl_max(s->part_k, 1)));

    /* Halve the rectangle until there are tasks for every thread: this changes no sum. Fewer and larger ones where each
     * packs its part of a transposed op(a) for itself: (512, 768) · (768, 128) takes a tenth less so; and about square
     * ones, of which the fewest numbers are packed: (128, 768) · (768, 128) takes an eighth less. */
    int64_t each = s->a && s->transpose_a && !FN(npdl_reads_in_place)(s) ? 2 : 4;
    int64_t wanted = npdl_get_num_threads() > 1 ? npdl_get_num_threads() * each : 1;
    int64_t rows = npdl_min(npdl_round_up(s->m, NPDL_MR), NPDL_TASK_ROWS);
    int64_t columns = npdl_min(npdl_round_up(s->n, NPDL_NW), NPDL_TASK_COLUMNS);
    int64_t part_k = npdl_max(npdl_min(s->part_k, s->k), NPDL_TASK_K);
    while (s->parts * npdl_ceil_div(s->m, rows) * npdl_ceil_div(s->n, columns) < wanted &&
           npdl_min(rows, s->m) * columns * part_k >= 2 * NPDL_TASK_WORK) {
        if (rows > (each == 2 ? npdl_max(columns, NPDL_MR) : 2 * NPDL_MB) || (columns <= NPDL_NW && rows > NPDL_MR))
            rows = npdl_round_up(rows / 2, NPDL_MR);
        else if (columns > NPDL_NW) columns = npdl_round_up(columns / 2, NPDL_NW);
        else break;
    }
    s->column_tasks = npdl_ceil_div(s->n, columns);
    rows = npdl_even_rows(s->m, rows, NPDL_MR, s->parts * s->column_tasks);
    s->task_rows = rows, s->task_columns = columns, s->row_tasks = npdl_ceil_div(s->m, rows);
    const int64_t blocks = s->sums ? npdl_ceil_div(s->k, NPDL_KB) : 0;
    if (s->parts > 1) {
        if (!(s->partial = npdl_shared((s->parts * s->m + blocks) * s->n * sizeof(REAL)))) return;
        s->block_sums = s->partial + s->parts * s->m * s->n;
    }
    npdl_parallel(FN(npdl_product_task), s, s->parts * s->row_tasks * s->column_tasks,
                  s->bytes(s, npdl_min(rows, s->m), npdl_min(columns, s->n)));
    if (s->parts == 1) return;
    npdl_parallel(FN(npdl_combine_task), s, s->row_tasks, 0);
    if (s->sums) FN(npdl_add_rows)(s->block_sums, s->n, blocks, s->n, s->sums);
}

NPDL_API void FN(npdl_sum_rows)(const REAL *x, int64_t rows, int64_t columns, REAL *out);

/* out (m, n) = act((op(a) op(b) + bias + add) times), all matrices dense; sums = Σ of b's rows, which is not transposed. */
NPDL_API void FN(npdl_matmul)(const REAL *a, const REAL *b, REAL *out, const REAL *bias, const REAL *add,
                              const REAL *times, REAL *z, REAL *slope, REAL *sums, int64_t m, int64_t n, int64_t k,
                              int transpose_a, int transpose_b, int code, const double *constants) {
    const int wide = k > 0 && (transpose_a ? m > 0 : m > 1) && n >= NPDL_SUM_NARROW; /* npdl_one_row makes no sums */
    FN(npdl_product) s = {
        .m = m, .n = n, .k = k,
        .a = a, .a_step = transpose_a ? m : k, .transpose_a = transpose_a,
        .b = b, .b_step = transpose_b ? k : n, .transpose_b = transpose_b,
        .out = out, .out_step = n, .bias = bias, .add = add, .times = times, .z = z, .slope = slope,
        .sums = wide ? sums : NULL, .code = code, .constants = constants,
    };
    FN(npdl_run_product)(&s);
    if (sums && !wide) FN(npdl_sum_rows)(b, k, n, sums);
}

/* ---- sum over rows */

typedef struct { const REAL *x; int64_t rows, columns, blocks, task_blocks; REAL *partial; } FN(npdl_row_sum);

/* A block's sum: of at most NPDL_SUM_ROWS rows or, of many columns, of the next ones of them (`add`). Few columns would
 * leave lanes empty: then NPDL_SUM_FOLD rows count as one, whose sums are added up in order, and after them the rows
 * that are left over. */
static void FN(npdl_sum_rows_block)(const REAL *x, int64_t rows, int64_t columns, int add, REAL *out) {
    REAL folded[NPDL_SUM_FOLD * NPDL_SUM_NARROW], rest[NPDL_SUM_NARROW];
    int64_t wide = rows / NPDL_SUM_FOLD;
    if (columns >= NPDL_SUM_NARROW) {
        FN(npdl_add_more_rows)(x, columns, rows, columns, add, out);
        return;
    }
    FN(npdl_add_rows)(x, NPDL_SUM_FOLD * columns, wide, NPDL_SUM_FOLD * columns, folded);
    FN(npdl_add_rows)(folded, columns, NPDL_SUM_FOLD, columns, out);
    wide *= NPDL_SUM_FOLD;
    FN(npdl_add_rows)(x + wide * columns, columns, rows - wide, columns, rest);
    for (int64_t j = 0; j < columns; j++) out[j] += rest[j];
}

static void FN(npdl_sum_rows_task)(void *ctx, int64_t task, void *work) {
    const FN(npdl_row_sum) *s = ctx;
    int64_t columns = s->columns, stop = npdl_min((task + 1) * s->task_blocks, s->blocks);
    (void)work;
    for (int64_t block = task * s->task_blocks; block < stop; block++)
        FN(npdl_sum_rows_block)(s->x + block * NPDL_SUM_ROWS * columns,
                                npdl_min(s->rows - block * NPDL_SUM_ROWS, NPDL_SUM_ROWS), columns, 0,
                                s->partial + block * columns);
}

/* out[j] = Σ_r x[r, j] */
NPDL_API void FN(npdl_sum_rows)(const REAL *x, int64_t rows, int64_t columns, REAL *out) {
    int64_t blocks = npdl_ceil_div(rows, NPDL_SUM_ROWS);
    int64_t task_blocks = npdl_max(1, NPDL_TASK_WORK / 4 / (NPDL_SUM_ROWS * npdl_max(columns, 1)));
    FN(npdl_row_sum) s = {x, rows, columns, blocks, task_blocks, out};
    if (blocks > 1 && !(s.partial = npdl_shared(blocks * columns * sizeof(REAL)))) return;
    npdl_parallel(FN(npdl_sum_rows_task), &s, npdl_ceil_div(blocks, task_blocks), 0);
    if (blocks != 1) FN(npdl_add_rows)(s.partial, columns, blocks, columns, out);
}
