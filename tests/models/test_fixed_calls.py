"""Calls on nodes with training=False: what inference does, in `fit` too, and learnt through. PyTorch: `eval()`."""

import copy

import numpy as np
import pytest

import npdl
from npdl import Model, Sequential, layers, load_model
from npdl.optimizers import SGD

N = 10


def base(kind=Sequential):
    """With layers that do something else in training, one of them inside a container."""
    stack = [
        layers.Dense(6),
        layers.BatchNormalization(momentum=0.5, name="first_norm"),
        layers.ReLU(),
        layers.Residual([layers.Dense(6), layers.BatchNormalization(name="inner_norm"), layers.Dropout(0.5)]),
        layers.GaussianNoise(0.3),
    ]
    if kind is Sequential:
        return Sequential([layers.Input((4,)), *stack], seed=1, dtype="float64", name="base")
    x = y = layers.Input((4,))
    for layer in stack:
        y = layer(y)
    return Model(x, y, seed=1, dtype="float64", name="base")


def settled(model, rng):
    """With moving statistics that are not those of the beginning."""
    for weight in model.store.weights:
        if not weight.trained:
            model.store.assign(weight, rng.random(weight.shape) + 0.5)
    return model


@pytest.mark.parametrize("kind", (Sequential, Model))
def test_a_base_in_inference_learns_and_keeps_its_statistics(rng, kind):
    x, y = rng.normal(size=(N, 4)), rng.normal(size=(N, 1))
    inner = settled(base(kind), rng)
    inputs = layers.Input((4,))
    model = Model(inputs, layers.Dense(1)(inner(inputs, training=False)), seed=0, dtype="float64")
    model.compile(SGD(0.1), "mse")
    statistics = [array.copy() for layer in inner.walk() for array in layer.state.values()]
    expected = ((model.predict(x) - y) ** 2).mean()
    before = inner.layers[-4].get_weights()[0].copy()
    assert model.train_on_batch(x, y) == pytest.approx(expected, rel=1e-12)  # no batch statistics, no dropout, no noise
    assert np.abs(inner.layers[-4].get_weights()[0] - before).max() > 1e-4  # γ of the frozen normalization learns
    for array, kept in zip((a for layer in inner.walk() for a in layer.state.values()), statistics, strict=True):
        np.testing.assert_array_equal(array, kept)
    assert model.gradient_check(x, y).ok
    assert "training=False" in _summary(model)


def _summary(model):
    lines = []
    model.summary(lines.append)
    return "\n".join(lines)


def test_the_gradient_is_that_of_eval():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(N, 3)), rng.normal(size=(N, 3))
    inputs = layers.Input((3,))
    norm = layers.BatchNormalization(epsilon=1e-5)
    model = settled(
        Model(inputs, layers.Dropout(0.5)(norm(inputs, training=False), training=False), dtype="float64"), rng
    )
    other = torch.nn.BatchNorm1d(3, eps=1e-5).double().eval()
    with torch.no_grad():
        for mine, its in (("gamma", other.weight), ("beta", other.bias)):
            norm.params[mine][...] = rng.normal(size=3)
            its.copy_(torch.tensor(norm.params[mine]))
        other.running_mean.copy_(torch.tensor(norm.state["moving_mean"]))
        other.running_var.copy_(torch.tensor(norm.state["moving_variance"]))
    given = torch.tensor(x, requires_grad=True)
    out = other(given)
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(model.forward(x, training=True), out.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(model.backward(dy), given.grad.numpy(), rtol=1e-10)
    np.testing.assert_allclose(norm.grads["gamma"], other.weight.grad.numpy(), rtol=1e-10)
    np.testing.assert_allclose(norm.grads["beta"], other.bias.grad.numpy(), rtol=1e-10)


def test_one_layer_called_both_ways(rng):
    """A shared normalization, once with the batch's statistics and once with the moving ones."""
    x = rng.normal(size=(N, 4))
    inputs, norm = layers.Input((4,)), layers.BatchNormalization(momentum=0.5)
    model = settled(Model(inputs, [norm(inputs), norm(inputs, training=False)], seed=0, dtype="float64"), rng)
    mean, variance = (norm.state[name].copy() for name in ("moving_mean", "moving_variance"))
    first, second = model.forward(x, training=True)
    np.testing.assert_allclose(first, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3), rtol=1e-10)
    mixed = 0.5 * mean + 0.5 * x.mean(0), 0.5 * variance + 0.5 * x.var(0)  # what the first call has made of them
    np.testing.assert_allclose(second, (x - mixed[0]) / np.sqrt(mixed[1] + 1e-3), rtol=1e-10)
    da, db = rng.normal(size=x.shape), rng.normal(size=x.shape)
    model.backward([da, db])
    np.testing.assert_allclose(norm.grads["gamma"], (da * first).sum(0) + (db * second).sum(0), rtol=1e-10)
    assert "training=False in 1 of 2 calls" in _summary(model)


@pytest.mark.parametrize("fixed_first", (True, False))
def test_gradient_check_of_a_layer_called_both_ways(rng, fixed_first):
    """What the normal call writes into the moving statistics is no part of the fixed call's gradient."""
    inputs, norm = layers.Input((3,)), layers.BatchNormalization(momentum=0.5)
    h = layers.Dense(3)(inputs)
    ways = [norm(h, training=False) if fixed else norm(h) for fixed in (fixed_first, not fixed_first)]
    model = Model(inputs, layers.Dense(1)(layers.Multiply()(ways)), seed=0, dtype="float64")
    model.compile("sgd", "mse")
    model.gradient_check(rng.normal(size=(6, 3)), rng.normal(size=(6, 1))).raise_if_wrong()


@pytest.mark.parametrize(
    "make",
    (
        lambda: layers.LSTM(3, dropout=0.5, recurrent_dropout=0.5),
        lambda: layers.RNN(layers.GRUCell(3, dropout=0.5)),
        lambda: layers.Bidirectional(layers.SimpleRNN(3, recurrent_dropout=0.5)),
        lambda: layers.MultiHeadAttention(2, 3, dropout=0.5),
        lambda: layers.TransformerEncoder(8, 2, dropout=0.5),
        lambda: layers.SpatialDropout1D(0.5),
        lambda: layers.AlphaDropout(0.5),
        lambda: layers.GaussianDropout(0.5),
        lambda: layers.StochasticDepth(0.5),
        lambda: layers.Parallel([[layers.Dropout(0.5)], [layers.Dense(4), layers.Dropout(0.5)]]),
    ),
)
def test_every_layer_that_draws(rng, make):
    _demand_inference(make(), rng.normal(size=(N, 5, 4)))


@pytest.mark.parametrize(
    "make",
    (
        lambda: layers.RandomFlip(),
        lambda: layers.RandomRotation(0.2),
        lambda: layers.RandomBrightness(0.2),
        lambda: layers.RandomContrast(0.5),
        lambda: layers.RandomErasing(1.0),
        lambda: layers.RandomCrop(4, 4),
    ),
)
def test_every_augmentation(rng, make):
    _demand_inference(make(), 255 * rng.random(size=(3, 6, 6, 2)))


def _demand_inference(layer, x):
    """A training forward gives what inference gives, and backward its gradient, at each run again."""
    inputs = layers.Input(x.shape[1:])
    model = Model(inputs, layer(inputs, training=False), seed=0, dtype="float64")
    for _ in range(2):
        y = model.forward(x, training=True)
        np.testing.assert_array_equal(y, model.forward(x))
    y = model.forward(x, training=True)
    direction, dy = np.cos(np.arange(x.size)).reshape(x.shape), np.sin(np.arange(y.size)).reshape(y.shape)
    slope = (model.backward(dy) * direction).sum()
    up, down = (model.forward(x + sign * 1e-5 * direction) for sign in (1, -1))
    assert slope == pytest.approx((dy * (up - down)).sum() / 2e-5, rel=1e-6)


def test_files_and_copies_keep_it(rng, tmp_path):
    x, y = rng.normal(size=(N, 4)), rng.normal(size=(N, 1))
    inner, inputs = settled(base(), rng), layers.Input((4,))
    model = Model(
        inputs,
        layers.Dense(1)(layers.Dropout(0.5)(inner(inputs, training=False), training=False)),
        seed=0,
        dtype="float64",
    )
    model.compile(SGD(0.1), "mse")
    model.save(tmp_path / "m.npdl")
    assert [call.get("training") for call in model.get_config()["calls"]] == [False, False, None]
    others = [load_model(tmp_path / "m.npdl"), copy.deepcopy(model)]
    model.fit(x, y, epochs=2, verbose=0)
    for other in others:
        other.fit(x, y, epochs=2, verbose=0)
        np.testing.assert_array_equal(other.store.data, model.store.data)
    outer = Model(inputs, npdl.clone_model(model)(inputs))
    assert [call.fixed for call in outer.steps[0].layer.steps] == [True, True, False]
    assert [op.fixed for op in outer.graph.ops][-3:] == [True, True, False]


def test_random_numbers_in_inference_are_refused():
    for layer in (layers.Dropout(0.5), base(), base(Model)):
        with pytest.raises(TypeError, match=r"training=False\) to have it do always .* model\(x, training=True\)"):
            layer(layers.Input((4,)), training=True)


def test_on_arrays_training_is_as_ever(rng):
    model, x = base(), rng.normal(size=(N, 4))
    assert np.array_equal(model(x), model(x, training=False)) and not np.array_equal(model(x), model(x, training=True))
    layer = layers.Dropout(0.5).init((4,), dtype="float64", seed=0)
    assert layer(x, training=False) is x and (layer(x, training=True) == 0).any()
