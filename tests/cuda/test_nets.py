"""Whole nets at their real size on the stand-in: gradients against the float64 reference, training as on the CPU.

MNIST CNN, CIFAR CNN, VGG-like with batch normalization, LSTM and GPT, batches of 4; each step by itself and as a graph.
"""

import numpy as np
import pytest

from npdl import Sequential, devices, layers, losses, optimizers
from npdl.models.replay import Replays

L = layers


def vgg():
    net = []
    for place, filters in enumerate((64, 64, 128, 128, 256, 256)):
        net += [L.Conv2D(filters, 3, padding="same"), L.BatchNormalization(), L.ReLU()]
        net += [L.MaxPooling2D(2)] if place % 2 else []
    return [*net, L.Flatten(), L.Dense(10)]


def gpt():
    blocks = [L.TransformerDecoder(512, 4, activation="gelu", normalize_first=True) for _ in range(4)]
    return [L.TokenAndPositionEmbedding(65, 64, 128), *blocks, L.LayerNormalization(), L.Dense(65)]


NETS = {
    "mnist": ((28, 28, 1), lambda: [
        L.Conv2D(10, 5), L.MaxPooling2D(2), L.ReLU(), L.Conv2D(20, 5), L.MaxPooling2D(2), L.ReLU(),
        L.Flatten(), L.Dense(50), L.ReLU(), L.Dense(10),
    ]),
    "cifar": ((32, 32, 3), lambda: [
        L.Conv2D(64, 3, padding="same"), L.ReLU(), L.MaxPooling2D(2), L.Conv2D(128, 3, padding="same"), L.ReLU(),
        L.MaxPooling2D(2), L.Flatten(), L.Dense(256), L.ReLU(), L.Dense(10),
    ]),
    "vgg": ((32, 32, 3), vgg),
    "lstm": ((64,), lambda: [L.Embedding(65, 64), L.LSTM(256, return_sequences=True), L.Dense(65)]),
    "gpt": ((64,), gpt),
}  # fmt: skip
RATE = {"mnist": 0.01, "cifar": 0.01, "vgg": 0.001, "lstm": 1.0, "gpt": 0.01}
"""With these the losses fall, and not in two steps to where float32 has no more digits of them."""
LOSS = losses.SparseCategoricalCrossentropy(from_logits=True)


def data(name):
    rng, (shape, _) = np.random.default_rng(0), NETS[name]
    if len(shape) == 1:
        return rng.integers(0, 65, (4, 64)), rng.integers(0, 65, (4, 64))
    return rng.standard_normal((4, *shape)).astype("float32"), rng.integers(0, 10, 4)


def made(name, device, dtype="float32"):
    shape, inside = NETS[name]
    return Sequential([L.Input(shape), *inside()], seed=0, dtype=dtype).to(device)


def gradients(name, device, dtype, weights):
    """Of the mean cross-entropy, every weight's by name."""
    x, labels = data(name)
    model = made(name, device, dtype)
    model.set_weights([weight.astype(dtype) for weight in weights])
    k, where = model.device.kernels, model.device
    y = model.forward(where.from_host(x.astype(dtype) if x.dtype.kind == "f" else x), training=True)
    dy, out = where.alloc(y.shape, dtype), where.alloc((4,), dtype)
    scale = where.from_host(np.full(4, 0.25, dtype))
    k.sparse_categorical_cross_entropy(where.from_host(labels), y, True, out=out, scale=scale, dy=dy)
    model.backward(dy)
    parts = [part for layer in model.layers for part in layer.walk()]
    return {f"{one.name}/{name}": np.array(where.to_host(g)) for one in parts for name, g in one.grads.items()}


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_the_references(name, place):
    weights = made(name, "cpu").get_weights()
    want = gradients(name, "reference", "float64", weights)
    found = gradients(name, place, "float32", weights)
    assert want.keys() == found.keys()
    whole = np.sqrt(sum(np.square(grad).sum() for grad in want.values()))
    for weight, grad in want.items():
        size = np.linalg.norm(grad)  # of a bias before a batch normalization 0, but for rounding
        assert np.linalg.norm(found[weight] - grad) < 1e-5 * (size if size > 1e-12 * whole else whole), weight


def followed(name, device, epochs=10):
    x, labels = data(name)
    model = made(name, device)
    model.compile(optimizers.SGD(RATE[name]), LOSS)
    return model.fit(x, labels, epochs=epochs, batch_size=4, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize("name", NETS)
def test_ten_steps_as_on_the_cpu(name, place, monkeypatch):
    graphs = []
    driver = devices.get(place).driver
    new_graph = driver._new_graph
    monkeypatch.setattr(driver, "_new_graph", lambda: graphs.append(new_graph()) or graphs[-1])
    wanted, found = followed(name, "cpu"), followed(name, place)
    assert len(graphs) == 1
    monkeypatch.setattr(Replays, "wants", lambda self, batch: False)
    np.testing.assert_array_equal(followed(name, place, 4), found[:4])  # each step by itself: the same bits
    assert len(graphs) == 1
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert wanted[-1] < wanted[0]
