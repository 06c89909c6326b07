import numpy as np
import pytest

from npdl import Sequential, layers, testing

LAYERS = (layers.LayerNormalization, layers.RMSNormalization, layers.UnitNormalization)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({}, (5,)),
        ({"center": False}, (3, 17)),
        ({"scale": False, "epsilon": 0.1}, (4, 3, 2)),
        ({"center": False, "scale": False}, (None, 7)),
        ({"axis": [2, 3], "beta_initializer": "ones"}, (2, 3, 5)),
        ({"axis": (1, -1)}, (3, 4)),
        ({"axis": 1}, (4, 3)),
        ({"axis": [1, 3], "center": False}, (3, None, 2)),
    ],
)
def test_contract(arguments, shape):
    testing.check_layer(layers.LayerNormalization(**arguments), shape)


@pytest.mark.parametrize(
    ("axis", "shape"), [(-1, (5,)), (2, (3, 17)), ([1, 2, 3], (2, 3, 4)), (1, (4, 3)), ([3, 1], (3, 4, 2))]
)
@pytest.mark.parametrize("kind", LAYERS[1:])
def test_contract_of_the_others(kind, axis, shape):
    testing.check_layer(kind(axis=axis), shape)


def test_a_row_gets_mean_0_and_variance_1(rng, device):
    layer = layers.LayerNormalization(axis=[1, 2]).init((4, 30), dtype="float64", device=device)
    y = layer(5 + 3 * rng.normal(size=(6, 4, 30)))
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var((1, 2)), 1, atol=1e-3)


def test_a_row_gets_mean_square_or_length_1(rng, device):
    x = 5 + 3 * rng.normal(size=(6, 4, 30))
    y = layers.RMSNormalization().init((4, 30), dtype="float64", device=device)(x)
    np.testing.assert_allclose((y**2).mean(-1), 1, atol=1e-6)
    y = layers.UnitNormalization().init((4, 30), dtype="float64", device=device)(x)
    np.testing.assert_allclose((y**2).sum(-1), 1, rtol=1e-13)
    np.testing.assert_allclose(y / x, np.broadcast_to(y[..., :1] / x[..., :1], x.shape), rtol=1e-12)


def test_training_and_inference_are_the_same(rng):
    x = rng.normal(size=(6, 30)).astype("float32")
    for kind in LAYERS:
        layer = kind().init((30,))
        np.testing.assert_array_equal(layer(x, training=True), layer(x))


def test_weights_are_keras():
    layer = layers.LayerNormalization(axis=[2, 1], gamma_initializer="ones").init((4, 6))
    assert {name: w.shape for name, w in layer.params.items()} == {"gamma": (6, 4), "beta": (6, 4)}
    assert [w.ravel()[0] for w in layer.get_weights()] == [1, 0]
    assert [*layers.RMSNormalization().init((6,)).params] == ["scale"]
    assert layers.UnitNormalization().init((6,)).params == {}


def test_configuration():
    config = layers.LayerNormalization(axis=(1, 2), epsilon=0.5, center=False).get_config()
    assert config["axis"] == [1, 2] and config["epsilon"] == 0.5 and config["center"] is False
    assert layers.LayerNormalization.from_config(config).get_config() == config
    assert layers.RMSNormalization().get_config()["epsilon"] == 1e-6
    assert layers.LayerNormalization().get_config()["epsilon"] == 1e-3


def test_in_a_model(rng):
    x, y = rng.normal(size=(64, 6)).astype("float32"), rng.integers(0, 3, 64)
    model = Sequential(
        [layers.Dense(8), layers.LayerNormalization(), layers.ReLU(), layers.RMSNormalization(), layers.Dense(3)],
        seed=0,
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    history = model.fit(x, y, epochs=30, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("axis", ["last", 1.5, None, [], [1, "a"], True])
def test_an_axis_is_a_number(kind, axis):
    with pytest.raises(TypeError, match=rf"{kind.__name__} needs axis to be a whole number or a list.*pass e\.g\. "):
        kind(axis=axis)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("axis", "shape", "text"),
    [
        (3, (4, 5), r"with axis=3 got samples of shape \(4, 5\); .*batch as 0: .* each of 1 \.\.\. 2 at most once"),
        (0, (4, 5), "axes are counted with the batch as 0"),
        (-3, (4, 5), "pass some of the sample's own"),
        ([1, -2], (4, 5), "at most once"),
        (-1, (), r"got samples of shape \(\); .*of which a single number has none"),
        (-1, (4, None), r"needs fixed lengths along it, got samples of shape \(4, None\); .*layers\.Input\("),
        ([1, 2], (4, 0), "needs fixed lengths"),
    ],
)
def test_axes_that_do_not_fit(kind, axis, shape, text):
    with pytest.raises(ValueError, match=text):
        kind(axis=axis).init(shape)


@pytest.mark.parametrize("kind", LAYERS[:2])
@pytest.mark.parametrize("epsilon", [-1, "small", None, float("nan"), float("inf")])
def test_epsilons(kind, epsilon):
    with pytest.raises(ValueError, match=rf"{kind.__name__} needs epsilon of at least 0, got .*pass e\.g\. "):
        kind(epsilon=epsilon)
