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
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = F.pad(x, [n for pair in reversed(around) for n in pair], mode=mode)
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


@BOTH
@pytest.mark.parametrize(
    ("shape", "filters", "kernel", "strides", "dilation", "groups"),
    [
        ((2, 3, 4, 1), 1, 1, 1, 1, 1),
        ((4, 5, 6, 3), 4, 3, 1, 1, 1),
        ((5, 6, 7, 4), 6, (3, 2, 4), (2, 1, 2), 1, 2),
        ((6, 5, 7, 2), 3, (2, 3, 3), (1, 3, 2), (2, 1, 3), 1),
        ((5, 11, 12, 17), 20, 3, 1, 1, 1),
    ],
)
def test_conv3d(padding, shape, filters, kernel, strides, dilation, groups, rng, step, close, device):
    layer = layers.Conv3D(filters, kernel, strides, padding, None, dilation, groups, "tanh")
    compare(layer, shape, lambda x, w, b: convolve(layer, x, torch_kernel(w), b, groups), rng, step, close, device)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    ("kind", "shape", "kernel", "strides", "dilation", "padding"),
    [
        ("Conv1D", (9, 3), 4, 1, 1, "same"),
        ("Conv1D", (9, 3), 3, 2, 2, "causal"),
        ("Conv3D", (4, 3, 5, 2), (3, 2, 1), (1, 2, 1), 1, "same"),
        ("DepthwiseConv2D", (5, 6, 4), (3, 4), 1, 1, "same"),
        ("DepthwiseConv2D", (5, 6, 4), 2, 3, 1, "same"),
        ("SeparableConv1D", (9, 3), 3, 1, 2, "causal"),
    ],
)
def test_padding_modes(kind, shape, kernel, strides, dilation, padding, mode, rng, step, close, device):
    filters = {} if kind.startswith("Depthwise") else {"filters": 5}
    layer = getattr(layers, kind)(
        **filters, kernel_size=kernel, strides=strides, padding=padding, dilation_rate=dilation, activation="tanh",
        padding_mode=mode,
    )  # fmt: skip

    def function(x, w, *others):
        if kind.startswith("Conv"):
            return convolve(layer, x, torch_kernel(w), others[0], 1)
        if kind.startswith("Depthwise"):
            return depthwise(layer, x, w, others[0], shape[-1])
        p, b = others
        u = depthwise(layer, x, w, None, shape[-1])
        return torch.einsum("nc...,cf->nf...", u, p.flatten(0, -2)) + b.reshape(-1, 1)

    compare(layer, shape, function, rng, step, close, device)


@BOTH
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("filters", "channels", "kernel", "strides", "dilation", "more", "groups"),
    [
        (3, 4, 3, 1, 1, None, 1),
        (3, 4, 4, 2, 1, None, 1),
        (4, 6, 3, 3, 1, 2, 2),
        (2, 3, 2, 3, 1, None, 1),
        (5, 2, 3, 2, 2, 1, 1),
        (18, 17, 3, 1, 1, None, 1),
    ],
)
def test_transpose(padding, axes, filters, channels, kernel, strides, dilation, more, groups, rng, step, close, device):
    kind = getattr(layers, f"Conv{axes}DTranspose")
    layer = kind(filters, kernel, strides, padding, None, dilation, "tanh", output_padding=more, groups=groups)
    shape = (5, 4, 3)[:axes] + (channels,)
    function = getattr(F, f"conv_transpose{axes}d")

    def transpose(x, w, b):
        """All places that are reached, and of them what the layer keeps."""
        w = w.movedim((-1, -2), (0, 1))
        y = function(x, w, None, stride=strides, dilation=dilation, groups=groups)
        span = (kernel - 1) * dilation + 1
        for axis, size in enumerate(shape[:-1], 2):
            reached = y.shape[axis]
            if padding == "valid":
                wanted, before = reached + (max(strides - span, 0) if more is None else more), 0
            else:
                wanted = size * strides if more is None else (size - 1) * strides + span % 2 + more
                before = max(reached - wanted, 0) // 2
            pads = [0, 0] * (axes + 1 - axis) + [-before, wanted - reached + before]
            y = F.pad(y, pads)
        return y + b.reshape(-1, *(1,) * axes)

    compare(layer, shape, transpose, rng, step, close, device)
