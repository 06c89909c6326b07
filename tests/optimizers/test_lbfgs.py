"""L-BFGS: published minima, in fit, state, arguments. PyTorch: test_optimizer_database_torch.py."""

import numpy as np
import pytest

from npdl import Sequential, layers, load_model
from npdl.optimizers import LBFGS


def rosenbrock(layer):
    """(1 − x)² + 100 (y − x²)², least at (1, 1), of a layer's two weights."""

    def closure():
        x, y = layer.params["kernel"].ravel()
        layer.grads["kernel"][...] = np.reshape([2 * (x - 1) - 400 * x * (y - x * x), 200 * (y - x * x)], (2, 1))
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2

    return closure


@pytest.mark.parametrize("search", (None, "strong_wolfe"))
def test_rosenbrock(search):
    layer = layers.Dense(1, use_bias=False).init((2,), dtype="float64", seed=0)
    layer.params["kernel"][...] = [[-1.2], [1.0]]
    rate, closure = 1.0 if search else 0.2, rosenbrock(layer)
    optimizer = LBFGS(rate, 60, tolerance_grad=1e-10, tolerance_change=1e-16, line_search_fn=search)
    assert optimizer.step(layer, closure) == pytest.approx(24.2)  # published, at (−1.2, 1)
    for _ in range(3 if search else 20):
        optimizer.step(layer, closure)
    np.testing.assert_allclose(layer.params["kernel"], [[1], [1]], rtol=1e-6)


def make_model(optimizer, dtype="float64"):
    model = Sequential([layers.Dense(6, activation="tanh"), layers.Dense(1)], seed=1, dtype=dtype)
    model.compile(optimizer, "mse")
    return model


def make_data(rng):
    x = rng.standard_normal((50, 3))
    return x, np.sin(x).sum(axis=1, keepdims=True)


def test_fit_and_resume(rng, tmp_path):
    x, y = make_data(rng)
    model = make_model(LBFGS(max_iter=10, history_size=4, line_search_fn="strong_wolfe"))
    before = model.evaluate(x, y, verbose=0) if model.store else None
    losses = model.fit(x, y, batch_size=50, epochs=6, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < 0.05 * losses[0] and before is None and model.optimizer.iterations == 6
    assert set(model.optimizer.state) == {"d", "previous", *(f"{a}{i}" for a in "ys" for i in range(4))}
    model.save(tmp_path / "m.npdl")
    other = load_model(tmp_path / "m.npdl")
    for each in (model, other):
        each.fit(x, y, batch_size=50, epochs=3, verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.store.data, other.store.data)


def test_linear_least_squares_are_solved(rng):
    x, y = make_data(rng)
    model = Sequential([layers.Dense(1)], seed=0, dtype="float64")
    model.compile(LBFGS(line_search_fn="strong_wolfe", tolerance_change=1e-14, weight_decay=0.1), "mse")
    model.fit(x, y, batch_size=50, epochs=3, verbose=0)
    a = np.hstack([x, np.ones((50, 1))])
    want = np.linalg.solve(2 * a.T @ a / 50 + 0.1 * np.eye(4), 2 * a.T @ y / 50)
    got = np.vstack([model.layers[0].params["kernel"], model.layers[0].params["bias"][None]])
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


def test_bad_arguments(rng):
    layer = layers.Dense(1).init((2,), seed=0)
    for make, error, message in (
        (lambda: LBFGS(max_iter=0), ValueError, "LBFGS: max_iter must be a whole number of at least 1, got 0"),
        (lambda: LBFGS(line_search_fn="armijo"), ValueError, 'line_search_fn must be None or "strong_wolfe", got'),
        (lambda: LBFGS(clipnorm=1.0), ValueError, "LBFGS needs the gradient as it is, got clipnorm; leave it out"),
        (lambda: LBFGS().step(layer), TypeError, r"needs a function .*; write optimizer.step\(model, closure\)"),
        (lambda: LBFGS().add_group(var_names=["a"], learning_rate_multiplier=2), ValueError, "takes one step for all"),
    ):
        with pytest.raises(error, match=message):
            make()
