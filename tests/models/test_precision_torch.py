"""Mixed precision against PyTorch: products of rounded factors, forward and both gradients."""

import numpy as np
import pytest

from npdl import devices, layers
from npdl.devices.precision import PRECISIONS

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch


def rounded(x, precision):
    return torch.from_numpy(np.array(x)).to(getattr(torch, PRECISIONS[precision])).double()


def close(ours, theirs):
    theirs = theirs.numpy()
    assert np.linalg.norm(ours - theirs) < 1e-6 * np.linalg.norm(theirs)


def mixed(layer, shape, precision):
    layer.init(shape, seed=0)
    layer.store.to(devices.get("cpu", precision))
    return layer


@pytest.mark.parametrize("precision", PRECISIONS)
def test_dense(precision):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((9, 33)).astype("float32"), rng.standard_normal((9, 17)).astype("float32")
    layer = mixed(layers.Dense(17, use_bias=False), (33,), precision)
    y, dx = layer.forward(x, training=True), layer.backward(dy)
    W, x, dy = (rounded(one, precision) for one in (layer.params["kernel"], x, dy))
    close(y, x @ W)
    close(dx, dy @ W.T)
    close(layer.grads["kernel"], x.T @ dy)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("channels, filters, groups", [(3, 5, 1), (16, 32, 1), (6, 6, 6)])
def test_conv2d(precision, channels, filters, groups):
    """Direct, by Winograd, a group a channel."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 10, 9, channels)).astype("float32")
    dy = rng.standard_normal((4, 10, 9, filters)).astype("float32")
    layer = mixed(layers.Conv2D(filters, 3, padding="same", groups=groups, use_bias=False), x.shape[1:], precision)
    y, dx = layer.forward(x, training=True), layer.backward(dy)
    W = rounded(layer.params["kernel"], precision).permute(3, 2, 0, 1)
    x, dy = (rounded(one, precision).permute(0, 3, 1, 2) for one in (x, dy))
    how = {"padding": 1, "groups": groups}
    close(y, torch.nn.functional.conv2d(x, W, **how).permute(0, 2, 3, 1))
    close(dx, torch.nn.grad.conv2d_input(x.shape, W, dy, **how).permute(0, 2, 3, 1))
    close(layer.grads["kernel"], torch.nn.grad.conv2d_weight(x, W.shape, dy, **how).permute(2, 3, 1, 0))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_attention(precision):
    """q, k, v are rounded; the probabilities are not."""
    rng, kernels = np.random.default_rng(2), devices.get("cpu", precision).kernels
    q, k, v, dy = (rng.standard_normal((2, 7, 3, 8)).astype("float32") for _ in range(4))
    out, dq, dk, dv = (np.empty_like(q) for _ in range(4))
    kernels.attention(q, k, v, 0.3, out=out)
    kernels.attention_grad(dy, q, k, v, 0.3, dq=dq, dk=dk, dv=dv)
    given = [rounded(one, precision).permute(0, 2, 1, 3).requires_grad_() for one in (q, k, v)]
    expected = torch.softmax(0.3 * given[0] @ given[1].transpose(2, 3), -1) @ given[2]
    expected.backward(rounded(dy, precision).permute(0, 2, 1, 3))
    for ours, theirs in zip((out, dq, dk, dv), (expected.detach(), *(one.grad for one in given)), strict=True):
        close(ours, theirs.permute(0, 2, 1, 3))
