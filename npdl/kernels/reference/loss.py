"""Losses: one number a sample, and its gradient.

y_true t and y_pred p are (N, ...) with D elements a sample; `out` of a loss is (N,). A gradient's `scale` s (N,) holds
dL/d(loss of sample n), that is weight / number of samples; `out` is then dL/dp, like p, and exactly 0 where s[n] = 0.
"""

import numpy as np

CLIP = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras


def mean(values, *, out):
    """out[n] = mean of sample n's values"""
    out[...] = values.reshape(len(values), -1).mean(axis=1) if len(values) else 0


def scaled(gradient, inputs, scale, out):
    """out[n] = scale[n] · gradient(inputs[n]), and 0 without looking at the inputs where scale[n] is 0"""
    live = scale != 0
    out[...] = 0
    if live.any():
        column = scale[live].reshape(-1, *[1] * (out.ndim - 1))
        out[live] = column * gradient(*(values[live] for values in inputs))


def count(p):
    return p[0].size


def mean_squared_error(y_true, y_pred, *, out):
    """out[n] = Σ (p − t)² / D

    Args:
        y_true, y_pred: (N, ...).
        out: (N,).
    """
    mean((y_pred - y_true) ** 2, out=out)


def mean_squared_error_grad(y_true, y_pred, scale, *, out):
    """out = s · 2 (p − t) / D

    Args:
        y_true, y_pred: (N, ...).
        scale: s (N,).
        out: like y_pred.
    """
    scaled(lambda t, p: 2 * (p - t) / count(p), (y_true, y_pred), scale, out)


def mean_absolute_error(y_true, y_pred, *, out):
    """out[n] = Σ |p − t| / D

    Args:
        y_true, y_pred: (N, ...).
        out: (N,).
    """
    mean(np.abs(y_pred - y_true), out=out)


def mean_absolute_error_grad(y_true, y_pred, scale, *, out):
    """out = s · sign(p − t) / D,  sign(0) = 0

    Args:
        y_true, y_pred: (N, ...).
        scale: s (N,).
        out: like y_pred.
    """
    scaled(lambda t, p: np.sign(p - t) / count(p), (y_true, y_pred), scale, out)


def huber(y_true, y_pred, delta, *, out):
    """out[n] = Σ h(p − t) / D,   h(e) = e²/2 where |e| ≤ δ, else δ |e| − δ²/2

    Args:
        y_true, y_pred: (N, ...).
        delta: δ > 0.
        out: (N,).
    """
    e = np.abs(y_pred - y_true)
    near = np.minimum(e, delta)
    mean(near * near / 2 + delta * (e - near), out=out)


def huber_grad(y_true, y_pred, delta, scale, *, out):
    """out = s · clip(p − t, −δ, δ) / D

    Args:
        y_true, y_pred: (N, ...).
        delta: δ > 0.
        scale: s (N,).
        out: like y_pred.
    """
    scaled(lambda t, p: np.clip(p - t, -delta, delta) / count(p), (y_true, y_pred), scale, out)


def smooth(t, label_smoothing, classes):
    return t * (1 - label_smoothing) + label_smoothing / classes


def inside(p):
    """Where clipping leaves a probability as it is."""
    return np.clip(p, CLIP, 1 - CLIP) == p


def binary_cross_entropy(y_true, y_pred, from_logits, label_smoothing, *, out):
    """out[n] = mean of  −t' ln p − (1 − t') ln(1 − p),   t' = t (1 − s) + s/2,  s = label_smoothing

    From probabilities p is clipped to [10⁻⁷, 1 − 10⁻⁷]. From logits z, with p = σ(z), that is
    max(z, 0) − z t' + ln(1 + e^−|z|).

    Args:
        y_true: t (N, ...), 0 to 1.
        y_pred: p or z, like t.
        from_logits: whether y_pred holds z.
        label_smoothing: s.
        out: (N,).
    """
    t = smooth(y_true, label_smoothing, 2)
    if from_logits:
        z = y_pred
        mean(np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z))), out=out)
    else:
        p = np.clip(y_pred, CLIP, 1 - CLIP)
        mean(-t * np.log(p) - (1 - t) * np.log1p(-p), out=out)


def binary_cross_entropy_grad(y_true, y_pred, from_logits, label_smoothing, scale, *, out):
    """out = s / D · (σ(z) − t') from logits;  s / D · (p − t') / (p (1 − p)) from probabilities, 0 where p is clipped

    Args:
        y_true, y_pred, from_logits, label_smoothing: as of `binary_cross_entropy`.
        scale: s (N,).
        out: like y_pred.
    """

    def gradient(t, p):
        t = smooth(t, label_smoothing, 2)
        if from_logits:
            e = np.exp(-np.abs(p))
            return (np.where(p >= 0, 1, e) / (1 + e) - t) / count(p)
        kept = np.clip(p, CLIP, 1 - CLIP)
        return np.where(inside(p) | np.isnan(p), (kept - t) / (kept * (1 - kept)), 0) / count(p)

    scaled(gradient, (y_true, y_pred), scale, out)


def _log_softmax(z):
    """z − max z − ln Σ e^(z − max z), along the last axis"""
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def _log_normalised(p):
    """ln of p / Σ p, clipped"""
    return np.log(np.clip(p / p.sum(axis=-1, keepdims=True), CLIP, 1 - CLIP))


def categorical_cross_entropy(y_true, y_pred, from_logits, label_smoothing, *, out, scale=None, dy=None):
    """out[n] = mean over positions of  −Σ_c t'_c ln p_c,   t' = t (1 − s) + s/C,  s = label_smoothing

    From logits z: p = softmax(z), ln p = z − max z − ln Σ e^(z − max z). From probabilities: p is divided by Σ p and
    clipped to [10⁻⁷, 1 − 10⁻⁷].

    Args:
        y_true: t (N, ..., C).
        y_pred: p or z, like t.
        from_logits: whether y_pred holds z.
        label_smoothing: s.
        out: (N,).
        scale, dy: both or neither: dy becomes what `categorical_cross_entropy_grad` gives.
    """
    t = smooth(y_true, label_smoothing, y_true.shape[-1])
    log_p = _log_softmax(y_pred) if from_logits else _log_normalised(y_pred)
    mean(-(t * log_p).sum(axis=-1), out=out)
    if dy is not None:
        categorical_cross_entropy_grad(y_true, y_pred, from_logits, label_smoothing, scale, out=dy)


def _categorical_gradient(t, y_pred, from_logits):
    """d(mean over positions of −Σ t ln p) / d y_pred"""
    positions = count(y_pred) // y_pred.shape[-1]
    if from_logits:
        p = np.exp(_log_softmax(y_pred))
        return (p * t.sum(axis=-1, keepdims=True) - t) / positions
    total = y_pred.sum(axis=-1, keepdims=True)
    p = y_pred / total
    dp = np.where(inside(p) | np.isnan(p), -t / np.clip(p, CLIP, 1 - CLIP), 0)
    return (dp - (dp * p).sum(axis=-1, keepdims=True)) / total / positions


def categorical_cross_entropy_grad(y_true, y_pred, from_logits, label_smoothing, scale, *, out):
    """With P positions a sample:  out = s / P · (p Σ_c t'_c − t')  from logits

    From probabilities y with S = Σ y, p = y / S:  g_c = −t'_c / p_c (0 where p_c is clipped),
    out_c = s / P · (g_c − Σ_k g_k p_k) / S.

    Args:
        y_true, y_pred, from_logits, label_smoothing: as of `categorical_cross_entropy`.
        scale: s (N,).
        out: like y_pred.
    """

    def gradient(t, p):
        return _categorical_gradient(smooth(t, label_smoothing, p.shape[-1]), p, from_logits)

    scaled(gradient, (y_true, y_pred), scale, out)


def _check_labels(labels, classes, ignore):
    wrong = ((labels < 0) | (labels >= classes)) & (labels != ignore)
    if wrong.any():
        raise ValueError(f"labels must be 0 to {classes - 1}, got {labels[wrong][0]}")


def _weighted_rows(labels, y_pred, weights, ignore):
    """Rows with the label's weight at its class, all 0 where the label is `ignore`"""
    _check_labels(labels, y_pred.shape[-1], ignore)
    rows = (labels[..., None] == np.arange(y_pred.shape[-1])) & (labels[..., None] != ignore)
    return (rows * (1 if weights is None else weights)).astype(y_pred.dtype)


def sparse_categorical_cross_entropy(
    labels, y_pred, from_logits, *, out, scale=None, dy=None, weights=None, ignore=None
):
    """out[n] = mean over positions of  −weights[label] ln p[label],   p as in `categorical_cross_entropy`

    Args:
        labels: (N, ...) int32 or int64, 0 to C − 1.
        y_pred: p, z or ln p (N, ..., C).
        from_logits: True: y_pred holds z. False: p. None: ln p.
        out: (N,).
        scale, dy: both or neither: dy becomes what `sparse_categorical_cross_entropy_grad` gives.
        weights: (C,) of the classes, None is all 1.
        ignore: a label whose positions add 0, or None.

    Raises:
        ValueError: a label outside 0 … C − 1 that is not `ignore`.
    """
    t = _weighted_rows(labels, y_pred, weights, ignore)
    if from_logits is None:
        log_p = y_pred
    else:
        log_p = _log_softmax(y_pred) if from_logits else _log_normalised(y_pred)
    picked = np.argmax(t != 0, axis=-1)[..., None]
    terms = np.take_along_axis(t, picked, axis=-1) * np.take_along_axis(log_p, picked, axis=-1)
    mean(-np.where((labels == ignore)[..., None] if ignore is not None else False, 0, terms), out=out)
    if dy is not None:
        sparse_categorical_cross_entropy_grad(
            labels, y_pred, from_logits, scale, out=dy, weights=weights, ignore=ignore
        )


def sparse_categorical_cross_entropy_grad(labels, y_pred, from_logits, scale, *, out, weights=None, ignore=None):
    """The gradient of `categorical_cross_entropy` for t = the weight at the label, 0 elsewhere; of ln p that is −t / P.

    Args:
        labels, y_pred, from_logits, weights, ignore: as of `sparse_categorical_cross_entropy`.
        scale: s (N,).
        out: like y_pred.

    Raises:
        ValueError: a label outside 0 … C − 1 that is not `ignore`.
    """
    t = _weighted_rows(labels, y_pred, weights, ignore)
    if from_logits is None:
        scaled(lambda t: -t / (count(t) // t.shape[-1]), (t,), scale, out)
    else:
        categorical_cross_entropy_grad(t, y_pred, from_logits, 0.0, scale, out=out)
    if ignore is not None:
        out[labels == ignore] = 0


def weighted_sum(values, weights, *, out):
    """out[0] = Σ_n weights[n] · values[n];  where a weight is 0 the value is not looked at

    Args:
        values, weights: (N,).
        out: (1,) float64.
    """
    live = weights != 0
    out[0] = np.sum(weights[live].astype(np.float64) * values[live])
