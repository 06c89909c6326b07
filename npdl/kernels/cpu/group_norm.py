"""Group normalization; formulas: npdl/kernels/reference/group_norm.py, code: kernels/group_norm.h."""

from npdl.kernels.cpu.build import lib

expect = lib.expect


def _check(kernel, x, groups, like_x, of_channels, of_groups, optional):
    """(samples, positions, channels, groups)"""
    if x.ndim != 3 or not x.shape[1] or not x.shape[2]:
        raise ValueError(f"{kernel}: x must be (N, P, C) with at least one position and channel, got shape {x.shape}")
    if groups != int(groups) or groups < 1 or x.shape[2] % groups:
        raise ValueError(f"{kernel}: groups must be a whole number that divides {x.shape[2]} channels, got {groups!r}")
    for arrays, shape in ((like_x, x.shape), (of_channels, x.shape[2:]), (of_groups, (len(x), groups))):
        for name, array in arrays.items():
            if array is not None or name not in optional:
                expect(kernel, name, array, shape)
    return (*x.shape, int(groups))


def group_norm(x, groups, gamma, beta, epsilon, *, out, mean=None, inverse=None):
    """out = γ (x − μ) / σ + β, with μ and σ of each sample and group; out may be x."""
    sizes = _check(
        "group_norm", x, groups, {"out": out}, {"gamma": gamma, "beta": beta}, {"mean": mean, "inverse": inverse},
        optional=("gamma", "beta", "mean", "inverse"),
    )  # fmt: skip
    lib.group_norm(x, gamma, beta, epsilon, out, mean, inverse, *sizes)


def group_norm_grad(dy, x, groups, mean, inverse, gamma, *, dx=None, dgamma=None, dbeta=None):
    """dx = (g − Σ g / (P K) − x̂ Σ g x̂ / (P K)) / σ with g = γ dy; dγ = Σ dy x̂, dβ = Σ dy; dx may be dy."""
    sizes = _check(
        "group_norm_grad", x, groups, {"dy": dy, "dx": dx}, {"gamma": gamma, "dgamma": dgamma, "dbeta": dbeta},
        {"mean": mean, "inverse": inverse}, optional=("dx", "gamma", "dgamma", "dbeta"),
    )  # fmt: skip
    lib.group_norm_grad(dy, x, mean, inverse, gamma, dx, dgamma, dbeta, *sizes)
