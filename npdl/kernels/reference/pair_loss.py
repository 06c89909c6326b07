"""Losses of two or three outputs.

a and b are (N, ...) with D elements a sample, `constants` a formula's numbers:

    margin_ranking (m)      Σ max(m − t (a − b), 0) / D                                     t (N, ...)
    gaussian (ε, k)         Σ (ln v + (a − t)² / v) / 2 / D + k,  v = max(b, ε)             t (N, ...)
    cosine_embedding (m)    1 − cos where t > 0, else max(cos − m, 0),                      t (N,)
                            cos = Σ a b / √((Σ a² + 10⁻¹²) (Σ b² + 10⁻¹²))
    contrastive (m)         t d² + (1 − t) max(m − d, 0)²,  d = ‖a − b‖                     t (N,)
"""

import numpy as np

from npdl.kernels.reference.loss import scaled


def pair_loss(formula, y_true, a, b, constants, *, out):
    """out[n] = f(t, a, b) of sample n

    Args:
        formula: a name in the table above.
        y_true: t, see there.
        a, b: (N, ...).
        constants: tuple of numbers.
        out: (N,).
    """
    out[...] = FORMULAS[formula][0](*rows(y_true, a, b), *constants)[:, 0]


def pair_loss_grad(formula, y_true, a, b, constants, scale, *, da, db):
    """da = s · df/da,  db = s · df/db

    Args:
        formula, y_true, a, b, constants: as of `pair_loss`.
        scale: s (N,).
        da, db: like a.
    """
    inputs, slopes = rows(y_true, a, b), FORMULAS[formula][1]
    for place, out in enumerate((da, db)):
        scaled(lambda *x, i=place: slopes(*x, *constants)[i], inputs, scale, out.reshape(inputs[1].shape))


def triplet_margin(a, p, n, constants, *, out):
    """out[i] = max(d(a, p) − d(a, n) + m, 0),   d(x, y) = (Σ |x − y + ε|^q)^(1/q);   constants (m, q, ε, swap)

    With swap = 1 the second distance is the smaller of d(a, n) and d(p, n).

    Args:
        a, p, n: (N, ...): anchors, what is like them, what is not.
        constants: (m, q, ε, swap).
        out: (N,).
    """
    out[...] = np.maximum(triplet_parts(*rows(a, p, n), *constants)[0][:, 0], 0)


def triplet_margin_grad(a, p, n, constants, scale, *, da, dp, dn):
    """da, dp, dn = s · the gradients of `triplet_margin`

    Args:
        a, p, n, constants: as of `triplet_margin`.
        scale: s (N,).
        da, dp, dn: like a.
    """
    inputs = rows(a, p, n)

    def gradients(a, p, n):
        gap, near, away, swap = triplet_parts(a, p, n, *constants)
        near, away = (np.where(gap > 0, slope, 0 * gap) for slope in (near, away))
        return near - np.where(swap, 0, away), -near - np.where(swap, away, 0), away

    for place, out in enumerate((da, dp, dn)):
        scaled(lambda *x, i=place: gradients(*x)[i], inputs, scale, out.reshape(inputs[0].shape))


def rows(*arrays):
    return [array.reshape(len(array), -1) for array in arrays]


def total(x):
    return x.sum(axis=1, keepdims=True)


def margin_ranking(t, a, b, margin):
    return total(np.maximum(margin - t * (a - b), 0)) / a.shape[1]


def margin_ranking_slopes(t, a, b, margin):
    gap = np.maximum(margin - t * (a - b), 0)
    slope = np.where(gap > 0, t, gap) / a.shape[1]
    return -slope, slope


def gaussian(t, a, b, epsilon, constant):
    var = np.maximum(b, epsilon)
    return total((np.log(var) + (a - t) ** 2 / var) / 2) / a.shape[1] + constant


def gaussian_slopes(t, a, b, epsilon, constant):
    var, e = np.maximum(b, epsilon), a - t
    return e / var / a.shape[1], np.where(b < epsilon, 0, (1 / var - (e / var) ** 2) / 2) / a.shape[1]


def cosine_parts(a, b):
    aa, bb = total(a * a) + 1e-12, total(b * b) + 1e-12
    return total(a * b) / np.sqrt(aa * bb), aa, bb


def cosine_embedding(t, a, b, margin):
    cosine, _, _ = cosine_parts(a, b)
    return np.where(t > 0, 1 - cosine, np.maximum(cosine - margin, 0))


def cosine_embedding_slopes(t, a, b, margin):
    cosine, aa, bb = cosine_parts(a, b)
    g = np.where(t > 0, -1, np.where(cosine <= margin, 0, 1))
    across = np.sqrt(aa * bb)
    return g * (b / across - cosine * a / aa), g * (a / across - cosine * b / bb)


def contrastive(t, a, b, margin):
    d = np.sqrt(total((a - b) ** 2))
    return t * d**2 + (1 - t) * np.maximum(margin - d, 0) ** 2


def contrastive_slopes(t, a, b, margin):
    d = np.sqrt(total((a - b) ** 2))
    slope = 2 * (t - (1 - t) * np.where(d == 0, 0, np.maximum(margin - d, 0) / np.where(d == 0, 1, d))) * (a - b)
    return slope, -slope


def distance(x, y, power, epsilon):
    """d(x, y) and its derivative by x"""
    e = x - y + epsilon
    d = total(np.abs(e) ** power) ** (1 / power)
    return d, np.where(d == 0, 0, np.sign(e) * (np.abs(e) / np.where(d == 0, 1, d)) ** (power - 1))


def triplet_parts(a, p, n, margin, power, epsilon, swap):
    """(d(a, p) − d + m, the derivative of d(a, p) by a, that of d by its first, whether d is d(p, n))"""
    (near, near_slope), (far, far_slope), (other, other_slope) = (
        distance(x, y, power, epsilon) for x, y in ((a, p), (a, n), (p, n))
    )
    swap = (other < far) & bool(swap)
    return near - np.where(swap, other, far) + margin, near_slope, np.where(swap, other_slope, far_slope), swap


FORMULAS = {
    "margin_ranking": (margin_ranking, margin_ranking_slopes),
    "gaussian": (gaussian, gaussian_slopes),
    "cosine_embedding": (cosine_embedding, cosine_embedding_slopes),
    "contrastive": (contrastive, contrastive_slopes),
}
