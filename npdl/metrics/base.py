"""Metric: what every metric is, and the mean that most of them are."""

import inspect
import math

import numpy as np

from npdl.losses.targets import as_numbers, check_same_shape
from npdl.losses.weights import check_sample_weight


class Metric:
    """A figure over all batches since `reset_state`: sums are kept, never averages of averages.

    A subclass writes the three methods `update_state`, `result` and `reset_state`. Arrays are host arrays.

    Args:
        name: shown in progress bars, and the key in `history`.
        dtype: None; sums are float64.
    """

    def __init__(self, name=None, dtype=None):
        if dtype is not None:
            raise ValueError(f"{type(self).__name__} sums in float64, got dtype={dtype!r}; leave dtype out")
        self.name, self.dtype = name or type(self).__name__, dtype
        self.reset_state()

    def update_state(self, *args, **kwargs):
        """Take in one batch: update_state(y_true, y_pred, sample_weight=None).

        Args:
            y_true, y_pred: targets and the model's outputs.
            sample_weight: (N,) weights, 0 or more; None is all 1. A row of weight 0 is not looked at.
        """
        raise NotImplementedError(f"{type(self).__name__} needs update_state(self, y_true, y_pred, sample_weight=None)")

    def result(self):
        """The figure."""
        raise NotImplementedError(f"{type(self).__name__} needs result(self)")

    def reset_state(self):
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} needs reset_state(self)")

    def __call__(self, *args, **kwargs):
        """`update_state` with the same arguments, then `result`."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self):
        """The arguments of `__init__`, as plain values: `type(metric).from_config(config)` is like it, empty."""
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        parameters = inspect.signature(type(self)).parameters.values()
        return {p.name: getattr(self, p.name) for p in parameters if p.kind not in kinds}

    @classmethod
    def from_config(cls, config):
        """A new metric from `get_config()`'s dictionary, or from the one that Keras writes, which names a dtype."""
        return cls(**{key: value for key, value in config.items() if key != "dtype"})

    def __repr__(self):
        return f"<{type(self).__name__} {self.name}>"


class Averaged(Metric):
    """A weighted mean of values, one or more a row:  Σ wₙ vₙ / Σ wₙ, 0 where nothing was seen."""

    def reset_state(self):
        self.total = self.weight = 0.0

    def add(self, values, sample_weight):
        """Take in values (N, ...) and weights (N,)."""
        v, w = weighted_rows(per_row(values), sample_weight)
        self.total += float((v.sum(axis=1, dtype=np.float64) * w).sum())
        self.weight += float(w.sum()) * v.shape[1]

    def result(self):
        return self.total / self.weight if self.weight else 0.0


class Mean(Averaged):
    """Weighted mean of the values that it is given, (N, ...), one weight a row.

    >>> mean = Mean()
    >>> mean.update_state([1.0, 2.0]); mean.update_state([6.0])
    >>> mean.result()
    3.0
    """

    def __init__(self, name="mean", dtype=None):
        super().__init__(name, dtype)

    def update_state(self, values, sample_weight=None):
        self.add(np.atleast_1d(as_numbers(self.name, values)), sample_weight)


class Sum(Metric):
    """Weighted sum of the values that it is given, (N, ...), one weight a row:  Σ wₙ vₙ.

    >>> total = Sum()
    >>> total.update_state([1.0, 2.0]); total.update_state([6.0])
    >>> total.result()
    9.0
    """

    def __init__(self, name="sum", dtype=None):
        super().__init__(name, dtype)

    def reset_state(self):
        self.total = 0.0

    def update_state(self, values, sample_weight=None):
        v, w = weighted_rows(per_row(np.atleast_1d(as_numbers(self.name, values))), sample_weight)
        self.total += float((v.sum(axis=1, dtype=np.float64) * w).sum())

    def result(self):
        return self.total


class MeanOfSamples(Averaged):
    """Weighted mean of a value that each sample (or each position of a sample) has; a subclass writes `values`."""

    def values(self, y_true, y_pred):
        """The value of each sample, (N, ...)."""
        raise NotImplementedError(f"{type(self).__name__} needs values(self, y_true, y_pred)")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = as_numbers(self.name, y_true), as_numbers(self.name, y_pred)
        self.add(self.values(y_true, y_pred), sample_weight)


class FunctionMetric(MeanOfSamples):
    """A function f(y_true, y_pred) that gives one value a sample, averaged over all samples.

    Of outputs that one loss looks at together, y_pred is a tuple of them.

    Args:
        fn: the function.
        name: None is the function's own.

    >>> def worst(y_true, y_pred):
    ...     return abs(y_pred - y_true).max(axis=1)
    >>> metric = FunctionMetric(worst)
    >>> metric.name, metric([[0.0, 0.0]], [[1.0, -2.0]])
    ('worst', 2.0)
    """

    def __init__(self, fn, name=None, dtype=None):
        super().__init__(name or getattr(fn, "__name__", type(fn).__name__), dtype)
        self.fn = fn

    def update_state(self, y_true, y_pred, sample_weight=None):
        if isinstance(y_pred, tuple) and all(hasattr(part, "shape") for part in y_pred):
            self.add(self.values(y_true, y_pred), sample_weight)
        else:
            super().update_state(y_true, y_pred, sample_weight)

    def values(self, y_true, y_pred):
        values = np.asarray(self.fn(y_true, y_pred))
        count = len(y_pred[0] if isinstance(y_pred, tuple) else y_pred)
        if values.shape[:1] != (count,):
            raise ValueError(
                f"metric {self.name}: the function must return one value a sample, shape ({count},), got "
                f"{values.shape}; leave the mean over the samples out"
            )
        return values


def per_row(values):
    """Values (N, ...) as (N, D)."""
    return values.reshape(len(values), math.prod(values.shape[1:]))


def weighted_rows(values, sample_weight):
    """(rows, float64 weights) of the rows with a weight above 0."""
    if sample_weight is None:
        return values, np.ones(len(values))
    w = check_sample_weight(sample_weight, len(values))
    return values[w != 0], w[w != 0]


def same_shape(name, y_true, y_pred):
    """Raise unless both have one shape, which nothing is broadcast to."""
    check_same_shape(name, y_true.shape, y_pred.shape)
