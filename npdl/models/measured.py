"""Metrics that a GPU adds up itself, so that nobody waits for it in every step."""

import numpy as np

from npdl import metrics

ELEMENTS = {
    metrics.Accuracy: "equal", metrics.BinaryAccuracy: "binary", metrics.MeanSquaredError: "squared",
    metrics.RootMeanSquaredError: "squared", metrics.MeanAbsoluteError: "absolute",
}  # fmt: skip
"""Of these there is a value for each number of the output."""
LABELS = {metrics.SparseCategoricalAccuracy, metrics.SparseTopKCategoricalAccuracy}
ROWS = {metrics.CategoricalAccuracy, metrics.TopKCategoricalAccuracy, *LABELS}
"""And of these for each row of classes."""


def measure(device, metric, target, output):
    """(the sum of a metric's values over a batch, a float64 array on the device, and how many values they are).

    None where the metric, or targets of this kind, are measured on the host. Exact types: one of yours may do more.
    """
    kind = type(metric)
    if kind in ELEMENTS:
        if target.shape != output.shape or target.dtype != output.dtype:
            return None
        return device.measure_elements(target, output, ELEMENTS[kind], getattr(metric, "threshold", 0.0)), output.size
    if kind not in ROWS or len(output.shape) < 2:
        return None
    rows, k = output.shape[:-1], getattr(metric, "k", 0)
    if kind in LABELS:
        if target.shape not in (rows, (*rows, 1)) or target.dtype not in (np.int32, np.int64):
            return None
    elif target.shape != output.shape or target.dtype != output.dtype:
        return None
    return device.measure_rows(target, output, k, kind in LABELS), int(np.prod(rows))
