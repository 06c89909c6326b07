"""Pooling on the way; formulas: npdl/kernels/reference/pooled.py, code: kernels/pooled.h, kernels/pooled.pxi."""

from npdl.kernels.checks import one_group, wants_relu
from npdl.kernels.cpu.build import lib
from npdl.kernels.cpu.conv import check_convolution


def unpool(dy, winners, size, *, out=None, sums=None):
    """out = dx of the pooling, sums = Σ dx over all pixels"""
    lib.unpool(dy, winners, *size, out, sums)


def conv2d_pooled(x, w, g, *, out, bias=None, activation=None, winners=None):
    """out = a(max over 2 x 2 of im2col(x) W + bias), a ReLU or nothing; winners: the tap of the first maximum."""
    one_group("conv2d_pooled", g)
    check_convolution("conv2d_pooled", g, ("x", x), ("w", w))
    if bias is not None:
        lib.expect("conv2d_pooled", "bias", bias, (g.filters,))
    lib.conv2d_pooled(x, w, out, bias, winners, wants_relu("conv2d_pooled", activation), len(x), g)


def conv2d_pooled_dkernel(x, dy, winners, g, *, out):
    """out = dW = im2col(x)ᵀ unpool(dy)"""
    one_group("conv2d_pooled_dkernel", g)
    check_convolution("conv2d_pooled_dkernel", g, ("x", x), ("out", out))
    lib.conv2d_pooled_dkernel(x, dy, winners, out, len(x), g)


def batch_norm_pooled(x, mean, variance, gamma, beta, epsilon, *, out, activation=None, winners=None):
    """out = a(max over 2 x 2 of γ (x − mean) / √(variance + ε) + β), a ReLU or nothing"""
    relu = wants_relu("batch_norm_pooled", activation)
    lib.batch_norm_pooled(x, mean, variance, gamma, beta, epsilon, relu, out, winners)


def batch_norm_pooled_grad(
    dy, winners, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, frozen=False
):  # fmt: skip
    """Gradients of `batch_norm_pooled`; frozen: mean and variance are constants."""
    lib.batch_norm_pooled_grad(frozen, dy, winners, x, mean, variance, gamma, epsilon, dx, dgamma, dbeta)
