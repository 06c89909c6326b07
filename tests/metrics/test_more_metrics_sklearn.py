"""Metrics of counts, curves, regions and agreement against scikit-learn, over batches of unequal size."""

import itertools

import numpy as np
import pytest

from npdl import metrics

scipy_stats = pytest.importorskip("scipy.stats", reason="compares with SciPy")
reference = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn")


def over_batches(metric, t, p, w=None):
    for start, stop in itertools.pairwise((0, 3, 10, 11, len(t))):
        metric.update_state(t[start:stop], p[start:stop], None if w is None else w[start:stop])
    return metric.result()


@pytest.fixture(params=[False, True], ids=["unweighted", "weighted"])
def weights(request):
    w = np.random.default_rng(9).uniform(0.1, 2, 60)
    w[::5] = 0
    return w if request.param else None


@pytest.fixture
def yes_no():
    rng = np.random.default_rng(1)
    t = rng.integers(0, 2, (60, 1))
    return t, np.round(np.clip(0.25 * t + rng.uniform(0, 0.75, (60, 1)), 0, 1), 2)  # with ties


def test_precision_and_recall(yes_no, weights):
    t, p = yes_no
    for threshold in (None, 0.3, 0.7):
        answers = p > (threshold or 0.5)
        for metric, function in (
            (metrics.Precision(threshold), reference.precision_score),
            (metrics.Recall(threshold), reference.recall_score),
        ):
            expected = function(t, answers, sample_weight=weights)
            assert over_batches(metric, t, p, weights) == pytest.approx(expected, rel=1e-12)
        ((tn, fp), (fn, tp)) = reference.confusion_matrix(t, answers, sample_weight=weights)
        for metric, expected in (
            (metrics.TruePositives, tp), (metrics.TrueNegatives, tn), (metrics.FalsePositives, fp),
            (metrics.FalseNegatives, fn),
        ):  # fmt: skip
            assert over_batches(metric(threshold), t, p, weights) == pytest.approx(expected, rel=1e-12)


def test_areas(yes_no, weights):
    t, p = yes_no
    expected = reference.roc_auc_score(t, p, sample_weight=weights)
    assert over_batches(metrics.AUC(), t, p, weights) == pytest.approx(expected, rel=1e-12)
    logits = np.log(p + 0.01)
    assert over_batches(metrics.AUC(from_logits=True), t, logits, weights) == pytest.approx(expected, rel=1e-12)
    expected = reference.average_precision_score(t, p, sample_weight=weights)
    metric = metrics.AUC(curve="PR", summation_method="step")
    assert over_batches(metric, t, p, weights) == pytest.approx(expected, rel=1e-12)
    precision, recall, _ = reference.precision_recall_curve(t, p, sample_weight=weights)
    kept = precision[:-1][recall[:-1] >= 0.8].max()
    assert over_batches(metrics.PrecisionAtRecall(0.8), t, p, weights) == pytest.approx(kept, rel=1e-12)
    kept = recall[:-1][precision[:-1] >= 0.6].max()
    assert over_batches(metrics.RecallAtPrecision(0.6), t, p, weights) == pytest.approx(kept, rel=1e-12)
    false, true, _ = reference.roc_curve(t, p, sample_weight=weights, drop_intermediate=False)
    kept = true[1 - false >= 0.55].max()
    assert over_batches(metrics.SensitivityAtSpecificity(0.55), t, p, weights) == pytest.approx(kept, rel=1e-12)
    kept = 1 - false[true >= 0.55].min()
    assert over_batches(metrics.SpecificityAtSensitivity(0.55), t, p, weights) == pytest.approx(kept, rel=1e-12)


def test_areas_of_labels(weights):
    rng = np.random.default_rng(2)
    t, p = rng.integers(0, 2, (60, 3)), rng.uniform(size=(60, 3))
    expected = reference.roc_auc_score(t, p, average="macro", sample_weight=weights)
    assert over_batches(metrics.AUC(multi_label=True), t, p, weights) == pytest.approx(expected, rel=1e-12)
    each = reference.roc_auc_score(t, p, average=None, sample_weight=weights)
    metric = metrics.AUC(multi_label=True, num_labels=3, label_weights=[1.0, 2.0, 0.5])
    expected = np.average(each, weights=[1.0, 2.0, 0.5])
    assert over_batches(metric, t, p, weights) == pytest.approx(expected, rel=1e-12)
    expected = reference.roc_auc_score(t, p, average="micro", sample_weight=weights)
    assert over_batches(metrics.AUC(), t, p, weights) == pytest.approx(expected, rel=1e-12)
    expected = reference.precision_score(t[:, 1], p[:, 1] > 0.5, sample_weight=weights)
    assert over_batches(metrics.Precision(class_id=1), t, p, weights) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
def test_f_scores(weights, average):
    rng = np.random.default_rng(3)
    t, p = np.eye(4)[rng.integers(0, 4, 60)], rng.uniform(size=(60, 4))
    for threshold, answers in ((None, np.eye(4)[p.argmax(1)]), (0.6, p > 0.6)):
        for beta in (0.5, 1.0, 2.0):
            expected = reference.fbeta_score(
                t, answers, beta=beta, average=average, sample_weight=weights, zero_division=0
            )
            got = over_batches(metrics.FBetaScore(average, beta, threshold), t, p, weights)
            np.testing.assert_allclose(got, expected, rtol=1e-12)
        np.testing.assert_array_equal(
            over_batches(metrics.F1Score(average, threshold), t, p, weights),
            over_batches(metrics.FBetaScore(average, 1.0, threshold), t, p, weights),
        )


def test_regions_and_agreement(weights):
    rng = np.random.default_rng(4)
    t, p = rng.integers(0, 4, 60), rng.integers(0, 4, 60)
    p[:30] = t[:30]
    each = reference.jaccard_score(t, p, average=None, sample_weight=weights)
    for metric, expected in (
        (metrics.MeanIoU(4), each.mean()),
        (metrics.IoU(4, [1, 3]), each[[1, 3]].mean()),
        (metrics.CohenKappa(4), reference.cohen_kappa_score(t, p, sample_weight=weights)),
        (metrics.CohenKappa(4, "linear"), reference.cohen_kappa_score(t, p, weights="linear", sample_weight=weights)),
        (
            metrics.CohenKappa(4, "quadratic"),
            reference.cohen_kappa_score(t, p, weights="quadratic", sample_weight=weights),
        ),
        (metrics.MatthewsCorrelation(4), reference.matthews_corrcoef(t, p, sample_weight=weights)),
    ):
        assert over_batches(metric, t, p, weights) == pytest.approx(expected, rel=1e-12)
    rows, outputs = np.eye(4)[t], np.eye(4)[p] + rng.uniform(0, 0.5, (60, 4))
    for metric in (
        metrics.OneHotMeanIoU(4),
        metrics.OneHotIoU(4, range(4)),
        metrics.MeanIoU(4, None, None, None, False, False),
    ):
        assert over_batches(metric, rows, outputs, weights) == pytest.approx(each.mean(), rel=1e-12)
    got = over_batches(metrics.BinaryIoU([1], 0.3), t > 1, outputs.max(1) - 1, weights)
    expected = reference.jaccard_score(t > 1, outputs.max(1) - 1 >= 0.3, sample_weight=weights)
    assert got == pytest.approx(expected, rel=1e-12)


def test_losses_as_metrics(weights):
    rng = np.random.default_rng(5)
    t, p = rng.uniform(0.1, 3, (60, 2)), rng.uniform(0.1, 3, (60, 2))
    for metric, function in (
        (metrics.MeanSquaredLogarithmicError(), reference.mean_squared_log_error),
        (
            metrics.MeanAbsolutePercentageError(),
            lambda *a, **k: 100 * reference.mean_absolute_percentage_error(*a, **k),
        ),
        (metrics.MeanOfLoss("mse"), reference.mean_squared_error),
    ):
        assert over_batches(metric, t, p, weights) == pytest.approx(function(t, p, sample_weight=weights), rel=1e-12)
    signs = np.where(t[:, :1] > 1.5, 1, -1)
    expected = reference.hinge_loss(signs[:, 0], p[:, :1], sample_weight=weights)
    assert over_batches(metrics.Hinge(), signs, p[:, :1], weights) == pytest.approx(expected, rel=1e-12)
    y, q = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60)
    expected = reference.log_loss(y, q, sample_weight=weights)
    for metric, target in (
        (metrics.SparseCategoricalCrossentropy(), y),
        (metrics.CategoricalCrossentropy(), np.eye(3)[y]),
        (metrics.SparseCategoricalCrossentropy(from_logits=True), y),
    ):
        outputs = np.log(q) if metric.from_logits else q
        assert over_batches(metric, target, outputs, weights) == pytest.approx(expected, rel=1e-12)
    assert over_batches(metrics.Perplexity(), y, q, weights) == pytest.approx(np.exp(expected), rel=1e-12)
    expected = reference.log_loss(y == 0, q[:, 0], sample_weight=weights)
    got = over_batches(metrics.BinaryCrossentropy(), (y == 0)[:, None], q[:, :1], weights)
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(7, 9), (5, 4, 3)])
def test_pearson_correlation(shape, rng):
    t, p, w = rng.normal(size=shape), rng.normal(size=shape), rng.uniform(size=shape[0])
    metric = metrics.PearsonCorrelation()
    metric.update_state(t[:3], p[:3], w[:3])
    metric.update_state(t[3:], p[3:], w[3:])
    rows = [scipy_stats.pearsonr(a, b).statistic for a, b in zip(t.reshape(-1, shape[-1]), p.reshape(-1, shape[-1]))]
    weights = np.repeat(w, np.prod(shape[1:-1], dtype=int))
    assert abs(metric.result() - np.average(rows, weights=weights)) < 1e-12


def test_concordance_correlation(rng):
    t, p = rng.normal(size=(6, 8)), rng.normal(size=(6, 8))
    cov = [np.cov(a, b, bias=True) for a, b in zip(t, p)]
    want = [2 * c[0, 1] / (c[0, 0] + c[1, 1] + (a.mean() - b.mean()) ** 2) for c, a, b in zip(cov, t, p)]
    assert abs(metrics.ConcordanceCorrelation()(t, p) - np.mean(want)) < 1e-6
    assert metrics.PearsonCorrelation()(np.ones((2, 3)), rng.normal(size=(2, 3))) == 0
    assert abs(metrics.ConcordanceCorrelation(axis=(1, 2))(t.reshape(3, 2, 8), t.reshape(3, 2, 8)) - 1) < 1e-6
    for kind in (metrics.PearsonCorrelation, metrics.ConcordanceCorrelation):
        with pytest.raises(ValueError, match=r"must be \(N, ..., D\), and axis none of the samples', got shape \(6,\)"):
            kind()(t[:, 0], p[:, 0])
        with pytest.raises(ValueError, match="and axis=0; pass several numbers a sample"):
            kind(axis=0)(t, p)


def test_adjusted_r2(rng):
    t, p = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    r2 = reference.r2_score(t, p)
    metric = metrics.R2Score(num_regressors=4)
    metric.update_state(t[:7], p[:7])
    metric.update_state(t[7:], p[7:])
    assert abs(metric.result() - (1 - (1 - r2) * 19 / 15)) < 1e-12
    assert metrics.R2Score(num_regressors=19)(t, p) == metrics.R2Score()(t, p)
    with pytest.raises(ValueError, match="num_regressors must be a whole number from 0 up, got -1; pass"):
        metrics.R2Score(num_regressors=-1)


def test_labels_that_do_not_count(rng):
    p, labels = rng.uniform(size=(5, 4, 3)), rng.integers(0, 3, (5, 4))
    p /= p.sum(-1, keepdims=True)
    want = reference.log_loss(labels[labels != 1], p[labels != 1], labels=[0, 1, 2])
    assert abs(metrics.SparseCategoricalCrossentropy(ignore_class=1)(labels, p) - want) < 1e-6


def test_sum():
    total = metrics.Sum()
    total.update_state([[1.0, 2.0], [3.0, 4.0]], [1.0, 0.5])
    total.update_state([2.0])
    assert total.result() == 8.5
