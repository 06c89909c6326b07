"""What the first step of `fit` says about layers and losses of one's own."""

import copy

import numpy as np
import pytest

from npdl import Sequential, layers, losses


class Scale(layers.Layer):
    """y = x · s; `fault` says what to get wrong."""

    def __init__(self, fault=None, **base):
        super().__init__(**base)
        self.fault = fault

    def build(self, input_shape):
        self.add_weight(input_shape, "ones", name="s")
        return input_shape

    def forward(self, x, training=False):
        self.save(x)
        return x * self.params["s"]

    def backward(self, dy):
        ds = (dy * self.saved()).sum(0)
        if self.fault == "assignment":
            self.grads["s"] = ds
        elif self.fault == "rows":
            self.grads["s"][...] = ds * len(dy) / 8
        else:
            self.grads["s"][...] = ds
        return dy * self.params["s"]


class NoTraining(Scale):
    def forward(self, x):
        return x


class Half(losses.Loss):
    """L = Σ (p − y)² / 2 a row, with a constant in its gradient."""

    def __init__(self, rows=None):
        super().__init__()
        self.rows = rows

    def forward(self, y_true, y_pred, sample_weight=None):
        self.difference = y_pred - np.asarray(y_true)
        return float((self.difference**2).sum() / 2 / len(y_pred))

    def backward(self):
        return self.difference / (self.rows or len(self.difference))


class NoWeight(Half):
    def forward(self, y, p):
        return 0.0


def fit(layer=None, loss="mse", rows=16, **options):
    model = Sequential([layers.Input((3,)), layers.Dense(3), layer or layers.Dense(3), layers.Dense(1)], seed=0)
    model.compile("sgd", loss, **options)
    x = np.random.default_rng(0).normal(size=(rows, 3)).astype("float32")
    model.fit(x, x[:, :1] ** 2, batch_size=rows, epochs=1, verbose=0)
    return model


@pytest.mark.parametrize("check", [True, False])
def test_an_assignment_that_does_not_reach_the_optimizer(check):
    text = r"scale: write self.grads\['s'\]\[...\] = ..., the assignment self.grads\['s'\] = ... does not reach the opt"
    with pytest.raises(ValueError, match=text):
        fit(Scale("assignment"), check_gradients=check)


@pytest.mark.parametrize("rows", [3, 8, 9, 16])
def test_a_constant_in_place_of_the_number_of_rows(rows):
    with pytest.raises(ValueError, match="the backward of Half does not agree"):
        fit(loss=Half(8), rows=rows)
    with pytest.raises(ValueError, match="the backward of scale does not agree"):
        fit(Scale("rows"), rows=rows)
    fit(Scale(), Half(), rows=rows)


class Normalized(layers.Layer):
    """y = x − mean of the batch, which needs two rows; a moving mean."""

    def build(self, input_shape):
        self.add_weight(input_shape, "zeros", name="mean", trainable=False)
        return input_shape

    def forward(self, x, training=False):
        if not training:
            return x - self.state["mean"]
        if len(x) < 2:
            raise ValueError("one row has no statistics")
        mean = x.mean(0)
        self.state["mean"][...] = 0.9 * self.state["mean"] + 0.1 * mean
        return x - mean

    def backward(self, dy):
        return dy - dy.mean(0)


@pytest.mark.parametrize("rows", [2, 3, 5, 6, 16])
def test_statistics_over_the_batch(rows):
    assert np.isfinite(fit(Normalized(), rows=rows).get_weights()[0]).all()


@pytest.mark.parametrize("check", [True, False])
def test_methods_with_other_arguments(check):
    with pytest.raises(TypeError, match=r"NoTraining.forward must take \(self, x, training=False\), it takes \(self"):
        fit(NoTraining(), check_gradients=check)


def test_a_loss_with_other_arguments():
    with pytest.raises(TypeError, match=r"NoWeight.forward must take \(self, y_true, y_pred, sample_weight=None\), it"):
        fit(loss=NoWeight())


def test_a_layer_with_a_layer_inside_learns_as_by_hand(around):
    by_hand = Sequential([layers.Input((3,)), layers.Dense(3), around(3, "tanh"), layers.Dense(1)], seed=0)
    in_fit = copy.deepcopy(by_hand)
    x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    y = x[:, :1] ** 2
    loss = losses.MeanSquaredError()
    loss.forward(y, by_hand.forward(x, training=True))
    by_hand.backward(loss.backward())
    in_fit.compile("sgd", "mse")
    in_fit.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
    np.testing.assert_array_equal(in_fit.store.grad, by_hand.store.grad)
    assert by_hand.store.grad.any()


class Bottleneck(layers.Layer):
    """y = up(down(x))"""

    def __init__(self, **base):
        super().__init__(**base)
        self.down, self.up = layers.Dense(2, name="down"), layers.Dense(3, name="up")

    def build(self, input_shape):
        return self.up.build_once(self.down.build_once(input_shape))

    def walk(self):
        yield self
        yield from self.down.walk()
        yield from self.up.walk()

    def forward(self, x, training=False):
        return self.up.forward(self.down.forward(x, training), training)

    def backward(self, dy):
        return self.down.backward(self.up.backward(dy))


def test_layers_inside_a_layer_are_checked_through_it():
    model = fit(Bottleneck())
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    report = model.gradient_check(x, x[:, :1])
    report.raise_if_wrong()
    assert {("bottleneck/down", "kernel"), ("bottleneck/up", "kernel"), ("bottleneck", "input")} <= {
        (entry.layer, entry.tensor) for entry in report.entries
    }
