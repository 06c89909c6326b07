import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
functional = torch.nn.functional


def compare(layer, normalize, shape, rng, step, close, device):
    """normalize: PyTorch's function of x with channels second, gamma, beta.

    It gets contiguous arrays: with others the gradient of instance_norm is wrong for a batch of 1 (PyTorch 2.13).
    """
    layer.init(shape[1:], dtype="float64", seed=0, device=device)
    x = 2 + 3 * rng.normal(size=shape)
    got = step(layer, x)
    second, dy = (np.ascontiguousarray(np.moveaxis(a, -1, 1)) for a in (x, got["dy"]))
    tx, *weights = (torch.tensor(a, requires_grad=True) for a in (second, *layer.get_weights()))
    y = normalize(tx, *(weights or (None, None)))
    y.backward(torch.tensor(dy))
    close(got["y"], y.detach().movedim(1, -1))
    close(got["dx"], tx.grad.movedim(1, -1))
    for name, weight in zip(("gamma", "beta"), weights):
        close(got[name], weight.grad)


@pytest.mark.parametrize(("shape", "groups"), [((2, 6), 3), ((3, 5, 4), 1), ((1, 3, 4, 8), 4), ((2, 2, 3, 4, 6), 6)])
@pytest.mark.parametrize("affine", [True, False])
def test_group_normalization(shape, groups, affine, rng, step, close, device):
    layer = layers.GroupNormalization(groups=groups, center=affine, scale=affine)
    compare(layer, lambda x, g, b: functional.group_norm(x, groups, g, b, 1e-3), shape, rng, step, close, device)


@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 3, 4, 17), (2, 2, 3, 4, 6)])
@pytest.mark.parametrize("affine", [True, False])
def test_instance_normalization(shape, affine, rng, step, close, device):
    layer = layers.InstanceNormalization(center=affine, scale=affine)

    def normalize(x, gamma, beta):
        return functional.instance_norm(x, weight=gamma, bias=beta, eps=1e-5)

    compare(layer, normalize, shape, rng, step, close, device)


def test_channels_first(rng, step, close, device):
    """As PyTorch keeps images."""
    layer = layers.GroupNormalization(2, axis=1).init((4, 3, 5), dtype="float64", seed=0, device=device)
    x = 2 + 3 * rng.normal(size=(2, 4, 3, 5))
    got = step(layer, x)
    tx, *weights = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()))
    y = functional.group_norm(tx, 2, *weights, 1e-3)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
    close(got["gamma"], weights[0].grad)
    close(got["beta"], weights[1].grad)
