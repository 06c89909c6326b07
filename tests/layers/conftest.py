"""Fixtures for the tests of layers."""

import numpy as np
import pytest


@pytest.fixture(params=["cpu", "reference"])
def device(request):
    """Each device whose arrays are NumPy's."""
    return request.param


@pytest.fixture
def step(rng):
    """step(layer, x): y, dy, dx and gradients of a training step, as a dictionary; initial weights become random."""

    def run(layer, x, dy=None, randomize=True):
        for weight in layer.store.weights if randomize else ():
            layer.store.assign(weight, rng.uniform(0.5, 1.5, weight.shape) * rng.choice([-1, 1], weight.shape))
        for name in layer.state if randomize else ():
            np.abs(layer.state[name], out=layer.state[name])
        y = layer(x, training=True)
        dy = rng.normal(size=y.shape).astype(y.dtype) if dy is None else dy
        dx = layer.backward(dy)
        return {"y": y, "dy": dy, "dx": dx, **layer.grads}

    return run


@pytest.fixture
def close():
    """close(a, b): demands equality to 1e-9 of the largest number."""

    def check(a, b):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        assert np.max(np.abs(a - b), initial=0) <= 1e-9 * max(np.max(np.abs(b), initial=0), 1e-3)

    return check
