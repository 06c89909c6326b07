import numpy as np
import pytest

from npdl import Sequential, activations, layers, testing
from npdl.activations.registry import _by_name

LAYERS = [
    layers.Activation("linear"), layers.Activation("relu"), layers.Activation("gelu"), layers.Activation("softmax"),
    layers.ReLU(), layers.ReLU(6.0), layers.ReLU(negative_slope=0.1), layers.ReLU(2.0, 0.25, 0.5),
    layers.LeakyReLU(), layers.LeakyReLU(0.0), layers.ELU(), layers.ELU(0.5), layers.GELU(),
    layers.GELU(approximate=True), layers.Sigmoid(), layers.Tanh(), layers.Softmax(), layers.ReLU6(), layers.SELU(),
    layers.CELU(0.5), layers.SiLU(), layers.Mish(), layers.Softplus(), layers.Softsign(), layers.LogSigmoid(),
    layers.HardSigmoid(), layers.HardSiLU(), layers.HardTanh(), layers.HardShrink(0.3), layers.SoftShrink(0.3),
    layers.TanhShrink(), layers.Threshold(0.1, 0.5), layers.LogSoftmax(), layers.Sparsemax(),
    layers.Activation("squareplus"), layers.Activation("sparse_plus"), layers.Activation("sparse_sigmoid"),
]  # fmt: skip
EACH = pytest.mark.parametrize("layer", LAYERS, ids=repr)


@EACH
@pytest.mark.parametrize("shape", [(1,), (17,), (3, 2, 5)])
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2, -3])
def test_softmax_along_any_axis_of_the_samples(axis):
    testing.check_layer(layers.Softmax(axis), (3, 2, 5))


@pytest.mark.parametrize("kind", [layers.LogSoftmax, layers.Sparsemax])
def test_other_functions_of_rows_along_any_axis(kind):
    for axis in (1, -2):
        testing.check_layer(kind(axis), (3, 2, 5))


@pytest.mark.parametrize("name", [name for name in _by_name if name != "exponential"])
def test_every_name_as_the_end_of_a_layer(name):
    """In the epilogue of the matrix product, and with a file's description read back."""
    layer = layers.Dense(5, activation=name)
    testing.check_layer(layer, (4,))
    assert activations.get(activations.serialize(layer.activation)) == layer.activation


def test_aliases_and_objects():
    assert activations.get("swish") is activations.silu and activations.get("hard_swish") is activations.hard_silu
    for own in (
        activations.CELU(0.5),
        activations.Threshold(0.5, -1.0),
        activations.Squareplus(2),
        activations.ReLU6(),
    ):
        again = activations.get(activations.serialize(own))
        assert again == own and repr(again) == repr(own)
    testing.check_layer(layers.Conv2D(3, 3, activation=activations.Threshold(0.5, -1.0)), (5, 5, 2))
    with pytest.raises(TypeError, match="not elementwise"):
        activations.sparsemax.derivative(np.ones(3))


class Cube(activations.Activation):
    """y = z³, for the tests: an activation of a user's own."""

    name, needs = "cube", "z"

    def __call__(self, z):
        return z * z * z

    def derivative(self, z):
        return 3 * z * z


def test_an_activation_of_your_own(device, rng):
    x = rng.normal(size=(4, 3))
    for layer in (layers.Activation(Cube()), layers.Dense(2, activation=Cube())):
        testing.gradient_check(layer.init((3,), seed=0, device=device), x).raise_if_wrong()


@EACH
def test_large_numbers_are_finite(layer, device):
    layer = type(layer).from_config(layer.get_config()).init((7,), device=device)
    x = np.array([[-1e4, -100, -30, 0, 30, 100, 1e4], [1e4] * 7, [-1e4] * 7], "float32")
    y = layer(x, training=True)
    dx = layer.backward(np.ones_like(y))
    assert np.isfinite(y).all() and np.isfinite(dx).all()


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.ReLU(), [0, 0, 0, 1, 3]),
        (layers.ReLU(2.0), [0, 0, 0, 1, 2]),
        (layers.ReLU(negative_slope=0.5), [-1, -0.5, 0, 1, 3]),
        (layers.ReLU(threshold=1.5), [0, 0, 0, 0, 3]),
        (layers.ReLU(2.5, 0.5, 1.0), [-1.5, -1, -0.5, 1, 2.5]),
        (layers.LeakyReLU(), [-0.6, -0.3, 0, 1, 3]),
        (layers.ELU(2.0), [2 * np.expm1(-2), 2 * np.expm1(-1), 0, 1, 3]),
        (layers.Tanh(), np.tanh([-2, -1, 0, 1, 3])),
        (layers.Sigmoid(), 1 / (1 + np.exp([2.0, 1, 0, -1, -3]))),
    ],
    ids=repr,
)
def test_values_are_keras(layer, expected, device):
    layer = type(layer).from_config(layer.get_config()).init((5,), dtype="float64", device=device)
    np.testing.assert_allclose(layer(np.array([[-2.0, -1, 0, 1, 3]]))[0], expected, rtol=1e-14, atol=1e-15)


def test_the_slope_at_a_kink_is_zero(device):
    layer = layers.ReLU().init((1,), device=device)
    layer(np.zeros((1, 1), "float32"), training=True)
    assert layer.backward(np.ones((1, 1), "float32")) == 0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: layers.ReLU(-1.0),
            r"ReLU needs max_value to be a number of at least 0, got -1.0; pass e.g. ReLU\(6.0\)",
        ),
        (lambda: layers.ReLU(negative_slope=-0.1), "ReLU needs negative_slope .* got -0.1"),
        (lambda: layers.ReLU(threshold=None), "ReLU needs threshold .* got None"),
        (lambda: layers.LeakyReLU(-1), "negative_slope must be at least 0, got -1"),
        (lambda: layers.ELU(-1), "alpha must be at least 0, got -1"),
        (lambda: layers.Softmax(0), "Softmax needs axis .* got 0"),
        (lambda: layers.Softmax(1.5), "Softmax needs axis .* got 1.5"),
        (lambda: layers.Softmax(2).init((4,)), r"softmax: samples of shape \(4,\) have no axis=2; use axis=-1"),
        (lambda: layers.Softmax(-2).init((4,)), "have no axis=-2"),
        (lambda: layers.CELU(0), r"alpha must be above 0, got 0; pass e.g. CELU\(1.0\)"),
        (lambda: layers.HardShrink(-1), r"threshold must be at least 0, got -1; pass e.g. HardShrink\(0.5\)"),
        (lambda: layers.SoftShrink(-1), r"threshold must be at least 0, got -1; pass e.g. SoftShrink\(0.5\)"),
        (lambda: activations.Squareplus(0), "b must be above 0, got 0"),
        (lambda: layers.Sparsemax(0), r"Sparsemax needs axis .* got 0; pass e.g. Sparsemax\(axis=-1\)"),
        (lambda: layers.Dense(4, activation="glu"), r"activation= keeps their number; add layers.GLU\(\) instead"),
        (lambda: layers.Dense(4, activation=activations.glu), "glu makes half as many numbers"),
        (lambda: layers.Activation("threshold"), r"threshold needs two numbers; pass e.g. activations.Threshold\(1.0"),
        (lambda: layers.Activation("rellu"), "unknown activation 'rellu'; did you mean '(relu|elu|celu|selu)'"),
    ],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()


class LeCunTanh(activations.Tanh):
    """y = 1.7159 tanh(⅔ z)"""

    def __call__(self, z):
        return (1.7159 * np.tanh(2 / 3 * z)).astype(z.dtype)

    def derivative(self, y):
        return (2 / 3 * (1.7159 - y * y / 1.7159)).astype(y.dtype)


class Shifted(activations.ReLU):
    """y = max(z, 0) + 1"""

    def __call__(self, z):
        return super().__call__(z) + 1

    def derivative(self, y):
        return (y > 1).astype(y.dtype)


class Half:
    def __call__(self, z):
        return super().__call__(z) / 2

    def derivative(self, z):
        return super().derivative(z) / 2


class HalfGELU(Half, activations.GELU):
    pass


class Triple(activations.Linear):
    def __call__(self, z):
        return 3 * z

    def derivative(self, y):
        return np.full_like(y, 3)


class Warm(activations.Softmax):
    """softmax(z/2)"""

    def __call__(self, z):
        return super().__call__(z / 2)

    def gradient(self, dy, y):
        return super().gradient(dy, y) / 2


@pytest.mark.parametrize(
    "own", [LeCunTanh(), Shifted(), HalfGELU(), HalfGELU(approximate=True), Triple(), Warm()], ids=repr
)
def test_a_subclass_of_a_built_in_function_is_computed_by_its_own_formula(own, rng):
    x = rng.normal(size=(6, 4))
    for layer in (layers.Activation(own), layers.Dense(3, activation=own)):
        layer.init((4,), dtype="float64", seed=0)
        z = x if isinstance(layer, layers.Activation) else x @ layer.params["kernel"]
        np.testing.assert_allclose(layer(x), own(z), rtol=1e-12)
        testing.gradient_check(layer, x).raise_if_wrong()
    model = Sequential([layers.Dense(4), layers.Activation(own)], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = x.astype("float32")
    model.fit(x, np.arange(6) % 4, verbose=0)
    np.testing.assert_allclose(model.predict(x), own(model.layers[0](x)), rtol=1e-5)
    if own.name == "softmax":  # its probabilities are what the loss has seen, not logits without the halving
        p = model.predict(x)[np.arange(6), np.arange(6) % 4]
        assert model.evaluate(x, np.arange(6) % 4, verbose=0)[0] == pytest.approx(-np.log(p).mean(), rel=1e-5)


class Renamed(activations.Tanh):
    name = "renamed"


def test_a_subclass_without_a_formula_stays_compiled():
    assert Renamed().code == activations.tanh.code


@pytest.mark.parametrize(("own", "negative"), [(activations.ReLU(), False), (activations.ReLU(max_value=6.0), True)])
def test_the_sign_of_zero(own, negative):
    layer = layers.Activation(own).init((1,), dtype="float64")
    assert np.signbit(layer(np.array([[-0.0]])))[0, 0] == negative
