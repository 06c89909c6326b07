import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"rate": 0.5}, (7,)),
        ({"rate": 0}, (7,)),
        ({"rate": 0.1, "seed": 3}, (3, 2, 5)),
        ({"rate": 0.9, "noise_shape": (None, 1, 1, 5)}, (3, 2, 5)),
        ({"rate": 0.5, "noise_shape": (None, 3, 1)}, (3, 17)),
    ],
)
def test_contract(arguments, shape):
    testing.check_layer(layers.Dropout(**arguments), shape)


def dropout(rate=0.4, shape=(1000,), device="cpu", seed=0, **arguments):
    return layers.Dropout(rate, **arguments).init(shape, dtype="float64", seed=seed, device=device)


def test_kept_numbers_are_scaled_and_the_rest_is_zero(step, device):
    got = step(dropout(device=device), np.full((20, 1000), 3.0))
    kept = got["y"] != 0
    np.testing.assert_allclose(got["y"][kept], 5.0)
    assert abs(kept.mean() - 0.6) < 0.015
    np.testing.assert_allclose(got["dx"], np.where(kept, got["dy"] / 0.6, 0))


def test_each_step_draws_a_new_mask_and_the_seed_decides():
    ones = np.ones((2, 1000))
    layer = dropout()
    first, second = layer(ones, training=True), layer(ones, training=True)
    assert layer.step == 2
    assert not np.array_equal(first, second) and not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(dropout()(ones, training=True), first)
    assert not np.array_equal(dropout(seed=1)(ones, training=True), first)
    layer.step = 1
    np.testing.assert_array_equal(layer(ones, training=True), second)


def test_a_seed_of_its_own_does_not_depend_on_the_models():
    ones = np.ones((2, 1000))
    same = [dropout(seed=seed, **{})(ones, training=True) for seed in (0, 0)]
    np.testing.assert_array_equal(*same)
    layers_ = [layers.Dropout(0.4, seed=7).init((1000,), dtype="float64", seed=seed) for seed in (0, 1)]
    np.testing.assert_array_equal(*(layer(ones, training=True) for layer in layers_))


def test_backward_uses_the_mask_of_its_forward():
    layer, ones = dropout(), np.ones((2, 1000))
    y = layer(ones, training=True)
    layer.step += 5
    np.testing.assert_array_equal(layer.backward(ones), y)


def test_a_mask_does_not_depend_on_the_batch():
    ones = np.ones((5, 1000))
    np.testing.assert_array_equal(dropout()(ones, training=True)[:2], dropout()(ones[:2], training=True))


def test_noise_shape_shares_the_mask(device):
    y = dropout(shape=(6, 100), device=device, noise_shape=(None, 1, 100))(np.ones((3, 6, 100)), training=True)
    np.testing.assert_array_equal(y, y[:, :1].repeat(6, 1))
    assert not np.array_equal(y[0], y[1])


@pytest.mark.parametrize("arguments", [{}, {"rate": 0}])
def test_identity_returns_x_itself(arguments):
    layer, x = dropout(**arguments), np.ones((2, 1000))
    assert layer(x) is x
    if arguments:
        assert layer(x, training=True) is x and layer.backward(x) is x and layer.step == 0


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 2, "half", None, True, float("nan")])
def test_rates(rate):
    with pytest.raises(ValueError, match=r"Dropout needs a rate in \[0, 1\).*pass e.g. Dropout\(0.5\)"):
        layers.Dropout(rate)


@pytest.mark.parametrize(
    ("noise_shape", "text"),
    [
        ((3, 1), r"dropout: noise_shape=\(3, 1\) does not fit samples of shape \(4, 5\).*\(None, 4, 5\), 1 to share"),
        ((32, 1, 5), "pass None for the batch axis"),
        ((None, 2, 5), "does not broadcast to samples of shape"),
        ((None, None, 5), "does not broadcast"),
        ((), "does not fit"),
    ],
)
def test_noise_shapes(noise_shape, text):
    with pytest.raises(ValueError, match=text):
        layers.Dropout(0.5, noise_shape).init((4, 5))


def test_seeds():
    with pytest.raises(TypeError, match="seed is a whole number"):
        layers.Dropout(0.5, seed="a")
