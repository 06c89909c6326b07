"""Group normalization: x (N, P, C) are N samples of P positions, with C channels in G groups of K = C / G."""

import numpy as np


def _in_groups(x, groups):
    """x as (N, P, G, K)"""
    return x.reshape(*x.shape[:2], groups, x.shape[2] // groups)


def _mean(x):
    """Over the positions and the channels of a group, (N, 1, G, 1)"""
    return x.mean(axis=(1, 3), keepdims=True)


def group_norm(x, groups, gamma, beta, epsilon, *, out, mean=None, inverse=None):
    """out = γ x̂ + β,   x̂ = (x − μ) / σ,   μ and σ = √(variance + ε) over the positions and channels of each group

    Args:
        x: (N, P, C).
        groups: G, divides C; C for instance normalization.
        gamma, beta: (C,), or None for 1 and 0.
        epsilon: ε.
        out: like x; it may be x.
        mean, inverse: (N, G), receive μ and 1/σ; or None.
    """
    parts = _in_groups(x, groups)
    centre = _mean(parts)
    factor = 1 / np.sqrt(_mean((parts - centre) ** 2) + epsilon)
    for array, values in ((mean, centre), (inverse, factor)):
        if array is not None:
            array[...] = values.reshape(array.shape)
    y = ((parts - centre) * factor).reshape(x.shape)
    if gamma is not None:
        y = gamma * y
    out[...] = y if beta is None else y + beta


def group_norm_grad(dy, x, groups, mean, inverse, gamma, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `group_norm`.

        x̂ = (x − μ) / σ         g = γ dy
        dβ = Σ dy               dγ = Σ dy x̂                             over the samples and positions
        dx = (g − Σ g / (P K) − x̂ Σ g x̂ / (P K)) / σ                   over each group

    Args:
        dy, x: (N, P, C).
        groups: G.
        mean, inverse: (N, G), μ and 1/σ of `group_norm`.
        gamma: (C,), or None for 1.
        dx: like x, or None; it may be dy.
        dgamma, dbeta: (C,), or None.
    """
    centre, factor = (a.reshape(len(x), 1, groups, 1) for a in (mean, inverse))
    normal = (_in_groups(x, groups) - centre) * factor
    g = _in_groups(dy if gamma is None else gamma * dy, groups)
    sum_dy, sum_dy_normal = dy.sum(axis=(0, 1)), (dy * normal.reshape(x.shape)).sum(axis=(0, 1))
    if dx is not None:
        dx[...] = ((g - _mean(g) - normal * _mean(g * normal)) * factor).reshape(x.shape)
    if dgamma is not None:
        dgamma[...] = sum_dy_normal
    if dbeta is not None:
        dbeta[...] = sum_dy
