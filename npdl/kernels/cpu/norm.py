"""Batch normalization; formulas: npdl/kernels/reference/norm.py, code: kernels/norm.h."""

from npdl.kernels.checks import aligned, expect
from npdl.kernels.cpu.build import lib


def _sizes(kernel, x):
    """(rows, channels)"""
    if x.ndim < 2 or not x.shape[-1]:
        raise ValueError(f"{kernel}: x must be (..., C) with at least one channel, got shape {x.shape}")
    aligned(kernel, "x", x)
    return x.size // x.shape[-1], x.shape[-1]


def _expect_channels(kernel, channels, **arrays):
    for name, array in arrays.items():
        if array is not None:
            expect(kernel, name, array, (channels,))


def batch_norm_statistics(x, *, mean, variance):
    """mean = Σ x / n, variance = Σ (x − mean)² / n"""
    rows, channels = _sizes("batch_norm_statistics", x)
    if not rows:
        raise ValueError(f"batch_norm_statistics: x must have at least one row, got shape {x.shape}")
    _expect_channels("batch_norm_statistics", channels, mean=mean, variance=variance)
    lib.batch_norm_statistics(x, mean, variance, rows, channels)


def batch_norm(x, mean, variance, gamma, beta, epsilon, *, out):
    """out = γ (x − mean) / √(variance + ε) + β; out may be x."""
    rows, channels = _sizes("batch_norm", x)
    _expect_channels("batch_norm", channels, mean=mean, variance=variance, gamma=gamma, beta=beta)
    expect("batch_norm", "out", out, x.shape)
    lib.batch_norm(x, mean, variance, gamma, beta, epsilon, out, rows, channels)


def _gradient(kernel, frozen, dy, x, mean, variance, gamma, epsilon, dx, dgamma, dbeta):
    rows, channels = _sizes(kernel, x)
    expect(kernel, "dy", dy, x.shape)
    if dx is not None:
        expect(kernel, "dx", dx, x.shape)
    _expect_channels(kernel, channels, mean=mean, variance=variance, gamma=gamma, dgamma=dgamma, dbeta=dbeta)
    lib.batch_norm_grad(kernel, frozen, dy, x, mean, variance, gamma, epsilon, dx, dgamma, dbeta, rows, channels)


def batch_norm_grad(dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None):
    """dx = γ/σ (dy − dβ/n − x̂ dγ/n), dγ = Σ dy x̂, dβ = Σ dy; dx may be dy."""
    _gradient("batch_norm_grad", False, dy, x, mean, variance, gamma, epsilon, dx, dgamma, dbeta)


def batch_norm_frozen_grad(dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None):
    """dx = γ/σ dy, dγ = Σ dy x̂, dβ = Σ dy; dx may be dy."""
    _gradient("batch_norm_frozen_grad", True, dy, x, mean, variance, gamma, epsilon, dx, dgamma, dbeta)


def moving_average(value, momentum, *, out):
    """out = momentum · out + (1 − momentum) · value"""
    expect("moving_average", "value", value, out.shape)
    aligned("moving_average", "out", out)
    lib.moving_average(value, momentum, out)
