"""Losses: published values, central differences, weights, extreme inputs."""

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


# ---- labels and configurations


@pytest.mark.parametrize("device", DEVICES)
def test_label_columns_are_labels(device):
    loss = case("sparse, logits", device)[0]
    z = on(loss, np.random.default_rng(0).normal(size=(4, 3)))
    flat = loss.forward(np.array([0, 2, 1, 1]), z)
    assert loss.forward(np.array([[0], [2], [1], [1]]), z) == flat
    assert loss.forward(loss.device.from_host(np.array([0.0, 2, 1, 1])), z) == flat


@pytest.mark.parametrize("name", CASES)
def test_config_round_trip(name):
    loss = CASES[name][0]
    for again in (losses.get(losses.serialize(loss)), type(loss).from_config(loss.get_config())):
        assert type(again) is type(loss) and again.get_config() == loss.get_config()
