import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize(
    ("axis", "shape"), [(-1, (2,)), (-1, (3, 34)), (1, (4, 3)), (2, (3, 4, 5)), (-2, (None, 6, 3)), (-1, (None, 4))]
)
def test_glu_contract(axis, shape):
    testing.check_layer(layers.GLU(axis), shape)


@pytest.mark.parametrize(
    ("units", "axis", "shape"), [(1, -1, (3,)), (4, -1, (12,)), (5, -1, (3, 5)), (2, 1, (6, 4)), (17, 2, (None, 34, 3))]
)
def test_maxout_contract(units, axis, shape):
    testing.check_layer(layers.Maxout(units, axis), shape)


def test_values(device):
    x = np.array([[1.0, -2, 5, 3, 4, -1]])
    np.testing.assert_array_equal(layers.Maxout(2).init((6,), dtype="float64", device=device)(x), [[5, 3]])
    np.testing.assert_array_equal(layers.Maxout(3).init((6,), dtype="float64", device=device)(x), [[3, 4, 5]])
    y = layers.GLU().init((6,), dtype="float64", device=device)(x)
    np.testing.assert_allclose(y, x[:, :3] / (1 + np.exp(-x[:, 3:])), rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: layers.GLU().init((3,)),
            r"glu: GLU cuts axis -1 in two halves, got samples of shape \(3,\); make its",
        ),
        (lambda: layers.GLU(0).init((4,)), r"GLU needs an axis of the samples of fixed length.* got axis=0 for"),
        (lambda: layers.GLU(2).init((4,)), r"got axis=2 for samples of shape \(4,\); pass e.g. axis=-1"),
        (lambda: layers.GLU(1.5).init((4,)), r"got axis=1.5 for"),
        (lambda: layers.GLU(1).init((None, 4)), r"got axis=1 for samples of shape \(None, 4\)"),
        (lambda: layers.Maxout(4).init((6,)), r"Maxout\(4\) needs a length along axis -1 that it divides"),
        (lambda: layers.Maxout(0), "Maxout needs num_units to be a whole number of at least 1, got num_units=0"),
        (lambda: layers.Maxout(2, axis=3).init((6,)), "Maxout needs an axis of the samples .* got axis=3"),
    ],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()
