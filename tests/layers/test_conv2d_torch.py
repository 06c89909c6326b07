import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def pads(size, kernel, stride, dilation):
    """Zeros before and after one axis, for padding="same"."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def conv(x, w, b, padding, strides, dilation, groups):
    x, w = x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1)
    if padding == "same":
        height, width = (pads(x.shape[2 + i], w.shape[2 + i], strides[i], dilation[i]) for i in range(2))
        x = torch.nn.functional.pad(x, (*width, *height))
    y = torch.nn.functional.conv2d(x, w, b, stride=strides, dilation=dilation, groups=groups)
    return y.permute(0, 2, 3, 1)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("shape", "filters", "kernel", "strides", "dilation", "groups"),
    [
        ((5, 5, 1), 1, (1, 1), (1, 1), (1, 1), 1),
        ((7, 6, 3), 4, (3, 3), (1, 1), (1, 1), 1),
        ((9, 8, 2), 3, (5, 2), (1, 2), (1, 1), 1),
        ((8, 8, 3), 5, (4, 4), (3, 2), (1, 1), 1),
        ((9, 11, 2), 3, (3, 3), (1, 1), (2, 3), 1),
        ((9, 11, 2), 3, (3, 2), (2, 3), (3, 2), 1),
        ((6, 7, 4), 6, (3, 3), (2, 2), (1, 1), 2),
        ((6, 7, 4), 8, (2, 3), (1, 1), (2, 1), 4),
        ((12, 13, 16), 20, (3, 3), (1, 1), (1, 1), 1),
    ],
)
def test_conv2d(n, padding, shape, filters, kernel, strides, dilation, groups, rng, step, close, device):
    layer = layers.Conv2D(
        filters, kernel, strides=strides, padding=padding, dilation_rate=dilation, groups=groups, activation="tanh"
    )
    layer.init(shape, dtype="float64", seed=0, device=device)
    x = rng.normal(size=(n, *shape)) / 10
    got = step(layer, x)
    tx, W, b = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()))
    y = torch.tanh(conv(tx, W, b, padding, strides, dilation, groups))
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
    close(got["kernel"], W.grad)
    close(got["bias"], b.grad)
