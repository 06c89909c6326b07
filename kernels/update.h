/* SGD, Adam and AdamW, the most frequent updates. Formulas: npdl/kernels/reference/update.py, in the same order of
 * operations and without fused multiply-adds, so that both give the same bits.
 *
 * The others are compiled by Numba (npdl/kernels/cpu/bodies), in vectors of half the width and without fetching ahead,
 * by which Adam on 2.2 million weights is a sixth faster (Xeon, 36 MB of third cache, two threads).
 *
 * A block is the pieces blocks[b] ... blocks[b + 1] − 1 of rows (start, stop, row of segments), as for Numba's bodies.
 */

#ifndef NPDL_UPDATE_H
#define NPDL_UPDATE_H

/* What a block is called with; arrays: p, g and the state, NULL for what there is not. */
typedef struct {
    const int64_t *blocks, (*pieces)[3];
    const double (*segments)[5], *hyper; /* (start, stop, scale, decay, trainable); the numbers of the kernel */
    void *arrays[5];
} npdl_update;

#endif

/* Running means below this are set to 0. */
#define NPDL_LEAST BC(NPDL_REAL_BITS == 32 ? (REAL)0x1p-103 : (REAL)0x1p-970)

/* ---- SGD */

typedef struct { REAL eta, mu, decay, keep; int nesterov; } FN(npdl_sgd_numbers);

NPDL_INLINE VEC FN(npdl_sgd_vector)(const FN(npdl_sgd_numbers) *c, VEC p, VEC g, VEC *velocity) {
    VEC d = g + BC(c->decay) * p;
    if (velocity) {
        const VEC u = BC(c->mu) * *velocity + d;
        *velocity = SELECT(FN(npdl_abs)(u) < NPDL_LEAST, BC(0), u);
        if (c->nesterov) d = d + BC(c->mu) * *velocity;
        else d = *velocity;
    }
    return BC(c->keep) * p - BC(c->eta) * d;
}

NPDL_INLINE void FN(npdl_sgd_piece)(const FN(npdl_sgd_numbers) *c, REAL *p, const REAL *g, REAL *velocity, int64_t n) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        VEC u = velocity ? LD(velocity + i) : BC(0);
        NPDL_FETCH_ONE(p + i)
        NPDL_FETCH_ONE(g + i)
        if (velocity) NPDL_FETCH_ONE(velocity + i)
        ST(p + i, FN(npdl_sgd_vector)(c, LD(p + i), LD(g + i), velocity ? &u : NULL));
        if (velocity) ST(velocity + i, u);
    }
    if (i < n) {
        VEC u = velocity ? LDN(velocity + i, n - i) : BC(0);
        STN(p + i, FN(npdl_sgd_vector)(c, LDN(p + i, n - i), LDN(g + i, n - i), velocity ? &u : NULL), n - i);
        if (velocity) STN(velocity + i, u, n - i);
    }
}

/* hyper: η, μ, nesterov, decoupled; arrays: p, g, velocity or NULL */
NPDL_API void FN(npdl_sgd)(void *context, int64_t block, void *work) {
    const npdl_update *t = context;
    FN(npdl_sgd_numbers) c = {.mu = (REAL)t->hyper[1], .nesterov = t->hyper[2] != 0};
    (void)work;
    for (int64_t i = t->blocks[block]; i < t->blocks[block + 1]; i++) {
        const int64_t start = t->pieces[i][0], n = t->pieces[i][1] - start;
        const double *segment = t->segments[t->pieces[i][2]], eta = t->hyper[0] * segment[2], decay = segment[3];
        REAL *p = (REAL *)t->arrays[0] + start, *g = (REAL *)t->arrays[1] + start, *velocity = t->arrays[2];
        c.eta = (REAL)eta;
        c.decay = t->hyper[3] != 0 ? 0 : (REAL)decay;
        c.keep = t->hyper[3] != 0 ? (REAL)(1 - eta * decay) : 1;
        if (velocity) FN(npdl_sgd_piece)(&c, p, g, velocity + start, n);
        else FN(npdl_sgd_piece)(&c, p, g, NULL, n);
    }
}

/* ---- Adam, AdamW */

typedef struct {
    REAL beta_1, rest_1, beta_2, rest_2, root, epsilon, step, decay, keep;
} FN(npdl_adam_numbers);

NPDL_INLINE VEC FN(npdl_adam_vector)(const FN(npdl_adam_numbers) *c, VEC p, VEC g, VEC *m, VEC *v, VEC *v_max) {
    const VEC d = g + BC(c->decay) * p;
    const VEC s = BC(c->beta_1) * *m + BC(c->rest_1) * d;
    const VEC q = BC(c->beta_2) * *v + BC(c->rest_2) * (d * d);
    *m = SELECT(FN(npdl_abs)(s) < NPDL_LEAST, BC(0), s);
    *v = SELECT(q < NPDL_LEAST, BC(0), q);
    VEC under = *v;
    if (v_max) *v_max = under = SELECT(under > *v_max, under, *v_max);
    return BC(c->keep) * p - BC(c->step) * *m / (FN(npdl_sqrt)(under) * BC(c->root) + BC(c->epsilon));
}

NPDL_INLINE void FN(npdl_adam_piece)(const FN(npdl_adam_numbers) *c, REAL *p, const REAL *g, REAL *m, REAL *v,
                                     REAL *v_max, int64_t n) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        VEC a = LD(m + i), b = LD(v + i), most = v_max ? LD(v_max + i) : b;
        NPDL_FETCH_ONE(p + i)
        NPDL_FETCH_ONE(g + i)
        NPDL_FETCH_ONE(m + i)
        NPDL_FETCH_ONE(v + i)
        ST(p + i, FN(npdl_adam_vector)(c, LD(p + i), LD(g + i), &a, &b, v_max ? &most : NULL));
        ST(m + i, a);
        ST(v + i, b);
        if (v_max) ST(v_max + i, most);
    }
    if (i < n) {
        VEC a = LDN(m + i, n - i), b = LDN(v + i, n - i), most = v_max ? LDN(v_max + i, n - i) : b;
        STN(p + i, FN(npdl_adam_vector)(c, LDN(p + i, n - i), LDN(g + i, n - i), &a, &b, v_max ? &most : NULL), n - i);
        STN(m + i, a, n - i);
        STN(v + i, b, n - i);
        if (v_max) STN(v_max + i, most, n - i);
    }
}

NPDL_INLINE void FN(npdl_adam_block)(const npdl_update *t, int64_t block, int decoupled) {
    const double *hyper = t->hyper;
    FN(npdl_adam_numbers) c = {
        .beta_1 = (REAL)hyper[1], .rest_1 = (REAL)(1 - hyper[1]), .beta_2 = (REAL)hyper[2],
        .rest_2 = (REAL)(1 - hyper[2]), .root = (REAL)(1 / sqrt(hyper[4])), .epsilon = (REAL)hyper[5],
    };
    for (int64_t i = t->blocks[block]; i < t->blocks[block + 1]; i++) {
        const int64_t start = t->pieces[i][0], n = t->pieces[i][1] - start;
        const double *segment = t->segments[t->pieces[i][2]], eta = hyper[0] * segment[2], decay = segment[3];
        REAL *p = (REAL *)t->arrays[0] + start, *g = (REAL *)t->arrays[1] + start, *m = (REAL *)t->arrays[2] + start;
        REAL *v = (REAL *)t->arrays[3] + start, *v_max = t->arrays[4];
        c.step = (REAL)(eta / hyper[3]);
        c.decay = decoupled ? 0 : (REAL)decay;
        c.keep = decoupled ? (REAL)(1 - eta * decay) : 1;
        if (v_max) FN(npdl_adam_piece)(&c, p, g, m, v, v_max + start, n);
        else FN(npdl_adam_piece)(&c, p, g, m, v, NULL, n);
    }
}

/* hyper: η, β₁, β₂, 1 − β₁ᵗ, 1 − β₂ᵗ, ε; arrays: p, g, m, v, v_max or NULL */
NPDL_API void FN(npdl_adam)(void *context, int64_t block, void *work) {
    (void)work;
    FN(npdl_adam_block)(context, block, 0);
}

NPDL_API void FN(npdl_adamw)(void *context, int64_t block, void *work) {
    (void)work;
    FN(npdl_adam_block)(context, block, 1);
}

#undef NPDL_LEAST
