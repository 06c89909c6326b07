"""Group normalization as numba.cuda kernels: those of channels.py, with the groups of each sample."""

from npdl.kernels.cuda import channels
from npdl.kernels.cuda.kernel import expect


def _sizes(kernel, x, groups, like_x, of_channels, of_groups):
    """(samples, positions, channels, groups)"""
    if len(x.shape) != 3 or not x.shape[1] or not x.shape[2]:
        raise ValueError(f"{kernel}: x must be (N, P, C) with at least one position and channel, got shape {x.shape}")
    if groups != int(groups) or groups < 1 or x.shape[2] % groups:
        raise ValueError(f"{kernel}: groups must be a whole number that divides {x.shape[2]} channels, got {groups!r}")
    for arrays, shape in ((like_x, x.shape), (of_channels, x.shape[2:]), (of_groups, (len(x), groups))):
        for name, array in arrays.items():
            expect(kernel, name, array, shape)
    return (*x.shape, int(groups))


def group_norm(x, groups, gamma, beta, epsilon, *, out, mean=None, inverse=None):
    """out = γ (x − μ) / σ + β, with μ and σ of each sample and group; out may be x."""
    sizes = _sizes(
        "group_norm", x, groups, {"out": out}, {"gamma": gamma, "beta": beta}, {"mean": mean, "inverse": inverse}
    )
    if x.size:
        mean, inverse = channels.statistics(x, mean, inverse, sizes, epsilon, inverted=True)
        channels.normalize(x, mean, inverse, gamma, beta, out, sizes, inverted=True)


def group_norm_grad(dy, x, groups, mean, inverse, gamma, *, dx=None, dgamma=None, dbeta=None):
    """dx = (g − Σ g / (P K) − x̂ Σ g x̂ / (P K)) / σ with g = γ dy; dγ = Σ dy x̂, dβ = Σ dy; dx may be dy."""
    sizes = _sizes(
        "group_norm_grad", x, groups, {"dy": dy, "dx": dx}, {"gamma": gamma, "dgamma": dgamma, "dbeta": dbeta},
        {"mean": mean, "inverse": inverse},
    )  # fmt: skip
    channels.gradients(dy, x, mean, inverse, gamma, None, sizes, dx, dgamma, dbeta, inverted=True)
