"""Nets of images on the stand-in: gradients against the float64 reference, and training as on the CPU."""

import numpy as np
import pytest

from npdl import Sequential, layers, losses, optimizers

L = layers
NETS = {
    "mnist": (
        (16, 16, 1),
        lambda: [
            L.Conv2D(10, 5), L.MaxPooling2D(2), L.ReLU(), L.Conv2D(20, 5), L.MaxPooling2D(2), L.ReLU(),
            L.Flatten(), L.Dense(50), L.ReLU(), L.Dense(10),
        ],
    ),
    "cifar": (
        (12, 12, 3),
        lambda: [
            L.Conv2D(64, 3, padding="same"), L.ReLU(), L.MaxPooling2D(2), L.Conv2D(128, 3, padding="same"), L.ReLU(),
            L.MaxPooling2D(2), L.Flatten(), L.Dense(256), L.ReLU(), L.Dense(10),
        ],
    ),
}  # fmt: skip


def data(shape):
    rng = np.random.default_rng(0)
    return rng.standard_normal((16, *shape)).astype("float32"), rng.integers(0, 10, 16)


def made(name, device, dtype="float32"):
    shape, inside = NETS[name]
    return Sequential([L.Input(shape), *inside()], seed=0, dtype=dtype).to(device)


def gradients(model, x, labels):
    """Of the mean cross-entropy, every weight's by name."""
    device = model.device
    logits = np.array(device.to_host(model.forward(device.from_host(x.astype(model.dtype)), training=True)), np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    dy = (shares / shares.sum(axis=1, keepdims=True) - np.eye(10)[labels]) / len(x)
    model.backward(device.from_host(dy.astype(model.dtype)))
    found = {f"{one.name}/{name}": grad for one in model.layers for name, grad in one.grads.items()}
    return {name: np.array(device.to_host(grad)) for name, grad in found.items()}


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_the_references(name):
    x, labels = data(NETS[name][0])
    model, exact = made(name, "stand-in"), made(name, "reference", "float64")
    exact.set_weights([w.astype("float64") for w in model.get_weights()])
    want, found = gradients(exact, x, labels), gradients(model, x, labels)
    assert want.keys() == found.keys()
    for weight, grad in want.items():
        off = np.linalg.norm(found[weight] - grad) / np.linalg.norm(grad)
        assert off < 1e-5, f"{weight}: {off}"


@pytest.mark.parametrize("name", NETS)
def test_ten_steps_as_on_the_cpu(name):
    x, labels = data(NETS[name][0])
    followed = []
    for device in ("cpu", "stand-in"):
        model = made(name, device)
        model.compile(optimizers.SGD(0.05), losses.SparseCategoricalCrossentropy(from_logits=True))
        followed.append(model.fit(x, labels, epochs=10, batch_size=16, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(followed[1], followed[0], rtol=1e-4)
    assert followed[0][-1] < followed[0][0]
