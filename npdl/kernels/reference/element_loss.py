"""Losses that are a mean over elements: one formula for the value, one for its derivative.

y_true t and y_pred p are (N, ...) with D elements a sample, e = p − t; a formula is f(t, p, its constants):

    squared ()                  e²
    absolute ()                 |e|
    huber (δ)                   e²/2 where |e| ≤ δ, else δ |e| − δ²/2
    smooth_l1 (β)               huber(β) / β
    log_cosh ()                 ln cosh e
    squared_logarithmic ()      (ln(1 + p) − ln(1 + t))²,  p and t at least 10⁻⁷
    percentage ()               100 |e| / max(|t|, 10⁻⁷)
    quantile (q)                max(q (t − p), (q − 1) (t − p))
    poisson (ε, full)           p − t ln(p + ε)
    poisson_log (0, full)       e^p − t p                   full = 1 adds t ln t − t + ln(2πt)/2 where t > 1
    kl_divergence (C)           C t ln(t / p),  t and p kept in [10⁻⁷, 1];  C classes: a mean over D / C rows
    kl_logarithms (l)           t (ln t − p), 0 where t is 0;  l = 1: t is a logarithm too, e^t (t − p)
    generalized (C, q)          C t (1 − p^q) / q,  p kept in [10⁻⁷, 1 − 10⁻⁷]
    hinge ()                    max(1 − t p, 0),  t = 0 counts as −1
    squared_hinge ()            max(1 − t p, 0)²,  t = 0 counts as −1
    soft_margin ()              ln(1 + e^(−t p))
    hinge_embedding (m)         p where t > 0, else max(m − p, 0)
    contrastive_distance (m)    t p² + (1 − t) max(m − p, 0)²
    binary_focal_logits (s, γ, a₁, a₀)      a q^γ b,  t' = t (1 − s) + s/2,  q = t' (1 − p) + (1 − t') p,
                                            b = −t' ln p − (1 − t') ln(1 − p),  a = t' a₁ + (1 − t') a₀,  p = σ(z)
    binary_focal (s, γ, a₁, a₀)             the same of probabilities p, kept in [10⁻⁷, 1 − 10⁻⁷]
"""

import numpy as np

from npdl.kernels.reference.loss import CLIP, count, inside, mean, scaled, smooth


def element_loss(formula, y_true, y_pred, constants, *, out):
    """out[n] = Σ f(t, p) / D

    Args:
        formula: a name in the table above.
        y_true, y_pred: (N, ...).
        constants: tuple of numbers.
        out: (N,).
    """
    mean(FORMULAS[formula][0](y_true, y_pred, *constants), out=out)


def element_loss_grad(formula, y_true, y_pred, constants, scale, *, out):
    """out = s · f'(t, p) / D,  the derivative by p

    Args:
        formula, y_true, y_pred, constants: as of `element_loss`.
        scale: s (N,).
        out: like y_pred.
    """
    slope = FORMULAS[formula][1]
    scaled(lambda t, p: slope(t, p, *constants) / count(p), (y_true, y_pred), scale, out)


def huber(t, p, delta):
    e = np.abs(p - t)
    near = np.minimum(e, delta)
    return near * near / 2 + delta * (e - near)


def log_cosh(t, p):
    a = np.abs(p - t)
    near = np.minimum(a, 1)  # cosh e − 1 = (1 − e⁻ᵃ)² eᵃ / 2 keeps its digits
    return np.where(a < 1, np.log1p(np.expm1(-near) ** 2 * np.exp(near) / 2), a + np.log1p(np.exp(-2 * a)) - np.log(2))


def log_ratio(t, p):
    return np.log(np.maximum(p, CLIP) + 1) - np.log(np.maximum(t, CLIP) + 1)


def squared_logarithmic_slope(t, p):
    return np.where(p < CLIP, 0, 2 * log_ratio(t, p) / (np.where(p < CLIP, 0, p) + 1))


def percentage(t, p):
    return 100 * np.abs(p - t) / np.maximum(np.abs(t), CLIP)


def percentage_slope(t, p):
    return 100 * np.sign(p - t) / np.maximum(np.abs(t), CLIP)


def quantile(t, p, q):
    return np.maximum(q * (t - p), (q - 1) * (t - p))


def quantile_slope(t, p, q):
    return np.where(t < p, 1 - q, np.where(t > p, -q, t - p))


def stirling(t, full):
    """ln t!, about"""
    large = np.maximum(t, 1)
    return np.where(t > 1, large * np.log(large) - large + np.log(2 * np.pi * large) / 2, 0) if full else 0


def poisson(t, p, epsilon, full):
    return p - t * np.log(p + epsilon) + stirling(t, full)


def poisson_log(t, p, _, full):
    return np.exp(p) - t * p + stirling(t, full)


def kl_divergence(t, p, classes):
    t, p = np.clip(t, CLIP, 1), np.clip(p, CLIP, 1)
    return classes * t * np.log(t / p)


def kl_divergence_slope(t, p, classes):
    clipped = (p < CLIP) | (p > 1)
    return np.where(clipped, 0, -classes * np.clip(t, CLIP, 1) / np.where(clipped, 1, p))


def kl_logarithms(t, p, log_target):
    if log_target:
        return np.exp(t) * (t - p)
    return np.where(t == 0, 0, t * np.log(np.where(t == 0, 1, t))) - t * p


def generalized(t, p, classes, q):
    return classes * t * (1 - np.clip(p, CLIP, 1 - CLIP) ** q) / q


def generalized_slope(t, p, classes, q):
    return np.where(inside(p) | np.isnan(p), -classes * t * np.clip(p, CLIP, 1 - CLIP) ** (q - 1), 0)


def hinge(t, p):
    return np.maximum(1 - np.where(t == 0, -1, t) * p, 0)


def hinge_slope(t, p):
    gap = hinge(t, p)
    return np.where(gap == 0, 0, np.where(gap > 0, -np.where(t == 0, -1, t), gap))


def squared_hinge_slope(t, p):
    return -2 * hinge(t, p) * np.where(t == 0, -1, t)


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def hinge_embedding_slope(t, p, margin):
    return np.where(np.isnan(p), p, np.where(t > 0, 1, np.where(p < margin, -1, 0)))


def contrastive_distance(t, p, margin):
    return t * p**2 + (1 - t) * np.maximum(margin - p, 0) ** 2


def contrastive_distance_slope(t, p, margin):
    return 2 * t * p - 2 * (1 - t) * np.maximum(margin - p, 0)


def focal_parts(t, smoothing, yes, no, ones, zeros):
    """t', q and the weight a"""
    t = smooth(t, smoothing, 2)
    return t, t * no + (1 - t) * yes, t * ones + (1 - t) * zeros


def binary_focal_logits(t, z, smoothing, gamma, ones, zeros):
    t, q, a = focal_parts(t, smoothing, sigmoid(z), sigmoid(-z), ones, zeros)
    return a * q**gamma * (softplus(z) - z * t)


def binary_focal_logits_slope(t, z, smoothing, gamma, ones, zeros):
    yes, no = sigmoid(z), sigmoid(-z)
    t, q, a = focal_parts(t, smoothing, yes, no, ones, zeros)
    ratio = np.where(q == 0, 0, yes * no / np.where(q == 0, 1, q))
    return a * q**gamma * (gamma * (1 - 2 * t) * ratio * (softplus(z) - z * t) + yes - t)


def binary_focal(t, p, smoothing, gamma, ones, zeros):
    p = np.clip(p, CLIP, 1 - CLIP)
    t, q, a = focal_parts(t, smoothing, p, 1 - p, ones, zeros)
    return a * q**gamma * (-t * np.log(p) - (1 - t) * np.log1p(-p))


def binary_focal_slope(t, p, smoothing, gamma, ones, zeros):
    y, p = p, np.clip(p, CLIP, 1 - CLIP)
    t, q, a = focal_parts(t, smoothing, p, 1 - p, ones, zeros)
    b = -t * np.log(p) - (1 - t) * np.log1p(-p)
    return np.where(inside(y) | np.isnan(y), a * q**gamma * (gamma * (1 - 2 * t) * b / q + (p - t) / (p * (1 - p))), 0)


FORMULAS = {
    "squared": (lambda t, p: (p - t) ** 2, lambda t, p: 2 * (p - t)),
    "absolute": (lambda t, p: np.abs(p - t), lambda t, p: np.sign(p - t)),
    "huber": (huber, lambda t, p, delta: np.clip(p - t, -delta, delta)),
    "smooth_l1": (lambda t, p, beta: huber(t, p, beta) / beta, lambda t, p, beta: np.clip((p - t) / beta, -1, 1)),
    "log_cosh": (log_cosh, lambda t, p: np.tanh(p - t)),
    "squared_logarithmic": (lambda t, p: log_ratio(t, p) ** 2, squared_logarithmic_slope),
    "percentage": (percentage, percentage_slope),
    "quantile": (quantile, quantile_slope),
    "poisson": (poisson, lambda t, p, epsilon, full: 1 - t / (p + epsilon)),
    "poisson_log": (poisson_log, lambda t, p, epsilon, full: np.exp(p) - t),
    "kl_divergence": (kl_divergence, kl_divergence_slope),
    "kl_logarithms": (kl_logarithms, lambda t, p, log_target: -np.exp(t) if log_target else -t),
    "generalized": (generalized, generalized_slope),
    "hinge": (hinge, hinge_slope),
    "squared_hinge": (lambda t, p: hinge(t, p) ** 2, squared_hinge_slope),
    "soft_margin": (lambda t, p: softplus(-t * p), lambda t, p: -t * sigmoid(-t * p)),
    "hinge_embedding": (lambda t, p, margin: np.where(t > 0, p, np.maximum(margin - p, 0)), hinge_embedding_slope),
    "contrastive_distance": (contrastive_distance, contrastive_distance_slope),
    "binary_focal_logits": (binary_focal_logits, binary_focal_logits_slope),
    "binary_focal": (binary_focal, binary_focal_slope),
}
