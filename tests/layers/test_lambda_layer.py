import copy

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers, testing


def scaled(x, factor=2.0):
    return x**2 * x.dtype.type(factor)


def scaled_gradient(x, dy, factor=2.0):
    return 2 * x * dy * x.dtype.type(factor)


class Scaled(layers.Lambda):
    """A Lambda with its functions inside, so that its configuration is plain."""

    def __init__(self, **base):
        super().__init__(scaled, gradient=scaled_gradient, arguments={"factor": 3.0}, **base)

    def get_config(self):
        return {"name": self.name, "trainable": self.trainable}


class Ends(layers.Lambda):
    """Another shape, a result that is not contiguous, an axis of any length."""

    def __init__(self, **base):
        def gradient(x, dy):
            dx = np.zeros_like(x)
            dx[:, :, 0], dx[:, :, -1] = dy[:, 0], dy[:, 1]
            return dx

        super().__init__(lambda x: x[:, :, [0, -1]].transpose(0, 2, 1), (2, None), gradient=gradient, **base)

    def get_config(self):
        return {"name": self.name, "trainable": self.trainable}


@pytest.mark.parametrize(("layer", "shape"), [(Scaled(), (5,)), (Scaled(), (2, 3)), (Ends(), (None, 4))])
def test_contract(layer, shape):
    testing.check_layer(layer, shape, strict=False)


def test_copies_and_pickles(rng):
    layer = layers.Lambda(scaled, gradient=scaled_gradient, arguments={"factor": 0.5}).init((3,))
    x = rng.normal(size=(2, 3)).astype("float32")
    for other in (copy.deepcopy(layer), layers.Lambda.from_config(layer.get_config()).init((3,))):
        np.testing.assert_array_equal(other(x), layer(x))
    assert layer.compute_mask(x) is None
    assert layers.Lambda(scaled, mask=lambda x, mask: x > 0).compute_mask(x).shape == x.shape


def test_output_shapes():
    assert layers.Lambda(lambda x: x[:, None]).init((3,)).output_shape == (1, 3)
    assert layers.Lambda(lambda x: x[:, None], output_shape=lambda shape: (1, *shape)).init((3,)).output_shape == (1, 3)
    assert layers.Lambda(lambda x: x.sum(1, keepdims=True), output_shape=1).init((3,)).output_shape == (1,)
    with pytest.raises(ValueError, match=r"lambda: the function failed on ones of shape \(2, 3\): .*output_shape="):
        layers.Lambda(lambda x: x.reshape(7, 7)).init((3,))
    with pytest.raises(ValueError, match="an axis of any length; say what the function makes of them"):
        layers.Lambda(scaled).init((None, 3))


def test_in_a_model(tmp_path, rng):
    x, y = rng.normal(size=(16, 3)), rng.normal(size=(16, 1))
    model = Sequential([layers.Dense(4), layers.Lambda(scaled, gradient=scaled_gradient), layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    assert model.gradient_check(x, y).ok
    with pytest.raises(TypeError, match=r"not <function scaled.*a Lambda a layer class with forward and backward"):
        model.save(tmp_path / "m.npdl")
    assert not (tmp_path / "m.npdl").exists()
    model.save_weights(tmp_path / "w.safetensors")
    again = npdl.clone_model(model)
    again.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_wrong_functions():
    with pytest.raises(TypeError, match=r"Lambda needs function to be a function, got function=3; pass e.g. Lambda\("):
        layers.Lambda(3)
    with pytest.raises(TypeError, match="Lambda needs gradient to be a function, got gradient='x'"):
        layers.Lambda(scaled, gradient="x")
    x = np.ones((2, 3), "float32")
    layer = layers.Lambda(scaled).init((3,))
    layer(x, training=True)
    with pytest.raises(ValueError, match=r"lambda: to learn through it, it needs the gradient; pass Lambda\(function"):
        layer.backward(x)
    layer = layers.Lambda(scaled, gradient=lambda x, dy: 1.0).init((3,))
    layer(x, training=True)
    with pytest.raises(TypeError, match=r"its gradient returned float, expected an array of shape \(2, 3\)"):
        layer.backward(x)
    with pytest.raises(
        ValueError, match=r"its function returned shape \(2,\) for x of shape \(2, 3\), expected \(2, 3"
    ):
        layers.Lambda(lambda x: x.sum(1), output_shape=(3,)).init((3,))(x)
    with pytest.raises(TypeError, match=r"its function returned float64, x is float32; return result.astype\(x.dtype"):
        layers.Lambda(lambda x: x * np.ones(3)).init((3,))(x)


def test_a_wrong_gradient_is_found(rng):
    layer = layers.Lambda(scaled, gradient=lambda x, dy: x * dy).init((3,), dtype="float64")
    assert not testing.gradient_check(layer, rng.normal(size=(2, 3))).ok


def test_what_keras_writes():
    written = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    with pytest.raises(ValueError, match=r"Lambda.from_config: function is a Python function, .*set config\['function"):
        layers.Lambda.from_config({"name": "lambda", "function": written, "arguments": {}})
