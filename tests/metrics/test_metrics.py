"""Metrics: values by hand, batches of unequal size, weights, ties, and the text of every error."""

import itertools
import math

import numpy as np
import pytest

from npdl import losses, metrics


def classes(rng, n, c=4):
    return rng.integers(0, c, n), rng.normal(size=(n, c)).astype("float32")


def rows(rng, n, c=4):
    t, p = classes(rng, n, c)
    return np.eye(c, dtype="float32")[t], p


def numbers(rng, n):
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 3))


def yes_no(rng, n):
    return rng.integers(0, 2, (n, 1)), rng.uniform(size=(n, 1))


def steps(rng, n):
    return rng.integers(0, 4, (n, 5)), rng.normal(size=(n, 5, 4))


CASES = {
    "accuracy": (metrics.Accuracy, lambda rng, n: (rng.integers(0, 3, n), rng.integers(0, 3, n))),
    "binary": (metrics.BinaryAccuracy, yes_no),
    "categorical": (metrics.CategoricalAccuracy, rows),
    "sparse": (metrics.SparseCategoricalAccuracy, classes),
    "sparse, positions": (metrics.SparseCategoricalAccuracy, steps),
    "top k": (lambda: metrics.TopKCategoricalAccuracy(2), rows),
    "sparse top k": (lambda: metrics.SparseTopKCategoricalAccuracy(2), classes),
    "mse": (metrics.MeanSquaredError, numbers),
    "rmse": (metrics.RootMeanSquaredError, numbers),
    "mae": (metrics.MeanAbsoluteError, numbers),
    "r2": (metrics.R2Score, numbers),
    "function": (lambda: metrics.get(lambda t, p: np.abs(t - p).max(axis=1)), numbers),
    "confusion": (lambda: metrics.ConfusionMatrix(4), classes),
}
COUNTED = ("accuracy", "binary", "categorical", "sparse", "sparse, positions", "top k", "sparse top k", "confusion")


# ---- values by hand


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "weights", "expected"),
    [
        (metrics.Accuracy(), [1, 2, 3, 4], [0, 2, 3, 4], None, 3 / 4),
        (metrics.Accuracy(), [1, 2, 3, 4], [0, 2, 3, 4], [1, 1, 0, 0], 1 / 2),
        (metrics.BinaryAccuracy(), [[1], [1], [0], [0]], [[0.98], [1.0], [0.0], [0.6]], None, 3 / 4),
        (metrics.BinaryAccuracy(), [[1], [1], [0], [0]], [[0.98], [1.0], [0.0], [0.6]], [1, 0, 0, 1], 1 / 2),
        (metrics.BinaryAccuracy(), [[1], [0]], [[0.5], [0.5]], None, 1 / 2),
        (metrics.BinaryAccuracy(threshold=0.7), [[1], [0]], [[0.71], [0.7]], None, 1.0),
        (metrics.CategoricalAccuracy(), [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], None, 1 / 2),
        (metrics.CategoricalAccuracy(), [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], [0.7, 0.3], 0.3),
        (metrics.SparseCategoricalAccuracy(), [2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]], None, 1 / 2),
        (metrics.SparseCategoricalAccuracy(), [[2], [1]], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]], [0.7, 0.3], 0.3),
        (metrics.SparseCategoricalAccuracy(), [2.0, 1.0], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]], None, 1 / 2),
        (metrics.TopKCategoricalAccuracy(1), [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], None, 1 / 2),
        (metrics.TopKCategoricalAccuracy(2), [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], None, 1.0),
        (metrics.SparseTopKCategoricalAccuracy(1), [2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], None, 1 / 2),
        (metrics.SparseTopKCategoricalAccuracy(5), [2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], None, 1.0),
        (metrics.MeanSquaredError(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], None, 0.25),
        (metrics.MeanSquaredError(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], 0.5),
        (metrics.RootMeanSquaredError(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], None, 0.5),
        (metrics.RootMeanSquaredError(), [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], math.sqrt(0.5)),
        (metrics.MeanAbsoluteError(), [[0, 1], [0, 0]], [[1, 1], [0, -2]], None, 0.75),
        (metrics.R2Score(), [[1], [4], [3]], [[2], [4], [4]], None, 1 - 2 / (42 / 9)),
        (metrics.R2Score(), [[1.0, 0], [2, 0], [3, 0]], [[1.0, 0], [2, 0], [4, 0]], None, (0.5 + 1) / 2),
        (
            metrics.R2Score("variance_weighted_average"),
            [[1.0, 0], [3, 10]],
            [[1.0, 0], [3, 0]],
            None,
            -50 / 52 + 2 / 52,
        ),
    ],
)
def test_values(metric, y_true, y_pred, weights, expected):
    metric.reset_state()
    value = metric(y_true, y_pred, weights)
    assert type(value) is float
    assert value == pytest.approx(expected, rel=1e-14)
    assert metric.result() == value
    metric.reset_state()
    assert metric.result() == 0.0


def test_mean():
    mean = metrics.Mean()
    assert mean.result() == 0.0
    assert mean([1, 3, 5, 7]) == 4.0
    assert mean(10.0) == pytest.approx(26 / 5)
    mean.reset_state()
    assert mean([1, 3, 5, 7], [1, 1, 0, 0]) == 2.0
    assert mean([[1, 3], [5, 7]], sample_weight=[0, 2]) == pytest.approx((4 + 24) / 6)


def test_the_first_of_equal_outputs_is_the_largest():
    p = np.zeros((2, 3))
    assert metrics.SparseCategoricalAccuracy()([0, 1], p) == 0.5
    assert metrics.CategoricalAccuracy()([[1, 0, 0], [0, 1, 0]], p) == 0.5
    assert metrics.CategoricalAccuracy()([[0.5, 0.5, 0]], [[0.4, 0.3, 0.3]]) == 1.0
    assert metrics.confusion_matrix([0, 1], p).tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_ties_and_nan_in_top_k():
    top = metrics.SparseTopKCategoricalAccuracy
    p = [[0.4, 0.3, 0.3, 0.0]]
    assert [top(2)([c], p) for c in range(4)] == [1, 1, 1, 0]  # fewer than 2 are larger
    assert [top(1)([c], p) for c in range(4)] == [1, 0, 0, 0]
    assert top(3)([1], [[1.0, np.nan, 0.0]]) == 0.0
    assert top(1)([2], [[1.0, np.nan, 2.0]]) == 1.0
    assert top(4)([7], p) == 0.0 and top(4)([-1], p) == 0.0


# ---- any batches


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_unequal_batches_equal_one_batch(name, weighted):
    make, draw = CASES[name]
    rng = np.random.default_rng(1)
    t, p = draw(rng, 23)
    w = rng.integers(0, 3, 23) if weighted else None
    whole, parts = make(), make()
    expected = whole(t, p, w)
    for start, stop in itertools.pairwise((0, 1, 12, 13, 13, 23)):
        parts.update_state(t[start:stop], p[start:stop], None if w is None else w[start:stop])
    if name in COUNTED:
        np.testing.assert_array_equal(parts.result(), expected)  # counts: to the bit
    else:
        assert parts.result() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_whole_weights_repeat_rows_and_zero_leaves_them_out(name):
    make, draw = CASES[name]
    rng = np.random.default_rng(2)
    t, p = draw(rng, 9)
    w = np.array([0, 1, 2, 0, 3, 1, 0, 1, 2])
    repeated = make()(np.repeat(t, w, axis=0), np.repeat(p, w, axis=0))
    np.testing.assert_allclose(make()(t, p, w), repeated, rtol=1e-13)
    if p.dtype.kind == "f" and name != "confusion":
        p = p.copy()
        p[w == 0] = np.nan
        np.testing.assert_allclose(make()(t, p, w), repeated, rtol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_reset_state(name):
    make, draw = CASES[name]
    rng = np.random.default_rng(3)
    metric, first, second = make(), draw(rng, 7), draw(rng, 5)
    expected = metric(*second)
    metric.reset_state()
    metric.update_state(*first)
    metric.reset_state()
    np.testing.assert_array_equal(metric(*second), expected)


def test_positions_count_one_each():
    t = [[0, 1], [1, 1]]
    p = np.array([[[1, 0], [1, 0]], [[0, 1], [0, 1]]], "float32")
    assert metrics.SparseCategoricalAccuracy()(t, p) == 0.75
    assert metrics.SparseCategoricalAccuracy()(t, p, [3, 1]) == (3 * 1 + 2) / 8
    assert metrics.SparseCategoricalAccuracy()(np.array(t)[..., None], p) == 0.75


def test_sums_are_float64():
    p = np.full((1000, 1), 1e4, "float32")
    metric = metrics.MeanSquaredError()
    for _ in range(100):
        metric.update_state(np.zeros((1000, 1), "float32"), p)
    assert metric.result() == 1e8
    assert metrics.MeanAbsoluteError()(np.array([[3]], "uint8"), np.array([[5]], "uint8")) == 2.0
    assert metrics.MeanAbsoluteError()(np.array([[5]], "uint8"), np.array([[3]], "uint8")) == 2.0


def test_r2_keeps_its_digits_far_from_zero():
    rng = np.random.default_rng(4)
    t, e = rng.normal(size=(100, 1)), 0.1 * rng.normal(size=(100, 1))
    near, far = metrics.R2Score(), metrics.R2Score()
    for i in range(0, 100, 10):
        near.update_state(t[i : i + 10], t[i : i + 10] + e[i : i + 10])
        far.update_state(t[i : i + 10] + 1e8, t[i : i + 10] + 1e8 + e[i : i + 10])
    assert far.result() == pytest.approx(near.result(), rel=1e-6)


def test_r2_of_constant_targets():
    t = np.full((7, 1), 0.1)
    assert metrics.R2Score()(t, t) == 1.0
    assert metrics.R2Score()(t, t + 1) == 0.0
    per_output = metrics.R2Score(None)([[1.0, 5], [2, 5]], [[1.0, 5], [2, 6]])
    assert per_output.tolist() == [1.0, 0.0]


# ---- the confusion matrix


def test_confusion_matrix():
    expected = [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    t, p = [0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 2, 2]
    outputs = np.eye(3)[p]
    for y_true, y_pred in itertools.product(
        (t, np.array(t)[:, None], np.eye(3)[t]), (p, np.array(p)[:, None], outputs)
    ):
        matrix = metrics.confusion_matrix(y_true, y_pred)
        assert matrix.dtype == np.int64 and matrix.tolist() == expected
    assert metrics.confusion_matrix(t, p, num_classes=4).shape == (4, 4)
    assert metrics.confusion_matrix([[1], [0]], [[0.7], [0.6]]).tolist() == [[0, 1], [0, 1]]
    assert metrics.confusion_matrix([0], [0]).tolist() == [[1, 0], [0, 0]]
    assert metrics.confusion_matrix([[0, 1]], [[[0.9, 0.1, 0], [0.2, 0.1, 0.7]]]).tolist() == [
        [1, 0, 0], [0, 0, 1], [0, 0, 0],
    ]  # fmt: skip


def test_confusion_matrix_gives_copies():
    metric = metrics.ConfusionMatrix(2)
    first = metric([0, 1], [0, 1])
    metric.update_state([0], [1])
    assert first.tolist() == [[1, 0], [0, 1]]
    assert metric.result().tolist() == [[1, 1], [0, 1]]


def test_confusion_matrix_errors():
    metric = metrics.ConfusionMatrix(3)
    with pytest.raises(ValueError, match=r"confusion_matrix: y_true must hold classes 0 to 2, got 3; .*num_classes"):
        metric.update_state([3], [0])
    with pytest.raises(ValueError, match=r"y_pred must hold classes 0 to 2, got 0\.5"):
        metric.update_state([0], [0.5])
    with pytest.raises(ValueError, match=r"labels of shape \(2,\), y_pred of shape \(3,\)"):
        metric.update_state([0, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="counts rows; pass whole numbers as sample_weight"):
        metric.update_state([0, 1], [0, 1], [0.5, 1])
    assert metric.result().sum() == 0
    for wrong in (0, 2.5, True, "3"):
        with pytest.raises(ValueError, match="num_classes must be a whole number of at least 1"):
            metrics.ConfusionMatrix(wrong)


# ---- errors


@pytest.mark.parametrize(
    "metric",
    [metrics.Accuracy(), metrics.BinaryAccuracy(), metrics.MeanSquaredError(), metrics.R2Score()],
    ids=lambda metric: metric.name,
)
def test_shapes_are_not_broadcast(metric):
    with pytest.raises(ValueError, match=rf"^{metric.name}: y has shape \(4,\), .* \(4, 1\); .*y\.reshape\(-1, 1\)"):
        metric.update_state(np.zeros(4), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="y has 3 rows and the outputs have 4"):
        metric.update_state(np.zeros((3, 1)), np.zeros((4, 1)))
    assert metric.result() == 0.0


def test_more_shapes():
    with pytest.raises(ValueError, match=r"sparse_categorical_accuracy: y has shape \(2, 3\), one number a class"):
        metrics.SparseCategoricalAccuracy()(np.eye(3)[:2], np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"sparse_categorical_accuracy needs one output a class, .*\(2, 1\)"):
        metrics.SparseCategoricalAccuracy()([0, 1], np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"categorical_accuracy: y has shape \(2,\), the outputs have \(2, 3\)"):
        metrics.CategoricalAccuracy()([0, 1], np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"top_k_categorical_accuracy: y has shape \(2,\)"):
        metrics.TopKCategoricalAccuracy()([0, 1], np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(2,\), got \(3,\)"):
        metrics.SparseCategoricalAccuracy()([0, 1], np.zeros((2, 3)), [1, 1, 1])
    with pytest.raises(TypeError, match="accuracy: expected an array of numbers, got text"):
        metrics.Accuracy()(["a"], ["a"])


def test_arguments():
    for wrong in (0, 1.5, True, "5"):
        with pytest.raises(ValueError, match=r"k must be a whole number of at least 1, got k=.*; pass e\.g\. k=5"):
            metrics.TopKCategoricalAccuracy(wrong)
    with pytest.raises(ValueError, match="Mean sums in float64, got dtype='float32'; leave dtype out"):
        metrics.Mean(dtype="float32")
    with pytest.raises(ValueError, match="class_aggregation='median' is not there; pass \"uniform_average\""):
        metrics.R2Score("median")


def test_functions_give_one_value_a_sample():
    def average(y_true, y_pred):
        return np.mean((y_true - y_pred) ** 2)

    with pytest.raises(
        ValueError, match=r"metric average: .* one value a sample, shape \(4,\), got \(\); leave the mean"
    ):
        metrics.get(average)(np.zeros((4, 1)), np.zeros((4, 1)))
    metric = metrics.get(lambda t, p: (t - p)[:, 0])
    assert metric.name == "<lambda>"
    assert metric([[3.0], [1.0]], [[1.0], [1.0]]) == 1.0


# ---- by name


def test_get():
    for name in ("mse", "MSE", "mean_squared_error", "MeanSquaredError", metrics.MeanSquaredError):
        assert type(metrics.get(name)) is metrics.MeanSquaredError
    for name, cls in [
        ("accuracy", metrics.Accuracy), ("mae", metrics.MeanAbsoluteError), ("rmse", metrics.RootMeanSquaredError),
        ("r2", metrics.R2Score), ("r2_score", metrics.R2Score), ("Mean", metrics.Mean),
        ("binary_accuracy", metrics.BinaryAccuracy), ("categorical_accuracy", metrics.CategoricalAccuracy),
        ("sparse_categorical_accuracy", metrics.SparseCategoricalAccuracy),
        ("top_k_categorical_accuracy", metrics.TopKCategoricalAccuracy),
        ("sparse_top_k_categorical_accuracy", metrics.SparseTopKCategoricalAccuracy),
    ]:  # fmt: skip
        assert type(metrics.get(name)) is cls
    metric = metrics.TopKCategoricalAccuracy(3)
    assert metrics.get(metric) is metric
    again = metrics.get(metrics.serialize(metric))
    assert again.k == 3 and again.name == metric.name
    with pytest.raises(ValueError, match="unknown metric 'acuracy'; did you mean 'accuracy'"):
        metrics.get("acuracy")
    with pytest.raises(ValueError, match="unknown metric 'xyz'; there are accuracy"):
        metrics.get("xyz")
    with pytest.raises(ValueError, match=r"ConfusionMatrix needs the number of classes; .*ConfusionMatrix\(10\)"):
        metrics.get("confusion_matrix")
    for wrong in (3, None, dict):
        with pytest.raises(TypeError, match=r"a metric is a name, an npdl\.metrics object or a function"):
            metrics.get(wrong)


def test_objects_with_the_three_methods_are_metrics():
    class Count:
        name = "count"

        def reset_state(self):
            self.n = 0

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.n += len(y_true)

        def result(self):
            return self.n

    metric = Count()
    assert metrics.get(metric) is metric
    assert metrics.serialize(metric) == {"class_name": "Count", "config": {}}


def test_a_subclass_with_nothing_in_it():
    class Empty(metrics.Metric):
        def reset_state(self):
            pass

    with pytest.raises(
        NotImplementedError, match=r"Empty needs update_state\(self, y_true, y_pred, sample_weight=None\)"
    ):
        Empty()(1, 2)
    with pytest.raises(NotImplementedError, match=r"Empty needs result\(self\)"):
        Empty().result()
    with pytest.raises(NotImplementedError, match=r"Metric needs reset_state\(self\)"):
        metrics.Metric()


@pytest.mark.parametrize("name", [name for name in CASES if name != "function"])
def test_config_round_trip(name):
    metric = CASES[name][0]()
    again = metrics.get(metrics.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()


def test_functions_are_not_saved():
    with pytest.raises(TypeError, match="the function <lambda> cannot be saved; write a subclass of npdl"):
        metrics.serialize(metrics.get(lambda t, p: t))


@pytest.mark.parametrize("typed", ["accuracy", "acc", "Accuracy"])
@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("binary_crossentropy", metrics.BinaryAccuracy),
        ("categorical_crossentropy", metrics.CategoricalAccuracy),
        ("sparse_categorical_crossentropy", metrics.SparseCategoricalAccuracy),
    ],
)
def test_accuracy_goes_with_the_loss(loss, expected, typed):
    metric = metrics.resolve(typed, losses.get(loss), (4,))
    assert type(metric) is expected and metric.name == typed


def test_accuracy_of_logits():
    loss = losses.BinaryCrossentropy(from_logits=True)
    assert metrics.resolve("accuracy", loss, (1,)).threshold == 0.5
    metric = metrics.resolve("accuracy", loss, (1,), logits=True)
    assert metric([[1], [0]], [[0.2], [-0.2]]) == 1.0


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_accuracy_of_a_regression(loss):
    loss = losses.get(loss)
    with pytest.raises(
        ValueError, match=rf"'accuracy' counts right classes, but {type(loss).__name__} .*\"mse\", \"mae\""
    ):
        metrics.resolve("accuracy", loss, (1,))
    assert metrics.resolve("mse", loss, (1,)).name == "mse"
    assert metrics.resolve("R2", loss, (1,)).name == "R2"


def test_a_loss_of_your_own_names_its_accuracy():
    class Hinge(losses.Loss):
        accuracy = "sparse_categorical_accuracy"

    assert type(metrics.resolve("accuracy", Hinge(), (3,))) is metrics.SparseCategoricalAccuracy
    with pytest.raises(ValueError, match=r"but object has none to count; .*name the accuracy"):
        metrics.resolve("accuracy", object(), (3,))


def test_resolve_other_things():
    loss = losses.get("sparse_categorical_crossentropy")
    assert metrics.resolve("confusion_matrix", loss, (5,)).num_classes == 5
    assert metrics.resolve("confusion_matrix", losses.get("binary_crossentropy"), (1,)).num_classes == 2
    metric = metrics.SparseTopKCategoricalAccuracy(3)
    assert metrics.resolve(metric, loss, (5,)) is metric and metric.name == "sparse_top_k_categorical_accuracy"
    with pytest.raises(ValueError, match="did you mean 'accuracy'"):
        metrics.resolve("acuracy", loss, (5,))
    assert repr(metric) == "<SparseTopKCategoricalAccuracy sparse_top_k_categorical_accuracy>"


def test_names_are_checked_without_a_shape():
    metrics.check("confusion_matrix", losses.SparseCategoricalCrossentropy())
    metrics.check("accuracy", losses.BinaryCrossentropy())
    with pytest.raises(ValueError, match="'accuracy' counts right classes, but MeanSquaredError has none"):
        metrics.check("accuracy", losses.MeanSquaredError())
    with pytest.raises(ValueError, match="unknown metric 'acuracy'; did you mean 'accuracy'"):
        metrics.check("acuracy", losses.MeanSquaredError())
    with pytest.raises(TypeError, match="a metric is a name"):
        metrics.check(3, losses.MeanSquaredError())


def test_each_metric_gets_a_name_of_its_own():
    given = [metrics.Mean(name) for name in ("a", "a", "b", "a_1", "a", "b")]
    assert metrics.unique_names(given) == given
    assert [metric.name for metric in given] == ["a", "a_2", "b", "a_1", "a_3", "b_1"]
    assert [metric.name for metric in metrics.unique_names(given)] == ["a", "a_2", "b", "a_1", "a_3", "b_1"]
    for name in ("loss", "val_loss"):
        with pytest.raises(ValueError, match=f"metrics: '{name}' is what the loss is reported as; .* another name="):
            metrics.unique_names([metrics.Mean(name)])
    with pytest.raises(ValueError, match="metrics: the metric 'a' is in the list twice"):
        metrics.unique_names([given[0], given[0]])


def test_a_function_is_not_saved():
    for function, name in ((lambda y_true, y_pred: 0, "<lambda>"), (yes_no, "yes_no")):
        for metric in (function, metrics.get(function)):
            with pytest.raises(TypeError, match=f"the function {name} cannot be saved; write a subclass"):
                metrics.serialize(metric)
