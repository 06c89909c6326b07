import numpy as np

from npdl import layers, testing


def test_contract():
    testing.check_layer(layers.Identity(), (3, 4))


def test_nothing_moves():
    layer, x = layers.Identity().init((5,)), np.ones((2, 5), "float32")
    assert layer(x, training=True) is x and layer.backward(x) is x and layer.flops() == 0
