"""ScheduleFreeAdamW against Keras' steps, weight by weight; the two sets of weights, files, wrong arguments."""

import math

import numpy as np
import pytest

import npdl
from npdl import layers
from npdl.optimizers import ScheduleFreeAdamW


def keras(y, gradients, rate, beta_1, beta_2, epsilon, warmup, decay):
    """(y, x) of one weight after these gradients, as the documentation of Keras 3 tells the steps."""
    z, v, x = y, 0.0, y
    for t, g in enumerate(gradients, 1):
        y *= 1 - rate * decay
        v += (g * g - v) * (1 - beta_2)
        x = (y - (1 - beta_1) * z) / beta_1
        z -= rate * min(t / max(warmup, 1), 1) * g / (math.sqrt(v / (1 - beta_2**t)) + epsilon)
        x = (1 - 1 / t) * x + z / t
        y = (1 - beta_1) * z + beta_1 * x
    return y, x


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("warmup, decay", [(0, None), (7, 0.1)])
def test_formula_of_keras(warmup, decay, device, rng):
    layer = layers.Dense(5).init((4,), dtype="float64", seed=0, device=device)
    given = {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6}
    optimizer = ScheduleFreeAdamW(
        0.05, **given, warmup_steps=warmup, weight_decay=decay, decoupled_weight_decay=decay is not None
    )
    kernel, gradients = layer.params["kernel"], rng.normal(size=(20, 4, 5))
    first = np.array(kernel)
    for g in gradients:
        layer.grads["kernel"][...] = g
        optimizer.step(layer)
    expected = np.array([
        keras(w, gradients[:, i, j], 0.05, 0.8, 0.99, 1e-6, warmup, decay or 0) for (i, j), w in np.ndenumerate(first)
    ])  # fmt: skip
    for swap, want in ((optimizer.swap_to_train, 0), (optimizer.swap_to_eval, 1), (optimizer.swap_to_train, 0)):
        for _ in range(2):  # a second time changes nothing
            swap(layer)
            assert np.linalg.norm(kernel.ravel() - expected[:, want]) < 1e-12 * np.linalg.norm(expected)


def test_fit_ends_with_the_mean(rng):
    x = rng.normal(size=(256, 8)).astype("float32")
    y = x @ rng.normal(size=(8, 1)).astype("float32")
    model = npdl.Sequential([layers.Dense(1)], seed=0)
    model.compile(ScheduleFreeAdamW(0.05, warmup_steps=5), "mse")
    history = model.fit(x, y, epochs=20, batch_size=32, verbose=0).history["loss"]
    optimizer, ends = model.optimizer, model.get_weights()
    assert optimizer.swapped and model.evaluate(x, y, verbose=0) < 0.01 * history[0]
    again = npdl.optimizers.get(npdl.optimizers.serialize(optimizer))
    again.set_state(*optimizer.get_state())
    assert again.swapped and again.get_config() == optimizer.get_config()
    optimizer.swap_to_train(model)
    between = model.get_weights()
    assert not np.array_equal(between[0], ends[0])
    optimizer.swap_to_eval(model)
    assert np.allclose(model.get_weights()[0], ends[0], rtol=1e-5, atol=1e-6)
    model.fit(x, y, epochs=1, batch_size=32, verbose=0)
    assert optimizer.iterations == 21 * 8 and optimizer.swapped


def test_wrong_arguments():
    with pytest.raises(ValueError, match="ScheduleFreeAdamW: beta_1 must be above 0, or p says nothing of x"):
        ScheduleFreeAdamW(beta_1=0)
    with pytest.raises(ValueError, match=r"warmup_steps must be a whole number of at least 0, got -1; pass e\.g\."):
        ScheduleFreeAdamW(warmup_steps=-1)
