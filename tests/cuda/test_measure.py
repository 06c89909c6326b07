"""Metrics that are added up on the device: the same figures as on the host, and who is measured there."""

import numpy as np
import pytest

from npdl import metrics
from npdl.models.measured import measure

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((300, 7)).astype("float32")
ROWS[5, 3:5] = ROWS[5].max() + 1  # the first of equal ones
ROWS[6, 2] = ROWS[7, 0] = np.nan
LABELS = RNG.integers(0, 7, 300)
LABELS[:3] = -1, 7, 2
TARGETS = np.round(RNG.random((300, 7))).astype("float32")
CASES = {
    "accuracy": (metrics.Accuracy(), TARGETS, np.round(RNG.random((300, 7))).astype("float32")),
    "binary": (metrics.BinaryAccuracy(threshold=0.1), TARGETS, ROWS),
    "mse": (metrics.MeanSquaredError(), TARGETS, np.nan_to_num(ROWS)),
    "rmse": (metrics.RootMeanSquaredError(), TARGETS[:1], ROWS[:1]),
    "mae": (metrics.MeanAbsoluteError(), TARGETS, np.nan_to_num(ROWS)),
    "categorical": (metrics.CategoricalAccuracy(), ROWS[::-1].copy(), ROWS),
    "sparse": (metrics.SparseCategoricalAccuracy(), LABELS, ROWS),
    "sparse int32": (metrics.SparseCategoricalAccuracy(), LABELS.astype("int32")[:, None], ROWS),
    "top": (metrics.TopKCategoricalAccuracy(2), np.nan_to_num(ROWS[::-1]), ROWS),
    "sparse top": (metrics.SparseTopKCategoricalAccuracy(3), LABELS, ROWS),
}


@pytest.mark.parametrize("name", CASES)
def test_as_on_the_host(device, name):
    metric, target, y = CASES[name]
    metric.reset_state()
    metric.update_state(target, y)
    for order in (1, -1):
        device.driver.order = order
        total, count = measure(device, metric, device.from_host(target), device.from_host(y))
        assert count == metric.weight
        np.testing.assert_allclose(device.to_host(total)[0], metric.total, rtol=1e-6)


def test_who_is_measured_on_the_host(device):
    class Mine(metrics.MeanSquaredError):
        """It may do more."""

    y = device.from_host(ROWS)
    assert measure(device, Mine(), y, y) is None
    assert measure(device, metrics.AUC(), y, y) is None
    assert measure(device, metrics.MeanSquaredError(), device.from_host(LABELS), y) is None
    assert measure(device, metrics.SparseCategoricalAccuracy(), y, y) is None
    assert measure(device, metrics.CategoricalAccuracy(), device.from_host(LABELS), y) is None
