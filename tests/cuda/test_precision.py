"""Mixed precision on GPUs: 16-bit factors for cuBLAS, a 16-bit copy of the weights; the CPU's emulation beside."""

import numpy as np
import pytest

from npdl import Sequential, devices, layers, optimizers
from npdl.devices.precision import PRECISIONS
from npdl.kernels.cuda import rounding
from npdl.kernels.geometry import window2d

MIXED = tuple(PRECISIONS)
KINDS = tuple(PRECISIONS.values())


def awkward():
    exponents = np.arange(256, dtype=np.uint32) << 23
    digits = [k << (lost - 1) for lost in (13, 16, 17, 20) for k in (1, 2, 3)]
    digits = np.array([d + e & 0x7FFFFF for d in (*digits, 0, 1 << 23) for e in (-1, 0, 1)], np.uint32)
    x = np.concatenate(
        [(exponents[:, None] | digits | sign).reshape(-1) for sign in (np.uint32(0), np.uint32(1 << 31))]
    )
    return x.view(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_is_the_cpus_bit_for_bit(device, kind):
    x = awkward()
    nan, expected, out = np.isnan(x), np.empty_like(x), device.zeros(x.shape, "float32")
    getattr(devices.get("cpu").kernels, f"round_{kind}")(x, out=expected)
    getattr(rounding, f"round_{kind}")(device.from_host(x), out=out)
    ours = device.to_host(out)
    np.testing.assert_array_equal(np.isnan(ours), nan)
    np.testing.assert_array_equal(ours.view(np.uint32)[~nan], expected.view(np.uint32)[~nan])
    narrow = device.zeros(x.shape, "uint16")
    rounding.narrow(device.from_host(x), kind, out=narrow)
    bits = device.to_host(narrow)
    wide = bits.view(np.float16).astype(np.float32) if kind == "float16" else (bits.astype("uint32") << 16).view("f4")
    np.testing.assert_array_equal(np.isnan(wide), nan)
    np.testing.assert_array_equal(wide.view(np.uint32)[~nan], expected.view(np.uint32)[~nan])


def test_shapes_are_compared(device):
    x, out = device.zeros((3,), "float32"), device.zeros((2,), "float32")
    for call, name in (
        (lambda: rounding.round_float16(x, out=out), "round_float16"),
        (lambda: rounding.round_bfloat16(x, out=out), "round_bfloat16"),
        (lambda: rounding.narrow(x, "float16", out=out), "narrow"),
    ):
        with pytest.raises(ValueError, match=rf"{name}: out must have shape \(3,\), got \(2,\)"):
            call()


@pytest.mark.parametrize("precision", MIXED)
def test_products_are_the_cpus(place, precision):
    """By cuBLAS, by columns, by kernels that multiply themselves."""
    rng = np.random.default_rng(0)
    gpu, cpu = (devices.get(name, precision) for name in (place, "cpu"))

    def both(name, shapes, out, *more):
        given = [rng.standard_normal(shape).astype("float32") for shape in shapes]
        results = []
        for one in (gpu, cpu):
            made = one.zeros(out, "float32")
            getattr(one.kernels, name)(*map(one.from_host, given), *more, out=made)
            results.append(one.to_host(made))
        assert np.linalg.norm(results[0] - results[1]) < 1e-6 * np.linalg.norm(results[1]), name

    both("matmul", [(7, 33), (33, 5)], (7, 5))
    both("einsum", [(3, 4, 5), (5, 6)], (3, 4, 6), "abc,cd->abd")
    both("einsum", [(3, 4, 5), (5, 3, 6)], (4, 3, 6), "abc,cad->bad")
    for channels, filters, groups in ((3, 4, 1), (40, 24, 1), (6, 4, 2), (6, 6, 6)):
        g = window2d((6, 5, channels), (3, 3), (1, 1), "same", filters=filters, groups=groups)
        x, w, y = (2, 6, 5, channels), (3, 3, channels // groups, filters), (2, 6, 5, filters)
        both("conv2d", [x, w], y, g)
        both("conv2d_dx", [y, w], x, g)
        both("conv2d_dkernel", [x, y], w, g)
    assert gpu.driver.factors.kind is None


def small(kind, precision, optimizer):
    stack = {
        "mlp": [layers.Flatten(), layers.Dense(16, activation="relu"), layers.Dense(3)],
        "cnn": [layers.Conv2D(6, 3, activation="relu"), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3)],
        "attention": [layers.Reshape((6, 6)), layers.TransformerEncoder(8, 2), layers.Flatten(), layers.Dense(3)],
        "lstm": [layers.Reshape((6, 6)), layers.LSTM(5), layers.Dense(3)],
    }[kind]
    model = Sequential(stack, seed=2)
    model.build((6, 6, 1))
    model.compile(optimizer, "sparse_categorical_crossentropy", precision=precision)
    return model


@pytest.mark.parametrize(
    ("kind", "precision"),
    [*(("cnn", precision) for precision in MIXED), ("attention", "mixed_bfloat16"), ("lstm", "mixed_bfloat16")],
)
def test_training_is_the_cpus_emulation(place, kind, precision):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((16, 6, 6, 1)).astype("float32"), rng.integers(0, 3, 16)
    losses = []
    for name in (place, "cpu"):
        model = small(kind, precision, optimizers.SGD(0.05)).to(name)
        losses.append(model.fit(x, y, batch_size=8, epochs=5, verbose=0).history["loss"])
        assert model.get_weights()[0].dtype == np.float32 and model.precision == precision
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_the_copy_of_the_weights_follows_them(place):
    """Steps renew it, what else writes weights makes it stale; captured steps and inference read what is there now."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((24, 6, 6, 1)).astype("float32"), rng.integers(0, 3, 24)
    model = small("mlp", "mixed_bfloat16", optimizers.Adam(0.01)).to(place)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    copy = model.store._copy
    assert copy.fresh
    bits, weights = (model.device.to_host(one) for one in (copy.array, model.store.data))
    expected = np.empty_like(weights)
    devices.get("cpu").kernels.round_bfloat16(weights, out=expected)
    np.testing.assert_array_equal((bits.astype(np.uint32) << 16).view(np.float32), expected)
    for _ in range(3):  # the third is captured
        before = model.predict_on_batch(x[:8])
    changed = [w + 1 for w in model.get_weights()]
    for change in (model.set_weights, lambda given: model.layers[1].set_weights(given[:2])):
        change(changed)
        assert not copy.fresh
        after = model.predict_on_batch(x[:8])
        assert copy.fresh and not np.array_equal(before, after)
        twin = small("mlp", "mixed_bfloat16", "sgd")
        twin.set_weights(model.get_weights())
        np.testing.assert_allclose(after, twin.predict_on_batch(x[:8]), rtol=1e-5)
        changed, before = [w - 1 for w in changed], after
    model.set_weights(changed)
    loss = model.train_on_batch(x[:8], y[:8])
    twin = small("mlp", "mixed_bfloat16", "sgd")
    twin.set_weights(changed)
    np.testing.assert_allclose(loss, twin.train_on_batch(x[:8], y[:8]), rtol=1e-5)


STEPS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "adam": lambda: optimizers.Adam(0.1),
    "rmsprop": lambda: optimizers.RMSprop(0.1),
    "lookahead": lambda: optimizers.Lookahead(optimizers.SGD(0.1), sync_period=2),
    "ema": lambda: optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=2),
}


@pytest.mark.parametrize("optimizer, constraint", [*((name, None) for name in STEPS), ("sgd", "non_neg")])
def test_every_step_writes_the_copy(place, optimizer, constraint):
    """In the update's own launch, or behind it; a frozen layer's weights are in it too."""
    model = Sequential([layers.Dense(5, kernel_constraint=constraint), layers.Dense(3), layers.Dense(2)], seed=0)
    model.build((4,))
    model.layers[1].trainable = False
    model.compile(STEPS[optimizer](), "mse", precision="mixed_bfloat16")
    model.to(place)
    rng = np.random.default_rng(5)
    for _ in range(5):
        model.train_on_batch(rng.standard_normal((8, 4)).astype("f4"), rng.standard_normal((8, 2)).astype("f4"))
        copy, weights = model.store._copy, model.device.to_host(model.store.data)
        expected = np.empty_like(weights)
        getattr(devices.get("cpu").kernels, f"round_{copy.kind}")(weights, out=expected)
        bits = model.device.to_host(copy.array)
        np.testing.assert_array_equal((bits.astype(np.uint32) << 16).view(np.float32), expected)


def test_an_update_of_its_own_launch(place):
    """Adam without constraints: nothing is cast behind it."""
    if place != "stand-in":
        pytest.skip("counts launches of the stand-in")
    model = Sequential([layers.Dense(5), layers.Dense(2)], seed=0)
    model.build((4,))
    model.compile(optimizers.Adam(0.1), "mse", precision="mixed_float16")
    model.to(place)
    x, y = np.ones((8, 4), "f4"), np.ones((8, 2), "f4")
    model.train_on_batch(x, y)
    launched = model.device.driver.launched
    before = launched["update"], launched["narrow_kernel"]
    model.optimizer.step(model)
    assert (launched["update"] - before[0], launched["narrow_kernel"] - before[1]) == (1, 0)
    weights, bits = (model.device.to_host(one) for one in (model.store.data, model.store._copy.array))
    np.testing.assert_array_equal(bits.view(np.float16), weights.astype(np.float16))


def test_another_precision_and_back(place):
    x = np.random.default_rng(3).standard_normal((8, 6, 6, 1)).astype("float32")
    model = small("mlp", None, "sgd").to(place)
    plain = model.predict(x)
    for precision in ("mixed_bfloat16", "mixed_float16", None):
        model.compile("sgd", "mse", precision=precision)
        emulated = small("mlp", precision, "sgd")
        emulated.set_weights(model.get_weights())
        np.testing.assert_allclose(model.predict(x), emulated.predict(x), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model.predict(x), plain)


def test_overflows_are_skipped(place):
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((32, 6, 6, 1)).astype("float32"), rng.integers(0, 3, 32)
    states = []
    for name in (place, "cpu"):
        model = small("mlp", "mixed_float16", optimizers.Adam(0.01))
        model.loss_scale.scale = 2.0**24
        model.to(name)
        loss = model.fit(x, y, batch_size=8, epochs=6, verbose=0).history["loss"]
        states.append((model.loss_scale.get_state(), model.optimizer.iterations))
    assert states[0] == states[1] and 0 < states[0][0]["skipped"] < 20 and np.isfinite(loss).all()
