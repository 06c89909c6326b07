"""Recurrent and attention layers, and small models of them, on the stand-in: against the reference in float64 and the
CPU."""

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers, random

RNG = np.random.default_rng(0)
LAYERS = (
    (layers.SimpleRNN(5, go_backwards=True), (4, 3), True),
    (layers.LSTM(5, return_sequences=True), (4, 3), False),
    (layers.LSTM(5, recurrent_dropout=0.4, dropout=0.2, seed=1, zero_output_for_mask=True, return_sequences=True),
     (4, 3), True),
    (layers.GRU(5, return_sequences=True), (4, 3), True),
    (layers.GRU(5, reset_after=False, recurrent_dropout=0.4, seed=1), (4, 3), True),
    (layers.Bidirectional(layers.LSTM(5, return_sequences=True)), (4, 3), True),
    (layers.MultiHeadAttention(2, 3, use_causal_mask=True), (4, 6), True),
    (layers.MultiHeadAttention(2, 3, value_dim=4, dropout=0.3, seed=1), (4, 6), False),
    (layers.GroupedQueryAttention(3, 4, 2), (4, 6), True),
    (layers.TransformerEncoder(8, 2), (4, 6), True),
    (layers.TransformerDecoder(8, 2, normalize_first=True), (4, 6), False),
)  # fmt: skip


def step(layer, device, dtype, x, mask):
    """Host copies of what a training forward and backward leave."""
    layer = type(layer).from_config(layer.get_config()).init(x.shape[1:], dtype=dtype, seed=0, device=device)
    given = [] if mask is None else [layer.device.from_host(mask)]
    y = layer.forward(layer.device.from_host(x.astype(dtype)), True, *given)
    dy = random.normal(random.key(0, "dy"), y.shape).astype(dtype)
    found = {"y": layer.device.to_host(y), "dx": layer.device.to_host(layer.backward(layer.device.from_host(dy)))}
    for part in layer.walk():
        found.update({f"d{part.name}/{name}": layer.device.to_host(grad) for name, grad in part.grads.items()})
    return {name: np.array(array) for name, array in found.items()}


def near(found, wanted):
    """Raise unless all is wanted to 5 digits.

    A gradient may be 0 but for rounding, as that of the keys' bias is, which a softmax takes no notice of: a hundredth
    of the largest array counts as its size.
    """
    assert list(wanted) == list(found)
    least = max(np.linalg.norm(want) for want in wanted.values()) / 100
    for name, want in wanted.items():
        error = np.linalg.norm(found[name] - want) / max(np.linalg.norm(want), least)
        assert error < 1e-5, (name, error)


@pytest.mark.parametrize("layer, shape, masked", LAYERS, ids=[type(layer).__name__ for layer, *_ in LAYERS])
def test_layers(layer, shape, masked):
    x, mask = RNG.standard_normal((3, *shape)).astype("float32"), None
    if masked:
        mask = np.array([[1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 0, 0]], bool)
    wanted, found = step(layer, "reference", "float64", x, mask), step(layer, "stand-in", "float32", x, mask)
    near(found, wanted)


def recurrent(layer):
    return [layers.Input((7, 3)), layers.Dense(6), layer, layers.Dense(4)]


def transformer():
    block = layers.TransformerEncoder(8, 2)
    return [layers.Input((7,)), layers.TokenAndPositionEmbedding(11, 7, 6), block, layers.Dense(11)]


MODELS = {
    "LSTM": lambda: recurrent(layers.LSTM(5)),
    "GRU": lambda: recurrent(layers.GRU(5)),
    "Transformer": transformer,
}


def data(name):
    rng = np.random.default_rng(1)
    if name == "Transformer":
        return rng.integers(0, 11, (6, 7)), rng.integers(0, 11, (6, 7))
    return rng.standard_normal((6, 7, 3)).astype("float32"), rng.integers(0, 4, 6)


def trained(name, device):
    model = Sequential(MODELS[name](), seed=0).to(device)
    loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(npdl.optimizers.SGD(0.1), loss)
    x, y = data(name)
    history = model.fit(x, y, epochs=10, batch_size=len(x), verbose=0, shuffle=False)
    return history.history["loss"]


@pytest.mark.parametrize("name", MODELS)
def test_ten_steps_as_on_the_cpu(name):
    losses = trained(name, "cpu")
    np.testing.assert_allclose(trained(name, "stand-in"), losses, rtol=1e-4)
    assert losses[-1] < losses[0]


def first_step(name, device, dtype):
    """Gradients of the first step."""
    model = Sequential(MODELS[name](), seed=0, dtype=dtype).to(device)
    x, labels = data(name)
    x = x.astype(dtype) if x.dtype.kind == "f" else x
    where = model.layers[-1].device
    y = model.forward(where.from_host(x), True)
    dy, out = where.alloc(y.shape, dtype), where.alloc((len(x),), dtype)
    scale = where.from_host(np.full(len(x), 1 / len(x), dtype))
    where.kernels.sparse_categorical_cross_entropy(where.from_host(labels), y, True, out=out, scale=scale, dy=dy)
    model.backward(dy)
    return {
        f"{part.name}/{key}": np.array(where.to_host(grad))
        for layer in model.layers
        for part in layer.walk()
        for key, grad in part.grads.items()
    }


@pytest.mark.parametrize("name", MODELS)
def test_first_gradients_as_the_reference(name):
    wanted = first_step(name, "reference", "float64")
    assert len(wanted) > 4
    near(first_step(name, "stand-in", "float32"), wanted)
