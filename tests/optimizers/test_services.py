"""What every optimizer does beside its step: clipping, moving averages, accumulation, groups."""

import json

import numpy as np
import pytest

from npdl import Sequential, layers, load_model, optimizers
from npdl.optimizers import SGD, SWA, Adam, AdamW, Lookahead


def make_layer(dtype="float64"):
    """Weights of 6 and 3 numbers, whose gradients are 1 ... 9."""
    layer = layers.Dense(3, name="dense").init((2,), dtype=dtype, seed=0)
    layer.grads["kernel"][...] = np.arange(1.0, 7).reshape(2, 3)
    layer.grads["bias"][...] = [7, 8, 9]
    return layer


def gradient(layer):
    return np.concatenate([layer.grads["kernel"].ravel(), layer.grads["bias"]])


def weights(layer):
    return np.concatenate([layer.params["kernel"].ravel(), layer.params["bias"]])


# ---- clipping


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_clipping(dtype):
    g = np.arange(1.0, 10)
    whole = np.sqrt((g**2).sum())
    kernel, bias = np.sqrt((g[:6] ** 2).sum()), np.sqrt((g[6:] ** 2).sum())
    for clip, want in (
        ({"clipvalue": 4.5}, np.minimum(g, 4.5)),
        ({"clipnorm": 10.0}, np.concatenate([g[:6], g[6:] * 10 / bias])),
        ({"clipnorm": 5.0}, np.concatenate([g[:6] * 5 / kernel, g[6:] * 5 / bias])),
        ({"global_clipnorm": 5.0}, g * 5 / whole),
        ({"global_clipnorm": 50.0}, g),
    ):
        layer = make_layer(dtype)
        before = weights(layer)
        SGD(0.5, **clip).step(layer)
        rtol = 1e-6 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(gradient(layer), want, rtol=rtol)
        np.testing.assert_allclose(before - weights(layer), 0.5 * want, rtol=0, atol=10 * rtol)


def test_the_norm_of_what_is_trained():
    stack = Sequential([layers.Dense(3, name="first"), layers.Dense(2, name="second")], seed=0)
    stack.build((2,))
    stack.layers[0].trainable = False
    stack.layers[0].grads["kernel"][...] = 1e30
    stack.layers[1].grads["kernel"][...] = 1
    SGD(1.0, global_clipnorm=1.0).step(stack)
    np.testing.assert_allclose(stack.layers[1].grads["kernel"], 6**-0.5, rtol=1e-6)
    assert (stack.layers[0].grads["kernel"] == np.float32(1e30)).all()


# ---- the moving average


def test_average_overwrites_and_finalizes():
    layer, optimizer = make_layer(), SGD(1.0, use_ema=True, ema_momentum=0.75, ema_overwrite_frequency=3)
    p, average = weights(layer), None
    for step in range(7):
        p = p - gradient(layer)
        average = p if average is None else 0.75 * average + 0.25 * p
        if (step + 1) % 3 == 0:
            p = average
        optimizer.step(layer)
        np.testing.assert_allclose(weights(layer), p, rtol=1e-13)
    optimizer.swap_average(layer)
    np.testing.assert_allclose(weights(layer), average, rtol=1e-13)
    optimizer.swap_average(layer)
    np.testing.assert_allclose(weights(layer), p, rtol=1e-13)
    optimizer.finalize(layer)
    np.testing.assert_allclose(weights(layer), average, rtol=1e-13)
    with pytest.raises(ValueError, match="SGD has no average of the weights; pass use_ema=True, and train"):
        SGD().swap_average(layer)


def test_frozen_weights_keep_their_average_and_values():
    stack = Sequential([layers.Dense(3, name="first"), layers.Dense(2, name="second")], seed=0)
    stack.build((2,))
    stack.layers[0].trainable = False
    before, optimizer = stack.layers[0].params["kernel"].copy(), SGD(0.1, use_ema=True, ema_momentum=0.9)
    for _ in range(5):
        stack.store.grad[...] = 1
        optimizer.step(stack)
    optimizer.finalize(stack)
    np.testing.assert_array_equal(stack.layers[0].params["kernel"], before)


def make_model(optimizer, dtype="float32"):
    model = Sequential([layers.Dense(8, activation="tanh"), layers.Dense(2)], seed=3, dtype=dtype)
    model.compile(optimizer, "mse")
    return model


def make_data(rng, n):
    return rng.standard_normal((n, 5)), rng.standard_normal((n, 2))


def test_fit_ends_with_the_average(rng):
    x, y = make_data(rng, 64)
    plain, model = make_model(Adam(0.05)), make_model(Adam(0.05, use_ema=True, ema_momentum=0.5))
    plain.fit(x, y, epochs=3, verbose=0)
    model.fit(x, y, epochs=3, verbose=0)
    difference = np.abs(plain.store.data - model.store.data).max()
    assert 1e-4 < difference < 0.5
    model.optimizer.swap_average(model)  # at its end both are the average
    assert np.abs(plain.store.data - model.store.data).max() == difference


# ---- accumulation


@pytest.mark.parametrize("clip", ({}, {"global_clipnorm": 0.1}))
def test_accumulated_batches_make_the_step_of_the_big_batch(rng, clip):
    """Batches of 32, 32 and 16: each counts by its samples, the ones of weight 0 not at all."""
    x, y = make_data(rng, 80)
    w = (rng.random(80) > 0.3).astype("float64")
    for sample_weight in (None, w):
        big = make_model(SGD(0.1, **clip), "float64")
        small = make_model(SGD(0.1, gradient_accumulation_steps=3, **clip), "float64")
        for _ in range(2):
            big.fit(x, y, batch_size=80, sample_weight=sample_weight, shuffle=False, verbose=0)
            small.fit(x, y, batch_size=32, sample_weight=sample_weight, shuffle=False, verbose=0)
        assert small.optimizer.iterations == big.optimizer.iterations == 2
        np.testing.assert_allclose(small.store.grad, big.store.grad, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(small.store.data, big.store.data, rtol=1e-12, atol=1e-14)


def test_by_hand_each_batch_counts_alike_or_by_its_weight():
    for given, shares in (((), (0.5, 0.5)), ((1, 3), (0.25, 0.75))):
        layer, optimizer = make_layer(), SGD(1.0, gradient_accumulation_steps=2)
        before, g = weights(layer), gradient(layer)
        optimizer.step(layer, *given[:1])
        np.testing.assert_array_equal(weights(layer), before)
        layer.store.grad[...] *= 10
        optimizer.step(layer, *given[1:])
        np.testing.assert_allclose(before - weights(layer), (shares[0] + 10 * shares[1]) * g, rtol=1e-13)
        assert optimizer.iterations == 1


def test_batches_of_no_weight_change_nothing():
    layer, optimizer = make_layer(), SGD(1.0, gradient_accumulation_steps=2)
    before = weights(layer)
    layer.store.grad[...] = 0
    for _ in range(2):
        optimizer.step(layer, 0)
    np.testing.assert_array_equal(weights(layer), before)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_an_accumulation_is_resumed_in_its_midst(rng, tmp_path, dtype):
    x, y = make_data(rng, 80)
    for steps in (1, 4, 5):
        model = make_model(AdamW(0.01, gradient_accumulation_steps=3, use_ema=True, clipnorm=0.5), dtype)
        for _ in range(steps):
            model.train_on_batch(x, y)
        model.save(tmp_path / "m.npdl")
        other = load_model(tmp_path / "m.npdl")
        assert repr(other.optimizer) == repr(model.optimizer) and "gradient_accumulation_steps=3" in repr(
            other.optimizer
        )
        scalars, _ = model.optimizer.get_state()
        assert scalars["accumulated"] == [steps % 3, 80 * (steps % 3)] and json.dumps(scalars)
        for each in (model, other):
            for _ in range(4):
                each.train_on_batch(x, y)
            each.optimizer.finalize(each)
        np.testing.assert_array_equal(model.store.data, other.store.data)


# ---- groups


def test_groups_have_a_rate_and_a_decay_of_their_own():
    layer, optimizer = make_layer(), AdamW(0.1, weight_decay=0.5)
    layer.set_weights([w + 1 for w in layer.get_weights()])  # no bias is 0, so that its decay shows
    optimizer.add_group(var_names=["kernel"], learning_rate_multiplier=0.5)
    optimizer.add_group(var_list=[layer.store.weights[1]], learning_rate_multiplier=2, weight_decay=0.0)
    p = weights(layer)
    optimizer.step(layer)
    step = 0.1 * gradient(layer) / (gradient(layer) + 1e-7)  # Adam's first
    want = np.concatenate([p[:6] * (1 - 0.05 * 0.5) - 0.5 * step[:6], p[6:] - 2 * step[6:]])
    np.testing.assert_allclose(weights(layer), want, rtol=1e-12)

    other = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert other.get_config() == optimizer.get_config() and len(other.get_config()["groups"]) == 2
    with pytest.raises(TypeError, match="add_group: var_names must be a list of str, got 'kernel'"):
        optimizer.add_group(var_names="kernel")
    with pytest.raises(ValueError, match="AdamW: learning_rate_multiplier must be at least 0"):
        optimizer.add_group(var_names=["kernel"], learning_rate_multiplier=-1)
    optimizer.add_group(var_names=[""], learning_rate_multiplier=0.0)  # all of them, between two steps
    p = weights(layer)
    optimizer.step(layer)
    np.testing.assert_array_equal(weights(layer), p)


# ---- wrappers


def test_lookahead():
    layer, optimizer = make_layer(), Lookahead(SGD(1.0, weight_decay=0.1), sync_period=3, slow_step_size=0.25)
    p = slow = weights(layer)
    for step in range(8):
        p = p - gradient(layer) - 0.1 * p
        if step % 3 == 2:
            p = slow = slow + 0.25 * (p - slow)
        optimizer.step(layer)
        np.testing.assert_allclose(weights(layer), p, rtol=1e-12)


def test_swa():
    layer, optimizer = make_layer(), SWA(SGD(1.0), start_averaging=2, average_period=2)
    p, seen = weights(layer), []
    for step in range(9):
        optimizer.finalize(layer) if step < 4 else None  # too early: nothing
        p = p - gradient(layer)
        optimizer.step(layer)
        np.testing.assert_allclose(weights(layer), p, rtol=1e-12)
        if step + 1 in (4, 6, 8):
            seen.append(p)
    optimizer.finalize(layer)
    np.testing.assert_allclose(weights(layer), np.mean(seen, axis=0), rtol=1e-12)


@pytest.mark.parametrize("wrap", (lambda o: Lookahead(o, 3), lambda o: SWA(o, 1, 2)))
def test_wrapped_models_are_saved(rng, tmp_path, wrap):
    x, y = make_data(rng, 64)
    inner = Adam(0.01, weight_decay=0.1, clipnorm=1.0)
    inner.exclude_from_weight_decay(var_names=["bias"])
    model = make_model(wrap(inner))
    for _ in range(5):
        model.train_on_batch(x, y)
    model.optimizer.learning_rate = 0.02
    model.save(tmp_path / "m.npdl")
    other = load_model(tmp_path / "m.npdl")
    assert repr(other.optimizer) == repr(model.optimizer) and "learning_rate=0.02" in repr(model.optimizer)
    assert other.optimizer.get_config() == model.optimizer.get_config()
    for each in (model, other):
        each.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.store.data, other.store.data)


def test_bad_wrappers():
    used = SGD()
    used.step(make_layer())
    for make, error, message in (
        (lambda: Lookahead("sgd"), TypeError, "Lookahead: optimizer must be an npdl.optimizers object .* got 'sgd'"),
        (lambda: Lookahead(SWA(Adam())), TypeError, r"must take the steps itself, got SWA.*e.g. Lookahead\(Adam\(\)\)"),
        (lambda: SWA(used), ValueError, r"SWA: SGD\(learning_rate=0.01\) has made steps already; pass a new one"),
        (lambda: Lookahead(SGD(), 0), ValueError, "sync_period must be a whole number of at least 1, got 0; pass e.g."),
        (lambda: Lookahead(SGD(), 5, 2), ValueError, "Lookahead: slow_step_size must be"),
        (
            lambda: SWA(SGD(), average_period=0),
            ValueError,
            "average_period must be a whole number of at least 1, got 0",
        ),
    ):
        with pytest.raises(error, match=message):
            make()
