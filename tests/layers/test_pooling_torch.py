import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
F = torch.nn.functional


def padded(x, kernel, strides, value):
    """x (N, C, H, W) with the places that padding="same" adds."""
    pads = []
    for axis in (1, 0):
        size = x.shape[2 + axis]
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + kernel[axis] - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


def max_pool(x, kernel, strides, padding):
    return F.max_pool2d(padded(x, kernel, strides, -torch.inf) if padding == "same" else x, kernel, strides)


def average_pool(x, kernel, strides, padding):
    if padding == "valid":
        return F.avg_pool2d(x, kernel, strides)
    ones = padded(torch.ones_like(x), kernel, strides, 0.0)
    return F.avg_pool2d(padded(x, kernel, strides, 0.0), kernel, strides) / F.avg_pool2d(ones, kernel, strides)


@pytest.mark.parametrize(("kind", "pool"), [(layers.MaxPooling2D, max_pool), (layers.AveragePooling2D, average_pool)])
@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("shape", "kernel", "strides"),
    [
        ((4, 4, 1), (2, 2), (2, 2)),
        ((7, 5, 3), (2, 2), (2, 2)),
        ((7, 6, 2), (3, 3), (1, 1)),
        ((8, 9, 17), (3, 2), (2, 3)),
        ((6, 9, 2), (2, 2), (3, 4)),
    ],
)
def test_pooling(kind, pool, n, padding, shape, kernel, strides, rng, step, close, device):
    layer = kind(kernel, strides, padding).init(shape, dtype="float64", device=device)
    x = rng.normal(size=(n, *shape)) - 3
    got = step(layer, x)
    tx = torch.tensor(x, requires_grad=True)
    y = pool(tx.permute(0, 3, 1, 2), kernel, strides, padding).permute(0, 2, 3, 1)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
