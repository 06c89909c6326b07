import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"groups": 2}, (4, 3, 6)),
        ({"groups": 1, "center": False}, (5, 3)),
        ({"groups": -1, "scale": False}, (None, 5)),
        ({"groups": 3, "center": False, "scale": False, "epsilon": 0.1}, (2, 2, 2, 6)),
        ({"axis": 1, "groups": 2}, (8,)),
        ({"axis": 1, "groups": 2}, (4, 3, 5)),
    ],
)
def test_contract(arguments, shape):
    testing.check_layer(layers.GroupNormalization(**arguments), shape)


@pytest.mark.parametrize(("arguments", "shape"), [({}, (4, 3, 2)), ({"center": True, "scale": True}, (7, 17))])
def test_contract_of_instance_normalization(arguments, shape):
    testing.check_layer(layers.InstanceNormalization(**arguments), shape)


def test_each_group_gets_mean_0_and_variance_1(rng, device):
    layer = layers.GroupNormalization(groups=2).init((4, 5, 6), dtype="float64", device=device)
    y = layer(5 + 3 * rng.normal(size=(3, 4, 5, 6))).reshape(3, 20, 2, 3)
    np.testing.assert_allclose(y.mean((1, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var((1, 3)), 1, atol=1e-3)


def test_one_group_a_channel_is_instance_normalization(rng):
    x = rng.normal(size=(3, 4, 5, 6))
    y = layers.InstanceNormalization(epsilon=1e-3).init((4, 5, 6), dtype="float64")(x)
    for groups in (-1, 6):
        grouped = layers.GroupNormalization(groups=groups).init((4, 5, 6), dtype="float64")
        np.testing.assert_allclose(grouped(x), y, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-12)


def test_configuration_and_weights():
    layer = layers.GroupNormalization(groups=-1, gamma_initializer="ones").init((4, 6))
    assert layer.get_config()["groups"] == -1
    assert {name: w.shape for name, w in layer.params.items()} == {"gamma": (6,), "beta": (6,)}
    assert layers.GroupNormalization().get_config()["groups"] == 32
    assert layers.InstanceNormalization().get_config()["epsilon"] == 1e-5
    assert "groups" not in layers.InstanceNormalization().get_config()


@pytest.mark.parametrize(
    ("arguments", "shape", "text"),
    [
        (
            {"axis": 0},
            (2, 3),
            r"with axis=0 got samples of shape \(2, 3\); .* pass the one of the channels, 1 \.\.\. 2",
        ),
        ({}, (4, None), r"needs a fixed number of channels along axis=-1, got samples of shape \(4, None\)"),
        ({}, (), r"got samples of shape \(\); .*x\.reshape\(-1, 1\)"),
        ({}, (4, 48), r"groups=32 does not divide 48 channels; pass one of \[3, 4, 6, 8, 12, 16, 24, 48\], or -1"),
        ({"groups": 0}, (3,), "groups to be a whole number of at least 1, or -1 .* got groups=0; pass e.g."),
        ({"groups": 1.5}, (3,), "got groups=1.5"),
        ({"groups": True}, (3,), "got groups=True"),
        ({"epsilon": -1}, (3,), "GroupNormalization needs epsilon of at least 0, got -1"),
    ],
)
def test_errors(arguments, shape, text):
    with pytest.raises(ValueError, match=text):
        layers.GroupNormalization(**arguments).init(shape)


def test_errors_of_instance_normalization():
    with pytest.raises(ValueError, match="InstanceNormalization with axis=4 got samples of shape"):
        layers.InstanceNormalization(axis=4).init((4, 5, 6))
    with pytest.raises(ValueError, match="InstanceNormalization needs epsilon of at least 0"):
        layers.InstanceNormalization(epsilon="small")
