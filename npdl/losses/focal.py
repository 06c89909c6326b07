"""Focal losses: cross-entropy in which samples that are right already count little."""

import numpy as np

from npdl.losses import targets
from npdl.losses.crossentropy import CrossEntropy
from npdl.losses.elements import finite, one_a_class, plain_weights


class BinaryFocalCrossentropy(CrossEntropy):
    """Binary cross-entropy, each element weighted by how wrong it is.

        forward     t' = t (1 − s) + s / 2          p = σ(z) from logits z, else clipped to [10⁻⁷, 1 − 10⁻⁷]
                    q = t' (1 − p) + (1 − t') p     b = −t' ln p − (1 − t') ln(1 − p)
                    a = t' α + (1 − t') (1 − α) with apply_class_balancing, else 1
                    Lₙ = Σ_d a qᵞ b / D             L = Σ wₙ Lₙ / M
        backward    dL/dz = wₙ / M · a qᵞ (γ (1 − 2 t') p (1 − p) b / q + p − t') / D                   from logits
                    dL/dp = wₙ / M · a qᵞ (γ (1 − 2 t') b / q + (p − t') / (p (1 − p))) / D,  0 where p is clipped

    Shapes: y_true t and y_pred (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        apply_class_balancing: whether a is used.
        alpha: α, the weight of class 1.
        gamma: γ ≥ 0; 0 is binary cross-entropy.
        from_logits: True: y_pred is z, before the sigmoid. False: y_pred is p. None: `compile` finds out.
        label_smoothing: s.
        axis: -1.
        reduction, name, dtype: as of `Loss`.

    References: T.-Y. Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002.

    >>> loss = BinaryFocalCrossentropy(from_logits=True)
    >>> round(loss.forward([[1.0], [0.0]], [[0.0], [0.0]]), 6)
    0.173287
    """

    folds = "sigmoid"
    accuracy = "binary_accuracy"

    def __init__(
        self, apply_class_balancing=False, alpha=0.25, gamma=2.0, from_logits=None, label_smoothing=0.0, axis=-1,
        reduction="sum_over_batch_size", name="binary_focal_crossentropy", dtype=None,
    ):  # fmt: skip
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        own = type(self).__name__
        self.apply_class_balancing = apply_class_balancing
        self.alpha, self.gamma = finite(own, "alpha", alpha, 0), finite(own, "gamma", gamma, 0)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        targets.check_range(
            type(self).__name__, np.asarray(y_true), "targets",
            'targets of -1 and 1 become (y + 1) / 2; for several classes use loss="categorical_focal_crossentropy"',
        )  # fmt: skip

    def _formula(self):
        ones, zeros = (self.alpha, 1 - self.alpha) if self.apply_class_balancing else (1.0, 1.0)
        name = "binary_focal_logits" if self.from_logits else "binary_focal"
        return name, (self.label_smoothing, self.gamma, ones, zeros)

    def values(self, y_true, y_pred, out):
        formula, constants = self._formula()
        self.k.element_loss(formula, y_true, y_pred, constants, out=out)

    def gradient(self, y_true, y_pred, scale, out):
        formula, constants = self._formula()
        self.k.element_loss_grad(formula, y_true, y_pred, constants, scale, out=out)


class CategoricalFocalCrossentropy(CrossEntropy):
    """Categorical cross-entropy, each class's term weighted by how far its probability is from 1.

        forward     t' = t (1 − s) + s / C          p = softmax(z) from logits z
                                                    p = y / Σ_c y from probabilities y, clipped to [10⁻⁷, 1 − 10⁻⁷]
                    Lₙ = mean over positions of −Σ_c α_c t'_c (1 − p_c)ᵞ ln p_c                 L = Σ wₙ Lₙ / M
        backward    h_c = α_c t'_c (γ (1 − p_c)ᵞ⁻¹ p_c ln p_c − (1 − p_c)ᵞ)
                    dL/dz_c = wₙ / M · (h_c − p_c Σ_k h_k) / P                                  from logits
                    dL/dy_c = wₙ / M · (g_c − Σ_k g_k p_k) / (P Σ_c y)                          from probabilities,
                        g_c = h_c / p_c, 0 where p_c is clipped

    Shapes: y_true t and y_pred (N, ..., C), P positions a sample · M samples of non-zero weight.

    Args:
        alpha: α, a number or one a class.
        gamma: γ ≥ 0; 0 with alpha=1 is categorical cross-entropy.
        from_logits: True: y_pred is z, before the softmax. False: y_pred is p. None: `compile` finds out.
        label_smoothing: s.
        axis: -1.
        reduction, name, dtype: as of `Loss`.

    References: T.-Y. Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002.

    >>> loss = CategoricalFocalCrossentropy(from_logits=True)
    >>> round(loss.forward([[0.0, 1.0]], [[0.0, 0.0]]), 6)
    0.043322
    """

    folds = "softmax"
    accuracy = "categorical_accuracy"

    def __init__(
        self, alpha=0.25, gamma=2.0, from_logits=None, label_smoothing=0.0, axis=-1, reduction="sum_over_batch_size",
        name="categorical_focal_crossentropy", dtype=None,
    ):  # fmt: skip
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        own = type(self).__name__
        self.alpha, self.gamma = plain_weights(own, "alpha", alpha), finite(own, "gamma", gamma, 0)

    def check_shape(self, shape, output_shape):
        label_loss = "sparse_categorical_focal_crossentropy"
        targets.check_one_hot_shape(type(self).__name__, shape, output_shape, label_loss)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        one_a_class(type(self).__name__, "alpha", self.alpha, output_shape[-1])
        targets.check_range(
            type(self).__name__, np.asarray(y_true), "the targets of the classes",
            'for integer labels use loss="sparse_categorical_focal_crossentropy"',
        )  # fmt: skip

    def _arguments(self, y_true, y_pred):
        alpha = one_a_class(type(self).__name__, "alpha", self.alpha, y_pred.shape[-1])
        alpha = self._array("alpha", alpha, y_pred.dtype)
        formula = "focal_logits" if self.from_logits else "focal"
        return formula, y_true, y_pred, (self.gamma, self.label_smoothing), alpha

    def values(self, y_true, y_pred, out):
        self.k.row_loss(*self._arguments(y_true, y_pred), out=out)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.row_loss_grad(*self._arguments(y_true, y_pred), scale, out=out)

    def values_and_gradient(self, y_true, y_pred, scale, out, dy):
        self.k.row_loss(*self._arguments(y_true, y_pred), out=out, scale=scale, dy=dy)


class SparseCategoricalFocalCrossentropy(CategoricalFocalCrossentropy):
    """`CategoricalFocalCrossentropy` whose targets are the classes' numbers.

        forward, backward   as there, t the one-hot row of the label

    Shapes: y_true (N, ...) or (N, ..., 1), whole numbers 0 to C − 1 · y_pred (N, ..., C).

    Args: as of `CategoricalFocalCrossentropy`.

    >>> loss = SparseCategoricalFocalCrossentropy(from_logits=True)
    >>> round(loss.forward([1], [[0.0, 0.0]]), 6)
    0.043322
    """

    accuracy = "sparse_categorical_accuracy"

    def __init__(
        self, alpha=0.25, gamma=2.0, from_logits=None, label_smoothing=0.0, axis=-1, reduction="sum_over_batch_size",
        name="sparse_categorical_focal_crossentropy", dtype=None,
    ):  # fmt: skip
        super().__init__(alpha, gamma, from_logits, label_smoothing, axis, reduction, name, dtype)

    def check_shape(self, shape, output_shape):
        targets.check_labels_shape(type(self).__name__, shape, output_shape)

    def validate(self, y_true, output_shape):
        targets.validate_labels(type(self).__name__, y_true, output_shape)
        one_a_class(type(self).__name__, "alpha", self.alpha, output_shape[-1])

    def prepare(self, y_true, dtype, output_shape=None):
        """One-hot rows of the labels."""
        return targets.one_hot_rows(type(self).__name__, y_true, dtype, output_shape)
