/* Embedding: rows of a table by number. Formulas: npdl/kernels/reference/embed.py.
 *
 * The gradient adds rows of dy that belong to one row of the table in their order in memory. A block owns a strip of
 * columns and every (mask + 1)-th row of the table, and goes through all the numbers: so no two add to one place, and
 * the order does not depend on who does it. Frequent numbers are often neighbours, hence not a range of rows each.
 */
#ifndef NPDL_EMBED_H
#define NPDL_EMBED_H

#define NPDL_EMBED_COLUMNS 64  /* of a strip */
#define NPDL_EMBED_SHARES 8    /* a table of one or two strips is shared out by rows too */

/* The numbers, of either type. */
typedef struct { const int32_t *narrow; const int64_t *wide; int64_t count, rows; } npdl_ids;

#define NPDL_ID(s, i) ((s)->narrow ? (int64_t)(s)->narrow[i] : (s)->wide[i])

/* The place of the first number outside 0 ... rows - 1, or -1. */
static int64_t npdl_first_outside(const npdl_ids *s) {
    for (int64_t i = 0; i < s->count; i++)
        if ((uint64_t)NPDL_ID(s, i) >= (uint64_t)s->rows) return i;
    return -1;
}

#endif

typedef struct {
    const npdl_ids *ids;
    const REAL *x;  /* the table forward, dy backward */
    REAL *out;
    int64_t width, block, shares;
} FN(npdl_embed_work);

static void FN(npdl_embedding_block)(void *context, int64_t block, void *work) {
    const FN(npdl_embed_work) *s = context;
    const int64_t last = NPDL_LESS(s->ids->count, (block + 1) * s->block);
    (void)work;
    for (int64_t i = block * s->block; i < last; i++)
        FN(npdl_copy_run)(s->x + NPDL_ID(s->ids, i) * s->width, s->out + i * s->width, s->width);
}

/* out (count, width) = rows of the table; the place of the first number that names none, or -1 */
NPDL_API int64_t FN(npdl_embedding)(const npdl_ids *ids, const REAL *table, REAL *out, int64_t width) {
    const int64_t outside = npdl_first_outside(ids);
    FN(npdl_embed_work) s = {ids, table, out, width, NPDL_BLOCKS(NPDL_GRAIN, NPDL_MORE(width, 1)), 1};
    if (outside < 0 && width) npdl_parallel(FN(npdl_embedding_block), &s, NPDL_BLOCKS(ids->count, s.block), 0);
    return outside;
}

NPDL_INLINE void FN(npdl_add_run)(const REAL *x, REAL *out, int64_t n) {
    int64_t j = 0;
    for (; j + VL <= n; j += VL) ST(out + j, LD(out + j) + LD(x + j));
    if (j < n) STN(out + j, LDN(out + j, n - j) + LDN(x + j, n - j), n - j);
}

static void FN(npdl_embedding_grad_block)(void *context, int64_t block, void *work) {
    const FN(npdl_embed_work) *s = context;
    const int64_t start = block / s->shares * NPDL_EMBED_COLUMNS, share = block % s->shares, mask = s->shares - 1;
    const int64_t width = s->width, columns = NPDL_LESS(width - start, NPDL_EMBED_COLUMNS);
    const REAL *dy = s->x + start;
    REAL *out = s->out + start;
    (void)work;
    for (int64_t v = share; v < s->ids->rows; v += s->shares) memset(out + v * width, 0, columns * sizeof(REAL));
    for (int64_t i = 0; i < s->ids->count; i++) {
        const int64_t v = NPDL_ID(s->ids, i);
        if ((v & mask) == share) FN(npdl_add_run)(dy + i * width, out + v * width, columns);
    }
}

/* out (rows, width) = sums of the rows of dy (count, width); returns as npdl_embedding */
NPDL_API int64_t FN(npdl_embedding_grad)(const npdl_ids *ids, const REAL *dy, REAL *out, int64_t width) {
    const int64_t outside = npdl_first_outside(ids), strips = NPDL_BLOCKS(width, NPDL_EMBED_COLUMNS);
    const int64_t size = NPDL_MORE(ids->count, ids->rows) * width;
    FN(npdl_embed_work) s = {ids, dy, out, width, 0, strips > 2 ? 1 : NPDL_EMBED_SHARES};
    if (outside >= 0) return outside;
    if (size < NPDL_GRAIN) s.shares = 1;
    npdl_parallel(FN(npdl_embedding_grad_block), &s, strips * s.shares, 0);
    return -1;
}
