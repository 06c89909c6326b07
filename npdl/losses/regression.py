"""Losses for numbers: squared, absolute, relative and logarithmic errors, Huber, quantiles."""

from npdl.losses.base import Loss
from npdl.losses.elements import ElementLoss, finite


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

    Raises:
        ValueError: delta not above 0.

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


class SmoothL1Loss(ElementLoss):
    """PyTorch's smooth L1: Huber's loss divided by its threshold, so that the slope far away is ±1 for every β.

        forward     f(e) = e² / (2 β)  where |e| ≤ β,  else |e| − β / 2       e = p − t
                    Lₙ = Σ_d f(e) / D               L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / M · clip(e / β, −1, 1) / D

    Shapes: y_true t and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        beta: β ≥ 0; 0 is the mean absolute error.
        reduction, name, dtype: as of `Loss`.

    References: R. Girshick, Fast R-CNN, arXiv:1504.08083.

    >>> SmoothL1Loss(beta=2.0).forward([[0.0, 0.0]], [[1.0, -3.0]])
    1.125
    """

    def __init__(self, beta=1.0, reduction="sum_over_batch_size", name="smooth_l1_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        self.beta = finite(type(self).__name__, "beta", beta, 0)

    @property
    def formula(self):
        """The kernel's name for it."""
        return "smooth_l1" if self.beta else "absolute"

    def constants(self, shape):
        return (self.beta,) if self.beta else ()


class LogCosh(ElementLoss):
    """Logarithm of the hyperbolic cosine: e² / 2 near the target, |e| − ln 2 far from it, smooth everywhere.

        forward     Lₙ = Σ_d ln cosh(p − t) / D     L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / M · tanh(p − t) / D

    Shapes: y_true t and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    >>> loss = LogCosh()
    >>> round(loss.forward([[0.0, 0.0]], [[1.0, -3.0]]), 6)
    1.371555
    >>> loss.backward().round(6).tolist()
    [[0.380797, -0.497527]]
    """

    formula = "log_cosh"

    def __init__(self, reduction="sum_over_batch_size", name="log_cosh", dtype=None):
        super().__init__(name, reduction, dtype)


class MeanSquaredLogarithmicError(ElementLoss):
    """Mean squared error of ln(1 + p) against ln(1 + t): relative errors count, for numbers from 0 of many sizes.

        forward     e = ln(1 + max(p, ε)) − ln(1 + max(t, ε)),  ε = 10⁻⁷
                    Lₙ = Σ_d e² / D                 L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / M · 2 e / (1 + p) / D,  0 where p < ε

    Shapes: y_true t and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    >>> round(MeanSquaredLogarithmicError().forward([[0.0, 1.0]], [[1.0, 3.0]]), 6)
    0.480453
    """

    formula = "squared_logarithmic"

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_logarithmic_error", dtype=None):
        super().__init__(name, reduction, dtype)


class MeanAbsolutePercentageError(ElementLoss):
    """Mean absolute error in per cent of the target.

        forward     Lₙ = Σ_d 100 |p − t| / max(|t|, ε) / D,  ε = 10⁻⁷       L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / M · 100 sign(p − t) / max(|t|, ε) / D      sign(0) = 0

    Shapes: y_true t and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        reduction, name, dtype: as of `Loss`.

    >>> MeanAbsolutePercentageError().forward([[2.0, 4.0]], [[1.0, 5.0]])
    37.5
    """

    formula = "percentage"

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_percentage_error", dtype=None):
        super().__init__(name, reduction, dtype)


class Quantile(ElementLoss):
    """The pinball loss: the best constant is the q-quantile of the targets.

        forward     Lₙ = Σ_d max(q (t − p), (q − 1) (t − p)) / D            L = Σ wₙ Lₙ / M
        backward    dL/dp = wₙ / (M D) · (−q where p < t,  1 − q where p > t,  0 where they are equal)

    Shapes: y_true t and y_pred p (N, ...), D elements a sample · M samples of non-zero weight.

    Args:
        q: between 0 and 1; 0.5 is half the mean absolute error.
        reduction, name, dtype: as of `Loss`.

    Raises:
        ValueError: q outside (0, 1).

    References: R. Koenker, G. Bassett, Regression Quantiles, 1978.

    >>> loss = Quantile(0.75)
    >>> loss.forward([[1.0, 1.0]], [[0.0, 3.0]])
    0.625
    >>> loss.backward().tolist()
    [[-0.375, 0.125]]
    """

    formula = "quantile"

    def __init__(self, q=0.5, reduction="sum_over_batch_size", name="quantile", dtype=None):
        super().__init__(name, reduction, dtype)
        if not 0 < q < 1:
            raise ValueError(f"Quantile needs q between 0 and 1, got q={q!r}; pass e.g. Quantile(0.9)")
        self.q = q

    def constants(self, shape):
        return (self.q,)
