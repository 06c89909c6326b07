"""Activations as numba.cuda kernels: elementwise by elementary.py, softmax and its like with a block a row."""

import math

from numba import cuda, float32

from npdl.kernels.checks import LINEAR, LOG_SOFTMAX, SOFTMAX, SPARSEMAX
from npdl.kernels.cuda.elementary import FORWARD, SLOPES, sigmoid
from npdl.kernels.cuda.kernel import Float, Floats, Int, Long, expect, kernel, launch, launch_each, variants
from npdl.kernels.cuda.reduction import fold_max, fold_sum, own_max, threads_for
from npdl.kernels.cuda.wide import aligned, launch_fours, load, store


@variants(*zip(FORWARD))
def _forward(code):
    function = FORWARD[code]

    @kernel
    def activation(z: Floats, out: Floats, n: Long, wide: Int, p: Float, q: Float, r: Float):
        v = cuda.local.array(4, float32)
        i = 4 * cuda.grid(1)
        while i < n:
            load(z, i, n, wide, v)
            for k in range(4):
                v[k] = function(v[k], p, q, r)
            store(out, i, n, wide, v)
            i += 4 * cuda.gridsize(1)

    return activation


@variants(*zip(SLOPES))
def _gradient(code):
    slope = SLOPES[code]

    @kernel
    def activation_grad(
        dy: Floats, saved: Floats, out: Floats, n: Long, wide: Int, p: Float, q: Float, r: Float
    ):  # fmt: skip
        d = cuda.local.array(4, float32)
        v = cuda.local.array(4, float32)
        i = 4 * cuda.grid(1)
        while i < n:
            load(dy, i, n, wide, d)
            load(saved, i, n, wide, v)
            for k in range(4):
                d[k] *= slope(v[k], p, q, r)
            store(out, i, n, wide, d)
            i += 4 * cuda.gridsize(1)

    return activation_grad


@kernel
def softmax(z: Floats, out: Floats, n: Int, inner: Int, logarithm: Int):
    """A block for each row; its n elements lie `inner` apart."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = (row // inner) * n * inner + row % inner
    s[t] = own_max(z, start, n, inner, t, cuda.blockDim.x)
    fold_max(s)
    top = s[0]
    cuda.syncthreads()
    total = float32(0)
    i = t
    while i < n:
        total += math.exp(z[start + i * inner] - top)
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    log_total = math.log(s[0])
    scale = float32(1) / s[0]
    i = t
    while i < n:
        near = z[start + i * inner] - top
        out[start + i * inner] = near - log_total if logarithm else math.exp(near) * scale
        i += cuda.blockDim.x


@kernel
def softmax_grad(dy: Floats, y: Floats, out: Floats, n: Int, inner: Int, logarithm: Int):
    """y (dy − Σ dy y); of its logarithm dy − eʸ Σ dy."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = (row // inner) * n * inner + row % inner
    total = float32(0)
    i = t
    while i < n:
        total += dy[start + i * inner] * (float32(1) if logarithm else y[start + i * inner])
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    total = s[0]
    i = t
    while i < n:
        at = start + i * inner
        out[at] = dy[at] - math.exp(y[at]) * total if logarithm else y[at] * (dy[at] - total)
        i += cuda.blockDim.x


@kernel
def sparsemax(z: Floats, out: Floats, n: Int, inner: Int, steps: Int):
    """max(z − τ, 0): τ by halving [max z − 1, max z] until float32 tells its ends apart no more, then from its set."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = (row // inner) * n * inner + row % inner
    s[t] = own_max(z, start, n, inner, t, cuda.blockDim.x)
    fold_max(s)
    top = s[0]
    cuda.syncthreads()
    low = float32(-1)
    high = float32(0)
    step = 0
    while step < steps:
        middle = float32(0.5) * (low + high)
        total = float32(0)
        i = t
        while i < n:
            v = z[start + i * inner] - top - middle
            if v > float32(0):
                total += v
            i += cuda.blockDim.x
        s[t] = total
        fold_sum(s)
        if s[0] >= float32(1):
            low = middle
        else:
            high = middle
        cuda.syncthreads()
        step += 1
    total = float32(0)
    count = float32(0)
    i = t
    while i < n:
        v = z[start + i * inner] - top
        if v > low:
            total += v
            count += float32(1)
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    total = s[0]
    cuda.syncthreads()
    s[t] = count
    fold_sum(s)
    tau = (total - float32(1)) / s[0]
    i = t
    while i < n:
        v = z[start + i * inner] - top - tau
        out[start + i * inner] = float32(0) if v <= float32(0) else v
        i += cuda.blockDim.x


@kernel
def sparsemax_grad(dy: Floats, y: Floats, out: Floats, n: Int, inner: Int):
    """dy − Σ dy / k where y > 0, else 0, the sum over the k places where y > 0."""
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    start = (row // inner) * n * inner + row % inner
    total = float32(0)
    count = float32(0)
    i = t
    while i < n:
        if y[start + i * inner] > float32(0):
            total += dy[start + i * inner]
            count += float32(1)
        i += cuda.blockDim.x
    s[t] = total
    fold_sum(s)
    total = s[0]
    cuda.syncthreads()
    s[t] = count
    fold_sum(s)
    mean = total / s[0]
    i = t
    while i < n:
        at = start + i * inner
        out[at] = dy[at] - mean if y[at] > float32(0) else float32(0)
        i += cuda.blockDim.x


@kernel
def glu_kernel(x: Floats, out: Floats, m: Long, n: Long):
    """out (outer, m) from x (outer, 2, m); n = outer · m."""
    i = cuda.grid(1)
    while i < n:
        at = i + (i // m) * m
        out[i] = x[at] * sigmoid(x[at + m])
        i += cuda.gridsize(1)


@kernel
def glu_grad_kernel(dy: Floats, x: Floats, out: Floats, m: Long, n: Long):
    i = cuda.grid(1)
    while i < n:
        at = i + (i // m) * m
        s = sigmoid(x[at + m])
        out[at] = dy[i] * s
        out[at + m] = dy[i] * x[at] * s * sigmoid(-x[at + m])
        i += cuda.gridsize(1)


@kernel
def prelu_kernel(x: Floats, alpha: Floats, out: Floats, m: Long, n: Long):
    i = cuda.grid(1)
    while i < n:
        out[i] = x[i] if x[i] > float32(0) else alpha[i % m] * x[i]
        i += cuda.gridsize(1)


@kernel
def prelu_grad_kernel(dy: Floats, x: Floats, alpha: Floats, dx: Floats, dalpha: Floats, m: Long, n: Long, wants: Int):
    i = cuda.grid(1)
    while i < n:
        d = dy[i]
        above = x[i] > float32(0)
        dalpha[i] = float32(0) if above else d * x[i]
        if wants:
            dx[i] = d if above else alpha[i % m] * d
        i += cuda.gridsize(1)


# ---- as every device calls them

STEPS = 30
"""Halvings of [−1, 0]: below the distance of float32's neighbours there."""


def _row_sizes(shape, axis):
    """(rows, n, inner)"""
    axis %= len(shape)
    inner = math.prod(shape[axis + 1 :])
    return math.prod(shape[:axis]) * inner, shape[axis], inner


def _rows(one, array, axis, *arguments):
    rows, n, inner = _row_sizes(array.shape, axis)
    if rows and n:
        launch(one, rows, threads_for(n), *arguments, n, inner)


def constants(fn):
    return (*fn.constants, 0.0, 0.0, 0.0)[:3]


def built_in(fn):
    """The code of an activation.

    Raises:
        TypeError: it is one of a user's own, which is Python.
    """
    if fn.code is None:
        raise TypeError(
            f"{fn!r} is an activation of your own, in NumPy, and the model is on a GPU; train it by model.to('cpu')"
        )
    return fn.code


def activation(z, fn, *, out):
    """out = a(z); out may be z."""
    code = built_in(fn)
    expect("activation", "out", out, z.shape)
    if code in (SOFTMAX, LOG_SOFTMAX):
        rows, n, inner = _row_sizes(z.shape, fn.axis)
        if z.size:
            launch(softmax, rows, threads_for(n), z, out, n, inner, int(code == LOG_SOFTMAX))
    elif code == SPARSEMAX:
        rows, n, inner = _row_sizes(z.shape, fn.axis)
        if z.size:
            launch(sparsemax, rows, threads_for(n), z, out, n, inner, STEPS)
    else:
        launch_fours(_forward(code), z.size, z, out, z.size, aligned(z, out), *constants(fn))


def activation_grad(dy, saved, fn, *, out):
    """out = dy · a'(saved); out may be dy."""
    code = built_in(fn)
    expect("activation_grad", "saved", saved, dy.shape)
    expect("activation_grad", "out", out, dy.shape)
    if code in (SOFTMAX, LOG_SOFTMAX):
        rows, n, inner = _row_sizes(dy.shape, fn.axis)
        if dy.size:
            launch(softmax_grad, rows, threads_for(n), dy, saved, out, n, inner, int(code == LOG_SOFTMAX))
    elif code == SPARSEMAX:
        _rows(sparsemax_grad, dy, fn.axis, dy, saved, out)
    elif code == LINEAR:
        launch_fours(_forward(LINEAR), dy.size, dy, out, dy.size, aligned(dy, out), 0.0, 0.0, 0.0)
    else:
        wide = aligned(dy, saved, out)
        launch_fours(_gradient(code), dy.size, dy, saved, out, dy.size, wide, *constants(fn))


def _half(kernel, x, half, axis, name):
    """Numbers from an element of x's first half to its fellow; `half` is half as long along the axis."""
    _, n, inner = _row_sizes(x.shape, axis)
    axis %= len(x.shape)
    if n % 2:
        raise ValueError(f"{kernel}: axis {axis} of x must have an even length, got shape {x.shape}")
    expect(kernel, name, half, (*x.shape[:axis], n // 2, *x.shape[axis + 1 :]))
    return n // 2 * inner


def glu(x, axis, *, out):
    """out = a σ(b), x = (a, b) along the axis"""
    launch_each(glu_kernel, out.size, x, out, _half("glu", x, out, axis, "out"), out.size)


def glu_grad(dy, x, axis, *, out):
    """dx = (dy σ(b), dy a σ(b) (1 − σ(b)))"""
    expect("glu_grad", "out", out, x.shape)
    launch_each(glu_grad_kernel, dy.size, dy, x, out, _half("glu_grad", x, dy, axis, "dy"), dy.size)


def prelu(x, alpha, *, out):
    """out = x where x > 0, else α x; out may be x."""
    expect("prelu", "alpha", alpha, x.shape[1:])
    expect("prelu", "out", out, x.shape)
    launch_each(prelu_kernel, x.size, x, alpha, out, alpha.size, x.size)


def prelu_grad(dy, x, alpha, *, dx=None, dalpha):
    """dx = dy where x > 0, else α dy; dalpha = 0 where x > 0, else dy x; dx may be dy."""
    expect("prelu_grad", "alpha", alpha, x.shape[1:])
    for name, array in (("dy", dy), ("dx", dx), ("dalpha", dalpha)):
        expect("prelu_grad", name, array, x.shape)
    launch_each(prelu_grad_kernel, x.size, dy, x, alpha, dx, dalpha, alpha.size, x.size, int(dx is not None))
