"""Correlation of targets and outputs, row by row."""

import numpy as np

from npdl.metrics.base import MeanOfSamples, same_shape


class _Correlation(MeanOfSamples):
    """What both read: along which axes the moments are."""

    def __init__(self, name=None, dtype=None, axis=-1):
        self.axis = tuple(axis) if isinstance(axis, list) else axis
        super().__init__(name, dtype)

    def moments(self, y_true, y_pred):
        """(var t, var p, cov(t, p), t̄ − p̄) along the axes, in float64."""
        same_shape(self.name, y_true, y_pred)
        if y_true.ndim < 2 or 0 in np.arange(y_true.ndim)[np.array(self.axis, ndmin=1)]:
            raise ValueError(
                f"{self.name}: y_true and y_pred must be (N, ..., D), and axis none of the samples', got shape "
                f"{y_true.shape} and axis={self.axis!r}; pass several numbers a sample"
            )
        t, p = y_true.astype(np.float64), y_pred.astype(np.float64)
        dt, dp = (array - array.mean(self.axis, keepdims=True) for array in (t, p))
        products = ((a * b).mean(self.axis) for a, b in ((dt, dt), (dp, dp), (dt, dp)))
        return *products, t.mean(self.axis) - p.mean(self.axis)


class PearsonCorrelation(_Correlation):
    """Mean over the rows of Pearson's  r = cov(t, p) / √(var t · var p),  0 where either is constant.

    Shapes: y_true t and y_pred p (N, ..., D); variances are along `axis`.

    Args:
        name, dtype: as of `Metric`.
        axis: one axis, or several; not that of the samples.

    Raises:
        ValueError: so, or one number a sample.

    >>> round(PearsonCorrelation()([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]), 6)
    0.9967
    """

    def __init__(self, name="pearson_correlation", dtype=None, axis=-1):
        super().__init__(name, dtype, axis)

    def values(self, y_true, y_pred):
        of_t, of_p, both, _ = self.moments(y_true, y_pred)
        spread = np.sqrt(of_t * of_p)
        return np.where(spread == 0, 0, both / np.where(spread == 0, 1, spread))


class ConcordanceCorrelation(_Correlation):
    """Mean over the rows of Lin's  ρ = 2 cov(t, p) / (var t + var p + (t̄ − p̄)² + 10⁻⁷).

    It is 1 where p = t; Pearson's r where p is any rising line of t.

    Shapes: y_true t and y_pred p (N, ..., D); variances and means are along `axis`.

    Args:
        name, dtype: as of `Metric`.
        axis: one axis, or several; not that of the samples.

    Raises:
        ValueError: so, or one number a sample.

    References: L. I. Lin, A Concordance Correlation Coefficient to Evaluate Reproducibility, 1989.

    >>> round(ConcordanceCorrelation()([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]), 6)
    0.981632
    """

    def __init__(self, name="concordance_correlation", dtype=None, axis=-1):
        super().__init__(name, dtype, axis)

    def values(self, y_true, y_pred):
        of_t, of_p, both, apart = self.moments(y_true, y_pred)
        return 2 * both / (of_t + of_p + apart**2 + 1e-7)
