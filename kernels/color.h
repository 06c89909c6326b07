/* Images in other colours, by two numbers of each. Formulas: npdl/kernels/reference/color.py.
 *
 * A pixel's three colours lie beside each other, and what is done to them is full of comparisons: number by number.
 */
#ifndef NPDL_COLOR_H
#define NPDL_COLOR_H

enum { NPDL_HSV, NPDL_GRAY, NPDL_SOLARIZE, NPDL_POSTERIZE };

#endif

typedef struct {
    const REAL *x, *dy;
    const double *numbers;
    REAL *out, low, high;
    int64_t size, block, pieces;
    int grad, way;
} FN(npdl_recolor_work);

NPDL_INLINE REAL FN(npdl_cut)(REAL v, REAL low, REAL high) { return v < low ? low : v > high ? high : v; }

/* One pixel of three colours, its hue turned by `turn` sixths, its chroma times `strength`; of g = dy the gradient. */
NPDL_INLINE void FN(npdl_hsv)(const REAL *x, const REAL *dy, REAL *out, REAL turn, REAL strength, REAL low, REAL high,
                              int grad) {
    const int largest = x[1] > x[0] ? (x[2] > x[1] ? 2 : 1) : (x[2] > x[0] ? 2 : 0);
    const int next = (largest + 1) % 3, last = (largest + 2) % 3;
    const REAL top = x[largest], p = x[next], q = x[last], chroma = top - (p <= q ? p : q);
    const REAL by = chroma == 0 ? 1 : chroma, ratio = (p - q) / by, room = top - low, much = strength * chroma;
    const int within = much <= room;
    const REAL made = room <= 0 ? 0 : within ? much : room;
    const REAL hue = ratio + (REAL)(2 * largest) + turn;
    REAL sum = 0, turned = 0, made_grad = 0;
    for (int c = 0; c < 3; c++) {
        REAL k = hue + (REAL)(5 - 2 * c); /* from 0 on and below 17 */
        k -= k >= 12 ? 12 : k >= 6 ? 6 : 0;
        const REAL rest = 4 - k, less = rest < k ? rest : k;
        const REAL t = less < 0 ? 0 : less > 1 ? 1 : less, y = FMA1(-made, t, top);
        if (!grad) {
            out[c] = FN(npdl_cut)(y, low, high);
            continue;
        }
        const REAL g = y > low && y < high ? dy[c] : 0;
        sum += g;
        made_grad = FMA1(-g, t, made_grad);
        turned += k > 0 && k < 1 ? g : k > 3 && k < 4 ? -g : 0;
    }
    if (!grad) return;
    const REAL e = turned * made / by;
    const REAL chroma_grad = e * ratio + (within && room > 0 ? strength * made_grad : 0);
    out[largest] = sum + (within || room <= 0 ? 0 : made_grad) + chroma_grad;
    out[next] = -e - (p <= q ? chroma_grad : 0);
    out[last] = e - (p <= q ? 0 : chroma_grad);
}

NPDL_INLINE void FN(npdl_gray)(const REAL *x, const REAL *dy, REAL *out, REAL share, REAL low, REAL high, int grad) {
    const REAL weight[3] = {(REAL)0.2989, (REAL)0.587, (REAL)0.114};
    const REAL gray = FMA1(weight[2], x[2], FMA1(weight[1], x[1], weight[0] * x[0]));
    REAL sum = 0, g[3] = {0};
    for (int c = 0; c < 3; c++) {
        const REAL y = FMA1(share, gray - x[c], x[c]);
        if (!grad) out[c] = FN(npdl_cut)(y, low, high);
        else g[c] = y > low && y < high ? dy[c] : 0, sum += g[c];
    }
    for (int c = 0; grad && c < 3; c++) out[c] = FMA1(share * weight[c], sum, (1 - share) * g[c]);
}

static void FN(npdl_recolor_block)(void *context, int64_t block, void *work) {
    const FN(npdl_recolor_work) own = *(const FN(npdl_recolor_work) *)context, *s = &own;
    const int64_t image = block / s->pieces, from = block % s->pieces * s->block;
    const int64_t count = NPDL_LESS(s->size - from, s->block), start = image * s->size + from;
    const REAL *x = s->x + start, *dy = s->dy + start, low = s->low, high = s->high;
    const REAL a = (REAL)s->numbers[2 * image], b = (REAL)s->numbers[2 * image + 1];
    REAL *out = s->out + start;
    (void)work;
    switch (s->way) {
    case NPDL_HSV: {
        double turns = a;
        const REAL turn = 6 * (a - (REAL)npdl_floor(&turns));
        for (int64_t i = 0; i < count; i += 3) FN(npdl_hsv)(x + i, dy + i, out + i, turn, b, low, high, s->grad);
        break;
    }
    case NPDL_GRAY:
        for (int64_t i = 0; i < count; i += 3) FN(npdl_gray)(x + i, dy + i, out + i, a, low, high, s->grad);
        break;
    case NPDL_SOLARIZE:
        for (int64_t i = 0; i < count; i++) {
            const REAL r = x[i] + a, cut = FN(npdl_cut)(r, low, high), y = cut < b ? cut : low + high - cut;
            if (s->grad) out[i] = r > low && r < high && y > low && y < high ? (r < b ? dy[i] : -dy[i]) : 0;
            else out[i] = y;
        }
        break;
    default: {
        const REAL up = 255 / (high - low), down = (high - low) / 255;
        for (int64_t i = 0; i < count; i++) {
            if (s->grad) {
                out[i] = 0;
                continue;
            }
            double steps = FN(npdl_cut)((x[i] - low) * up, 0, 255) / a;
            out[i] = FN(npdl_cut)(a * (REAL)npdl_floor(&steps) * down + low, low, high);
        }
    }
    }
}

/* x, dy and out: `samples` times `size` numbers; numbers: two a sample. Without `grad` dy is not read. */
NPDL_API void FN(npdl_recolor)(int grad, int way, const REAL *x, const REAL *dy, const double *numbers, double low,
                               double high, REAL *out, int64_t samples, int64_t size) {
    const int64_t block = NPDL_GRAIN / 4 / 3 * 3; /* whole pixels */
    FN(npdl_recolor_work) s = {x, dy, numbers, out, (REAL)low, (REAL)high, size, block, NPDL_BLOCKS(size, block), grad,
                               way};
    if (size) npdl_parallel(FN(npdl_recolor_block), &s, samples * s.pieces, 0);
}
