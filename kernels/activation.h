/* Activations, their gradients, and softmax along any axis.
 *
 * The codes are those of npdl/activations/; the formulas are there too. `saved` is y or z, as each object's `needs`
 * says. Outputs may be the inputs: every element is read before it is written.
 */
#ifndef NPDL_ACTIVATION_H
#define NPDL_ACTIVATION_H

enum {
    NPDL_LINEAR, NPDL_RELU, NPDL_GENERAL_RELU, NPDL_LEAKY_RELU, NPDL_ELU,
    NPDL_GELU, NPDL_GELU_TANH, NPDL_SIGMOID, NPDL_TANH, NPDL_SOFTMAX
};

#endif

/* ---- elementwise */

/* z becomes gelu'(z). */
NPDL_INLINE void FN(npdl_gelu_slopes)(VEC *z, int count) {
    VEC density[NPDL_WIDE], near[NPDL_WIDE];
    EACH near[j] = MAX(BC(-40), MIN(BC(40), z[j]));
    FN(npdl_normals)(z, density, count);
    EACH z[j] = FMA(near[j], density[j], z[j]);
}

/* ½ (1 + tanh u) = σ(2u) = s: from e = e^−|2u| neither s nor s (1 − s) loses digits. */
NPDL_INLINE void FN(npdl_gelu_tanh_both)(VEC *z, VEC *slope, int count) {
    const VEC a = BC((REAL)1.5957691216057308), b = BC((REAL)0.044715);  /* 2 √(2/π) */
    VEC near[NPDL_WIDE], square[NPDL_WIDE], u[NPDL_WIDE], e[NPDL_WIDE], w[NPDL_WIDE], s[NPDL_WIDE];
    EACH near[j] = MAX(BC(-30), MIN(BC(30), z[j]));
    EACH square[j] = near[j] * near[j];
    EACH u[j] = a * near[j] * FMA(b, square[j], BC(1));
    EACH e[j] = -FN(npdl_abs)(u[j]);
    FN(npdl_exps)(e, count);
    EACH w[j] = BC(1) / (BC(1) + e[j]);
    EACH s[j] = SELECT(u[j] < BC(0), e[j] * w[j], w[j]);
    EACH slope[j] = FMA(near[j] * (e[j] * w[j] * w[j]), a * FMA(b * BC(3), square[j], BC(1)), s[j]);
    EACH z[j] = MAX(BC(-30), z[j]) * s[j];
}

NPDL_INLINE void FN(npdl_gelu_tanhs)(VEC *z, int count) {
    VEC slope[NPDL_WIDE];
    FN(npdl_gelu_tanh_both)(z, slope, count);
}

/* z becomes the slope. */
NPDL_INLINE void FN(npdl_gelu_tanh_slopes)(VEC *z, int count) {
    VEC slope[NPDL_WIDE];
    FN(npdl_gelu_tanh_both)(z, slope, count);
    EACH z[j] = slope[j];
}

/* out = a(z), n elements; not for softmax and its like. */
static void FN(npdl_activate_to)(int code, const double *constants, const REAL *z, REAL *out, int64_t n) {
    const VEC zero = BC(0);
    VEC a = zero, b = zero, c = zero;
    if (code == NPDL_GENERAL_RELU || code == NPDL_LEAKY_RELU || code == NPDL_ELU) a = BC((REAL)constants[0]);
    if (code == NPDL_GENERAL_RELU) b = BC((REAL)constants[1]), c = BC((REAL)constants[2]);
    switch (code) {
    case NPDL_LINEAR: if (out != z) memcpy(out, z, n * sizeof(REAL)); break;
    case NPDL_RELU: NPDL_MAP(z, out, n, RELU(v)) break;
    case NPDL_GENERAL_RELU: NPDL_MAP(z, out, n, SELECT(v >= b, b, SELECT(v >= c, v, a * (v - c)))) break;
    case NPDL_LEAKY_RELU: NPDL_MAP(z, out, n, SELECT(v > zero, v, a * v)) break;
    case NPDL_ELU:
        NPDL_MAP2_WIDE(z, z, out, n, FN(npdl_expm1s_negative), SELECT(v[j] > zero, v[j], a * w[j]))
        break;
    case NPDL_GELU:  /* −infinity · 0 is not a number */
        NPDL_MAP2_WIDE(z, z, out, n, FN(npdl_cdfs), MAX(BC(-40), v[j]) * w[j])
        break;
    case NPDL_GELU_TANH: NPDL_MAP_WIDE(z, out, n, FN(npdl_gelu_tanhs)) break;
    case NPDL_SIGMOID: NPDL_MAP_WIDE(z, out, n, FN(npdl_sigmoids)) break;
    case NPDL_TANH: NPDL_MAP_WIDE(z, out, n, FN(npdl_tanhs)) break;
    default: FN(npdl_more_activate_to)(code, constants, z, out, n);
    }
}

/* p = a(p), the epilogue of other kernels: the same bits as the activation kernel. */
NPDL_INLINE void FN(npdl_activate)(int code, const double *constants, REAL *p, int64_t n) {
    FN(npdl_activate_to)(code, constants, p, p, n);
}

/* slope = a'(p), p = a(p), of GELU in either form, of `count` vectors, `lanes` of whose numbers count; lanes is a vector's
 * where there are several. */
NPDL_INLINE void FN(npdl_gelu_with_slope)(int code, REAL *p, REAL *slope, int count, int64_t lanes) {
    VEC z[NPDL_WIDE], w[NPDL_WIDE], density[NPDL_WIDE];
    EACH z[j] = lanes == VL ? LD(p + j * VL) : LDN(p, lanes);
    if (code == NPDL_GELU) { /* one density serves both */
        EACH w[j] = z[j];
        FN(npdl_normals)(w, density, count);
        EACH density[j] = FMA(MAX(BC(-40), MIN(BC(40), z[j])), density[j], w[j]);
        EACH z[j] = MAX(BC(-40), z[j]) * w[j];
        EACH w[j] = density[j];
    } else FN(npdl_gelu_tanh_both)(z, w, count);
    EACH {
        if (lanes == VL) ST(p + j * VL, z[j]), ST(slope + j * VL, w[j]);
        else STN(p, z[j], lanes), STN(slope, w[j], lanes);
    }
}

/* The same of n elements. */
static void FN(npdl_activate_with_slope)(int code, REAL *p, REAL *slope, int64_t n) {
    int64_t i = 0;
    if (code == NPDL_GELU)
        for (; i + NPDL_WIDE * VL <= n; i += NPDL_WIDE * VL)
            FN(npdl_gelu_with_slope)(NPDL_GELU, p + i, slope + i, NPDL_WIDE, VL);
    else
        for (; i + NPDL_WIDE * VL <= n; i += NPDL_WIDE * VL)
            FN(npdl_gelu_with_slope)(NPDL_GELU_TANH, p + i, slope + i, NPDL_WIDE, VL);
    for (; i < n; i += VL) FN(npdl_gelu_with_slope)(code, p + i, slope + i, 1, NPDL_LESS(n - i, VL));
}

/* out = dy · a'(saved), n elements; not for softmax and its like. */
static void FN(npdl_activate_grad)(int code, const double *constants, const REAL *dy, const REAL *saved, REAL *out,
                                   int64_t n) {
    const VEC zero = BC(0), one = BC(1);
    VEC a = zero, b = zero, c = zero;
    if (code == NPDL_GENERAL_RELU || code == NPDL_LEAKY_RELU || code == NPDL_ELU) a = BC((REAL)constants[0]);
    if (code == NPDL_GENERAL_RELU) b = BC((REAL)constants[1]), c = BC((REAL)constants[2]);
    switch (code) {  /* v = dy, w = saved */
    case NPDL_LINEAR: if (out != dy) memcpy(out, dy, n * sizeof(REAL)); break;
    case NPDL_RELU: NPDL_MAP2(dy, saved, out, n, SELECT(w > zero, v, zero)) break;
    case NPDL_GENERAL_RELU: NPDL_MAP2(dy, saved, out, n, SELECT(w >= b, zero, SELECT(w > c, v, a * v))) break;
    case NPDL_LEAKY_RELU: NPDL_MAP2(dy, saved, out, n, SELECT(w > zero, v, a * v)) break;
    case NPDL_ELU: NPDL_MAP2(dy, saved, out, n, SELECT(w > zero, v, v * (w + a))) break;
    case NPDL_GELU: NPDL_MAP2_WIDE(dy, saved, out, n, FN(npdl_gelu_slopes), v[j] * w[j]) break;
    case NPDL_GELU_TANH: NPDL_MAP2_WIDE(dy, saved, out, n, FN(npdl_gelu_tanh_slopes), v[j] * w[j]) break;
    case NPDL_SIGMOID: NPDL_MAP2(dy, saved, out, n, v * (w * (one - w))) break;
    case NPDL_TANH: NPDL_MAP2(dy, saved, out, n, v * FMA(-w, w, one)) break;
    default: FN(npdl_more_activate_grad)(code, constants, dy, saved, out, n);
    }
}

typedef struct {
    int code;
    const double *constants;
    const REAL *dy, *in;
    REAL *out;
    int64_t n;
} FN(npdl_activation_work);

static void FN(npdl_activation_block)(void *context, int64_t block, void *work) {
    const FN(npdl_activation_work) *t = context;
    int64_t start = block * NPDL_GRAIN, n = NPDL_LESS(t->n - start, NPDL_GRAIN);
    (void)work;
    if (t->dy) FN(npdl_activate_grad)(t->code, t->constants, t->dy + start, t->in + start, t->out + start, n);
    else FN(npdl_activate_to)(t->code, t->constants, t->in + start, t->out + start, n);
}

NPDL_API void FN(npdl_activation)(int code, const double *constants, const REAL *z, REAL *out, int64_t n) {
    FN(npdl_activation_work) t = {code, constants, NULL, z, out, n};
    npdl_parallel(FN(npdl_activation_block), &t, NPDL_BLOCKS(n, NPDL_GRAIN), 0);
}

NPDL_API void FN(npdl_activation_grad)(int code, const double *constants, const REAL *dy, const REAL *saved, REAL *out,
                                       int64_t n) {
    FN(npdl_activation_work) t = {code, constants, dy, saved, out, n};
    npdl_parallel(FN(npdl_activation_block), &t, NPDL_BLOCKS(n, NPDL_GRAIN), 0);
}

/* ---- softmax of arrays (outer, n, inner) along the middle axis
 *
 * inner = 1: a row is one piece of memory and is summed in lanes; pieces of long rows are added in order.
 * inner > 1: columns side by side, each summed from its first element to its last, in blocks of NPDL_SOFTMAX_BLOCK.
 */
#ifndef NPDL_SOFTMAX_BLOCK
#define NPDL_SOFTMAX_BLOCK 256
#endif


/* e = exp(z − max z) in each of `rows` rows of n; the maxima and the sums of e, a row each. e may be z. */
static void FN(npdl_shifted_exp)(const REAL *z, REAL *e, int64_t rows, int64_t n, REAL *top, REAL *sum) {
    for (int64_t r = 0; r < rows; r++) {
        const REAL *row = z + r * n;
        REAL *to = e + r * n;
        VEC shift = BC(top[r] = FN(npdl_max)(row, n));
        NPDL_MAP(row, to, n, v - shift)
    }
    NPDL_MAP_WIDE(e, e, rows * n, FN(npdl_exps))
    for (int64_t r = 0; r < rows; r++) sum[r] = FN(npdl_sum)(e + r * n, n);
}

typedef struct {
    const REAL *dy, *in;  /* dy NULL: forward */
    REAL *out;
    int64_t outer, n, inner, block;  /* block: rows, or columns */
} FN(npdl_softmax_work);

static void FN(npdl_softmax_rows)(const FN(npdl_softmax_work) *t, int64_t start, int64_t rows) {
    const REAL *in = t->in + start * t->n;
    REAL *out = t->out + start * t->n;
    REAL top[NPDL_PIECE], sum[NPDL_PIECE];
    int64_t n = t->n;
    if (!t->dy) FN(npdl_shifted_exp)(in, out, rows, n, top, sum);
    for (int64_t r = 0; r < rows; r++, in += n, out += n)
        if (t->dy) {
            const REAL *dy = t->dy + (start + r) * n;
            VEC dot = BC(FN(npdl_long_dot)(dy, in, n));
            NPDL_MAP2(dy, in, out, n, w * (v - dot))
        } else {
            VEC total = BC(sum[r]);
            NPDL_MAP(out, out, n, v / total)
        }
}

/* VL columns; `count` of them are there. */
NPDL_INLINE void FN(npdl_softmax_columns)(const FN(npdl_softmax_work) *t, int64_t start, int64_t count) {
    const REAL *in = t->in + start, *dy = t->dy + (t->dy ? start : 0);
    REAL *out = t->out + start;
    const int64_t n = t->n, step = t->inner;
    #define NPDL_IN(p) (count == VL ? LD(p) : LDN(p, count))
    #define NPDL_OUT(p, v) if (count == VL) ST(p, v); else STN(p, v, count)
    if (t->dy) {
        VEC dot = BC(0);
        for (int64_t i = 0; i < n;) {
            VEC block = BC(0);
            for (int64_t last = NPDL_LESS(n, i + NPDL_SOFTMAX_BLOCK); i < last; i++)
                block = FMA(NPDL_IN(dy + i * step), NPDL_IN(in + i * step), block);
            dot = dot + block;
        }
        for (int64_t i = 0; i < n; i++) {
            VEC v = NPDL_IN(in + i * step) * (NPDL_IN(dy + i * step) - dot);
            NPDL_OUT(out + i * step, v);
        }
        return;
    }
    VEC top = NPDL_IN(in), sum = BC(0);
    for (int64_t i = 1; i < n; i++) {
        VEC v = NPDL_IN(in + i * step);
        top = SELECT(v > top, v, top);
    }
    for (int64_t i = 0; i < n;) {
        VEC block = BC(0);
        for (int64_t last = NPDL_LESS(n, i + NPDL_SOFTMAX_BLOCK); i < last; i++) {
            VEC v = FN(npdl_exp)(NPDL_IN(in + i * step) - top);
            block = block + v;
            NPDL_OUT(out + i * step, v);
        }
        sum = sum + block;
    }
    for (int64_t i = 0; i < n; i++) {
        VEC v = NPDL_IN(out + i * step) / sum;
        NPDL_OUT(out + i * step, v);
    }
    #undef NPDL_IN
    #undef NPDL_OUT
}

static void FN(npdl_softmax_block)(void *context, int64_t block, void *work) {
    const FN(npdl_softmax_work) *t = context;
    (void)work;
    if (t->inner == 1) {
        int64_t start = block * t->block, stop = NPDL_LESS(t->outer, start + t->block);
        int64_t group = NPDL_LESS(NPDL_MORE(NPDL_PIECE / t->n, 1), NPDL_PIECE);
        for (; start < stop; start += group) FN(npdl_softmax_rows)(t, start, NPDL_LESS(group, stop - start));
        return;
    }
    int64_t per = NPDL_BLOCKS(t->inner, t->block), outer = block / per, column = block % per * t->block;
    int64_t stop = NPDL_LESS(t->inner, column + t->block), base = outer * t->n * t->inner;
    for (; column + VL <= stop; column += VL) FN(npdl_softmax_columns)(t, base + column, VL);
    if (column < stop) FN(npdl_softmax_columns)(t, base + column, stop - column);
}

/* out = softmax(in), or with dy: out = in (dy − Σ dy in) for in = softmax(z). */
NPDL_API void FN(npdl_softmax)(const REAL *dy, const REAL *in, REAL *out, int64_t outer, int64_t n, int64_t inner) {
    FN(npdl_softmax_work) t = {dy, in, out, outer, n, inner, 0};
    int64_t blocks;
    if (!outer || !n || !inner) return;
    t.block = NPDL_MORE(NPDL_GRAIN / n, 16);
    if (inner == 1) {
        t.block = NPDL_MORE(NPDL_GRAIN / n, 1);
        blocks = NPDL_BLOCKS(outer, t.block);
    } else blocks = outer * NPDL_BLOCKS(inner, t.block);
    npdl_parallel(FN(npdl_softmax_block), &t, blocks, 0);
}

/* ---- one elementary function by itself: what its tests call */

NPDL_API void FN(npdl_elementary)(int function, const REAL *x, REAL *out, int64_t n) {
    switch (function) {
    case 0: NPDL_MAP_WIDE(x, out, n, FN(npdl_exps)) break;
    case 1: NPDL_MAP_WIDE(x, out, n, FN(npdl_expm1s_negative)) break;
    case 2: NPDL_MAP(x, out, n, FN(npdl_log)(v)) break;
    case 3: NPDL_MAP(x, out, n, FN(npdl_log1p)(v)) break;
    case 4: NPDL_MAP_WIDE(x, out, n, FN(npdl_tanhs)) break;
    case 5: NPDL_MAP_WIDE(x, out, n, FN(npdl_sigmoids)) break;
    case 6: NPDL_MAP_WIDE(x, out, n, FN(npdl_cdfs)) break;
    case 7: NPDL_MAP_WIDE(x, out, n, FN(npdl_softpluses)) break;
    }
}
