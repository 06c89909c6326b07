import itertools

import numpy as np
import pytest

from npdl import layers, testing
from npdl.kernels.geometry import window2d

GEOMETRIES = [
    ({"filters": 1, "kernel_size": 1}, (1, 1, 1)),
    ({"filters": 3, "kernel_size": 1}, (4, 5, 2)),
    ({"filters": 4, "kernel_size": 3, "activation": "relu"}, (7, 6, 1)),
    ({"filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"}, (5, 7, 3)),
    ({"filters": 2, "kernel_size": (2, 4), "padding": "same", "use_bias": False}, (6, 5, 3)),
    ({"filters": 2, "kernel_size": (3, 2), "strides": (2, 3), "activation": "gelu"}, (8, 9, 2)),
    ({"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "tanh"}, (7, 8, 2)),
    ({"filters": 2, "kernel_size": 2, "strides": 3, "padding": "same"}, (7, 8, 2)),
    ({"filters": 2, "kernel_size": 3, "dilation_rate": 2}, (8, 7, 2)),
    ({"filters": 2, "kernel_size": 3, "dilation_rate": (3, 2), "padding": "same"}, (5, 6, 2)),
    ({"filters": 2, "kernel_size": 3, "dilation_rate": 2, "strides": 2, "padding": "same"}, (9, 8, 2)),
    ({"filters": 6, "kernel_size": 3, "groups": 2}, (5, 5, 4)),
    ({"filters": 4, "kernel_size": 3, "groups": 4, "padding": "same", "strides": 2, "activation": "relu"}, (6, 5, 4)),
    ({"filters": 3, "kernel_size": 5, "padding": "same"}, (2, 2, 2)),
    ({"filters": 17, "kernel_size": 3, "activation": "softmax"}, (6, 6, 9)),
    ({"filters": 2, "kernel_size": 3, "padding": "same", "padding_mode": "reflect", "strides": 2}, (None, 5, 2)),
]


@pytest.mark.parametrize(("arguments", "shape"), GEOMETRIES)
def test_contract(arguments, shape):
    testing.check_layer(layers.Conv2D(**arguments), shape)


def test_shapes_parameters_and_flops():
    layer = layers.Conv2D(8, (3, 5), strides=(2, 1), groups=2).init((28, 20, 4), seed=0)
    assert layer.output_shape == (13, 16, 8)
    assert [w.shape for w in layer.get_weights()] == [(3, 5, 2, 8), (8,)]
    assert layer.flops() == 13 * 16 * 8 * (2 * 3 * 5 * 2 + 1)


def test_same_pads_the_odd_place_at_the_end(device):
    """A 2x2 kernel of which only the first tap is 1 moves nothing: there is no padding before."""
    layer = layers.Conv2D(1, 2, padding="same").init((3, 3, 1), seed=0, device=device)
    layer.params["kernel"][...] = 0
    layer.params["kernel"][0, 0] = 1
    x = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    np.testing.assert_array_equal(layer(x), x)


def test_config_holds_normalised_sizes():
    config = layers.Conv2D(8, 3, strides=[2, 2], padding="SAME").get_config()
    assert config["kernel_size"] == (3, 3) and config["strides"] == (2, 2) and config["padding"] == "same"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"filters": 0, "kernel_size": 3}, r"Conv2D needs filters .* got filters=0; pass e.g. Conv2D\(32, 3\)"),
        ({"filters": True, "kernel_size": 3}, "Conv2D needs filters .* got filters=True"),
        ({"filters": 4, "kernel_size": 0}, "Conv2D needs kernel_size .* got kernel_size=0"),
        ({"filters": 4, "kernel_size": 2.5}, "Conv2D needs kernel_size .* got kernel_size=2.5"),
        (
            {"filters": 4, "kernel_size": (3, 3, 3)},
            r"kernel_size to be one whole number or 2,.* got kernel_size=\(3, 3, 3\)",
        ),
        ({"filters": 4, "kernel_size": "3"}, "kernel_size to be one whole number or 2,.* got kernel_size='3'"),
        ({"filters": 4, "kernel_size": 3, "strides": 0}, "Conv2D needs strides .* got strides=0; pass e.g. strides=1"),
        ({"filters": 4, "kernel_size": 3, "dilation_rate": 0}, "dilation_rate=0"),
        (
            {"filters": 4, "kernel_size": 3, "padding": "full"},
            "Conv2D knows padding=\"valid\" and .* got padding='full'",
        ),
        (
            {"filters": 4, "kernel_size": 3, "data_format": "channels_first"},
            r"channels last.*'channels_first'.*np.moveaxis\(x, 1, -1\)",
        ),
        ({"filters": 4, "kernel_size": 3, "groups": 3}, "Conv2D: filters=4 is no multiple of groups=3"),
        ({"filters": 4, "kernel_size": 3, "groups": 0}, "Conv2D needs groups .* got groups=0"),
        ({"filters": 4, "kernel_size": 3, "activation": "rellu"}, "unknown activation 'rellu'; did you mean 'relu'"),
    ],
)
def test_wrong_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        layers.Conv2D(**arguments)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (
            (784,),
            r"conv2d: Conv2D reads images .* got samples of shape \(784,\); put e.g. layers.Reshape\(\(28, 28, 1\)\)",
        ),
        ((10,), r"samples of shape \(10,\); put layers.Reshape\(\(height, width, channels\)\) before it"),
        ((28, 20), r"pass x\[..., None\], or put layers.Reshape\(\(28, 20, 1\)\) before it"),
        ((4, 9, 3), r"conv2d: Conv2D with kernel_size=\(5, 5\), dilation_rate=\(1, 1\): .*5.*height 4.*padding=.same."),
    ],
)
def test_wrong_samples(shape, text):
    with pytest.raises(ValueError, match=text):
        layers.Conv2D(8, 5).init(shape)


def test_groups_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match=r"conv2d: Conv2D with groups=2 needs a multiple of 2 channels.*\(8, 8, 3\)"):
        layers.Conv2D(8, 5, groups=2).init((8, 8, 3))


def reads(out, stride, pad, kernel, dilation, size):
    """(place, tap, pixel) of all that a window reads along an axis."""
    return [
        (i, p, i * stride - pad + p * dilation)
        for i in range(out) for p in range(kernel) if 0 <= i * stride - pad + p * dilation < size
    ]  # fmt: skip


@pytest.mark.parametrize("size", range(1, 7))
def test_what_is_cut_from_strides_and_dilations_beyond_the_image_is_not_read(size):
    for kernel, stride in itertools.product(range(1, 6), (*range(1, 9), 2**62)):
        for dilation in (*range(1, 2 * size + stride % 100 + 6), 2**20, 2**62):
            span, out = (kernel - 1) * dilation + 1, -(-size // stride)
            pad = max((out - 1) * stride + span - size, 0) // 2
            g = window2d((size, 1, 1), (kernel, 1), (stride, 1), "same", (dilation, 1))
            found = reads(g.out_h, g.stride_h, g.pad_top, kernel, g.dilation_h, size)
            assert found == reads(out, stride, pad, kernel, dilation, size), (kernel, stride, dilation)
            assert g.pad_top <= (kernel - 1) * 3 * (size + 1)


@pytest.mark.parametrize(("kernel", "strides"), [(1, 1), (2, 1), (3, 1), (3, 2**62), ((4, 5), 3)])
def test_a_dilation_far_beyond_the_image(kernel, strides, rng):
    layer = layers.Conv2D(2, kernel, strides, "same", dilation_rate=2**62).init((4, 5, 3), dtype="float64", seed=0)
    x = rng.normal(size=(2, 4, 5, 3))
    y = layer(x, training=True)
    testing.gradient_check(layer, x).raise_if_wrong()
    if kernel == 3 and strides == 1:
        np.testing.assert_allclose(y, x @ layer.params["kernel"][1, 1], rtol=1e-12, atol=1e-14)
