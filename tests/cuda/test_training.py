"""A model trained on the stand-in: the same device class, kernels and calls as on a GPU, computed by the CPU."""

import numpy as np
import pytest

import npdl
from npdl import Model, Sequential, devices, layers
from npdl.devices.cuda.device import CudaDevice
from npdl.devices.cuda.stand_in import StandIn


def trained(device, optimizer, loss, outputs, y):
    x = np.random.default_rng(0).standard_normal((90, 20)).astype("float32")
    model = Sequential(
        [layers.Input((20,)), layers.Dense(33, activation="relu"), layers.Dense(17, "gelu"), layers.Dense(outputs)],
        seed=0,
    ).to(device)
    model.compile(optimizer(), loss())
    history = model.fit(x, y, epochs=3, batch_size=32, verbose=0)
    return model, history.history["loss"], model.predict(x, verbose=0)


@pytest.mark.parametrize(
    "optimizer, loss, outputs",
    (
        (npdl.optimizers.SGD, lambda: npdl.losses.SparseCategoricalCrossentropy(from_logits=True), 5),
        (npdl.optimizers.Adam, npdl.losses.MeanSquaredError, 1),
    ),
)
def test_fit_as_on_the_cpu(optimizer, loss, outputs):
    rng = np.random.default_rng(1)
    y = rng.integers(0, outputs, 90) if outputs > 1 else rng.standard_normal((90, 1)).astype("float32")
    _, losses, outs = trained("cpu", optimizer, loss, outputs, y)
    model, found, there = trained("stand-in", optimizer, loss, outputs, y)
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    np.testing.assert_allclose(there, outs, rtol=1e-4, atol=1e-5)
    weights = model.get_weights()
    for back, before in zip(model.to("cpu").get_weights(), weights, strict=True):
        np.testing.assert_array_equal(back, before)
    assert losses[-1] < losses[0]


def test_host_code_cannot_touch_its_arrays():
    model = Sequential([layers.Input((3,)), layers.Dense(2)], seed=0).to("stand-in")
    kernel = model.layers[-1].params["kernel"]
    with pytest.raises(TypeError, match=r"lives on a device; device.to_host\(array\) copies it"):
        np.asarray(kernel)
    with pytest.raises(TypeError, match="has no truth value"):
        bool(kernel)
    for compute in (lambda: kernel + kernel, lambda: 2 * kernel, lambda: np.ones(2) * kernel, lambda: np.exp(kernel)):
        with pytest.raises(TypeError, match=r"only kernels compute with .* a layer of your own works"):
            compute()
    with pytest.raises(AttributeError, match="a device array has no 'sum'; a layer of your own works"):
        kernel.sum()
    for attempt in (model.predict, model.fit):
        with pytest.raises(TypeError, match=r"x lies on a device, expected a host array; pass device.to_host\(x\)"):
            attempt(kernel)


@pytest.mark.parametrize("kind", ("sequential", "functional"))
def test_by_hand_its_arrays_are_asked_for(kind):
    """A GPU's address on the CPU, or the other way round, would end in something else than an error."""
    x, node = np.ones((4, 3), "float32"), layers.Input((3,))
    layer = layers.Dense(2)
    model = Sequential([node, layer], seed=0) if kind == "sequential" else Model(node, layer(node), seed=0)
    there, other = devices.get("stand-in"), CudaDevice("another", None, StandIn())
    with pytest.raises(TypeError, match="computes on 'cpu', and this array lies elsewhere"):
        model(there.from_host(x))
    y, dx = model(x, training=True), model.backward(np.ones((4, 2), "float32"))
    model.to("stand-in")
    for wrong in (x, other.from_host(x)):
        with pytest.raises(TypeError, match=r"computes on 'stand-in', .*get\('stand-in'\).from_host\(array\) copies"):
            model(wrong)
    given = there.from_host(other.from_host(x))
    np.testing.assert_allclose(there.to_host(model(given, training=True)), y, rtol=1e-6)
    dy = np.ones((4, 2), "float32")
    with pytest.raises(TypeError, match="computes on 'stand-in'"):
        model.backward(dy)
    np.testing.assert_allclose(there.to_host(model.backward(there.from_host(dy))), dx, rtol=1e-6)


def test_a_gpu_computes_in_float32():
    model = Sequential([layers.Input((3,)), layers.Dense(2)], seed=0, dtype="float64")
    with pytest.raises(ValueError, match="models on 'stand-in' work in float32, not in float64"):
        model.to("stand-in")
    assert model.predict(np.ones((1, 3)), verbose=0).dtype == np.float64  # where it was


def test_a_kernel_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="this device has no kernel 'fold_time'"):
        _ = devices.get("stand-in").kernels.fold_time


def test_branches_that_move():
    """Where they meet in backward, gradients are added on the device where they are by now."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((16, 6)).astype("float32"), rng.standard_normal((16, 1)).astype("float32")
    found = []
    for places in (("cpu", "stand-in", "cpu", "stand-in"), ("cpu",) * 4):
        a = layers.Input((6,))
        b = layers.Dense(5, activation="tanh")(a)
        model = npdl.Model(a, layers.Dense(1)(layers.Add()([layers.Dense(5)(b), b])), seed=0)
        model.compile(npdl.optimizers.SGD(0.1), "mse")
        found.append([model.to(place).train_on_batch(x, y) for place in places])
    np.testing.assert_allclose(*found, rtol=1e-5)
