import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
F = torch.nn.functional


def general_relu(z):
    """Keras' ReLU(max_value=2, negative_slope=0.25, threshold=0.5)"""
    return torch.where(z >= 2, 2 + 0 * z, torch.where(z >= 0.5, z, 0.25 * (z - 0.5)))


def sparse_plus(z):
    """Keras' formula"""
    return torch.where(z <= -1, 0 * z, torch.where(z >= 1, z, (z + 1) ** 2 / 4))


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
        (layers.ReLU6(), F.relu6),
        (layers.SELU(), F.selu),
        (layers.CELU(0.5), lambda z: F.celu(z, 0.5)),
        (layers.SiLU(), F.silu),
        (layers.Mish(), F.mish),
        (layers.Softplus(), F.softplus),
        (layers.Softsign(), F.softsign),
        (layers.LogSigmoid(), F.logsigmoid),
        (layers.HardSigmoid(), lambda z: F.relu6(z + 3) / 6),  # F.hardsigmoid has 1/6 in single precision
        (layers.HardSiLU(), lambda z: z * F.relu6(z + 3) / 6),
        (layers.HardTanh(), F.hardtanh),
        (layers.HardShrink(), F.hardshrink),
        (layers.SoftShrink(0.7), lambda z: F.softshrink(z, 0.7)),
        (layers.TanhShrink(), F.tanhshrink),
        (layers.Threshold(0.5, -2.0), lambda z: F.threshold(z, 0.5, -2.0)),
        (layers.LogSoftmax(), lambda z: F.log_softmax(z, -1)),
        (layers.LogSoftmax(1), lambda z: F.log_softmax(z, 1)),
        (layers.Activation("exponential"), torch.exp),
        (layers.Activation("squareplus"), lambda z: (z + torch.sqrt(z * z + 4)) / 2),
        (layers.Activation("sparse_plus"), sparse_plus),
        (layers.Activation("sparse_sigmoid"), lambda z: torch.clamp(0.5 * (z + 1), 0, 1)),
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


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_glu(axis, rng, step, close, device):
    layer = layers.GLU(axis).init((4, 6, 2), dtype="float64", device=device)
    x = 3 * rng.normal(size=(3, 4, 6, 2))
    got, tx = step(layer, x), torch.tensor(x, requires_grad=True)
    y = F.glu(tx, axis)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3), (2, 3, 4, 5)])
def test_prelu(shape, rng, step, close, device):
    """One slope a channel, which PyTorch has on axis 1."""
    layer = layers.PReLU(shared_axes=list(range(1, len(shape) - 1))).init(shape[1:], dtype="float64", device=device)
    got = step(layer, x := rng.normal(size=shape))
    tx = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    alpha = torch.tensor(layer.params["alpha"].reshape(-1), requires_grad=True)
    y = F.prelu(tx, alpha)
    y.backward(torch.tensor(np.moveaxis(got["dy"], -1, 1)))
    close(got["y"], np.moveaxis(y.detach().numpy(), 1, -1))
    close(got["dx"], np.moveaxis(tx.grad.numpy(), 1, -1))
    close(got["alpha"].reshape(-1), alpha.grad)


def test_maxout(rng, step, close, device):
    layer = layers.Maxout(4).init((3, 12), dtype="float64", device=device)
    got = step(layer, x := rng.normal(size=(5, 3, 12)))
    tx = torch.tensor(x, requires_grad=True)
    y = tx.reshape(5, 3, 3, 4).amax(2)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
