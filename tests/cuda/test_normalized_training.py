"""Layers that normalize, embed, drop and place, on the stand-in: against the reference in float64 and the CPU."""

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers, optimizers, random
from npdl.devices.cuda.stand_in import StandIn

RNG = np.random.default_rng(0)
LAYERS = (
    (layers.BatchNormalization(), (9,)),
    (layers.BatchNormalization(center=False, scale=False), (4, 3)),
    (layers.LayerNormalization(), (5, 7)),
    (layers.RMSNormalization(), (7,)),
    (layers.UnitNormalization(), (7,)),
    (layers.GroupNormalization(2), (5, 6)),
    (layers.InstanceNormalization(), (5, 6)),
    (layers.Dropout(0.4), (33,)),
    (layers.SpatialDropout1D(0.4), (6, 5)),
    (layers.AlphaDropout(0.3), (33,)),
    (layers.GaussianDropout(0.3), (33,)),
    (layers.GaussianNoise(0.3), (33,)),
    (layers.Embedding(6, 5), (4,)),
    (layers.TokenAndPositionEmbedding(6, 8, 5), (4,)),
    (layers.PositionEmbedding(8), (4, 5)),
    (layers.SinePositionEncoding(), (4, 5)),
    (layers.RotaryEmbedding(), (4, 6)),
    (layers.Masking(), (4, 5)),
    (layers.EinsumDense("abc,cd->abd", output_shape=(None, 3), bias_axes="d"), (4, 5)),
    (layers.EinsumDense("abc,ecd->abed", output_shape=(None, 2, 3), bias_axes="ed"), (4, 5)),
    (layers.PReLU(), (4, 5)),
    (layers.CategoryEncoding(6, output_mode="count"), (4,)),
)


def step(layer, device, dtype, x, dy=None):
    """Host copies of what a training forward and backward leave."""
    layer = type(layer).from_config(layer.get_config()).init(x.shape[1:], dtype=dtype, seed=0, device=device)
    whole = x.dtype.kind == "i"
    y = layer.forward(layer.device.from_host(x if whole else x.astype(dtype)), True)
    found = {"y": y}
    dy = random.normal(random.key(0, "dy"), y.shape) if dy is None else dy
    found["dx"] = layer.backward(layer.device.from_host(dy.astype(dtype)))
    found.update({f"d{name}": grad for name, grad in layer.grads.items()}, **layer.state)
    return {name: np.array(layer.device.to_host(a)) for name, a in found.items() if a is not None}


@pytest.mark.parametrize("layer, shape", LAYERS, ids=[type(layer).__name__ for layer, _ in LAYERS])
def test_layers(layer, shape):
    whole = isinstance(layer, layers.Embedding | layers.CategoryEncoding)
    x = RNG.integers(0, 6, (6, *shape)) if whole else RNG.standard_normal((6, *shape)).astype("float32")
    if isinstance(layer, layers.Masking):
        x[:, 1] = 0
    wanted, found, there = (
        step(layer, device, dtype, x)
        for device, dtype in (("reference", "float64"), ("stand-in", "float32"), ("cpu", "float32"))
    )
    assert wanted.keys() == found.keys() == there.keys()
    for name, want in wanted.items():
        np.testing.assert_allclose(found[name], want, rtol=1e-5, atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(found[name] == 0, there[name] == 0, err_msg=name)  # the CPU's masks


def tabular(dtype="float32"):
    return Sequential(
        [
            layers.Input((20,)),
            layers.Dense(24, use_bias=False, kernel_regularizer="l2", kernel_constraint="max_norm"),
            layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.2),
            layers.Residual([layers.Dense(24, use_bias=False), layers.BatchNormalization()], activation="relu"),
            layers.GaussianNoise(0.1), layers.Dense(12, "tanh"), layers.LayerNormalization(), layers.AlphaDropout(0.1),
            layers.Dense(5),
        ],
        seed=0, dtype=dtype,
    )  # fmt: skip


def tokens(dtype="float32"):
    return Sequential(
        [
            layers.Input((11,), dtype="int32"),
            layers.TokenAndPositionEmbedding(30, 11, 8), layers.Residual([layers.SinePositionEncoding()]),
            layers.Residual([layers.LayerNormalization(), layers.Dense(16, "gelu"), layers.Dense(8)]),
            layers.SpatialDropout1D(0.2), layers.GroupNormalization(2),
            layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d"),
            layers.RMSNormalization(), layers.Flatten(), layers.Dense(5),
        ],
        seed=0, dtype=dtype,
    )  # fmt: skip


@pytest.fixture(params=(tabular, tokens))
def case(request):
    """(makes a model, x, y)"""
    make = request.param
    x = RNG.integers(0, 30, (40, 11)).astype("int32")
    return make, x if make is tokens else RNG.standard_normal((40, 20)).astype("float32"), RNG.integers(0, 5, 40)


def test_gradients(case):
    """Of the first step, every tensor within 1e-5 of the reference in float64, as a part of its norm."""
    make, x, y = case
    dy, found = RNG.standard_normal((len(y), 5)), []
    for device, dtype in (("reference", "float64"), ("stand-in", "float32")):
        model = make(dtype)
        model.set_weights(make().get_weights())
        model.to(device)
        model.forward(model.device.from_host(x if x.dtype.kind == "i" else x.astype(dtype)), training=True)
        model.backward(model.device.from_host(dy.astype(dtype)))
        grads = [grad for layer in model.layers for part in layer.walk() for grad in part.grads.values()]
        found.append([np.array(model.device.to_host(grad)) for grad in grads])
    assert len(found[0]) == len(found[1]) > 8
    for want, got in zip(*found, strict=True):
        assert np.linalg.norm(got - want) <= 1e-5 * np.linalg.norm(want)


def test_losses_of_ten_steps(case):
    make, x, y = case
    losses = []
    for device in ("cpu", "stand-in"):
        model = make().to(device)
        model.compile(npdl.optimizers.SGD(0.05), npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = model.fit(x, y, epochs=10, batch_size=len(y), verbose=0)
        losses.append([*history.history["loss"], model.evaluate(x, y, verbose=0)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize(
    "optimizer",
    (
        lambda: npdl.optimizers.Lamb(0.01), lambda: npdl.optimizers.Adafactor(0.01),
        lambda: npdl.optimizers.Muon(0.01), lambda: npdl.optimizers.SGD(0.05, global_clipnorm=0.1),
    ),
    ids=("lamb", "adafactor", "muon", "clipped"),
)  # fmt: skip
def test_optimizers(optimizer):
    """Those that need the norm of a tensor."""
    x, y = RNG.standard_normal((40, 20)).astype("float32"), RNG.integers(0, 5, 40)
    losses = []
    for device in ("cpu", "stand-in"):
        model = Sequential([layers.Input((20,)), layers.Dense(12, "tanh"), layers.Dense(5)], seed=0).to(device)
        model.compile(optimizer(), npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
        losses.append(model.fit(x, y, epochs=5, batch_size=20, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_a_step_without_room_leaves_moving_statistics(monkeypatch):
    """It has not happened, to a BatchNormalization before the layer that finds no room neither, nor to a Dropout."""
    rng = np.random.default_rng(5)
    x, y, made = rng.standard_normal((32, 6)).astype("float32"), rng.standard_normal((32, 1)).astype("float32"), []
    allocate = StandIn._allocate

    def small(driver, nbytes):
        if nbytes > 20000:
            raise MemoryError(f"no room for {nbytes} bytes")
        return allocate(driver, nbytes)

    for fails in (True, False):
        inside = [layers.Dense(5), layers.BatchNormalization(momentum=0.5), layers.Dropout(0.2)]
        inside += [layers.Residual([layers.Dense(400), layers.Dense(5)]), layers.Dense(1)]
        model = Sequential([layers.Input((6,)), *inside], seed=2).to("stand-in")
        model.compile(optimizers.SGD(0.01), "mse")
        model.train_on_batch(x[:8], y[:8])
        if fails:
            with (
                monkeypatch.context() as patch,
                pytest.raises(MemoryError, match=r"residual/dense \(Dense\), array 'y'"),
            ):
                patch.setattr(StandIn, "_allocate", small)
                model.train_on_batch(x, y)
        made.append((model.get_weights(), [layer.step for layer in model.layers]))
        model.to("cpu").train_on_batch(x, y)
        made[-1][0].extend(model.get_weights())
    for one, same in zip(made[0][0], made[1][0], strict=True):
        np.testing.assert_array_equal(one, same)
    assert made[0][1] == made[1][1]


def test_a_gradient_that_adds_up_waits_for_room(monkeypatch):
    """The last micro-batch is done again, wherever there was no room: what the first ones gave is there still."""
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((24, 6)).astype("float32"), rng.standard_normal((24, 1)).astype("float32")
    allocate, left, made = StandIn._allocate, [], []

    def counted(driver, nbytes):
        left[0] -= 1
        if left[0] == -1:
            raise MemoryError(f"no room for {nbytes} bytes")
        return allocate(driver, nbytes)

    monkeypatch.setattr(StandIn, "_allocate", counted)
    while not made or left[0] < 0:
        left[:] = [1 << 30]
        model = Sequential([layers.Input((6,)), layers.Dense(5), layers.Dense(1)], seed=2).to("stand-in")
        model.compile(optimizers.Adam(0.01, clipnorm=0.1, gradient_accumulation_steps=3), "mse")
        for start in (0, 8):
            model.train_on_batch(x[start : start + 8], y[start : start + 8])
        left[:] = [len(made)]
        try:
            model.train_on_batch(x[16:], y[16:])
        except MemoryError:
            model.train_on_batch(x[16:], y[16:])
        made.append(model.get_weights())
    assert len(made) > 3
    for weights in made:
        for one, same in zip(weights, made[-1], strict=True):
            np.testing.assert_array_equal(one, same)
