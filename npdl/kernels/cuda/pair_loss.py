"""Losses of two or three outputs as numba.cuda kernels: a block for each sample.

Formulas: npdl/kernels/reference/pair_loss.py. As in row_loss.py a loss is a function of up to three sums:

    u, v, w = Σ parts(t, x, y, ...)     value(t, u, v, w, ...)      slopes(t, x, y, u, v, w, ...) for each number

x and y are the outputs, a and b the constants; t is a number of each place, or one of the sample.
"""

import math

from numba import cuda, float32

from npdl.kernels.cuda.element_formulas import sign
from npdl.kernels.cuda.elementary import at_least
from npdl.kernels.cuda.kernel import Float, Floats, Int, device, expect, kernel, launch, variants
from npdl.kernels.cuda.reduction import fold_sum, threads_for

WHOLE = ("margin_ranking", "gaussian")  # their targets are like the outputs; else one a sample


@device
def ranking_parts(t, x, y, a, b):
    return at_least(a - t * (x - y), float32(0)), t, t


@device
def margin_ranking(t, u, v, w, n, a, b):
    return u / n


@device
def ranking_slopes(t, x, y, u, v, w, n, a, b):
    gap = at_least(a - t * (x - y), float32(0))
    slope = (t if gap > float32(0) else gap) / n
    return -slope, slope


@device
def gaussian_parts(t, x, y, a, b):
    var = at_least(y, a)
    return float32(0.5) * (math.log(var) + (x - t) * (x - t) / var), t, t


@device
def gaussian(t, u, v, w, n, a, b):
    return u / n + b


@device
def gaussian_slopes(t, x, y, u, v, w, n, a, b):
    e = (x - t) / at_least(y, a)
    other = float32(0) if y < a else float32(0.5) * (float32(1) / at_least(y, a) - e * e)
    return e / n, other / n


@device
def cosine_parts(t, x, y, a, b):
    return x * y, x * x, y * y


@device
def cosine_of(xy, xx, yy):
    return xy / math.sqrt((xx + float32(1e-12)) * (yy + float32(1e-12)))


@device
def cosine_embedding(t, u, v, w, n, a, b):
    cosine = cosine_of(u, v, w)
    return float32(1) - cosine if t > float32(0) else at_least(cosine - a, float32(0))


@device
def cosine_slopes(t, x, y, u, v, w, n, a, b):
    cosine = cosine_of(u, v, w)
    xx, yy = v + float32(1e-12), w + float32(1e-12)
    across = math.sqrt(xx * yy)
    g = float32(-1) if t > float32(0) else (float32(0) if cosine <= a else float32(1))
    return g * (y / across - cosine * x / xx), g * (x / across - cosine * y / yy)


@device
def distance_parts(t, x, y, a, b):
    return (x - y) * (x - y), t, t


@device
def contrastive(t, u, v, w, n, a, b):
    near = at_least(a - math.sqrt(u), float32(0))
    return t * u + (float32(1) - t) * near * near


@device
def contrastive_slopes(t, x, y, u, v, w, n, a, b):
    d = math.sqrt(u)
    away = float32(0) if d == float32(0) else at_least(a - d, float32(0)) / d
    slope = float32(2) * (t - (float32(1) - t) * away) * (x - y)
    return slope, -slope


FORMULAS = {
    "margin_ranking": (ranking_parts, margin_ranking, ranking_slopes),
    "gaussian": (gaussian_parts, gaussian, gaussian_slopes),
    "cosine_embedding": (cosine_parts, cosine_embedding, cosine_slopes),
    "contrastive": (distance_parts, contrastive, contrastive_slopes),
}


@variants(*zip(FORMULAS))
def _pair(formula):
    parts, value, slopes = FORMULAS[formula]
    whole = formula in WHOLE

    @kernel
    def pair(
        t: Floats, x: Floats, y: Floats, scale: Floats, out: Floats, dx: Floats, dy: Floats,
        size: Int, wants_slopes: Int, a: Float, b: Float,
    ):  # fmt: skip
        """The loss of a sample, or its gradients."""
        s = cuda.shared.array(256, float32)
        k = cuda.threadIdx.x
        sample = cuda.blockIdx.x
        start = sample * size
        u, v, w = float32(0), float32(0), float32(0)
        i = k
        while i < size:
            x1, x2, x3 = parts(t[start + i if whole else sample], x[start + i], y[start + i], a, b)
            u, v, w = u + x1, v + x2, w + x3
            i += cuda.blockDim.x
        s[k] = u
        fold_sum(s)
        u = s[0]
        cuda.syncthreads()
        s[k] = v
        fold_sum(s)
        v = s[0]
        cuda.syncthreads()
        s[k] = w
        fold_sum(s)
        w = s[0]
        n = float32(size)
        if wants_slopes:
            factor = scale[sample]
            i = k
            while i < size:
                d, e = slopes(t[start + i if whole else sample], x[start + i], y[start + i], u, v, w, n, a, b)
                dx[start + i] = float32(0) if factor == float32(0) else factor * d
                dy[start + i] = float32(0) if factor == float32(0) else factor * e
                i += cuda.blockDim.x
        elif k == 0:
            out[sample] = value(t[start if whole else sample], u, v, w, n, a, b)

    return pair


@device
def root(total, power):
    return math.pow(total, float32(1) / power)


@device
def distance_slope(e, d, power):
    """The derivative of d = (Σ |e|^q)^(1/q) by e."""
    return float32(0) if d == float32(0) else sign(e) * math.pow(abs(e) / d, power - float32(1))


@kernel
def triplet(
    x: Floats, y: Floats, z: Floats, scale: Floats, out: Floats, dx: Floats, dy: Floats, dz: Floats,
    size: Int, wants_slopes: Int, margin: Float, power: Float, epsilon: Float, swaps: Float,
):  # fmt: skip
    """x the anchor, y what is like it, z what is not."""
    s = cuda.shared.array(256, float32)
    k = cuda.threadIdx.x
    sample = cuda.blockIdx.x
    start = sample * size
    near, far, other = float32(0), float32(0), float32(0)
    i = start + k
    while i < start + size:
        near += math.pow(abs(x[i] - y[i] + epsilon), power)
        far += math.pow(abs(x[i] - z[i] + epsilon), power)
        other += math.pow(abs(y[i] - z[i] + epsilon), power)
        i += cuda.blockDim.x
    s[k] = near
    fold_sum(s)
    near = root(s[0], power)
    cuda.syncthreads()
    s[k] = far
    fold_sum(s)
    far = root(s[0], power)
    cuda.syncthreads()
    s[k] = other
    fold_sum(s)
    other = root(s[0], power)
    swapped = swaps != float32(0) and other < far
    gap = near - (other if swapped else far) + margin
    if wants_slopes:
        factor = scale[sample]
        if gap <= float32(0):
            factor = float32(0)
        i = start + k
        while i < start + size:
            if factor == float32(0):
                dx[i], dy[i], dz[i] = float32(0), float32(0), float32(0)
            elif gap != gap:
                dx[i], dy[i], dz[i] = gap, gap, gap
            else:
                like = factor * distance_slope(x[i] - y[i] + epsilon, near, power)
                if swapped:
                    unlike = factor * distance_slope(y[i] - z[i] + epsilon, other, power)
                    dx[i], dy[i], dz[i] = like, -like - unlike, unlike
                else:
                    unlike = factor * distance_slope(x[i] - z[i] + epsilon, far, power)
                    dx[i], dy[i], dz[i] = like - unlike, -like, unlike
            i += cuda.blockDim.x
    elif k == 0:
        out[sample] = at_least(gap, float32(0))


# ---- as every device calls them


def _shape(kernel, **arrays):
    """The arrays' one shape."""
    name, first = next(iter(arrays.items()))
    if not first.shape or (not first.size and first.shape[0]):
        raise ValueError(f"{kernel}: {name} must be (N, ...) with at least one number a sample, got {first.shape}")
    for name, array in arrays.items():
        expect(kernel, name, array, first.shape)
    return first.shape


def _pairs(kernel, formula, y_true, a, b, constants, out, scale, da, db):
    shape = _shape(kernel, a=a, b=b, da=da, db=db)
    expect(kernel, "y_true", y_true, shape if formula in WHOLE else shape[:1])
    expect(kernel, "out", out, shape[:1])
    expect(kernel, "scale", scale, shape[:1])
    if shape[0]:
        size = a.size // shape[0]
        launch(
            _pair(formula), shape[0], threads_for(size), y_true, a, b, scale, out, da, db,
            size, int(da is not None), *(*constants, 0.0, 0.0)[:2],
        )  # fmt: skip


def pair_loss(formula, y_true, a, b, constants, *, out):
    """out[n] = f(t, a, b)"""
    _pairs("pair_loss", formula, y_true, a, b, constants, out, None, None, None)


def pair_loss_grad(formula, y_true, a, b, constants, scale, *, da, db):
    """da, db = s · the gradients of f"""
    _pairs("pair_loss_grad", formula, y_true, a, b, constants, None, scale, da, db)


def _triplet(kernel, a, p, n, constants, out, scale, da, dp, dn):
    shape = _shape(kernel, a=a, p=p, n=n, da=da, dp=dp, dn=dn)
    expect(kernel, "out", out, shape[:1])
    expect(kernel, "scale", scale, shape[:1])
    if shape[0]:
        size, wants = a.size // shape[0], int(da is not None)
        launch(triplet, shape[0], threads_for(size), a, p, n, scale, out, da, dp, dn, size, wants, *constants)


def triplet_margin(a, p, n, constants, *, out):
    """out[i] = max(d(a, p) − d(a, n) + m, 0)"""
    _triplet("triplet_margin", a, p, n, constants, out, None, None, None, None)


def triplet_margin_grad(a, p, n, constants, scale, *, da, dp, dn):
    """da, dp, dn = s · the gradients of `triplet_margin`"""
    _triplet("triplet_margin_grad", a, p, n, constants, None, scale, da, dp, dn)
