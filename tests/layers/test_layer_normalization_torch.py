import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
functional = torch.nn.functional


@pytest.mark.parametrize(
    ("axis", "shape"),
    [
        (-1, (1, 5)),
        (-1, (9, 4)),
        (2, (3, 2, 17)),
        ([1, 2], (4, 3, 5)),
        ([2, 3], (2, 3, 4, 9)),
        ([1, 2, 3], (2, 3, 4, 9)),
    ],
)
@pytest.mark.parametrize("affine", [True, False])
def test_layer_normalization(axis, shape, affine, rng, step, close, device):
    layer = layers.LayerNormalization(axis=axis, center=affine, scale=affine)
    layer.init(shape[1:], dtype="float64", seed=0, device=device)
    x = 2 + 3 * rng.normal(size=shape)
    got = step(layer, x)
    tx, *weights = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()))
    width = shape[min(np.atleast_1d(axis) % len(shape)) :]
    y = functional.layer_norm(tx, width, *(weights or (None, None)), eps=1e-3)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
    for name, weight in zip(("gamma", "beta"), weights):
        close(got[name], weight.grad)


@pytest.mark.parametrize(("axis", "shape"), [(-1, (1, 5)), (-1, (3, 2, 17)), ([1, 2], (4, 3, 5))])
def test_rms_normalization(axis, shape, rng, step, close, device):
    layer = layers.RMSNormalization(axis=axis).init(shape[1:], dtype="float64", seed=0, device=device)
    x = 2 + 3 * rng.normal(size=shape)
    got = step(layer, x)
    tx, scale = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()))
    y = functional.rms_norm(tx, shape[min(np.atleast_1d(axis) % len(shape)) :], scale, eps=1e-6)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
    close(got["scale"], scale.grad)


@pytest.mark.parametrize("shape", [(1, 5), (3, 2, 17)])
def test_unit_normalization(shape, rng, step, close, device):
    layer = layers.UnitNormalization().init(shape[1:], dtype="float64", seed=0, device=device)
    x = 2 + 3 * rng.normal(size=shape)
    got = step(layer, x)
    tx = torch.tensor(x, requires_grad=True)
    y = functional.normalize(tx, dim=-1, eps=1e-6)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 3)])
def test_other_axes(axes, rng, step, close, device):
    """Which PyTorch has no function for: the formula, in its tensors."""
    shape = (2, 3, 4, 5)
    layer = layers.LayerNormalization(axis=list(axes)).init(shape[1:], dtype="float64", seed=0, device=device)
    x = 2 + 3 * rng.normal(size=shape)
    got = step(layer, x)
    tx, gamma, beta = (torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights()))
    variance, mean = torch.var_mean(tx, axes, correction=0, keepdim=True)
    wide = [size if a in axes else 1 for a, size in enumerate(shape)]
    y = (tx - mean) / torch.sqrt(variance + 1e-3) * gamma.reshape(wide) + beta.reshape(wide)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
    close(got["gamma"], gamma.grad)
    close(got["beta"], beta.grad)
