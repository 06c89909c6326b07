"""Losses for numbers: mean squared error, mean absolute error, Huber."""

from npdl.losses.base import Loss


class MeanSquaredError(Loss):
    """Mean squared error, the negative log-likelihood of a normal distribution up to constants.

        forward     Lₙ = Σ_d (p − t)² / D           L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / M · 2 (p − t) / D

    Shapes: y_true t and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    References: A. M. Legendre, Nouvelles méthodes pour la détermination des orbites des comètes, 1805 (least squares).

    >>> loss = MeanSquaredError()
    >>> loss.forward([[0.0, 0.0]], [[1.0, 3.0]])
    5.0
    >>> loss.backward().tolist()
    [[1.0, 3.0]]
    """

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(name, reduction, dtype)

    def values(self, y_true, y_pred, out):
        self.k.mean_squared_error(y_true, y_pred, out=out)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.mean_squared_error_grad(y_true, y_pred, scale, out=out)


class MeanAbsoluteError(Loss):
    """Mean absolute error: the best constant is the median, so that outliers pull less.

        forward     Lₙ = Σ_d |p − t| / D            L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / M · sign(p − t) / D        sign(0) = 0

    Shapes: y_true t and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    References: R. J. Boscovich, 1757 (least absolute deviations).

    >>> loss = MeanAbsoluteError()
    >>> loss.forward([[0.0, 0.0]], [[1.0, -3.0]])
    2.0
    >>> loss.backward().tolist()
    [[0.5, -0.5]]
    """

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        super().__init__(name, reduction, dtype)

    def values(self, y_true, y_pred, out):
        self.k.mean_absolute_error(y_true, y_pred, out=out)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.mean_absolute_error_grad(y_true, y_pred, scale, out=out)


class Huber(Loss):
    """Huber's loss: squared near the target, absolute far from it.

        forward     h(e) = e² / 2  where |e| ≤ δ,  else δ |e| − δ² / 2        e = p − t
                    Lₙ = Σ_d h(e) / D               L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / M · clip(e, −δ, δ) / D

    Shapes: y_true t and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        delta: δ > 0, where the parabola goes over into lines.
        reduction, name, dtype: as of `Loss`.

    References: P. J. Huber, Robust Estimation of a Location Parameter, 1964.

    >>> loss = Huber(delta=1.0)
    >>> loss.forward([[0.0, 0.0]], [[0.5, -3.0]])
    1.3125
    >>> loss.backward().tolist()
    [[0.25, -0.5]]
    """

    def __init__(self, delta=1.0, reduction="sum_over_batch_size", name="huber_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        if not 0 < delta < float("inf"):
            raise ValueError(f"Huber needs delta above 0, got delta={delta!r}; pass e.g. Huber(1.0)")
        self.delta = delta

    def values(self, y_true, y_pred, out):
        self.k.huber(y_true, y_pred, self.delta, out=out)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.huber_grad(y_true, y_pred, self.delta, scale, out=out)
