import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({}, (4, 3, 2)),
        ({"center": False}, (3, 3, 1)),
        ({"scale": False}, (5, 17)),
        ({"center": False, "scale": False, "momentum": 0.5, "epsilon": 1e-5}, (2, 2, 33)),
        ({"axis": 3}, (2, 1, 3)),
        ({"axis": 1}, (3, 2, 4)),
        ({"axis": -2, "center": False}, (4, 5)),
    ],
)
@pytest.mark.parametrize("trainable", [True, False])
def test_contract(arguments, shape, trainable):
    testing.check_layer(layers.BatchNormalization(trainable=trainable, **arguments), shape)


def test_contract_of_flat_samples():
    testing.check_layer(layers.BatchNormalization(), (7,), smallest_batch=2)


@pytest.fixture
def layer(device):
    return layers.BatchNormalization(momentum=0.9).init((2, 3), dtype="float64", device=device)


def test_training_makes_mean_0_and_variance_1(layer, rng):
    x = 5 + 3 * rng.normal(size=(50, 2, 3))
    y = layer(x, training=True)
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var((0, 1)), 1, atol=1e-3)


def test_moving_statistics_are_keras(layer, rng):
    """The biased variance, and momentum is the part that stays."""
    mean, variance = np.zeros(3), np.ones(3)
    for _ in range(3):
        x = 5 + 3 * rng.normal(size=(4, 2, 3))
        layer(x, training=True)
        mean, variance = 0.9 * mean + 0.1 * x.mean((0, 1)), 0.9 * variance + 0.1 * x.var((0, 1))
    np.testing.assert_allclose(layer.state["moving_mean"], mean)
    np.testing.assert_allclose(layer.state["moving_variance"], variance)
    y = layer(x)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-3))


def test_frozen_layers_use_their_moving_statistics(layer, rng):
    layer.trainable = False
    layer.state["moving_mean"][...] = [1, 2, 3]
    x = rng.normal(size=(4, 2, 3))
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    np.testing.assert_array_equal(layer.state["moving_mean"], [1, 2, 3])
    assert layer(x[:1, :1].reshape(1, 1, 3).repeat(2, 1), training=True).shape == (1, 2, 3)


def test_frozen_and_inference_keep_the_running_statistics(rng, device):
    """As Keras: a frozen layer normalizes a training batch by its moving statistics and leaves them as they are."""
    for axis in (1, -1):
        layer = layers.BatchNormalization(axis=axis, momentum=0.5).init((4, 4), dtype="float64", device=device)
        x = 5 + 3 * rng.normal(size=(6, 4, 4))
        layer(x, training=True)
        kept = [a.copy() for a in layer.state.values()]
        layer.trainable = False
        shape = (4, 1) if axis == 1 else (4,)
        mean, variance = (a.reshape(shape) for a in kept)
        for training in (True, False):
            np.testing.assert_allclose(layer(x, training), (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-12)
        layer(x, training=True)
        np.testing.assert_allclose(layer.backward(x), x / np.sqrt(variance + 1e-3), rtol=1e-12)
        assert all((a == b).all() for a, b in zip(kept, layer.state.values()))


def test_an_empty_batch(device):
    """PyTorch's rule: nothing comes out, and the statistics stay."""
    layer = layers.BatchNormalization().init((2, 3), device=device)
    x = np.zeros((0, 2, 3), "float32")
    assert layer(x).shape == layer(x, training=True).shape == layer.backward(x).shape == (0, 2, 3)
    assert not any(grad.any() for grad in layer.grads.values())
    assert layer.state["moving_mean"].tolist() == [0, 0, 0] and layer.state["moving_variance"].tolist() == [1, 1, 1]


def test_an_axis_is_the_last_one_of_the_moved_array(rng, device):
    x = rng.normal(size=(5, 3, 4, 2))
    last = layers.BatchNormalization().init((4, 2, 3), dtype="float64", device=device)
    other = layers.BatchNormalization(axis=1).init((3, 4, 2), dtype="float64", device=device)
    dy = rng.normal(size=x.shape)
    y = last(np.ascontiguousarray(np.moveaxis(x, 1, -1)), training=True)
    np.testing.assert_array_equal(other(x, training=True), np.moveaxis(y, -1, 1))
    dx = last.backward(np.ascontiguousarray(np.moveaxis(dy, 1, -1)))
    np.testing.assert_array_equal(other.backward(dy), np.moveaxis(dx, -1, 1))
    for name in last.grads:
        np.testing.assert_array_equal(other.grads[name], last.grads[name])


def test_weights_are_in_keras_order():
    layer = layers.BatchNormalization(gamma_initializer="ones", moving_variance_initializer="ones").init((4,), seed=0)
    assert [*layer.params, *layer.state] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [w.tolist()[0] for w in layer.get_weights()] == [1, 0, 0, 1]


def test_one_value_a_channel():
    """y is β, and the gradient of x is 0: finite, as in Keras."""
    layer = layers.BatchNormalization(beta_initializer="ones").init((3,))
    assert (layer(np.full((1, 3), 7, "float32"), training=True) == 1).all()
    assert (layer.backward(np.ones((1, 3), "float32")) == 0).all()


@pytest.mark.parametrize(
    ("arguments", "shape", "text"),
    [
        (
            {"axis": 0},
            (2, 3),
            r"axis=0 got samples of shape \(2, 3\); axes are counted with the batch as 0: .* 1 \.\.\. 2",
        ),
        ({"axis": 3}, (2, 3), "axis=3 got samples of shape"),
        ({"axis": [1]}, (2, 3), r"axis=\[1\] got samples of shape"),
        ({}, (None,), r"batch_normalization: .*fixed number of channels along axis=-1, got samples of shape \(None,\)"),
        ({"axis": 1}, (None, 3), "fixed number of channels along axis=1"),
        ({}, (), r"a single number has none: pass x\.reshape\(-1, 1\)"),
        ({"momentum": 1.5}, (3,), "momentum in 0 ... 1, got 1.5"),
        ({"epsilon": -1}, (3,), "epsilon of at least 0, got -1"),
    ],
)
def test_errors(arguments, shape, text):
    with pytest.raises(ValueError, match=text):
        layers.BatchNormalization(**arguments).init(shape)
