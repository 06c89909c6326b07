"""Losses of rows: one number from all elements of a row, a mean over the P rows of a sample.

y_true t and y_pred p are (N, ..., C); a formula is f(t, p, weights, its constants) over the last axis:

    cosine ()               −Σ t p / (‖t‖ ‖p‖),  ‖·‖² at least 10⁻¹²
    categorical_hinge ()    max(max_c (1 − t_c) p_c − Σ t p + 1, 0)
    multi_margin (q, m)     w_y Σ_{c≠y} max(m − p_y + p_c, 0)^q / C,  y the place of t's first number that is not 0,
                            q 1 or 2,  weights w (C,) or None
    weighted_binary ()      Σ a t ln(1 + e⁻ᵖ) + b (1 − t) ln(1 + eᵖ) over C,  weights (a, b) (2, C)
    focal_logits (γ, s)     Σ a t' (1 − p)^γ (−ln p),  p = softmax(z),  t' = t (1 − s) + s/C,  weights a (C,)
    focal (γ, s)            the same of probabilities y, p = y / Σ y kept in [10⁻⁷, 1 − 10⁻⁷]
    multi_label_margin ()   Σ_j t_j Σ_i max(1 − p_j + p_i, 0) / C,  i those of t_i = 0
    tversky (α, β, ε)       1 − (I + ε) / (I + α Σ (1 − t) p + β Σ t (1 − p) + ε),  I = Σ t p
"""

import numpy as np

from npdl.kernels.reference.element_loss import sigmoid, softplus
from npdl.kernels.reference.loss import CLIP, count, inside, mean, scaled, smooth


def row_loss(formula, y_true, y_pred, constants, weights, *, out, scale=None, dy=None):
    """out[n] = Σ over rows of f(t, p) / P

    Args:
        formula: a name in the table above.
        y_true, y_pred: (N, ..., C).
        constants: tuple of numbers.
        weights: see the table; None where it names none.
        out: (N,).
        scale, dy: both or neither: dy becomes what `row_loss_grad` gives.
    """
    mean(FORMULAS[formula][0](y_true, y_pred, weights, *constants), out=out)
    if dy is not None:
        row_loss_grad(formula, y_true, y_pred, constants, weights, scale, out=dy)


def row_loss_grad(formula, y_true, y_pred, constants, weights, scale, *, out):
    """out = s / P · df/dp

    Args:
        formula, y_true, y_pred, constants, weights: as of `row_loss`.
        scale: s (N,).
        out: like y_pred.
    """
    slope = FORMULAS[formula][1]

    def gradient(t, p):
        return slope(t, p, weights, *constants) * (p.shape[-1] / count(p))

    scaled(gradient, (y_true, y_pred), scale, out)


def total(a):
    return a.sum(axis=-1, keepdims=True)


def norms(a):
    return np.sqrt(np.maximum(total(a * a), 1e-12))


def cosine(t, p, weights):
    return -total(t * p) / (norms(t) * norms(p))


def cosine_slope(t, p, weights):
    unit = p / norms(p)
    return (cosine(t, p, weights) * -unit * (total(p * p) >= 1e-12) - t / norms(t)) / norms(p)


def categorical_hinge(t, p, weights):
    return np.maximum(((1 - t) * p).max(axis=-1, keepdims=True) - total(t * p) + 1, 0)


def categorical_hinge_slope(t, p, weights):
    gap, others = categorical_hinge(t, p, weights), (1 - t) * p
    most = np.arange(p.shape[-1]) == others.argmax(axis=-1)[..., None]
    return np.where(gap > 0, (1 - t) * most - t, gap * 0)


def multi_margin_parts(t, p, weights, margin):
    """The gaps, 0 at the label; the label's weight / C"""
    own = np.argmax(t != 0, axis=-1)[..., None]
    gaps = np.maximum(margin - np.take_along_axis(p, own, axis=-1) + p, 0)
    other = np.arange(p.shape[-1]) != own
    return np.where(other, gaps, 0), (1 if weights is None else weights[own]) / p.shape[-1], other


def multi_margin(t, p, weights, power, margin):
    gaps, each, _ = multi_margin_parts(t, p, weights, margin)
    return total(gaps**power) * each


def multi_margin_slope(t, p, weights, power, margin):
    gaps, each, other = multi_margin_parts(t, p, weights, margin)
    slope = each * np.where(gaps > 0, power * gaps ** (power - 1), gaps)
    return np.where(other, slope, -total(slope))


def weighted_binary(t, z, weights):
    return total(weights[0] * t * softplus(-z) + weights[1] * (1 - t) * softplus(z)) / z.shape[-1]


def weighted_binary_slope(t, z, weights):
    return (weights[1] * (1 - t) * sigmoid(z) - weights[0] * t * sigmoid(-z)) / z.shape[-1]


def focal_terms(t, p, log_p, alpha, gamma, smoothing):
    """a t' (1 − p)^γ (−ln p),  and its derivative by p, times p"""
    a, q = alpha * smooth(t, smoothing, p.shape[-1]), 1 - p
    lower = np.where(q == 0, 0, q**gamma / np.where(q == 0, 1, q))
    return -a * q**gamma * log_p, a * (gamma * lower * p * log_p - q**gamma)


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(total(np.exp(z)))


def focal_logits(t, z, alpha, gamma, smoothing):
    log_p = log_softmax(z)
    return total(focal_terms(t, np.exp(log_p), log_p, alpha, gamma, smoothing)[0])


def focal_logits_slope(t, z, alpha, gamma, smoothing):
    log_p = log_softmax(z)
    p = np.exp(log_p)
    _, slope = focal_terms(t, p, log_p, alpha, gamma, smoothing)
    return slope - p * total(slope)


def focal(t, y, alpha, gamma, smoothing):
    p = np.clip(y / total(y), CLIP, 1 - CLIP)
    return total(focal_terms(t, p, np.log(p), alpha, gamma, smoothing)[0])


def focal_slope(t, y, alpha, gamma, smoothing):
    share = y / total(y)
    p = np.clip(share, CLIP, 1 - CLIP)
    _, slope = focal_terms(t, p, np.log(p), alpha, gamma, smoothing)
    slope = np.where(inside(share) | np.isnan(share), slope / p, 0)
    return (slope - total(slope * share)) / total(y)


def tversky_parts(t, p, alpha, beta, epsilon):
    both = total(t * p)
    return both + epsilon, both + alpha * (total(p) - both) + beta * (total(t) - both) + epsilon


def tversky(t, p, weights, alpha, beta, epsilon):
    top, bottom = tversky_parts(t, p, alpha, beta, epsilon)
    return 1 - top / bottom


def tversky_slope(t, p, weights, alpha, beta, epsilon):
    top, bottom = tversky_parts(t, p, alpha, beta, epsilon)
    return -(t - top / bottom * (alpha + (1 - alpha - beta) * t)) / bottom


def multi_label_gaps(t, p):
    """max(1 − p_j + p_i, 0) for each (j, i), 0 where i is a label; t_j of each"""
    gaps = np.maximum(1 - p[..., :, None] + p[..., None, :], 0)
    return np.where(t[..., None, :] == 0, gaps, 0), t[..., :, None]


def multi_label_margin(t, p, weights):
    gaps, each = multi_label_gaps(t, p)
    return (each * gaps).sum(axis=-1).sum(axis=-1, keepdims=True) / p.shape[-1]


def multi_label_margin_slope(t, p, weights):
    gaps, each = multi_label_gaps(t, p)
    slopes = each * np.where(np.isnan(gaps), gaps, gaps > 0)
    return (slopes.sum(axis=-2) - slopes.sum(axis=-1)) / p.shape[-1]


FORMULAS = {
    "cosine": (cosine, cosine_slope),
    "categorical_hinge": (categorical_hinge, categorical_hinge_slope),
    "multi_margin": (multi_margin, multi_margin_slope),
    "weighted_binary": (weighted_binary, weighted_binary_slope),
    "focal_logits": (focal_logits, focal_logits_slope),
    "focal": (focal, focal_slope),
    "multi_label_margin": (multi_label_margin, multi_label_margin_slope),
    "tversky": (tversky, tversky_slope),
}
