"""Connectionist temporal classification as numba.cuda kernels; formulas: npdl/kernels/reference/ctc.py.

A sample's states are b l₁ b l₂ ... b, S = 2 U + 1 of them at most. First the logarithm of each frame's Σ eᶻ, a block a
frame; then a block a sample goes through the frames, a thread for each state: α forward, and for the gradient β
backward; at last a thread for each logit sums over the states of its class, in their order.
"""

import math

from numba import cuda, float32

from npdl.kernels.cuda.kernel import Floats, Int, Ints, device, expect, kernel, launch, launch_each
from npdl.kernels.cuda.memory import areas
from npdl.kernels.cuda.reduction import fold_max, fold_sum, own_max, threads_for

MOST_THREADS = 128


@kernel
def log_sums(z: Floats, out: Floats, classes: Int):
    """out[n, t] = ln Σ e^z, a block a frame."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    start = cuda.blockIdx.x * classes
    s[t] = own_max(z, start, classes, 1, t, cuda.blockDim.x)
    fold_max(s)
    top = s[0]
    cuda.syncthreads()
    total = float32(0)
    i = t
    while i < classes:
        total += math.exp(z[start + i] - top)
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    if t == 0:
        out[cuda.blockIdx.x] = top + math.log(s[0])


@device
def add_logs(a, b):
    """ln(eᵃ + eᵇ)"""
    high = a if a > b or a != a else b
    low = b if a > b or a != a else a
    return high if high == float32(-math.inf) else high + math.log1p(math.exp(low - high))


@device
def length_of(labels, at, width, blank):
    """How many labels stand before the first blank."""
    count = 0
    while count < width and labels[at + count] != blank:
        count += 1
    return count


@device
def class_of(labels, at, state, blank):
    """The class of a state: a label's in odd ones."""
    return labels[at + state // 2] if state % 2 else blank


@device
def skips(labels, at, state):
    """Whether a label may follow the label before it with no blank between: it differs."""
    return state % 2 == 1 and state >= 3 and labels[at + state // 2] != labels[at + state // 2 - 1]


@kernel
def go_forward(
    labels: Ints, z: Floats, sums: Floats, alpha: Floats, out: Floats, totals: Floats,
    frames: Int, classes: Int, width: Int, blank: Int, wants_out: Int,
):  # fmt: skip
    """ln α (N, T, S); ln P of each sample to `totals`, −ln P to out."""
    n = cuda.blockIdx.x
    at = n * width
    states = 2 * length_of(labels, at, width, blank) + 1
    all_states = 2 * width + 1
    t = 0
    while t < frames:
        now = (n * frames + t) * all_states
        state = cuda.threadIdx.x
        while state < states:
            before = now - all_states + state
            reach = float32(-math.inf)
            if t == 0:
                reach = float32(0) if state < 2 else reach
            else:
                reach = alpha[before]
                if state >= 1:
                    reach = add_logs(reach, alpha[before - 1])
                if skips(labels, at, state):
                    reach = add_logs(reach, alpha[before - 2])
            frame = n * frames + t
            alpha[now + state] = reach + z[frame * classes + class_of(labels, at, state, blank)] - sums[frame]
            state += cuda.blockDim.x
        cuda.syncthreads()
        t += 1
    if cuda.threadIdx.x == 0:
        last = (n * frames + frames - 1) * all_states + states - 1
        total = alpha[last]
        if states > 1:
            total = add_logs(total, alpha[last - 1])
        totals[n] = total
        if wants_out:
            out[n] = -total


@kernel
def go_backward(labels: Ints, z: Floats, sums: Floats, beta: Floats, frames: Int, classes: Int, width: Int, blank: Int):
    """ln β (N, T, S), each with the frame's own p in it, as α has."""
    n = cuda.blockIdx.x
    at = n * width
    states = 2 * length_of(labels, at, width, blank) + 1
    all_states = 2 * width + 1
    t = frames - 1
    while t >= 0:
        now = (n * frames + t) * all_states
        state = cuda.threadIdx.x
        while state < states:
            after = now + all_states + state
            reach = float32(-math.inf)
            if t == frames - 1:
                reach = float32(0) if state >= states - 2 else reach
            else:
                reach = beta[after]
                if state + 1 < states:
                    reach = add_logs(reach, beta[after + 1])
                if state + 2 < states and skips(labels, at, state + 2):
                    reach = add_logs(reach, beta[after + 2])
            frame = n * frames + t
            beta[now + state] = reach + z[frame * classes + class_of(labels, at, state, blank)] - sums[frame]
            state += cuda.blockDim.x
        cuda.syncthreads()
        t -= 1


@kernel
def sum_states(
    labels: Ints, z: Floats, sums: Floats, alpha: Floats, beta: Floats, totals: Floats, scale: Floats, out: Floats,
    count: Int, frames: Int, classes: Int, width: Int, blank: Int,
):  # fmt: skip
    """out = s (p − Σ over the states of this class of α β / (p P))"""
    i = cuda.grid(1)
    while i < count:
        frame = i // classes
        own = i % classes
        n = frame // frames
        at = n * width
        d = float32(0)
        if scale[n] != float32(0) and totals[n] != float32(-math.inf):
            log_p = z[i] - sums[frame]
            d = math.exp(log_p)
            states = 2 * length_of(labels, at, width, blank) + 1
            first = frame * (2 * width + 1)
            state = 0
            while state < states:
                if class_of(labels, at, state, blank) == own:
                    d -= math.exp(alpha[first + state] + beta[first + state] - log_p - totals[n])
                state += 1
            d *= scale[n]
        out[i] = d
        i += cuda.gridsize(1)


def _ctc(kernel, labels, y_pred, blank, out, scale, dy):
    shape = y_pred.shape
    if len(shape) != 3 or (not y_pred.size and shape[0]):
        raise ValueError(f"{kernel}: y_pred must be logits (N, frames, classes), at least one of each, got {shape}")
    if len(labels.shape) != 2 or len(labels) != shape[0]:
        raise ValueError(f"{kernel}: labels must be ({shape[0]}, U), a row a sample, got {labels.shape}")
    if not 0 <= blank < shape[-1]:
        raise ValueError(f"{kernel}: blank must be a class, 0 to {shape[-1] - 1}, got {blank}")
    expect(kernel, "out", out, shape[:1])
    if dy is not None:
        expect(kernel, "out" if out is None else "dy", dy, shape)
        expect(kernel, "scale", scale, shape[:1])
    if not shape[0]:
        return
    (samples, frames, classes), width = shape, labels.shape[1]
    all_states = 2 * width + 1
    size = samples * frames * all_states
    sums, alpha, beta, totals = areas(y_pred.memory.driver, samples * frames, size, 0 if dy is None else size, samples)
    threads, sizes = threads_for(all_states, MOST_THREADS), (frames, classes, width, blank)
    launch(log_sums, samples * frames, threads_for(classes), y_pred, sums, classes)
    launch(go_forward, samples, threads, labels, y_pred, sums, alpha, out, totals, *sizes, int(out is not None))
    if dy is not None:
        launch(go_backward, samples, threads, labels, y_pred, sums, beta, *sizes)
        launch_each(sum_states, y_pred.size, labels, y_pred, sums, alpha, beta, totals, scale, dy, y_pred.size, *sizes)


def ctc(labels, y_pred, blank, *, out, scale=None, dy=None):
    """out[n] = −ln P(labels of sample n | logits);  with scale and dy also its gradient"""
    _ctc("ctc", labels, y_pred, blank, out, scale, dy)


def ctc_grad(labels, y_pred, blank, scale, *, out):
    """out = s (softmax − the part of alignments at each class)"""
    _ctc("ctc_grad", labels, y_pred, blank, None, scale, out)
