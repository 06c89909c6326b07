"""Micro-batches whose gradient is that of the big batch: several outputs, and all that a step does beside."""

import numpy as np
import pytest

from npdl import Model, Sequential, callbacks, constraints, layers, load_model, losses
from npdl.optimizers import SGD, SWA, Adam, AdamW, Lookahead

ROWS = 48


def two_outputs(optimizer, penalty=None, weight=None):
    """A shared layer, called twice, a number and tags for each step as outputs."""
    x = layers.Input((4, 3), name="x")
    shared = layers.Dense(3, activation="tanh", activity_regularizer=penalty, kernel_regularizer=weight)
    h = shared(shared(x))
    tags = layers.Dense(4, name="tags")(layers.LayerNormalization()(h))
    number = layers.Dense(1, name="number", kernel_regularizer=weight)(layers.Flatten()(layers.ReLU()(h)))
    model = Model(x, [tags, number], seed=0, dtype="float64")
    model.compile(
        optimizer,
        {"tags": "sparse_categorical_crossentropy", "number": "mse"},
        loss_weights={"tags": 2.0, "number": 0.5},
    )
    return model


def make_data(rng):
    """Rows with a weight for each step of one output and each row of the other; a micro-batch that does not count."""
    x, tags, number = rng.normal(size=(ROWS, 4, 3)), rng.integers(0, 4, (ROWS, 4)), rng.normal(size=(ROWS, 1))
    steps, rows = rng.random((ROWS, 4)) + 0.1, rng.random(ROWS) + 0.1
    steps[rng.random((ROWS, 4)) < 0.4] = 0
    rows[rng.random(ROWS) < 0.4] = 0
    rows[32:] = 0
    return x, {"tags": tags, "number": number}, {"tags": steps, "number": rows}


def both(make, x, y, w, epochs=2, sizes=(20, 20, 8)):
    """Models after the same epochs, of one big batch each and of micro-batches."""
    big, small = make({}), make({"gradient_accumulation_steps": len(sizes)})
    for _ in range(epochs):
        big.train_on_batch(x, y, w)
        start = 0
        for size in sizes:
            part = [
                {name: one[start : start + size] for name, one in given.items()} if isinstance(given, dict)
                else None if given is None else given[start : start + size]
                for given in (x, y, w)
            ]  # fmt: skip
            small.train_on_batch(*part)
            start += size
    assert big.optimizer.iterations == small.optimizer.iterations == epochs
    return big, small


@pytest.mark.parametrize("penalty, weight", ((None, None), ("l2", None), (None, "l1"), ("l1", "l2")))
def test_outputs_with_weights_of_their_own(rng, penalty, weight):
    x, y, w = make_data(rng)
    big, small = both(lambda given: two_outputs(SGD(0.1, **given), penalty, weight), x, y, w)
    np.testing.assert_allclose(small.store.data, big.store.data, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(small.store.grad, big.store.grad, rtol=1e-9, atol=1e-13)


def test_masks_count_too(rng):
    """One output counts steps that are no padding, the other samples."""
    x = rng.integers(0, 3, (ROWS, 5)).astype("int32")
    x[:, 0] = 1
    y = {"tags": rng.integers(0, 3, (ROWS, 5)), "number": rng.normal(size=(ROWS, 1))}

    def make(given):
        words = layers.Input((5,), dtype="int32")
        h = layers.Embedding(3, 4, mask_zero=True)(words)
        number = layers.Dense(1, name="number")(layers.GlobalAveragePooling1D()(h))
        model = Model(words, [layers.Dense(3, name="tags")(h), number], seed=0, dtype="float64")
        model.compile(SGD(0.1, **given), {"tags": "sparse_categorical_crossentropy", "number": "mse"})
        return model

    big, small = both(make, x, y, None)
    np.testing.assert_allclose(small.store.data, big.store.data, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", (layers.LSTM, layers.GRU, layers.SimpleRNN, layers.Bidirectional))
def test_layers_that_write_over_what_they_saved(rng, kind):
    """A backward for each output of one recurrent layer, which inside fit has its gradients where its gates were."""
    x, y, w = make_data(rng)

    def make(given):
        inputs, inner = layers.Input((4, 3)), layers.LSTM if kind is layers.Bidirectional else kind
        layer = inner(3, return_sequences=True)
        h = layers.MultiHeadAttention(2, 3)((layer if kind is inner else kind(layer))(inputs))
        outs = {"tags": layers.Dense(4)(h), "number": layers.Dense(1)(layers.Flatten()(h))}
        model = Model(inputs, outs, seed=0, dtype="float64")
        model.compile(SGD(0.1, **given), {"tags": "sparse_categorical_crossentropy", "number": "mse"})
        return model

    big, small = both(make, x, y, w)
    np.testing.assert_allclose(small.store.data, big.store.data, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "services",
    ({"clipnorm": 0.05}, {"clipvalue": 0.01}, {"global_clipnorm": 0.05}, {"use_ema": True, "ema_momentum": 0.5}),
)
@pytest.mark.parametrize("wrap", (lambda one: one, lambda one: Lookahead(one, 2), lambda one: SWA(one, 1)))
def test_all_that_a_step_does_beside(rng, services, wrap):
    """Constraints, penalties, clipping, averages and wrappers see one gradient: the big batch's."""
    x, y, w = make_data(rng)

    def make(given):
        model = Sequential(
            [
                layers.Dense(5, kernel_constraint=constraints.MaxNorm(0.8), kernel_regularizer="l2", activation="relu"),
                layers.Dense(3, activity_regularizer="l2", bias_constraint="non_neg"),
                layers.Flatten(),
                layers.Dense(1, kernel_constraint="unit_norm"),
            ],
            seed=0,
            dtype="float64",
        )
        model.compile(wrap(AdamW(0.05, weight_decay=0.1, **services, **given)), "mse")
        return model

    big, small = both(make, x, y["number"], w["number"], epochs=4)
    for each in (big, small):
        np.testing.assert_allclose(np.linalg.norm(each.layers[3].params["kernel"]), 1, rtol=1e-6)
        assert each.layers[1].params["bias"].min() >= 0
        assert np.linalg.norm(each.layers[0].params["kernel"], axis=0).max() <= 0.8 + 1e-12
    np.testing.assert_allclose(small.store.data, big.store.data, rtol=1e-8, atol=1e-10)
    for each in (big, small):
        each.optimizer.finalize(each)
    np.testing.assert_allclose(small.store.data, big.store.data, rtol=1e-8, atol=1e-10)


def test_parts_are_resumed_in_their_midst(rng, tmp_path):
    x, y, w = make_data(rng)
    model = two_outputs(Adam(0.01, gradient_accumulation_steps=3), "l2", "l2")
    for _ in range(5):
        model.train_on_batch(x, y, w)
    scalars, arrays = model.optimizer.get_state()
    assert scalars["accumulated"] == [2, 0.0] and scalars["parts"] == [
        2.0 * np.count_nonzero(w["tags"]), 2.0 * np.count_nonzero(w["number"]), 2.0 * ROWS,
    ]  # fmt: skip
    assert sorted(arrays) == ["accumulated", "accumulated1", "accumulated2", "m", "v"]
    model.save(tmp_path / "m.npdl")
    other = load_model(tmp_path / "m.npdl")
    for each in (model, other):
        for _ in range(4):
            each.train_on_batch(x, y, w)
    np.testing.assert_array_equal(model.store.data, other.store.data)


def test_by_hand(rng):
    """`gather` for each output, then `step`: the means of the parts are added."""
    layer, optimizer = layers.Dense(2).init((1,), dtype="float64", seed=0), SGD(1.0, gradient_accumulation_steps=2)
    before, grads = layer.params["kernel"].copy(), ((1.0, 10.0), (4.0, 20.0))
    for counts, values in zip(((1, 2), (3, 2)), grads):
        for part, (count, value) in enumerate(zip(counts, values)):
            layer.store.grad[...] = value
            optimizer.gather(layer, part, count)
        optimizer.step(layer)
    np.testing.assert_allclose(before - layer.params["kernel"], (1 * 1 + 4 * 3) / 4 + (10 * 2 + 20 * 2) / 4, rtol=1e-14)
    assert optimizer.parts == [] and optimizer.accumulated == (0, 0.0)
    optimizer.step(layer, 5)
    with pytest.raises(ValueError, match=r"SGD.gather keeps the parts of a gradient from the first micro-batch"):
        optimizer.gather(layer, 0, 1)
    with pytest.raises(ValueError, match="pass gradient_accumulation_steps=K"):
        SGD().gather(layer, 0, 1)


def test_a_micro_batch_counts_as_much_in_mid_epoch(rng):
    """What it counts is not what rounding leaves of the epoch's sum, which a resumed epoch would not have."""
    y, seen = rng.integers(0, 3, (70, 10)), []
    model = Sequential([layers.Input((10, 2)), layers.Dense(3)], seed=0, dtype="float64")
    model.compile(
        SGD(0.1, gradient_accumulation_steps=2), losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)
    )
    look = callbacks.LambdaCallback(on_train_batch_end=lambda *_: seen.append(model.optimizer.accumulated))
    model.fit(rng.normal(size=(70, 10, 2)), y, batch_size=7, shuffle=False, verbose=0, callbacks=[look])
    assert seen[::2] == [(1, (part != 1).sum() / 10) for part in np.split(y, 10)[::2]]
