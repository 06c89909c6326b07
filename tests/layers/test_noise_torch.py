import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_alpha_dropout_has_pytorchs_values(rate, value, device):
    """What becomes of a number that is kept and of one that is not; the masks differ."""
    x = np.full((10, 40), value)
    layer = layers.AlphaDropout(rate).init((40,), dtype="float64", seed=0, device=device)
    theirs = torch.nn.functional.alpha_dropout(torch.tensor(x), rate, training=True).numpy()
    found, expected = np.unique(layer(x, training=True)), np.unique(theirs)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(np.unique(layer.backward(np.ones_like(x))), [0, _slope(rate)], rtol=1e-6)


def _slope(rate):
    """PyTorch's derivative of a number that is kept."""
    x = torch.zeros(400, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.alpha_dropout(x, rate, training=True).sum().backward()
    return float(x.grad.max())


def test_gaussian_noise_has_the_quantiles_of_pytorchs(device):
    """A thousandth of normal numbers: what lies between is compared with PyTorch's inverse error function."""
    layer = layers.GaussianNoise(1.0).init((1000,), dtype="float64", seed=0, device=device)
    z = torch.tensor(layer(torch.zeros(100, 1000, dtype=torch.float64).numpy(), training=True)).flatten()
    p = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    expected = 2**0.5 * torch.erfinv(2 * p - 1)
    density = torch.exp(-(expected**2) / 2) / (2 * torch.pi) ** 0.5
    error = (torch.quantile(z, p) - expected) * density / (p * (1 - p) / len(z)) ** 0.5
    assert error.abs().max() < 4.5
