"""Transposed convolutions and convolutions of volumes."""

import numpy as np
import pytest

from npdl import layers, testing
from npdl.kernels.geometry import transposed_window

GEOMETRIES = [
    (layers.Conv1DTranspose(1, 1), (1, 1)),
    (layers.Conv1DTranspose(3, 4, 2, "same", activation="gelu"), (None, 4)),
    (layers.Conv1DTranspose(4, 3, 3, output_padding=2, groups=2, use_bias=False), (5, 6)),
    (layers.Conv2DTranspose(4, 3, activation="relu"), (5, 6, 2)),
    (layers.Conv2DTranspose(3, (4, 2), (2, 3), "same", activation="tanh"), (3, None, 5)),
    (layers.Conv2DTranspose(17, 3, 2, dilation_rate=2, activation="softmax"), (4, 3, 9)),
    (layers.Conv2DTranspose(16, 3, padding="same", activation="gelu"), (6, 7, 18)),  # by Winograd
    (layers.Conv2DTranspose(6, 3, 2, "same", output_padding=(0, 1), groups=6), (3, 4, 6)),  # depthwise
    (layers.Conv3DTranspose(2, 3, 2, "same", activation="tanh"), (3, None, 2, 3)),
    (layers.Conv3DTranspose(4, (1, 2, 3), (1, 2, 1), groups=2, activation="gelu"), (2, 2, 3, 2)),
    (layers.Conv3D(3, 3, padding="same", activation="relu"), (4, 5, 3, 2)),
    (layers.Conv3D(4, (2, 3, 2), (2, 1, 3), groups=2, activation="gelu"), (5, None, 6, 4)),
    (layers.Conv3D(2, 2, dilation_rate=(1, 2, 1), padding="same", use_bias=False), (2, 3, 3, 1)),
]


@pytest.mark.parametrize(("layer", "shape"), GEOMETRIES, ids=lambda one: getattr(one, "name", one))
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


@pytest.mark.parametrize(
    ("layer", "shape", "weights", "flops"),
    [
        (layers.Conv1DTranspose(8, 5, 2, groups=2), (9, 6), [(5, 4, 6), (8,)], 9 * 6 * 2 * 5 * 4 + 21 * 8),
        (layers.Conv2DTranspose(8, (3, 5), use_bias=False), (9, 8, 4), [(3, 5, 8, 4)], 9 * 8 * 4 * 2 * 15 * 8),
        (layers.Conv3DTranspose(8, 2, 2), (2, 3, 4, 5), [(2, 2, 2, 8, 5), (8,)], 24 * 5 * 2 * 8 * 8 + 4 * 6 * 8 * 8),
        (layers.Conv3D(8, (1, 2, 3)), (2, 3, 4, 5), [(1, 2, 3, 5, 8), (8,)], 2 * 2 * 2 * 8 * (2 * 6 * 5 + 1)),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_weights_are_keras(layer, shape, weights, flops):
    layer = type(layer).from_config(layer.get_config()).init(shape, seed=0)
    assert [w.shape for w in layer.get_weights()] == weights
    assert layer.flops() == flops


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "more", "dilation", "expected", "before"),
    [  # what Keras 3 makes of them
        (5, 3, 2, "valid", None, 1, 11, 0), (5, 2, 3, "valid", None, 1, 15, 0), (5, 3, 2, "valid", 1, 1, 12, 0),
        (5, 3, 1, "valid", None, 2, 9, 0), (5, 3, 2, "same", None, 1, 10, 0), (5, 4, 2, "same", None, 1, 10, 1),
        (5, 5, 2, "same", None, 1, 10, 1), (5, 2, 3, "same", None, 1, 15, 0), (5, 3, 2, "same", 0, 1, 9, 1),
        (5, 3, 2, "same", 1, 1, 10, 0), (5, 4, 3, "same", 0, 1, 12, 2), (5, 4, 3, "same", 2, 1, 14, 1),
        (5, 3, 1, "same", None, 3, 5, 3),
    ],
)  # fmt: skip
def test_sizes_are_keras(size, kernel, stride, padding, more, dilation, expected, before):
    more = more if more is None else (more,)
    g = transposed_window((size, 4), (kernel,), (stride,), padding, more, (dilation,), 6)
    assert (g.in_w, g.pad_left, g.out_w, g.channels, g.filters) == (expected, before, size, 6, 4)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_it_is_the_input_gradient_of_a_convolution(padding, rng, device):
    conv = layers.Conv2D(5, 3, 2, padding, use_bias=False).init((9, 7, 4), dtype="float64", seed=0, device=device)
    y = conv(rng.normal(size=(2, 9, 7, 4)), training=True)
    dx = conv.backward(y)
    transposed = layers.Conv2DTranspose(4, 3, 2, padding, use_bias=False, output_padding=0)
    transposed.init(y.shape[1:], dtype="float64", device=device).set_weights(conv.get_weights())
    np.testing.assert_allclose(transposed(y), dx, rtol=1e-12, atol=1e-14)


def test_wrong_arguments():
    for kind in (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose):
        for wrong in (2, -1, 0.5, (0,) * 4, True):
            with pytest.raises(ValueError, match=rf"{kind.__name__} needs output_padding .* below strides=.*, got out"):
                kind(4, 3, 2, output_padding=wrong)
        with pytest.raises(ValueError, match=f'{kind.__name__} knows padding="valid" and padding="same", got'):
            kind(4, 3, padding="causal")
        with pytest.raises(ValueError, match=f"{kind.__name__}: filters=4 is no multiple of groups=3"):
            kind(4, 3, groups=3)
        axes = int(kind.__name__[4])
        with pytest.raises(ValueError, match=f"{kind.__name__} with groups=2 needs a multiple of 2 channels"):
            kind(4, 3, groups=2).init((5,) * (axes + 1))
        with pytest.raises(ValueError, match=f"{kind.__name__} reads samples of shape|reads images"):
            kind(4, 3).init((5,) * (axes + 3))
    with pytest.raises(ValueError, match=r"Conv1DTranspose with kernel_size=\(2,\), output_padding=\(0,\) leaves no"):
        layers.Conv1DTranspose(4, 2, padding="same", output_padding=0).init((1, 1))


def test_wrong_volumes():
    with pytest.raises(ValueError, match=r"Conv3D with kernel_size=.*: a window of 3 does not fit a volume of depth 2"):
        layers.Conv3D(4, 3).init((2, 3, 3, 1))
    with pytest.raises(ValueError, match=r"Conv3D reads samples of shape \(depth, height, width, channels\), got"):
        layers.Conv3D(4, 3).init((3, 3, 3))
    with pytest.raises(ValueError, match=r"Conv3D with groups=2 needs a multiple of 2 channels.*\(3, 3, 3, 5\)"):
        layers.Conv3D(4, 3, groups=2).init((3, 3, 3, 5))
