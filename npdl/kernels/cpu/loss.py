"""Losses; formulas: npdl/kernels/reference/loss.py, code: kernels/loss.h."""

from npdl.kernels.cpu.build import lib

expect = lib.expect


def mean_over_elements(kernel, formula, constants, y_true, y_pred, out, scale=None):
    """A loss that is a mean over each sample's elements, or its gradient."""
    shape = y_pred.shape
    expect(kernel, "y_true", y_true, shape)
    expect(kernel, "out", out, shape[:1] if scale is None else shape)
    if scale is not None:
        expect(kernel, "scale", scale, shape[:1])
    if not shape or (not y_pred.size and shape[0]):
        raise ValueError(f"{kernel}: y_pred must be (N, ...) with at least one element a sample, got shape {shape}")
    if shape[0]:
        kind = lib.ELEMENT_LOSSES[formula]
        lib.loss(kernel, kind, constants, y_true, y_pred, scale, out, shape[0], y_pred.size // shape[0])


def mean_squared_error(y_true, y_pred, *, out):
    """out[n] = mean (p − t)²"""
    mean_over_elements("mean_squared_error", "squared", (), y_true, y_pred, out)


def mean_squared_error_grad(y_true, y_pred, scale, *, out):
    """out = s · 2 (p − t) / D"""
    mean_over_elements("mean_squared_error_grad", "squared", (), y_true, y_pred, out, scale)


def mean_absolute_error(y_true, y_pred, *, out):
    """out[n] = mean |p − t|"""
    mean_over_elements("mean_absolute_error", "absolute", (), y_true, y_pred, out)


def mean_absolute_error_grad(y_true, y_pred, scale, *, out):
    """out = s · sign(p − t) / D"""
    mean_over_elements("mean_absolute_error_grad", "absolute", (), y_true, y_pred, out, scale)


def huber(y_true, y_pred, delta, *, out):
    """out[n] = mean of (p − t)²/2 where |p − t| ≤ δ, else δ |p − t| − δ²/2"""
    mean_over_elements("huber", "huber", (delta,), y_true, y_pred, out)


def huber_grad(y_true, y_pred, delta, scale, *, out):
    """out = s · clip(p − t, −δ, δ) / D"""
    mean_over_elements("huber_grad", "huber", (delta,), y_true, y_pred, out, scale)


def _binary(from_logits):
    return "binary_logits" if from_logits else "binary"


def binary_cross_entropy(y_true, y_pred, from_logits, label_smoothing, *, out):
    """out[n] = mean of −t' ln p − (1 − t') ln(1 − p)"""
    mean_over_elements("binary_cross_entropy", _binary(from_logits), (label_smoothing,), y_true, y_pred, out)


def binary_cross_entropy_grad(y_true, y_pred, from_logits, label_smoothing, scale, *, out):
    """out = s / D · (σ(z) − t') from logits, s / D · (p − t') / (p (1 − p)) from probabilities"""
    mean_over_elements(
        "binary_cross_entropy_grad", _binary(from_logits), (label_smoothing,), y_true, y_pred, out, scale
    )


def _over_classes(
    kernel, y_true, labels, y_pred, from_logits, label_smoothing, out, scale, dy, weights=None, ignore=None
):
    """Cross-entropy of targets or labels, its gradient, or both in one pass."""
    shape = y_pred.shape
    if len(shape) < 2 or (not y_pred.size and shape[0]):
        raise ValueError(f"{kernel}: y_pred must be (N, ..., classes) with at least one class, got shape {shape}")
    if labels is None:
        expect(kernel, "y_true", y_true, shape)
    else:
        expect(kernel, "labels", labels, shape[:-1])
        if labels.dtype.char not in "ilq":
            raise TypeError(f"{kernel}: labels must be int32 or int64, got {labels.dtype}; convert them by astype")
    if out is not None:
        expect(kernel, "out", out, shape[:1])
    if dy is not None:
        expect(kernel, "out" if out is None else "dy", dy, shape)
        expect(kernel, "scale", scale, shape[:1])
    if shape[0]:
        positions = y_pred.size // (shape[0] * shape[-1])
        if weights is not None:
            expect(kernel, "weights", weights, shape[-1:])
        logits = 2 if from_logits is None else bool(from_logits)
        lib.cross_entropy(
            kernel, y_true, labels, y_pred, scale, out, dy, logits, label_smoothing, weights, ignore,
            shape[0], positions, shape[-1],
        )  # fmt: skip


def categorical_cross_entropy(y_true, y_pred, from_logits, label_smoothing, *, out, scale=None, dy=None):
    """out[n] = mean over positions of −Σ t' ln p;  with scale and dy also its gradient"""
    kernel = "categorical_cross_entropy"
    _over_classes(kernel, y_true, None, y_pred, from_logits, label_smoothing, out, scale, dy)


def categorical_cross_entropy_grad(y_true, y_pred, from_logits, label_smoothing, scale, *, out):
    """out = s / P · (p Σ t' − t') from logits; see the reference for probabilities"""
    kernel = "categorical_cross_entropy_grad"
    _over_classes(kernel, y_true, None, y_pred, from_logits, label_smoothing, None, scale, out)


def sparse_categorical_cross_entropy(
    labels, y_pred, from_logits, *, out, scale=None, dy=None, weights=None, ignore=None
):
    """out[n] = mean over positions of −weights[label] ln p[label];  with scale and dy also its gradient"""
    kernel = "sparse_categorical_cross_entropy"
    _over_classes(kernel, None, labels, y_pred, from_logits, 0.0, out, scale, dy, weights, ignore)


def sparse_categorical_cross_entropy_grad(labels, y_pred, from_logits, scale, *, out, weights=None, ignore=None):
    """out = s / P · weights[label] (p − 1 at the label, p elsewhere) from logits; see the reference for the others"""
    kernel = "sparse_categorical_cross_entropy_grad"
    _over_classes(kernel, None, labels, y_pred, from_logits, 0.0, None, scale, out, weights, ignore)


def weighted_sum(values, weights, *, out):
    """out[0] = Σ weights[n] · values[n] over the weights that are not 0"""
    expect("weighted_sum", "weights", weights, values.shape)
    expect("weighted_sum", "out", out, (1,))
    lib.weighted_sum(values, weights, out)
