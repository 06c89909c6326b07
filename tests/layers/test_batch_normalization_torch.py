import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
batch_norm = torch.nn.functional.batch_norm


@pytest.mark.parametrize("shape", [(2, 1), (9, 5), (3, 4, 2), (1, 2, 3, 4), (5, 3, 7, 19)])
@pytest.mark.parametrize("trainable", [True, False])
def test_training(shape, trainable, rng, step, close, device):
    layer = layers.BatchNormalization(trainable=trainable).init(shape[1:], dtype="float64", seed=0, device=device)
    x = 2 + 3 * rng.normal(size=shape)
    got = step(layer, x)
    tx, gamma, beta, mean, variance = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()))
    rows = tx.reshape(-1, shape[-1])
    if trainable:
        y = batch_norm(rows, None, None, gamma, beta, training=True, eps=1e-3)
    else:
        y = batch_norm(rows, mean.detach(), variance.detach(), gamma, beta, training=False, eps=1e-3)
    y = y.reshape(shape)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
    close(got["gamma"], gamma.grad)
    close(got["beta"], beta.grad)


@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 3, 4, 6)])
def test_channels_first(shape, rng, step, close, device):
    """As PyTorch keeps images."""
    layer = layers.BatchNormalization(axis=1).init(shape[1:], dtype="float64", seed=0, device=device)
    x = 2 + 3 * rng.normal(size=shape)
    got = step(layer, x)
    tx, gamma, beta = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()[:2]))
    y = batch_norm(tx, None, None, gamma, beta, training=True, eps=1e-3)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
    close(got["gamma"], gamma.grad)
    close(got["beta"], beta.grad)
