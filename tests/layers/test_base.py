import numpy as np
import pytest

from npdl import layers
from npdl.names import snake_case


def built():
    return layers.Dense(2).init(input_shape=(3,), seed=0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Conv2D", "conv2d"),
        ("MaxPooling2D", "max_pooling2d"),
        ("BatchNormalization", "batch_normalization"),
        ("ELU", "elu"),
    ],
)
def test_names_are_keras(name, expected):
    assert snake_case(name) == expected
    assert layers.Dense(2).name == "dense"
    assert layers.Dense(2, name="top").name == "top"


def test_backward_before_forward():
    layer = built()
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"dense: call forward\(x, training=True\) before backward"):
            layer.backward(np.zeros((1, 2), "float32"))
        layer(np.zeros((1, 3), "float32"))


def test_call_checks_its_input():
    layer = built()
    with pytest.raises(ValueError, match=r"dense \(Dense\) was built for inputs of shape \(N, 3\), got \(N, 2\)"):
        layer(np.zeros((4, 2), "float32"))
    with pytest.raises(TypeError, match=r"dense works in float32, got float64; pass x.astype\('float32'\)"):
        layer(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"pass np.ascontiguousarray\(x\)"):
        layer(np.zeros((3, 4), "float32").T)
    with pytest.raises(RuntimeError, match=r"dense has no weights yet; call layer.init\(input_shape\)"):
        layers.Dense(2)(np.zeros((4, 3), "float32"))


def test_a_layer_is_built_once():
    with pytest.raises(ValueError, match=r"dense was built for samples of shape \(3,\), got \(4,\)"):
        built().init(input_shape=(4,))


@pytest.mark.parametrize("missing", ["forward", "backward"])
def test_a_subclass_without_forward_or_backward(missing):
    class Half(layers.Layer):
        pass

    layer = Half().init(input_shape=(3,))
    with pytest.raises(NotImplementedError, match=f"Half needs {missing}\\(self"):
        getattr(layer, missing)(np.zeros((1, 3), "float32"))


def test_the_same_seed_gives_the_same_weights():
    weights = [layers.Dense(4).init((5,), seed=seed).get_weights()[0] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_repr_can_be_pasted_back():
    for layer in (layers.Dense(3, activation="relu"), layers.Conv2D(4, 3), layers.Dropout(0.5), layers.ReLU(6.0)):
        again = eval(repr(layer), vars(layers))
        assert again.get_config() == layer.get_config()


def test_what_the_package_exports():
    for name in layers.__all__:
        assert getattr(layers, name).__doc__
