import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (4, 3, 5, 2), (2, 9, 8, 19)])
@pytest.mark.parametrize("kind", [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D])
def test_global_pooling(kind, shape, keepdims, rng, step, close, device):
    layer = kind(keepdims=keepdims).init(shape[1:], dtype="float64", device=device)
    x = rng.normal(size=shape) - 3
    got = step(layer, x)
    tx = torch.tensor(x, requires_grad=True)
    reduce = torch.mean if kind is layers.GlobalAveragePooling2D else torch.amax
    y = reduce(tx, dim=(1, 2), keepdim=keepdims)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 9, 4), (2, 300, 19), (3, 4, 3, 5, 2)])
@pytest.mark.parametrize("kind", ["Average", "Max"])
def test_sequences_and_volumes(kind, shape, keepdims, rng, step, close, device):
    axes = len(shape) - 2
    layer = getattr(layers, f"Global{kind}Pooling{axes}D")(keepdims=keepdims)
    layer.init((None,) * axes + shape[-1:], dtype="float64", device=device)
    x = rng.normal(size=shape) - 3
    got = step(layer, x)
    tx = torch.tensor(x, requires_grad=True)
    y = (torch.mean if kind == "Average" else torch.amax)(tx, dim=tuple(range(1, axes + 1)), keepdim=keepdims)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
