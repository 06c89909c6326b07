import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize(("rows", "width", "shape"), [(7, 3, (5,)), (200, 70, (9, 4)), (3, 33, ())])
def test_embedding(rows, width, shape, rng, step, close, device):
    layer = layers.Embedding(rows, width).init(shape, dtype="float64", device=device)
    x = rng.integers(0, rows, (4, *shape))
    got = step(layer, x)
    table = torch.tensor(layer.params["embeddings"], requires_grad=True)
    y = torch.nn.functional.embedding(torch.tensor(x), table)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["embeddings"], table.grad)
