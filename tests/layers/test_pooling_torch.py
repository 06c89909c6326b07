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


def around(x, kernel, strides, value):
    """x channels first with the places that padding="same" adds, along any number of axes."""
    pads = []
    for size, k, stride in zip(x.shape[2:], kernel, strides):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        pads = [total // 2, total - total // 2, *pads]
    return F.pad(x, pads, value=value)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("shape", "kernel", "strides"),
    [
        ((7, 3), (2,), (2,)),
        ((9, 17), (3,), (1,)),
        ((8, 1), (3,), (4,)),
        ((4, 6, 5, 3), (2, 2, 2), (2, 2, 2)),
        ((5, 4, 7, 2), (3, 2, 3), (1, 2, 2)),
        ((3, 4, 5, 1), (1, 2, 3), (2, 3, 1)),
    ],
)
def test_sequences_and_volumes(padding, shape, kernel, strides, rng, step, close, device):
    axes = len(kernel)
    x = rng.normal(size=(3, *shape)) - 3
    first = torch.tensor(x).movedim(-1, 1)
    for kind in ("Max", "Average"):
        layer = getattr(layers, f"{kind}Pooling{axes}D")(kernel, strides, padding)
        got = step(layer.init(shape, dtype="float64", device=device), x)
        tx = first.clone().requires_grad_()
        if kind == "Max":
            pool = getattr(F, f"max_pool{axes}d")
            y = pool(around(tx, kernel, strides, -torch.inf) if padding == "same" else tx, kernel, strides)
        else:
            pool = getattr(F, f"avg_pool{axes}d")
            y = pool(around(tx, kernel, strides, 0.0) if padding == "same" else tx, kernel, strides)
            if padding == "same":
                y = y / pool(around(torch.ones_like(tx), kernel, strides, 0.0), kernel, strides)
        y.backward(torch.tensor(got["dy"]).movedim(-1, 1))
        close(got["y"], y.detach().movedim(1, -1))
        close(got["dx"], tx.grad.movedim(1, -1))
