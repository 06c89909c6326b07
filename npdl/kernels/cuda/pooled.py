"""Max-pooling together with the layer before it: the kernels of the two one after the other.

A GPU's models run the layers themselves (npdl/models/fusion.py); whole images lie in memory that is taken anew here.
"""

import numpy as np
from numba import cuda, float32

from npdl.kernels.checks import one_group, wants_relu
from npdl.kernels.cuda.conv import conv2d, conv2d_dkernel
from npdl.kernels.cuda.kernel import Bytes, Floats, Long, kernel, launch_each
from npdl.kernels.cuda.matmul import sum_rows
from npdl.kernels.cuda.norm import batch_norm, batch_norm_frozen_grad, batch_norm_grad
from npdl.kernels.cuda.pool import max_pool2d, max_pool2d_grad
from npdl.kernels.geometry import window2d


@kernel
def cut_kernel(y: Floats, winners: Bytes, n: Long):
    """4, which is no tap, where ReLU lets no gradient through."""
    e = cuda.grid(1)
    while e < n:
        if not y[e] > float32(0):
            winners[e] = 4
        e += cuda.gridsize(1)


def _windows(height, width, channels):
    return window2d((height, width, channels), (2, 2), (2, 2), "valid")


def _images(like, *shape):
    """Whole images, beside another array."""
    return like.memory.driver.array(shape, np.float32)


def _pool(z, out, winners, activation):
    max_pool2d(z, _windows(*z.shape[1:]), out=out, winners=winners, activation=activation)
    if winners is not None and wants_relu("max_pool2d", activation):
        launch_each(cut_kernel, out.size, out, winners, out.size)


def unpool(dy, winners, size, *, out=None, sums=None):
    """out = dx of the pooling, sums = Σ dx over all pixels"""
    dx = _images(dy, len(dy), *size, dy.shape[-1]) if out is None else out
    max_pool2d_grad(dy, winners, _windows(*size, dy.shape[-1]), out=dx)
    if sums is not None:
        sum_rows(dx, out=sums)


def conv2d_pooled(x, w, g, *, out, bias=None, activation=None, winners=None):
    """out = a(max over 2 x 2 of im2col(x) W + bias), a ReLU or nothing; winners: the tap of the first maximum."""
    one_group("conv2d_pooled", g)
    z = _images(x, len(x), g.out_h, g.out_w, g.filters)
    conv2d(x, w, g, out=z, bias=bias)
    _pool(z, out, winners, activation)


def conv2d_pooled_dkernel(x, dy, winners, g, *, out):
    """out = dW = im2col(x)ᵀ unpool(dy)"""
    one_group("conv2d_pooled_dkernel", g)
    dz = _images(x, len(x), g.out_h, g.out_w, g.filters)
    unpool(dy, winners, (g.out_h, g.out_w), out=dz)
    conv2d_dkernel(x, dz, g, out=out)


def batch_norm_pooled(x, mean, variance, gamma, beta, epsilon, *, out, activation=None, winners=None):
    """out = a(max over 2 x 2 of γ (x − mean) / √(variance + ε) + β), a ReLU or nothing"""
    z = _images(x, *x.shape)
    batch_norm(x, mean, variance, gamma, beta, epsilon, out=z)
    _pool(z, out, winners, activation)


def batch_norm_pooled_grad(
    dy, winners, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, frozen=False
):  # fmt: skip
    """Gradients of `batch_norm_pooled`; frozen: mean and variance are constants."""
    dz = _images(x, *x.shape)
    unpool(dy, winners, x.shape[1:3], out=dz)
    grad = batch_norm_frozen_grad if frozen else batch_norm_grad
    grad(dz, x, mean, variance, gamma, epsilon, dx=dx, dgamma=dgamma, dbeta=dbeta)
