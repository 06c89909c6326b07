"""Updates of all weights from all gradients: SGD, Adam, AdamW, RMSprop.

One call updates every tensor of a model; what `segments` and `hyper` are is told once, in `npdl.kernels.segments`.
Letters: p weights, g gradients, η learning rate (times the segment's scale), λ weight decay. Everything but g is
updated in place. Every operation is elementwise: nothing depends on how the work is divided.

A running mean (m, v, velocity) below `smallest` is set to 0. The means of a weight whose gradient stays 0, as that of a
unit which is never active, shrink with every step; from 10⁻³⁸ on (float32) processors would need a hundred times longer
for them, and they would never reach 0, for 0.9 times the smallest number there is rounds to itself.
"""

import math

import numpy as np

from npdl.kernels.segments import check, cut

SGD_HYPER = ("learning_rate", "momentum", "nesterov")
ADAM_HYPER = ("learning_rate", "beta_1", "beta_2", "bias_1", "bias_2", "epsilon")
RMSPROP_HYPER = ("learning_rate", "rho", "momentum", "epsilon")


def smallest(real):
    """What running means keep: 2⁻¹⁰³ in float32, 2⁻⁹⁷⁰ in float64, of which every product below is a normal number."""
    return np.finfo(real).tiny / np.finfo(real).eps


def _kept(x):
    """x, and 0 where |x| is below `smallest`"""
    return np.where(np.abs(x) < smallest(x.dtype.type), x.dtype.type(0), x)


def _parts(kernel, arrays, segments):
    """(views of one trainable segment of every array, its η scale, its λ), segment by segment."""
    length = len(next(iter(arrays.values())))
    for start, stop, row in cut(kernel, segments, length, length + 1):
        yield [None if a is None else a[start:stop] for a in arrays.values()], *segments[row, 2:4].tolist()


def sgd(p, g, velocity, segments, hyper):
    """Gradient descent with momentum μ.

        d = g + λ p
        velocity = μ velocity + d
        d = d + μ velocity              nesterov
        d = velocity                    otherwise
        p = p − η d

    Args:
        p, g: (n,)
        velocity: (n,), zeros before the first step; None: no momentum, p = p − η d.
        segments, hyper: hyper is (η, μ, 1.0 for nesterov else 0.0).
    """
    arrays = {"p": p, "g": g, "velocity": velocity}
    check("sgd", arrays, segments, hyper, SGD_HYPER)
    learning_rate, momentum, nesterov = hyper.tolist()
    real = p.dtype.type
    mu = real(momentum)
    for (p, g, velocity), scale, decay in _parts("sgd", arrays, segments):
        eta, lam = real(learning_rate * scale), real(decay)
        d = g + lam * p
        if velocity is not None:
            velocity[...] = _kept(mu * velocity + d)
            d = d + mu * velocity if nesterov else velocity
        p[...] = p - eta * d


def adam(p, g, m, v, segments, hyper):
    """Adam, the weight decay added to the gradient. t is the number of this step, from 1.

        d = g + λ p
        m = β₁ m + (1 − β₁) d
        v = β₂ v + (1 − β₂) d²
        p = p − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)

    √v is multiplied by 1 / √(1 − β₂ᵗ) rather than divided: one rounding apart, and much faster.

    Args:
        p, g: (n,)
        m, v: (n,), running means of the gradient and of its square, zeros before the first step.
        segments, hyper: hyper is (η, β₁, β₂, 1 − β₁ᵗ, 1 − β₂ᵗ, ε).
    """
    _adam("adam", {"p": p, "g": g, "m": m, "v": v}, segments, hyper, decoupled=False)


def adamw(p, g, m, v, segments, hyper):
    """Adam, the weights decayed beside the gradient step: `adam` with

        d = g
        p = (1 − η λ) p                 before p's own line

    Args: as `adam`.
    """
    _adam("adamw", {"p": p, "g": g, "m": m, "v": v}, segments, hyper, decoupled=True)


def _adam(kernel, arrays, segments, hyper, decoupled):
    check(kernel, arrays, segments, hyper, ADAM_HYPER)
    learning_rate, beta_1, beta_2, bias_1, bias_2, epsilon = hyper.tolist()
    real = arrays["p"].dtype.type
    b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
    root, eps = real(1 / math.sqrt(bias_2)), real(epsilon)
    for (p, g, m, v), scale, decay in _parts(kernel, arrays, segments):
        eta = learning_rate * scale
        step, lam, keep = real(eta / bias_1), real(0 if decoupled else decay), real(1 - eta * decay if decoupled else 1)
        d = g + lam * p
        m[...] = _kept(b1 * m + a1 * d)
        v[...] = _kept(b2 * v + a2 * (d * d))
        p[...] = keep * p - step * m / (np.sqrt(v) * root + eps)


def rmsprop(p, g, v, mean, velocity, segments, hyper):
    """RMSprop: the gradient over the root of its running mean square.

        d = g + λ p
        v = ρ v + (1 − ρ) d²
        mean = ρ mean + (1 − ρ) d       centered
        w = v − mean²                   centered; rounding may make it negative: then 0
        w = v                           otherwise
        d = d / (√w + ε)
        velocity = μ velocity + d;  d = velocity        with momentum
        p = p − η d

    Args:
        p, g: (n,)
        v: (n,), zeros before the first step.
        mean: (n,), zeros before the first step; None: not centered.
        velocity: (n,), zeros before the first step; None: no momentum.
        segments, hyper: hyper is (η, ρ, μ, ε).
    """
    arrays = {"p": p, "g": g, "v": v, "mean": mean, "velocity": velocity}
    check("rmsprop", arrays, segments, hyper, RMSPROP_HYPER)
    learning_rate, rho, momentum, epsilon = hyper.tolist()
    real = p.dtype.type
    r, a, mu, eps = real(rho), real(1 - rho), real(momentum), real(epsilon)
    for (p, g, v, mean, velocity), scale, decay in _parts("rmsprop", arrays, segments):
        eta, lam = real(learning_rate * scale), real(decay)
        d = g + lam * p
        w = _kept(r * v + a * (d * d))
        v[...] = w
        if mean is not None:
            mean[...] = _kept(r * mean + a * d)
            w = w - mean * mean
            w = np.where(w < 0, real(0), w)
        d = d / (np.sqrt(w) + eps)
        if velocity is not None:
            d = _kept(mu * velocity + d)
            velocity[...] = d
        p[...] = p - eta * d
