"""The memory that fit and predict reuse: whose it is, when it is free again, how much of it a step needs."""

import copy
import tracemalloc

import numpy as np
import pytest

from npdl import Sequential, devices, layers, losses, optimizers

FLOAT = np.dtype("float32")


@pytest.fixture(params=["cpu", "strict"])
def workspace(request):
    return devices.Workspace(devices.get(request.param))


@pytest.fixture
def debug():
    """Memory is filled with NaN before it is given away."""
    before = devices.set_debug(True)
    yield
    devices.set_debug(before)


def host(array):
    """The NumPy array behind that of any device."""
    return getattr(array, "_host", array)


def address(array):
    return host(array).ctypes.data


# ---- whose it is


def test_nobody_else_gets_memory_that_is_referred_to(workspace):
    first = workspace.take(1, "y", (4, 3), FLOAT)
    again, other = workspace.take(1, "y", (4, 3), FLOAT), workspace.take(2, "y", (4, 3), FLOAT)
    where = address(first), address(again), address(other)
    assert len(set(where)) == 3
    del first
    assert address(workspace.take(3, "dx", (4, 3), FLOAT)) == where[0]  # whoever asks next


@pytest.mark.parametrize("view", (lambda y: y.reshape(12), lambda y: y[2:4], lambda y: y.reshape(2, 6)[1:2].reshape(6)))
def test_a_view_holds_the_memory_too(workspace, view):
    y = workspace.take(1, "y", (4, 3), FLOAT)
    where, part = address(y), view(y)
    del y
    assert address(workspace.take(1, "y", (4, 3), FLOAT)) != where
    del part
    assert address(workspace.take(2, "y", (4, 3), FLOAT)) == where


@pytest.mark.parametrize(
    "wrap", (memoryview, lambda y: y.T[1:], lambda y: y.view(np.matrix), lambda y: y.view("uint8"))
)
def test_other_views_of_a_user(wrap):
    workspace = devices.Workspace(devices.get("cpu"))
    y = workspace.take(1, "y", (4, 3), FLOAT)
    where, kept = address(y), wrap(y)
    del y
    assert address(workspace.take(1, "y", (4, 3), FLOAT)) != where
    del kept
    assert address(workspace.take(2, "y", (4, 3), FLOAT)) == where


# ---- the same memory in every step


def step(workspace, rows):
    """Addresses in a step of five layers, whose gradients go over from one to the next."""
    outputs = [workspace.take(i, "y", (rows, 10 + i), FLOAT) for i in range(5)]
    where, dy = [address(y) for y in outputs], None
    for i in reversed(range(5)):
        dy = workspace.take(i, "dx", (rows, 10 + i), FLOAT)
        where.append(address(dy))
        del outputs[i]
    return where


def test_a_step_finds_its_arrays_where_they_were(workspace):
    first, held = step(workspace, 8), workspace.nbytes
    assert held < 4 * 8 * (10 + 11 + 12 + 13 + 14 + 2 * 15)  # gradients lie where outputs lay
    assert step(workspace, 8) == step(workspace, 5) == step(workspace, 8) == first
    assert workspace.nbytes == held


def test_what_is_outgrown_goes(workspace):
    for rows in range(1, 50):
        step(workspace, rows)
    fresh = devices.Workspace(workspace.device)
    step(fresh, 49)
    assert workspace.nbytes <= 1.5 * fresh.nbytes


def test_little_does_not_lie_in_much(workspace):
    large = workspace.take(1, "y", (1000,), FLOAT)
    where = address(large)
    del large
    assert address(workspace.take(2, "y", (499,), FLOAT)) != where
    assert address(workspace.take(2, "z", (500,), FLOAT)) == where
    assert workspace.nbytes == 4 * (1000 + 499)


def test_each_type_has_memory_of_its_own(workspace):
    for dtype in ("float32", FLOAT, "float64", "uint8", "int32"):
        array = workspace.take(1, "y", (3, 5), dtype)
        assert array.dtype == dtype and array.shape == (3, 5)
        del array
    assert workspace.nbytes == 15 * (4 + 8 + 1 + 4)


def test_an_asker_that_keeps_what_it_got_last(workspace):
    kept = [None, None]
    for i in range(20):
        kept[i % 2] = workspace.take(1, "y", (100, i % 3 + 1), FLOAT)
        if i == 9:
            held = workspace.nbytes
    assert workspace.nbytes == held


# ---- in a model


class Keeper(layers.Layer):
    """y = x; holds on to the arrays of its last calls and sees to it that nobody writes into an x."""

    def build(self, input_shape):
        self.inputs, self.gradients = [], []
        return input_shape

    def forward(self, x, training=False):
        for one, values in self.inputs:
            np.testing.assert_array_equal(one, values)
        self.inputs = [*self.inputs[-2:], (x, x.copy())]
        return x

    def backward(self, dy):
        self.gradients = [*self.gradients[-1:], dy]
        return dy


class Twice(layers.Layer):
    """y = g(f(x)) + x, its layers called by its own hand; the gradient of the way around is used after theirs."""

    def __init__(self, **base):
        super().__init__(**base)
        self.f, self.g = layers.Dense(4, activation="gelu", name="f"), layers.Dense(4, name="g")

    def build(self, input_shape):
        return self.g.build_once(self.f.build_once(input_shape))

    def walk(self):
        yield self
        yield from (self.f, self.g)

    def forward(self, x, training=False):
        return self.g.forward(self.f.forward(x, training), training) + x

    def backward(self, dy):
        return self.f.backward(self.g.backward(dy)) + dy


def nested(keeper=Keeper):
    def conv(**options):
        return layers.Conv2D(4, 3, padding="same", **options)

    inner = layers.Residual([conv(), layers.BatchNormalization(), layers.ReLU(), keeper(), layers.Dropout(0.2)])
    outer = [conv(), inner, Twice(), conv(activation="gelu")]
    return [
        conv(activation="tanh"), layers.BatchNormalization(), layers.ReLU(), keeper(),
        layers.Residual(outer, shortcut=[conv(), keeper()], activation="relu"), layers.MaxPooling2D(2),
        layers.Residual([layers.Dropout(0.1), keeper()]), layers.AveragePooling2D(1), keeper(),
        layers.Flatten(), keeper(), layers.Residual([layers.Dense(6, activation="sigmoid"), layers.Dense(36)]),
        layers.Dense(3),
    ]  # fmt: skip


@pytest.mark.parametrize("frozen", (0, 5))
def test_training_in_reused_memory_and_by_hand(frozen, debug, rng):
    model = Sequential(nested(), seed=3)
    model.build((6, 6, 4))
    for layer in model.layers[:frozen]:
        layer.trainable = False
    by_hand, loss = copy.deepcopy(model), losses.MeanSquaredError()
    model.compile(optimizers.SGD(0.01, momentum=0.9), "mse", check_gradients=False)
    optimizer = optimizers.SGD(0.01, momentum=0.9)
    for rows in (8, 8, 5, 8, 9, 9):
        x, y = rng.normal(size=(rows, 6, 6, 4)).astype("float32"), rng.normal(size=(rows, 3)).astype("float32")
        expected = loss.forward(y, by_hand.forward(x, training=True))
        by_hand.backward(loss.backward())
        optimizer.step(by_hand)
        assert np.isfinite(expected) and model.train_on_batch(x, y) == expected
        for one, other in zip(model.get_weights(), by_hand.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(model.predict(x), by_hand.forward(x))


def test_the_gradients_of_such_a_model(rng):
    model = Sequential(nested(layers.Tanh), seed=3)
    x, y = rng.normal(size=(4, 6, 6, 4)), rng.normal(size=(4, 3))
    model.gradient_check(x, y).raise_if_wrong()


def chain(depth=12, units=64, **options):
    model = Sequential([layers.Input((units,)), *(layers.Dense(units, **options) for _ in range(depth))], seed=0)
    model.compile("sgd", "mse")
    return model


def held_by(model, rows=256):
    x = np.zeros((rows, 64), FLOAT)
    for _ in range(3):
        model.train_on_batch(x, x)
    saved = model._step.workspace.saved
    assert not any(id(layer) in saved for layer in model._step.plan.layers)
    return model._step.workspace.nbytes / x.nbytes  # in arrays


def test_gradients_need_no_memory_of_their_own():
    assert 12 <= held_by(chain(activation="tanh")) < 16


def test_nothing_is_kept_for_a_linear_activation_but_x():
    assert layers.Dense(3).activation.kept(1, 2) is None
    assert held_by(chain()) < 16


def test_nothing_is_kept_below_the_lowest_layer_that_learns():
    model = chain(activation="tanh")
    for layer in model.layers[:-2]:
        layer.trainable = False
    assert held_by(model) < 6


def test_outputs_of_predict_take_turns():
    model, x = chain(activation="tanh"), np.zeros((512, 64), FLOAT)
    model.predict(x, batch_size=256)
    tracemalloc.start()
    try:
        model.predict(x, batch_size=256)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes + 4 * x.nbytes / 2  # the result, a batch and two outputs
