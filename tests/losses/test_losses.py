"""Losses: published values, central differences, weights, extreme inputs, and the text of every error."""

import copy
import itertools

import numpy as np
import pytest

from npdl import devices, losses

DEVICES = ("cpu", "reference", "strict")
SHAPES = ((1, 1), (5, 1), (1, 4), (7, 3), (3, 2, 5), (2, 3, 2, 4))


def numbers(rng, shape):
    return rng.normal(size=shape)


def yes_no(rng, shape):
    return rng.integers(0, 2, shape).astype("float64")


def soft_yes_no(rng, shape):
    return rng.uniform(size=shape)


def one_hot(rng, shape):
    return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]


def soft(rng, shape):
    """Rows that need not sum to 1."""
    return rng.uniform(size=shape)


def labels(rng, shape):
    return rng.integers(0, shape[-1], shape[:-1])


def probabilities(rng, shape):
    return rng.uniform(0.05, 0.95, shape)


CASES = {
    "mse": (losses.MeanSquaredError(), numbers, numbers),
    "mae": (losses.MeanAbsoluteError(), numbers, numbers),
    "huber": (losses.Huber(), numbers, numbers),
    "huber, delta": (losses.Huber(0.3), numbers, numbers),
    "binary, logits": (losses.BinaryCrossentropy(True), yes_no, numbers),
    "binary, logits, smooth": (losses.BinaryCrossentropy(True, 0.2), soft_yes_no, numbers),
    "binary": (losses.BinaryCrossentropy(False), yes_no, probabilities),
    "binary, smooth": (losses.BinaryCrossentropy(False, 0.2), soft_yes_no, probabilities),
    "categorical, logits": (losses.CategoricalCrossentropy(True), one_hot, numbers),
    "categorical, logits, smooth": (losses.CategoricalCrossentropy(True, 0.1), soft, numbers),
    "categorical": (losses.CategoricalCrossentropy(False), one_hot, probabilities),
    "categorical, smooth": (losses.CategoricalCrossentropy(False, 0.1), soft, probabilities),
    "sparse, logits": (losses.SparseCategoricalCrossentropy(True), labels, numbers),
    "sparse": (losses.SparseCategoricalCrossentropy(False), labels, probabilities),
}


def case(name, device="cpu"):
    loss, target, output = CASES[name]
    loss = copy.copy(loss)
    loss.attach(devices.get(device))
    return loss, target, output


def on(loss, array, dtype=None):
    return loss.device.from_host(np.asarray(array, dtype))


def gradient(loss):
    return np.array(loss.device.to_host(loss.backward()))


def shapes_for(name):
    return [shape for shape in SHAPES if shape[-1] > 1 or name.split(",")[0] not in ("categorical", "sparse")]


# ---- published values: the examples in Keras' documentation

ROWS, SURE = [[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "weights", "expected"),
    [
        (losses.MeanSquaredError(), [[0, 1], [0, 0]], [[1, 1], [1, 0]], None, 0.5),
        (losses.MeanSquaredError(), [[0, 1], [0, 0]], [[1, 1], [1, 0]], [0.7, 0.3], 0.25),
        (losses.MeanAbsoluteError(), [[0, 1], [0, 0]], [[1, 1], [1, 0]], None, 0.5),
        (losses.MeanAbsoluteError(), [[0, 1], [0, 0]], [[1, 1], [1, 0]], [0.7, 0.3], 0.25),
        (losses.Huber(), [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]], None, 0.155),
        (losses.BinaryCrossentropy(True), [[0, 1, 0, 0]], [[-18.6, 0.51, 2.94, -12.8]], None, 0.865),
        (losses.BinaryCrossentropy(False), [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]], None, 0.815),
        (losses.BinaryCrossentropy(True), [[0, 1], [0, 0]], [[-18.6, 0.51], [2.94, -12.8]], [0.8, 0.2], 0.243),
        (losses.CategoricalCrossentropy(False), ROWS, SURE, None, 1.177),
        (losses.CategoricalCrossentropy(False), ROWS, SURE, [0.3, 0.7], 0.814),
        (losses.SparseCategoricalCrossentropy(False), [1, 2], SURE, None, 1.177),
        (losses.SparseCategoricalCrossentropy(False), [1, 2], SURE, [0.3, 0.7], 0.814),
    ],
)  # fmt: skip
def test_published_values(device, loss, y_true, y_pred, weights, expected):
    loss = copy.copy(loss)
    loss.attach(devices.get(device))
    value = loss.forward(y_true, on(loss, y_pred, "float64"), weights)
    assert type(value) is float
    assert value == pytest.approx(expected, abs=1e-3)  # as many digits as are printed there


def test_values_and_gradients_by_hand():
    loss = losses.MeanSquaredError()
    assert loss.forward([[1.0, 2.0]], np.array([[3.0, 2.5]])) == (4 + 0.25) / 2
    np.testing.assert_array_equal(loss.backward(), [[2.0, 0.5]])

    loss = losses.MeanAbsoluteError()
    assert loss.forward([[1.0, 2.0], [0.0, 0.0]], np.array([[3.0, 1.5], [0.0, 1.0]])) == ((2 + 0.5) / 2 + 0.5) / 2
    np.testing.assert_array_equal(loss.backward(), [[0.25, -0.25], [0.0, 0.25]])

    loss = losses.Huber(2.0)
    assert loss.forward([[0.0, 0.0, 0.0]], np.array([[1.0, -2.0, 5.0]])) == pytest.approx((0.5 + 2 + (2 * 5 - 2)) / 3)
    np.testing.assert_allclose(loss.backward(), np.array([[1.0, -2.0, 2.0]]) / 3, rtol=1e-15)

    third = np.log([[1.0, 1.0, 2.0]])  # softmax 1/4, 1/4, 1/2
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    assert loss.forward([2], third) == pytest.approx(np.log(2))
    np.testing.assert_allclose(loss.backward(), [[0.25, 0.25, -0.5]], rtol=1e-15)

    loss = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3)  # targets 0.1, 0.1, 0.8
    assert loss.forward([[0.0, 0.0, 1.0]], third) == pytest.approx(0.2 * np.log(4) + 0.8 * np.log(2))
    np.testing.assert_allclose(loss.backward(), [[0.15, 0.15, -0.3]], rtol=1e-14)

    loss = losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)  # target 0.9
    assert loss.forward([[1.0]], np.log([[3.0]])) == pytest.approx(-0.9 * np.log(0.75) - 0.1 * np.log(0.25))
    np.testing.assert_allclose(loss.backward(), [[0.75 - 0.9]], rtol=1e-14)


# ---- central differences


@pytest.mark.parametrize("device", ("cpu", "reference"))
@pytest.mark.parametrize(("name", "weighted"), list(itertools.product(CASES, (False, True))))
def test_central_differences(name, weighted, device):
    for number, shape in enumerate(shapes_for(name)):
        rng = np.random.default_rng(number)
        loss, target, output = case(name, device)
        t, p = target(rng, shape), output(rng, shape)
        w = rng.uniform(0.5, 2, shape[0]) if weighted else None
        loss.forward(t, p, w)
        dy = gradient(loss)
        h, numeric = 1e-5, np.empty(shape)
        for index in np.ndindex(shape):
            ends = []
            for sign in (1, -1):
                q = p.copy()
                q[index] += sign * h
                ends.append(loss.forward(t, q, w))
            numeric[index] = (ends[0] - ends[1]) / (2 * h)
        assert np.abs(dy - numeric).max() < 1e-6 * max(1.0, np.abs(numeric).max()), (name, shape)


# ---- what holds for every loss


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_the_dtype_is_kept_and_inputs_are_not_written(name, dtype, device):
    for shape in shapes_for(name):
        rng = np.random.default_rng(1)
        loss, target, output = case(name, device)
        t, p = target(rng, shape), output(rng, shape).astype(dtype)
        t_before, p_before = t.copy(), p.copy()
        value = loss.forward(t, on(loss, p))
        dy = loss.backward()
        assert dy.dtype == dtype and dy.shape == shape and type(value) is float
        np.testing.assert_array_equal(gradient(loss), loss.device.to_host(dy))  # backward can be called twice
        np.testing.assert_array_equal(t, t_before)
        np.testing.assert_array_equal(p, p_before)


@pytest.mark.parametrize("name", CASES)
def test_float32_agrees_with_float64(name):
    rng = np.random.default_rng(2)
    loss, target, output = case(name)
    t, p = target(rng, (9, 4)), output(rng, (9, 4)).astype("float32")
    value = loss.forward(t, p)
    dy = gradient(loss)
    assert value == pytest.approx(loss.forward(t, p.astype("float64")), rel=1e-5)
    np.testing.assert_allclose(dy, gradient(loss), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("device", ("cpu", "reference"))
@pytest.mark.parametrize("name", CASES)
def test_rows_of_weight_zero_change_no_bit(name, device):
    rng = np.random.default_rng(3)
    loss, target, output = case(name, device)
    t, p = target(rng, (6, 4)), output(rng, (6, 4))
    w = np.array([1.0, 0.0, 2.0, 0.0, 0.5, 0.0])
    live = w != 0
    value = loss.forward(t, p, w)
    dy = gradient(loss)
    assert loss.count == 3 and loss.total == pytest.approx(3 * value)
    assert value == pytest.approx(loss.forward(t[live], p[live], w[live]), rel=1e-14)
    alone = gradient(loss)
    other, odd = t.copy(), p.copy()
    other[~live] = target(np.random.default_rng(99), (3, 4))
    odd[~live] = 1e30 if output is numbers else 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # the value of such a row may be anything; it is not used
        assert loss.forward(other, odd, w) == value
        np.testing.assert_array_equal(gradient(loss), dy)
    np.testing.assert_array_equal(dy[~live], 0)
    np.testing.assert_array_equal(dy[live], alone)


@pytest.mark.parametrize("name", CASES)
def test_all_weights_zero(name):
    rng = np.random.default_rng(4)
    loss, target, output = case(name)
    assert loss.forward(target(rng, (3, 2)), output(rng, (3, 2)), np.zeros(3)) == 0.0
    assert (loss.total, loss.count) == (0.0, 0)
    np.testing.assert_array_equal(loss.backward(), np.zeros((3, 2)))


@pytest.mark.parametrize("name", CASES)
def test_totals_add_up_over_unequal_batches(name):
    rng = np.random.default_rng(5)
    loss, target, output = case(name)
    t, p, w = target(rng, (10, 3)), output(rng, (10, 3)), rng.integers(0, 3, 10)
    whole = loss.forward(t, p, w)
    total = count = 0
    for rows in (slice(0, 1), slice(1, 8), slice(8, 10)):
        loss.forward(t[rows], p[rows], w[rows])
        total, count = total + loss.total, count + loss.count
    assert count == np.count_nonzero(w)
    assert total / count == pytest.approx(whole, rel=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_weights_scale_rows(name):
    rng = np.random.default_rng(6)
    loss, target, output = case(name)
    t, p = target(rng, (4, 3)), output(rng, (4, 3))
    rows = [loss.forward(t[i : i + 1], p[i : i + 1]) for i in range(4)]
    w = np.array([3.0, 1.0, 0.5, 2.0])
    assert loss.forward(t, p, w) == pytest.approx(w @ rows / 4, rel=1e-13)
    weighted = gradient(loss)
    loss.forward(t, p)
    np.testing.assert_allclose(weighted, w[:, None] * gradient(loss), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_a_workspace_changes_no_bit(name, device):
    rng = np.random.default_rng(7)
    loss, target, output = case(name, device)
    workspace = devices.Workspace(loss.device)
    addresses = set()
    for n in (5, 5, 2):
        t, p, w = target(rng, (n, 3)), on(loss, output(rng, (n, 3)), "float32"), rng.uniform(0, 1, n)
        value = loss.forward(t, p, w)
        dy = gradient(loss)
        prepared = loss.device.from_host(loss.prepare(t, np.float32, (n, 3)))
        with devices.use_workspace(workspace):
            assert loss.forward(prepared, p, w) == value
            again = loss.device.to_host(loss.backward())
        np.testing.assert_array_equal(again, dy)
        if device != "strict":
            addresses.add(again.ctypes.data)
        del again  # its memory is free now
    assert len(addresses) == (0 if device == "strict" else 1)  # the same memory each time


@pytest.mark.parametrize("weighted", (False, True))
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_forward_and_backward_at_once(name, device, weighted):
    rng = np.random.default_rng(11)
    loss, target, output = case(name, device)
    workspace = devices.Workspace(loss.device)
    for n in (5, 3, 5):
        t, p = target(rng, (n, 2, 3)), on(loss, output(rng, (n, 2, 3)), "float32")
        w = np.where(rng.uniform(size=n) < 0.5, 0.0, rng.uniform(0, 1, n)) if weighted else None
        value, total, count = loss.forward(t, p, w), loss.total, loss.count
        dy = gradient(loss)
        again, at_once = loss.forward_backward(t, p, w)
        assert (again, loss.total, loss.count) == (value, total, count)
        np.testing.assert_array_equal(loss.device.to_host(at_once), dy)
        np.testing.assert_array_equal(gradient(loss), dy)  # of the same call
        prepared = loss.device.from_host(loss.prepare(t, np.float32, (n, 2, 3)))
        with devices.use_workspace(workspace):
            again, at_once = loss.forward_backward(prepared, p, w)
        assert (again, loss.total, loss.count) == (value, total, count)
        np.testing.assert_array_equal(loss.device.to_host(at_once), dy)


def test_a_subclass_that_changes_one_half_is_asked_for_it():
    class Doubled(losses.SparseCategoricalCrossentropy):
        def gradient(self, y_true, y_pred, scale, out):
            super().gradient(y_true, y_pred, scale, out)
            out *= 2

    class Renamed(losses.SparseCategoricalCrossentropy):
        accuracy = None

    class Shifted(Renamed):
        def forward(self, y_true, y_pred, sample_weight=None):
            return super().forward(y_true, y_pred, sample_weight) + 1

    class Tenfold:
        def forward(self, y_true, y_pred, sample_weight=None):
            return 10 * super().forward(y_true, y_pred, sample_weight)

        def backward(self):
            return 10 * super().backward()

    class Mixed(Tenfold, losses.SparseCategoricalCrossentropy):
        pass

    y, p = [1, 0], np.array([[0.0, 1.0], [2.0, 0.0]])
    value, dy = losses.SparseCategoricalCrossentropy(True).forward_backward(y, p)
    mixed, mixed_dy = Mixed(True).forward_backward(y, p)
    assert mixed == 10 * value and mixed_dy.tolist() == (10 * dy).tolist()
    assert Renamed(True)._one_pass and not Mixed._one_pass
    assert Doubled(True).forward_backward(y, p)[1].tolist() == (2 * dy).tolist()
    assert Renamed(True).forward_backward(y, p)[0] == value
    assert Shifted(True).forward_backward(y, p)[0] == value + 1


@pytest.mark.parametrize("name", CASES)
def test_every_buffer_is_written_before_it_is_read(name):
    rng = np.random.default_rng(8)
    loss, target, output = case(name)
    t, p, w = target(rng, (5, 3)), output(rng, (5, 3)), [1, 0, 2, 1, 0]
    value = loss.forward(t, p, w)
    dy = gradient(loss)
    devices.set_debug(True)
    try:
        assert loss.forward(t, p, w) == value
        np.testing.assert_array_equal(gradient(loss), dy)
    finally:
        devices.set_debug(False)


# ---- extreme inputs


@pytest.mark.parametrize("device", ("cpu", "reference"))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits(dtype, device):
    z = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]], dtype)
    loss = case("sparse, logits", device)[0]
    loss.forward([1, 0, 2], z)
    assert loss.total == pytest.approx(2e4 + 2 * np.log(3), rel=1e-6)
    np.testing.assert_allclose(
        gradient(loss) * 3, [[1, -1, 0], [-2 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, -2 / 3]], rtol=1e-6
    )
    loss = case("categorical, logits", device)[0]
    assert loss.forward(np.eye(3)[[1, 0, 2]], z) * 3 == pytest.approx(2e4 + 2 * np.log(3), rel=1e-6)
    assert np.isfinite(gradient(loss)).all()
    loss = case("binary, logits", device)[0]
    assert loss.forward([[0, 1, 1], [0, 0, 0], [1, 1, 1]], z) == pytest.approx((2e4 + np.log(2)) / 9, rel=1e-6)
    np.testing.assert_allclose(gradient(loss) * 9, [[1, -1, -0.5], [0, 0, 0], [0, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("device", ("cpu", "reference"))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["binary", "binary, smooth", "categorical", "categorical, smooth", "sparse"])
def test_certain_probabilities(name, dtype, device):
    p = np.array([[0.0, 1.0], [1.0, 0.0]], dtype)
    loss, *_ = case(name, device)
    values = []
    for t in ([1, 0], [0, 1]):  # all right, then all wrong
        values.append(loss.forward(t if name == "sparse" else np.eye(2)[t], p))
        assert np.isfinite(values[-1]) and np.isfinite(gradient(loss)).all()
        if "smooth" not in name:
            np.testing.assert_array_equal(gradient(loss), 0)  # the clip to 10⁻⁷ ... 1 − 10⁻⁷ lets no gradient through
    if "smooth" not in name:
        clip = 1.2e-7 if dtype == "float32" else 1e-12  # 1 − 10⁻⁷ is not a float32
        assert values[0] == pytest.approx(1e-7, rel=1e-6, abs=clip)
        assert values[1] == pytest.approx(7 * np.log(10), rel=1e-2 if dtype == "float32" else 1e-7)


# ---- errors


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


# ---- targets as the kernels take them


def test_prepare():
    y = losses.prepare(losses.get("mse"), np.asfortranarray(np.ones((2, 3))), np.dtype("float32"), (2, 3))
    assert y.dtype == np.float32 and y.flags.c_contiguous
    sparse = losses.get("sparse_categorical_crossentropy")
    for y in ([0, 2], [0.0, 2.0], [[0], [2]]):
        prepared = losses.prepare(sparse, np.array(y), np.float32, (2, 3))
        assert prepared.dtype == np.int32 and prepared.tolist() == [0, 2]
    assert losses.prepare(sparse, np.zeros((2, 1), int), np.float32, (2, 1, 3)).shape == (2, 1)
    assert losses.prepare(sparse, np.zeros((2, 5, 1), int), np.float32, (2, 5, 3)).shape == (2, 5)


@pytest.mark.parametrize("device", DEVICES)
def test_label_columns_are_labels(device):
    loss = case("sparse, logits", device)[0]
    z = on(loss, np.random.default_rng(0).normal(size=(4, 3)))
    flat = loss.forward(np.array([0, 2, 1, 1]), z)
    assert loss.forward(np.array([[0], [2], [1], [1]]), z) == flat
    assert loss.forward(loss.device.from_host(np.array([0.0, 2, 1, 1])), z) == flat


# ---- by name


def test_get():
    for name in ("mse", "MSE", "mean_squared_error", "MeanSquaredError", losses.MeanSquaredError):
        assert type(losses.get(name)) is losses.MeanSquaredError
    assert type(losses.get("mae")) is losses.MeanAbsoluteError
    assert type(losses.get("huber")) is losses.Huber
    for name in ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"):
        assert losses.get(name).name == name and losses.get(name).from_logits is None
    loss = losses.Huber(2.0)
    assert losses.get(loss) is loss
    with pytest.raises(ValueError, match="unknown loss 'mean_square_error'; did you mean 'mean_squared_error'"):
        losses.get("mean_square_error")
    with pytest.raises(ValueError, match="unknown loss 'xyz'; there are mean_squared_error, mse"):
        losses.get("xyz")
    for wrong in (3, None, lambda t, p: 0, dict):
        with pytest.raises(TypeError, match=r"loss must be a name, an npdl\.losses object or an object with forward"):
            losses.get(wrong)


@pytest.mark.parametrize("name", CASES)
def test_config_round_trip(name):
    loss = CASES[name][0]
    for again in (losses.get(losses.serialize(loss)), type(loss).from_config(loss.get_config())):
        assert type(again) is type(loss) and again.get_config() == loss.get_config()


def test_repr():
    assert repr(losses.Huber(2.0)) == "Huber(delta=2.0)"
    assert repr(losses.MeanSquaredError()) == "MeanSquaredError()"
    assert repr(losses.BinaryCrossentropy(True, label_smoothing=0.1)) == (
        "BinaryCrossentropy(from_logits=True, label_smoothing=0.1)"
    )


# ---- the user's own


class Cubic(losses.Loss):
    """Lₙ = Σ |e|³"""

    def values(self, y_true, y_pred, out):
        out[...] = (np.abs(y_pred - y_true) ** 3).sum(axis=1)

    def gradient(self, y_true, y_pred, scale, out):
        e = y_pred - y_true
        out[...] = scale[:, None] * 3 * e * np.abs(e)


class Plain:
    """No subclass at all."""

    def forward(self, y_true, y_pred, sample_weight=None):
        self.e = y_pred - y_true
        return float(np.mean(self.e**2))

    def backward(self):
        return 2 * self.e / self.e.size


def test_a_subclass_gets_weights_and_means():
    loss = Cubic()
    assert loss.forward([[0.0], [0.0], [0.0]], np.array([[1.0], [2.0], [9.0]]), [2, 1, 0]) == (2 + 8) / 2
    assert (loss.total, loss.count) == (10.0, 2)
    np.testing.assert_allclose(loss.backward(), [[3.0], [6.0], [0.0]])
    assert repr(loss) == "Cubic()" and loss.accuracy is None and not loss.is_classification
    assert type(Cubic.from_config(loss.get_config())) is Cubic
    assert losses.serialize(loss) == {
        "class_name": "Cubic", "config": {"name": "Cubic", "reduction": "sum_over_batch_size", "dtype": None},
    }  # fmt: skip


def test_a_subclass_with_nothing_in_it():
    class Empty(losses.Loss):
        pass

    with pytest.raises(
        NotImplementedError, match=r"Empty needs values\(self, y_true, y_pred, out\), or its own forward"
    ):
        Empty().forward([[0.0]], np.ones((1, 1)))
    with pytest.raises(NotImplementedError, match=r"Empty needs gradient.*or its own backward"):
        Empty().gradient(None, None, None, None)


def test_any_object_with_forward_and_backward():
    loss = Plain()
    assert losses.get(loss) is loss
    assert losses.serialize(loss) == {"class_name": "Plain", "config": {}}
    losses.validate(loss, np.zeros((3, 2)), (3, 5))  # its targets are its own affair
    with pytest.raises(ValueError, match="Plain: y has 3 rows and the outputs have 4"):
        losses.validate(loss, np.zeros((3, 2)), (4, 2))
    with pytest.raises(ValueError, match="Plain: y holds nan at row 0"):
        losses.validate(loss, np.array([np.nan]), (1, 1))
    assert losses.prepare(loss, np.zeros((3, 2)), np.float32, (3, 2)).dtype == np.float32
    assert losses.prepare(loss, np.zeros(3, "uint8"), np.float32, (3, 2)).dtype == np.uint8


# ---- class_weight


def test_class_weights():
    expected = [1.0, 5.0, 0.0, 5.0]
    for y in ([0, 1, 2, 1], [[0], [1], [2], [1]], [0.0, 1.0, 2.0, 1.0], np.eye(3)[[0, 1, 2, 1]]):
        w = losses.class_weights(y, {1: 5.0, 2: 0})
        assert w.dtype == np.float64 and w.tolist() == expected
    assert losses.class_weights([True, False], {1: 2.0}).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("y", "weights", "error", "text"),
    [
        ([0, 1], [1.0, 2.0], TypeError, r"class_weight must be a dict class -> weight, got \[1\.0, 2\.0\]"),
        ([0, 1], {"a": 1.0}, ValueError, "class_weight's keys are class numbers from 0, got 'a'"),
        ([0, 1], {-1: 1.0}, ValueError, "keys are class numbers from 0, got -1"),
        ([0, 1], {True: 1.0}, ValueError, "keys are class numbers from 0, got True"),
        ([0, 1], {0: -1.0}, ValueError, r"class_weight\[0\] must be finite and not negative, got -1\.0"),
        ([0, 1], {0: np.nan}, ValueError, r"class_weight\[0\] must be finite"),
        ([0, 1], {0: "big"}, ValueError, r"class_weight\[0\] must be finite"),
        ([0, 0.5], {0: 1.0}, ValueError, "needs whole class labels, got fractions; pass sample_weight"),
        ([[0.2, 0.2]], {0: 1.0}, ValueError, r"one class a sample, .* got y of shape \(1, 2\); pass sample_weight"),
        (np.zeros((2, 3, 4)), {0: 1.0}, ValueError, r"got y of shape \(2, 3, 4\); pass sample_weight"),
        (np.eye(3), {3: 1.0}, ValueError, "has the key 3, the classes are 0 to 2; remove it"),
        (["a"], {0: 1.0}, TypeError, "class_weight: expected an array of numbers, got text"),
    ],
)
def test_wrong_class_weights(y, weights, error, text):
    with pytest.raises(error, match=text):
        losses.class_weights(y, weights)


def test_class_weights_know_the_classes_where_told():
    with pytest.raises(ValueError, match="has the key 7, the classes are 0 to 2"):
        losses.class_weights([0, 1], {7: 1.0}, num_classes=3)
