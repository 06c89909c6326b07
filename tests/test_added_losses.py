"""Layers that add a term of their own to the loss: `add_loss` and `with_loss`."""

import numpy as np
import pytest

import npdl
from npdl import Model, Sequential, layers, optimizers, testing


class Fourth(layers.Layer):
    """y = x; the loss gets factor Σ x⁴ / N."""

    adds_loss = True

    def __init__(self, factor=0.1, **base):
        super().__init__(**base)
        self.factor = factor

    def forward(self, x, training=False):
        self.add_loss(self.factor * np.sum(x**4) / max(len(x), 1))
        if training:
            self.save(x)
        else:
            self.forget()
        return x

    def backward(self, dy):
        x = self.saved()
        return self.with_loss(dy, 4 * self.factor * x**3 / max(len(x), 1))


class Codes(layers.Layer):
    """y = a of (a, b); the loss gets Σ (a² + b²) / 2N."""

    adds_loss = True

    def build(self, input_shape):
        return input_shape[0]

    def forward(self, x, training=False):
        self.add_loss(sum(np.sum(one**2) for one in x) / 2 / len(x[0]))
        if training:
            self.save(*x)
        else:
            self.forget()
        return x[0] + 0

    def backward(self, dy):
        a, b = self.saved()
        return self.with_loss((dy, None), (a / len(a), b / len(b)))


def small(layer, **given):
    model = Sequential([layers.Dense(5, "tanh"), layer, layers.Dense(3)], seed=0, dtype="float64")
    model.compile(optimizers.SGD(0.1, **given), "mse")
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(12, 4)), rng.normal(size=(12, 3))


def test_contract():
    testing.check_layer(Fourth(0.3), (4,), strict=False)


def test_of_several_inputs(rng):
    layer = Codes().init(((4,), (4,)), dtype="float64")
    assert testing.gradient_check(layer, tuple(rng.normal(size=(2, 3, 4)))).ok
    layer.forward((np.ones((2, 4)), np.ones((2, 4))), training=True)
    assert layer.add_penalties() == 4.0


def test_it_is_in_the_loss(data):
    """As fit and evaluate show it, by hand, and as the penalty of the same formula that npdl has."""
    x, y = data
    model = small(Fourth())
    plain = small(layers.Identity())
    model.build((4,))
    plain.build((4,))
    term = 0.1 * np.sum(model.layers[0](x) ** 4) / len(x)
    want = plain.evaluate(x, y, verbose=0) + term
    assert model.evaluate(x, y, verbose=0) == pytest.approx(want, rel=1e-6)
    assert model.gradient_check(x, y).ok

    by_hand = small(Fourth())
    loss, optimizer = npdl.losses.MeanSquaredError(), optimizers.SGD(0.1)
    by_hand.build((4,))
    value = loss.forward(y, by_hand.forward(x, training=True))
    by_hand.backward(loss.backward())
    value += by_hand.add_penalties()
    optimizer.step(by_hand)
    assert model.fit(x, y, batch_size=12, shuffle=False, verbose=0).history["loss"] == [pytest.approx(value)]
    np.testing.assert_array_equal(model.store.data, by_hand.store.data)


def test_accumulated_gradients_are_those_of_the_big_batch(data):
    x, y = data
    w = np.arange(12.0)
    models = [small(Fourth()), small(Fourth(), gradient_accumulation_steps=3)]
    for model, size in zip(models, (12, 4), strict=True):
        model.fit(x, y, sample_weight=w, batch_size=size, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(models[0].store.data, models[1].store.data, rtol=1e-12)


def test_a_layer_called_twice_and_an_output_without_a_loss(rng, data):
    x, y = data
    inputs, shared = layers.Input((4,)), Fourth()
    first = layers.Dense(3)(inputs)
    code = shared(layers.Dense(3)(first))
    model = Model(inputs, {"y": shared(first), "code": code}, seed=0, dtype="float64")
    model.compile("sgd", {"y": "mse", "code": None})
    dense = model.layers[-1] if model.layers[-1].params else model.layers[-2]
    before = dense.get_weights()
    assert model.gradient_check(x, {"y": y}).ok
    model.fit(x, {"y": y}, verbose=0)
    assert any((a != b).any() for a, b in zip(before, dense.get_weights(), strict=True))


def test_a_class_must_say_so():
    class Silent(Fourth):
        adds_loss = False

    with pytest.raises(TypeError, match=r"adds a loss, and models look for such: write adds_loss = True in class Sil"):
        Silent().init((4,))(np.ones((2, 4), "float32"))
