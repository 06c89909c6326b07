/* Losses that are a mean over elements: value and derivative of each formula, on vectors. loss.h runs them.
 *
 * FN(npdl_NAME)(t, p, c) and FN(npdl_NAME_slope)(t, p, c), c the formula's constants, each in all lanes. What they are:
 * npdl/kernels/reference/element_loss.py. To add one: both functions, and a line in NPDL_ELEMENT_LOSSES.
 */
#ifndef NPDL_ELEMENT_LOSS_H
#define NPDL_ELEMENT_LOSS_H

#define NPDL_CLIP 1e-7  /* probabilities are kept this far from 0 and 1, as in Keras */
#define NPDL_CONSTANTS 4

#define NPDL_ELEMENT_LOSSES(LOSS) \
    LOSS(NPDL_SQUARED, squared) \
    LOSS(NPDL_ABSOLUTE, absolute) \
    LOSS(NPDL_HUBER, huber) \
    LOSS(NPDL_BINARY_LOGITS, binary_logits) \
    LOSS(NPDL_BINARY, binary) \
    LOSS(NPDL_SMOOTH_L1, smooth_l1) \
    LOSS(NPDL_LOG_COSH, log_cosh) \
    LOSS(NPDL_SQUARED_LOGARITHMIC, squared_logarithmic) \
    LOSS(NPDL_PERCENTAGE, percentage) \
    LOSS(NPDL_QUANTILE, quantile) \
    LOSS(NPDL_POISSON, poisson) \
    LOSS(NPDL_POISSON_LOG, poisson_log) \
    LOSS(NPDL_KL_DIVERGENCE, kl_divergence) \
    LOSS(NPDL_KL_LOGARITHMS, kl_logarithms) \
    LOSS(NPDL_HINGE, hinge) \
    LOSS(NPDL_SQUARED_HINGE, squared_hinge) \
    LOSS(NPDL_SOFT_MARGIN, soft_margin) \
    LOSS(NPDL_HINGE_EMBEDDING, hinge_embedding) \
    LOSS(NPDL_CONTRASTIVE_DISTANCE, contrastive_distance) \
    LOSS(NPDL_BINARY_FOCAL_LOGITS, binary_focal_logits) \
    LOSS(NPDL_BINARY_FOCAL, binary_focal) \
    LOSS(NPDL_GENERALIZED, generalized)

#define NPDL_ENUM(kind, name) kind,
enum { NPDL_ELEMENT_LOSSES(NPDL_ENUM) NPDL_ELEMENT_COUNT };

#endif

/* The frequent ones are part of their loop; for the others a call a vector is little beside their work, and 40 loops with
 * logarithms in them would take the compiler a minute. */
#define ELEMENT(name) static __attribute__((noinline)) VEC FN(name)(VEC t, VEC p, const VEC *c)
#define ELEMENT_INLINE(name) NPDL_INLINE VEC FN(name)(VEC t, VEC p, const VEC *c)

/* ---- parts */

NPDL_INLINE VEC FN(npdl_clip)(VEC p) {
    const VEC low = BC((REAL)NPDL_CLIP), high = BC((REAL)(1 - NPDL_CLIP));
    p = SELECT(p < low, low, p);
    return SELECT(p > high, high, p);
}

/* a where p is clipped, else b; a NaN is not clipped. */
NPDL_INLINE VEC FN(npdl_where_clipped)(VEC p, VEC a, VEC b) {
    return SELECT((p < BC((REAL)NPDL_CLIP)) | (p > BC((REAL)(1 - NPDL_CLIP))), a, b);
}

NPDL_INLINE VEC FN(npdl_signum)(VEC e) {
    return SELECT(e > BC(0), BC(1), SELECT(e < BC(0), BC(-1), SELECT(e == BC(0), BC(0), e)));
}

NPDL_INLINE VEC FN(npdl_positive)(VEC x) { return SELECT(x < BC(0), BC(0), x); }

/* max(x, low), where x is not NaN */
NPDL_INLINE VEC FN(npdl_at_least)(VEC x, VEC low) { return SELECT(x < low, low, x); }

NPDL_INLINE VEC FN(npdl_softplus)(VEC x) {
    return FN(npdl_positive)(x) + FN(npdl_log1p)(FN(npdl_exp)(-FN(npdl_abs)(x)));
}

/* qᵞ for q ≥ 0 */
NPDL_INLINE VEC FN(npdl_power)(VEC q, VEC gamma) {
    VEC power = FN(npdl_exp)(gamma * FN(npdl_log)(q));
    return SELECT((q == BC(0)) | (gamma == BC(0)), SELECT(gamma == BC(0), BC(1), BC(0)), power);
}

/* ---- of the error p − t */

ELEMENT_INLINE(npdl_squared) { return (p - t) * (p - t); }
ELEMENT_INLINE(npdl_squared_slope) { return BC(2) * (p - t); }

ELEMENT_INLINE(npdl_absolute) { return FN(npdl_abs)(p - t); }
ELEMENT_INLINE(npdl_absolute_slope) { return FN(npdl_signum)(p - t); }

ELEMENT_INLINE(npdl_huber) {
    VEC a = FN(npdl_abs)(p - t), near = SELECT(a > c[0], c[0], a);
    return near * near * BC((REAL)0.5) + c[0] * (a - near);
}
ELEMENT_INLINE(npdl_huber_slope) {
    VEC e = p - t;
    e = SELECT(e < -c[0], -c[0], e);
    return SELECT(e > c[0], c[0], e);
}

ELEMENT(npdl_smooth_l1) { return FN(npdl_huber)(t, p, c) / c[0]; }
ELEMENT(npdl_smooth_l1_slope) { return FN(npdl_huber_slope)(t, p, c) / c[0]; }

/* ln cosh e: near 0 by cosh e − 1 = (1 − e⁻ᵃ)² eᵃ / 2, a = |e|, which keeps its digits */
ELEMENT(npdl_log_cosh) {
    VEC a = FN(npdl_abs)(p - t), m = -a;
    FN(npdl_expm1s_negative)(&m, 1);
    VEC near = FN(npdl_log1p)(m * m * FN(npdl_exp)(a) * BC((REAL)0.5));
    VEC far = a + (FN(npdl_log1p)(FN(npdl_exp)(BC(-2) * a)) - BC((REAL)0.6931471805599453));
    return SELECT(a < BC(1), near, far);
}
ELEMENT(npdl_log_cosh_slope) {
    VEC e = p - t;
    FN(npdl_tanhs)(&e, 1);
    return e;
}

NPDL_INLINE VEC FN(npdl_log_ratio)(VEC t, VEC p) {
    const VEC low = BC((REAL)NPDL_CLIP), one = BC(1);
    return FN(npdl_log)(FN(npdl_at_least)(p, low) + one) - FN(npdl_log)(FN(npdl_at_least)(t, low) + one);
}
ELEMENT(npdl_squared_logarithmic) {
    VEC e = FN(npdl_log_ratio)(t, p);
    return e * e;
}
ELEMENT(npdl_squared_logarithmic_slope) {
    VEC slope = BC(2) * FN(npdl_log_ratio)(t, p) / (p + BC(1));
    return SELECT(p < BC((REAL)NPDL_CLIP), BC(0), slope);
}

ELEMENT(npdl_percentage) {
    return BC(100) * (FN(npdl_abs)(p - t) / FN(npdl_at_least)(FN(npdl_abs)(t), BC((REAL)NPDL_CLIP)));
}
ELEMENT(npdl_percentage_slope) {
    return BC(100) * FN(npdl_signum)(p - t) / FN(npdl_at_least)(FN(npdl_abs)(t), BC((REAL)NPDL_CLIP));
}

ELEMENT(npdl_quantile) {
    VEC e = t - p;
    return SELECT(e < BC(0), (c[0] - BC(1)) * e, c[0] * e);
}
ELEMENT(npdl_quantile_slope) {
    VEC e = t - p;
    return SELECT(e < BC(0), BC(1) - c[0], SELECT(e > BC(0), -c[0], e));
}

/* ---- likelihoods */

/* Stirling's ln t!, where it is asked for (c[1] = 1) and t > 1 */
NPDL_INLINE VEC FN(npdl_stirling)(VEC t, VEC wanted) {
    VEC safe = SELECT(t > BC(1), t, BC(1));
    VEC terms = t * FN(npdl_log)(safe) - t + BC((REAL)0.5) * FN(npdl_log)(BC((REAL)6.283185307179586) * safe);
    return SELECT((t > BC(1)) & (wanted == BC(1)), terms, BC(0));
}
ELEMENT(npdl_poisson) { return p - t * FN(npdl_log)(p + c[0]) + FN(npdl_stirling)(t, c[1]); }
ELEMENT(npdl_poisson_slope) { return BC(1) - t / (p + c[0]); }
ELEMENT(npdl_poisson_log) { return FN(npdl_exp)(p) - t * p + FN(npdl_stirling)(t, c[1]); }
ELEMENT(npdl_poisson_log_slope) { return FN(npdl_exp)(p) - t; }

/* c[0]: classes */
ELEMENT(npdl_kl_divergence) {
    const VEC low = BC((REAL)NPDL_CLIP);
    t = FN(npdl_at_least)(t, low), t = SELECT(t > BC(1), BC(1), t);
    p = FN(npdl_at_least)(p, low), p = SELECT(p > BC(1), BC(1), p);
    return c[0] * t * (FN(npdl_log)(t) - FN(npdl_log)(p));
}
ELEMENT(npdl_kl_divergence_slope) {
    const VEC low = BC((REAL)NPDL_CLIP);
    t = FN(npdl_at_least)(t, low), t = SELECT(t > BC(1), BC(1), t);
    return SELECT((p < low) | (p > BC(1)), BC(0), -(c[0] * t) / p);
}

/* p is a logarithm, and t where c[0] is 1 */
ELEMENT(npdl_kl_logarithms) {
    if (c[0][0] == 1) return FN(npdl_exp)(t) * (t - p);
    return SELECT(t == BC(0), BC(0), t * FN(npdl_log)(t)) - t * p;
}
ELEMENT(npdl_kl_logarithms_slope) { return c[0][0] == 1 ? -FN(npdl_exp)(t) : -t; }

/* c[0]: classes, c[1]: q */
ELEMENT(npdl_generalized) { return c[0] * t * ((BC(1) - FN(npdl_power)(FN(npdl_clip)(p), c[1])) / c[1]); }
ELEMENT(npdl_generalized_slope) {
    return FN(npdl_where_clipped)(p, BC(0), -(c[0] * t) * FN(npdl_power)(FN(npdl_clip)(p), c[1] - BC(1)));
}

/* binary cross-entropy, c[0] the label smoothing */
NPDL_INLINE VEC FN(npdl_smoothed)(VEC t, VEC smoothing) {
    return FMA(t, BC(1) - smoothing, smoothing * BC((REAL)0.5));
}
NPDL_INLINE VEC FN(npdl_entropy_logits)(VEC t, VEC z) {
    return FN(npdl_positive)(z) - z * t + FN(npdl_log1p)(FN(npdl_exp)(-FN(npdl_abs)(z)));
}
NPDL_INLINE VEC FN(npdl_entropy)(VEC t, VEC p) {
    return -(t * FN(npdl_log)(p)) - (BC(1) - t) * FN(npdl_log1p)(-p);
}
ELEMENT_INLINE(npdl_binary_logits) { return FN(npdl_entropy_logits)(FN(npdl_smoothed)(t, c[0]), p); }
ELEMENT_INLINE(npdl_binary_logits_slope) { return FN(npdl_sigmoid)(p) - FN(npdl_smoothed)(t, c[0]); }
ELEMENT_INLINE(npdl_binary) { return FN(npdl_entropy)(FN(npdl_smoothed)(t, c[0]), FN(npdl_clip)(p)); }
ELEMENT_INLINE(npdl_binary_slope) {
    VEC kept = FN(npdl_clip)(p);
    return FN(npdl_where_clipped)(p, BC(0), (kept - FN(npdl_smoothed)(t, c[0])) / (kept * (BC(1) - kept)));
}

/* focal: c = smoothing, γ, weight of 1, weight of 0. q is the probability of what is not so, t (1 − p) + (1 − t) p. */
NPDL_INLINE VEC FN(npdl_balance)(VEC t, const VEC *c) { return t * c[2] + (BC(1) - t) * c[3]; }
ELEMENT(npdl_binary_focal_logits) {
    t = FN(npdl_smoothed)(t, c[0]);
    VEC q = t * FN(npdl_sigmoid)(-p) + (BC(1) - t) * FN(npdl_sigmoid)(p);
    return FN(npdl_balance)(t, c) * FN(npdl_power)(q, c[1]) * FN(npdl_entropy_logits)(t, p);
}
ELEMENT(npdl_binary_focal_logits_slope) {
    t = FN(npdl_smoothed)(t, c[0]);
    VEC yes = FN(npdl_sigmoid)(p), no = FN(npdl_sigmoid)(-p), q = t * no + (BC(1) - t) * yes;
    VEC ratio = SELECT(q == BC(0), BC(0), yes * no / q);
    VEC slope = c[1] * (BC(1) - (t + t)) * ratio * FN(npdl_entropy_logits)(t, p) + (yes - t);
    return FN(npdl_balance)(t, c) * FN(npdl_power)(q, c[1]) * slope;
}
ELEMENT(npdl_binary_focal) {
    t = FN(npdl_smoothed)(t, c[0]), p = FN(npdl_clip)(p);
    VEC q = t * (BC(1) - p) + (BC(1) - t) * p;
    return FN(npdl_balance)(t, c) * FN(npdl_power)(q, c[1]) * FN(npdl_entropy)(t, p);
}
ELEMENT(npdl_binary_focal_slope) {
    t = FN(npdl_smoothed)(t, c[0]);
    VEC kept = FN(npdl_clip)(p), no = BC(1) - kept, q = t * no + (BC(1) - t) * kept;
    VEC slope = c[1] * (BC(1) - (t + t)) * FN(npdl_entropy)(t, kept) / q + (kept - t) / (kept * no);
    return FN(npdl_where_clipped)(p, BC(0), FN(npdl_balance)(t, c) * FN(npdl_power)(q, c[1]) * slope);
}

/* ---- margins; a target of 0 counts as −1 in the first two */

NPDL_INLINE VEC FN(npdl_gap)(VEC t, VEC p) { return FN(npdl_positive)(BC(1) - SELECT(t == BC(0), BC(-1), t) * p); }
NPDL_INLINE VEC FN(npdl_away)(VEC t) { return SELECT(t == BC(0), BC(1), -t); }
ELEMENT(npdl_hinge) { return FN(npdl_gap)(t, p); }
ELEMENT(npdl_hinge_slope) {
    VEC gap = FN(npdl_gap)(t, p);
    return SELECT(gap == BC(0), BC(0), SELECT(gap > BC(0), FN(npdl_away)(t), gap));
}
ELEMENT(npdl_squared_hinge) { return FN(npdl_gap)(t, p) * FN(npdl_gap)(t, p); }
ELEMENT(npdl_squared_hinge_slope) { return BC(2) * FN(npdl_gap)(t, p) * FN(npdl_away)(t); }

ELEMENT(npdl_soft_margin) { return FN(npdl_softplus)(-t * p); }
ELEMENT(npdl_soft_margin_slope) { return -t * FN(npdl_sigmoid)(-t * p); }

/* c[0]: the margin */
ELEMENT(npdl_hinge_embedding) { return SELECT(t > BC(0), p, FN(npdl_positive)(c[0] - p)); }
ELEMENT(npdl_hinge_embedding_slope) {
    return SELECT(p == p, SELECT(t > BC(0), BC(1), SELECT(c[0] - p > BC(0), BC(-1), BC(0))), p);
}
ELEMENT(npdl_contrastive_distance) {
    VEC gap = FN(npdl_positive)(c[0] - p);
    return t * (p * p) + (BC(1) - t) * (gap * gap);
}
ELEMENT(npdl_contrastive_distance_slope) {
    return BC(2) * (t * p - (BC(1) - t) * FN(npdl_positive)(c[0] - p));
}

#undef ELEMENT
#undef ELEMENT_INLINE
