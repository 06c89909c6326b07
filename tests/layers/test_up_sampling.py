import numpy as np
import pytest

from npdl import layers, testing

KINDS = (layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (2, (4, 3)), (1, (3, 2)), (3, (None, 17)), (2, (3, 2, 1)), ((2, 3), (3, 4, 5)), ((1, 4), (None, None, 2)),
        (2, (2, 3, 2, 2)), ((3, 1, 2), (2, 1, 3, 3)),
    ],
)  # fmt: skip
def test_nearest(size, shape, step, device, rng):
    layer = KINDS[len(shape) - 2](size)
    if device == "cpu":
        testing.check_layer(layer, shape)
    layer.init(shape, dtype="float64", device=device)
    x = rng.normal(size=(2, *(n or 3 for n in shape)))
    got = step(layer, x)
    y, pieces = x, got["dy"]
    for axis, times in enumerate(layer.times, 1):
        y = np.repeat(y, times, axis)
        pieces = np.stack(np.split(pieces, pieces.shape[axis] // times, axis), axis).sum(axis + 1)
    np.testing.assert_array_equal(got["y"], y)
    np.testing.assert_allclose(got["dx"], pieces, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "shape"), [(2, (3, 4, 2)), ((1, 3), (1, 5, 1)), ((4, 2), (None, 3, 3)), ((3, 5), (2, 1, 17))]
)
def test_bilinear(size, shape):
    testing.check_layer(layers.UpSampling2D(size, interpolation="bilinear"), shape)


@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos3", "lanczos5"])
def test_other_weights_are_those_of_resizing(interpolation, device, rng):
    layer = layers.UpSampling2D(2, interpolation=interpolation)
    testing.check_layer(layer, (3, 4, 2))
    x = rng.normal(size=(2, 3, 4, 2))
    expected = layers.Resizing(6, 8, interpolation).init(x.shape[1:], dtype="float64", device=device)(x)
    np.testing.assert_array_equal(layer.init(x.shape[1:], dtype="float64", device=device)(x), expected)


def test_bilinear_values(device):
    """Halfway between the centres, constant beyond them, as Keras does it."""
    layer = layers.UpSampling2D((1, 2), interpolation="bilinear").init((1, 3, 1), dtype="float64", device=device)
    x = np.array([0.0, 4, 8]).reshape(1, 1, 3, 1)
    np.testing.assert_allclose(layer(x, training=True).ravel(), [0, 1, 3, 5, 7, 8])
    dx = layer.backward(np.ones((1, 1, 6, 1)))
    np.testing.assert_allclose(dx.ravel(), [2, 2, 2])


def test_defaults_are_keras():
    assert [kind().size for kind in KINDS] == [2, (2, 2), (2, 2, 2)]
    assert KINDS[1]().interpolation == "nearest"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, -1, 1.5, True, (2, 0, 1), (1, 2, 3, 4), "a", None])
def test_wrong_sizes(kind, size):
    with pytest.raises(ValueError, match=f"{kind.__name__} needs size to be .*; pass e.g. size="):
        kind(size)


def test_wrong_calls():
    with pytest.raises(ValueError, match=r"up_sampling2d: UpSampling2D reads samples of shape \(height, width, ch"):
        layers.UpSampling2D().init((4, 4))
    with pytest.raises(ValueError, match=r"UpSampling2D knows interpolation=.*bilinear.* got interpolation='area'"):
        layers.UpSampling2D(interpolation="area")
