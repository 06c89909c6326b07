"""Merging layers whose inputs are copied along axes, as in a squeeze-and-excitation block."""

import numpy as np
import pytest

from npdl import Model, layers, testing

SHAPES = [
    ((4, 3, 5), (1, 1, 5)), ((1, 1, 5), (4, 3, 5)), ((4, 3, 5), (4, 3, 1)), ((4, 3, 5), (5,)), ((3, 1), (1, 4)),
    ((2, 3, 4, 5), (1, 1, 1, 5)), ((4, 3, 1), (1, 3, 5)), ((1,), (6,)),
]  # fmt: skip
KINDS = {
    layers.Add: np.add, layers.Subtract: np.subtract, layers.Multiply: np.multiply, layers.Maximum: np.maximum,
    layers.Minimum: np.minimum, layers.Average: lambda a, b: (a + b) / 2,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shapes", SHAPES)
def test_as_numpy(kind, shapes, rng):
    layer = kind().init(shapes, dtype="float64")
    x = [rng.normal(size=(2, *shape)) for shape in shapes]
    full = np.broadcast_shapes(*shapes)
    aligned = [one.reshape(2, *(1,) * (len(full) + 1 - one.ndim), *one.shape[1:]) for one in x]
    y = layer.forward(x, training=True)
    assert layer.output_shape == full
    np.testing.assert_allclose(y, KINDS[kind](*aligned), rtol=1e-15)
    dy = rng.normal(size=y.shape)
    dx = layer.backward(dy)
    for i, (one, of) in enumerate(zip(dx, x, strict=True)):
        assert one.shape == of.shape
        ahead = [array.copy() for array in x]
        move = rng.normal(size=of.shape)
        ahead[i] = of + 1e-6 * move
        change = (dy * (layer.forward(ahead) - y)).sum() / 1e-6
        assert abs(change - (one * move).sum()) < 1e-5 * max(1, abs(change))


class Excited(layers.Layer):
    """x times a number of its own for each channel."""

    def __init__(self, **base):
        super().__init__(**base)
        self.squeeze, self.excite = layers.GlobalAveragePooling2D(keepdims=True), layers.Dense(3, activation="sigmoid")
        self.scale = layers.Multiply()

    def build(self, input_shape):
        squeezed = self.excite.build_once(self.squeeze.build_once(input_shape))
        return self.scale.build_once((input_shape, squeezed))

    def walk(self):
        yield self
        for part in (self.squeeze, self.excite, self.scale):
            yield from part.walk()

    def forward(self, x, training=False):
        return self.scale.forward((x, self.excite.forward(self.squeeze.forward(x, training), training)), training)

    def backward(self, dy):
        dx, ds = self.scale.backward(dy)
        self.k.add(self.squeeze.backward(self.excite.backward(ds)), dx, out=dx)
        return dx


def test_contract():
    testing.check_layer(Excited(), (5, 4, 3))


def test_a_model_with_it_trains_and_predicts_in_equal_bits(rng):
    x = layers.Input((None, None, 4))
    weights = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    model = Model(x, layers.GlobalAveragePooling2D()(layers.Multiply()([x, weights])), seed=0)
    batch = rng.normal(size=(6, 5, 7, 4)).astype("float32")
    model.fit(batch, rng.normal(size=(6, 4)).astype("float32"), epochs=2, batch_size=4, verbose=0)
    np.testing.assert_array_equal(model.predict(batch, verbose=0), model(batch))


def test_three_inputs(rng):
    layer = layers.Add().init(((4, 3), (1, 3), (3,)), dtype="float64")
    a, b, c = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 1, 3)), rng.normal(size=(2, 3))
    np.testing.assert_allclose(layer.forward((a, b, c), True), a + b + c[:, None], rtol=1e-15)
    dy = rng.normal(size=(2, 4, 3))
    for one, want in zip(layer.backward(dy), (dy, dy.sum(1, keepdims=True), dy.sum(1)), strict=True):
        np.testing.assert_allclose(one, want, rtol=1e-14)


def test_sizes_that_do_not_go_together():
    with pytest.raises(ValueError, match=r"takes inputs of one shape, got samples of shapes \(4, 3\), \(2, 3\)"):
        layers.Multiply().init(((4, 3), (2, 3)))
    with pytest.raises(ValueError, match=r"got samples of shapes \(None, 3\), \(4, 3\)"):
        layers.Multiply().init(((None, 3), (4, 3)))
