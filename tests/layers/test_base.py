import copy
import pickle

import numpy as np
import pytest

from npdl import activations, devices, initializers, layers
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


def test_where_a_result_may_be_written_over_dy():
    layer, dy = built(), np.zeros((4, 2), "float32")
    assert layer.inplace("dz", dy) is not dy
    with devices.use_workspace(devices.Workspace(layer.device)):
        assert layer.inplace("dz", dy) is not dy
        layer.may_overwrite = True
        assert layer.inplace("dz", dy) is dy
    assert layer.inplace("dz", dy) is not dy


def test_a_layer_inside_a_layer_leaves_dy_alone(around, rng):
    layer = around(3, "tanh").init((3,), dtype="float64", seed=0)
    layer.may_overwrite = True  # as in a model: not what is inside
    x, dy = rng.normal(size=(2, 4, 3))
    layer.forward(x, True)
    by_hand = layer.backward(dy.copy())
    with devices.use_workspace(devices.Workspace(layer.device)):
        layer.forward(x, True)
        np.testing.assert_array_equal(layer.backward(dy.copy()), by_hand)


def test_a_copy_has_the_weights_of_the_layers_inside(around):
    layer = around(3).init((3,), seed=0)
    layer.inner.params["bias"][...] = [1, 2, 3]
    layer.inner.step = 7
    other = copy.deepcopy(layer)
    np.testing.assert_array_equal(other.inner.params["bias"], [1, 2, 3])
    assert other.inner.step == 7 and not np.shares_memory(other.inner.params["bias"], layer.inner.params["bias"])


def test_copies_of_a_layer_without_weights_of_its_own_for_any_dtype(around):
    layer = around(3).init((3,), seed=0)
    twin = layer.store.twin("float64", layer.store.device)
    outer, inner = twin.layers
    assert outer.inner is inner and inner.params["kernel"].dtype == np.float64
    assert layer.inner.params["kernel"].dtype == np.float32


class Cubic(activations.Activation):
    name = "cubic"

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, z):
        return self.factor * z**3


class Ramp(initializers.Initializer):
    def __init__(self, top):
        self.top = top

    def __call__(self, shape, key):
        return np.linspace(0, self.top, int(np.prod(shape))).reshape(shape)


def test_copies_of_a_layer_with_objects_of_your_own():
    layer = layers.Dense(2, activation=Cubic(2.0), kernel_initializer=Ramp(5)).init((3,), seed=0)
    layer.params["bias"][...] = [1, 2]
    for other in (copy.deepcopy(layer), copy.copy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.activation.factor == 2 and other.kernel_initializer.top == 5
        x = np.ones((1, 3), "float32")
        np.testing.assert_array_equal(other(x), layer(x))
    unbuilt = copy.deepcopy(layers.Dense(2, activation=Cubic(2.0)))
    assert unbuilt.store is None and unbuilt.activation.factor == 2


class Unusual(layers.Layer):
    def __init__(s, a, **options):
        super().__init__(**options)
        s.a = a


class Careless(layers.Layer):
    def __init__(self, a):
        super().__init__()


def test_configurations_of_layers_of_your_own():
    config = Unusual(3, name="mine").get_config()
    assert config == {"name": "mine", "trainable": True, "a": 3}
    assert Unusual.from_config(config).a == 3
    with pytest.raises(AttributeError, match=r"Careless must keep its argument: write self\.a = a"):
        Careless(3).get_config()
