"""What needs a number of each tensor as a whole: sums over it, LAMB, Adafactor.

`segments` and `hyper` are as in `npdl.kernels.segments`. Sums are made in float64, for float32 arrays too; those of a
tensor that is not trainable are 0.
"""

import math

import numpy as np

from npdl.kernels.reference.update import _decay, _kept, _parts
from npdl.kernels.segments import check, check_out, cut

LAMB_HYPER = ("learning_rate", "beta_1", "beta_2", "bias_1", "bias_2", "epsilon", "decoupled")
CLIP_NORM_HYPER = ("limit", "together")
ADAFACTOR_HYPER = ("learning_rate", "rho", "rest", "epsilon_1", "epsilon_2", "clip_threshold")


def dot(x, y, segments, *, out):
    """out[row] = Σ x y over the segment of that row.

    Args:
        x, y: (n,), one array perhaps.
        out: (rows,) float64, a NumPy array on the host.
    """
    _reduce("dot", {"x": x, "y": y}, segments, out, lambda x, y: (x * y).sum())


def sum_abs(x, segments, *, out):
    """out[row] = Σ |x|

    Args: as `dot`.
    """
    _reduce("sum_abs", {"x": x}, segments, out, lambda x: np.abs(x).sum())


def max_abs(x, segments, *, out):
    """out[row] = max |x|, 0 for an empty segment; what is not a number is passed over.

    Args: as `dot`.
    """
    _reduce("max_abs", {"x": x}, segments, out, lambda x: np.fmax.reduce(np.abs(x), initial=0))


def clip_norm(g, segments, hyper):
    """g = g · min(1, c / ‖g‖), the norm of each trainable segment, or with `together` that of all of them.

    Args:
        g: (n,)
        segments: their scales and decays are not read.
        hyper: (c, together), see `CLIP_NORM_HYPER`.
    """
    check("clip_norm", {"g": g}, segments, hyper, CLIP_NORM_HYPER)
    squares = np.zeros(len(segments))
    dot(g, g, segments, out=squares)
    for (start, stop, _, _, trainable), factor in zip(segments, clip_factors(squares, *hyper), strict=True):
        if trainable:
            g[int(start) : int(stop)] *= g.dtype.type(factor)


def clip_factors(squares, limit, together):
    """What each segment is multiplied by, from the squares of the norms."""
    norms = np.full(len(squares), math.sqrt(sum(squares.tolist()))) if together else np.sqrt(squares)
    return np.where(norms > limit, limit / np.where(norms > limit, norms, 1.0), 1.0)


def _reduce(kernel, arrays, segments, out, function):
    check(kernel, arrays, segments, np.zeros(0), ())
    check_out(kernel, segments, out)
    out[...] = 0
    for start, stop, row in cut(kernel, segments, len(arrays["x"]), len(arrays["x"]) + 1):
        out[row] = function(*(array[start:stop].astype(np.float64) for array in arrays.values()))


def lamb(p, g, m, v, segments, hyper):
    """Adam whose step in each tensor has the size of the tensor.

        m = β₁ m + (1 − β₁) g
        v = β₂ v + (1 − β₂) g²
        u = m / (1 − β₁ᵗ) / (√v / √(1 − β₂ᵗ) + ε) + λ p          without λ p where decoupled is 1
        ratio = ‖p‖ / ‖u‖                                        1 where one of them is 0
        p = keep p − η ratio u

    Args:
        p, g: (n,)
        m, v: (n,), zeros before the first step.
        segments, hyper: hyper is (η, β₁, β₂, 1 − β₁ᵗ, 1 − β₂ᵗ, ε, decoupled).
    """
    arrays = {"p": p, "g": g, "m": m, "v": v}
    check("lamb", arrays, segments, hyper, LAMB_HYPER)
    learning_rate, beta_1, beta_2, bias_1, bias_2, epsilon, decoupled = hyper.tolist()
    real = p.dtype.type
    b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
    first, root, eps = real(1 / bias_1), real(1 / np.sqrt(bias_2)), real(epsilon)
    for (p, g, m, v), scale, decay in _parts("lamb", arrays, segments):
        eta = learning_rate * scale
        lam, keep = _decay(real, eta, decay, decoupled)
        m[...] = _kept(b1 * m + a1 * g)
        v[...] = _kept(b2 * v + a2 * (g * g))
        u = first * m / (np.sqrt(v) * root + eps) + lam * p
        p[...] = keep * p - real(eta * trust(_square(p), _square(u))) * u


def _square(x):
    return float((x.astype(np.float64) ** 2).sum())


def trust(p, u):
    """The ratio √p / √u of two sums of squares; 1 where one of them is 0."""
    return (p / u) ** 0.5 if p > 0 and u > 0 else 1.0


def adafactor(p, g, factors, shapes, segments, hyper):
    """Adafactor: of the mean squares of a matrix's gradients only row and column means are kept.

        r = r + c (mean of g² over a row − r),  q = r / max(mean of r, ε₁)          c = 1 − β₂
        k = k + c (mean of g² over a column − k),  v = q kᵀ                         matrices
        v = k,  k = k + c (g² − k)                                                  vectors
        u = g / √max(v, ε₁²)
        p = (1 − η λ) p − ρ max(ε₂, rms(p)) / max(1, rms(u) / d) · u                rms: root mean square

    Args:
        p, g: (n,)
        factors: flat, of p's dtype: r and k of one tensor after the other, zeros before the first step.
        shapes: (rows, 4) int64, on the host: of each segment the number of its matrices, their rows (0: a vector),
            their columns, and where its numbers in `factors` start.
        segments, hyper: hyper is (η, ρ, c, ε₁, ε₂, d); a segment's scale multiplies η and ρ.
    """
    check("adafactor", {"p": p, "g": g}, segments, hyper, ADAFACTOR_HYPER)
    check_shapes(p, factors, shapes, segments)
    learning_rate, rho, rest, epsilon_1, epsilon_2, threshold = hyper.tolist()
    real = p.dtype.type
    least = real(max(epsilon_1**2, float(np.finfo(real).tiny)))
    for start, stop, row in cut("adafactor", segments, len(p), len(p) + 1):
        scale, decay = segments[row, 2:4].tolist()
        weights, d = p[start:stop], g[start:stop]
        v = _mean_squares(d, factors, *shapes[row].tolist(), real(rest), real(epsilon_1))
        u = d / np.sqrt(np.maximum(v, least))
        alpha = rho * scale * max(epsilon_2, (_square(weights) / weights.size) ** 0.5)
        step = alpha / max(1.0, (_square(u) / u.size) ** 0.5 / threshold)
        weights[...] = real(1 - learning_rate * scale * decay) * weights - real(step) * u


def _mean_squares(d, factors, count, rows, columns, at, rest, epsilon):
    """v, flat; r and k are brought up to date."""
    squares, keep = d * d, d.dtype.type(1) - rest
    if not rows:
        k = factors[at : at + columns]
        k[...] = keep * k + rest * squares
        return k
    middle = at + count * rows
    r = factors[at:middle].reshape(count, rows)
    k = factors[middle : middle + count * columns].reshape(count, columns)
    squares = squares.reshape(count, rows, columns)
    r[...] = keep * r + rest * squares.mean(axis=2)
    k[...] = keep * k + rest * squares.mean(axis=1)
    q = r / np.maximum(r.mean(axis=1, keepdims=True), epsilon)
    return (q[:, :, None] * k[:, None, :]).reshape(-1)


def check_shapes(p, factors, shapes, segments):
    """Raise where `factors` and `shapes` of `adafactor` do not fit.

    Raises:
        TypeError, ValueError: naming what was expected and what came.
    """
    if shapes.dtype != np.int64 or shapes.shape != (len(segments), 4) or not shapes.flags.c_contiguous:
        raise ValueError(
            f"adafactor: shapes must be C-contiguous int64 of shape ({len(segments)}, 4), got {shapes.dtype} of shape "
            f"{shapes.shape}"
        )
    strides = getattr(factors, "strides", (p.dtype.itemsize,))  # a GPU's arrays have none: they are contiguous
    if factors.dtype != p.dtype or len(factors.shape) != 1 or (len(factors) > 1 and strides != (p.dtype.itemsize,)):
        raise TypeError(
            f"adafactor: factors must be flat, contiguous and {p.dtype} like p, got {factors.dtype} of shape "
            f"{factors.shape}"
        )
    for (start, stop, *_), (count, rows, columns, at) in zip(segments.tolist(), shapes.tolist()):
        size, room = (count * rows * columns, count * (rows + columns)) if rows else (columns, columns)
        if min(count, rows, columns, at) < 0 or size != stop - start or at + room > len(factors):
            raise ValueError(
                f"adafactor: {count} matrices {rows} by {columns} do not fill p[{start:.0f}:{stop:.0f}], or their "
                f"{room} numbers from {at} on lie outside factors of {len(factors)}"
            )
