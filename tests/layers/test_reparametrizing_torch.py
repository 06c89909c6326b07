"""Layers with a kernel made anew against PyTorch's parametrizations, in float64: y, dx, all gradients, the state."""

import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch

F = torch.nn.functional


class Kernel(torch.nn.Module):
    """A kernel as (R, C): there PyTorch's u is npdl's v, and its v npdl's u, and they are made in the same order."""

    def __init__(self, kernel):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(kernel.reshape(-1, kernel.shape[-1])))


def close(a, b):
    return np.linalg.norm(a - b) < 1e-11 * max(np.linalg.norm(b), 1e-300)


def dense(x, W, b):
    return x @ W + b


def conv(x, W, b):
    images = F.conv2d(x.permute(0, 3, 1, 2), W.reshape(3, 2, 4, 5).permute(3, 2, 0, 1), b, stride=(2, 1))
    return images.permute(0, 2, 3, 1)


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize(
    "layer, shape, formula",
    [(layers.Dense(7), (4,), dense), (layers.Conv2D(5, (3, 2), strides=(2, 1)), (7, 6, 4), conv)],
)
def test_spectral_norm(layer, shape, formula, iterations, rng):
    inner = type(layer).from_config(layer.get_config())
    ours = layers.SpectralNormalization(inner, power_iterations=iterations).init(shape, dtype="float64", seed=3)
    u, kernel, _ = ours.get_weights()
    theirs = torch.nn.utils.parametrizations.spectral_norm(Kernel(kernel), n_power_iterations=iterations)
    theirs.parametrizations.weight[0]._v.copy_(torch.tensor(u[0]))
    bias = torch.tensor(inner.params["bias"].copy(), requires_grad=True)
    for _ in range(3):  # steps: u goes on from where it was
        x = rng.normal(size=(6, *shape))
        theirs.train()
        given = torch.tensor(x, requires_grad=True)
        expected = formula(given, theirs.weight, bias)
        dy = rng.normal(size=expected.shape)
        theirs.zero_grad(), setattr(bias, "grad", None)
        expected.backward(torch.tensor(dy))
        assert close(ours.forward(x, True), expected.detach().numpy())
        assert close(ours.backward(dy), given.grad.numpy())
        dW = theirs.parametrizations.weight.original.grad.numpy()
        assert close(inner.grads["kernel"].reshape(dW.shape), dW)
        assert close(inner.grads["bias"], bias.grad.numpy())
        assert close(ours.state["vector_u"][0], theirs.parametrizations.weight[0]._v.numpy())
        with torch.no_grad():
            theirs.parametrizations.weight.original -= 0.1 * torch.tensor(dW)
            bias -= 0.1 * bias.grad
        for name in ("kernel", "bias"):
            inner.params[name][...] -= 0.1 * inner.grads[name]


@pytest.mark.parametrize("dim", [0, 1, 3, None])
def test_weight_norm(dim, rng):
    """PyTorch's dim counts the axes of (filters, channels, height, width)."""
    axis = {0: -1, 1: 2, 3: 1, None: None}[dim]
    inner = layers.Conv2D(5, (3, 2), strides=(2, 1))
    ours = layers.WeightNormalization(inner, axis).init((7, 6, 4), dtype="float64", seed=3)
    module = torch.nn.Conv2d(4, 5, (3, 2), stride=(2, 1), dtype=torch.float64)
    theirs = torch.nn.utils.parametrizations.weight_norm(module, dim=dim)
    _, V, b = ours.get_weights()
    g, v = theirs.parametrizations.weight.original0, theirs.parametrizations.weight.original1
    length = rng.uniform(0.5, 2, ours.params["g"].shape)
    ours.set_weights([length, V, b])
    with torch.no_grad():
        v.copy_(torch.tensor(V).permute(3, 2, 0, 1))
        g.copy_(torch.tensor(length).reshape(g.shape))
        theirs.bias.copy_(torch.tensor(b))
    x = rng.normal(size=(6, 7, 6, 4))
    given = torch.tensor(x, requires_grad=True)
    expected = theirs(given.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    dy = rng.normal(size=expected.shape)
    expected.backward(torch.tensor(dy))
    assert close(ours.forward(x, True), expected.detach().numpy())
    assert close(ours.backward(dy), given.grad.numpy())
    assert close(inner.grads["kernel"], v.grad.permute(2, 3, 1, 0).numpy())
    assert close(ours.grads["g"], g.grad.numpy().ravel())
