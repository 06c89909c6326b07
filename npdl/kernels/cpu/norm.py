"""Batch normalization; formulas: npdl/kernels/reference/norm.py, code: kernels/norm.h, kernels/norm.pxi."""

from npdl.kernels.checks import wants_relu
from npdl.kernels.cpu.build import lib


def batch_norm_statistics(x, *, mean, variance):
    """mean = Σ x / n, variance = Σ (x − mean)² / n"""
    lib.batch_norm_statistics(x, mean, variance)


def batch_norm(x, mean, variance, gamma, beta, epsilon, *, out, activation=None, shortcut=None):
    """out = a(γ (x − mean) / √(variance + ε) + β + shortcut), a ReLU or nothing; out may be x or the shortcut."""
    lib.batch_norm(x, mean, variance, gamma, beta, epsilon, shortcut, wants_relu("batch_norm", activation), out)


def batch_norm_grad(
    dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, beta=None, activation=None,
    y=None, dz=None,
):  # fmt: skip
    """dx = γ/σ (dy − dβ/n − x̂ dγ/n), dγ = Σ dy x̂, dβ = Σ dy, after ReLU where γ x̂ + β > 0, or y; dx may be dy."""
    relu = y is None and wants_relu("batch_norm_grad", activation)
    lib.batch_norm_grad(
        "batch_norm_grad", False, dy, x, mean, variance, gamma, beta, epsilon, relu, y, dz, dx, dgamma, dbeta
    )


def batch_norm_frozen_grad(
    dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, beta=None, activation=None,
    y=None, dz=None,
):  # fmt: skip
    """dx = γ/σ dy, dγ = Σ dy x̂, dβ = Σ dy, after ReLU where γ x̂ + β > 0, or y; dx may be dy."""
    relu = y is None and wants_relu("batch_norm_frozen_grad", activation)
    lib.batch_norm_grad(
        "batch_norm_frozen_grad", True, dy, x, mean, variance, gamma, beta, epsilon, relu, y, dz, dx, dgamma, dbeta
    )


def moving_average(value, momentum, *, out):
    """out = momentum · out + (1 − momentum) · value"""
    lib.moving_average(value, momentum, out)
