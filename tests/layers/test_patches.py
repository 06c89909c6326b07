"""Layers that move numbers between places and channels: PixelShuffle, PixelUnshuffle, ChannelShuffle, Unfold, Fold."""

import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.PixelShuffle(2), (2, None, 8)),
        (layers.PixelShuffle(3), (2, 1, 9)),
        (layers.PixelUnshuffle(2), (2, 4, 3)),
        (layers.PixelUnshuffle(1), (None, 3, 2)),
        (layers.ChannelShuffle(2), (3, 6)),
        (layers.ChannelShuffle(5), (None, 2, 5)),
        (layers.Unfold(2), (3, None, 2)),
        (layers.Unfold((2, 3), strides=(2, 1), padding="same", dilation_rate=2), (5, 4, 1)),
        (layers.Fold(4, 2, strides=2), (4, 12)),
        (layers.Fold((3, 4), (2, 3), padding="same"), (12, 6)),
    ],
)
def test_contract(layer, shape):
    testing.check_layer(layer, shape)
    assert layer.from_config(layer.get_config()).init(shape).flops() == 0


@pytest.mark.parametrize("r", [1, 2, 3])
def test_pixels_there_and_back(r, rng, device):
    x = rng.normal(size=(2, 4, 3, 5 * r * r)).astype("float32")
    to = layers.PixelShuffle(r).init(x.shape[1:], device=device)
    y = to(x)
    for i in range(r):
        for j in range(r):
            np.testing.assert_array_equal(y[:, i::r, j::r], x[..., i * r + j :: r * r])
    back = layers.PixelUnshuffle(r).init(y.shape[1:], device=device)
    np.testing.assert_array_equal(back(y), x)


def test_patches_add_up(rng, device):
    """Of ones: each place as often as patches show it."""
    unfold = layers.Unfold(3, padding="same").init((5, 6, 2), device=device)
    x = rng.normal(size=(2, 5, 6, 2)).astype("float32")
    y = unfold(x)
    np.testing.assert_array_equal(y[:, 7, 8:10], x[:, 1, 1])  # the middle of the patch around it
    fold = layers.Fold((5, 6), 3, padding="same").init(y.shape[1:], device=device)
    times = fold(np.ones_like(y))
    assert times[0, 0, 0, 0] == 4 and times[0, 2, 2, 1] == 9
    np.testing.assert_allclose(fold(y), x * times, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "shape", "text"),
    [
        (lambda: layers.PixelShuffle(2), (3, 3, 6), r"PixelShuffle\(2\) makes one channel of 4, .* e.g. 8"),
        (lambda: layers.PixelUnshuffle(2), (4, 3, 6), r"takes heights and widths that 2 divides, .* crop or pad"),
        (lambda: layers.ChannelShuffle(4), (3, 6), r"ChannelShuffle\(4\) takes a multiple of 4 channels"),
        (lambda: layers.Unfold(4), (3, 3, 1), r"Unfold with kernel_size=\(4, 4\), .* does not fit"),
        (lambda: layers.Fold(4, 2, strides=2), (5, 12), r"from samples of shape \(4, 4 · channels\), got \(5, 12\)"),
    ],
)
def test_shapes_that_do_not_fit(make, shape, text):
    with pytest.raises(ValueError, match=text):
        make().init(shape)


def test_images_of_a_size_that_does_not_divide():
    layer = layers.PixelUnshuffle(2).init((None, None, 1))
    with pytest.raises(ValueError, match="takes heights and widths that 2 divides"):
        layer(np.zeros((1, 3, 4, 1), "float32"))
