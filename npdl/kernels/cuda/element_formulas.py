"""Losses of one element and their derivatives by p, for kernels to call: f(t, p, a, b, c, d) with its constants.

The table of formulas stands in npdl/kernels/reference/element_loss.py; the last two are those of binary cross-entropy,
`binary_logits` and `binary`, with label smoothing a. A comparison is written so that NaN stays NaN.
"""

import math

from numba import float32

from npdl.kernels.cuda.elementary import at_least, at_most, sigmoid
from npdl.kernels.cuda.elementary import softplus as logarithmic
from npdl.kernels.cuda.kernel import device

CLIP, BELOW_ONE = 1e-7, 1 - 1e-7
TWO_PI = 2 * math.pi
LOG_2 = math.log(2)


@device
def softplus(z):
    return logarithmic(z, z, z, z)


@device
def kept(p):
    """p kept away from 0 and 1."""
    return at_most(at_least(p, float32(CLIP)), float32(BELOW_ONE))


@device
def was_kept(p):
    """Whether `kept` leaves p as it is; of NaN too."""
    return not (p < float32(CLIP) or p > float32(BELOW_ONE))


@device
def sign(e):
    return float32(1) if e > float32(0) else (float32(-1) if e < float32(0) else e)


@device
def squared(t, p, a, b, c, d):
    return (p - t) * (p - t)


@device
def squared_slope(t, p, a, b, c, d):
    return float32(2) * (p - t)


@device
def absolute(t, p, a, b, c, d):
    return abs(p - t)


@device
def absolute_slope(t, p, a, b, c, d):
    return sign(p - t)


@device
def huber(t, p, a, b, c, d):
    e = abs(p - t)
    near = at_most(e, a)
    return float32(0.5) * (near * near) + a * (e - near)


@device
def huber_slope(t, p, a, b, c, d):
    return at_most(at_least(p - t, -a), a)


@device
def smooth_l1(t, p, a, b, c, d):
    return huber(t, p, a, b, c, d) / a


@device
def smooth_l1_slope(t, p, a, b, c, d):
    return at_most(at_least((p - t) / a, float32(-1)), float32(1))


@device
def log_cosh(t, p, a, b, c, d):
    """cosh e − 1 = (1 − e⁻ᵃ)² eᵃ / 2 keeps its digits where a = |e| is small."""
    e = abs(p - t)
    if e < float32(1):
        less = math.expm1(-e)
        return math.log1p(less * less * math.exp(e) * float32(0.5))
    return e + math.log1p(math.exp(float32(-2) * e)) - float32(LOG_2)


@device
def log_cosh_slope(t, p, a, b, c, d):
    return math.tanh(p - t)


@device
def log_ratio(t, p):
    return math.log1p(at_least(p, float32(CLIP))) - math.log1p(at_least(t, float32(CLIP)))


@device
def squared_logarithmic(t, p, a, b, c, d):
    ratio = log_ratio(t, p)
    return ratio * ratio


@device
def squared_logarithmic_slope(t, p, a, b, c, d):
    return float32(0) if p < float32(CLIP) else float32(2) * log_ratio(t, p) / (p + float32(1))


@device
def percentage(t, p, a, b, c, d):
    return float32(100) * abs(p - t) / at_least(abs(t), float32(CLIP))


@device
def percentage_slope(t, p, a, b, c, d):
    return float32(100) * sign(p - t) / at_least(abs(t), float32(CLIP))


@device
def quantile(t, p, a, b, c, d):
    return at_least(a * (t - p), (a - float32(1)) * (t - p))


@device
def quantile_slope(t, p, a, b, c, d):
    return float32(1) - a if t < p else (-a if t > p else t - p)


@device
def stirling(t, full):
    """ln t!, about; of t at most 1 it is 0."""
    if full == float32(0) or t <= float32(1):
        return float32(0)
    return t * math.log(t) - t + float32(0.5) * math.log(float32(TWO_PI) * t)


@device
def poisson(t, p, a, b, c, d):
    return p - t * math.log(p + a) + stirling(t, b)


@device
def poisson_slope(t, p, a, b, c, d):
    return float32(1) - t / (p + a)


@device
def poisson_log(t, p, a, b, c, d):
    return math.exp(p) - t * p + stirling(t, b)


@device
def poisson_log_slope(t, p, a, b, c, d):
    return math.exp(p) - t


@device
def to_one(p):
    return at_most(at_least(p, float32(CLIP)), float32(1))


@device
def kl_divergence(t, p, a, b, c, d):
    near = to_one(t)
    return a * near * math.log(near / to_one(p))


@device
def kl_divergence_slope(t, p, a, b, c, d):
    return float32(0) if p < float32(CLIP) or p > float32(1) else -a * to_one(t) / p


@device
def kl_logarithms(t, p, a, b, c, d):
    if a != float32(0):
        return math.exp(t) * (t - p)
    own = float32(0) if t == float32(0) else t * math.log(t)
    return own - t * p


@device
def kl_logarithms_slope(t, p, a, b, c, d):
    return -math.exp(t) if a != float32(0) else -t


@device
def generalized(t, p, a, b, c, d):
    return a * t * (float32(1) - math.pow(kept(p), b)) / b


@device
def generalized_slope(t, p, a, b, c, d):
    return -a * t * math.pow(kept(p), b - float32(1)) if was_kept(p) else float32(0)


@device
def side(t):
    """t, which counts as −1 where it is 0."""
    return float32(-1) if t == float32(0) else t


@device
def hinge(t, p, a, b, c, d):
    return at_least(float32(1) - side(t) * p, float32(0))


@device
def hinge_slope(t, p, a, b, c, d):
    gap = hinge(t, p, a, b, c, d)
    return -side(t) if gap > float32(0) else gap


@device
def squared_hinge(t, p, a, b, c, d):
    gap = hinge(t, p, a, b, c, d)
    return gap * gap


@device
def squared_hinge_slope(t, p, a, b, c, d):
    return float32(-2) * hinge(t, p, a, b, c, d) * side(t)


@device
def soft_margin(t, p, a, b, c, d):
    return softplus(-t * p)


@device
def soft_margin_slope(t, p, a, b, c, d):
    return -t * sigmoid(-t * p)


@device
def hinge_embedding(t, p, a, b, c, d):
    return p if t > float32(0) else at_least(a - p, float32(0))


@device
def hinge_embedding_slope(t, p, a, b, c, d):
    if p != p:
        return p
    return float32(1) if t > float32(0) else (float32(-1) if p < a else float32(0))


@device
def contrastive_distance(t, p, a, b, c, d):
    near = at_least(a - p, float32(0))
    return t * p * p + (float32(1) - t) * near * near


@device
def contrastive_distance_slope(t, p, a, b, c, d):
    return float32(2) * t * p - float32(2) * (float32(1) - t) * at_least(a - p, float32(0))


@device
def smooth(t, smoothing):
    return t * (float32(1) - smoothing) + float32(0.5) * smoothing


@device
def focal_weight(t, yes, no, gamma, ones, zeros):
    """a q^γ of a smoothed target."""
    q = t * no + (float32(1) - t) * yes
    return (t * ones + (float32(1) - t) * zeros) * math.pow(q, gamma)


@device
def binary_focal_logits(t, p, a, b, c, d):
    want = smooth(t, a)
    return focal_weight(want, sigmoid(p), sigmoid(-p), b, c, d) * (softplus(p) - p * want)


@device
def binary_focal_logits_slope(t, p, a, b, c, d):
    want, yes, no = smooth(t, a), sigmoid(p), sigmoid(-p)
    q = want * no + (float32(1) - want) * yes
    ratio = float32(0) if q == float32(0) else yes * no / q
    inner = b * (float32(1) - float32(2) * want) * ratio * (softplus(p) - p * want)
    return focal_weight(want, yes, no, b, c, d) * (inner + yes - want)


@device
def entropy(t, p):
    return -t * math.log(p) - (float32(1) - t) * math.log1p(-p)


@device
def binary_focal(t, p, a, b, c, d):
    want, near = smooth(t, a), kept(p)
    return focal_weight(want, near, float32(1) - near, b, c, d) * entropy(want, near)


@device
def binary_focal_slope(t, p, a, b, c, d):
    if not was_kept(p):
        return float32(0)
    want, near = smooth(t, a), kept(p)
    q = want * (float32(1) - near) + (float32(1) - want) * near
    inner = b * (float32(1) - float32(2) * want) * entropy(want, near) / q
    return focal_weight(want, near, float32(1) - near, b, c, d) * (inner + (near - want) / (near * (float32(1) - near)))


@device
def binary_logits(t, p, a, b, c, d):
    return at_least(p, float32(0)) - p * smooth(t, a) + math.log1p(math.exp(-abs(p)))


@device
def binary_logits_slope(t, p, a, b, c, d):
    return sigmoid(p) - smooth(t, a)


@device
def binary(t, p, a, b, c, d):
    return entropy(smooth(t, a), kept(p))


@device
def binary_slope(t, p, a, b, c, d):
    near = kept(p)
    return (near - smooth(t, a)) / (near * (float32(1) - near)) if was_kept(p) else float32(0)


FORMULAS = {
    "squared": (squared, squared_slope),
    "absolute": (absolute, absolute_slope),
    "huber": (huber, huber_slope),
    "smooth_l1": (smooth_l1, smooth_l1_slope),
    "log_cosh": (log_cosh, log_cosh_slope),
    "squared_logarithmic": (squared_logarithmic, squared_logarithmic_slope),
    "percentage": (percentage, percentage_slope),
    "quantile": (quantile, quantile_slope),
    "poisson": (poisson, poisson_slope),
    "poisson_log": (poisson_log, poisson_log_slope),
    "kl_divergence": (kl_divergence, kl_divergence_slope),
    "kl_logarithms": (kl_logarithms, kl_logarithms_slope),
    "generalized": (generalized, generalized_slope),
    "hinge": (hinge, hinge_slope),
    "squared_hinge": (squared_hinge, squared_hinge_slope),
    "soft_margin": (soft_margin, soft_margin_slope),
    "hinge_embedding": (hinge_embedding, hinge_embedding_slope),
    "contrastive_distance": (contrastive_distance, contrastive_distance_slope),
    "binary_focal_logits": (binary_focal_logits, binary_focal_logits_slope),
    "binary_focal": (binary_focal, binary_focal_slope),
    "binary_logits": (binary_logits, binary_logits_slope),
    "binary": (binary, binary_slope),
}
