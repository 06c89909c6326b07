import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def test_given_its_mask_dropout_is_a_product(rng, step, close, device):
    """The masks differ from PyTorch's: ours is read off the forward."""
    layer = layers.Dropout(0.3).init((6, 7), dtype="float64", seed=0, device=device)
    x = rng.normal(size=(5, 6, 7))
    got = step(layer, x)
    tx = torch.tensor(x, requires_grad=True)
    y = torch.where(torch.tensor(got["y"] != 0), tx / (1 - 0.3), 0.0)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
