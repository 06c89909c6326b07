"""Layers that move numbers, beside PyTorch's."""

import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
F = torch.nn.functional


def check(layer, function, shape, rng, step, close, device):
    """`function` is torch's, on channels first."""
    layer.init(shape, dtype="float64", device=device)
    x = rng.normal(size=(3, *shape))
    got = step(layer, x)
    tx = torch.tensor(x, requires_grad=True)
    y = function(tx.movedim(-1, 1)).movedim(1, -1)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)


@pytest.mark.parametrize("shape", [(7, 3), (5, 6, 2), (4, 5, 6, 2)])
def test_margins(shape, rng, step, close, device):
    axes = len(shape) - 1
    given = tuple((i, 2 - i // 2) for i in range(axes)) if axes > 1 else (2, 0)
    flat = [n for pair in reversed(given if axes > 1 else (given,)) for n in pair]
    padding = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)[axes - 1](given)
    check(padding, lambda x: F.pad(x, flat), shape, rng, step, close, device)
    cropping = (layers.Cropping1D, layers.Cropping2D, layers.Cropping3D)[axes - 1](given)
    check(cropping, lambda x: F.pad(x, [-n for n in flat]), shape, rng, step, close, device)


@pytest.mark.parametrize("kind", ["Reflection", "Replication"])
@pytest.mark.parametrize("shape", [(7, 3), (5, 6, 2), (4, 5, 3, 17)])
def test_margins_that_go_on(kind, shape, rng, step, close, device):
    axes = len(shape) - 1
    given = tuple((i, 2 - i // 2) for i in range(axes)) if axes > 1 else (4, 2)
    flat = [n for pair in reversed(given if axes > 1 else (given,)) for n in pair]
    layer = getattr(layers, f"{kind}Padding{axes}D")(given)
    mode = "reflect" if kind == "Reflection" else "replicate"
    check(layer, lambda x: F.pad(x, flat, mode=mode), shape, rng, step, close, device)


@pytest.mark.parametrize("shape", [(7, 3), (5, 6, 2), (4, 3, 5, 2)])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_nearest(shape, size, rng, step, close, device):
    layer = (layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D)[len(shape) - 2](size)
    check(layer, lambda x: F.interpolate(x, scale_factor=size, mode="nearest"), shape, rng, step, close, device)


@pytest.mark.parametrize("size", [(2, 2), (3, 1), (4, 5)])
@pytest.mark.parametrize("shape", [(5, 6, 2), (1, 3, 1)])
def test_bilinear(shape, size, rng, step, close, device):
    layer = layers.UpSampling2D(size, interpolation="bilinear")
    check(layer, lambda x: F.interpolate(x, scale_factor=size, mode="bilinear"), shape, rng, step, close, device)


def test_permute_and_repeat(rng, step, close, device):
    check(
        layers.Permute((3, 1, 2)),
        lambda x: x.movedim(1, -1).permute(0, 3, 1, 2).movedim(-1, 1),
        (3, 4, 5), rng, step, close, device,
    )  # fmt: skip
    layer = layers.RepeatVector(4).init((3,), dtype="float64", device=device)
    x = rng.normal(size=(2, 3))
    got = step(layer, x)
    tx = torch.tensor(x, requires_grad=True)
    y = tx[:, None].expand(2, 4, 3)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)
