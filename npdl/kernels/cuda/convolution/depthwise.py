"""Convolution of each channel by itself, with no matrix in between: there is nothing to multiply one with.

Shapes: x, dx (N, H, W, C) · w, dW (KH, KW, 1, F) · dz, y (N, OH, OW, F), F = C·M: filter f sees channel f // M.
"""

from numba import cuda, float32

from npdl.kernels.cuda.index import over, which
from npdl.kernels.cuda.kernel import Floats, Int, Long, kernel, launch, launch_each
from npdl.kernels.cuda.matmul import sum_parts

LEAST, MOST_PARTS = 256, 128
"""Places of a part of a sum over all places at least, and parts at most."""


@kernel
def forward_kernel(
    x: Floats, w: Floats, y: Floats, n: Long, filters: Int,
    in_h: Int, in_w: Int, channels: Int, kernel_h: Int, kernel_w: Int, stride_h: Int, stride_w: Int,
    pad_h: Int, pad_w: Int, dilation_h: Int, dilation_w: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """y[n, i, j, f] = Σ_{p, q} x[n, i·stride_h − pad_h + p·dilation_h, ..., f // M] w[p, q, f]; a thread an element."""
    e = cuda.grid(1)
    while e < n:
        place = e // filters
        f = e - place * filters
        c = over(f, over(filters, channels))
        line = over(place, out_w)
        left = (place - line * out_w) * stride_w - pad_w
        sample = over(line, out_h)
        top = (line - sample * out_h) * stride_h - pad_h
        total = float32(0)
        for p in range(kernel_h):
            at_h = top + p * dilation_h
            for q in range(kernel_w if at_h >= 0 and at_h < in_h else 0):
                at_w = left + q * dilation_w
                if at_w >= 0 and at_w < in_w:
                    at = (sample * in_h + at_h) * in_w + at_w
                    total += x[at * channels + c] * w[(p * kernel_w + q) * filters + f]
        y[e] = total
        e += cuda.gridsize(1)


@kernel
def dx_kernel(
    dz: Floats, w: Floats, dx: Floats, n: Long, filters: Int,
    in_h: Int, in_w: Int, channels: Int, kernel_h: Int, kernel_w: Int, stride_h: Int, stride_w: Int,
    pad_h: Int, pad_w: Int, dilation_h: Int, dilation_w: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """dx[n, h, w, c] = Σ dz[window that reads this place by tap (p, q), f] w[p, q, f] over c's M filters."""
    each = over(filters, channels)
    e = cuda.grid(1)
    while e < n:
        place = e // channels
        c = e - place * channels
        line = over(place, in_w)
        at_w = place - line * in_w + pad_w
        sample = over(line, in_h)
        at_h = line - sample * in_h + pad_h
        total = float32(0)
        for f in range(c * each, c * each + each):
            for p in range(kernel_h):
                i = which(at_h - p * dilation_h, stride_h, out_h)
                for q in range(kernel_w if i >= 0 else 0):
                    j = which(at_w - q * dilation_w, stride_w, out_w)
                    if j >= 0:
                        at = (sample * out_h + i) * out_w + j
                        total += dz[at * filters + f] * w[(p * kernel_w + q) * filters + f]
        dx[e] = total
        e += cuda.gridsize(1)


@kernel
def dkernel_part(
    x: Floats, dz: Floats, parts: Floats, places: Long, part: Long, taps: Int, filters: Int,
    in_h: Int, in_w: Int, channels: Int, kernel_h: Int, kernel_w: Int, stride_h: Int, stride_w: Int,
    pad_h: Int, pad_w: Int, dilation_h: Int, dilation_w: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """parts[b, tap, f] = Σ x[what the tap reads, f // M] dz[place, f] over the places (n, i, j) of part b.

    A block has one tap, 32 filters and 8 threads for each: thread (f, t) takes every 8th place, and the eight sums are
    added in their order.
    """
    s = cuda.shared.array((8, 32), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    f = cuda.blockIdx.x * 32 + tx
    b = over(cuda.blockIdx.y, taps)
    tap = cuda.blockIdx.y - b * taps
    p = over(tap, kernel_w)
    q = tap - p * kernel_w
    c = over(f, over(filters, channels))
    place = b * part + ty
    stop = min(b * part + part, places)
    total = float32(0)
    while place < stop:
        line = over(place, out_w)
        sample = over(line, out_h)
        at_w = (place - line * out_w) * stride_w - pad_w + q * dilation_w
        at_h = (line - sample * out_h) * stride_h - pad_h + p * dilation_h
        if at_w >= 0 and at_w < in_w and at_h >= 0 and at_h < in_h and f < filters:
            at = (sample * in_h + at_h) * in_w + at_w
            total += x[at * channels + c] * dz[place * filters + f]
        place += 8
    s[ty, tx] = total
    cuda.syncthreads()
    if ty == 0 and f < filters:
        total = s[0, tx]
        for t in range(1, 8):
            total += s[t, tx]
        parts[cuda.blockIdx.y * filters + f] = total


def is_depthwise(g):
    """Whether each channel of an image is a group, by a `Window2D`."""
    return g.groups == g.channels > 1


def forward(x, w, g, out):
    """y, without bias."""
    launch_each(forward_kernel, out.size, x, w, out, out.size, g.filters, *g[:13])


def input_gradient(dz, w, g, out):
    """dx"""
    launch_each(dx_kernel, out.size, dz, w, out, out.size, g.filters, *g[:13])


def kernel_gradient(x, dz, g, out):
    """dW: sums of parts of the places, and their sum."""
    taps, places = g.kernel_h * g.kernel_w, dz.size // g.filters
    part = max(LEAST, -(-places // min(MOST_PARTS, max(1, 65535 // taps))))  # a grid has at most 65,535 rows of blocks
    count = max(1, -(-places // part))
    parts = out if count == 1 else out.memory.driver.scratch(count * out.size)
    blocks = (-(-g.filters // 32), count * taps)
    launch(dkernel_part, blocks, (32, 8), x, dz, parts, places, part, taps, g.filters, *g[:13])
    if count > 1:
        launch(sum_parts, -(-out.size // 128), 128, parts, out, count, out.size)
