"""Cropping and ZeroPadding: what the one does, the other takes back."""

import numpy as np
import pytest

from npdl import layers, testing

CROPPING = (layers.Cropping1D, layers.Cropping2D, layers.Cropping3D)
PADDING = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
GEOMETRIES = [  # margins as given, as read, samples
    (None, None, (9, 4)),
    ((0, 2), (0, 2), (5, 3)),
    (1, (1, 1), (None, 1)),
    (None, None, (5, 6, 2)),
    (0, ((0, 0), (0, 0)), (2, 3, 1)),
    ((1, 2), ((1, 1), (2, 2)), (6, 7, 3)),
    (((2, 0), (0, 3)), ((2, 0), (0, 3)), (4, 5, 17)),
    (None, None, (4, 5, 3, 2)),
    ((0, 1, (2, 0)), ((0, 0), (1, 1), (2, 0)), (2, 4, 5, 3)),
]


def make(kinds, given, shape):
    kind = kinds[len(shape) - 2]
    return kind() if given is None else kind(given)


@pytest.mark.parametrize(("given", "read", "shape"), GEOMETRIES)
def test_contract(given, read, shape):
    for kinds in (CROPPING, PADDING):
        testing.check_layer(make(kinds, given, shape), shape)


@pytest.mark.parametrize(("given", "read", "shape"), GEOMETRIES)
def test_values(given, read, shape, step, device, rng):
    shape = tuple(size or 5 for size in shape)
    padding = make(PADDING, given, shape).init(shape, dtype="float64", device=device)
    x = rng.normal(size=(3, *shape))
    got = step(padding, x)
    margins = (padding.padding,) if len(shape) == 2 else padding.padding
    if read is not None:
        assert padding.padding == read
    np.testing.assert_array_equal(got["y"], np.pad(x, ((0, 0), *margins, (0, 0))))
    assert got["y"].shape[1:] == padding.output_shape and padding.flops() == 0
    cropping = CROPPING[len(shape) - 2](padding.padding).init(padding.output_shape, dtype="float64", device=device)
    np.testing.assert_array_equal(cropping(got["y"]), x)
    np.testing.assert_array_equal(got["dx"], cropping(got["dy"]))
    assert cropping.output_shape == shape and cropping.flops() == 0


def test_defaults_are_keras():
    assert [kind().cropping for kind in CROPPING] == [(1, 1), ((0, 0),) * 2, ((1, 1),) * 3]
    assert [kind().padding for kind in PADDING] == [(1, 1), ((1, 1),) * 2, ((1, 1),) * 3]


@pytest.mark.parametrize("kind", [*CROPPING, *PADDING])
@pytest.mark.parametrize("given", [-1, 1.5, True, "a", (1, 2, 3, 4), ((1, 2, 3),) * 3, (-1, 0), None, [[1], [1], [1]]])
def test_wrong_margins(kind, given):
    with pytest.raises(ValueError, match=rf"{kind.__name__} needs (cropping|padding) .* at least 0 .*; pass e.g. "):
        kind(given)


@pytest.mark.parametrize("kind", [*CROPPING, *PADDING])
def test_wrong_samples(kind):
    axes = int(kind.__name__[-2])
    with pytest.raises(ValueError, match=rf"{kind.__name__} reads samples of shape .*, got .*; reshape the data"):
        kind(1).init((5,) * (axes + 2))
    with pytest.raises(ValueError, match=r"; put layers.Reshape\(\(5, .*1\)\) before it"):
        kind(1).init((5,) * axes)
    if axes > 1:
        with pytest.raises(ValueError, match="channels last"):
            kind(1, data_format="channels_first")


def test_nothing_left():
    with pytest.raises(ValueError, match=r"cropping1d: nothing is left of samples of shape \(3, 2\) .*crop less"):
        layers.Cropping1D((1, 2)).init((3, 2))
    free = layers.Cropping1D((1, 2)).init((None, 2))
    with pytest.raises(ValueError, match="nothing is left"):
        free(np.zeros((1, 3, 2), "float32"))
