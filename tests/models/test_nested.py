"""A Sequential in a Sequential: one net, whose parts can be used and trained alone."""

import copy

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 6)).astype("float32")
LABELS = np.arange(24) % 3
LOSS = "sparse_categorical_crossentropy"


def body():
    return [layers.Dense(8), layers.BatchNormalization()]


def head():
    return [layers.ReLU(), layers.Dropout(0.3), layers.Dense(3, activation="softmax")]


def nested(**options):
    inside = Sequential([Sequential(body(), name="body", seed=5), *head()[:1]], seed=6)
    return Sequential([inside, Sequential(head()[1:], name="head")], seed=0, **options)


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_names_order_and_shapes():
    model = nested()
    model.build((6,))
    assert [layer.name for layer in model.layers] == ["sequential", "head"]
    assert [layer.name for layer in model.walk()] == [
        "sequential/body/dense", "sequential/body/batch_normalization", "sequential/re_lu", "head/dropout",
        "head/dense",
    ]  # fmt: skip
    assert next(w.path for w in model.store.weights if w.trained) == "sequential/body/dense/kernel"
    inside = model.get_layer("sequential")
    assert inside.get_layer("body").get_layer("dense") is next(model.walk())
    assert inside.input_shape == (6,) and inside.output_shape == (8,) and inside.flops() > 0
    assert [w.shape for w in model.get_weights()] == [(6, 8), (8,), (8,), (8,), (8,), (8,), (8, 3), (3,)]
    assert model.count_params() == inside.count_params() + model.get_layer("head").count_params() == 56 + 32 + 27
    text = []
    model.summary(text.append)
    assert "sequential (Sequential)" in text[0] and "trainable 99, not trainable 16" in text[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_the_flat_net_to_the_last_bit(dtype):
    """In fit, where ReLUs are fused over the borders of the parts, in predict and by hand."""
    flat, model = Sequential([*body(), *head()], seed=0, dtype=dtype), nested(dtype=dtype)
    for one in (flat, model):
        one.compile(optimizers.Adam(0.01), LOSS, metrics=["accuracy"])
    histories = [one.fit(X, LABELS, epochs=3, batch_size=7, verbose=0).history for one in (flat, model)]
    assert histories[0] == histories[1]
    assert equal(flat.get_weights(), model.get_weights())
    assert flat.predict(X).tobytes() == model.predict(X).tobytes()
    x = X.astype(dtype)
    y, dy = model.forward(x, training=True), np.ones((24, 3), dtype)
    np.testing.assert_array_equal(y, flat.forward(x, training=True))
    np.testing.assert_array_equal(model.backward(dy), flat.backward(dy))
    assert model.gradient_check(X, LABELS).ok
    assert model._step.plan.layers[1].activation.name == "relu"


def test_parts_share_the_weights():
    encoder, decoder = (Sequential([layers.Input((n,)), layers.Dense(6 - n // 2)], seed=0) for n in (6, 3))
    whole = Sequential([encoder, layers.Tanh(), decoder], seed=1)
    assert whole.store is encoder.store is decoder.store and whole.input_shape == (6,)
    whole.compile("adam", "mse")
    before = encoder.get_weights(), decoder.get_weights()
    whole.fit(X, X[:, :5], verbose=0)
    assert not equal(before[0], encoder.get_weights()) and not equal(before[1], decoder.get_weights())
    np.testing.assert_array_equal(decoder.predict(np.tanh(encoder.predict(X))).shape, (24, 5))
    encoder.compile(optimizers.Adam(0.1, weight_decay=0.1), "mse")
    kept = decoder.get_weights()
    encoder.fit(X, X[:, :3], verbose=0)  # of the store that they share only the encoder's own weights change
    assert equal(kept, decoder.get_weights())
    assert all(layer.trainable for layer in whole.walk())


def test_frozen_parts_do_not_learn_and_cost_no_gradient():
    model = nested()
    model.compile("adam", LOSS)
    model.build((6,))
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X, LABELS, verbose=0)
    assert equal(before[:6], model.get_weights()[:6]) and not equal(before[6:], model.get_weights()[6:])
    assert not model.layers[0].trainable and model.trainable
    assert len(model._step.plan.runs[0].untrained) == 3  # the dropout too


@pytest.mark.parametrize("how", ["file", "deepcopy", "clone"])
def test_copies(how, tmp_path):
    model = nested()
    model.compile(optimizers.Adam(0.01), LOSS, metrics=["accuracy"])
    model.fit(X, LABELS, verbose=0)
    if how == "clone":
        other = npdl.clone_model(model)
        other.set_weights(model.get_weights())
    elif how == "file":
        model.save(tmp_path / "m.npdl")
        other = npdl.load_model(tmp_path / "m.npdl")
    else:
        other = copy.deepcopy(model)
    assert [layer.name for layer in other.walk()] == [layer.name for layer in model.walk()]
    assert other.layers[0].layers[0].seed == 5 and other.get_config() == model.get_config()
    assert other.predict(X).tobytes() == model.predict(X).tobytes()
    if how != "clone":  # the next step is the same too
        for one in (model, other):
            one.fit(X, LABELS, verbose=0)
        assert equal(model.get_weights(), other.get_weights())


def test_add_pop_and_parts_that_go_on_alone(tmp_path):
    part = Sequential([layers.Dense(4), layers.ReLU()], name="part", seed=3)
    model = Sequential([layers.Input((6,)), part], seed=0)
    model.add(layers.Dense(2))
    y = part.predict(X)
    part.save(tmp_path / "part.npdl")
    assert npdl.load_model(tmp_path / "part.npdl").predict(X).tobytes() == y.tobytes()
    model.pop()
    assert model.pop() is part and part.owner is None and part.layers[0].name == "dense"
    np.testing.assert_array_equal(part.predict(X), y)
    assert Sequential([part, layers.Dense(1)], seed=0).predict(X).shape == (24, 1)


def test_what_cannot_be_put_inside():
    class Own(Sequential):
        def forward(self, x, training=False, mask=None):
            return super().forward(x, training, mask) + 1

    with pytest.raises(
        TypeError, match=r"Own has a forward or backward of its own.* make it a subclass of layers.Layer"
    ):
        Sequential([Own([layers.Dense(2)])])
    model = Sequential([layers.Dense(2)])
    with pytest.raises(ValueError, match=r"cannot be one of its own layers"):
        model.add(model)
    with pytest.raises(ValueError, match=r"sequential is in this Sequential already"):
        Sequential([model, model])
    model.build((6,))
    with pytest.raises(
        ValueError, match=r'shares with another model have weights in float32; pass dtype="float32"'.replace('"', "'")
    ):
        Sequential([model], dtype="float64").build((6,))
