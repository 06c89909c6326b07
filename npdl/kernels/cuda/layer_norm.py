"""Layer, root mean square and unit normalization of rows as numba.cuda kernels: a block for each row of D features.

What is summed over the rows, dγ and dβ, goes down the columns as in channels.py.
"""

import math

from numba import cuda, float32

from npdl.kernels.cuda.channels import THREADS, join_channels, tiling
from npdl.kernels.cuda.elementary import at_least
from npdl.kernels.cuda.kernel import Float, Floats, Int, expect, kernel, launch
from npdl.kernels.cuda.memory import areas
from npdl.kernels.cuda.reduction import fold_lane_pair, fold_pair, fold_sum, threads_for
from npdl.kernels.reference.layer_norm import UNIT_LEAST

LAYER, RMS, UNIT = 0, 1, 2
"""What is normalized: x − μ by σ, x by ρ = √(Σ x² / D + ε), x by ‖x‖."""
AT_LEAST = 1 / math.sqrt(UNIT_LEAST)
"""1 / ‖x‖ where ‖x‖ is the least that is divided by."""


@kernel
def row_norm(
    x: Floats, gamma: Floats, beta: Floats, out: Floats, mean: Floats, inverse: Floats, width: Int,
    epsilon: Float, least: Float, kind: Int, has_gamma: Int, has_beta: Int, has_mean: Int, has_inverse: Int,
):  # fmt: skip
    """out = γ (x − μ) / σ + β: sums over a row by a block, which finds the row in the cache when it comes again."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = row * width
    centre = float32(0)
    if kind == LAYER:
        total = float32(0)
        i = t
        while i < width:
            total += x[start + i]
            i += cuda.blockDim.x
        s[t] = total
        fold_sum(s)
        centre = s[0] / float32(width)
        cuda.syncthreads()
    total = float32(0)
    i = t
    while i < width:
        d = x[start + i] - centre
        total += d * d
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    square = at_least(s[0], least) if kind == UNIT else s[0] / float32(width) + epsilon
    factor = float32(1) / math.sqrt(square)
    i = t
    while i < width:
        v = (x[start + i] - centre) * factor
        if has_gamma:
            v *= gamma[i]
        if has_beta:
            v += beta[i]
        out[start + i] = v
        i += cuda.blockDim.x
    if t == 0 and has_mean:
        mean[row] = centre
    if t == 0 and has_inverse:
        inverse[row] = factor


@kernel
def row_slopes(
    dy: Floats, x: Floats, mean: Floats, inverse: Floats, gamma: Floats, add: Floats, dx: Floats, width: Int,
    most: Float, kind: Int, has_gamma: Int, has_add: Int,
):  # fmt: skip
    """dx = (g − Σ g / D − x̂ Σ g x̂ / D) / σ + add, g = γ dy; no Σ g but for a layer's, no / D for the unit's."""
    s = cuda.shared.array(256, float32)
    z = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = row * width
    centre = mean[row] if kind == LAYER else float32(0)
    factor = inverse[row]
    total = float32(0)
    dot = float32(0)
    i = t
    while i < width:
        g = gamma[i] * dy[start + i] if has_gamma else dy[start + i]
        total += g
        dot += g * ((x[start + i] - centre) * factor)
        i += cuda.blockDim.x
    s[t] = total
    z[t] = dot
    fold_pair(s, z)
    shared = s[0] / float32(width) if kind == LAYER else float32(0)
    along = z[0] if kind == UNIT else z[0] / float32(width)
    if kind == UNIT and factor >= most:
        along = float32(0)
    i = t
    while i < width:
        g = gamma[i] * dy[start + i] if has_gamma else dy[start + i]
        d = (g - shared - (x[start + i] - centre) * factor * along) * factor
        dx[start + i] = d + add[start + i] if has_add else d
        i += cuda.blockDim.x


@kernel
def weights_part(
    dy: Floats, x: Floats, mean: Floats, inverse: Floats, sums: Floats, dots: Floats,
    rows: Int, width: Int, shift: Int, part: Int, has_mean: Int,
):  # fmt: skip
    """sums[b, j] = Σ dy and dots[b, j] = Σ dy x̂ over the rows of part b; a block takes 2^shift features."""
    s = cuda.shared.array(256, float32)
    z = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    wide = 1 << shift
    j = (cuda.blockIdx.x << shift) + (t & (wide - 1))
    total = float32(0)
    dot = float32(0)
    if j < width:
        i = cuda.blockIdx.y * part + (t >> shift)
        stop = min((cuda.blockIdx.y + 1) * part, rows)
        while i < stop:
            centre = mean[i] if has_mean else float32(0)
            d = dy[i * width + j]
            total += d
            dot += d * ((x[i * width + j] - centre) * inverse[i])
            i += cuda.blockDim.x >> shift
    s[t] = total
    z[t] = dot
    fold_lane_pair(s, z, wide)
    if t < wide and j < width:
        sums[cuda.blockIdx.y * width + j] = s[t]
        dots[cuda.blockIdx.y * width + j] = z[t]


# ---- as every device calls them


def _check(kernel, x, *, like_x=(), like_row=(), of_rows=()):
    """(rows, features); the arrays are dictionaries of name -> array or None."""
    if not x.shape or not x.shape[-1]:
        raise ValueError(f"{kernel}: x must be (..., D) with at least one feature, got shape {x.shape}")
    for arrays, shape in ((like_x, x.shape), (like_row, x.shape[-1:]), (of_rows, x.shape[:-1])):
        for name, array in dict(arrays).items():
            expect(kernel, name, array, shape)
    return x.size // x.shape[-1], x.shape[-1]


def _norm(kind, x, gamma, beta, epsilon, out, mean, inverse, rows, width):
    if rows:
        launch(
            row_norm, rows, threads_for(width), x, gamma, beta, out, mean, inverse, width, epsilon, UNIT_LEAST, kind,
            *(int(array is not None) for array in (gamma, beta, mean, inverse)),
        )  # fmt: skip


def _norm_grad(kind, dy, x, mean, inverse, gamma, dx, dgamma, dbeta, rows, width, add=None):
    if dgamma is not None or dbeta is not None:  # first, for dx may be dy
        shift, tiles, part, parts = tiling(rows, width)
        sums, dots = areas(x.memory.driver, parts * width, parts * width)
        launch(
            weights_part, (tiles, parts), THREADS, dy, x, mean, inverse, sums, dots, rows, width, shift, part,
            int(mean is not None),
        )  # fmt: skip
        launch(
            join_channels, width, threads_for(parts), sums, dots, dbeta, dgamma, parts, width,
            int(dbeta is not None), int(dgamma is not None),
        )  # fmt: skip
    if dx is not None and rows:
        launch(
            row_slopes, rows, threads_for(width), dy, x, mean, inverse, gamma, add, dx, width, AT_LEAST, kind,
            int(gamma is not None), int(add is not None),
        )  # fmt: skip


def layer_norm(x, gamma, beta, epsilon, *, out, mean=None, inverse=None):
    """out = γ (x − μ) / σ + β, with μ and σ of each row; out may be x."""
    sizes = _check(
        "layer_norm", x, like_x={"out": out}, like_row={"gamma": gamma, "beta": beta},
        of_rows={"mean": mean, "inverse": inverse},
    )  # fmt: skip
    _norm(LAYER, x, gamma, beta, epsilon, out, mean, inverse, *sizes)


def layer_norm_grad(dy, x, mean, inverse, gamma, *, dx=None, dgamma=None, dbeta=None, add=None):
    """dx = (g − Σ g / D − x̂ Σ g x̂ / D) / σ + add with g = γ dy; dγ = Σ dy x̂, dβ = Σ dy over the rows; dx may be dy."""
    sizes = _check(
        "layer_norm_grad", x, like_x={"dy": dy, "dx": dx, "add": add},
        like_row={"gamma": gamma, "dgamma": dgamma, "dbeta": dbeta}, of_rows={"mean": mean, "inverse": inverse},
    )  # fmt: skip
    _norm_grad(LAYER, dy, x, mean, inverse, gamma, dx, dgamma, dbeta, *sizes, add)


def rms_norm(x, gamma, epsilon, *, out, inverse=None):
    """out = γ x / ρ, with ρ of each row; out may be x."""
    sizes = _check("rms_norm", x, like_x={"out": out}, like_row={"gamma": gamma}, of_rows={"inverse": inverse})
    _norm(RMS, x, gamma, None, epsilon, out, None, inverse, *sizes)


def rms_norm_grad(dy, x, inverse, gamma, *, dx=None, dgamma=None):
    """dx = (g − x̂ Σ g x̂ / D) / ρ with g = γ dy; dγ = Σ dy x̂ over the rows; dx may be dy."""
    sizes = _check(
        "rms_norm_grad", x, like_x={"dy": dy, "dx": dx}, like_row={"gamma": gamma, "dgamma": dgamma},
        of_rows={"inverse": inverse},
    )  # fmt: skip
    _norm_grad(RMS, dy, x, None, inverse, gamma, dx, dgamma, None, *sizes)


def unit_norm(x, *, out, inverse=None):
    """out = x / ‖x‖ of each row; out may be x."""
    sizes = _check("unit_norm", x, like_x={"out": out}, of_rows={"inverse": inverse})
    _norm(UNIT, x, None, None, 0.0, out, None, inverse, *sizes)


def unit_norm_grad(dy, x, inverse, *, dx):
    """dx = (dy − y Σ dy y) / ‖x‖, y = x / ‖x‖; dx may be dy."""
    sizes = _check("unit_norm_grad", x, like_x={"dy": dy, "dx": dx}, of_rows={"inverse": inverse})
    _norm_grad(UNIT, dy, x, None, inverse, None, dx, None, None, *sizes)
