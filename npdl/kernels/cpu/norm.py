"""Batch normalization; formulas: npdl/kernels/reference/norm.py, code: kernels/norm.h."""

from npdl.kernels.checks import aligned, expect, wants_relu
from npdl.kernels.cpu.build import lib


def _sizes(kernel, x):
    """(rows, channels)"""
    if x.ndim < 2 or not x.shape[-1]:
        raise ValueError(f"{kernel}: x must be (..., C) with at least one channel, got shape {x.shape}")
    aligned(kernel, "x", x)
    return x.size // x.shape[-1], x.shape[-1]


def _expect_channels(kernel, channels, **arrays):
    for name, array in arrays.items():
        if array is not None or name in ("mean", "variance"):  # the others may be left out
            expect(kernel, name, array, (channels,))


def batch_norm_statistics(x, *, mean, variance):
    """mean = Σ x / n, variance = Σ (x − mean)² / n"""
    rows, channels = _sizes("batch_norm_statistics", x)
    if not rows:
        raise ValueError(f"batch_norm_statistics: x must have at least one row, got shape {x.shape}")
    _expect_channels("batch_norm_statistics", channels, mean=mean, variance=variance)
    lib.batch_norm_statistics(x, mean, variance, rows, channels)


def batch_norm(x, mean, variance, gamma, beta, epsilon, *, out, activation=None):
    """out = a(γ (x − mean) / √(variance + ε) + β), a ReLU or nothing; out may be x."""
    relu = wants_relu("batch_norm", activation)
    rows, channels = _sizes("batch_norm", x)
    _expect_channels("batch_norm", channels, mean=mean, variance=variance, gamma=gamma, beta=beta)
    expect("batch_norm", "out", out, x.shape)
    lib.batch_norm(x, mean, variance, gamma, beta, epsilon, relu, out, rows, channels)


def _gradient(kernel, frozen, dy, x, mean, variance, gamma, epsilon, dx, dgamma, dbeta, beta, activation):
    relu = wants_relu(kernel, activation)
    rows, channels = _sizes(kernel, x)
    expect(kernel, "dy", dy, x.shape)
    if dx is not None:
        expect(kernel, "dx", dx, x.shape)
    _expect_channels(kernel, channels, mean=mean, variance=variance, gamma=gamma, beta=beta, dgamma=dgamma, dbeta=dbeta)
    lib.batch_norm_grad(
        kernel, frozen, dy, x, mean, variance, gamma, beta, epsilon, relu, dx, dgamma, dbeta, rows, channels
    )


def batch_norm_grad(
    dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, beta=None, activation=None
):
    """dx = γ/σ (dy − dβ/n − x̂ dγ/n), dγ = Σ dy x̂, dβ = Σ dy, after ReLU where γ x̂ + β > 0; dx may be dy."""
    _gradient("batch_norm_grad", False, dy, x, mean, variance, gamma, epsilon, dx, dgamma, dbeta, beta, activation)


def batch_norm_frozen_grad(
    dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, beta=None, activation=None
):
    """dx = γ/σ dy, dγ = Σ dy x̂, dβ = Σ dy, after ReLU where γ x̂ + β > 0; dx may be dy."""
    _gradient(
        "batch_norm_frozen_grad", True, dy, x, mean, variance, gamma, epsilon, dx, dgamma, dbeta, beta, activation
    )


def moving_average(value, momentum, *, out):
    """out = momentum · out + (1 − momentum) · value"""
    expect("moving_average", "value", value, out.shape)
    aligned("moving_average", "out", out)
    lib.moving_average(value, momentum, out)
