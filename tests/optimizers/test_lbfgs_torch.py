"""L-BFGS beside PyTorch's, step for step; the same bits at any number of threads; losses that are no numbers."""

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers
from npdl.optimizers import LBFGS

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def make(optimizer, dtype="float64"):
    model = Sequential([layers.Dense(8, activation="tanh"), layers.Dense(1)], seed=3, dtype=dtype)
    model.build((4,))
    model.compile(optimizer, "mse")
    return model


def make_data(rng):
    x = rng.standard_normal((60, 4))
    return x, np.sin(x @ rng.standard_normal((4, 1)))


@pytest.mark.parametrize(
    "given",
    ({}, {"max_iter": 4}, {"history_size": 3}, {"learning_rate": 0.3, "max_iter": 7}, {"max_iter": 5, "max_eval": 4}),
)
def test_strong_wolfe_is_pytorch_s(rng, given):
    """Weights after each step, of about forty iterations in all; rounding grows from one to the next."""
    x, y = make_data(rng)
    model = make(LBFGS(line_search_fn="strong_wolfe", **given))
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).double()
    with torch.no_grad():
        for mine, other in zip(model.get_weights(), net.parameters(), strict=True):
            other.copy_(torch.tensor(mine.T))
    its = {"lr" if name == "learning_rate" else name: value for name, value in given.items()}
    reference = torch.optim.LBFGS(net.parameters(), line_search_fn="strong_wolfe", **its)
    inputs, targets = torch.tensor(x), torch.tensor(y)

    def closure():
        reference.zero_grad()
        loss = torch.nn.functional.mse_loss(net(inputs), targets)
        loss.backward()
        return loss

    for _ in range(40 // given.get("max_iter", 20)):
        before = reference.step(closure).item()
        assert model.train_on_batch(x, y) == pytest.approx(before, rel=1e-8)
        for mine, other in zip(model.get_weights(), net.parameters(), strict=True):
            np.testing.assert_allclose(mine, other.detach().numpy().T, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("search", (None, "strong_wolfe"))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_threads_change_no_bit(rng, search, dtype):
    (x, y), found, before = make_data(rng), [], npdl.get_num_threads()
    try:
        for threads in (1, 2, 3):
            npdl.set_num_threads(threads)
            model = make(LBFGS(0.5, max_iter=6, history_size=3, line_search_fn=search), dtype)
            model.fit(x, y, batch_size=60, epochs=3, verbose=0)
            found.append(model.store.data.tobytes())
    finally:
        npdl.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def logarithm(layer, edge=np.inf):
    """w − ln w of one weight, least at 1; NaN where w ≤ 0, and infinite beyond the edge."""

    def closure():
        w = float(layer.params["kernel"][0, 0])
        layer.grads["kernel"][...] = 1 - 1 / w
        return np.nan if w <= 0 or w > edge else w - np.log(w)

    return closure


def one_weight(value):
    layer = layers.Dense(1, use_bias=False).init((1,), dtype="float64", seed=0)
    layer.params["kernel"][...] = value
    return layer


def test_a_step_that_leaves_the_numbers():
    """The search comes back from there; without one the step stops, says so, and the weights are the last good ones."""
    layer = one_weight(5.0)
    LBFGS(20.0, line_search_fn="strong_wolfe").step(layer, logarithm(layer))
    np.testing.assert_allclose(layer.params["kernel"], 1, rtol=1e-6)
    layer = one_weight(5.0)
    optimizer = LBFGS(20.0)
    with pytest.raises(FloatingPointError, match=r"LBFGS: the loss is nan after iteration 1; .* pass line_search_fn="):
        optimizer.step(layer, logarithm(layer))
    assert layer.params["kernel"][0, 0] == 5.0
    optimizer.learning_rate = 0.1
    for _ in range(10):
        optimizer.step(layer, logarithm(layer))
    np.testing.assert_allclose(layer.params["kernel"], 1, rtol=1e-2)
    layer = one_weight(-1.0)
    with pytest.raises(
        FloatingPointError, match="the loss is nan before the first iteration; check the data and the weights"
    ):
        LBFGS().step(layer, logarithm(layer))


def test_no_step_length_at_all():
    layer = one_weight(0.5)  # it wants to grow, and beyond the edge there is nothing
    with pytest.raises(FloatingPointError, match=r"the loss is nan at every step length of iteration 1; .* smaller"):
        LBFGS(line_search_fn="strong_wolfe").step(layer, logarithm(layer, edge=0.5))
    assert layer.params["kernel"][0, 0] == 0.5
    layer.grads["kernel"][...] = np.nan
    with pytest.raises(
        FloatingPointError, match="the gradient holds numbers that are not finite before the first iteration; check"
    ):
        LBFGS().step(layer, lambda: 1.0)
