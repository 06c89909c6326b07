"""Batch normalization. x (..., C) counts as rows of C channels; n is the number of rows."""

import numpy as np

from npdl.kernels.checks import wants_relu


def _rows(x):
    return x.reshape(-1, x.shape[-1])


def batch_norm_statistics(x, *, mean, variance):
    """mean = Σ x / n,  variance = Σ (x − mean)² / n,  over the rows

    Args:
        x: (..., C), at least one row.
        mean, variance: (C,), written; the variance is the biased one.
    """
    x = _rows(x)
    mean[...] = x.mean(axis=0)
    variance[...] = ((x - mean) ** 2).mean(axis=0)


def batch_norm(x, mean, variance, gamma, beta, epsilon, *, out, activation=None, shortcut=None):
    """out = a(γ x̂ + β + shortcut),   x̂ = (x − mean) / √(variance + ε)

    Args:
        x: (..., C).
        mean, variance: (C,).
        gamma, beta: (C,), or None for 1 and 0.
        epsilon: ε.
        out: like x; it may be x or the shortcut.
        activation: a, the plain ReLU of npdl/activations/, or None.
        shortcut: like x, or None for 0: what a residual block adds.
    """
    relu = wants_relu("batch_norm", activation)
    y = (x - mean) / np.sqrt(variance + epsilon)
    if gamma is not None:
        y = gamma * y
    if beta is not None:
        y = y + beta
    if shortcut is not None:
        y = y + shortcut
    out[...] = np.maximum(y, 0) if relu else y


def _before_relu(kernel, dy, x, mean, variance, gamma, beta, epsilon, activation, y, dz):
    """dy where γ x̂ + β > 0, else 0, or where y > 0, which goes to dz; without an activation dy."""
    if (y is None) != (dz is None):
        given = "dz" if y is None else "y"
        raise ValueError(f"{kernel}: y and dz go together, got {given} alone; pass both or neither")
    if y is not None:
        dz[...] = np.where(y > 0, dy, 0)
        return dz
    if not wants_relu(kernel, activation):
        return dy
    z = np.empty_like(x)
    batch_norm(x, mean, variance, gamma, beta, epsilon, out=z)
    return np.where(z > 0, dy, 0)


def batch_norm_grad(
    dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, beta=None, activation=None,
    y=None, dz=None,
):  # fmt: skip
    """Gradients where mean and variance are those of x itself.

        x̂ = (x − mean) / σ      σ = √(variance + ε)
        dβ = Σ dy               dγ = Σ dy x̂
        dx = γ/σ (dy − dβ/n − x̂ dγ/n)

    After ReLU, dy counts only where γ x̂ + β > 0: 0 stands for it elsewhere. Where a shortcut was added before the ReLU,
    it counts where y > 0.

    Args:
        dy, x: (..., C).
        mean, variance: (C,), of x.
        gamma: (C,) or None for 1.
        epsilon: ε.
        dx: like x, or None; it may be dy.
        dgamma, dbeta: (C,), or None.
        beta: (C,) or None for 0; read only where there is an activation.
        activation: as of `batch_norm`.
        y, dz: like x, or None; what `batch_norm` made with a shortcut and ReLU, and where dy is put as it counts: the
            shortcut's gradient. dz may be dy. Then `activation` is not read.
    """
    dy = _before_relu("batch_norm_grad", dy, x, mean, variance, gamma, beta, epsilon, activation, y, dz)
    n = len(_rows(x))
    sigma = np.sqrt(variance + epsilon)
    normal = (x - mean) / sigma
    sum_dy, sum_dy_normal = _rows(dy).sum(axis=0), _rows(dy * normal).sum(axis=0)
    if dx is not None and n:
        dx[...] = (1 if gamma is None else gamma) / sigma * (dy - sum_dy / n - normal * sum_dy_normal / n)
    if dgamma is not None:
        dgamma[...] = sum_dy_normal
    if dbeta is not None:
        dbeta[...] = sum_dy


def batch_norm_frozen_grad(
    dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, beta=None, activation=None,
    y=None, dz=None,
):  # fmt: skip
    """Gradients where mean and variance are constants.

        dβ = Σ dy       dγ = Σ dy x̂,  x̂ = (x − mean) / σ,  σ = √(variance + ε)        dx = γ/σ dy

    Args: as of `batch_norm_grad`.
    """
    dy = _before_relu("batch_norm_frozen_grad", dy, x, mean, variance, gamma, beta, epsilon, activation, y, dz)
    sigma = np.sqrt(variance + epsilon)
    sum_dy, sum_dy_normal = _rows(dy).sum(axis=0), _rows(dy * ((x - mean) / sigma)).sum(axis=0)
    if dx is not None:
        dx[...] = (1 if gamma is None else gamma) / sigma * dy
    if dgamma is not None:
        dgamma[...] = sum_dy_normal
    if dbeta is not None:
        dbeta[...] = sum_dy


def moving_average(value, momentum, *, out):
    """out = momentum · out + (1 − momentum) · value

    Args:
        value, out: any shape, the same.
        momentum: 0 to 1.
    """
    out[...] = momentum * out + (1 - momentum) * value
