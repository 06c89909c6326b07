"""compile(precision=): what is rounded, what is not, and how a model carries it about."""

import copy
from unittest import mock

import numpy as np
import pytest

import npdl
from npdl import Model, Sequential, devices, layers, optimizers
from npdl.devices.precision import FACTORS, PRECISIONS
from npdl.devices.registry import FAMILIES
from npdl.kernels.geometry import window2d
from npdl.models import replay

MIXED = tuple(PRECISIONS)
NO_PRODUCTS = {
    "im2col", "col2im", "sum_rows", "sum_to", "to_steps", "from_steps", "seen", "unpool", "batch_norm_pooled",
    "batch_norm_pooled_grad",
}  # fmt: skip


def rounded(x, precision):
    out = np.empty_like(x)
    getattr(devices.get("reference").kernels, f"round_{PRECISIONS[precision]}")(x, out=out)
    return out


def digits():
    (x, y), _ = npdl.datasets.digits.load_data()
    return (x[:1024].astype("float32") / 16).reshape(1024, 8, 8, 1), y[:1024]


def mlp(**given):
    model = Sequential([layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(10)], seed=3)
    model.compile(optimizers.Adam(0.003), "sparse_categorical_crossentropy", **given)
    return model


def cnn(**given):
    stack = [
        layers.Conv2D(8, 3, padding="same", activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(),
        layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(10),
    ]  # fmt: skip
    model = Sequential(stack, seed=3)
    model.compile(optimizers.Adam(0.003), "sparse_categorical_crossentropy", **given)
    return model


def lstm(**given):
    model = Sequential([layers.Reshape((8, 8)), layers.LSTM(24), layers.Dense(10)], seed=3)
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", **given)
    return model


def gpt(**given):
    stack = [
        layers.Reshape((8, 8)), layers.Dense(16), layers.TransformerDecoder(32, 2), layers.Flatten(),
        layers.Dense(10),
    ]  # fmt: skip
    model = Sequential(stack, seed=3)
    model.compile(optimizers.AdamW(0.003), "sparse_categorical_crossentropy", **given)
    return model


# ---- what is rounded


def test_every_kernel_that_multiplies_is_known():
    """A new one in these families is a new line in `FACTORS`, or here."""
    families = ("matmul", "conv", "pooled", "rnn", "attention", "einsum")
    there = {name for family in families for name in FAMILIES.get(family, ())}
    assert there <= FACTORS.keys() | NO_PRODUCTS


@pytest.mark.parametrize("precision", MIXED)
@pytest.mark.parametrize("device", ["cpu", "reference", "strict"])
def test_a_product_is_that_of_rounded_factors(device, precision):
    rng = np.random.default_rng(0)
    a, b, bias = (rng.standard_normal(s).astype(np.float32) for s in ((7, 33), (33, 5), (5,)))
    place, full = devices.get(device, precision), devices.get(device)
    out, again, sums = (place.zeros(s, "float32") for s in ((7, 5), (7, 5), (5,)))
    given = [place.from_host(x) for x in (a, b, bias)]
    place.kernels.matmul(*given[:2], out=out, bias=given[2], sums=sums)
    full.kernels.matmul(*(full.from_host(rounded(x, precision)) for x in (a, b)), out=again, bias=given[2])
    np.testing.assert_array_equal(place.to_host(out), full.to_host(again))
    exact = np.float64(rounded(a, precision)) @ np.float64(rounded(b, precision)) + bias
    assert np.linalg.norm(place.to_host(out) - exact) < 1e-6 * np.linalg.norm(exact)
    np.testing.assert_allclose(place.to_host(sums), b.sum(axis=0), rtol=1e-5)  # no product: of b as it is
    np.testing.assert_array_equal(place.to_host(given[0]), a)  # nobody's array is changed


@pytest.mark.parametrize("precision", MIXED)
def test_convolutions_and_both_gradients(precision):
    rng, g = np.random.default_rng(1), window2d((9, 8, 3), (3, 3), (1, 1), "same", filters=4)
    x, w, dz = (rng.standard_normal(s).astype(np.float32) for s in ((2, 9, 8, 3), (3, 3, 3, 4), (2, 9, 8, 4)))
    k, exact = devices.get("cpu", precision).kernels, devices.get("reference").kernels
    for name, pair, shape in (("conv2d", (x, w), dz.shape), ("conv2d_dx", (dz, w), x.shape),
                              ("conv2d_dkernel", (x, dz), w.shape)):  # fmt: skip
        out, expected = np.empty(shape, np.float32), np.empty(shape)
        getattr(k, name)(*pair, g, out=out)
        getattr(exact, name)(*(rounded(one, precision).astype(np.float64) for one in pair), g, out=expected)
        assert np.linalg.norm(out - expected) < 1e-6 * np.linalg.norm(expected), name


def test_what_does_not_multiply_is_the_same_function():
    plain, mixed = devices.get("cpu").kernels, devices.get("cpu", "mixed_bfloat16").kernels
    assert mixed.full is plain and mixed.layer_norm is plain.layer_norm and mixed.adam is plain.adam
    assert mixed.matmul is not plain.matmul


@pytest.mark.parametrize("precision", MIXED)
def test_gradients_by_hand_are_those_of_rounded_factors(precision):
    x, _ = digits()
    model = Sequential([layers.Flatten(), layers.Dense(5)], seed=1)
    model.build((8, 8, 1))
    model.compile("sgd", "mse", precision=precision)
    dy = np.random.default_rng(0).standard_normal((16, 5)).astype(np.float32)
    y = model.forward(x[:16], training=True)
    model.backward(dy)
    W = rounded(model.layers[1].params["kernel"], precision)
    flat, d = rounded(x[:16].reshape(16, 64), precision), rounded(dy, precision)
    np.testing.assert_allclose(y, flat @ W, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.layers[1].grads["kernel"], flat.T @ d, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.layers[1].grads["bias"], dy.sum(axis=0), rtol=1e-5)


# ---- training


@pytest.mark.parametrize("net", [mlp, cnn, lstm, gpt])
def test_training_is_nearly_that_of_float32(net):
    x, y = digits()
    losses = {p: net(precision=p).fit(x, y, epochs=3, verbose=0).history["loss"] for p in (None, *MIXED)}
    assert losses[None][-1] < 0.8 * losses[None][0]
    for precision, most in (("mixed_bfloat16", 0.05), ("mixed_float16", 0.03)):
        np.testing.assert_allclose(losses[precision], losses[None], rtol=most)
        assert losses[precision] != losses[None]


def test_small_updates_are_not_lost():
    """A weight of 1 and steps of 1/1000: in bfloat16, whose unit there is 1/128, it would stay 1 for ever."""
    model = Sequential([layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.build((1,))
    model.compile(optimizers.SGD(0.001), "mae", precision="mixed_bfloat16")
    model.fit(np.ones((50, 1), np.float32), np.zeros((50, 1), np.float32), batch_size=1, verbose=0)
    (weight,) = model.get_weights()
    assert weight.dtype == np.float32
    np.testing.assert_allclose(weight, 0.95, atol=1e-4)


def test_evaluate_and_predict_round_too():
    x, y = digits()
    model = mlp(precision="mixed_bfloat16")
    model.fit(x, y, verbose=0)
    mixed = model.predict(x[:8])
    loss = model.evaluate(x, y, verbose=0)
    np.testing.assert_array_equal(mixed, np.concatenate([model.predict(x[i : i + 1]) for i in range(8)]))
    np.testing.assert_array_equal(mixed, model.predict_on_batch(x[:8]))
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.precision is None
    assert not np.array_equal(mixed, model.predict(x[:8])) and loss != model.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("net", [mlp, cnn, lstm, gpt])
def test_noted_steps_have_the_same_bits(net):
    """Repeated as notes (models/replay.py), layer by layer, and in debug mode, which notes nothing."""
    x, y = (part[:300] for part in digits())
    noted, plain = net(precision="mixed_bfloat16"), net(precision="mixed_bfloat16")
    noted.build((8, 8, 1))
    add = replay.Replay.add
    with mock.patch.object(replay.Replay, "add", autospec=True, side_effect=add) as repeated:
        noted.fit(x, y, epochs=2, verbose=0)
    assert repeated.call_count == 20 - 4  # of two sizes of batches, each met and noted once
    before = npdl.set_debug(True)
    try:
        plain.fit(x, y, epochs=2, verbose=0)
    finally:
        npdl.set_debug(before)
    for a, b in zip(noted.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_by_hand_it_is_what_fit_does():
    x, y = digits()
    fitted, model = mlp(precision="mixed_bfloat16"), mlp(precision="mixed_bfloat16")
    fitted.fit(x, y, batch_size=64, verbose=0)
    model.build((8, 8, 1))
    loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    for xb, yb in npdl.data.batches(x, y, batch_size=64, seed=model.seed, epoch=0):
        loss.forward(yb, model.forward(xb, training=True))
        model.backward(loss.backward())
        model.optimizer.step(model)
    for a, b in zip(fitted.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- carried about


def test_saved_cloned_moved(tmp_path):
    x, y = digits()
    model = mlp(precision="mixed_bfloat16")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.npdl")
    for other in (npdl.load_model(tmp_path / "m.npdl"), copy.deepcopy(model)):
        assert other.precision == "mixed_bfloat16"
        np.testing.assert_array_equal(other.predict(x[:9]), model.predict(x[:9]))
        other.fit(x, y, verbose=0)
    assert npdl.clone_model(model).precision is None  # it is not compiled
    model.fit(x, y, verbose=0)
    for a, b in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.to("reference")
    assert model.precision == "mixed_bfloat16" and model.device.name == "reference"
    lines = []
    model.summary(print_fn=lines.append)
    assert "mixed_bfloat16, on reference" in lines[0]


def test_models_that_share_weights_share_it():
    x, _ = digits()
    given = layers.Input((8, 8, 1))
    middle = layers.Dense(4)(layers.Flatten()(given))
    whole, part = Model(given, layers.Dense(2)(middle)), Model(given, middle)
    whole.compile("sgd", "mse", precision="mixed_bfloat16")
    assert part.precision == "mixed_bfloat16"
    part.compile("sgd", "mse", precision="float32")
    assert whole.precision is None
    assert whole.predict(x[:2]).shape == (2, 2)
    part.compile("sgd", "mse", precision="mixed_float16")
    assert whole.loss_scale.scale == 2.0**15 and whole.loss_scale is not part.loss_scale
    whole.fit(x[:8], np.zeros((8, 2), np.float32), verbose=0)
    assert whole.loss_scale.good == 1
    part.compile("sgd", "mse")
    assert whole.loss_scale is None and copy.deepcopy(whole).precision is None


def test_gradient_check_is_in_float64():
    x, y = digits()
    model = mlp(precision="mixed_bfloat16")
    assert model.gradient_check(x[:6], y[:6]).ok


def test_the_cpu_says_once_that_it_is_no_faster(capsys):
    x, y = digits()
    model = mlp(precision="mixed_float16")
    for verbose, times in ((0, 0), (2, 1), (2, 0)):
        model.fit(x[:64], y[:64], verbose=verbose)
        said = capsys.readouterr().out
        assert said.count("mixed_float16 on 'cpu': factors of products are rounded to 16 bits") == times


def test_factors_come_by_place():
    a, kernels = np.ones((2, 2), np.float32), devices.get("cpu", "mixed_float16").kernels
    with pytest.raises(TypeError, match="matmul: in mixed precision its first 2 arguments come by place, not by"):
        kernels.matmul(a, b=a, out=a.copy())


def test_errors_name_the_choices():
    model = Sequential([layers.Dense(1)])
    with pytest.raises(ValueError, match="precision must be None, \"float32\", or one of 'mixed_bfloat16', 'mixed_f"):
        model.compile("sgd", "mse", precision="bf16")
    with pytest.raises(ValueError, match="precision='mixed_float16' keeps weights in float32, and this model works in "
                       'float64; make it with dtype="float32"'):  # fmt: skip
        Sequential([layers.Dense(1)], dtype="float64").compile("sgd", "mse", precision="mixed_float16")
