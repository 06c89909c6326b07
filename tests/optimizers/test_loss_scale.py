"""LossScale: overflows are skipped and counted, small gradients are kept, and runs go on where they stopped."""

from unittest import mock

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers, losses, optimizers
from npdl.optimizers import LossScale

RNG = np.random.default_rng(0)
X = RNG.standard_normal((96, 12)).astype("float32")
Y = RNG.integers(0, 3, 96)


def net(loss_scale=None, optimizer=None, precision="mixed_float16", **rules):
    model = Sequential([layers.Dense(16, activation="relu", **rules), layers.Dense(3)], seed=1)
    how = {"precision": precision, "loss_scale": loss_scale}
    model.compile(optimizer or optimizers.Adam(0.01), losses.SparseCategoricalCrossentropy(from_logits=True), **how)
    return model


def same(a, b):
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_defaults_are_keras():
    scale = net().loss_scale
    assert (scale.scale, scale.dynamic_growth_steps, scale.skipped) == (32768.0, 2000, 0)
    assert net(precision="mixed_bfloat16").loss_scale is None


def test_overflows_are_skipped_and_counted():
    model = net(LossScale(2.0**60))
    model.build((12,))
    before = model.get_weights()
    model.train_on_batch(X[:32], Y[:32])
    assert (model.loss_scale.scale, model.loss_scale.skipped, model.optimizer.iterations) == (2.0**59, 1, 0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not any(array.any() for array in model.optimizer.state.values())
    loss = model.fit(X, Y, epochs=30, verbose=0).history["loss"]
    assert model.optimizer.iterations == 91 - model.loss_scale.skipped
    assert 30 < model.loss_scale.skipped < 50
    assert model.loss_scale.scale == 2.0 ** (60 - model.loss_scale.skipped)
    assert loss[-1] < 0.7 * loss[0] and np.isfinite(model.get_weights()[0]).all()


def test_it_grows_after_good_steps():
    model = net(LossScale(2.0, dynamic_growth_steps=4))
    model.fit(X, Y, epochs=5, verbose=0)  # 15 steps
    assert (model.loss_scale.scale, model.loss_scale.good) == (16.0, 3)


def test_small_gradients_are_kept():
    """dy of 1e-9 is 0 in float16; scaled by 2¹⁵ it is not."""
    gradients = {}
    for initial in (1.0, 2.0**15):
        model = Sequential([layers.Dense(1, use_bias=False, kernel_initializer="ones")])
        model.build((1,))
        model.compile(optimizers.SGD(1e9), losses.MeanAbsoluteError(), loss_weights=1e-9, precision="mixed_float16",
                      loss_scale=LossScale(initial))  # fmt: skip
        model.train_on_batch(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))
        gradients[initial] = 1 - model.get_weights()[0].item()
    assert gradients[1.0] == 0
    np.testing.assert_allclose(gradients[2.0**15], 1, rtol=1e-3)


def test_the_scale_changes_nothing_but_what_float16_loses():
    """Penalties of weights and outputs, clipping and accumulation see gradients without it."""
    for how in ({"global_clipnorm": 0.05}, {"gradient_accumulation_steps": 2}):
        trained = []
        for initial in (1.0, 1024.0):
            rules = {"kernel_regularizer": "l2", "activity_regularizer": "l2"}
            model = net(LossScale(initial), optimizers.SGD(0.1, **how), **rules)
            model.fit(X, Y, epochs=2, verbose=0)
            assert model.loss_scale.skipped == 0
            trained.append(np.concatenate([w.ravel() for w in model.get_weights()]))
        np.testing.assert_allclose(*trained, atol=2e-4)


def test_an_overflowing_micro_batch_is_left_out_alone():
    model = net(LossScale(2.0**60), optimizers.SGD(0.1, gradient_accumulation_steps=2))
    for _ in range(3):
        model.train_on_batch(X[:32], Y[:32])
    assert model.loss_scale.skipped == 3 and model.optimizer.accumulated[0] == 0
    model.loss_scale.scale = 1.0
    for _ in range(2):
        model.train_on_batch(X[:32], Y[:32])
    assert model.optimizer.iterations == 1


def test_by_hand_is_what_fit_does():
    fitted, model = net(LossScale(2.0**34)), net(LossScale(2.0**34))
    fitted.fit(X, Y, batch_size=32, epochs=8, verbose=0)
    model.build((12,))
    loss, scale = losses.SparseCategoricalCrossentropy(from_logits=True), model.loss_scale
    for epoch in range(8):
        for x, y in npdl.data.batches(X, Y, batch_size=32, seed=model.seed, epoch=epoch):
            loss.forward(y, model.forward(x, training=True))
            model.backward(loss.backward() * np.float32(scale.scale))
            if scale.unscale(model):
                model.optimizer.step(model)
    assert 0 < scale.skipped == fitted.loss_scale.skipped < 24
    same(fitted, model)


def test_noted_steps_have_the_same_bits_while_the_scale_changes():
    noted, plain = (net(LossScale(2.0**30, dynamic_growth_steps=3)) for _ in range(2))
    noted.fit(X, Y, epochs=10, verbose=0)
    before = npdl.set_debug(True)
    try:
        plain.fit(X, Y, epochs=10, verbose=0)
    finally:
        npdl.set_debug(before)
    assert noted.loss_scale.get_state() == plain.loss_scale.get_state()
    same(noted, plain)


def test_a_stopped_run_goes_on_with_the_same_bits(tmp_path):
    whole, first = (net(LossScale(2.0**22, dynamic_growth_steps=5)) for _ in range(2))
    whole.fit(X, Y, epochs=6, verbose=0)
    first.fit(X, Y, epochs=3, verbose=0)
    first.save(tmp_path / "m.npdl")
    loaded, resumed = npdl.load_model(tmp_path / "m.npdl"), net()
    resumed.build((12,))
    resumed.load_state(tmp_path / "m.npdl")
    assert first.loss_scale.get_state() == loaded.loss_scale.get_state() == resumed.loss_scale.get_state()
    assert loaded.loss_scale.dynamic_growth_steps == 5
    loaded.fit(X, Y, epochs=6, initial_epoch=3, verbose=0)
    same(whole, loaded)
    assert whole.loss_scale.get_state() == loaded.loss_scale.get_state()


def test_a_run_of_overflows_does_not_end_at_zero():
    """After 400 batches beyond float16, which end a `fit`, the first good one still has a gradient."""
    model = net()
    with pytest.raises(FloatingPointError, match="whose inputs are up to"):
        model.fit(1e6 * X, Y, verbose=0)
    while model.loss_scale.skipped < 402:
        model.train_on_batch(1e6 * X, Y)
    assert model.loss_scale.scale == 2.0**-126
    model.fit(X, Y, epochs=2, verbose=0)
    assert model.optimizer.iterations == 6 and all(np.isfinite(w).all() for w in model.get_weights())


def test_batches_of_ever_new_shapes_share_the_memory_of_the_scale():
    model = Sequential([layers.Input((None, 3)), layers.Dense(4)], seed=0)
    model.compile("sgd", "mse", precision="mixed_float16", loss_scale=LossScale(4.0, dynamic_growth_steps=7))
    for steps in range(1, 40):
        model.train_on_batch(np.zeros((2, steps, 3), np.float32), np.zeros((2, steps, 4), np.float32))
    held = sum(array.nbytes for array, _ in model._step.scaling._arrays.values())
    assert held < 4 * 2 * 39 * 4 * 4 and np.isfinite(model.get_weights()[0]).all()


def test_looking_for_a_learning_rate_scales_as_the_model_does():
    model, used = net(LossScale(4.0, dynamic_growth_steps=7)), []
    unscale = LossScale.unscale

    def note(self, model):
        used.append(self.scale)
        return unscale(self, model)

    with mock.patch.object(LossScale, "unscale", note):
        npdl.models.find_learning_rate(model, X, Y, steps=8, divergence=1e9)
    assert used == [4.0] * 7 + [8.0] and model.loss_scale.get_state() == LossScale(4.0).get_state()


def test_errors():
    with pytest.raises(ValueError, match=r"LossScale: initial_scale must be at least 1.17\d*e-38, got 0; pass e.g."):
        LossScale(0)
    with pytest.raises(TypeError, match="LossScale: initial_scale must be a number, got 'large'"):
        LossScale("large")
    with pytest.raises(ValueError, match="dynamic_growth_steps must be a whole number of at least 1, got 0"):
        LossScale(1.0, 0)
    assert LossScale(1.0, np.int64(3)).get_config() == {"initial_scale": 1.0, "dynamic_growth_steps": 3}
    with pytest.raises(ValueError, match='loss_scale is for precision="mixed_float16", got precision=None'):
        net(LossScale(), precision=None)
    with pytest.raises(TypeError, match=r"loss_scale must be an npdl.optimizers.LossScale, got 1024; pass e.g. LossS"):
        net(1024)
    with pytest.raises(ValueError, match="LBFGS makes its gradients several times in a step"):
        net(optimizer=optimizers.LBFGS())
    given = layers.Input((12,))
    model = npdl.Model(given, [layers.Dense(1, name="a")(given), layers.Dense(1, name="b")(given)])
    how = {"precision": "mixed_float16", "loss": {"a": "mse", "b": "mse"}}
    model.compile(optimizers.SGD(0.1, gradient_accumulation_steps=2), **how)
    y, w = X[:, :1], np.ones(96)
    w[:5] = 0
    with pytest.raises(ValueError, match='mixed_float16 knows one of them only; use precision="mixed_bfloat16"'):
        model.fit(X, {"a": y, "b": y}, sample_weight={"a": w, "b": np.ones(96)}, verbose=0)


def test_lbfgs_refuses_float16_of_another_model():
    """Models of the same layers share a precision, too."""
    given = layers.Input((12,))
    made = layers.Dense(1)(given)
    model, other = npdl.Model(given, made), npdl.Model(given, made)
    model.compile(optimizers.LBFGS(), "mse")
    other.compile("sgd", "mse", precision="mixed_float16")
    with pytest.raises(ValueError, match=r"LBFGS makes its gradients several .*; use precision="):
        model.fit(X, X[:, :1], verbose=0)
