"""Resizing and Normalization beside PyTorch."""

import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def check(layer, function, x, step, close, device):
    got = step(layer.init(x.shape[1:], dtype="float64", device=device), x)
    given = torch.tensor(x, requires_grad=True)
    y = function(given)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach().numpy())
    close(got["dx"], given.grad.numpy())


@pytest.mark.parametrize(
    ("method", "mode", "antialias"),
    [("nearest", "nearest-exact", False), ("bilinear", "bilinear", False), ("bilinear", "bilinear", True),
     ("bicubic", "bicubic", True)],
)  # fmt: skip
@pytest.mark.parametrize(("shape", "made"), [((5, 7, 3), (11, 14)), ((9, 8, 4), (4, 3)), ((1, 6, 1), (3, 2))])
def test_resizing(method, mode, antialias, shape, made, rng, step, close, device):
    def function(x):
        arguments = {"antialias": antialias} if antialias else {}
        x = torch.nn.functional.interpolate(x.permute(0, 3, 1, 2), made, mode=mode, **arguments)
        return x.permute(0, 2, 3, 1)

    layer = layers.Resizing(*made, method, antialias=antialias)
    check(layer, function, rng.normal(size=(2, *shape)), step, close, device)


def test_area_by_whole_factors(rng, step, close, device):
    def function(x):
        return torch.nn.functional.interpolate(x.permute(0, 3, 1, 2), (3, 2), mode="area").permute(0, 2, 3, 1)

    check(layers.Resizing(3, 2, "area"), function, rng.normal(size=(2, 9, 8, 3)), step, close, device)


@pytest.mark.parametrize("invert", [False, True])
def test_normalization(invert, rng, step, close, device):
    mean, variance = rng.normal(size=3), rng.uniform(0.5, 2, 3)

    def function(x):
        m, s = torch.tensor(mean), torch.tensor(variance).sqrt()
        return x * s + m if invert else (x - m) / s

    layer = layers.Normalization(mean=mean, variance=variance, invert=invert)
    check(layer, function, rng.normal(size=(2, 4, 5, 3)), step, close, device)


def test_categories(rng):
    x = rng.integers(0, 7, (5, 4))
    y = layers.CategoryEncoding(7, "one_hot").init((4,))(x)
    np.testing.assert_array_equal(y, torch.nn.functional.one_hot(torch.tensor(x), 7).numpy())
