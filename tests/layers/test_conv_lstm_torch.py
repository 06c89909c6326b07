"""ConvLSTM layers against a loop over the steps in PyTorch, in float64: y, the states and all gradients."""

import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch

F = torch.nn.functional


def convolution(x, W, stride, dilation, same):
    """Channels last, as Keras pads: the odd zero at the end."""
    axes = W.ndim - 2
    x, W = x.movedim(-1, 1), W.permute(-1, -2, *range(axes))
    if same:
        sides = []
        for size, k in zip(x.shape[:1:-1], W.shape[:1:-1]):
            total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
            sides += [total // 2, total - total // 2]
        x = F.pad(x, sides)
    return (F.conv1d, F.conv2d, F.conv3d)[axes - 1](x, W, stride=stride, dilation=dilation).movedim(1, -1)


def loop(x, W, R, b, h, c, mask, stride, dilation, same, backwards):
    """(the outputs in the order of the steps as they are taken, h, c)"""
    outputs = []
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        z = convolution(x[:, t], W, stride, dilation, same) + b + convolution(h, R, 1, 1, True)
        i, f, g, o = z.chunk(4, -1)
        new_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        new_h = o.sigmoid() * new_c.tanh()
        there = mask[:, t].reshape(-1, *[1] * (h.ndim - 1))
        h, c = torch.where(there, new_h, h), torch.where(there, new_c, c)
        outputs.append(h)
    return torch.stack(outputs, 1), h, c


CASES = [
    (layers.ConvLSTM1D, (4, 9, 3), {"kernel_size": 4, "padding": "same", "strides": 2}),
    (layers.ConvLSTM1D, (5, 9, 2), {"kernel_size": 2, "dilation_rate": 3, "go_backwards": True}),
    (layers.ConvLSTM2D, (4, 7, 6, 3), {"kernel_size": 3, "padding": "same"}),
    (layers.ConvLSTM2D, (3, 8, 7, 17), {"kernel_size": 3, "filters": 16, "padding": "same"}),
    (layers.ConvLSTM2D, (3, 7, 6, 2), {"kernel_size": 2, "strides": 2, "go_backwards": True}),
    (layers.ConvLSTM3D, (3, 4, 5, 3, 2), {"kernel_size": 2, "dilation_rate": 2, "padding": "same"}),
]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind, shape, options", CASES)
def test_loop(kind, shape, options, masked, rng):
    layer = kind(**{"filters": 3, **options}, return_sequences=True, return_state=True)
    image = layer.from_config(layer.get_config()).init(shape, seed=0).output_shape[1]
    layer.init((shape, image, image), dtype="float64", seed=4)
    x, h, c = (rng.normal(size=(3, *one)) for one in (shape, image, image))
    layer.params["bias"][...] = rng.normal(size=layer.params["bias"].shape)
    mask = rng.uniform(size=(3, shape[0])) < (0.6 if masked else 2)
    mask[0] = True
    given = [torch.tensor(one, requires_grad=True) for one in (x, *layer.params.values(), h, c)]
    stride, dilation = layer.strides[0], layer.dilation_rate[0]
    expected = loop(*given, torch.tensor(mask), stride, dilation, layer.padding == "same", layer.go_backwards)
    found = layer.forward((x, h, c), True, mask if masked else None)
    dy = [rng.normal(size=one.shape) for one in expected]
    if masked and layer.go_backwards:  # what comes before the first counted step is 0 here, as in LSTM
        shown = np.logical_or.accumulate(mask[:, ::-1], axis=1)
    else:
        shown = np.logical_or.accumulate(mask, axis=1)
    there = torch.tensor(shown.reshape(*shown.shape, *[1] * len(image)))
    expected = (torch.where(there, expected[0], 0), *expected[1:])
    sum((one * torch.tensor(d)).sum() for one, d in zip(expected, dy)).backward()
    for a, b in zip(found, expected):
        assert np.linalg.norm(a - b.detach().numpy()) < 1e-12 * np.linalg.norm(b.detach().numpy())
    dx, dh, dc = layer.backward(tuple(dy))
    for a, b in zip((dx, *layer.grads.values(), dh, dc), given):
        assert np.linalg.norm(a - b.grad.numpy()) < 1e-11 * np.linalg.norm(b.grad.numpy())
