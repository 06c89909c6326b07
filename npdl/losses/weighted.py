"""PyTorch's losses for classes, with a weight for each class."""

import numpy as np

from npdl.losses import targets
from npdl.losses.base import Loss
from npdl.losses.elements import RowLoss, one_a_class, plain_weights


class _Labels(Loss):
    """What NLLLoss and CrossEntropyLoss share: labels, one of them ignored, and weights of the classes."""

    is_classification = True
    accuracy = "sparse_categorical_accuracy"
    counts_parts = True
    from_logits: bool | None = None  # of the kernel: None is ln p

    def __init__(self, weight, ignore_index, name, reduction, dtype):
        super().__init__(name, reduction, dtype)
        self.weight = plain_weights(type(self).__name__, "weight", weight)
        self._weights = None if self.weight is None else np.asarray(self.weight, np.float64)
        self.ignore_index = ignore_index
        self._given: tuple = (None, None)  # what the weights on the device were made for, and they

    def check_shape(self, shape, output_shape):
        targets.check_labels_shape(type(self).__name__, shape, output_shape)

    def validate(self, y_true, output_shape):
        one_a_class(type(self).__name__, "weight", self.weight, output_shape[-1])
        targets.validate_labels(type(self).__name__, y_true, output_shape, self.ignore_index)

    def prepare(self, y_true, dtype, output_shape=None):
        """int32 labels, without a last axis of 1."""
        labels = super().prepare(y_true, np.int32, output_shape)
        if output_shape is not None and labels.ndim == len(output_shape):
            labels = labels.reshape(labels.shape[:-1])
        return labels

    def count_of(self, y_true, weights):
        return targets.counted(self._on_host(y_true), weights, self.ignore_index, self._weights)

    def _options(self, y_pred):
        wanted = y_pred.shape[-1], y_pred.dtype, self.device
        if self.weight is not None and self._given[0] != wanted:
            weights = self.device.alloc(wanted[:1], y_pred.dtype)
            self.device.write(weights, one_a_class(type(self).__name__, "weight", self._weights, y_pred.shape[-1]))
            self._given = wanted, weights
        return {"weights": self._given[1], "ignore": self.ignore_index}

    def values(self, y_true, y_pred, out):
        self.k.sparse_categorical_cross_entropy(y_true, y_pred, self.from_logits, out=out, **self._options(y_pred))

    def gradient(self, y_true, y_pred, scale, out):
        kernel = self.k.sparse_categorical_cross_entropy_grad
        kernel(y_true, y_pred, self.from_logits, scale, out=out, **self._options(y_pred))

    def values_and_gradient(self, y_true, y_pred, scale, out, dy):
        kernel = self.k.sparse_categorical_cross_entropy
        kernel(y_true, y_pred, self.from_logits, out=out, scale=scale, dy=dy, **self._options(y_pred))


class NLLLoss(_Labels):
    """Negative log-likelihood of labels under outputs that are logarithms of probabilities.

        forward     Lₙ = −Σ_positions v_t y_t / P                   v_t = weight[t], 0 where t is ignore_index
                    L = Σ wₙ Lₙ / M,  M = Σ_{wₙ ≠ 0} Σ_positions v_t / P
        backward    dL/dy_c = −wₙ / M · v_t / P where c = t, else 0

    So L is the mean over positions, each with the weight of its class, as in PyTorch.

    Shapes: y_true t (N, ...) or (N, ..., 1), whole numbers 0 to C − 1 or ignore_index · y_pred y (N, ..., C),
    P positions a sample.

    Args:
        weight: one number a class; None is all 1.
        ignore_index: a label whose positions do not count.
        reduction, name, dtype: as of `Loss`.

    >>> loss = NLLLoss(weight=[1.0, 3.0])
    >>> loss.forward([0, 1], [[-0.5, -1.0], [-2.0, -0.25]])
    0.3125
    >>> loss.backward().tolist()
    [[-0.25, 0.0], [0.0, -0.75]]
    """

    def __init__(self, weight=None, ignore_index=-100, reduction="sum_over_batch_size", name="nll_loss", dtype=None):
        super().__init__(weight, ignore_index, name, reduction, dtype)


class CrossEntropyLoss(_Labels):
    """PyTorch's cross-entropy: labels against logits, with weights of the classes, an ignored label and smoothing.

        forward     p = softmax(z),  t'_c = v_c ((1 − s) 1[c = t] + s / C)      v_c = weight[c], 0 where t is ignored
                    Lₙ = −Σ_positions Σ_c t'_c ln p_c / P
                    L = Σ wₙ Lₙ / M,  M = Σ_{wₙ ≠ 0} Σ_positions v_t / P
        backward    dL/dz = wₙ / M · (p Σ_c t'_c − t') / P

    Shapes: y_true t (N, ...) or (N, ..., 1), whole numbers 0 to C − 1 or ignore_index · y_pred z (N, ..., C), the
    classes last, P positions a sample.

    Args:
        weight: one number a class; None is all 1.
        ignore_index: a label whose positions do not count.
        label_smoothing: s.
        reduction, name, dtype: as of `Loss`.

    Raises:
        ValueError: label_smoothing outside 0 ... 1; labels or weights that do not fit the classes.

    >>> round(CrossEntropyLoss().forward([1, -100], [[0.0, 0.0], [5.0, 1.0]]), 6)
    0.693147
    """

    from_logits = True

    def __init__(
        self, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="sum_over_batch_size",
        name="cross_entropy_loss", dtype=None,
    ):  # fmt: skip
        super().__init__(weight, ignore_index, name, reduction, dtype)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(
                f"CrossEntropyLoss: label_smoothing must lie between 0 and 1, got {label_smoothing!r}; pass e.g. 0.1"
            )
        self.label_smoothing = label_smoothing

    def _smooth_rows(self, y_true, y_pred):
        """t' as an array on the device."""
        labels, classes, s = self.device.to_host(y_true), y_pred.shape[-1], self.label_smoothing
        v = one_a_class(type(self).__name__, "weight", self.weight, classes)
        table = np.concatenate([v * ((1 - s) * np.eye(classes) + s / classes), np.zeros((1, classes))])
        return self._array("rows", table[np.where(labels == self.ignore_index, classes, labels)], y_pred.dtype)

    def values(self, y_true, y_pred, out):
        if not self.label_smoothing:
            return super().values(y_true, y_pred, out)
        self.k.categorical_cross_entropy(self._smooth_rows(y_true, y_pred), y_pred, True, 0.0, out=out)

    def gradient(self, y_true, y_pred, scale, out):
        if not self.label_smoothing:
            return super().gradient(y_true, y_pred, scale, out)
        self.k.categorical_cross_entropy_grad(self._smooth_rows(y_true, y_pred), y_pred, True, 0.0, scale, out=out)

    def values_and_gradient(self, y_true, y_pred, scale, out, dy):
        if not self.label_smoothing:
            return super().values_and_gradient(y_true, y_pred, scale, out, dy)
        rows = self._smooth_rows(y_true, y_pred)
        self.k.categorical_cross_entropy(rows, y_pred, True, 0.0, out=out, scale=scale, dy=dy)


class BCEWithLogitsLoss(RowLoss):
    """Binary cross-entropy of logits, with a weight for each class and one more where the target is 1.

        forward     Lₙ = mean over elements of v_c (π_c t ln(1 + e⁻ᶻ) + (1 − t) ln(1 + eᶻ))     L = Σ wₙ Lₙ / M
        backward    dL/dz = wₙ / M · v_c ((1 − t) σ(z) − π_c t σ(−z)) / D

    Shapes: y_true t and y_pred z (N, ..., C), D elements a sample · M samples of non-zero weight.

    Args:
        weight: v, a number or one a class; None is 1.
        pos_weight: π, a number or one a class; above 1 it raises recall, below precision. None is 1.
        reduction, name, dtype: as of `Loss`.

    >>> loss = BCEWithLogitsLoss(pos_weight=3.0)
    >>> round(loss.forward([[1.0, 0.0]], [[0.0, 0.0]]), 6)
    1.386294
    >>> loss.backward().tolist()
    [[-0.75, 0.25]]
    """

    formula = "weighted_binary"
    is_classification = True
    accuracy = "binary_accuracy"
    from_logits = True

    def __init__(
        self, weight=None, pos_weight=None, reduction="sum_over_batch_size", name="bce_with_logits_loss", dtype=None
    ):
        super().__init__(name, reduction, dtype)
        own = type(self).__name__
        self.weight, self.pos_weight = (
            plain_weights(own, "weight", weight),
            plain_weights(own, "pos_weight", pos_weight),
        )

    def class_weights(self, classes):
        own = type(self).__name__
        v, positive = one_a_class(own, "weight", self.weight, classes), self._positive(classes)
        return np.stack([v * positive, v])

    def _positive(self, classes):
        return one_a_class(type(self).__name__, "pos_weight", self.pos_weight, classes)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        self.class_weights(output_shape[-1])
        targets.check_range(
            type(self).__name__, np.asarray(y_true), "targets", "targets of -1 and 1 become (y + 1) / 2"
        )


class MultiLabelSoftMarginLoss(BCEWithLogitsLoss):
    """PyTorch's loss for samples of several classes at once: binary cross-entropy of logits, a weight for each class.

        forward     Lₙ = mean over elements of v_c (t ln(1 + e⁻ᶻ) + (1 − t) ln(1 + eᶻ))         L = Σ wₙ Lₙ / M
        backward    dL/dz = wₙ / M · v_c (σ(z) − t) / D for t of 0 and 1

    Shapes: y_true t and y_pred z (N, ..., C), D elements a sample · M samples of non-zero weight.

    Args:
        weight: v, a number or one a class; None is 1.
        reduction, name, dtype: as of `Loss`.

    >>> round(MultiLabelSoftMarginLoss(weight=[1.0, 0.0]).forward([[1.0, 0.0]], [[0.0, 9.0]]), 6)
    0.346574
    """

    def __init__(self, weight=None, reduction="sum_over_batch_size", name="multi_label_soft_margin_loss", dtype=None):
        super().__init__(weight, None, reduction, name, dtype)


class MultiMarginLoss(RowLoss):
    """PyTorch's hinge loss for classes: the output of the class shall be above each other one by a margin.

        forward     Lₙ = mean over positions of v_t Σ_{c≠t} max(m − y_t + y_c, 0)^p / C         L = Σ wₙ Lₙ / M
        backward    g_c = v_t p max(m − y_t + y_c, 0)^(p−1) / C for c ≠ t,  g_t = −Σ g_c;  dL/dy = wₙ / M · g / P

    Shapes: y_true t (N, ...) or (N, ..., 1), whole numbers 0 to C − 1 · y_pred y (N, ..., C), P positions a sample · M
    samples of non-zero weight.

    Args:
        p: 1 or 2.
        margin: m.
        weight: v, one number a class; None is all 1.
        reduction, name, dtype: as of `Loss`.

    Raises:
        ValueError: p other than 1 and 2; labels or weights that do not fit the classes.

    >>> loss = MultiMarginLoss()
    >>> loss.forward([1], [[0.5, 1.0]])
    0.25
    >>> loss.backward().tolist()
    [[0.5, -0.5]]
    """

    formula = "multi_margin"
    is_classification = True
    accuracy = "sparse_categorical_accuracy"

    def __init__(
        self, p=1, margin=1.0, weight=None, reduction="sum_over_batch_size", name="multi_margin_loss", dtype=None
    ):
        super().__init__(name, reduction, dtype)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p must be 1 or 2, got p={p!r}; pass p=1")
        self.p, self.margin, self.weight = p, margin, plain_weights(type(self).__name__, "weight", weight)

    def constants(self, shape):
        return self.p, self.margin

    def class_weights(self, classes):
        return None if self.weight is None else one_a_class(type(self).__name__, "weight", self.weight, classes)

    def check_shape(self, shape, output_shape):
        targets.check_labels_shape(type(self).__name__, shape, output_shape)

    def validate(self, y_true, output_shape):
        self.class_weights(output_shape[-1])
        targets.validate_labels(type(self).__name__, y_true, output_shape)

    def prepare(self, y_true, dtype, output_shape=None):
        """One-hot rows of the labels."""
        return targets.one_hot_rows(type(self).__name__, y_true, dtype, output_shape)
