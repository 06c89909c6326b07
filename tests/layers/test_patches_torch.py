"""Layers that PyTorch's database of modules does not hold, beside PyTorch's: values and gradients."""

import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch
nn = torch.nn


def first(x):
    return x.movedim(-1, 1)


def last(y):
    return y.movedim(1, -1)


def channels_last(window, taps):
    """Patches with the channels first in each, (N, C · taps, L), in npdl's order, (N, L, taps · C); and back."""

    def there(y):
        n, _, count = y.shape
        return y.reshape(n, -1, taps, count).permute(0, 3, 2, 1).reshape(n, count, -1)

    def back(x):
        n, count, _ = x.shape
        return x.reshape(n, count, taps, -1).permute(0, 3, 2, 1).reshape(n, -1, count)

    return (lambda x: there(window(first(x)))), (lambda x: last(window(back(x))))


def unfold(taps=6, **window):
    return channels_last(nn.Unfold((2, 3), **window), taps)[0]


@pytest.mark.parametrize(
    ("layer", "function", "shape"),
    [
        (layers.PixelShuffle(3), lambda x: last(nn.PixelShuffle(3)(first(x))), (2, 4, 18)),
        (layers.PixelUnshuffle(2), lambda x: last(nn.PixelUnshuffle(2)(first(x))), (4, 6, 3)),
        (layers.ChannelShuffle(3), lambda x: last(nn.ChannelShuffle(3)(first(x))), (4, 5, 6)),
        (layers.Unfold((2, 3), 2), unfold(stride=2), (6, 7, 3)),
        (layers.Unfold((2, 3), (1, 2), dilation_rate=(1, 2)), unfold(stride=(1, 2), dilation=(1, 2)), (5, 9, 2)),
        (layers.Fold((5, 6), (2, 3)), channels_last(nn.Fold((5, 6), (2, 3)), 6)[1], (16, 12)),
        (layers.LPPooling2D(3, 2, 1), lambda x: last(nn.LPPool2d(3, 2, 1)(first(x.abs()))), (4, 5, 3)),
    ],
)
def test_layer(layer, function, shape, rng, step, close, device):
    layer = layer.from_config(layer.get_config()).init(shape, dtype="float64", device=device)
    x = rng.normal(size=(3, *shape))
    got, tx = step(layer, x), torch.tensor(x, requires_grad=True)
    y = function(tx)
    y.backward(torch.tensor(got["dy"]))
    close(got["y"], y.detach())
    close(got["dx"], tx.grad)


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        (layers.CosineSimilarity(), nn.CosineSimilarity(-1)),
        (layers.PairwiseDistance(), nn.PairwiseDistance()),
        (layers.PairwiseDistance(1, 1e-3, True), nn.PairwiseDistance(1, 1e-3, True)),
        (layers.PairwiseDistance(3.5), nn.PairwiseDistance(3.5)),
    ],
)
def test_pairs_of_rows(layer, module, rng, close, device):
    layer = layer.from_config(layer.get_config()).init(((2, 5), (2, 5)), dtype="float64", device=device)
    pair = rng.normal(size=(2, 4, 2, 5))
    y = layer(tuple(pair), training=True)
    tensors = [torch.tensor(one, requires_grad=True) for one in pair]
    expected = module(*tensors)
    dy = rng.normal(size=y.shape)
    expected.backward(torch.tensor(dy))
    close(y, expected.detach())
    for one, tensor in zip(layer.backward(dy), tensors, strict=True):
        close(one, tensor.grad)
