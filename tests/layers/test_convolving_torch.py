"""Layers that slide a window of weights, beside PyTorch's."""

import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
F = torch.nn.functional


def pads(size, kernel, stride, dilation, padding):
    """Zeros before and after one axis."""
    if padding == "valid":
        return 0, 0
    if padding == "causal":
        return (kernel - 1) * dilation, 0
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def first(x):
    """Channels last to channels first."""
    return x.movedim(-1, 1)


def torch_kernel(w):
    """(..., C/groups, F) to (F, C/groups, ...)"""
    return w.movedim((-1, -2), (0, 1))


def convolve(layer, x, w, b, groups):
    """x channels first, w as of torch."""
    sizes = zip(x.shape[2:], layer.kernel_size, layer.strides, layer.dilation_rate)
    around = [pads(*numbers, layer.padding) for numbers in sizes]
    x = F.pad(x, [n for pair in reversed(around) for n in pair])
    function = (F.conv1d, F.conv2d, F.conv3d)[layer.axes - 1]
    return function(x, w, b, stride=layer.strides, dilation=layer.dilation_rate, groups=groups)


def compare(layer, shape, function, rng, step, close, device):
    """y and all gradients beside those of function(x channels first, weights) -> z channels first, and tanh."""
    layer.init(shape, dtype="float64", seed=0, device=device)
    x = rng.normal(size=(3, *shape)) / 10
    got = step(layer, x)
    tx, *weights = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()))
    y = torch.tanh(function(first(tx), *weights)).movedim(1, -1)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
    for name, weight in zip(layer.params, weights, strict=True):
        close(got[name], weight.grad)


BOTH = pytest.mark.parametrize("padding", ["valid", "same"])
ALL = pytest.mark.parametrize("padding", ["valid", "same", "causal"])


@ALL
@pytest.mark.parametrize(
    ("shape", "filters", "kernel", "strides", "dilation", "groups"),
    [
        ((5, 1), 1, 1, 1, 1, 1),
        ((9, 3), 4, 3, 1, 1, 1),
        ((9, 3), 4, 4, 2, 1, 1),
        ((11, 4), 6, 3, 3, 2, 2),
        ((40, 17), 18, 5, 1, 3, 1),
        ((300, 2), 3, 3, 1, 1, 1),
    ],
)
def test_conv1d(padding, shape, filters, kernel, strides, dilation, groups, rng, step, close, device):
    layer = layers.Conv1D(filters, kernel, strides, padding, None, dilation, groups, "tanh")
    compare(layer, shape, lambda x, w, b: convolve(layer, x, torch_kernel(w), b, groups), rng, step, close, device)


DEPTHWISE = pytest.mark.parametrize(
    ("kernel", "strides", "dilation", "multiplier", "channels"),
    [(3, 1, 1, 1, 5), (4, 2, 1, 3, 2), (3, 1, 2, 1, 70), (2, 3, 2, 2, 1), (3, 2, 1, 2, 18)],
)


def depthwise(layer, x, w, b, channels):
    """w (..., C, M)"""
    return convolve(layer, x, torch_kernel(w.flatten(-2)[..., None, :]), b, channels)


@ALL
@DEPTHWISE
def test_depthwise_conv1d(padding, kernel, strides, dilation, multiplier, channels, rng, step, close, device):
    layer = layers.DepthwiseConv1D(kernel, strides, padding, multiplier, None, dilation, "tanh")
    compare(layer, (11, channels), lambda x, w, b: depthwise(layer, x, w, b, channels), rng, step, close, device)


@BOTH
@DEPTHWISE
def test_depthwise_conv2d(padding, kernel, strides, dilation, multiplier, channels, rng, step, close, device):
    layer = layers.DepthwiseConv2D((kernel, 2), (1, strides), padding, multiplier, None, dilation, "tanh")
    compare(layer, (8, 9, channels), lambda x, w, b: depthwise(layer, x, w, b, channels), rng, step, close, device)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize(("strides", "dilation", "multiplier"), [(1, 1, 1), (2, 1, 3), (1, 2, 2)])
def test_separable(padding, axes, strides, dilation, multiplier, rng, step, close, device):
    if padding == "causal" and axes == 2:
        padding = "same"
    kind = (layers.SeparableConv1D, layers.SeparableConv2D)[axes - 1]
    layer = kind(5, 3, strides, padding, None, dilation, multiplier, "tanh")

    def function(x, d, p, b):
        u = depthwise(layer, x, d, None, 4)
        return torch.einsum("nc...,cf->nf...", u, p.flatten(0, -2)) + b.reshape(-1, *(1,) * axes)

    compare(layer, (9, 8)[:axes] + (4,), function, rng, step, close, device)
