"""Losses that ask for a margin between classes: the hinge family."""

import numpy as np

from npdl.losses import targets
from npdl.losses.elements import ElementLoss, RowLoss, finite


def check_signs(owner, y, values, fix):
    """Raise unless every target is one of `values`.

    Raises:
        ValueError: one is not; the first is named.
    """
    y = np.asarray(y)
    wrong = ~np.isin(y, values)
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        raise ValueError(
            f"{owner}: targets must be {' or '.join(map(str, values))}, got {y[wrong][0]} at row {row}; {fix}"
        )


class Hinge(ElementLoss):
    """Hinge loss of support vector machines: nothing once an output is on the right side by a margin of 1.

        forward     Lₙ = Σ_d max(1 − t p, 0) / D,  t = 0 counts as −1       L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / (M D) · (−t where t p < 1,  else 0)

    Keras turns targets of 0 into −1 where a whole batch holds 0 and 1 alone, npdl each by itself.

    Shapes: y_true t, of −1 and 1 or of 0 and 1, and y_pred p (N, ...), D elements a sample · M samples of non-zero
    weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    References: C. Cortes, V. Vapnik, Support-Vector Networks, 1995.

    >>> loss = Hinge()
    >>> loss.forward([[1.0, -1.0]], [[0.5, 0.5]])
    1.0
    >>> loss.backward().tolist()
    [[-0.5, 0.5]]
    """

    formula = "hinge"
    is_classification = True

    def __init__(self, reduction="sum_over_batch_size", name="hinge", dtype=None):
        super().__init__(name, reduction, dtype)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        check_signs(type(self).__name__, y_true, (-1, 0, 1), 'for class numbers use loss="categorical_hinge"')


class SquaredHinge(Hinge):
    """The square of the hinge loss, which has no kink.

        forward     Lₙ = Σ_d max(1 − t p, 0)² / D,  t = 0 counts as −1      L = Σ wₙ Lₙ / M
        backward    dL/dp = −wₙ / M · 2 t max(1 − t p, 0) / D

    Shapes, Args: as of `Hinge`.

    >>> loss = SquaredHinge()
    >>> loss.forward([[1.0, -1.0]], [[0.5, 0.5]])
    1.25
    """

    formula = "squared_hinge"

    def __init__(self, reduction="sum_over_batch_size", name="squared_hinge", dtype=None):
        super().__init__(reduction, name, dtype)


class SoftMarginLoss(ElementLoss):
    """PyTorch's soft margin loss: logistic regression for targets of −1 and 1.

        forward     Lₙ = Σ_d ln(1 + exp(−t p)) / D              L = Σ wₙ Lₙ / M
        backward    dL/dp = −wₙ / M · t σ(−t p) / D

    Shapes: y_true t, of −1 and 1, and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    >>> loss = SoftMarginLoss()
    >>> round(loss.forward([[1.0]], [[0.0]]), 6)
    0.693147
    """

    formula = "soft_margin"
    is_classification = True

    def __init__(self, reduction="sum_over_batch_size", name="soft_margin_loss", dtype=None):
        super().__init__(name, reduction, dtype)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        check_signs(type(self).__name__, y_true, (-1, 1), "targets of 0 and 1 become 2 * y - 1")


class HingeEmbeddingLoss(ElementLoss):
    """PyTorch's hinge loss of distances: those of pairs that are alike shall be small, others beyond a margin.

        forward     Lₙ = Σ_d (p where t = 1,  max(m − p, 0) where t = −1) / D               L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / (M D) · (1 where t = 1;  −1 where t = −1 and p < m;  else 0)

    Shapes: y_true t, of −1 and 1, and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        margin: m.
        reduction, name, dtype: as of `Loss`.

    >>> HingeEmbeddingLoss().forward([[1.0, -1.0]], [[0.5, 0.25]])
    0.625
    """

    formula = "hinge_embedding"

    def __init__(self, margin=1.0, reduction="sum_over_batch_size", name="hinge_embedding_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        self.margin = finite(type(self).__name__, "margin", margin)

    def constants(self, shape):
        return (self.margin,)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        check_signs(type(self).__name__, y_true, (-1, 1), "targets of 0 and 1 become 2 * y - 1")


class CategoricalHinge(RowLoss):
    """Hinge loss for classes: the output of the class shall be above the largest other one by 1.

        forward     Lₙ = mean over positions of max(max_c (1 − t_c) p_c − Σ_c t_c p_c + 1, 0)       L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / (M P) · ((1 − t) at the c of the largest − t),  0 where the loss is 0

    Shapes: y_true t one-hot and y_pred p (N, ..., C), P positions a sample · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    >>> loss = CategoricalHinge()
    >>> loss.forward([[0.0, 1.0, 0.0]], [[0.5, 1.0, 0.75]])
    0.75
    >>> loss.backward().tolist()
    [[-0.0, -1.0, 1.0]]
    """

    formula = "categorical_hinge"
    is_classification = True
    accuracy = "categorical_accuracy"

    def __init__(self, reduction="sum_over_batch_size", name="categorical_hinge", dtype=None):
        super().__init__(name, reduction, dtype)

    def check_shape(self, shape, output_shape):
        targets.check_one_hot_shape(type(self).__name__, shape, output_shape, None)


class MultiLabelMarginLoss(RowLoss):
    """PyTorch's hinge loss for several classes a sample: each of them shall be above each that is not by 1.

        forward     Lₙ = mean over positions of Σ_j t_j Σ_i max(1 − p_j + p_i, 0) / C,  i those with t_i = 0
                    L = Σ wₙ Lₙ / M
        backward    dL/dp_i = wₙ / (M P C) Σ_j t_j (1 where p_j − p_i < 1, else 0)
                    dL/dp_j = −the sum over i of the same

    PyTorch's targets are lists of labels with −1 behind the last one; here they are as in all losses of this kind.

    Shapes: y_true t, 0 or 1 for each class (or its weight), and y_pred p (N, ..., C), P positions a sample · M
    samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    >>> loss = MultiLabelMarginLoss()
    >>> loss.forward([[1.0, 0.0]], [[0.5, 0.25]])
    0.375
    >>> loss.backward().tolist()
    [[-0.5, 0.5]]
    """

    formula = "multi_label_margin"
    is_classification = True

    def __init__(self, reduction="sum_over_batch_size", name="multi_label_margin_loss", dtype=None):
        super().__init__(name, reduction, dtype)

    def validate(self, y_true, output_shape):
        super().validate(y_true, output_shape)
        y = np.asarray(y_true)
        if (y < 0).any():
            row = int(np.argwhere(y < 0)[0][0])
            raise ValueError(
                f"{type(self).__name__}: targets must be 0 or 1 for each class, or how often it is there, got "
                f"{y[y < 0][0]} at row {row}; make a row of zeros, and row[labels] = 1"
            )
