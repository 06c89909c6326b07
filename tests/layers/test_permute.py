import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize(
    ("dims", "shape"),
    [((2, 1), (3, 5)), ((1,), (4,)), ((3, 1, 2), (2, 3, 4)), ((1, 3, 2, 4), (2, 3, 1, 5)), ((2, 1), (None, 3))],
)
def test_contract(dims, shape):
    testing.check_layer(layers.Permute(dims), shape)


def test_axes(step, device, rng):
    layer = layers.Permute((3, 1, 2)).init((4, 5, 6), dtype="float64", device=device)
    x = rng.normal(size=(2, 4, 5, 6))
    got = step(layer, x)
    assert layer.output_shape == (6, 4, 5) and layer.flops() == 0
    np.testing.assert_array_equal(got["y"], x.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(got["dx"], got["dy"].transpose(0, 2, 3, 1))


@pytest.mark.parametrize("dims", [(0, 1), (1, 1), (2, 3), (1.0, 2.0), (), "ab", True])
def test_wrong_dims(dims):
    with pytest.raises(ValueError, match=r"Permute needs dims .* got dims=.*; pass e.g. Permute\(\(2, 1\)\)"):
        layers.Permute(dims)


def test_wrong_samples():
    with pytest.raises(ValueError, match=r"permute: dims=\(2, 1\) orders 2 axes, got samples of shape \(4, 5, 6\)"):
        layers.Permute((2, 1)).init((4, 5, 6))
