"""ProjectedLSTM: the contract, its formula, first states, masks."""

import numpy as np
import pytest

import npdl
from npdl import layers, testing
from npdl.testing.differences import Tensor, compare

Projected = layers.ProjectedLSTM


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Projected(5, 2, return_sequences=True), (4, 3)),
        (Projected(3, 3, use_bias=False, go_backwards=True, projection_regularizer="l2"), (None, 2)),
        (Projected(4, 1, dropout=0.3, recurrent_dropout=0.4, return_sequences=True), (3, 2)),
        (layers.Bidirectional(Projected(3, 2, return_sequences=True)), (3, 2)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


def made(rng, shape, dtype="float64", device="cpu", **options):
    layer = Projected(5, 2, return_sequences=True, return_state=True, **options)
    layer.init((shape, (2,), (5,)), dtype=dtype, seed=1, device=device)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def sigma(v):
    return 1 / (1 + np.exp(-v))


def test_the_formula(rng, device):
    """Step by step, from first states, a masked step leaving them as they are."""
    layer = made(rng, (6, 3), device=device)
    x, r, c = rng.normal(size=(4, 6, 3)), rng.normal(size=(4, 2)), rng.normal(size=(4, 5))
    mask = rng.random((4, 6)) < 0.6
    mask[0], mask[1, :3] = False, False
    W, R, b, P = layer.get_weights()
    y, after, cell = layer((x, r, c), mask=(mask, None, None))
    for t in range(6):
        i, f, g, o = np.split(x[:, t] @ W + r @ R + b, 4, axis=1)
        new = sigma(f) * c + sigma(i) * np.tanh(g)
        there = mask[:, t, None]
        c, r = np.where(there, new, c), np.where(there, (sigma(o) * np.tanh(new)) @ P, r)
        seen = mask[:, : t + 1].any(axis=1)[:, None]
        np.testing.assert_allclose(y[:, t], np.where(seen, r, 0), atol=1e-12)
    np.testing.assert_allclose(after, r, atol=1e-12)
    np.testing.assert_allclose(cell, c, atol=1e-12)


@pytest.mark.parametrize("masked", (True, False))
def test_gradients_of_all_there_is(masked, rng):
    layer = made(rng, (4, 3))
    x = tuple(rng.normal(size=shape) for shape in ((3, 4, 3), (3, 2), (3, 5)))
    mask = (np.array([[False] * 4, [False, False, True, True], [True, False, True, False]]), None, None)
    mask = mask if masked else None
    dy = tuple(rng.normal(size=y.shape) for y in layer(x, mask=mask))

    def value():
        return np.concatenate([(y * d).ravel() for y, d in zip(layer.forward(x, True, mask), dy, strict=True)])

    value()
    pairs = [(f"x{i}", *pair) for i, pair in enumerate(zip(x, layer.backward(dy), strict=True))]
    pairs += [(name, layer.params[name], layer.grads[name]) for name in layer.params]
    compare([Tensor(layer.name, name, a, np.array(g), value) for name, a, g in pairs]).raise_if_wrong()


def test_weights_configuration_and_use(rng):
    layer = Projected(6, 4, projection_constraint="max_norm").init((5, 3))
    assert {name: array.shape for name, array in layer.params.items()} == {
        "kernel": (3, 24), "recurrent_kernel": (4, 24), "bias": (24,), "projection_kernel": (6, 4),
    }  # fmt: skip
    assert layer.params["bias"].tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12  # unit_forget_bias
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    assert layer.flops() == layers.LSTM(6).init((5, 3)).flops() + 5 * 2 * 6 * 4
    model = npdl.Sequential([Projected(6, 4, stateful=True), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    x = rng.normal(size=(8, 5, 3)).astype("float32")
    model.fit(x, x[:, :, :1].sum(1), batch_size=8, epochs=2, verbose=0)
    with pytest.raises(ValueError, match=r"ProjectedLSTM needs projection_units to be a whole number of at least 1"):
        Projected(6, 0)
    with pytest.raises(ValueError, match=r"expected first states of shapes \[\(4,\), \(6,\)\]"):
        Projected(6, 4).init(((5, 3), (6,), (6,)))
