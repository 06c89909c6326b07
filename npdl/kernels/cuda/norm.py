"""Batch normalization as numba.cuda kernels; channels.py has the sums, x (..., C) counts as rows of C channels."""

from numba import cuda

from npdl.kernels.checks import wants_relu
from npdl.kernels.cuda import channels
from npdl.kernels.cuda.kernel import Float, Floats, Long, expect, kernel, launch_each


@kernel
def moving_kernel(value: Floats, momentum: Float, rest: Float, out: Floats, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = momentum * out[i] + rest * value[i]
        i += cuda.gridsize(1)


def _sizes(kernel, x, like_x, per_channel):
    """(1, rows, channels, channels) for channels.py; arrays are dictionaries of name -> array or None."""
    if len(x.shape) < 2 or not x.shape[-1]:
        raise ValueError(f"{kernel}: x must be (..., C) with at least one channel, got shape {x.shape}")
    for arrays, shape in ((like_x, x.shape), (per_channel, x.shape[-1:])):
        for name, array in arrays.items():
            expect(kernel, name, array, shape)
    return 1, x.size // x.shape[-1], x.shape[-1], x.shape[-1]


def batch_norm_statistics(x, *, mean, variance):
    """mean = Σ x / n, variance = Σ (x − mean)² / n"""
    sizes = _sizes("batch_norm_statistics", x, {}, {"mean": mean, "variance": variance})
    if not x.size:
        raise ValueError(f"batch_norm_statistics: x must have at least one row, got shape {x.shape}")
    channels.statistics(x, mean, variance, sizes)


def batch_norm(x, mean, variance, gamma, beta, epsilon, *, out, activation=None, shortcut=None):
    """out = a(γ (x − mean) / √(variance + ε) + β + shortcut), a ReLU or nothing; out may be x or the shortcut."""
    relu = wants_relu("batch_norm", activation)
    like_x = {"out": out, "shortcut": shortcut}
    sizes = _sizes("batch_norm", x, like_x, {"mean": mean, "variance": variance, "gamma": gamma, "beta": beta})
    if x.size:
        channels.normalize(x, mean, variance, gamma, beta, out, sizes, epsilon, shortcut=shortcut, relu=relu)


def batch_norm_grad(
    dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, beta=None, activation=None,
    y=None, dz=None,
):  # fmt: skip
    """dx = γ/σ (dy − dβ/n − x̂ dγ/n), dγ = Σ dy x̂, dβ = Σ dy, after ReLU where γ x̂ + β > 0, or y; dx may be dy."""
    _gradients(
        "batch_norm_grad", False, dy, x, mean, variance, gamma, beta, epsilon, activation, y, dz, dx, dgamma, dbeta
    )


def batch_norm_frozen_grad(
    dy, x, mean, variance, gamma, epsilon, *, dx=None, dgamma=None, dbeta=None, beta=None, activation=None,
    y=None, dz=None,
):  # fmt: skip
    """dx = γ/σ dy, dγ = Σ dy x̂, dβ = Σ dy, after ReLU where γ x̂ + β > 0, or y; dx may be dy."""
    _gradients(
        "batch_norm_frozen_grad", True, dy, x, mean, variance, gamma, beta, epsilon, activation, y, dz, dx, dgamma,
        dbeta,
    )  # fmt: skip


def _gradients(
    kernel, frozen, dy, x, mean, variance, gamma, beta, epsilon, activation, y, dz, dx, dgamma, dbeta
):  # fmt: skip
    if (y is None) != (dz is None):
        given = "dz" if y is None else "y"
        raise ValueError(f"{kernel}: y and dz go together, got {given} alone; pass both or neither")
    relu = channels.RELU_OF_Y if y is not None else int(wants_relu(kernel, activation))
    sizes = _sizes(
        kernel, x, {"dy": dy, "y": y, "dz": dz, "dx": dx},
        {"mean": mean, "variance": variance, "gamma": gamma, "beta": beta, "dgamma": dgamma, "dbeta": dbeta},
    )  # fmt: skip
    channels.gradients(
        dy, x, mean, variance, gamma, beta, sizes, dx, dgamma, dbeta, epsilon, relu=relu, y=y, dz=dz, frozen=frozen
    )


def moving_average(value, momentum, *, out):
    """out = momentum · out + (1 − momentum) · value"""
    expect("moving_average", "out", out, value.shape)
    launch_each(moving_kernel, out.size, value, momentum, 1 - momentum, out, out.size)
