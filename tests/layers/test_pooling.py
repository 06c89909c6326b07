import numpy as np
import pytest

from npdl import layers, testing

GEOMETRIES = [
    ({}, (4, 6, 3)),
    ({"pool_size": 2}, (5, 7, 1)),
    ({"pool_size": 1}, (1, 1, 1)),
    ({"pool_size": 3, "strides": 1}, (6, 5, 2)),
    ({"pool_size": 3, "strides": 2, "padding": "same"}, (6, 7, 2)),
    ({"pool_size": (2, 3), "strides": (3, 1), "padding": "same"}, (7, 5, 2)),
    ({"pool_size": 2, "strides": 3}, (8, 9, 17)),
    ({"pool_size": 5, "strides": 2, "padding": "same"}, (2, 3, 2)),
]
BOTH = pytest.mark.parametrize("kind", [layers.MaxPooling2D, layers.AveragePooling2D])


@BOTH
@pytest.mark.parametrize(("arguments", "shape"), GEOMETRIES)
def test_contract(kind, arguments, shape):
    testing.check_layer(kind(**arguments), shape)


def images(*rows, dtype="float64"):
    """One image of one channel."""
    return np.array(rows, dtype).reshape(1, len(rows), -1, 1)


def test_ties_go_to_the_first_maximum(step, device):
    layer = layers.MaxPooling2D(2).init((2, 4, 1), dtype="float64", device=device)
    got = step(layer, images([1, 1, 0, 2], [1, 1, 2, 2]), dy=images([5, 7]))
    np.testing.assert_array_equal(got["y"], images([1, 2]))
    np.testing.assert_array_equal(got["dx"], images([5, 0, 0, 7], [0, 0, 0, 0]))


def test_overlapping_windows_add_up(step, device):
    layer = layers.MaxPooling2D((1, 2), strides=1).init((1, 4, 1), dtype="float64", device=device)
    got = step(layer, images([1, 3, 2, 0]), dy=images([10, 20, 30]))
    np.testing.assert_array_equal(got["dx"], images([0, 30, 30, 0]))


def test_padding_never_wins(step, device):
    """Not even over numbers that are all below zero."""
    layer = layers.MaxPooling2D(3, strides=2, padding="same").init((4, 4, 1), dtype="float64", device=device)
    x = -np.arange(1.0, 17).reshape(1, 4, 4, 1)
    got = step(layer, x, dy=np.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(got["y"], images([-1, -3], [-9, -11]))
    assert got["dx"].sum() == 4 and np.isfinite(got["dx"]).all()
    low = np.full((1, 4, 4, 1), -np.inf)
    assert np.isneginf(layer(low)).all()


def test_averages_leave_padding_out(step, device):
    layer = layers.AveragePooling2D(2, strides=2, padding="same").init((3, 3, 1), dtype="float64", device=device)
    got = step(layer, images([1, 2, 3], [4, 5, 6], [7, 8, 9]), dy=images([4, 2], [2, 1]))
    np.testing.assert_array_equal(got["y"], images([3, 4.5], [7.5, 9]))
    np.testing.assert_array_equal(got["dx"], np.ones((1, 3, 3, 1)))


@pytest.mark.parametrize(("size", "dtype"), [(16, "uint8"), (17, "int32")])
def test_winners_of_large_windows(size, dtype, device):
    """256 taps fit a byte, 289 do not; the last place wins."""
    layer = layers.MaxPooling2D(size).init((size, size, 1), dtype="float64", device=device)
    x = np.arange(float(size * size)).reshape(1, size, size, 1)
    layer(x, training=True)
    assert layer.saved()[0].dtype == dtype
    dx = layer.backward(np.ones((1, 1, 1, 1)))
    assert dx[0, -1, -1, 0] == 1 and dx.sum() == 1


def test_one_channel_and_one_sample_keep_their_axes(device):
    for n in (1, 3):
        layer = layers.MaxPooling2D(2).init((2, 2, 1), device=device)
        assert layer(np.zeros((n, 2, 2, 1), "float32")).shape == (n, 1, 1, 1)


@BOTH
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"pool_size": 0}, "needs pool_size .* got pool_size=0; pass e.g. pool_size=2"),
        ({"pool_size": (2, True)}, r"needs pool_size .* got pool_size=True"),
        ({"pool_size": 2.0}, "got pool_size=2.0"),
        ({"strides": -1}, "needs strides .* got strides=-1"),
        ({"padding": 1}, "got padding=1"),
        ({"data_format": "channels_first"}, "channels last.*np.moveaxis"),
    ],
)
def test_wrong_arguments(kind, arguments, text):
    with pytest.raises(ValueError, match=f"{kind.__name__} .*{text}"):
        kind(**arguments)


@BOTH
@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((16,), r"Reshape\(\(4, 4, 1\)\)"),
        ((4, 4), r"x\[..., None\]"),
        ((8, 2, 1), r"with pool_size=\(3, 3\): .*3.*width 2"),
    ],
)
def test_wrong_samples(kind, shape, text):
    with pytest.raises(ValueError, match=f"_pooling2d: {kind.__name__} .*{text}"):
        kind(3).init(shape)


@BOTH
def test_flops(kind):
    assert kind(3, strides=2).init((9, 9, 4)).flops() == 4 * 4 * 4 * 9
