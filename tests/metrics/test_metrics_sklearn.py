"""Metrics against scikit-learn, over batches of unequal size."""

import itertools

import numpy as np
import pytest

from npdl import metrics

reference = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn")


def over_batches(metric, t, p, w=None):
    for start, stop in itertools.pairwise((0, 3, 10, 11, len(t))):
        metric.update_state(t[start:stop], p[start:stop], None if w is None else w[start:stop])
    return metric.result()


@pytest.fixture(params=[False, True], ids=["unweighted", "weighted"])
def weights(request):
    return np.random.default_rng(9).uniform(0.1, 2, 40) if request.param else None


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression(outputs, weights):
    rng = np.random.default_rng(0)
    t = rng.normal(size=(40, outputs)) * 3 + 100
    p = t + rng.normal(size=t.shape)
    for metric, function in [
        (metrics.MeanSquaredError(), reference.mean_squared_error),
        (metrics.RootMeanSquaredError(), lambda *a, **k: np.sqrt(reference.mean_squared_error(*a, **k))),
        (metrics.MeanAbsoluteError(), reference.mean_absolute_error),
        (metrics.R2Score(), reference.r2_score),
    ]:
        expected = function(t, p, sample_weight=weights)
        assert over_batches(metric, t, p, weights) == pytest.approx(expected, rel=1e-12)
    for ours, theirs in ((None, "raw_values"), ("variance_weighted_average", "variance_weighted")):
        expected = reference.r2_score(t, p, sample_weight=weights, multioutput=theirs)
        np.testing.assert_allclose(over_batches(metrics.R2Score(ours), t, p, weights), expected, rtol=1e-12)


def test_r2_of_constant_targets():
    t = np.full((12, 2), 0.75)
    p = np.stack([t[:, 0], t[:, 1] + np.arange(12)], axis=1)
    expected = reference.r2_score(t, p, multioutput="raw_values")
    np.testing.assert_array_equal(over_batches(metrics.R2Score(None), t, p), expected)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_classes(classes, weights):
    rng = np.random.default_rng(1)
    t, p = rng.integers(0, classes, 40), rng.normal(size=(40, classes)).astype("float32")
    one_hot, best = np.eye(classes)[t], p.argmax(axis=1)
    expected = reference.accuracy_score(t, best, sample_weight=weights)
    assert over_batches(metrics.SparseCategoricalAccuracy(), t, p, weights) == pytest.approx(expected, rel=1e-12)
    assert over_batches(metrics.CategoricalAccuracy(), one_hot, p, weights) == pytest.approx(expected, rel=1e-12)
    assert over_batches(metrics.Accuracy(), t, best, weights) == pytest.approx(expected, rel=1e-12)
    if classes > 2:
        for k in range(1, classes):
            expected = reference.top_k_accuracy_score(t, p, k=k, sample_weight=weights, labels=range(classes))
            sparse, rows = metrics.SparseTopKCategoricalAccuracy(k), metrics.TopKCategoricalAccuracy(k)
            assert over_batches(sparse, t, p, weights) == pytest.approx(expected, rel=1e-12)
            assert over_batches(rows, one_hot, p, weights) == pytest.approx(expected, rel=1e-12)
    expected = reference.confusion_matrix(t, best, labels=range(classes))
    np.testing.assert_array_equal(over_batches(metrics.ConfusionMatrix(classes), t, p), expected)
    np.testing.assert_array_equal(metrics.confusion_matrix(t, best, classes), expected)


def test_binary(weights):
    rng = np.random.default_rng(2)
    t, p = rng.integers(0, 2, (40, 1)), rng.uniform(size=(40, 1))
    expected = reference.accuracy_score(t, p > 0.5, sample_weight=weights)
    assert over_batches(metrics.BinaryAccuracy(), t, p, weights) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(metrics.confusion_matrix(t, p), reference.confusion_matrix(t, p > 0.5))
