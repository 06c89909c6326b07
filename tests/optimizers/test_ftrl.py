"""Ftrl against Keras' formula, weight by weight; sparse weights; steps of no length; wrong arguments."""

import numpy as np
import pytest

import npdl
from npdl import layers
from npdl.optimizers import Ftrl

SETTINGS = [
    {},
    {"l1_regularization_strength": 0.3, "l2_regularization_strength": 0.2},
    {"learning_rate_power": -0.8, "beta": 0.5, "initial_accumulator_value": 0.5},
    {"learning_rate_power": 0.0, "l2_shrinkage_regularization_strength": 0.1},
    {"learning_rate_power": -1, "l1_regularization_strength": 0.01, "initial_accumulator_value": 0.0, "beta": 1.0},
]


def keras(w, gradients, rate, settings):
    """One weight after these gradients, as the documentation of Keras 3 tells the steps."""
    s = {name: settings.get(f"{name}_regularization_strength", 0.0) for name in ("l1", "l2", "l2_shrinkage")}
    power, n, z = -settings.get("learning_rate_power", -0.5), settings.get("initial_accumulator_value", 0.1), 0.0
    for g in gradients:
        total = n + g * g
        z += g + 2 * s["l2_shrinkage"] * w - (total**power - n**power) / rate * w
        n = total
        bottom = total**power / rate + 2 * (s["l2"] + settings.get("beta", 0.0) / (2 * rate))
        w = (min(max(z, -s["l1"]), s["l1"]) - z) / bottom
    return w


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_formula_of_keras(settings, device, rng):
    layer = layers.Dense(5).init((4,), dtype="float64", seed=0, device=device)
    optimizer, kernel = Ftrl(0.05, **settings), layer.params["kernel"]
    first, gradients = np.array(kernel), rng.normal(size=(20, 4, 5))
    for g in gradients:
        layer.grads["kernel"][...] = g
        layer.grads["bias"][...] = 1.0
        optimizer.step(layer)
    expected = [keras(w, gradients[:, i, j], 0.05, settings) for (i, j), w in np.ndenumerate(first)]
    assert np.linalg.norm(kernel.ravel() - expected) < 1e-12 * np.linalg.norm(expected)


def test_weights_of_no_use_are_zero(rng):
    """Of 50 inputs 3 count: l1 leaves only these, and the config brings the same optimizer back."""
    x = rng.normal(size=(512, 50)).astype("float32")
    y = (x[:, 0] - 2 * x[:, 1] + x[:, 2])[:, None]
    model = npdl.Sequential([layers.Dense(1)], seed=0)
    model.compile(Ftrl(0.5, l1_regularization_strength=6.0), "mse")
    history = model.fit(x, y, epochs=10, batch_size=32, verbose=0).history["loss"]
    kernel = model.get_weights()[0][:, 0]
    assert np.count_nonzero(kernel) == 3 and history[-1] < 0.05
    again = npdl.optimizers.get(npdl.optimizers.serialize(model.optimizer))
    assert again.get_config() == model.optimizer.get_config() and "ftrl" in again.name


def test_steps_of_no_length_and_no_gradient():
    layer = layers.Dense(2).init((3,), seed=0)
    before = layer.params["kernel"].copy()
    Ftrl(0.0).step(layer)
    assert np.array_equal(layer.params["kernel"], before)
    optimizer = Ftrl(0.1, initial_accumulator_value=0.0)  # 0 / 0 in Keras
    optimizer.step(layer)
    assert np.array_equal(layer.params["kernel"], before)


def test_wrong_arguments():
    with pytest.raises(
        ValueError, match=r"Ftrl: learning_rate_power must be a number of at most 0, got 0\.5; pass e\.g"
    ):
        Ftrl(learning_rate_power=0.5)
    with pytest.raises(
        ValueError, match=r"Ftrl: l1_regularization_strength must be at least 0 and a finite number, got"
    ):
        Ftrl(l1_regularization_strength=-1)
