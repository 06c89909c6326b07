"""What losses say about targets, outputs, weights and arguments that do not fit, and what they make of others."""

import numpy as np
import pytest

from npdl import devices, losses


def check(loss, y, shape):
    losses.validate(losses.get(loss), np.asarray(y), shape)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "binary_crossentropy"])
def test_shapes_are_not_broadcast(loss):
    own = type(losses.get(loss)).__name__
    with pytest.raises(
        ValueError, match=rf"^{own}: y has shape \(4,\), the outputs have \(4, 1\); .* y\.reshape\(-1, 1\)"
    ):
        check(loss, [0, 1, 0, 1], (4, 1))
    with pytest.raises(ValueError, match=r"\(4,\), the outputs have \(N, 1\)"):
        check(loss, [0, 1, 0, 1], (None, 1))
    with pytest.raises(ValueError, match=r"\(4, 1\), the outputs have \(4,\).*pass y\.reshape\(-1\)$"):
        check(loss, np.zeros((4, 1)), (4,))
    with pytest.raises(ValueError, match=r"\(4, 3\), the outputs have \(4, 3, 1\).*pass y\[\.\.\., None\]$"):
        check(loss, np.zeros((4, 3)), (4, 3, 1))
    with pytest.raises(ValueError, match=r"\(4, 3, 1\), the outputs have \(4, 3\).*pass y\[\.\.\., 0\]$"):
        check(loss, np.zeros((4, 3, 1)), (4, 3))
    with pytest.raises(ValueError, match=r"\(4, 2\), the outputs have \(4, 3\); they must be equal: give the targets"):
        check(loss, np.zeros((4, 2)), (4, 3))
    with pytest.raises(ValueError, match=r"\(4, 2\), the outputs have \(4, N, 1\)"):
        check(loss, np.zeros((4, 2)), (4, None, 1))
    with pytest.raises(ValueError, match="y must hold one target a sample, got a single number"):
        check(loss, 0.0, (1, 1))
    check(loss, np.zeros((4, 7, 2)), (None, None, 2))
    with pytest.raises(ValueError, match=r"y\.reshape\(-1, 1\)"):
        losses.get(loss).__class__().prepare(np.zeros(4), np.float32, (4, 1))


@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_unequal_lengths(loss):
    y = np.zeros(9, int) if loss.startswith("sparse") else np.zeros((9, 3))
    with pytest.raises(ValueError, match="y has 9 rows and the outputs have 10; pass as many targets as samples"):
        check(loss, y, (10, 3))


@pytest.mark.parametrize("loss", ["mse", "sparse_categorical_crossentropy"])
def test_targets_that_are_not_numbers(loss):
    with pytest.raises(TypeError, match=r"expected an array of numbers, got text \(<U3\); .*np\.unique"):
        check(loss, ["cat", "dog"], (2, 3))
    with pytest.raises(TypeError, match="got Python objects"):
        check(loss, np.array([None, 1], object), (2, 3))
    with pytest.raises(TypeError, match="got another type"):
        check(loss, np.zeros((2, 3), complex), (2, 3))


def test_nan_and_infinity():
    y = np.zeros((5, 2, 3))
    y[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"MeanSquaredError: y holds nan at row 3, position \(1, 2\); .*np\.isfinite"):
        check("mse", y, y.shape)
    with pytest.raises(ValueError, match="y holds -inf at row 1; leave"):
        check("mae", [[0.0], [-np.inf]], (2, 1))
    with pytest.raises(ValueError, match="y holds inf at row 1, position 2"):
        check("huber", [[0.0, 0, 0], [0, 0, np.inf]], (2, 3))
    with pytest.raises(ValueError, match="y holds nan at row 1"):
        check("sparse_categorical_crossentropy", [0, np.nan], (2, 3))


def test_labels():
    with pytest.raises(ValueError, match=r"label 3 at row 2 is outside 0 to 2, the model has 3 outputs; .*Dense\(4\)"):
        check("sparse_categorical_crossentropy", [0, 1, 3, 2], (4, 3))
    with pytest.raises(ValueError, match="label -1 at row 1 is outside 0 to 2"):
        check("sparse_categorical_crossentropy", [0, -1], (2, 3))
    with pytest.raises(ValueError, match="labels that start at 1 become y - 1"):
        check("sparse_categorical_crossentropy", [3, 1, 2], (3, 3))
    with pytest.raises(ValueError, match=r"labels must be whole numbers, got 1\.5 at row 1; .*mean_squared_error"):
        check("sparse_categorical_crossentropy", [0, 1.5], (2, 3))
    with pytest.raises(ValueError, match="label 9 at row 1, position 2 is outside 0 to 3"):
        check("sparse_categorical_crossentropy", [[0, 1, 2], [3, 0, 9]], (2, 3, 4))
    for y in ([0, 2], [0.0, 2.0], [[0], [2]], np.array([0, 2], "uint8"), [False, True]):
        check("sparse_categorical_crossentropy", y, (2, 3))
    with pytest.raises(ValueError, match=r"needs one output a class, .*shape \(N, 1\); .*binary_crossentropy"):
        check("sparse_categorical_crossentropy", [0, 1], (None, 1))
    with pytest.raises(ValueError, match=r"y has shape \(2, 4\), expected labels of shape \(2,\)"):
        check("sparse_categorical_crossentropy", np.zeros((2, 4)), (2, 3))


def test_one_hot_rows_and_labels_mixed_up():
    with pytest.raises(
        ValueError, match=r"one number a class, .*\"categorical_crossentropy\", or pass y\.argmax\(axis=-1\)"
    ):
        check("sparse_categorical_crossentropy", np.eye(3), (3, 3))
    for y in ([0, 1], [[0], [1]]):
        with pytest.raises(
            ValueError,
            match=r"one-hot rows \(2, 3\); .*\"sparse_categorical_crossentropy\".*npdl\.utils\.to_categorical\(y, 3\)",
        ):
            check("categorical_crossentropy", y, (2, 3))
    with pytest.raises(ValueError, match=r"needs one output a class, .*binary_crossentropy"):
        check("categorical_crossentropy", [[1.0]], (1, 1))
    with pytest.raises(ValueError, match=r"\(2, 4\), the outputs have \(2, 3\)"):
        check("categorical_crossentropy", np.zeros((2, 4)), (2, 3))
    with pytest.raises(ValueError, match="classes must lie between 0 and 1, got 2 at row 1, position 0"):
        check("categorical_crossentropy", [[0, 1, 0], [2, 0, 0]], (2, 3))


def test_binary_targets_between_0_and_1():
    with pytest.raises(ValueError, match=r"targets must lie between 0 and 1, got -1\.0 at row 1; .*\(y \+ 1\) / 2"):
        check("binary_crossentropy", [[1.0], [-1.0]], (2, 1))
    with pytest.raises(ValueError, match=r"got 2 at row 0; .*sparse_categorical_crossentropy"):
        check("binary_crossentropy", [[2], [0]], (2, 1))
    check("binary_crossentropy", [[0.3], [1]], (2, 1))
    check("binary_crossentropy", [[True], [False]], (2, 1))


@pytest.mark.parametrize(
    ("loss", "ending"),
    [
        (losses.BinaryCrossentropy(), "sigmoid"),
        (losses.CategoricalCrossentropy(), "softmax"),
        (losses.SparseCategoricalCrossentropy(), "softmax"),
    ],
)
def test_from_logits_left_open(loss, ending):
    assert loss.from_logits is None and loss.folds == ending and loss.is_classification
    text = rf"{type(loss).__name__}: pass from_logits=True \(the model ends without {ending}\) or from_logits=False"
    with pytest.raises(ValueError, match=text):
        loss.forward([[0, 1]], np.zeros((1, 2)))


def test_backward_before_forward():
    loss = losses.MeanSquaredError()
    with pytest.raises(RuntimeError, match=r"mean_squared_error: call forward\(y_true, y_pred\) before backward\(\)"):
        loss.backward()
    loss.forward([[0.0]], np.ones((1, 1)))
    with devices.use_workspace(devices.Workspace(loss.device)), pytest.raises(RuntimeError, match="call forward"):
        loss.backward()


def test_outputs_by_hand():
    loss = losses.MeanSquaredError()
    assert loss([[0.0]], [[2.0]]) == 4.0
    for dtype in ("float16", "int64"):
        with pytest.raises(
            TypeError, match=rf"MeanSquaredError takes y_pred in float32 or float64, got {dtype}; .*astype"
        ):
            loss.forward([[0]], np.zeros((1, 1), dtype))
    p = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert loss.forward(np.zeros((2, 3)), p) == pytest.approx(55 / 6)
    np.testing.assert_allclose(loss.backward(), p / 3)
    with pytest.raises(ValueError, match=r"y\.reshape\(-1, 1\)"):
        loss.forward(np.zeros(3), np.zeros((3, 1)))


def test_sample_weights():
    loss, t, p = losses.MeanSquaredError(), np.zeros((3, 1)), np.ones((3, 1))
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(3,\), got \(2,\); pass one weight a sample"):
        loss.forward(t, p, [1, 2])
    with pytest.raises(ValueError, match=r"got \(3, 1\); pass sample_weight\.reshape\(-1\)"):
        loss.forward(t, p, np.ones((3, 1)))
    for bad in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"sample_weight must be finite and not negative, got .* at row 1"):
            loss.forward(t, p, [1, bad, 1])
    with pytest.raises(TypeError, match="sample_weight: expected an array of numbers, got text"):
        loss.forward(t, p, ["a", "b", "c"])


def test_arguments():
    with pytest.raises(ValueError, match=r"Huber needs delta above 0, got delta=0; pass e\.g\. Huber\(1\.0\)"):
        losses.Huber(0)
    with pytest.raises(ValueError, match=r'reduction=\'sum\' is not there; .*"sum_over_batch_size"'):
        losses.MeanSquaredError(reduction="sum")
    with pytest.raises(ValueError, match="computes in y_pred's dtype, got dtype='float16'; leave dtype out"):
        losses.MeanSquaredError(dtype="float16")
    with pytest.raises(ValueError, match="from_logits must be True, False or None, got 'yes'"):
        losses.BinaryCrossentropy(from_logits="yes")
    with pytest.raises(ValueError, match=r"label_smoothing must lie between 0 and 1, got 1\.5"):
        losses.CategoricalCrossentropy(label_smoothing=1.5)
    with pytest.raises(ValueError, match="the classes are the last axis, axis=-1, got axis=1"):
        losses.SparseCategoricalCrossentropy(axis=1)


def test_prepare():
    y = losses.prepare(losses.get("mse"), np.asfortranarray(np.ones((2, 3))), np.dtype("float32"), (2, 3))
    assert y.dtype == np.float32 and y.flags.c_contiguous
    sparse = losses.get("sparse_categorical_crossentropy")
    for y in ([0, 2], [0.0, 2.0], [[0], [2]]):
        prepared = losses.prepare(sparse, np.array(y), np.float32, (2, 3))
        assert prepared.dtype == np.int32 and prepared.tolist() == [0, 2]
    assert losses.prepare(sparse, np.zeros((2, 1), int), np.float32, (2, 1, 3)).shape == (2, 1)
    assert losses.prepare(sparse, np.zeros((2, 5, 1), int), np.float32, (2, 5, 3)).shape == (2, 5)
