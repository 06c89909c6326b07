"""Max-pooling over windows of 2 x 2 that lie side by side, together with the layer before it.

What the layers one after the other give, without the whole images between them: x, dx (N, H, W, C), out, y, dy and
winners (N, H // 2, W // 2, C). A row or column that an odd size leaves over takes no part. Winners are the taps 0 ... 3
of the maxima, as of `max_pool2d`, and behind ReLU 4 where out is not above 0: there is no gradient. Kernels here call
those of the two layers; on a CPU the whole images stay in the cache.
"""

import numpy as np

from npdl.kernels.checks import one_group, wants_relu
from npdl.kernels.geometry import window2d
from npdl.kernels.reference.conv import conv2d, conv2d_dkernel
from npdl.kernels.reference.matmul import sum_rows
from npdl.kernels.reference.norm import batch_norm, batch_norm_frozen_grad, batch_norm_grad
from npdl.kernels.reference.pool import max_pool2d, max_pool2d_grad


def _windows(height, width, channels):
    return window2d((height, width, channels), (2, 2), (2, 2), "valid")


def _pool(z, out, winners, activation):
    if out.size:
        max_pool2d(z, _windows(*z.shape[1:]), out=out, winners=winners, activation=activation)
    if winners is not None and wants_relu("max_pool2d", activation):
        winners[...] = np.where(out > 0, winners, 4)


def unpool(dy, winners, size, *, out=None, sums=None):
    """out = dx of the pooling, sums = Σ dx over all pixels: what a bias before it has for a gradient

    Args:
        dy, winners: (N, H // 2, W // 2, C).
        size: (H, W).
        out: (N, H, W, C), or None.
        sums: (C,), or None.
    """
    dx = np.zeros((len(dy), *size, dy.shape[-1]), dy.dtype)
    if dy.size:
        max_pool2d_grad(dy, winners, _windows(*size, dy.shape[-1]), out=dx)
    if out is not None:
        out[...] = dx
    if sums is not None:
        sum_rows(dx, out=sums)


def conv2d_pooled(x, w, g, *, out, bias=None, activation=None, winners=None):
    """out = a(max over the windows of z),   z = im2col(x) W + bias

    Args:
        x, w, g, bias: as of `conv2d`; g has one group.
        out: (N, OH // 2, OW // 2, F).
        activation: a, the plain ReLU of npdl/activations/, or None.
        winners: like out, uint8, or None.
    """
    one_group("conv2d_pooled", g)
    z = np.empty((len(x), g.out_h, g.out_w, g.filters), x.dtype)
    conv2d(x, w, g, out=z, bias=bias)
    _pool(z, out, winners, activation)


def conv2d_pooled_dkernel(x, dy, winners, g, *, out):
    """out = dW = im2col(x)ᵀ dz,   dz = unpool(dy)

    Args: as of `conv2d_dkernel` and `unpool`.
    """
    one_group("conv2d_pooled_dkernel", g)
    dz = np.empty((len(x), g.out_h, g.out_w, g.filters), x.dtype)
    unpool(dy, winners, (g.out_h, g.out_w), out=dz)
    conv2d_dkernel(x, dz, g, out=out)


def batch_norm_pooled(x, mean, variance, gamma, beta, epsilon, *, out, activation=None, winners=None):
    """out = a(max over the windows of γ x̂ + β)

    Args: as of `batch_norm`, x (N, H, W, C), and of `max_pool2d`.
    """
    z = np.empty_like(x)
    batch_norm(x, mean, variance, gamma, beta, epsilon, out=z)
    _pool(z, out, winners, activation)


def batch_norm_pooled_grad(
    dy, winners, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, frozen=False
):  # fmt: skip
    """Gradients of `batch_norm_pooled`: those of `batch_norm_grad`, or of `batch_norm_frozen_grad`, of unpool(dy).

    Args: as of `batch_norm_grad` and `unpool`; frozen: whether mean and variance are constants.
    """
    dz = np.empty_like(x)
    unpool(dy, winners, x.shape[1:3], out=dz)
    grad = batch_norm_frozen_grad if frozen else batch_norm_grad
    grad(dz, x, mean, variance, gamma, epsilon, dx=dx, dgamma=dgamma, dbeta=dbeta)
