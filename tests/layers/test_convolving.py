"""Layers that slide a window of weights, but for Conv2D."""

import numpy as np
import pytest

from npdl import layers, testing
from npdl.kernels.geometry import window

GEOMETRIES = [
    (layers.Conv1D(1, 1), (1, 1)),
    (layers.Conv1D(4, 3, activation="relu"), (7, 2)),
    (layers.Conv1D(3, 4, strides=2, padding="same", activation="gelu"), (None, 3)),
    (layers.Conv1D(3, 3, padding="causal", dilation_rate=2, activation="tanh"), (9, 4)),
    (layers.Conv1D(6, 2, strides=3, padding="causal", groups=2, use_bias=False), (8, 4)),
    (layers.Conv1D(17, 5, padding="same", activation="softmax"), (3, 9)),
    (layers.DepthwiseConv1D(3, activation="relu"), (7, 5)),
    (layers.DepthwiseConv1D(4, 2, padding="causal", depth_multiplier=2, activation="gelu"), (None, 3)),
    (layers.DepthwiseConv1D(3, padding="same", dilation_rate=2), (4, 1)),
    (layers.DepthwiseConv2D(3, 2, padding="same", activation="relu"), (5, 6, 3)),
    (layers.DepthwiseConv2D((2, 3), (1, 2), depth_multiplier=3, activation="gelu"), (None, 6, 2)),
    (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, dilation_rate=2, use_bias=False), (6, 5, 1)),
    (layers.SeparableConv1D(5, 3, padding="causal", depth_multiplier=2, activation="gelu"), (None, 3)),
    (layers.SeparableConv1D(2, 2, strides=2, use_bias=False), (7, 1)),
    (layers.SeparableConv2D(5, (2, 3), padding="same", depth_multiplier=2, activation="relu"), (5, 6, 3)),
    (layers.SeparableConv2D(3, 3, strides=2, dilation_rate=2, activation="tanh"), (8, None, 2)),
    (layers.Conv1D(3, 4, 2, "same", padding_mode="reflect", activation="tanh"), (None, 2)),
    (layers.DepthwiseConv2D(3, padding="same", padding_mode="circular"), (4, 3, 2)),
    (layers.SeparableConv1D(3, 3, padding="causal", dilation_rate=2, padding_mode="replicate"), (3, 2)),
    (layers.Conv1D(3, 3, padding_mode="reflect"), (5, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), GEOMETRIES, ids=lambda one: getattr(one, "name", one))
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


@pytest.mark.parametrize(
    ("layer", "shape", "weights", "flops"),
    [
        (layers.Conv1D(8, 5, strides=2, groups=2), (28, 4), [(5, 2, 8), (8,)], 12 * 8 * (2 * 5 * 2 + 1)),
        (layers.DepthwiseConv1D(5, depth_multiplier=3), (28, 4), [(5, 4, 3), (12,)], 24 * 12 * (2 * 5 + 1)),
        (layers.DepthwiseConv2D((3, 5)), (9, 8, 4), [(3, 5, 4, 1), (4,)], 7 * 4 * 4 * (2 * 15 + 1)),
        (layers.SeparableConv1D(8, 5, depth_multiplier=3), (28, 4), [(5, 4, 3), (1, 12, 8), (8,)],
         24 * (2 * 12 * 5 + 2 * 12 * 8 + 8)),
        (layers.SeparableConv2D(8, (3, 5), use_bias=False), (9, 8, 4), [(3, 5, 4, 1), (1, 1, 4, 8)],
         7 * 4 * (2 * 4 * 15 + 2 * 4 * 8)),
    ],
    ids=lambda one: getattr(one, "name", None),
)  # fmt: skip
def test_weights_are_keras(layer, shape, weights, flops):
    layer = type(layer).from_config(layer.get_config()).init(shape, seed=0)
    assert [w.shape for w in layer.get_weights()] == weights
    assert layer.flops() == flops


def test_names_of_weights_are_keras():
    separable = layers.SeparableConv1D(2, 3).init((5, 1), seed=0)
    assert list(separable.params) == ["depthwise_kernel", "pointwise_kernel", "bias"]
    assert list(layers.DepthwiseConv2D(3).init((5, 5, 1), seed=0).params) == ["kernel", "bias"]


def test_causal_sees_no_later_step(device):
    layer = layers.Conv1D(2, 3, padding="causal", dilation_rate=2).init((9, 3), seed=0, device=device)
    x = np.random.default_rng(0).normal(size=(1, 9, 3)).astype("float32")
    before = layer(x).copy()
    x[:, 5:] += 1
    after = layer(x)
    np.testing.assert_array_equal(after[:, :5], before[:, :5])
    assert (after[:, 5:] != before[:, 5:]).all()


@pytest.mark.parametrize(("stride", "dilation"), [(2**62, 1), (1, 2**62), (3, 2**40)])
def test_a_stride_and_a_dilation_far_beyond_the_sequence(stride, dilation, rng):
    """Causal, all but the last tap read zeros."""
    layer = layers.Conv1D(2, 3, stride, "causal", dilation_rate=dilation).init((5, 3), dtype="float64", seed=0)
    x = rng.normal(size=(2, 5, 3))
    y = layer(x, training=True)
    expected = (x @ layer.params["kernel"][2])[:, : 5 if stride < 5 else 1 : min(stride, 5)]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
    testing.gradient_check(layer, x).raise_if_wrong()


def test_windows_of_one_axis_are_those_of_an_image_of_height_1():
    for padding in ("valid", "same"):
        one = window((9, 4), (3,), (2,), padding, (2,), 6, 2)
        assert one == window((1, 9, 4), (1, 3), (1, 2), padding, (1, 2), 6, 2)
    assert window((9, 4), (3,), (2,), "causal", (2,)).pad_left == 4


KINDS = [
    layers.Conv1D, layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D, layers.SeparableConv2D,
]  # fmt: skip


def make(kind, **arguments):
    """A layer of that kind, of three filters and a window of three places where nothing else is said."""
    filters = {} if "Depthwise" in kind.__name__ else {"filters": 3}
    return kind(**{**filters, "kernel_size": 3, **arguments})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kernel_size": 0}, "needs kernel_size .* got kernel_size=0; pass e.g. kernel_size=3"),
        ({"kernel_size": (3, 3, 3, 3)}, r"needs kernel_size .* got kernel_size=\(3, 3, 3, 3\)"),
        ({"strides": -1}, "needs strides .* got strides=-1"),
        ({"dilation_rate": 1.5}, "needs dilation_rate .* got dilation_rate=1.5"),
        ({"padding": "full"}, 'knows padding="valid" and padding="same".* got padding=\'full\''),
        ({"data_format": "channels_first"}, "keeps images channels last"),
    ],
)
def test_wrong_arguments(kind, arguments, text):
    with pytest.raises(ValueError, match=f"{kind.__name__} {text}"):
        make(kind, **arguments)


def test_wrong_filters_groups_and_multipliers():
    with pytest.raises(ValueError, match=r"Conv1D needs filters .* got filters=0; pass e.g. Conv1D\(32, 3\)"):
        layers.Conv1D(0, 3)
    with pytest.raises(ValueError, match="Conv1D: filters=4 is no multiple of groups=3; make it one"):
        layers.Conv1D(4, 3, groups=3)
    with pytest.raises(ValueError, match=r"conv1d: Conv1D with groups=2 needs a multiple of 2 channels.*\(8, 3\)"):
        layers.Conv1D(4, 3, groups=2).init((8, 3))
    with pytest.raises(ValueError, match=r"SeparableConv2D needs filters .* got filters=True"):
        layers.SeparableConv2D(True, 3)
    with pytest.raises(ValueError, match=r"DepthwiseConv2D needs depth_multiplier .* got depth_multiplier=0"):
        layers.DepthwiseConv2D(3, depth_multiplier=0)
    with pytest.raises(ValueError, match='DepthwiseConv2D knows padding="valid" and padding="same", got'):
        layers.DepthwiseConv2D(3, padding="causal")


def test_wrong_padding_modes():
    for kind in KINDS:
        with pytest.raises(ValueError, match=rf'{kind.__name__} knows padding_mode="zeros", .* got .*=.mirror'):
            make(kind, padding_mode="mirror")
    layer = layers.Conv1D(3, 7, padding="same", padding_mode="reflect").init((None, 1), seed=0)
    assert layer(np.zeros((1, 4, 1), "float32")).shape == (1, 4, 3)
    with pytest.raises(ValueError, match=r'conv1d: Conv1D needs 3 places beside an axis of 3, more than "reflect"'):
        layer(np.zeros((1, 3, 1), "float32"))


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_samples(kind):
    axes = int(kind.__name__[-2])
    with pytest.raises(ValueError, match=f"{kind.__name__} reads .*put layers.Reshape"):
        make(kind).init((8,) * axes)
    with pytest.raises(ValueError, match=f"{kind.__name__} with kernel_size=.*: a window of 3 does not fit .* 2"):
        make(kind).init((2,) * axes + (1,))
    free = make(kind).init((None,) * axes + (1,), seed=0)
    with pytest.raises(ValueError, match=f"{kind.__name__} with kernel_size=.*: a window of 3 does not fit"):
        free(np.zeros((1,) + (2,) * axes + (1,), "float32"))
