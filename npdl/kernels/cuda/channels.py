"""Normalization of x (N, P, C) by channels: N samples of P rows of C channels, statistics of each sample's G groups of
K = C / G channels. Batch normalization is the case N = 1, G = C.

256 threads take 2^shift neighbouring channels, 32 at most, and 2^(8 − shift) rows at a time: thread t has channel
t mod 2^shift and begins at row t / 2^shift, so that neighbours read neighbours in memory, of narrow arrays too. The
rows are cut into parts, one block each; how many follows from the shape, and so does the order of every sum. Powers of
two, for a thread has few elements, and a division by another number takes as long as several of them.
"""

import math

from numba import cuda, float32

from npdl.kernels.cuda.kernel import MOST_BLOCKS, Float, Floats, Int, kernel, launch
from npdl.kernels.cuda.memory import areas
from npdl.kernels.cuda.reduction import fold_lane_pair, fold_lanes, fold_pair, fold_sum, threads_for

THREADS = 256
MOST_SHIFT = 5
"""2⁵ channels of a block at most: the threads of a warp, and 128 bytes of memory."""
NO_RELU, RELU_AGAIN, RELU_OF_Y = 0, 1, 2
"""Whether dy counts everywhere, where γ x̂ + β > 0, or where y > 0."""


def tiling(rows, channels, samples=1, each=16, most=MOST_BLOCKS // 2):
    """(shift, tiles, rows of a part, parts): a thread gets `each` rows at least, or more lest blocks be over `most`.

    Sums ask for 16 rows a thread and half as many blocks as are launched at most, for the parts are to be joined.
    """
    shift = min(MOST_SHIFT, (channels - 1).bit_length())
    tiles = -(-channels >> shift)
    least = each * (THREADS >> shift)
    parts = max(1, min(-(-rows // least), -(-most // max(tiles * samples, 1))))
    part = max(1, -(-rows // parts))
    return shift, tiles, part, max(1, -(-rows // part))


@kernel
def statistics_part(
    x: Floats, means: Floats, squares: Floats, rows: Int, channels: Int, shift: Int, tiles: Int, part: Int
):
    """means[n, b, c] = μ = Σ x / m, squares[n, b, c] = Σ (x − μ)² over the m rows of part b, which it reads twice."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    wide = 1 << shift
    lanes = cuda.blockDim.x >> shift
    n = cuda.blockIdx.x // tiles
    c = ((cuda.blockIdx.x - n * tiles) << shift) + (t & (wide - 1))
    first = cuda.blockIdx.y * part
    stop = min(first + part, rows)
    total = float32(0)
    if c < channels:
        i = first + (t >> shift)
        while i < stop:
            total += x[(n * rows + i) * channels + c]
            i += lanes
    s[t] = total
    fold_lanes(s, wide)
    mean = s[t & (wide - 1)] / float32(stop - first)
    cuda.syncthreads()
    total = float32(0)
    if c < channels:
        i = first + (t >> shift)
        while i < stop:
            d = x[(n * rows + i) * channels + c] - mean
            total += d * d
            i += lanes
    s[t] = total
    fold_lanes(s, wide)
    if t < wide and c < channels:
        at = (n * cuda.gridDim.y + cuda.blockIdx.y) * channels + c
        means[at] = mean
        squares[at] = s[t]


@kernel
def join_statistics(
    means: Floats, squares: Floats, mean: Floats, spread: Floats,
    rows: Int, channels: Int, groups: Int, part: Int, parts: Int, epsilon: Float, inverted: Int,
):  # fmt: skip
    """A block for each sample's group: the parts of its channels as one, after Chan, Golub and LeVeque.

    μ = Σ m μ_b / Σ m,  variance = (Σ squares_b + Σ m (μ_b − μ)²) / Σ m over the parts b of m rows; `spread` gets the
    variance, or 1 / √(variance + ε) where `inverted`.
    """
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    n = cuda.blockIdx.x // groups
    own = channels // groups
    first = n * parts * channels + cuda.blockIdx.x % groups * own
    count = float32(rows) * float32(own)
    total = float32(0)
    i = t
    while i < parts * own:
        m = min(part, rows - i // own * part)
        total += float32(m) * means[first + i // own * channels + i % own]
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    centre = s[0] / count
    cuda.syncthreads()
    total = float32(0)
    i = t
    while i < parts * own:
        m = min(part, rows - i // own * part)
        at = first + i // own * channels + i % own
        d = means[at] - centre
        total += squares[at] + float32(m) * (d * d)
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        variance = s[0] / count
        mean[cuda.blockIdx.x] = centre
        spread[cuda.blockIdx.x] = float32(1) / math.sqrt(variance + epsilon) if inverted else variance


@kernel
def scale_and_shift(
    x: Floats, mean: Floats, spread: Floats, gamma: Floats, beta: Floats, shortcut: Floats, out: Floats,
    rows: Int, channels: Int, groups: Int, own: Int, shift: Int, tiles: Int, part: Int, epsilon: Float,
    inverted: Int,
    has_gamma: Int, has_beta: Int, has_shortcut: Int, relu: Int,
):  # fmt: skip
    """out = γ x̂ + β + shortcut, or ReLU of it; a thread keeps what belongs to its channel and goes down the rows."""
    t = cuda.threadIdx.x
    n = cuda.blockIdx.x // tiles
    c = ((cuda.blockIdx.x - n * tiles) << shift) + (t & ((1 << shift) - 1))
    if c >= channels:
        return
    place = n * groups + c // own
    centre = mean[place]
    inverse = spread[place] if inverted else float32(1) / math.sqrt(spread[place] + epsilon)
    g = gamma[c] if has_gamma else float32(1)
    b = beta[c] if has_beta else float32(0)
    i = cuda.blockIdx.y * part + (t >> shift)
    stop = min((cuda.blockIdx.y + 1) * part, rows)
    while i < stop:
        at = (n * rows + i) * channels + c
        v = g * ((x[at] - centre) * inverse) + b
        if has_shortcut:
            v += shortcut[at]
        out[at] = float32(0) if relu and v <= float32(0) else v
        i += cuda.blockDim.x >> shift


@kernel
def slopes_part(
    dy: Floats, x: Floats, mean: Floats, spread: Floats, gamma: Floats, beta: Floats, y: Floats, dz: Floats,
    sums: Floats, dots: Floats,
    rows: Int, channels: Int, groups: Int, own: Int, shift: Int, tiles: Int, part: Int, epsilon: Float,
    inverted: Int,
    has_gamma: Int, has_beta: Int, relu: Int,
):  # fmt: skip
    """sums[n, b, c] = Σ dy and dots[n, b, c] = Σ dy x̂ over part b; behind ReLU of y, dz gets dy as it counts."""
    s = cuda.shared.array(256, float32)
    z = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    wide = 1 << shift
    n = cuda.blockIdx.x // tiles
    c = ((cuda.blockIdx.x - n * tiles) << shift) + (t & (wide - 1))
    total = float32(0)
    dot = float32(0)
    if c < channels:
        place = n * groups + c // own
        centre = mean[place]
        inverse = spread[place] if inverted else float32(1) / math.sqrt(spread[place] + epsilon)
        g = gamma[c] if has_gamma else float32(1)
        b = beta[c] if has_beta else float32(0)
        i = cuda.blockIdx.y * part + (t >> shift)
        stop = min((cuda.blockIdx.y + 1) * part, rows)
        while i < stop:
            at = (n * rows + i) * channels + c
            d = dy[at]
            normal = (x[at] - centre) * inverse
            if relu == RELU_AGAIN:
                d = d if g * normal + b > float32(0) else float32(0)
            elif relu == RELU_OF_Y:
                d = d if y[at] > float32(0) else float32(0)
                dz[at] = d
            total += d
            dot += d * normal
            i += cuda.blockDim.x >> shift
    s[t] = total
    z[t] = dot
    fold_lane_pair(s, z, wide)
    if t < wide and c < channels:
        at = (n * cuda.gridDim.y + cuda.blockIdx.y) * channels + c
        sums[at] = s[t]
        dots[at] = z[t]


@kernel
def join_channels(
    sums: Floats, dots: Floats, dbeta: Floats, dgamma: Floats, count: Int, channels: Int, has_dbeta: Int,
    has_dgamma: Int,
):  # fmt: skip
    """dβ[c] = Σ sums[i, c], dγ[c] = Σ dots[i, c] over the `count` parts of all samples, a block a channel."""
    s = cuda.shared.array(256, float32)
    z = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    total = float32(0)
    dot = float32(0)
    i = t
    while i < count:
        total += sums[i * channels + cuda.blockIdx.x]
        dot += dots[i * channels + cuda.blockIdx.x]
        i += cuda.blockDim.x
    s[t] = total
    z[t] = dot
    fold_pair(s, z)
    if t == 0 and has_dbeta:
        dbeta[cuda.blockIdx.x] = s[0]
    if t == 0 and has_dgamma:
        dgamma[cuda.blockIdx.x] = z[0]


@kernel
def join_groups(
    sums: Floats, dots: Floats, gamma: Floats, a: Floats, b: Floats,
    channels: Int, groups: Int, parts: Int, scale: Float, has_gamma: Int,
):  # fmt: skip
    """a[n, g] = scale · Σ γ sums, b[n, g] = scale · Σ γ dots over the group's channels and parts, a block a group."""
    s = cuda.shared.array(256, float32)
    z = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    own = channels // groups
    channel = cuda.blockIdx.x % groups * own
    first = cuda.blockIdx.x // groups * parts * channels + channel
    total = float32(0)
    dot = float32(0)
    i = t
    while i < parts * own:
        g = gamma[channel + i % own] if has_gamma else float32(1)
        total += g * sums[first + i // own * channels + i % own]
        dot += g * dots[first + i // own * channels + i % own]
        i += cuda.blockDim.x
    s[t] = total
    z[t] = dot
    fold_pair(s, z)
    if t == 0:
        a[cuda.blockIdx.x] = scale * s[0]
        b[cuda.blockIdx.x] = scale * z[0]


@kernel
def slopes(
    dy: Floats, x: Floats, mean: Floats, spread: Floats, gamma: Floats, beta: Floats, a: Floats, b: Floats, dx: Floats,
    rows: Int, channels: Int, groups: Int, own: Int, shift: Int, tiles: Int, part: Int, epsilon: Float,
    inverted: Int,
    has_gamma: Int, has_beta: Int, relu: Int, frozen: Int,
):  # fmt: skip
    """dx = (γ dy − a − x̂ b) / σ, or γ dy / σ where the statistics are constants."""
    t = cuda.threadIdx.x
    n = cuda.blockIdx.x // tiles
    c = ((cuda.blockIdx.x - n * tiles) << shift) + (t & ((1 << shift) - 1))
    if c >= channels:
        return
    place = n * groups + c // own
    centre = mean[place]
    inverse = spread[place] if inverted else float32(1) / math.sqrt(spread[place] + epsilon)
    g = gamma[c] if has_gamma else float32(1)
    raised = beta[c] if has_beta else float32(0)
    shared = float32(0) if frozen else a[place]
    along = float32(0) if frozen else b[place]
    i = cuda.blockIdx.y * part + (t >> shift)
    stop = min((cuda.blockIdx.y + 1) * part, rows)
    while i < stop:
        at = (n * rows + i) * channels + c
        d = dy[at]
        normal = (x[at] - centre) * inverse
        if relu == RELU_AGAIN:
            d = d if g * normal + raised > float32(0) else float32(0)
        dx[at] = (g * d - shared - normal * along) * inverse
        i += cuda.blockDim.x >> shift


# ---- as the families call them; sizes are (samples, rows, channels, groups)


def statistics(x, mean, spread, sizes, epsilon=0.0, inverted=False):
    """(mean, variance) of each sample's groups, or (mean, 1 / σ) where `inverted`; in scratch what is None."""
    samples, rows, channels, groups = sizes
    shift, tiles, part, parts = tiling(rows, channels, samples)
    means, squares, a, b = areas(x.memory.driver, *2 * (samples * parts * channels,), *2 * (samples * groups,))
    mean, spread = a if mean is None else mean, b if spread is None else spread
    launch(statistics_part, (samples * tiles, parts), THREADS, x, means, squares, rows, channels, shift, tiles, part)
    launch(
        join_statistics, samples * groups, threads_for(parts * (channels // groups)), means, squares, mean, spread,
        rows, channels, groups, part, parts, epsilon, int(inverted),
    )  # fmt: skip
    return mean, spread


def normalize(x, mean, spread, gamma, beta, out, sizes, epsilon=0.0, inverted=False, shortcut=None, relu=False):
    """out = γ x̂ + β + shortcut, or ReLU of it; out may be x or the shortcut."""
    samples, rows, channels, groups = sizes
    shift, tiles, part, parts = tiling(rows, channels, samples, each=16, most=65535)
    launch(
        scale_and_shift, (samples * tiles, parts), THREADS, x, mean, spread, gamma, beta, shortcut, out,
        rows, channels, groups, channels // groups, shift, tiles, part, epsilon, int(inverted),
        *(int(array is not None) for array in (gamma, beta, shortcut)), int(relu),
    )  # fmt: skip


def gradients(
    dy, x, mean, spread, gamma, beta, sizes, dx, dgamma, dbeta, epsilon=0.0, inverted=False, relu=NO_RELU, y=None,
    dz=None, frozen=False,
):  # fmt: skip
    """dx, dγ and dβ, None where they are not asked for; `frozen`: the statistics are constants. dx and dz may be dy."""
    samples, rows, channels, groups = sizes
    shift, tiles, part, parts = tiling(rows, channels, samples)
    own = channels // groups
    count, has = samples * parts, (int(gamma is not None), int(beta is not None))
    sums, dots, a, b = areas(x.memory.driver, *2 * (count * channels,), *2 * (samples * groups,))
    how = (rows, channels, groups, own, shift, tiles)
    if count:
        launch(
            slopes_part, (samples * tiles, parts), THREADS, dy, x, mean, spread, gamma, beta, y, dz, sums, dots,
            *how, part, epsilon, int(inverted), *has, relu,
        )  # fmt: skip
    if dgamma is not None or dbeta is not None:
        launch(
            join_channels, channels, threads_for(max(count, 1)), sums, dots, dbeta, dgamma, count, channels,
            int(dbeta is not None), int(dgamma is not None),
        )  # fmt: skip
    if dx is None or not x.size:
        return
    if not frozen:
        launch(
            join_groups, samples * groups, threads_for(parts * own), sums, dots, gamma, a, b,
            channels, groups, parts, 1 / (rows * own), has[0],
        )  # fmt: skip
    _, _, part, parts = tiling(rows, channels, samples, each=16, most=65535)
    again, dy = (NO_RELU, dz) if relu == RELU_OF_Y else (relu, dy)
    launch(
        slopes, (samples * tiles, parts), THREADS, dy, x, mean, spread, gamma, beta, a, b, dx,
        *how, part, epsilon, int(inverted), *has, again, int(frozen),
    )  # fmt: skip
