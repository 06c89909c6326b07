"""Metrics for numbers: squared and absolute errors, R²."""

import math

import numpy as np

from npdl.losses.targets import as_numbers
from npdl.metrics.base import MeanOfSamples, Metric, per_row, same_shape, weighted_rows


class MeanSquaredError(MeanOfSamples):
    """Mean of (p − t)² over all entries; y_true t and y_pred p (N, ...).

    >>> MeanSquaredError()([[0.0, 0.0]], [[1.0, 3.0]])
    5.0
    """

    def __init__(self, name="mean_squared_error", dtype=None):
        super().__init__(name, dtype)

    def values(self, y_true, y_pred):
        return error(self.name, y_true, y_pred) ** 2


class RootMeanSquaredError(MeanSquaredError):
    """√(mean of (p − t)²) over all entries; y_true t and y_pred p (N, ...).

    >>> RootMeanSquaredError()([[0.0, 0.0]], [[1.0, 7.0]])
    5.0
    """

    def __init__(self, name="root_mean_squared_error", dtype=None):
        super().__init__(name, dtype)

    def result(self):
        return math.sqrt(super().result())


class MeanAbsoluteError(MeanOfSamples):
    """Mean of |p − t| over all entries; y_true t and y_pred p (N, ...).

    >>> MeanAbsoluteError()([[0.0, 0.0]], [[1.0, -3.0]])
    2.0
    """

    def __init__(self, name="mean_absolute_error", dtype=None):
        super().__init__(name, dtype)

    def values(self, y_true, y_pred):
        return np.abs(error(self.name, y_true, y_pred))


class R2Score(Metric):
    """Coefficient of determination:  R² = 1 − Σ w (p − t)² / Σ w (t − t̄)²,  one an output, then averaged.

    1 is perfect, 0 is what the constant t̄ reaches. An output with constant targets counts 1 where it is met exactly,
    else 0 (scikit-learn's convention); nothing seen gives 0. Σ w (t − t̄)² is merged from the batches' means and centred
    sums, so that targets far from 0 lose no digits.

    Shapes: y_true t and y_pred p (N, ...).

    Args:
        class_aggregation: "uniform_average", "variance_weighted_average" (by Σ w (t − t̄)²), or None: an array, one
            value an output.
        num_regressors: k > 0 gives the adjusted figure  1 − (1 − R²) (n − 1) / (n − k − 1)  of n samples, which does
            not rise by inputs that say nothing; R² itself where n ≤ k + 1.
        name, dtype: as of `Metric`.

    Raises:
        ValueError: another class_aggregation, num_regressors no whole number from 0 up.

    References: T. F. Chan, G. H. Golub, R. J. LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances, 1979.

    >>> R2Score()([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]])
    0.5
    """

    def __init__(self, class_aggregation="uniform_average", num_regressors=0, *, name="r2_score", dtype=None):
        if class_aggregation not in ("uniform_average", "variance_weighted_average", None):
            raise ValueError(
                f"class_aggregation={class_aggregation!r} is not there; pass "
                '"uniform_average", "variance_weighted_average" or None'
            )
        if not isinstance(num_regressors, int) or num_regressors < 0:
            raise ValueError(f"num_regressors must be a whole number from 0 up, got {num_regressors!r}; pass e.g. 3")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        super().__init__(name, dtype)

    def reset_state(self):
        self.weight, self.samples = 0.0, 0
        self.origin = None  # the first target: constant targets then give centred sums of exactly 0
        self.mean = self.centred = self.residual = np.zeros(1)

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = as_numbers(self.name, y_true), as_numbers(self.name, y_pred)
        same_shape(self.name, t, p)
        t, p = (per_row(a).astype(np.float64) for a in (t, p))
        t, w = weighted_rows(t, sample_weight)
        p, _ = weighted_rows(p, sample_weight)
        if not len(t):
            return
        self.samples += len(t)
        w = w[:, None]
        if self.origin is None:
            self.origin = t[0]
        self.residual = self.residual + (w * (p - t) ** 2).sum(axis=0)
        weight, d = w.sum(), t - self.origin
        mean = (w * d).sum(axis=0) / weight
        both, apart = self.weight + weight, mean - self.mean
        self.centred = self.centred + (w * (d - mean) ** 2).sum(axis=0) + apart**2 * self.weight * weight / both
        self.mean = self.mean + apart * weight / both
        self.weight = both

    def result(self):
        constant = self.centred == 0
        score = np.where(constant, self.residual == 0, 1 - self.residual / np.where(constant, 1, self.centred))
        if not self.weight:
            score = np.zeros(1)
        if self.class_aggregation == "variance_weighted_average" and self.centred.any():
            score = np.average(score, weights=self.centred)
        elif self.class_aggregation is not None:
            score = score.mean()
        beyond = self.samples - self.num_regressors - 1
        if self.num_regressors and beyond > 0:
            score = 1 - (1 - score) * (self.samples - 1) / beyond
        return score if self.class_aggregation is None else float(score)


def error(name, y_true, y_pred):
    """p − t in float64."""
    same_shape(name, y_true, y_pred)
    return y_pred.astype(np.float64) - y_true.astype(np.float64)
