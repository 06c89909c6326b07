import numpy as np
import pytest

from npdl import layers, testing


@pytest.mark.parametrize("shape", [(4,), (3, 2), (2, 3, 4), ()])
def test_contract(shape):
    testing.check_layer(layers.Flatten(), shape)


def test_order_and_memory():
    layer = layers.Flatten().init((2, 3))
    x = np.arange(12, dtype="float32").reshape(2, 2, 3)
    y = layer(x, training=True)
    np.testing.assert_array_equal(y, [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])
    dx = layer.backward(y)
    np.testing.assert_array_equal(dx, x)
    assert np.shares_memory(y, x) and np.shares_memory(dx, y) and layer.flops() == 0


def test_no_samples_and_free_axes():
    layer = layers.Flatten().init((None, 3))
    assert layer.output_shape == (None,)
    for n, length in ((0, 2), (2, 0), (2, 5)):
        assert layer(np.zeros((n, length, 3), "float32")).shape == (n, 3 * length)


def test_channels_first():
    with pytest.raises(ValueError, match=r"Flatten keeps images channels last.*np.moveaxis\(x, 1, -1\)"):
        layers.Flatten(data_format="channels_first")
