import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
F = torch.nn.functional


def general_relu(z):
    """Keras' ReLU(max_value=2, negative_slope=0.25, threshold=0.5)"""
    return torch.where(z >= 2, 2 + 0 * z, torch.where(z >= 0.5, z, 0.25 * (z - 0.5)))


@pytest.mark.parametrize("shape", [(1, 1), (5, 17), (2, 3, 4, 5)])
@pytest.mark.parametrize(
    ("layer", "f"),
    [
        (layers.ReLU(), F.relu),
        (layers.ReLU(6.0), F.relu6),
        (layers.ReLU(2.0, 0.25, 0.5), general_relu),
        (layers.LeakyReLU(), lambda z: F.leaky_relu(z, 0.3)),
        (layers.ELU(0.7), lambda z: F.elu(z, 0.7)),
        (layers.GELU(), F.gelu),
        (layers.GELU(approximate=True), lambda z: F.gelu(z, approximate="tanh")),
        (layers.Sigmoid(), torch.sigmoid),
        (layers.Tanh(), torch.tanh),
        (layers.Softmax(), lambda z: torch.softmax(z, -1)),
        (layers.Softmax(1), lambda z: torch.softmax(z, 1)),
        (layers.Activation("linear"), lambda z: 1 * z),
    ],
    ids=lambda value: repr(value) if isinstance(value, layers.Layer) else "",
)
def test_activations(layer, f, shape, rng, step, close, device):
    layer = type(layer).from_config(layer.get_config()).init(shape[1:], dtype="float64", device=device)
    x = 4 * rng.normal(size=shape)
    got = step(layer, x)
    tx = torch.tensor(x, requires_grad=True)
    y = f(tx)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
