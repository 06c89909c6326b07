import numpy as np
import pytest

from npdl import Sequential, layers, testing


@pytest.mark.parametrize(
    ("shared", "shape"),
    [
        (None, (1,)), (None, (17,)), (1, (5, 3)), ([1, 2], (4, 3, 5)), ([2], (4, 3, 5)), ([-1], (4, 3, 5)),
        ([1, 2, 3], (4, 3, 5)), ([1], (None, 7)), ([1, 3], (2, 3, 4, 5)),
    ],
)  # fmt: skip
def test_contract(shared, shape):
    testing.check_layer(layers.PReLU("normal", shared_axes=shared), shape)


def test_values_and_keras_config(device):
    config = {
        "name": "p", "trainable": True, "dtype": "float32", "alpha_regularizer": None, "alpha_constraint": None,
        "alpha_initializer": {"module": "keras.initializers", "class_name": "Constant", "config": {"value": 0.25},
                              "registered_name": None},
        "shared_axes": [1, 2],
    }  # fmt: skip
    layer = layers.PReLU.from_config(config).init((2, 2, 3), dtype="float64", device=device)
    assert layer.params["alpha"].shape == (1, 1, 3)
    x = np.linspace(-2, 3, 12).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(layer(x), np.where(x > 0, x, 0.25 * x))


def test_empty_batch_and_learning():
    model = Sequential([layers.Dense(8), layers.PReLU(), layers.Dense(1)], seed=0)
    x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
    model.compile("adam", "mse")
    model.fit(x, abs(x), epochs=3, verbose=0)
    assert np.abs(model.layers[1].params["alpha"]).min() > 0
    assert model.layers[1].forward(np.empty((0, 8), "float32"), True).shape == (0, 8)
    assert model.layers[1].backward(np.empty((0, 8), "float32")).shape == (0, 8)
    assert not model.layers[1].grads["alpha"].any()


@pytest.mark.parametrize(
    ("shared", "shape", "text"),
    [
        ([0], (4,), r"p_re_lu: samples of shape \(4,\) have no axis 0 to share; .*: pass some of 1 ... 1"),
        ([2], (4,), "have no axis 2 to share"),
        ([1.5], (4,), "have no axis 1.5 to share"),
        (
            None,
            (None, 4),
            r"have an axis of free length, along which there can be no slopes; share it: shared_axes=\[1\]",
        ),
    ],
)
def test_errors(shared, shape, text):
    with pytest.raises(ValueError, match=text):
        layers.PReLU(shared_axes=shared).init(shape)
