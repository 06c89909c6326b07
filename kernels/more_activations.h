/* Activations beyond the usual ones: their bodies are apart, so that those of activation.h stay one small function.
 *
 * Formulas: npdl/activations/. `saved` is y or z, as each object's `needs` says. Outputs may be the inputs.
 */
#ifndef NPDL_MORE_ACTIVATIONS_H
#define NPDL_MORE_ACTIVATIONS_H

enum {
    NPDL_LOG_SOFTMAX = 10, NPDL_SPARSEMAX,  /* of whole rows: row_activations.h */
    NPDL_GENERAL_ELU, NPDL_SILU, NPDL_SOFTPLUS, NPDL_LOG_SIGMOID, NPDL_SOFTSIGN, NPDL_MISH, NPDL_EXPONENTIAL,
    NPDL_CLIPPED, NPDL_HARD_SILU, NPDL_HARD_SHRINK, NPDL_SOFT_SHRINK, NPDL_TANH_SHRINK, NPDL_THRESHOLD,
    NPDL_SQUAREPLUS, NPDL_SPARSE_PLUS, NPDL_GENERAL_SOFTPLUS, NPDL_ACTIVATIONS
};

#endif

/* √x, rounded correctly on every machine. */
NPDL_INLINE VEC FN(npdl_sqrt)(VEC x) {
#if NPDL_VECTOR_BYTES == 64 && NPDL_REAL_BITS == 32
    return (VEC)_mm512_sqrt_ps((__m512)x);
#elif NPDL_VECTOR_BYTES == 64
    return (VEC)_mm512_sqrt_pd((__m512d)x);
#elif NPDL_VECTOR_BYTES == 32 && NPDL_REAL_BITS == 32
    return (VEC)_mm256_sqrt_ps((__m256)x);
#elif NPDL_VECTOR_BYTES == 32
    return (VEC)_mm256_sqrt_pd((__m256d)x);
#else
    for (int j = 0; j < VL; j++) x[j] = sizeof(REAL) == 4 ? (REAL)__builtin_sqrtf((float)x[j]) : (REAL)__builtin_sqrt(x[j]);
    return x;
#endif
}

/* x becomes e^(b x) − 1; x > 0 counts as 0. */
NPDL_INLINE void FN(npdl_scaled_expm1s)(VEC *x, VEC b, int count) {
    EACH x[j] = b * x[j];
    FN(npdl_expm1s_negative)(x, count);
}

/* From e = e^−|z| and w = 1 / (1 + e):  σ(z) = w or e w, and σ(z) σ(−z) = e w². */
NPDL_INLINE void FN(npdl_silu_slopes)(VEC *z, int count) {
    VEC near[NPDL_WIDE], e[NPDL_WIDE], w[NPDL_WIDE], s[NPDL_WIDE];
    EACH near[j] = MAX(BC(-750), MIN(BC(750), z[j]));
    EACH e[j] = -FN(npdl_abs)(near[j]);
    FN(npdl_exps)(e, count);
    EACH w[j] = BC(1) / (BC(1) + e[j]);
    EACH s[j] = e[j] * w[j];
    EACH z[j] = FMA(near[j], s[j] * w[j], SELECT(near[j] < BC(0), s[j], w[j]));
}

/* ln(1 + e^−|z|), e = e^−|z|: with f = e, or from e = √2 − 1 on  ln 2 + ln(1 + f), f = (e − 1)/2, as in npdl_log_normal.
 * Below e = ½ that f is rounded; what it lost counts by 1/(1 + f), 1.37 there. */
NPDL_INLINE void FN(npdl_softplus_tails)(VEC *z, int count) {
    VEC f[NPDL_WIDE], s[NPDL_WIDE], square[NPDL_WIDE], r[NPDL_WIDE], half[NPDL_WIDE], lost[NPDL_WIDE];
    IVEC large[NPDL_WIDE];
    EACH z[j] = -FN(npdl_abs)(z[j]);
    FN(npdl_exps)(z, count);
    EACH large[j] = z[j] > BC((REAL)0.41421356237309503);
    EACH f[j] = SELECT(large[j], BC((REAL)0.5) * (z[j] - BC(1)), z[j]);
    EACH lost[j] = SELECT(large[j], BC((REAL)0.5) * z[j] - (f[j] + BC((REAL)0.5)), BC(0));
    EACH s[j] = f[j] / (f[j] + BC(2));
    EACH square[j] = s[j] * s[j];
    POLYS(FN(npdl_log_poly), square, r, count);
    EACH half[j] = BC((REAL)0.5) * f[j] * f[j];
    EACH r[j] = FMA(square[j], r[j], half[j]);
    EACH r[j] = FMA(s[j], r[j], SELECT(large[j], BC(FN(npdl_ln2_lo)), BC(0)));
    EACH r[j] = FMA(lost[j], BC((REAL)1.375), r[j]);
    EACH z[j] = SELECT(large[j], BC(FN(npdl_ln2_hi)), BC(0)) + (f[j] - (half[j] - r[j]));
}

NPDL_INLINE void FN(npdl_softpluses)(VEC *z, int count) {
    VEC tail[NPDL_WIDE];
    EACH tail[j] = z[j];
    FN(npdl_softplus_tails)(tail, count);
    EACH z[j] = MAX(BC(0), z[j]) + tail[j];
}

NPDL_INLINE void FN(npdl_log_sigmoids)(VEC *z, int count) {
    VEC tail[NPDL_WIDE];
    EACH tail[j] = z[j];
    FN(npdl_softplus_tails)(tail, count);
    EACH z[j] = MIN(BC(0), z[j]) - tail[j];
}

/* z becomes 1 − e^−|z|. */
NPDL_INLINE void FN(npdl_softplus_slopes)(VEC *z, int count) {
    EACH z[j] = -FN(npdl_abs)(z[j]);
    FN(npdl_expm1s_negative)(z, count);
    EACH z[j] = -z[j];
}

/* z becomes ln(1 + e^(b z)), or its slope: σ(b z), and 1 from the threshold on. */
NPDL_INLINE void FN(npdl_scaled_softpluses)(VEC *z, VEC b, int count) {
    EACH z[j] = b * z[j];
    FN(npdl_softpluses)(z, count);
}

NPDL_INLINE void FN(npdl_scaled_softplus_slopes)(VEC *z, VEC b, VEC threshold, int count) {
    IVEC over[NPDL_WIDE];
    EACH z[j] = b * z[j];
    EACH over[j] = z[j] > threshold;
    FN(npdl_sigmoids)(z, count);
    EACH z[j] = SELECT(over[j], BC(1), z[j]);
}

/* t = n / (n + 2), n = e (e + 2), e = eᶻ; from z = 40 on t is 1, and e² stays in range. */
NPDL_INLINE void FN(npdl_mish_both)(VEC *z, VEC *slope, int count) {
    VEC near[NPDL_WIDE], e[NPDL_WIDE], w[NPDL_WIDE], t[NPDL_WIDE];
    EACH near[j] = MAX(BC(-750), MIN(BC(40), z[j]));
    EACH e[j] = near[j];
    FN(npdl_exps)(e, count);
    EACH t[j] = e[j] * (e[j] + BC(2));
    EACH w[j] = BC(1) / (t[j] + BC(2));
    EACH t[j] = t[j] * w[j];
    EACH slope[j] = FMA(near[j], (BC(4) * e[j] * w[j]) * ((BC(1) + e[j]) * w[j]), t[j]);
    EACH z[j] = MAX(BC(-750), z[j]) * t[j];
}

NPDL_INLINE void FN(npdl_mishes)(VEC *z, int count) {
    VEC slope[NPDL_WIDE];
    FN(npdl_mish_both)(z, slope, count);
}

/* z becomes the slope. */
NPDL_INLINE void FN(npdl_mish_slopes)(VEC *z, int count) {
    VEC slope[NPDL_WIDE];
    FN(npdl_mish_both)(z, slope, count);
    EACH z[j] = slope[j];
}

NPDL_INLINE VEC FN(npdl_softsign)(VEC z) {
    VEC near = MAX(BC((REAL)-1e30), MIN(BC((REAL)1e30), z));
    return near / (BC(1) + FN(npdl_abs)(near));
}

NPDL_INLINE VEC FN(npdl_squareplus)(VEC z, VEC b) {
    VEC a = FN(npdl_abs)(z), near = MIN(BC((REAL)1e18), a);
    VEC twice = a + MAX(a, FN(npdl_sqrt)(FMA(near, near, b)));
    return BC((REAL)0.5) * SELECT(z < BC(0), b / twice, twice);
}

NPDL_INLINE VEC FN(npdl_squareplus_slope)(VEC y, VEC quarter) {
    VEC near = MIN(BC((REAL)1e18), y), square = near * near;
    return square / (square + quarter);
}

NPDL_INLINE VEC FN(npdl_sparse_plus)(VEC z) {
    VEC half = BC((REAL)0.5) * (MAX(BC(-1), z) + BC(1));
    return SELECT(z >= BC(1), z, half * half);
}

/* out = a(z), n elements */
static void FN(npdl_more_activate_to)(int code, const double *constants, const REAL *z, REAL *out, int64_t n) {
    const VEC zero = BC(0), one = BC(1), a = BC((REAL)constants[0]), b = BC((REAL)constants[1]), c = BC((REAL)constants[2]);
    switch (code) {
    case NPDL_GENERAL_ELU:
        #define NPDL_SCALED(w, count) FN(npdl_scaled_expm1s)(w, c, count)
        NPDL_MAP2_WIDE(z, z, out, n, NPDL_SCALED, SELECT(v[j] > zero, a * v[j], b * w[j]))
        #undef NPDL_SCALED
        break;
    case NPDL_SILU: NPDL_MAP2_WIDE(z, z, out, n, FN(npdl_sigmoids), MAX(BC(-750), v[j]) * w[j]) break;
    case NPDL_SOFTPLUS: NPDL_MAP_WIDE(z, out, n, FN(npdl_softpluses)) break;
    case NPDL_LOG_SIGMOID: NPDL_MAP_WIDE(z, out, n, FN(npdl_log_sigmoids)) break;
    case NPDL_SOFTSIGN: NPDL_MAP(z, out, n, FN(npdl_softsign)(v)) break;
    case NPDL_MISH: NPDL_MAP_WIDE(z, out, n, FN(npdl_mishes)) break;
    case NPDL_EXPONENTIAL: NPDL_MAP_WIDE(z, out, n, FN(npdl_exps)) break;
    case NPDL_CLIPPED: NPDL_MAP(z, out, n, MIN(one, MAX(c, FMA(a, v, b)))) break;
    case NPDL_HARD_SILU:
        NPDL_MAP(z, out, n,
                 MAX(BC(-3), v) * MIN(one, MAX(zero, FMA(v, BC((REAL)(1.0 / 6)), BC((REAL)0.5)))))
        break;
    case NPDL_HARD_SHRINK: NPDL_MAP(z, out, n, SELECT(FN(npdl_abs)(v) <= a, zero, v)) break;
    case NPDL_SOFT_SHRINK: NPDL_MAP(z, out, n, v - MAX(-a, MIN(a, v))) break;
    case NPDL_TANH_SHRINK: NPDL_MAP2_WIDE(z, z, out, n, FN(npdl_tanhs), v[j] - w[j]) break;
    case NPDL_THRESHOLD: NPDL_MAP(z, out, n, SELECT(v <= a, b, v)) break;
    case NPDL_SQUAREPLUS: NPDL_MAP(z, out, n, FN(npdl_squareplus)(v, a)) break;
    case NPDL_SPARSE_PLUS: NPDL_MAP(z, out, n, FN(npdl_sparse_plus)(v)) break;
    case NPDL_GENERAL_SOFTPLUS:
        #define NPDL_SCALED(w, count) FN(npdl_scaled_softpluses)(w, a, count)
        NPDL_MAP2_WIDE(z, z, out, n, NPDL_SCALED, SELECT(a * v[j] > b, v[j], c * w[j]))
        #undef NPDL_SCALED
        break;
    }
}

/* out = dy · a'(saved), n elements */
static void FN(npdl_more_activate_grad)(int code, const double *constants, const REAL *dy, const REAL *saved, REAL *out,
                                        int64_t n) {
    const VEC zero = BC(0), one = BC(1), a = BC((REAL)constants[0]), b = BC((REAL)constants[1]), c = BC((REAL)constants[2]);
    switch (code) {  /* v = dy, w = saved */
    case NPDL_GENERAL_ELU: NPDL_MAP2(dy, saved, out, n, v * SELECT(w > zero, a, c * (w + b))) break;
    case NPDL_SILU: NPDL_MAP2_WIDE(dy, saved, out, n, FN(npdl_silu_slopes), v[j] * w[j]) break;
    case NPDL_SOFTPLUS: case NPDL_LOG_SIGMOID:  /* y ≥ 0 of the one, y ≤ 0 of the other */
        NPDL_MAP2_WIDE(dy, saved, out, n, FN(npdl_softplus_slopes), v[j] * w[j])
        break;
    case NPDL_SOFTSIGN: NPDL_MAP2(dy, saved, out, n, (w = one / (one + FN(npdl_abs)(w)), v * w * w)) break;
    case NPDL_MISH: NPDL_MAP2_WIDE(dy, saved, out, n, FN(npdl_mish_slopes), v[j] * w[j]) break;
    case NPDL_EXPONENTIAL: NPDL_MAP2(dy, saved, out, n, v * w) break;
    case NPDL_CLIPPED: NPDL_MAP2(dy, saved, out, n, SELECT((w > c) & (w < one), a * v, zero)) break;
    case NPDL_HARD_SILU:
        NPDL_MAP2(dy, saved, out, n,
                  v * SELECT(w <= BC(-3), zero, SELECT(w >= BC(3), one, FMA(w, BC((REAL)(1.0 / 3)), BC((REAL)0.5)))))
        break;
    case NPDL_HARD_SHRINK: case NPDL_SOFT_SHRINK: NPDL_MAP2(dy, saved, out, n, SELECT(w != zero, v, zero)) break;
    case NPDL_TANH_SHRINK: NPDL_MAP2_WIDE(dy, saved, out, n, FN(npdl_tanhs), v[j] * (w[j] * w[j])) break;
    case NPDL_THRESHOLD: NPDL_MAP2(dy, saved, out, n, SELECT(w > a, v, zero)) break;
    case NPDL_SQUAREPLUS:
        NPDL_MAP2(dy, saved, out, n, v * FN(npdl_squareplus_slope)(w, BC((REAL)0.25) * a))
        break;
    case NPDL_SPARSE_PLUS: NPDL_MAP2(dy, saved, out, n, v * MIN(one, FN(npdl_sqrt)(w))) break;
    case NPDL_GENERAL_SOFTPLUS:
        #define NPDL_SCALED(w, count) FN(npdl_scaled_softplus_slopes)(w, a, b, count)
        NPDL_MAP2_WIDE(dy, saved, out, n, NPDL_SCALED, v[j] * w[j])
        #undef NPDL_SCALED
        break;
    }
}
