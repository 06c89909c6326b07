import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        ((6,), (2, 3)),
        ((3, -1), (6,)),
        ((-1,), (2, 3, 4)),
        ((2, 2, 3), (4, 3)),
        ((-1, 2), (None, 4)),
        ((1, 1), ()),
        (4, (2, 2)),
    ],
)
def test_contract(target, shape):
    testing.check_layer(layers.Reshape(target), shape)


def test_order_and_memory():
    layer = layers.Reshape((3, -1)).init((6,))
    assert layer.output_shape == (3, 2)
    x = np.arange(12, dtype="float32").reshape(2, 6)
    y = layer(x, training=True)
    np.testing.assert_array_equal(y[0], [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(layer.backward(y), x)
    assert np.shares_memory(y, x) and layer.flops() == 0
    assert layer(x[:0]).shape == (0, 3, 2)


@pytest.mark.parametrize("target", [(0, 4), (-1, -1), (-2, 3), (2.0, 3), ("a",), (True, 4)])
def test_wrong_target_shapes(target):
    with pytest.raises(ValueError, match=r"Reshape needs whole numbers .* got target_shape=.*Reshape\(\(28, 28, 1\)\)"):
        layers.Reshape(target)


@pytest.mark.parametrize(
    ("target", "shape", "text"),
    [
        ((28, 28), (783,), r"reshape: a sample of shape \(783,\) has 783 elements, target_shape=\(28, 28\) holds 784"),
        ((4, -1), (6,), r"has 6 elements, target_shape=\(4, -1\) holds a multiple of 4"),
        ((2, 2), (None, 2), r"axis of any length, so one size of target_shape=\(2, 2\) must be -1"),
    ],
)
def test_shapes_that_do_not_fit(target, shape, text):
    with pytest.raises(ValueError, match=text):
        layers.Reshape(target).init(shape)
