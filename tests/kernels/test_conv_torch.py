"""Convolution kernels against PyTorch, in float64."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.geometry import window2d
from npdl.kernels.reference import conv as reference

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch

KERNELS = [reference]
if compiled():
    from npdl.kernels.cpu import conv as cpu

    KERNELS.append(cpu)


def torch_convolution(x, w, bias, dz, g):
    """y, dx and dW; PyTorch's images are (N, C, H, W), its kernels (F, C/groups, KH, KW)."""
    bottom = max((g.out_h - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1 - g.in_h - g.pad_top, 0)
    right = max((g.out_w - 1) * g.stride_w + (g.kernel_w - 1) * g.dilation_w + 1 - g.in_w - g.pad_left, 0)
    tx = torch.from_numpy(x).permute(0, 3, 1, 2).requires_grad_()
    tw = torch.from_numpy(w).permute(3, 2, 0, 1).requires_grad_()
    padded = torch.nn.functional.pad(tx, (g.pad_left, right, g.pad_top, bottom))
    y = torch.nn.functional.conv2d(
        padded, tw, torch.from_numpy(bias), stride=g[5:7], dilation=(g.dilation_h, g.dilation_w), groups=g.groups
    )
    y.backward(torch.from_numpy(dz).permute(0, 3, 1, 2))
    return (
        y.detach().permute(0, 2, 3, 1).numpy(),
        tx.grad.permute(0, 2, 3, 1).numpy(),
        tw.grad.permute(2, 3, 1, 0).numpy(),
    )


@pytest.mark.parametrize("kernels", KERNELS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("padding", ("same", "valid"))
@pytest.mark.parametrize("strides", ((1, 1), (2, 2), (1, 3)))
@pytest.mark.parametrize(
    ("kernel", "dilation"), (((3, 3), (1, 1)), ((1, 1), (1, 1)), ((5, 2), (1, 1)), ((3, 3), (2, 2)), ((2, 3), (3, 1)))
)
@pytest.mark.parametrize(("filters", "groups"), ((10, 1), (4, 2), (8, 8)))
def test_convolution_and_its_gradients(rng, kernels, kernel, strides, padding, dilation, filters, groups):
    g = window2d((11, 9, 8), kernel, strides, padding, dilation, filters, groups)
    x = rng.standard_normal((3, 11, 9, 8))
    w, bias = rng.standard_normal((*kernel, 8 // groups, filters)), rng.standard_normal(filters)
    dz = rng.standard_normal((3, g.out_h, g.out_w, filters))
    y, dx, dw = np.empty(dz.shape), np.empty(x.shape), np.empty(w.shape)
    kernels.conv2d(x, w, g, out=y, bias=bias)
    kernels.conv2d_dx(dz, w, g, out=dx)
    kernels.conv2d_dkernel(x, dz, g, out=dw)
    for got, expected in zip((y, dx, dw), torch_convolution(x, w, bias, dz, g)):
        assert np.abs(got - expected).max() <= 1e-9 * np.abs(expected).max()
