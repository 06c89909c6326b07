"""Masks through models: fit, evaluate and predict leave padding out, and so does the same by hand."""

import numpy as np
import pytest

import npdl
from npdl import Sequential, data, layers, losses

CLASSES, STEPS = 3, 6


def sequences(rng, count=40, padding=0, values=9):
    """Words (N, T) from 1 on, ended by padding, and a label for each."""
    x = rng.integers(1, values, (count, STEPS + padding)).astype("int32")
    y = rng.integers(0, CLASSES, x.shape)
    lengths = rng.integers(1, STEPS + 1, count)
    x[np.arange(x.shape[1]) >= lengths[:, None]] = 0
    return x, y


def tagger(seed=0, **embedding):
    return Sequential(
        [
            layers.Embedding(9, 4, mask_zero=True, **embedding),
            layers.Residual([layers.Dense(4, activation="tanh")]),
            layers.Dropout(0.2),
            layers.Dense(CLASSES),
        ],
        seed=seed,
    )


class Reader(layers.Layer):
    """Keeps the masks that its forward gets."""

    def __init__(self, **base):
        super().__init__(**base)
        self.seen = []

    def forward(self, x, training=False, mask=None):
        self.seen.append(mask)
        self.save(x)
        return x

    def backward(self, dy):
        return dy


def test_by_hand_is_what_fit_does(rng):
    x, y = sequences(rng)
    fitted, by_hand = tagger(), tagger()
    history = fitted.fit(x, y, epochs=2, batch_size=16, verbose=0)
    loss, optimizer = losses.SparseCategoricalCrossentropy(from_logits=True), npdl.optimizers.Adam()
    for epoch in range(2):
        total = count = 0
        for words, labels in data.batches(x, y, batch_size=16, seed=0, epoch=epoch):
            words = words.astype("int32")
            logits = by_hand.forward(words, training=True)
            loss.forward(labels, logits, sample_weight=by_hand.compute_mask(words))
            by_hand.backward(loss.backward())
            optimizer.step(by_hand)
            total, count = total + loss.total, count + loss.count
        assert count == np.count_nonzero(x)
        assert history.history["loss"][epoch] == total / count
    for a, b in zip(fitted.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_padding_changes_nothing(rng):
    """Neither its amount nor the labels there: loss, metrics and gradients are those of the steps that count."""
    x, y = sequences(rng)
    longer, labels = np.zeros((len(x), STEPS + 3), "int32"), rng.integers(0, CLASSES, (len(x), STEPS + 3))
    longer[:, :STEPS], labels[:, :STEPS] = x, np.where(x > 0, y, labels[:, :STEPS])
    found = []
    for words, targets in ((x, y), (longer, labels)):
        model = tagger()
        model.layers[2].rate = 0.0
        model.build((None,))
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
        weights = np.linspace(0, 2, len(x))
        history = model.fit(words, targets, batch_size=16, sample_weight=weights, verbose=0).history
        found.append((history, model.evaluate(words, targets, verbose=0, return_dict=True), model.get_weights()))
    (history, tested, weights), (other_history, other_tested, other_weights) = found
    for name in history:
        np.testing.assert_allclose(history[name], other_history[name], rtol=1e-6)
    for name in tested:
        np.testing.assert_allclose(tested[name], other_tested[name], rtol=1e-6)
    for a, b in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_metrics_leave_padding_out(rng):
    x, y = sequences(rng)
    model = tagger()
    model.build((STEPS,))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    weights = rng.uniform(0, 2, len(x))
    found = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    right = model.predict(x).argmax(-1) == y
    live, (plain, weighted) = x > 0, [value for name, value in found.items() if "accuracy" in name]
    assert plain == pytest.approx(right[live].mean())
    assert weighted == pytest.approx((right * weights[:, None])[live].sum() / (live * weights[:, None]).sum())


def test_layers_get_the_mask(rng):
    x, y = sequences(rng)
    reader = Reader()
    model = Sequential([layers.Embedding(9, 4, mask_zero=True), layers.Dense(3), reader, layers.Dense(CLASSES)])
    model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0)
    model.predict(x, batch_size=len(x))
    model.forward(x)
    model(x, mask=np.ones(x.shape, bool))  # Embedding knows better
    for mask in reader.seen[-4:]:
        np.testing.assert_array_equal(mask, x > 0)
    plain = Sequential([layers.Input((STEPS, 2)), reader := Reader()])
    plain.forward(np.ones((2, STEPS, 2), "float32"))
    assert reader.seen == [None]
    given = np.array([[True] * STEPS, [False] * STEPS])
    plain.forward(np.ones((2, STEPS, 2), "float32"), mask=given)
    assert reader.seen[1] is given
    assert plain.compute_mask(np.ones((2, STEPS, 2), "float32"), given) is given


def test_masking_in_the_middle(rng):
    """compute_mask runs what comes before, and a training forward keeps what it has saved."""
    model = Sequential([layers.Dense(2, activation="relu"), layers.Masking(), layers.Dense(1)], seed=1)
    x = rng.normal(size=(30, STEPS, 2)).astype("float32")
    y = model.forward(x, training=True)
    mask = model.compute_mask(x)
    np.testing.assert_array_equal(mask, (model.layers[0](x) != 0).any(-1))
    assert 0 < mask.sum() < mask.size and y.shape == (30, STEPS, 1)
    model.forward(x, training=True)
    model.compute_mask(x)
    model.backward(np.ones_like(y))


def test_a_mask_that_does_not_fit_the_outputs(rng):
    class Halved(layers.Layer):
        def build(self, input_shape):
            return (None, input_shape[1])

        def forward(self, x, training=False):
            return np.ascontiguousarray(x[:, ::2])

    model = Sequential([layers.Embedding(9, 4, mask_zero=True), Halved(), layers.Dense(CLASSES)])
    model.build((None,))
    model.compile("sgd", "sparse_categorical_crossentropy", check_gradients=False)
    x, y = sequences(rng)
    with pytest.raises(
        ValueError, match=r"must have the leading axes of the outputs, .* mend compute_mask of the last"
    ):
        model.evaluate(x, y[:, ::2], verbose=0)


def test_steps_of_one_number(rng):
    """Outputs (N, T, 1) and (N, T) alike: each step is a row."""
    x, y = rng.normal(size=(20, STEPS, 3)).astype("float32"), rng.normal(size=(20, STEPS, 1)).astype("float32")
    x[:, 4:] = 0
    model = Sequential([layers.Masking(), layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    found = model.evaluate(x, y, verbose=0)
    assert found == pytest.approx(float(((model.predict(x) - y)[:, :4] ** 2).mean()), rel=1e-5)


def test_masks_of_pixels_and_of_pairs_by_hand(rng):
    """What a model is given beside x: leading axes of x, or pairs where a layer attends."""
    images, seen = rng.normal(size=(2, 3, 4, 1)), rng.random((2, 3, 4)) < 0.5
    model = Sequential([layers.Input((3, 4, 1)), layers.Dense(2), reader := Reader()], dtype="float64")
    model.forward(images, mask=seen)
    np.testing.assert_array_equal(reader.seen[0], seen)
    np.testing.assert_array_equal(model.compute_mask(images, seen), seen)
    with pytest.raises(ValueError, match=r"\(N, H, W\) of pixels; pairs \(N, T, S\) are for layers of attention"):
        model.forward(images, mask=np.ones((2, 3, 3), bool))
    x, pairs = rng.normal(size=(2, 5, 4)), np.tril(np.ones((5, 5), bool)) & np.ones((2, 1, 1), bool)
    looks = layers.MultiHeadAttention(2, 3)
    causal = layers.MultiHeadAttention(2, 3, use_causal_mask=True).init((5, 4), dtype="float64", seed=0)
    model = Sequential([layers.Input((5, 4)), looks], seed=0, dtype="float64")
    causal.set_weights(looks.get_weights())
    np.testing.assert_array_equal(model.forward(x, mask=pairs), causal(x))
    inputs = layers.Input((5, 4))
    graph = npdl.Model(inputs, layers.Activation("linear")(model(inputs)), dtype="float64")
    np.testing.assert_array_equal(graph.forward(x, mask=pairs), causal(x))


@pytest.mark.parametrize("steps", (STEPS - 1, STEPS + 2))
def test_targets_of_other_steps_than_the_outputs(rng, steps):
    x, y = sequences(rng)
    model = Sequential([layers.Embedding(9, 4, mask_zero=True), layers.Dense(CLASSES)])
    model.build((None,))
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"targets must have the leading axes of the outputs, .* one target a step"):
        model.fit(x, np.resize(y, (len(y), steps)), verbose=0)
