import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(1), (1,)),
        (layers.Dense(5), (4,)),
        (layers.Dense(5, activation="relu"), (4,)),
        (layers.Dense(17, activation="tanh", use_bias=False), (33,)),
        (layers.Dense(3, activation="gelu"), (7, 4)),
        (layers.Dense(3, activation="softmax"), (None, 4)),
    ],
)
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


def test_the_formula(step, close, device):
    layer = layers.Dense(2).init((3,), dtype="float64", seed=0, device=device)
    x = np.array([[1.0, 2, 3], [4, 5, 6]])
    got = step(layer, x)
    W, b = layer.params["kernel"], layer.params["bias"]
    close(got["y"], [[sum(row[i] * W[i, j] for i in range(3)) + b[j] for j in range(2)] for row in x])
    close(got["dx"], [[sum(d[j] * W[i, j] for j in range(2)) for i in range(3)] for d in got["dy"]])
    close(got["kernel"], [[sum(x[n, i] * got["dy"][n, j] for n in range(2)) for j in range(2)] for i in range(3)])
    close(got["bias"], got["dy"][0] + got["dy"][1])


def test_flops_and_parameters():
    layer = layers.Dense(3).init((5, 4), seed=0)
    assert layer.flops() == 5 * 3 * (2 * 4 + 1)
    assert layer.count_params() == 4 * 3 + 3
    assert [w.shape for w in layer.get_weights()] == [(4, 3), (3,)]


@pytest.mark.parametrize("units", [0, -1, 2.0, "3", True, None])
def test_units(units):
    with pytest.raises(
        ValueError, match=r"Dense needs units to be a whole number of at least 1, got units=.*Dense\(64\)"
    ):
        layers.Dense(units)


def test_a_free_last_axis():
    with pytest.raises(ValueError, match=r"dense: Dense needs a fixed last axis, got samples of shape \(None,\)"):
        layers.Dense(3).init((None,))
