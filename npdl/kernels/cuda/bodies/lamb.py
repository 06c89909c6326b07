"""LAMB: Adam's step, then the sizes of the tensor and of its step, then the step at the tensor's size.

`scalars` holds of each tensor η, λ, keep, β₁, 1 − β₁, β₂, 1 − β₂, 1 / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ), ε; a block takes one
of `pieces`, (start, stop, row), and the pieces of a tensor lie between spans[2 row] and spans[2 row + 1].
"""

import math

from numba import cuda, float32, float64

from npdl.kernels.cuda.kernel import Doubles, Floats, Int, Longs, device, kernel
from npdl.kernels.cuda.reduction import fold_pair


@kernel
def lamb_moments(
    pieces: Longs, scalars: Floats, width: Int, p: Floats, g: Floats, m: Floats, v: Floats, parts: Doubles, count: Int
):
    """m and v of this step; parts[piece] = Σ p², parts[count + piece] = Σ u²."""
    s = cuda.shared.array(256, float64)
    z = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    at = pieces[3 * cuda.blockIdx.x + 2] * width
    weights = float64(0)
    steps = float64(0)
    i = pieces[3 * cuda.blockIdx.x] + t
    while i < pieces[3 * cuda.blockIdx.x + 1]:
        d = g[i]
        first = scalars[at + 3] * m[i] + scalars[at + 4] * d
        second = scalars[at + 5] * v[i] + scalars[at + 6] * (d * d)
        m[i] = first
        v[i] = second
        u = lamb_step(scalars, at, p[i], first, second)
        weights += float64(p[i]) * float64(p[i])
        steps += float64(u) * float64(u)
        i += cuda.blockDim.x
    s[t] = weights
    z[t] = steps
    fold_pair(s, z)
    if t == 0:
        parts[cuda.blockIdx.x] = s[0]
        parts[count + cuda.blockIdx.x] = z[0]


@device
def lamb_step(scalars, at, p, m, v):
    """u = m / (1 − β₁ᵗ) / (√v / √(1 − β₂ᵗ) + ε) + λ p"""
    return scalars[at + 7] * m / (math.sqrt(v) * scalars[at + 8] + scalars[at + 9]) + scalars[at + 1] * p


@kernel
def trust_ratios(spans: Longs, parts: Doubles, count: Int, scalars: Floats, width: Int, steps: Floats):
    """steps[row] = η ‖p‖ / ‖u‖, η where one of the norms is 0; a block a row."""
    s = cuda.shared.array(256, float64)
    z = cuda.shared.array(256, float64)
    t = cuda.threadIdx.x
    weights = float64(0)
    total = float64(0)
    i = spans[2 * cuda.blockIdx.x] + t
    while i < spans[2 * cuda.blockIdx.x + 1]:
        weights += parts[i]
        total += parts[count + i]
        i += cuda.blockDim.x
    s[t] = weights
    z[t] = total
    fold_pair(s, z)
    if t == 0:
        ratio = math.sqrt(s[0] / z[0]) if s[0] > float64(0) and z[0] > float64(0) else float64(1)
        steps[cuda.blockIdx.x] = float32(float64(scalars[cuda.blockIdx.x * width]) * ratio)


@kernel
def lamb_update(pieces: Longs, scalars: Floats, width: Int, steps: Floats, p: Floats, m: Floats, v: Floats):
    """p = keep p − step u"""
    row = pieces[3 * cuda.blockIdx.x + 2]
    at = row * width
    step = steps[row]
    i = pieces[3 * cuda.blockIdx.x] + cuda.threadIdx.x
    while i < pieces[3 * cuda.blockIdx.x + 1]:
        w = p[i]
        p[i] = scalars[at + 2] * w - step * lamb_step(scalars, at, w, m[i], v[i])
        i += cuda.blockDim.x
