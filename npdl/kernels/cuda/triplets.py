"""Pairs and triplets of a batch as numba.cuda kernels; formulas: npdl/kernels/reference/triplets.py.

Semi-hard triplets: of N rows everything is (N, N), a thread for each pair (a, b), in steps that read what the one
before left:

    d[a, b]         distances
    choice[a, p]    the row n of another label that goes with the pair a, p; −1 where there is none, or no pair
    slopes[a, b]    dL_a/dd(a, b): N/P if (a, b) is a pair whose hinge is open, less N/P for each p whose n is b
    de[b]           Σ_a (slopes[a, b] s_a + slopes[b, a] s_b) d'(a, b) (e_b − e_a)

N/P is counted on the device, for labels lie there. Choices are float32, which hold rows below 2²⁴ exactly.

Circle loss: N/V is counted by one block, then a block has a row of S.
"""

import math

from numba import cuda, float32

from npdl.kernels.cuda.kernel import Float, Floats, Int, Ints, device, expect, kernel, launch, launch_each
from npdl.kernels.cuda.memory import areas
from npdl.kernels.cuda.reduction import fold_max, fold_pair, fold_sum, threads_for


@kernel
def count_pairs(labels: Ints, out: Floats, n: Int):
    """out[0] = N / P: one block; P counts the pairs of different rows of one label, and is 1 where there is none."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    count = float32(0)
    a = t
    while a < n:
        for b in range(n):
            if labels[a] == labels[b] and a != b:
                count += float32(1)
        a += cuda.blockDim.x
    s[t] = count
    fold_sum(s)
    if t == 0:
        out[0] = float32(n) / (s[0] if s[0] > float32(1) else float32(1))


@kernel
def distances(e: Floats, d: Floats, n: Int, size: Int, root: Int, factor: Float):
    at = cuda.grid(1)
    while at < n * n:
        a, b = at // n * size, at % n * size
        total = float32(0)
        for i in range(size):
            apart = e[a + i] - e[b + i]
            total += apart * apart
        d[at] = factor * (math.sqrt(total) if root else total)
        at += cuda.gridsize(1)


@kernel
def choose(labels: Ints, d: Floats, choice: Floats, n: Int):
    """The nearest row beyond p, else the farthest one; the first that is not a number before all."""
    at = cuda.grid(1)
    while at < n * n:
        a, p = at // n, at % n
        nearest, farthest, broken = -1, -1, -1
        if labels[a] == labels[p] and a != p:
            for b in range(n):
                if labels[b] != labels[a]:
                    v = d[a * n + b]
                    if v != v and broken < 0:
                        broken = b
                    if farthest < 0 or v > d[a * n + farthest]:
                        farthest = b
                    if v > d[at] and (nearest < 0 or v < d[a * n + nearest]):
                        nearest = b
        found = nearest if nearest >= 0 else farthest
        choice[at] = float32(broken if broken >= 0 else found)
        at += cuda.gridsize(1)


@kernel
def anchors(d: Floats, choice: Floats, share: Floats, out: Floats, n: Int, margin: Float):
    """out[a] = N/P Σ_p of the hinges, a block an anchor."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    a = cuda.blockIdx.x
    total = float32(0)
    p = t
    while p < n:
        away = int(choice[a * n + p])
        if away >= 0:
            loss = d[a * n + p] - d[a * n + away] + margin
            if not loss <= float32(0):
                total += loss
        p += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        out[a] = share[0] * s[0]


@kernel
def weigh(
    d: Floats, choice: Floats, share: Floats, scale: Floats, slopes: Floats, n: Int, margin: Float, root: Int,
    factor: Float,
):  # fmt: skip
    """slopes[a, b] s_a, times what d(a, b) changes with e_a − e_b: f²/d of the norm, 2 f of its square."""
    at = cuda.grid(1)
    while at < n * n:
        a, b = at // n, at % n
        count = float32(0)
        for p in range(n):
            away = int(choice[a * n + p])
            if away < 0 or (p != b and away != b):
                continue
            if not d[a * n + p] - d[a * n + away] + margin <= float32(0):
                count += float32(1) if p == b else float32(-1)
        change = float32(2) * factor
        if root:
            change = float32(0) if d[at] == float32(0) else factor * factor / d[at]
        slopes[at] = share[0] * count * scale[a] * change
        at += cuda.gridsize(1)


@kernel
def gather(e: Floats, slopes: Floats, out: Floats, n: Int, size: Int):
    """out[a] = Σ_b (slopes[a, b] + slopes[b, a]) (e_a − e_b), a thread for each number."""
    at = cuda.grid(1)
    while at < n * size:
        a, i = at // size, at % size
        total = float32(0)
        for b in range(n):
            total += (slopes[a * n + b] + slopes[b * n + a]) * (e[at] - e[b * size + i])
        out[at] = total
        at += cuda.gridsize(1)


def _prepare(kernel, labels, e, root, factor):
    """(d, choice, slopes, share), the first two and the last filled."""
    if len(e.shape) != 2 or (e.shape[0] and not e.shape[1]):
        raise ValueError(f"{kernel}: e must be (N, D) with at least one number a sample, got shape {e.shape}")
    expect(kernel, "labels", labels, e.shape[:1])
    n, size = e.shape
    d, choice, slopes, share = areas(e.memory.driver, n * n, n * n, n * n, 1)
    if n:
        launch(count_pairs, 1, threads_for(n), labels, share, n)
        launch_each(distances, n * n, e, d, n, size, int(root), factor)
        launch_each(choose, n * n, labels, d, choice, n)
    return d, choice, slopes, share


def semi_hard(labels, e, margin, root, factor, *, out):
    """out[a] = N/P Σ_p max(d(a, p) − d(a, n) + m, 0)"""
    expect("semi_hard", "out", out, e.shape[:1])
    d, choice, _, share = _prepare("semi_hard", labels, e, root, factor)
    if len(e):
        launch(anchors, len(e), threads_for(len(e)), d, choice, share, out, len(e), margin)


def semi_hard_grad(labels, e, margin, root, factor, scale, *, out):
    """de = Σ_a s_a · dL_a/de"""
    expect("semi_hard_grad", "out", out, e.shape)
    expect("semi_hard_grad", "scale", scale, e.shape[:1])
    d, choice, slopes, share = _prepare("semi_hard_grad", labels, e, root, factor)
    n = len(e)
    launch_each(weigh, n * n, d, choice, share, scale, slopes, n, margin, int(root), factor)
    launch_each(gather, out.size, e, slopes, out, n, out.size // max(n, 1))


@kernel
def count_both(labels: Ints, out: Floats, n: Int, diagonal: Int):
    """out[0] = N / V: one block; V counts the rows with one of their label and one of another, and is 1 for none."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    count = float32(0)
    a = t
    while a < n:
        near, far = diagonal, 0
        for b in range(n):
            if labels[a] != labels[b]:
                far = 1
            elif a != b:
                near = 1
        count += float32(near * far)
        a += cuda.blockDim.x
    s[t] = count
    fold_sum(s)
    if t == 0:
        out[0] = float32(n) / (s[0] if s[0] > float32(1) else float32(1))


@device
def pair_term(same, d, gamma, margin):
    """p of a pair of one label, n of one of two."""
    weight, gap = d + margin, d - margin
    if not same:
        weight, gap = float32(1) + margin - d, float32(1) - margin - d
    return gamma * (float32(0) if weight < float32(0) else weight) * gap


@device
def pair_slope(same, d, margin):
    """Of p or n by S, over 2 γ; d may be below 0, which counts as 0 and has no slope."""
    weight, slope = d + margin, -d
    if not same:
        weight, slope = float32(1) + margin - d, float32(1) - d
    return float32(0) if weight <= float32(0) or d < float32(0) else slope


@kernel
def circle_rows(
    labels: Ints, s: Floats, share: Floats, scale: Floats, out: Floats, ds: Floats, n: Int, gamma: Float, margin: Float,
    diagonal: Int, wants: Int,
):  # fmt: skip
    """The loss of a row of S, or where `wants` its gradient; a block a row."""
    near = cuda.shared.array(256, float32)
    far = cuda.shared.array(256, float32)
    t, a = cuda.threadIdx.x, cuda.blockIdx.x
    near[t], far[t] = float32(-math.inf), float32(-math.inf)
    b = t
    while b < n:
        d = float32(1) - s[a * n + b]
        term = pair_term(labels[a] == labels[b], float32(0) if d < float32(0) else d, gamma, margin)
        if labels[a] != labels[b]:
            if term > far[t] or term != term:
                far[t] = term
        elif (a != b or diagonal) and (term > near[t] or term != term):
            near[t] = term
        b += cuda.blockDim.x
    fold_max(near)
    fold_max(far)
    near_top, far_top = near[0], far[0]
    cuda.syncthreads()
    near_sum, far_sum = float32(0), float32(0)
    b = t
    while b < n:
        d = float32(1) - s[a * n + b]
        term = pair_term(labels[a] == labels[b], float32(0) if d < float32(0) else d, gamma, margin)
        if labels[a] != labels[b]:
            far_sum += math.exp(term - far_top)
        elif a != b or diagonal:
            near_sum += math.exp(term - near_top)
        b += cuda.blockDim.x
    near[t], far[t] = near_sum, far_sum
    fold_pair(near, far)
    near_sum, far_sum = near[0], far[0]
    live = near_top != float32(-math.inf) and far_top != float32(-math.inf)
    x = near_top + math.log(near_sum) + far_top + math.log(far_sum) if live else float32(-math.inf)
    if not wants and t == 0:
        above = x if x > float32(0) or x != x else float32(0)
        out[a] = share[0] * (above + math.log1p(math.exp(-abs(x)))) if live else float32(0)
    g = float32(0)
    if wants and live and scale[a] != float32(0):
        g = float32(2) * gamma * share[0] * scale[a] / (float32(1) + math.exp(-x))
    b = t if wants else n
    while b < n:
        d, value = float32(1) - s[a * n + b], float32(0)
        if g != float32(0) and (a != b or diagonal or labels[a] != labels[b]):
            same = labels[a] == labels[b]
            term = pair_term(same, float32(0) if d < float32(0) else d, gamma, margin)
            part = math.exp(term - (near_top if same else far_top)) / (near_sum if same else far_sum)
            value = g * part * pair_slope(same, d, margin)
        ds[a * n + b] = value
        b += cuda.blockDim.x


def _circle(kernel, labels, s, gamma, margin, diagonal, scale, out, ds):
    n = len(s)
    expect(kernel, "s", s, (n, n))
    expect(kernel, "labels", labels, (n,))
    expect(kernel, "scale", scale, (n,))
    expect(kernel, "out", out, (n,))
    expect(kernel, "out", ds, (n, n))
    if n:
        (share,) = areas(s.memory.driver, 1)
        launch(count_both, 1, threads_for(n), labels, share, n, int(diagonal))
        given = labels, s, share, scale, out, ds, n, gamma, margin, int(diagonal), int(ds is not None)
        launch(circle_rows, n, threads_for(n), *given)


def circle(labels, s, gamma, margin, diagonal, *, out):
    """out[a] = N/V ln(1 + Σ_b e^p Σ_b e^n)"""
    _circle("circle", labels, s, gamma, margin, diagonal, None, out, None)


def circle_grad(labels, s, gamma, margin, diagonal, scale, *, out):
    """dS[a, b] = scale[a] · dL_a/dS[a, b]"""
    _circle("circle_grad", labels, s, gamma, margin, diagonal, scale, None, out)
