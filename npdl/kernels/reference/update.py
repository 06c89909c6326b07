"""Updates of all weights from all gradients, element by element: SGD, Adam and its kin, Lion, Adagrad, Rprop ...

One call updates every tensor of a model; what `segments` and `hyper` are is told once, in `npdl.kernels.segments`.
Letters: p weights, g gradients, η learning rate (times the segment's scale), λ weight decay. Everything but g is
updated in place. Every operation is elementwise: nothing depends on how the work is divided.

Weight decay is λ p added to the gradient, or, where `decoupled` is 1, a factor on the weight beside the gradient step:

    d = g + λ p,  keep = 1              decoupled 0
    d = g,        keep = 1 − η λ        decoupled 1

A running mean (m, v, velocity) below `smallest` is set to 0. The means of a weight whose gradient stays 0, as that of a
unit which is never active, shrink with every step; from 10⁻³⁸ on (float32) processors would need a hundred times longer
for them, and they would never reach 0, for 0.9 times the smallest number there is rounds to itself.
"""

import math

import numpy as np

from npdl.kernels.segments import check, cut

SGD_HYPER = ("learning_rate", "momentum", "nesterov", "decoupled")
ADAM_HYPER = ("learning_rate", "beta_1", "beta_2", "bias_1", "bias_2", "epsilon")
RMSPROP_HYPER = ("learning_rate", "rho", "momentum", "epsilon", "decoupled")
ADAMAX_HYPER = ("learning_rate", "beta_1", "beta_2", "bias_1", "epsilon", "decoupled")
NADAM_HYPER = ("learning_rate", "beta_1", "beta_2", "gradient", "mean", "bias_2", "epsilon", "decoupled")
LION_HYPER = ("learning_rate", "beta_1", "beta_2")
ADAGRAD_HYPER = ("learning_rate", "epsilon", "decoupled")
ADADELTA_HYPER = ("learning_rate", "rho", "epsilon", "decoupled")
FTRL_HYPER = ("learning_rate", "power", "l1", "l2", "shrinkage", "beta", "decoupled")
SCHEDULE_FREE_HYPER = ("learning_rate", "warm", "beta_1", "beta_2", "bias_2", "epsilon", "share", "decoupled")
RPROP_HYPER = ("learning_rate", "eta_minus", "eta_plus", "step_min", "step_max", "decoupled")
MUON_HYPER = ("momentum", "nesterov")
COMBINE_HYPER = ("a", "b")
CLIP_HYPER = ("limit",)


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


def _decay(real, eta, decay, decoupled):
    """(λ, keep)"""
    return (real(0), real(1 - eta * decay)) if decoupled else (real(decay), real(1))


def sgd(p, g, velocity, segments, hyper):
    """Gradient descent with momentum μ.

        velocity = μ velocity + d
        d = d + μ velocity              nesterov
        d = velocity                    otherwise
        p = keep p − η d

    Args:
        p, g: (n,)
        velocity: (n,), zeros before the first step; None: no momentum, p = keep p − η d.
        segments, hyper: hyper is (η, μ, 1.0 for nesterov else 0.0, decoupled).
    """
    arrays = {"p": p, "g": g, "velocity": velocity}
    check("sgd", arrays, segments, hyper, SGD_HYPER)
    learning_rate, momentum, nesterov, decoupled = hyper.tolist()
    real = p.dtype.type
    mu = real(momentum)
    for (p, g, velocity), scale, decay in _parts("sgd", arrays, segments):
        eta, (lam, keep) = real(learning_rate * scale), _decay(real, learning_rate * scale, decay, decoupled)
        d = g + lam * p
        if velocity is not None:
            velocity[...] = _kept(mu * velocity + d)
            d = d + mu * velocity if nesterov else velocity
        p[...] = keep * p - eta * d


def adam(p, g, m, v, segments, hyper, v_max=None):
    """Adam, the weight decay added to the gradient. t is the number of this step, from 1.

        d = g + λ p
        m = β₁ m + (1 − β₁) d
        v = β₂ v + (1 − β₂) d²
        v_max = max(v_max, v);  v = v_max in the next line only      AMSGrad
        p = p − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)

    √v is multiplied by 1 / √(1 − β₂ᵗ) rather than divided: one rounding apart, and much faster.

    Args:
        p, g: (n,)
        m, v: (n,), running means of the gradient and of its square, zeros before the first step.
        segments, hyper: hyper is (η, β₁, β₂, 1 − β₁ᵗ, 1 − β₂ᵗ, ε).
        v_max: (n,), the largest v so far; None: not AMSGrad.
    """
    _adam("adam", {"p": p, "g": g, "m": m, "v": v, "v_max": v_max}, segments, hyper, decoupled=False)


def adamw(p, g, m, v, segments, hyper, v_max=None):
    """Adam, the weights decayed beside the gradient step: `adam` with

        d = g
        p = (1 − η λ) p                 before p's own line

    Args: as `adam`.
    """
    _adam("adamw", {"p": p, "g": g, "m": m, "v": v, "v_max": v_max}, segments, hyper, decoupled=True)


def _adam(kernel, arrays, segments, hyper, decoupled):
    check(kernel, arrays, segments, hyper, ADAM_HYPER)
    learning_rate, beta_1, beta_2, bias_1, bias_2, epsilon = hyper.tolist()
    real = arrays["p"].dtype.type
    b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
    root, eps = real(1 / math.sqrt(bias_2)), real(epsilon)
    for (p, g, m, v, v_max), scale, decay in _parts(kernel, arrays, segments):
        eta = learning_rate * scale
        step, (lam, keep) = real(eta / bias_1), _decay(real, eta, decay, decoupled)
        d = g + lam * p
        m[...] = _kept(b1 * m + a1 * d)
        v[...] = _kept(b2 * v + a2 * (d * d))
        if v_max is not None:
            v_max[...] = np.where(v > v_max, v, v_max)
            v = v_max
        p[...] = keep * p - step * m / (np.sqrt(v) * root + eps)


def rmsprop(p, g, v, mean, velocity, segments, hyper):
    """RMSprop: the gradient over the root of its running mean square.

        v = ρ v + (1 − ρ) d²
        mean = ρ mean + (1 − ρ) d       centered
        w = v − mean²                   centered; rounding may make it negative: then 0
        w = v                           otherwise
        d = d / (√w + ε)
        velocity = μ velocity + d;  d = velocity        with momentum
        p = keep p − η d

    Args:
        p, g: (n,)
        v: (n,), zeros before the first step.
        mean: (n,), zeros before the first step; None: not centered.
        velocity: (n,), zeros before the first step; None: no momentum.
        segments, hyper: hyper is (η, ρ, μ, ε, decoupled).
    """
    arrays = {"p": p, "g": g, "v": v, "mean": mean, "velocity": velocity}
    check("rmsprop", arrays, segments, hyper, RMSPROP_HYPER)
    learning_rate, rho, momentum, epsilon, decoupled = hyper.tolist()
    real = p.dtype.type
    r, a, mu, eps = real(rho), real(1 - rho), real(momentum), real(epsilon)
    for (p, g, v, mean, velocity), scale, decay in _parts("rmsprop", arrays, segments):
        eta, (lam, keep) = real(learning_rate * scale), _decay(real, learning_rate * scale, decay, decoupled)
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
        p[...] = keep * p - eta * d


def adamax(p, g, m, u, segments, hyper):
    """Adamax: Adam with the largest gradient of late in place of the root of their mean square.

        m = β₁ m + (1 − β₁) d
        u = max(β₂ u, |d| + ε)
        p = keep p − η / (1 − β₁ᵗ) · m / u

    Args:
        p, g: (n,)
        m, u: (n,), zeros before the first step.
        segments, hyper: hyper is (η, β₁, β₂, 1 − β₁ᵗ, ε, decoupled).
    """
    arrays = {"p": p, "g": g, "m": m, "u": u}
    check("adamax", arrays, segments, hyper, ADAMAX_HYPER)
    learning_rate, beta_1, beta_2, bias_1, epsilon, decoupled = hyper.tolist()
    real = p.dtype.type
    b1, a1, b2, eps = real(beta_1), real(1 - beta_1), real(beta_2), real(epsilon)
    for (p, g, m, u), scale, decay in _parts("adamax", arrays, segments):
        eta = learning_rate * scale
        step, (lam, keep) = real(eta / bias_1), _decay(real, eta, decay, decoupled)
        d = g + lam * p
        m[...] = _kept(b1 * m + a1 * d)
        u[...] = np.maximum(_kept(b2 * u), np.abs(d) + eps)
        p[...] = keep * p - step * m / u


def nadam(p, g, m, v, segments, hyper):
    """Adam with Nesterov's momentum: the step looks ahead along the mean gradient.

        m = β₁ m + (1 − β₁) d
        v = β₂ v + (1 − β₂) d²
        p = keep p − η (c_d d + c_m m) / (√v / √(1 − β₂ᵗ) + ε)

    Args:
        p, g: (n,)
        m, v: (n,), zeros before the first step.
        segments, hyper: hyper is (η, β₁, β₂, c_d, c_m, 1 − β₂ᵗ, ε, decoupled); c_d and c_m weigh gradient and mean.
    """
    arrays = {"p": p, "g": g, "m": m, "v": v}
    check("nadam", arrays, segments, hyper, NADAM_HYPER)
    learning_rate, beta_1, beta_2, gradient, mean, bias_2, epsilon, decoupled = hyper.tolist()
    real = p.dtype.type
    b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
    root, eps = real(1 / math.sqrt(bias_2)), real(epsilon)
    for (p, g, m, v), scale, decay in _parts("nadam", arrays, segments):
        eta = learning_rate * scale
        along, ahead, (lam, keep) = real(eta * gradient), real(eta * mean), _decay(real, eta, decay, decoupled)
        d = g + lam * p
        m[...] = _kept(b1 * m + a1 * d)
        v[...] = _kept(b2 * v + a2 * (d * d))
        p[...] = keep * p - (along * d + ahead * m) / (np.sqrt(v) * root + eps)


def lion(p, g, m, segments, hyper):
    """Lion: a step of one size for every weight, along the sign of a mean gradient. The decay is decoupled.

        u = sign(β₁ m + (1 − β₁) g)
        m = β₂ m + (1 − β₂) g
        p = (1 − η λ) p − η u

    Args:
        p, g: (n,)
        m: (n,), zeros before the first step.
        segments, hyper: hyper is (η, β₁, β₂).
    """
    arrays = {"p": p, "g": g, "m": m}
    check("lion", arrays, segments, hyper, LION_HYPER)
    learning_rate, beta_1, beta_2 = hyper.tolist()
    real = p.dtype.type
    b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
    for (p, g, m), scale, decay in _parts("lion", arrays, segments):
        eta, keep = real(learning_rate * scale), real(1 - learning_rate * scale * decay)
        p[...] = keep * p - eta * np.sign(b1 * m + a1 * g)
        m[...] = _kept(b2 * m + a2 * g)


def adagrad(p, g, v, segments, hyper):
    """Adagrad: the gradient over the root of the sum of all its squares.

        v = v + d²
        p = keep p − η d / (√v + ε)

    Args:
        p, g: (n,)
        v: (n,), what the sum starts from.
        segments, hyper: hyper is (η, ε, decoupled).
    """
    arrays = {"p": p, "g": g, "v": v}
    check("adagrad", arrays, segments, hyper, ADAGRAD_HYPER)
    learning_rate, epsilon, decoupled = hyper.tolist()
    real = p.dtype.type
    eps = real(epsilon)
    for (p, g, v), scale, decay in _parts("adagrad", arrays, segments):
        eta, (lam, keep) = real(learning_rate * scale), _decay(real, learning_rate * scale, decay, decoupled)
        d = g + lam * p
        v[...] = v + d * d
        p[...] = keep * p - eta * d / (np.sqrt(v) + eps)


def adadelta(p, g, v, delta, segments, hyper):
    """Adadelta: steps of the size that steps have had, so that they carry the weights' unit.

        v = ρ v + (1 − ρ) d²
        x = √((delta + ε) / (v + ε)) d
        delta = ρ delta + (1 − ρ) x²
        p = keep p − η x

    Args:
        p, g: (n,)
        v, delta: (n,), zeros before the first step: mean squares of gradients and of steps.
        segments, hyper: hyper is (η, ρ, ε, decoupled).
    """
    arrays = {"p": p, "g": g, "v": v, "delta": delta}
    check("adadelta", arrays, segments, hyper, ADADELTA_HYPER)
    learning_rate, rho, epsilon, decoupled = hyper.tolist()
    real = p.dtype.type
    r, a, eps = real(rho), real(1 - rho), real(epsilon)
    for (p, g, v, delta), scale, decay in _parts("adadelta", arrays, segments):
        eta, (lam, keep) = real(learning_rate * scale), _decay(real, learning_rate * scale, decay, decoupled)
        d = g + lam * p
        v[...] = _kept(r * v + a * (d * d))
        x = np.sqrt((delta + eps) / (v + eps)) * d
        delta[...] = _kept(r * delta + a * (x * x))
        p[...] = keep * p - eta * x


def ftrl(p, g, accumulator, linear, segments, hyper):
    """Follow the regularized leader: the weights that would have been best for all gradients so far.

        w = keep p
        n = accumulator + d²
        linear = linear + d + 2 s w − (n⁻ᵏ − accumulator⁻ᵏ) / η · w
        p = (clip(linear, −l1, l1) − linear) / ((n⁻ᵏ + β) / η + 2 l2),      p = w where that would be by 0
        accumulator = n

    A segment whose η is 0 stays as it is.

    Args:
        p, g: (n,)
        accumulator, linear: (n,), the first what the sum starts from.
        segments, hyper: hyper is (η, k, l1, l2, s, β, decoupled).
    """
    arrays = {"p": p, "g": g, "accumulator": accumulator, "linear": linear}
    check("ftrl", arrays, segments, hyper, FTRL_HYPER)
    learning_rate, power, l1, l2, shrinkage, beta, decoupled = hyper.tolist()
    real = p.dtype.type
    l1, twice = real(l1), real(2 * shrinkage)
    for (p, g, accumulator, linear), scale, decay in _parts("ftrl", arrays, segments):
        eta, (lam, keep) = real(learning_rate * scale), _decay(real, learning_rate * scale, decay, decoupled)
        if eta == 0:
            continue
        more = real(2 * l2 + beta / (learning_rate * scale))
        w, d = keep * p, g + lam * p
        n = accumulator + d * d
        before, after = _raised(accumulator, -power), _raised(n, -power)
        linear[...] = linear + ((d + twice * w) - (after - before) / eta * w)
        accumulator[...] = n
        bottom = after / eta + more
        kept = bottom == 0
        p[...] = np.where(kept, w, (np.clip(linear, -l1, l1) - linear) / np.where(kept, real(1), bottom))


def _raised(x, power):
    """x to a power of at least 0"""
    return np.sqrt(x) if power == 0.5 else np.power(x.astype("float64"), power).astype(x.dtype)


def schedule_free(p, g, momentum, velocity, segments, hyper):
    """Schedule-free AdamW: Adam's steps of z, the mean x of all z, and the weights p between the two.

        w = keep p
        velocity = β2 velocity + (1 − β2) d²
        z = momentum − η warm · d / (√(velocity / bias_2) + ε)
        x = (w − (1 − β1) momentum) / β1,       x = (1 − c) x + c z
        p = (1 − β1) z + β1 x               which is z + (1 − c) (β1 (momentum − z) + w − momentum)
        momentum = z

    Args:
        p, g: (n,)
        momentum, velocity: (n,), z, which begins as p, and zeros.
        segments, hyper: hyper is (η, warm, β1, β2, bias_2, ε, c, decoupled).
    """
    arrays = {"p": p, "g": g, "momentum": momentum, "velocity": velocity}
    check("schedule_free", arrays, segments, hyper, SCHEDULE_FREE_HYPER)
    learning_rate, warm, beta_1, beta_2, bias_2, epsilon, share, decoupled = hyper.tolist()
    real = p.dtype.type
    b, a, root, eps = real(beta_2), real(1 - beta_2), real(1 / math.sqrt(bias_2)), real(epsilon)
    rest, toward = real(1 - share), real(beta_1)
    for (p, g, momentum, velocity), scale, decay in _parts("schedule_free", arrays, segments):
        eta = learning_rate * scale
        step, (lam, keep) = real(eta * warm), _decay(real, eta, decay, decoupled)
        w, d = keep * p, g + lam * p
        velocity[...] = _kept(b * velocity + a * (d * d))
        z = momentum - step * d / (np.sqrt(velocity) * root + eps)
        p[...] = z + rest * (toward * (momentum - z) + (w - momentum))
        momentum[...] = z


def rprop(p, g, previous, step, segments, hyper):
    """Rprop: a step size a weight, larger while the gradient keeps its sign, smaller when the sign turns.

        s = d · previous
        step = clip(step · (η₊ if s > 0, η₋ if s < 0, else 1), step_min, step_max)
        d = 0 where s < 0                   no step back, and none judged by it
        p = keep p − scale · step · sign(d)
        previous = d

    Args:
        p, g: (n,)
        previous: (n,), zeros before the first step.
        step: (n,), the first step sizes.
        segments, hyper: hyper is (η, η₋, η₊, step_min, step_max, decoupled); η serves the decay alone.
    """
    arrays = {"p": p, "g": g, "previous": previous, "step": step}
    check("rprop", arrays, segments, hyper, RPROP_HYPER)
    learning_rate, eta_minus, eta_plus, step_min, step_max, decoupled = hyper.tolist()
    real = p.dtype.type
    for (p, g, previous, step), scale, decay in _parts("rprop", arrays, segments):
        lam, keep = _decay(real, learning_rate * scale, decay, decoupled)
        d = g + lam * p
        s = d * previous
        factor = np.where(s > 0, real(eta_plus), np.where(s < 0, real(eta_minus), real(1)))
        step[...] = np.clip(step * factor, real(step_min), real(step_max))
        previous[...] = np.where(s < 0, real(0), d)
        p[...] = keep * p - real(scale) * step * np.sign(previous)


def muon(u, g, m, segments, hyper):
    """The direction that Muon makes orthogonal.

        m = μ m + (1 − μ) g
        u = μ m + (1 − μ) g             nesterov
        u = m                           otherwise

    Args:
        u, g: (n,)
        m: (n,), zeros before the first step.
        segments, hyper: hyper is (μ, 1.0 for nesterov else 0.0).
    """
    arrays = {"u": u, "g": g, "m": m}
    check("muon", arrays, segments, hyper, MUON_HYPER)
    momentum, nesterov = hyper.tolist()
    real = u.dtype.type
    mu, rest = real(momentum), real(1 - momentum)
    for (u, g, m), _, _ in _parts("muon", arrays, segments):
        m[...] = _kept(mu * m + rest * g)
        u[...] = mu * m + rest * g if nesterov else m


# ---- what serves several optimizers


def combine(p, g, segments, hyper):
    """p = a p + b · scale · g, and without reading p where a is 0.

    Args:
        p, g: (n,), one array perhaps.
        segments, hyper: hyper is (a, b).
    """
    arrays = {"p": p, "g": g}
    check("combine", arrays, segments, hyper, COMBINE_HYPER)
    a, b = hyper.tolist()
    real = p.dtype.type
    for (p, g), scale, _ in _parts("combine", arrays, segments):
        p[...] = real(b * scale) * g if a == 0 else real(a) * p + real(b * scale) * g


def clip(p, segments, hyper):
    """p = min(max(p, −limit), limit)

    Args:
        p: (n,)
        segments, hyper: hyper is (limit,).
    """
    check("clip", {"p": p}, segments, hyper, CLIP_HYPER)
    limit = p.dtype.type(hyper[0])
    for (part,), _, _ in _parts("clip", {"p": p}, segments):
        part[...] = np.clip(part, -limit, limit)
