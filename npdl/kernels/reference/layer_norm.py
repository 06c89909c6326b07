"""Layer, root mean square and unit normalization of rows: x (..., D) counts as rows of D features."""

import numpy as np

UNIT_LEAST = 1e-12
"""No smaller Σ x² is divided by in `unit_norm`, as in Keras."""


def _rows(x):
    return x.reshape(-1, x.shape[-1])


def _put(out, values):
    if out is not None:
        out[...] = values.reshape(out.shape)


def layer_norm(x, gamma, beta, epsilon, *, out, mean=None, inverse=None):
    """out = γ x̂ + β,   x̂ = (x − μ) / σ,   μ = Σ x / D,   σ = √(Σ (x − μ)² / D + ε),   over each row

    Args:
        x: (..., D).
        gamma, beta: (D,), or None for 1 and 0.
        epsilon: ε.
        out: like x; it may be x.
        mean, inverse: (...), receive μ and 1/σ; or None.
    """
    centre = x.mean(axis=-1, keepdims=True)
    factor = 1 / np.sqrt(((x - centre) ** 2).mean(axis=-1, keepdims=True) + epsilon)
    _put(mean, centre)
    _put(inverse, factor)
    y = (x - centre) * factor
    if gamma is not None:
        y = gamma * y
    out[...] = y if beta is None else y + beta


def layer_norm_grad(dy, x, mean, inverse, gamma, *, dx=None, dgamma=None, dbeta=None, add=None):
    """Gradients of `layer_norm`.

        x̂ = (x − μ) / σ         g = γ dy
        dβ = Σ dy               dγ = Σ dy x̂         over the rows
        dx = (g − Σ g / D − x̂ Σ g x̂ / D) / σ + add  over each row

    Args:
        dy, x: (..., D).
        mean, inverse: (...), μ and 1/σ of `layer_norm`.
        gamma: (D,), or None for 1.
        dx: like x, or None; it may be dy.
        dgamma, dbeta: (D,), or None.
        add: like x, the gradient of a way around; None is 0.
    """
    factor = inverse[..., None]
    normal = (x - mean[..., None]) * factor
    g = dy if gamma is None else gamma * dy
    sum_dy, sum_dy_normal = _rows(dy).sum(axis=0), _rows(dy * normal).sum(axis=0)
    if dx is not None:
        shares = g.mean(axis=-1, keepdims=True), (g * normal).mean(axis=-1, keepdims=True)
        dx[...] = (g - shares[0] - normal * shares[1]) * factor + (0 if add is None else add)
    _put(dgamma, sum_dy_normal)
    _put(dbeta, sum_dy)


def rms_norm(x, gamma, epsilon, *, out, inverse=None):
    """out = γ x̂,   x̂ = x / ρ,   ρ = √(Σ x² / D + ε),   over each row

    Args:
        x: (..., D).
        gamma: (D,), or None for 1.
        epsilon: ε.
        out: like x; it may be x.
        inverse: (...), receives 1/ρ; or None.
    """
    factor = 1 / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon)
    _put(inverse, factor)
    out[...] = x * factor if gamma is None else gamma * (x * factor)


def rms_norm_grad(dy, x, inverse, gamma, *, dx=None, dgamma=None):
    """Gradients of `rms_norm`.

        x̂ = x / ρ       g = γ dy        dγ = Σ dy x̂ over the rows       dx = (g − x̂ Σ g x̂ / D) / ρ over each row

    Args:
        dy, x: (..., D).
        inverse: (...), 1/ρ of `rms_norm`.
        gamma: (D,), or None for 1.
        dx: like x, or None; it may be dy.
        dgamma: (D,), or None.
    """
    factor = inverse[..., None]
    normal = x * factor
    g = dy if gamma is None else gamma * dy
    sum_dy_normal = _rows(dy * normal).sum(axis=0)
    if dx is not None:
        dx[...] = (g - normal * (g * normal).mean(axis=-1, keepdims=True)) * factor
    _put(dgamma, sum_dy_normal)


def unit_norm(x, *, out, inverse=None):
    """out = x / ‖x‖,   ‖x‖ = √max(Σ x², 10⁻¹²),   over each row

    Args:
        x: (..., D).
        out: like x; it may be x.
        inverse: (...), receives 1/‖x‖; or None.
    """
    factor = 1 / np.sqrt(np.maximum((x**2).sum(axis=-1, keepdims=True), UNIT_LEAST))
    _put(inverse, factor)
    out[...] = x * factor


def unit_norm_grad(dy, x, inverse, *, dx):
    """Gradient of `unit_norm`:  dx = (dy − y Σ dy y) / ‖x‖,  y = x / ‖x‖;  where ‖x‖ is the least one, dx = dy / ‖x‖

    Args:
        dy, x: (..., D).
        inverse: (...), 1/‖x‖ of `unit_norm`.
        dx: like x; it may be dy.
    """
    factor = inverse[..., None]
    y = x * factor
    projection = y * (dy * y).sum(axis=-1, keepdims=True)
    dx[...] = (dy - np.where(factor < 1 / np.sqrt(UNIT_LEAST), projection, 0)) * factor
