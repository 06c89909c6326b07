/* Moving numbers: copies between arrays whose axes lie in memory in any order, and sums over repeated places.
 * Formulas: npdl/kernels/reference/shape.py.
 *
 * Permuting, cropping, padding and repeating are one copy, out[i...] = x[i...], between two arrays with a stride an
 * axis: of x the strides are permuted, begin inside it, or are 0. Axes of length 1 are dropped and neighbours that lie
 * one after the other in both arrays are joined, which leaves long runs. Where x lies the other way round (a transpose)
 * tiles of a cache line each way are copied.
 */
#ifndef NPDL_SHAPE_H
#define NPDL_SHAPE_H

#define NPDL_MOVE_AXES 16
#define NPDL_MOVE_TILE 16

/* The strided copy, after joining axes; strides in numbers. */
typedef struct {
    int axes;
    int64_t size[NPDL_MOVE_AXES], from[NPDL_MOVE_AXES], to[NPDL_MOVE_AXES];
} npdl_move;

/* Drops axes of length 1, joins neighbours, and brings an axis along which x is contiguous to the second last place if
 * it is not the last. At least two axes remain. */
static npdl_move npdl_simpler(int axes, const int64_t *size, const int64_t *from, const int64_t *to) {
    npdl_move m = {1, {1}, {0}, {0}};
    int n = 0;
    for (int a = 0; a < axes; a++) {
        if (size[a] == 1) continue;
        int joins = n && m.from[n - 1] == from[a] * size[a] && m.to[n - 1] == to[a] * size[a];
        if (joins) m.size[n - 1] *= size[a];
        else m.size[n] = size[a], n++;
        m.from[n - 1] = from[a], m.to[n - 1] = to[a];
    }
    for (; n < 2; n++) { /* in front */
        m.size[1] = n ? m.size[0] : 1, m.from[1] = n ? m.from[0] : 1, m.to[1] = n ? m.to[0] : 1;
        m.size[0] = 1, m.from[0] = m.to[0] = 0;
    }
    m.axes = n;
    for (int a = 0; a < n - 2 && m.from[n - 1] != 1 && m.from[n - 2] != 1; a++)
        if (m.from[a] == 1) {
            int64_t one[3] = {m.size[a], m.from[a], m.to[a]};
            for (int b = a; b < n - 2; b++) m.size[b] = m.size[b + 1], m.from[b] = m.from[b + 1], m.to[b] = m.to[b + 1];
            m.size[n - 2] = one[0], m.from[n - 2] = one[1], m.to[n - 2] = one[2];
        }
    return m;
}

#endif

typedef struct {
    const REAL *x;
    REAL *out;
    npdl_move m;
    int64_t rows, block, pieces; /* rows of the last axis in all and a block; pieces of a row where that is long */
} FN(npdl_move_work);

NPDL_INLINE void FN(npdl_copy_run)(const REAL *x, REAL *out, int64_t n) {
    int64_t j = 0;
    for (; j + VL <= n; j += VL) ST(out + j, LD(x + j));
    if (j < n) STN(out + j, LDN(x + j, n - j), n - j);
}

/* rows first ... last - 1 of one plane, columns start ... stop - 1 */
static void FN(npdl_move_plane)(const npdl_move *m, const REAL *x, REAL *out, int64_t first, int64_t last,
                                int64_t start, int64_t stop) {
    const int64_t down = m->from[m->axes - 2], right = m->from[m->axes - 1];
    const int64_t to_down = m->to[m->axes - 2], to_right = m->to[m->axes - 1];
    if (right == 1 && to_right == 1) {
        for (int64_t i = first; i < last; i++) {
            const REAL *next = x + npdl_min(i + 2, last - 1) * down; /* it may lie on another page */
            for (int64_t j = start; j < stop; j += 64 / (int64_t)sizeof(REAL)) __builtin_prefetch(next + j);
            FN(npdl_copy_run)(x + i * down + start, out + i * to_down + start, stop - start);
        }
        return;
    }
    if (down != 1 || last - first < NPDL_MOVE_TILE) {
        for (int64_t i = first; i < last; i++)
            for (int64_t j = start; j < stop; j++) out[i * to_down + j * to_right] = x[i * down + j * right];
        return;
    }
    for (int64_t i = first; i < last; i += NPDL_MOVE_TILE)
        for (int64_t j = start; j < stop; j += NPDL_MOVE_TILE) {
            const int64_t rows = NPDL_LESS(last - i, NPDL_MOVE_TILE), columns = NPDL_LESS(stop - j, NPDL_MOVE_TILE);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t c = 0; c < columns; c++)
                    out[(i + r) * to_down + (j + c) * to_right] = x[i + r + (j + c) * right];
        }
}

static void FN(npdl_move_block)(void *context, int64_t block, void *work) {
    const FN(npdl_move_work) *s = context;
    const npdl_move *m = &s->m;
    const int64_t plane = m->size[m->axes - 2], width = m->size[m->axes - 1];
    int64_t row = s->pieces > 1 ? block / s->pieces : block * s->block;
    int64_t last = s->pieces > 1 ? row + 1 : NPDL_LESS(s->rows, row + s->block), start = 0, stop = width;
    (void)work;
    if (s->pieces > 1) start = block % s->pieces * NPDL_GRAIN, stop = NPDL_LESS(width, start + NPDL_GRAIN);
    int64_t index[NPDL_MOVE_AXES], rest = row / plane;
    const REAL *x = s->x;
    REAL *out = s->out;
    for (int a = m->axes - 3; a >= 0; a--) {
        index[a] = rest % m->size[a], rest /= m->size[a];
        x += index[a] * m->from[a], out += index[a] * m->to[a];
    }
    for (int64_t first = row % plane; row < last; first = 0) {
        const int64_t count = NPDL_LESS(plane - first, last - row);
        FN(npdl_move_plane)(m, x, out, first, first + count, start, stop);
        row += count;
        for (int a = m->axes - 3; a >= 0; a--) { /* the next plane */
            x += m->from[a], out += m->to[a];
            if (++index[a] < m->size[a]) break;
            x -= m->size[a] * m->from[a], out -= m->size[a] * m->to[a], index[a] = 0;
        }
    }
}

/* out[i...] = x[i...], each with its strides, in numbers. */
NPDL_API void FN(npdl_move_all)(const REAL *x, REAL *out, int axes, const int64_t *size, const int64_t *from,
                                const int64_t *to) {
    for (int a = 0; a < axes; a++)
        if (!size[a]) return;
    FN(npdl_move_work) s = {x, out, npdl_simpler(axes, size, from, to), 1, 1, 1};
    const int64_t width = s.m.size[s.m.axes - 1];
    for (int a = 0; a < s.m.axes - 1; a++) s.rows *= s.m.size[a];
    s.pieces = NPDL_BLOCKS(width, NPDL_GRAIN);
    s.block = NPDL_BLOCKS(NPDL_GRAIN, width);
    if (s.m.from[s.m.axes - 2] == 1) { /* whole tiles */
        s.block = NPDL_BLOCKS(s.block, NPDL_MOVE_TILE) * NPDL_MOVE_TILE;
        s.pieces = 1;
    }
    npdl_parallel(FN(npdl_move_block), &s, s.pieces > 1 ? s.rows * s.pieces : NPDL_BLOCKS(s.rows, s.block), 0);
}

typedef struct {
    const REAL *dy;
    REAL *out;
    int64_t rows, block, b, c, p, q, r, channels;
} FN(npdl_repeat_work);

/* One row of places of dx, the sum over their copies in the order of memory. */
static void FN(npdl_repeat_row)(const FN(npdl_repeat_work) *s, int64_t row) {
    const int64_t width = s->c * s->r * s->channels, height = s->b * s->q * width; /* steps to dy's next q, p */
    const REAL *dy = s->dy + row / s->b * s->p * height + row % s->b * s->q * width;
    REAL *out = s->out + row * s->c * s->channels;
    for (int64_t k = 0; k < s->c; k++, dy += s->r * s->channels, out += s->channels)
        for (int64_t c = 0; c < s->channels; c += VL) {
            const int64_t count = NPDL_LESS(s->channels - c, VL);
            VEC sum = BC(0);
            for (int64_t p = 0; p < s->p; p++)
                for (int64_t q = 0; q < s->q; q++)
                    for (int64_t r = 0; r < s->r; r++)
                        sum = sum + NPDL_TAKE(dy + p * height + q * width + r * s->channels + c);
            NPDL_GIVE(out + c, sum);
        }
}

static void FN(npdl_repeat_block)(void *context, int64_t block, void *work) {
    const FN(npdl_repeat_work) *s = context;
    (void)work;
    for (int64_t row = block * s->block; row < NPDL_LESS(s->rows, (block + 1) * s->block); row++)
        FN(npdl_repeat_row)(s, row);
}

/* out (samples, a, b, c, channels) = Σ dy (samples, a·p, b·q, c·r, channels) over p, q, r */
NPDL_API void FN(npdl_repeat_grad)(const REAL *dy, REAL *out, int64_t samples, const int64_t *size, const int64_t *times,
                                   int64_t channels) {
    FN(npdl_repeat_work) s = {dy, out, samples * size[0] * size[1], 1, size[1], size[2], times[0], times[1], times[2],
                              channels};
    const int64_t work = s.c * s.p * s.q * s.r * channels;
    if (!s.rows || !work) return;
    s.block = NPDL_BLOCKS(NPDL_GRAIN, work);
    npdl_parallel(FN(npdl_repeat_block), &s, NPDL_BLOCKS(s.rows, s.block), 0);
}

typedef struct {
    const REAL *dy;
    REAL *out;
    const int64_t *source;
    int64_t rows, block, longer, length, before, channels;
} FN(npdl_fold_work);

static void FN(npdl_fold_block)(void *context, int64_t block, void *work) {
    const FN(npdl_fold_work) *s = context;
    const int64_t n = s->channels, stop = NPDL_LESS(s->rows, (block + 1) * s->block);
    (void)work;
    for (int64_t row = block * s->block; row < stop; row++) {
        const REAL *dy = s->dy + row * s->longer * n;
        REAL *out = s->out + row * s->length * n;
        memcpy(out, dy + s->before * n, s->length * n * sizeof(REAL));
        for (int64_t i = 0; i < s->longer; i++) {
            if (i == s->before) i += s->length;
            if (i == s->longer) break;
            const REAL *from = dy + i * n;
            REAL *to = out + s->source[i] * n;
            for (int64_t c = 0; c < n; c += VL) {
                const int64_t count = NPDL_LESS(n - c, VL);
                VEC sum = NPDL_TAKE(to + c) + NPDL_TAKE(from + c);
                NPDL_GIVE(to + c, sum);
            }
        }
    }
}

/* out (rows, length, channels) = the places of dy (rows, longer, channels) from `before` on, and to place source[i] the
 * others are added, in their order */
NPDL_API void FN(npdl_fold)(const REAL *dy, REAL *out, const int64_t *source, int64_t rows, int64_t longer,
                            int64_t length, int64_t before, int64_t channels) {
    FN(npdl_fold_work) s = {dy, out, source, rows, 1, longer, length, before, channels};
    if (!rows || !longer || !channels) return;
    s.block = NPDL_BLOCKS(NPDL_GRAIN, longer * channels);
    npdl_parallel(FN(npdl_fold_block), &s, NPDL_BLOCKS(rows, s.block), 0);
}
