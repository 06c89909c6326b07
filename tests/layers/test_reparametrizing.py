"""Layers around a layer whose kernel they make anew: the contract, the formula, copies, files, wrong calls."""

import copy
import threading

import numpy as np
import pytest

import npdl
from npdl import layers, testing

CASES = [
    (layers.Dense(3, activation="relu"), (4,), None),
    (layers.Conv2D(4, 2, strides=2, groups=2), (5, 4, 4), None),
    (layers.Embedding(7, 4), (5,), 7),
]


@pytest.mark.parametrize("layer, shape, integers", CASES)
def test_spectral_contract(layer, shape, integers):
    """With so many iterations u is the singular vector, where the gradient is that of the whole function."""
    layer = type(layer).from_config(layer.get_config())
    testing.check_layer(layers.SpectralNormalization(layer, power_iterations=60), shape, integers=integers)


@pytest.mark.parametrize(
    "layer, shape, integers, axis",
    [(*CASES[0], None), (*CASES[0], -1), (*CASES[1], 2), (*CASES[2], 0)],
)
def test_weight_contract(layer, shape, integers, axis):
    layer = type(layer).from_config(layer.get_config())
    testing.check_layer(layers.WeightNormalization(layer, axis), shape, integers=integers)


@pytest.mark.parametrize("axis", [-1, 2, 0, None])
def test_the_kernel_is_at_first_the_layers_own(axis, rng):
    layer = layers.WeightNormalization(layers.Conv2D(4, 3), axis).init((5, 5, 2), seed=3, dtype="float64")
    g, V, b = layer.get_weights()
    own = layers.Conv2D(4, 3).init((5, 5, 2), seed=0, dtype="float64")
    own.set_weights([V, b])
    x = rng.normal(size=(2, 5, 5, 2))
    assert np.allclose(layer(x), own(x), rtol=1e-12) and g.size == (1 if axis is None else V.shape[axis])
    layer.set_weights([g / 2, 5 * V, b])  # the length of V does not matter
    assert np.allclose(layer(x), own(x) / 2, rtol=1e-12)


def test_spectral_formula(rng):
    layer = layers.SpectralNormalization(layers.Dense(3), power_iterations=2).init((4,), dtype="float64", seed=1)
    u, W, _ = layer.get_weights()
    assert u.shape == (1, 3) and 0 < abs(u).max() <= 0.04 + 1e-9
    x, first = rng.normal(size=(5, 4)), u
    for _ in range(2):
        v = u @ W.T / np.linalg.norm(u @ W.T)
        u = v @ W / np.linalg.norm(v @ W)
    assert np.allclose(layer(x, training=True), x @ W / (v @ W @ u.T), rtol=1e-13)
    assert np.allclose(layer.get_weights()[0], u, rtol=1e-13) and not np.allclose(first, u)
    assert np.array_equal(layer.get_weights()[1], W)
    y = x @ W / np.linalg.norm(u @ W.T)  # outside of training u stays
    assert np.allclose(layer(x), y, rtol=1e-13) and np.allclose(layer.get_weights()[0], u, rtol=1e-13)
    for _ in range(60):
        layer(x, training=True)
    assert np.linalg.norm(layer(np.eye(4)) - layer.layer[0].params["bias"], 2) == pytest.approx(1, rel=1e-12)


def test_a_kernel_of_zeros():
    layer = layers.SpectralNormalization(layers.Dense(2, kernel_initializer="zeros")).init((3,), seed=0)
    before = layer.get_weights()[0]
    assert not layer.forward(np.ones((2, 3), "float32"), True).any()
    layer.backward(np.ones((2, 2), "float32"))
    assert np.array_equal(layer.get_weights()[0], before) and (layer.layer[0].grads["kernel"] == 2).all()


def test_in_a_model(rng, tmp_path):
    """Trained, copied, saved, from Keras' configuration; a frozen call keeps u; threads share it."""
    inner = layers.Dense(8, activation="relu", kernel_regularizer="l2", activity_regularizer="l2")
    last = layers.WeightNormalization(layers.Dense(2))
    model = npdl.Sequential([layers.SpectralNormalization(inner), last], seed=0)
    x, y = rng.normal(size=(64, 5)).astype("float32"), rng.integers(0, 2, 64)
    model.compile("adam", npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=2, batch_size=16, verbose=0)
    expected = model.predict(x)
    model.save(tmp_path / "m.npdl")
    for other in (copy.deepcopy(model), npdl.load_model(tmp_path / "m.npdl")):
        assert np.array_equal(other.predict(x), expected)
    clone = npdl.clone_model(model)
    assert [w.shape for w in clone.get_weights()] == [w.shape for w in model.get_weights()]
    found = []
    threads = [threading.Thread(target=lambda: found.append(model.predict(x, batch_size=4))) for _ in range(3)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert all(np.array_equal(one, found[0]) for one in found) and np.allclose(found[0], expected, atol=1e-6)
    node = layers.Input((5,))
    wrapper = layers.SpectralNormalization(layers.Dense(3))
    fixed = npdl.Model(node, wrapper(node, training=False), seed=0)
    fixed.compile("sgd", "mse")
    before = wrapper.get_weights()
    fixed.fit(x, np.zeros((64, 3), "float32"), epochs=1, verbose=0)
    after = wrapper.get_weights()
    assert np.array_equal(before[0], after[0]) and not np.array_equal(before[1], after[1])


def test_config_of_keras():
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "dense", "units": 3}}
    config = {"name": "sn", "trainable": True, "dtype": "float32", "layer": dense, "power_iterations": 4}
    layer = layers.SpectralNormalization.from_config(config)
    assert layer.power_iterations == 4 and layer.layer[0].units == 3 and layer.name == "sn"


def test_a_mask_goes_through():
    layer = layers.SpectralNormalization(layers.Embedding(5, 3, mask_zero=True))
    model = npdl.Sequential([layer, layers.GlobalAveragePooling1D()], seed=0)
    x = np.array([[1, 2, 0], [3, 0, 0]])
    assert np.array_equal(model.predict(x)[1], model.predict(np.array([[3, 0, 0]]))[0])
    assert np.allclose(model.predict(x)[1], layer(x)[1, 0], rtol=1e-6)


def test_wrong_calls():
    with pytest.raises(ValueError, match=r"needs power_iterations to be a whole number of at least 1, got .*=0"):
        layers.SpectralNormalization(layers.Dense(3), power_iterations=0)
    with pytest.raises(TypeError, match="SpectralNormalization holds npdl layers, got 3"):
        layers.SpectralNormalization(3)
    with pytest.raises(ValueError, match=r"axis must be one of a kernel of shape \(2, 3\) or None, got axis=2"):
        layers.WeightNormalization(layers.Dense(3), axis=2).init((2,))
    wrapper = layers.SpectralNormalization(layers.Flatten())
    with pytest.raises(ValueError, match=r"needs a layer with a weight called kernel or embeddings, got Flatten\("):
        wrapper.init((2, 3))
