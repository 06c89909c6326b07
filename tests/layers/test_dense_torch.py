import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (7, 4), (3, 5, 4), (2, 3, 5, 6)])
@pytest.mark.parametrize("activation", [None, "relu", "tanh", "sigmoid", "gelu", "softmax"])
def test_dense(shape, activation, rng, step, close, device):
    layer = layers.Dense(3, activation=activation).init(shape[1:], dtype="float64", seed=0, device=device)
    x = rng.normal(size=shape)
    got = step(layer, x)
    tx, W, b = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()))
    z = tx @ W + b
    f = {None: lambda z: z, "gelu": torch.nn.functional.gelu, "softmax": lambda z: torch.softmax(z, -1)}
    y = f[activation](z) if activation in f else getattr(torch, activation)(z)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
    close(got["kernel"], W.grad)
    close(got["bias"], b.grad)
