"""Metrics of counts, curves, regions, losses and calibration: documented values, batches, rows of weight 0, errors."""

import itertools

import numpy as np
import pytest

from npdl import Sequential, layers, losses, metrics


def two(rng, n):
    return rng.integers(0, 2, (n, 2)), rng.uniform(size=(n, 2))


def labels(rng, n):
    return rng.integers(0, 3, (n, 4)), rng.dirichlet(np.ones(3), (n, 4))


def classes(rng, n):
    return rng.integers(0, 3, n), rng.integers(0, 3, n)


def rows(rng, n):
    return np.eye(3)[rng.integers(0, 3, n)], rng.dirichlet(np.ones(3), n)


CASES = [
    (metrics.TruePositives([0.2, 0.8, 0.5]), two),
    (metrics.TrueNegatives(), two),
    (metrics.FalsePositives(), two),
    (metrics.FalseNegatives(0.4), two),
    (metrics.Precision(top_k=1), two),
    (metrics.Recall([0.1, 0.5], class_id=1), two),
    (metrics.FBetaScore(beta=2.0), rows),
    (metrics.F1Score("macro", 0.4), rows),
    (metrics.AUC(), two),
    (metrics.AUC(200), two),
    (metrics.AUC(curve="PR"), two),
    (metrics.AUC(20, "PR", "minoring"), two),
    (metrics.AUC(multi_label=True, label_weights=[1.0, 3.0]), two),
    (metrics.AUC(thresholds=[0.3, 0.6]), two),
    (metrics.PrecisionAtRecall(0.5), two),
    (metrics.RecallAtPrecision(0.5, 50), two),
    (metrics.SensitivityAtSpecificity(0.5, class_id=0), two),
    (metrics.SpecificityAtSensitivity(0.5), two),
    (metrics.IoU(3, [0, 2]), classes),
    (metrics.MeanIoU(3, ignore_class=1), classes),
    (metrics.BinaryIoU(), two),
    (metrics.OneHotIoU(3, [1]), rows),
    (metrics.OneHotMeanIoU(3), rows),
    (metrics.CohenKappa(3, "linear"), classes),
    (metrics.MatthewsCorrelation(3), classes),
    (metrics.ExpectedCalibrationError(5), labels),
    (metrics.Perplexity(mask_token_id=1), labels),
    (metrics.MeanOfLoss(losses.CategoricalFocalCrossentropy(from_logits=False)), rows),
    (metrics.MeanAbsolutePercentageError(), two),
    (metrics.MeanSquaredLogarithmicError(), two),
    (metrics.LogCoshError(), two),
    (metrics.Poisson(), two),
    (metrics.KLDivergence(), rows),
    (metrics.Hinge(), two),
    (metrics.SquaredHinge(), two),
    (metrics.CategoricalHinge(), rows),
    (metrics.CosineSimilarity(), rows),
    (metrics.BinaryCrossentropy(label_smoothing=0.1), two),
    (metrics.CategoricalCrossentropy(), rows),
    (metrics.SparseCategoricalCrossentropy(), labels),
]


@pytest.mark.parametrize(("metric", "make"), CASES, ids=lambda x: getattr(x, "name", ""))
def test_every_metric(metric, make):
    """Any batches give one value; rows of weight 0 are not looked at; a config gives an equal metric."""
    rng = np.random.default_rng(0)
    t, p = make(rng, 30)
    w = rng.integers(0, 3, 30) * 0.5
    metric.reset_state()
    whole = metric(t, p, w)
    again = type(metric).from_config(metric.get_config())
    assert again.get_config() == metric.get_config() and again.name == metric.name
    for stops in ((0, 7, 8, 8, 30), tuple(range(31))):
        again.reset_state()
        for start, stop in itertools.pairwise(stops):
            again.update_state(t[start:stop], p[start:stop], w[start:stop])
        np.testing.assert_allclose(again.result(), whole, rtol=1e-12)
    wild_t, wild_p = t.astype(float), p.astype(float)
    wild_t[w == 0], wild_p[w == 0] = np.nan, np.nan
    again.reset_state()
    np.testing.assert_allclose(again(wild_t, wild_p, w), whole, rtol=1e-12)
    live = w != 0
    again.reset_state()
    np.testing.assert_allclose(again(t[live], p[live], w[live]), whole, rtol=1e-12)
    again.reset_state()
    assert not np.any(again.result())
    assert type(metrics.get(metrics.serialize(metric))) is type(metric)


def test_documented_values():
    """The examples in Keras' documentation."""
    t, p = [0, 1, 1, 1], [1, 0, 1, 1]
    for metric, expected in (
        (metrics.Precision(), 2 / 3), (metrics.Recall(), 2 / 3), (metrics.TruePositives(), 2),
        (metrics.FalsePositives(), 1), (metrics.FalseNegatives(), 1), (metrics.TrueNegatives(), 0),
    ):  # fmt: skip
        assert metric(t, p) == pytest.approx(expected)
    assert metrics.Precision()(t, p, [0, 0, 1, 0]) == 1.0
    assert metrics.Precision(top_k=2)([[0, 0, 1, 1]], [[1, 1, 1, 1]]) == 0
    assert metrics.Precision(top_k=4)([[0, 0, 1, 1]], [[1, 1, 1, 1]]) == 0.5
    t, p = [0, 0, 1, 1], [0, 0.5, 0.3, 0.9]
    for num in (None, 3):
        assert metrics.AUC(num)(t, p) == pytest.approx(0.75)
    assert metrics.AUC(3)(t, p, [1, 0, 0, 1]) == pytest.approx(1.0)
    assert metrics.PrecisionAtRecall(0.5, 200)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]) == pytest.approx(0.5)
    assert metrics.RecallAtPrecision(0.8, 200)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]) == pytest.approx(0.5)
    assert metrics.SensitivityAtSpecificity(0.5, 200)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]) == pytest.approx(0.5)
    value = metrics.SpecificityAtSensitivity(0.5, 200)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    assert value == pytest.approx(2 / 3)
    assert metrics.IoU(2, [0])([0, 0, 1, 1], [0, 1, 0, 1], [0.3, 0.3, 0.3, 0.1]) == pytest.approx(1 / 3)
    binary = metrics.BinaryIoU(threshold=0.3)
    assert binary([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7], [0.2, 0.3, 0.4, 0.1]) == pytest.approx(0.17361, abs=1e-5)
    t = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    p = [[0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.5, 0.3, 0.1], [0.1, 0.4, 0.5]]
    assert metrics.OneHotIoU(3, [0, 2])(t, p) == pytest.approx(1 / 6)
    assert metrics.OneHotMeanIoU(3)(t, p, [0.1, 0.2, 0.3, 0.4]) == pytest.approx(0.1 / (0.1 + 0.6) / 3, rel=1e-6)


def test_curves_by_hand():
    """Two positives and two negatives, ranked + − + −."""
    t, p = [1, 0, 1, 0], [0.9, 0.7, 0.4, 0.1]
    for method in ("interpolation", "minoring", "majoring", "step"):  # one: recall stays where the other rate grows
        assert metrics.AUC(summation_method=method)(t, p) == 0.75
    tied = [0.9, 0.5, 0.5, 0.1]
    for method, expected in (("interpolation", 0.875), ("minoring", 0.75), ("majoring", 1.0), ("step", 1.0)):
        assert metrics.AUC(summation_method=method)(t, tied) == expected
    assert metrics.AUC(curve="PR", summation_method="step")(t, p) == pytest.approx(0.5 + 0.5 * 2 / 3)
    # from (tp, n) = (1, 2) to (2, 3): slope 1, intercept −1
    assert metrics.AUC(curve="PR")(t, p) == pytest.approx(0.5 + (1 - np.log(3 / 2)) / 2)
    assert metrics.AUC()([1, 1], [0.5, 0.2]) == 0 and metrics.AUC()([0, 1], [0.5, 0.5]) == 0.5
    assert metrics.RecallAtPrecision(1.0)([0, 1], [0.9, 0.1]) == 0


def test_more_by_hand():
    assert metrics.TruePositives([0.2, 0.8, 0.5])([1, 1, 1], [0.3, 0.6, 0.9]).tolist() == [3, 1, 2]  # as they are asked
    assert metrics.MeanIoU(3)([0, 0, 1], [0, 1, 1]) == 0.5  # class 2 is nowhere, and counts nowhere
    assert metrics.MeanIoU(3, ignore_class=2)([0, 1, 2], [0, 1, 0]) == 1
    assert metrics.BinaryIoU([1], threshold=0.5)([1, 0], [0.5, 0.4]) == 1  # the threshold itself is a yes
    p = [[0.25, 0.25, 0.5], [0.1, 0.1, 0.8]]
    assert metrics.Perplexity()([0, 2], p) == pytest.approx((4 / 0.8) ** 0.5, rel=1e-6)
    assert metrics.Perplexity(mask_token_id=1)([0, 1], p) == pytest.approx(4, rel=1e-6)
    assert metrics.CosineSimilarity()([[3.0, 4.0]], [[4.0, 3.0]]) == pytest.approx(0.96)
    # apart by 0, 1, 0, 1 places; by chance Σ rows · columns · places² / 4 = (18 + 3 + 5) / 4
    assert metrics.CohenKappa(3, "quadratic")([0, 1, 2, 0], [0, 2, 2, 1]) == pytest.approx(1 - 2 / 6.5)
    assert metrics.MatthewsCorrelation(2)([1, 1, 1, 0], [1, 0, 1, 1]) == pytest.approx(-1 / 3)
    score = metrics.FBetaScore(beta=2.0, threshold=0.5)([[1], [1], [1], [0]], [[1], [0], [0], [1]])
    assert score == pytest.approx(5 / (5 + 4 * 2 + 1))  # 2 are missed, 1 is wrong
    t, p = [[1, 0], [1, 0], [0, 1], [1, 0]], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]]
    assert metrics.F1Score("weighted", 0.5)(t, p) == pytest.approx((3 * 0.8 + 2 / 3) / 4)


def test_calibration_by_hand():
    t, p = [0, 1, 1, 0], [[0.9, 0.1], [0.85, 0.15], [0.4, 0.6], [0.45, 0.55]]
    metric = metrics.ExpectedCalibrationError(5)  # (0.8, 1]: 1 right of 0.9 + 0.85; (0.4, 0.6]: 1 of 0.6 + 0.55
    assert metric(t, p) == pytest.approx((abs(1 - 1.75) + abs(1 - 1.15)) / 4)
    binary = metrics.ExpectedCalibrationError(5)
    assert binary(np.array(t)[:, None], np.array(p)[:, 1:]) == pytest.approx(metric.result())


def test_metrics_of_a_model(rng):
    x = rng.normal(size=(60, 4)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    model = Sequential([layers.Dense(1, activation="sigmoid")], seed=0)
    names = ["auc", "precision", "recall", "bce", "hinge", metrics.MeanOfLoss("mse", name="brier")]
    model.compile("adam", "binary_crossentropy", metrics=names)
    model.fit(x, y, epochs=2, batch_size=16, verbose=0)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    p = model.predict(x, verbose=0)
    assert logs["auc"] == pytest.approx(metrics.AUC()(y, p), rel=1e-6)
    assert logs["bce"] == pytest.approx(logs["loss"], rel=1e-5)
    assert logs["brier"] == pytest.approx(((y - p) ** 2).mean(), rel=1e-5)


def test_arguments():
    for make, text in (
        (
            lambda: metrics.AUC(1),
            "num_thresholds must be None, for every score, or a whole number of at least 2, got 1",
        ),
        (lambda: metrics.AUC(curve="DET"), 'curve=\'DET\' is not there; pass "ROC" or "PR"'),
        (lambda: metrics.AUC(summation_method="x"), "summation_method='x' is not there"),
        (lambda: metrics.PrecisionAtRecall(2), "recall must lie between 0 and 1, got recall=2; pass e.g. 0.8"),
        (lambda: metrics.Precision(thresholds=[]), r"thresholds must be a number or a list of numbers, got \[\]"),
        (lambda: metrics.Precision(top_k=0), "k must be a whole number of at least 1, got k=0"),
        (lambda: metrics.FBetaScore("all"), "average='all' is not there"),
        (lambda: metrics.FBetaScore(beta=0), "beta must be a number above 0, got beta=0"),
        (lambda: metrics.IoU(2, [2]), r"target_class_ids must name classes 0 to 1, got \[2\]"),
        (lambda: metrics.MeanIoU("2"), "num_classes must be a whole number of at least 1, got '2'"),
        (lambda: metrics.IoU(2, [1], axis=1), "the classes are the last axis, axis=-1, got axis=1"),
        (lambda: metrics.CohenKappa(2, "cubic"), "weightage='cubic' is not there"),
        (lambda: metrics.ExpectedCalibrationError(0), "num_bins must be a whole number of at least 1, got 0"),
        (
            lambda: metrics.get("MeanIoU"),
            r"MeanIoU needs arguments; pass an object, npdl\.metrics\.MeanIoU\(num_classes=",
        ),
    ):
        with pytest.raises(ValueError, match=text):
            make()


def test_wrong_data():
    for metric, t, p, text in (
        (metrics.Precision(), [0, 2], [0.1, 0.2], "precision: y_true must hold 0 and 1, got 2; pass e.g. y > 0"),
        (metrics.Precision(), [0, 1], [[0.1], [0.2]], r"precision: y has shape \(2,\), the outputs have \(2, 1\)"),
        (metrics.Recall(class_id=2), [[0, 1]], [[0.1, 0.2]], r"class_id=2 is no place on the last axis of \(1, 2\)"),
        (metrics.AUC(multi_label=True), [0], [0.1], r"multi_label needs y_pred \(N, \.\.\., labels\), got \(1,\)"),
        (metrics.AUC(), [0, 1], [0.1, np.nan], "auc: y_pred holds NaN, which has no place among the scores"),
        (metrics.F1Score(), [0, 1], [0, 1], r"takes y_true and y_pred \(N, classes\), got \(2,\); pass y\.reshape"),
        (metrics.MeanIoU(2), [0, 2], [0, 1], "mean_iou: y_true must hold classes 0 to 1, got 2; mend it"),
        (metrics.MeanIoU(2), [0, 1], [[0], [1]], r"y_true holds labels of shape \(2,\), y_pred of shape \(2, 1\)"),
        (
            metrics.OneHotIoU(2, [0]),
            [0, 1],
            [[1, 0], [1, 0]],
            r"y_true must have 2 numbers a position, got shape \(2,\)",
        ),
        (metrics.CohenKappa(2), [0, 1], [[0, 1]], r"y_true holds labels of shape \(2,\), y_pred of shape \(1,\)"),
        (
            metrics.ExpectedCalibrationError(),
            [0],
            [[2.0, -1.0]],
            "y_pred must hold probabilities; end the model with a",
        ),
        (metrics.LogCoshError(), [[0.0]], [[0.0, 1.0]], r"LogCosh: y has shape \(1, 1\), the outputs have \(1, 2\)"),
        (metrics.MeanOfLoss("bce"), [[0.0]], [[0.0]], "BinaryCrossentropy: pass from_logits=True"),
    ):
        with pytest.raises(ValueError, match=text):
            metric(t, p)
