import numpy as np
import pytest

from npdl import activations, devices, layers, testing


def test_sums_and_gradients(rng, device):
    layer = layers.Add().init(((2, 3), (2, 3), (2, 3)), dtype="float64", device=device)
    x = list(rng.normal(size=(3, 4, 2, 3)))
    dy = rng.normal(size=(4, 2, 3))
    np.testing.assert_array_equal(layer(x, training=True), x[0] + x[1] + x[2])
    dx = layer.backward(dy)
    assert isinstance(dx, tuple) and len(dx) == 3
    for one in dx:
        np.testing.assert_array_equal(one, dy)
    assert layer.output_shape == (2, 3) and layer.flops() == 12


@pytest.mark.parametrize("number", [2, 3])
def test_a_branch_may_overwrite_its_gradient(number, rng):
    layer = layers.Add().init(((5,),) * number, seed=0)
    layer.may_overwrite = True
    x, dy = rng.normal(size=(number, 4, 5)).astype("float32"), rng.normal(size=(4, 5)).astype("float32")
    with devices.use_workspace(devices.Workspace(layer.device)):
        layer.forward(tuple(x), True)
        dx = layer.backward(dy.copy())
        for i, one in enumerate(dx):
            np.testing.assert_array_equal(one, dy)
            one[...] = i
    layer.forward(tuple(x), True)
    given = dy.copy()
    for one in layer.backward(given):
        assert not np.shares_memory(one, given)


@pytest.mark.parametrize("number", [2, 4])
def test_a_relu_handed_to_it(number, rng, device):
    """As the plan of a model does it: on a twin, whose activation it sets."""
    layer = layers.Add().init(((5,),) * number, dtype="float64", device=device)
    layer.activation = activations.relu
    x, dy = rng.normal(size=(number, 4, 5)), rng.normal(size=(4, 5))
    y = layer.forward(tuple(x), True)
    np.testing.assert_allclose(y, np.maximum(sum(x), 0), rtol=1e-12)
    for one in layer.backward(dy):
        np.testing.assert_array_equal(one, np.where(y > 0, dy, 0))


class Twice(layers.Layer):
    """y = Ax + Bx + x, for the tests: Add in the hands of another layer."""

    def __init__(self, units, **base):
        super().__init__(**base)
        self.units = units
        self.parts = [layers.Dense(units, name="a"), layers.Dense(units, name="b"), layers.Add()]

    def build(self, input_shape):
        shapes = [part.build_once(input_shape) for part in self.parts[:2]]
        return self.parts[2].build_once((*shapes, input_shape))

    def walk(self):
        yield self
        for part in self.parts:
            yield from part.walk()

    def forward(self, x, training=False):
        branches = [part.forward(x, training) for part in self.parts[:2]]
        return self.parts[2].forward((*branches, x), training)

    def backward(self, dy):
        da, db, dx = self.parts[2].backward(dy)
        self.k.add(self.parts[0].backward(da), dx, out=dx)
        self.k.add(self.parts[1].backward(db), dx, out=dx)
        return dx


def test_contract():
    testing.check_layer(Twice(4), (4,))
    testing.check_layer(Twice(4), (3, 4))


def test_configuration():
    layer = layers.Add(name="sum")
    assert layer.get_config() == {"name": "sum", "trainable": True} and repr(layer) == "Add()"
    assert layers.Add.from_config(layer.get_config()).name == "sum"


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((4,), r"Add needs the shapes of two or more inputs, got input_shape=\(4,\)"),
        (((4,),), r"Add needs the shapes of two or more inputs, got input_shape=\(\(4,\),\)"),
        (
            ((4,), (4,), (3,)),
            r"Add takes inputs of one shape, got samples of shapes \(4,\), \(4,\), \(3,\); bring them to one shape",
        ),
    ],
)
def test_shapes_that_cannot_be_added(shape, text):
    with pytest.raises(ValueError, match=text):
        layers.Add().init(shape)


def test_inputs_that_do_not_fit():
    layer, x = layers.Add().init(((4,), (4,))), np.zeros((2, 4), "float32")
    with pytest.raises(ValueError, match="add was built for 2 inputs, got ndarray; pass a tuple of arrays"):
        layer(x)
    with pytest.raises(ValueError, match="add was built for 2 inputs, got 3; pass a tuple of arrays"):
        layer((x, x, x))
    with pytest.raises(ValueError, match=r"was built for inputs of shape \(N, 4\), got \(N, 3\)"):
        layer((x, x[:, :3]))
    with pytest.raises(ValueError, match="add merges inputs of one batch, got 2, 1 samples; pass as many of each"):
        layer((x, x[:1]))
    with pytest.raises(TypeError, match="add works in float32, got float64"):
        layer((x, x.astype("float64")))
    with pytest.raises(RuntimeError, match=r"add: call forward\(x, training=True\) before backward"):
        layer.backward(x)


X = np.array([[[1.0, -2, 3]], [[4, -2, -3]], [[2, 5, -1]]])  # three inputs of one sample
DY = np.array([[10.0, 20, 30]])


@pytest.mark.parametrize(
    ("kind", "y", "dx"),
    [
        (layers.Multiply, [8, 20, 9], [[80, -200, 90], [20, -200, -90], [40, 80, -270]]),
        (layers.Average, [7 / 3, 1 / 3, -1 / 3], [[10 / 3, 20 / 3, 10]] * 3),
        (layers.Maximum, [4, 5, 3], [[0, 0, 30], [10, 0, 0], [0, 20, 0]]),
        (layers.Minimum, [1, -2, -3], [[10, 20, 0], [0, 0, 30], [0, 0, 0]]),  # the first of two that are equal
    ],
)
def test_values_of_three_inputs(kind, y, dx, device):
    layer = kind().init(((3,),) * 3, dtype="float64", device=device)
    np.testing.assert_allclose(layer(tuple(X), training=True), [y])
    np.testing.assert_allclose(np.concatenate(layer.backward(DY)), dx)


def test_subtract_takes_two():
    layer = layers.Subtract().init(((3,), (3,)), dtype="float64")
    np.testing.assert_array_equal(layer((X[0], X[1]), training=True), X[0] - X[1])
    dx = layer.backward(DY)
    np.testing.assert_array_equal(dx[0], DY)
    np.testing.assert_array_equal(dx[1], -DY)
    with pytest.raises(ValueError, match="subtract: Subtract takes two inputs, got 3; merge them in turn"):
        layers.Subtract().init(((3,),) * 3)


def test_concatenate_lays_inputs_side_by_side(rng):
    x = [rng.normal(size=(4, 2, n, 3)) for n in (1, 5, 2)]
    layer = layers.Concatenate(axis=2).init(tuple(one.shape[1:] for one in x), dtype="float64")
    assert layer.output_shape == (2, 8, 3) and layer.flops() == 0
    y = layer(x, training=True)
    np.testing.assert_array_equal(y, np.concatenate(x, axis=2))
    for one, back in zip(x, layer.backward(y), strict=True):
        np.testing.assert_array_equal(back, one)
    assert layers.Concatenate().build(((None, 3), (4, 2))[:1] * 2) == (None, 6)
    assert layers.Concatenate(axis=-2).build(((None, 3), (4, 3))) == (None, 3)


def test_dot_multiplies_axes(rng):
    a, b = rng.normal(size=(4, 5, 3)), rng.normal(size=(4, 3, 2))
    layer = layers.Dot(axes=(2, 1)).init(((5, 3), (3, 2)), dtype="float64")
    np.testing.assert_allclose(layer((a, b)), a @ b)
    assert layer.output_shape == (5, 2) and layer.flops() == 2 * 3 * 10
    a, b = rng.normal(size=(2, 4, 3))
    layer = layers.Dot(1, normalize=True, name="cos").init(((3,), (3,)), dtype="float64")
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(layer((a, b)), ((a * b).sum(1) / length)[:, None])
    assert [part.name for part in layer.walk()] == ["cos", "cos/unit_normalization", "cos/unit_normalization_1"]
    assert layers.Dot.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.Concatenate(axis=0), r"axis must be a whole number other than 0, which counts samples, got 0"),
        (lambda: layers.Concatenate().init((4,)), r"Concatenate needs the shapes of two or more inputs"),
        (
            lambda: layers.Concatenate(axis=3).init(((2, 3), (2, 3))),
            r"samples of shape \(2, 3\) have the axes 1 to 2, counted with the batch as 0, got axis=3",
        ),
        (
            lambda: layers.Concatenate().init(((2, 3), (1, 3))),
            r"takes inputs that are alike but for axis 2, got samples of shapes \(2, 3\), \(1, 3\)",
        ),
        (lambda: layers.Dot(axes=0), r"axes must be a whole number other than 0.* got 0; pass e.g. axes=1"),
        (lambda: layers.Dot(1).init(((3,),) * 3), r"Dot needs the shapes of two inputs"),
        (lambda: layers.Dot(2).init(((3,), (3,))), r"samples of shape \(3,\) have the axes 1 to 1, .* got axes=2"),
        (lambda: layers.Dot(1).init(((3,), (4,))), r"multiplies axes of one length, got 3 and 4"),
    ],
)
def test_inputs_that_cannot_be_merged(make, text):
    with pytest.raises(ValueError, match=text):
        make()
