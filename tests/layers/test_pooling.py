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


OTHERS = [
    ({}, (5, 3)),
    ({"pool_size": 3, "strides": 1, "padding": "same"}, (None, 2)),
    ({"pool_size": 2, "strides": 3}, (9, 17)),
    ({}, (4, 5, 2, 3)),
    ({"pool_size": (2, 3, 1), "strides": (1, 2, 2), "padding": "same"}, (3, 5, None, 2)),
    ({"pool_size": 3, "strides": 2, "padding": "same"}, (5, 4, 3, 1)),
]
KINDS = {
    layers.MaxPooling2D: (layers.MaxPooling1D, layers.MaxPooling3D),
    layers.AveragePooling2D: (layers.AveragePooling1D, layers.AveragePooling3D),
}


@BOTH
@pytest.mark.parametrize(("arguments", "shape"), OTHERS)
def test_contract_of_sequences_and_volumes(kind, arguments, shape):
    testing.check_layer(KINDS[kind][len(shape) == 4](**arguments), shape)


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
    _, ((_, winners, *_),) = layer.saved()
    assert winners.dtype == dtype
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


def test_ties_in_volumes_go_to_the_first_maximum(step, device):
    layer = layers.MaxPooling3D(2).init((2, 2, 2, 1), dtype="float64", device=device)
    x = np.zeros((4, 2, 2, 2, 1))
    x[1, 0, 1, 1], x[1, 1] = 1, 1  # the first plane's last place before the second plane's first one
    x[2, 1, :, 1] = 1
    x[3, 0, 1, 0], x[3, 1, 0, 0] = np.nan, np.nan
    got = step(layer, x, dy=np.arange(1.0, 5).reshape(4, 1, 1, 1, 1))
    expected = np.zeros_like(x)
    expected[0, 0, 0, 0], expected[1, 0, 1, 1], expected[2, 1, 0, 1], expected[3, 0, 1, 0] = 1, 2, 3, 4
    np.testing.assert_array_equal(got["dx"], expected)


@pytest.mark.parametrize("axes", [1, 3])
@BOTH
def test_windows_larger_than_samples(kind, axes):
    kind = KINDS[kind][axes == 3]
    assert kind().pool_size == kind().strides == (2,) * axes
    with pytest.raises(ValueError, match=f"{kind.__name__} with pool_size=.*: a window of 3 does not fit a .* 2"):
        kind(3).init((2,) * axes + (1,))
    with pytest.raises(ValueError, match=f"{kind.__name__} reads samples of shape"):
        kind(3).init((2,))


@BOTH
def test_flops(kind):
    assert KINDS[kind][1](2, 1).init((3, 4, None, 5)).flops() == 2 * 3 * 1 * 5 * 8
    assert kind(3, strides=2).init((9, 9, 4)).flops() == 4 * 4 * 4 * 9
