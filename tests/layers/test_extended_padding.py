import numpy as np
import pytest

from npdl import layers, testing

REFLECTION = (layers.ReflectionPadding1D, layers.ReflectionPadding2D, layers.ReflectionPadding3D)
CIRCULAR = (layers.CircularPadding1D, layers.CircularPadding2D, layers.CircularPadding3D)
REPLICATION = (layers.ReplicationPadding1D, layers.ReplicationPadding2D, layers.ReplicationPadding3D)


@pytest.mark.parametrize(
    ("padding", "shape"),
    [((2, 0), (4, 3)), (1, (None, 1)), (((1, 2), (0, 3)), (3, 5, 2)), (0, (2, 2, 1)), ((1, 2, 0), (3, None, 2, 2))],
)
@pytest.mark.parametrize("kinds", [REFLECTION, REPLICATION, CIRCULAR])
def test_contract(kinds, padding, shape):
    testing.check_layer(kinds[len(shape) - 2](padding), shape)


@pytest.mark.parametrize("shape", [(5, 2), (4, 5, 3), (3, 4, 3, 2)])
@pytest.mark.parametrize(("kinds", "mode"), [(REFLECTION, "reflect"), (REPLICATION, "edge"), (CIRCULAR, "wrap")])
def test_it_is_numpys(kinds, mode, shape, rng, device):
    layer = kinds[len(shape) - 2](2).init(shape, dtype="float64", device=device)
    x = rng.normal(size=(3, *shape))
    expected = np.pad(x, ((0, 0), *((2, 2),) * (len(shape) - 1), (0, 0)), mode=mode)
    np.testing.assert_array_equal(layer(x), expected)
    assert layer.output_shape == expected.shape[1:] and layer.flops() == 0


@pytest.mark.parametrize("kind", REFLECTION)
def test_margins_of_more_places_than_there_are(kind):
    axes = int(kind.__name__[-2])
    with pytest.raises(ValueError, match=rf'{kind.__name__} needs 3 places beside an axis of 3, more than "reflect"'):
        kind(3).init((3,) * axes + (1,))
    free = kind(3).init((None,) * axes + (1,))
    with pytest.raises(ValueError, match='give it larger samples, or take "replicate"'):
        free(np.zeros((1,) + (3,) * axes + (1,), "float32"))


@pytest.mark.parametrize("kind", REFLECTION + REPLICATION + CIRCULAR)
def test_wrong_arguments(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__} needs padding .* at least 0 .*; pass e.g. padding=1"):
        kind(-1)
    with pytest.raises(ValueError, match=f"{kind.__name__} reads samples of shape"):
        kind(1).init((5,))
