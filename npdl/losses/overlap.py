"""Losses of segmentation, that compare regions, and of directions: Dice, Tversky, cosine similarity."""

import math

from npdl.losses.elements import RowLoss, finite


class CosineSimilarity(RowLoss):
    """Minus the cosine of the angle between targets and outputs: −1 in one direction, 1 in opposite ones.

        forward     Lₙ = −mean over positions of Σ_c t p / (‖t‖ ‖p‖),  ‖·‖² at least 10⁻¹²      L = Σ wₙ Lₙ / M
        backward    dL/dp = −wₙ / (M P) · (t / ‖t‖ − cos · p / ‖p‖) / ‖p‖

    Shapes: y_true t and y_pred p (N, ..., C), P positions a sample · M samples of non-zero weight.

    Args:
        axis: -1.
        reduction, name, dtype: as of `Loss`.

    Raises:
        ValueError: another axis than the last.

    >>> round(CosineSimilarity().forward([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]), 6)
    -0.5
    """

    formula = "cosine"

    def __init__(self, axis=-1, reduction="sum_over_batch_size", name="cosine_similarity", dtype=None):
        super().__init__(name, reduction, dtype)
        if axis != -1:
            raise ValueError(
                f"CosineSimilarity: vectors lie along the last axis, axis=-1, got axis={axis!r}; move it last"
            )
        self.axis = axis


class Tversky(RowLoss):
    """One minus Tversky's index of predicted and true regions, which weighs false and missed elements apart.

        forward     I = Σ t p,  F = Σ (1 − t) p,  G = Σ t (1 − p) over the axes
                    Lₙ = mean over the rest of 1 − (I + ε) / (I + α F + β G + ε),  ε = 10⁻⁷     L = Σ wₙ Lₙ / M
        backward    dL/dp = −wₙ / (M P) · (t − (I + ε) / B · (α + (1 − α − β) t)) / B,  B the denominator

    Keras sums over the batch too where axis is None; npdl takes each sample by itself.

    Shapes: y_true t and y_pred p (N, ...), P numbers of the axes that are left · M samples of non-zero weight.

    Args:
        alpha: α, the weight of what is predicted falsely.
        beta: β, the weight of what is missed; α = β = 1/2 is Dice.
        axis: None, all but the first; or the axes of a sample, the last ones in a row, that are summed over.
        reduction, name, dtype: as of `Loss`.

    References: S. S. M. Salehi et al., arXiv:1706.05721.

    >>> round(Tversky(alpha=1.0, beta=0.0).forward([[1.0, 0.0]], [[0.5, 0.5]]), 6)
    0.5
    """

    formula = "tversky"

    def __init__(self, alpha=0.5, beta=0.5, reduction="sum_over_batch_size", name="tversky", axis=None, dtype=None):
        super().__init__(name, reduction, dtype)
        self.alpha, self.beta = finite("Tversky", "alpha", alpha, 0), finite("Tversky", "beta", beta, 0)
        self.axis = _axes(self, axis)
        self.whole_samples = axis is None

    def constants(self, shape):
        return self.alpha, self.beta, 1e-7

    def _arguments(self, y_true, y_pred):
        """Arrays whose last axis is what is summed over."""
        shape = self._rows(y_pred.shape)
        return self.formula, y_true.reshape(shape), y_pred.reshape(shape), self.constants(shape), None

    def _rows(self, shape):
        axes = range(1, len(shape)) if self.axis is None else [axis % len(shape) for axis in self.axis]
        first = min(axes, default=1)
        if sorted(axes) != list(range(first, len(shape))) or first == 0:
            raise ValueError(
                f"{type(self).__name__}: axis must name the last axes of a sample, for outputs of shape {shape} e.g. "
                f"axis=({len(shape) - 1},), got {self.axis}; transpose what lies before them, or pass axis=None"
            )
        return *shape[:first], math.prod(shape[first:])

    def gradient(self, y_true, y_pred, scale, out):
        self.k.row_loss_grad(*self._arguments(y_true, y_pred), scale, out=out.reshape(self._rows(y_pred.shape)))

    def values_and_gradient(self, y_true, y_pred, scale, out, dy):
        dy = dy.reshape(self._rows(y_pred.shape))
        self.k.row_loss(*self._arguments(y_true, y_pred), out=out, scale=scale, dy=dy)


class Dice(Tversky):
    """One minus the Dice coefficient of predicted and true regions, twice what they share by what both have.

        forward     Lₙ = mean over the rest of 1 − (2 Σ t p + ε) / (Σ t + Σ p + ε),  ε = 10⁻⁷   L = Σ wₙ Lₙ / M
        backward    dL/dp = −wₙ / (M P) · (2 t − (2 Σ t p + ε) / B) / B,  B = Σ t + Σ p + ε

    Keras sums over the batch too where axis is None; npdl takes each sample by itself.

    Shapes: y_true t and y_pred p (N, ...), P numbers of the axes that are left · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.
        axis: None, all but the first; or the axes of a sample, the last ones in a row, that are summed over.

    References: F. Milletari et al., V-Net, arXiv:1606.04797.

    >>> round(Dice().forward([[1.0, 0.0]], [[0.5, 0.5]]), 6)
    0.5
    """

    def __init__(self, reduction="sum_over_batch_size", name="dice", axis=None, dtype=None):
        super().__init__(0.5, 0.5, reduction, name, axis, dtype)

    def constants(self, shape):
        return 0.5, 0.5, 0.5e-7


def _axes(loss, axis):
    if axis is None or isinstance(axis, int):
        return axis if axis is None else [axis]
    return [int(each) for each in axis]
