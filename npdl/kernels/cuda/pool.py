"""Pooling over windows and over whole images as numba.cuda kernels, channels last.

x, dx (N, H, W, C) and y, dy (N, OH, OW, C), with a `Window2D` g; whole images: y (N, C). Of windows a thread makes one
element, neighbours are channels. Gradients are gathered: a place asks each tap which window reads it by that tap, and
whether it won there; so no two threads write to one place.
"""

import math

import numpy as np
from numba import cuda, float32, int32

from npdl.kernels.checks import needs_y, wants_relu, whole_window
from npdl.kernels.cuda.index import over, shown, which
from npdl.kernels.cuda.kernel import Bytes, Floats, Int, Ints, Long, device, expect, kernel, launch, launch_each
from npdl.kernels.cuda.memory import viewed

TILE, THREADS = 32, 256
"""Channels that a block takes of a whole image at most, and its threads at most."""


@kernel
def max_kernel(
    x: Floats, y: Floats, winners: Bytes, n: Long, wants: Int, relu: Int,
    in_h: Int, in_w: Int, channels: Int, kernel_h: Int, kernel_w: Int, stride_h: Int, stride_w: Int,
    pad_h: Int, pad_w: Int, dilation_h: Int, dilation_w: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """The maximum of the window and its tap; the first one wins, NaN over every number."""
    e = cuda.grid(1)
    while e < n:
        place = e // channels
        c = e - place * channels
        line = over(place, out_w)
        sample = over(line, out_h)
        left = (place - line * out_w) * stride_w - pad_w
        top = (line - sample * out_h) * stride_h - pad_h
        most = float32(-math.inf)
        best = -1
        for p in range(kernel_h):
            h = top + p * dilation_h
            for q in range(kernel_w if h >= 0 and h < in_h else 0):
                w = left + q * dilation_w
                if w >= 0 and w < in_w:
                    v = x[((sample * in_h + h) * in_w + w) * channels + c]
                    if best < 0 or v > most or (v != v and most == most):
                        most = v
                        best = p * kernel_w + q
        y[e] = float32(0) if relu and most <= float32(0) else most
        if wants:
            winners[e] = max(best, 0)
        e += cuda.gridsize(1)


max_of_large = max_kernel.retyped(winners=Ints)


@kernel
def max_grad_kernel(
    dy: Floats, winners: Bytes, y: Floats, dx: Floats, n: Long, relu: Int,
    in_h: Int, in_w: Int, channels: Int, kernel_h: Int, kernel_w: Int, stride_h: Int, stride_w: Int,
    pad_h: Int, pad_w: Int, dilation_h: Int, dilation_w: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """dx = Σ dy of the windows that this place won, after ReLU of those whose y > 0."""
    e = cuda.grid(1)
    while e < n:
        place = e // channels
        c = e - place * channels
        line = over(place, in_w)
        sample = over(line, in_h)
        w = place - line * in_w + pad_w
        h = line - sample * in_h + pad_h
        total = float32(0)
        for p in range(kernel_h):
            i = which(h - p * dilation_h, stride_h, out_h)
            for q in range(kernel_w if i >= 0 else 0):
                j = which(w - q * dilation_w, stride_w, out_w)
                at = ((sample * out_h + i) * out_w + j) * channels + c
                if j >= 0 and winners[at] == p * kernel_w + q and (relu == 0 or y[at] > float32(0)):
                    total += dy[at]
        dx[e] = total
        e += cuda.gridsize(1)


max_grad_of_large = max_grad_kernel.retyped(winners=Ints)


@kernel
def average_kernel(
    x: Floats, y: Floats, n: Long,
    in_h: Int, in_w: Int, channels: Int, kernel_h: Int, kernel_w: Int, stride_h: Int, stride_w: Int,
    pad_h: Int, pad_w: Int, dilation_h: Int, dilation_w: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """y = mean of the window's places inside the image, 0 where there is none"""
    e = cuda.grid(1)
    while e < n:
        place = e // channels
        c = e - place * channels
        line = over(place, out_w)
        sample = over(line, out_h)
        left = (place - line * out_w) * stride_w - pad_w
        top = (line - sample * out_h) * stride_h - pad_h
        total = float32(0)
        count = 0
        for p in range(kernel_h):
            h = top + p * dilation_h
            for q in range(kernel_w if h >= 0 and h < in_h else 0):
                w = left + q * dilation_w
                if w >= 0 and w < in_w:
                    total += x[((sample * in_h + h) * in_w + w) * channels + c]
                    count += 1
        y[e] = total / float32(max(count, 1))
        e += cuda.gridsize(1)


@kernel
def average_grad_kernel(
    dy: Floats, dx: Floats, n: Long,
    in_h: Int, in_w: Int, channels: Int, kernel_h: Int, kernel_w: Int, stride_h: Int, stride_w: Int,
    pad_h: Int, pad_w: Int, dilation_h: Int, dilation_w: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """dx = Σ dy / count over the windows that hold this place"""
    e = cuda.grid(1)
    while e < n:
        place = e // channels
        c = e - place * channels
        line = over(place, in_w)
        sample = over(line, in_h)
        w = place - line * in_w + pad_w
        h = line - sample * in_h + pad_h
        total = float32(0)
        for p in range(kernel_h):
            i = which(h - p * dilation_h, stride_h, out_h)
            high = shown(i * stride_h - pad_h, kernel_h, dilation_h, in_h)
            for q in range(kernel_w if i >= 0 else 0):
                j = which(w - q * dilation_w, stride_w, out_w)
                if j >= 0:
                    count = high * shown(j * stride_w - pad_w, kernel_w, dilation_w, in_w)
                    total += dy[((sample * out_h + i) * out_w + j) * channels + c] / float32(count)
        dx[e] = total
        e += cuda.gridsize(1)


# ---- whole images: a block for up to 32 channels of one image, its rows of threads share the places


@device
def fold_best(s, places):
    """The rows' maxima and where they were become one in row 0: of equals the first place, NaN before all."""
    half = cuda.blockDim.y // 2
    cuda.syncthreads()
    while half > 0:
        if cuda.threadIdx.y < half:
            mine = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
            other = mine + half * cuda.blockDim.x
            a = s[mine]
            b = s[other]
            later = places[other] < places[mine]
            if b > a or (b != b and a == a) or ((b == a or (b != b and a != a)) and later):
                s[mine] = b
                places[mine] = places[other]
        half //= 2
        cuda.syncthreads()


@device
def fold_rows(s):
    """The rows' sums become one in row 0: i and i + half, again and again."""
    half = cuda.blockDim.y // 2
    cuda.syncthreads()
    while half > 0:
        if cuda.threadIdx.y < half:
            mine = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
            s[mine] += s[mine + half * cuda.blockDim.x]
        half //= 2
        cuda.syncthreads()


@kernel
def image_max_kernel(x: Floats, y: Floats, winners: Ints, places: Int, channels: Int, tiles: Int, wants: Int):
    s = cuda.shared.array(256, float32)
    best = cuda.shared.array(256, int32)
    t = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    sample = over(cuda.blockIdx.x, tiles)
    c = (cuda.blockIdx.x - sample * tiles) * cuda.blockDim.x + cuda.threadIdx.x
    most = float32(-math.inf)
    mine = places  # of a thread that has seen none: behind all
    i = cuda.threadIdx.y
    while i < places:
        if c < channels:
            v = x[(sample * places + i) * channels + c]
            if mine == places or v > most or (v != v and most == most):
                most = v
                mine = i
        i += cuda.blockDim.y
    s[t] = most
    best[t] = mine
    fold_best(s, best)
    if cuda.threadIdx.y == 0 and c < channels:
        y[sample * channels + c] = s[t]
        if wants:
            winners[sample * channels + c] = best[t]


@kernel
def image_mean_kernel(x: Floats, y: Floats, places: Int, channels: Int, tiles: Int):
    s = cuda.shared.array(256, float32)
    t = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    sample = over(cuda.blockIdx.x, tiles)
    c = (cuda.blockIdx.x - sample * tiles) * cuda.blockDim.x + cuda.threadIdx.x
    total = float32(0)
    i = cuda.threadIdx.y
    while i < places:
        if c < channels:
            total += x[(sample * places + i) * channels + c]
        i += cuda.blockDim.y
    s[t] = total
    fold_rows(s)
    if cuda.threadIdx.y == 0 and c < channels:
        y[sample * channels + c] = s[t] / float32(places)


@kernel
def image_max_grad_kernel(dy: Floats, winners: Ints, dx: Floats, n: Long, places: Int, channels: Int):
    e = cuda.grid(1)
    while e < n:
        row = e // channels
        sample = over(row, places)
        at = sample * channels + e - row * channels
        dx[e] = dy[at] if winners[at] == row - sample * places else float32(0)
        e += cuda.gridsize(1)


@kernel
def image_mean_grad_kernel(dy: Floats, dx: Floats, n: Long, places: Int, channels: Int):
    e = cuda.grid(1)
    while e < n:
        row = e // channels
        dx[e] = dy[over(row, places) * channels + e - row * channels] / float32(places)
        e += cuda.gridsize(1)


@kernel
def counted_kernel(y: Floats, mask: Bytes, out: Floats, n: Long, channels: Int, steps: Int):
    """A thread for each element; those of a sample read the same steps, which their processor keeps near."""
    e = cuda.grid(1)
    while e < n:
        sample = e // channels
        count = 0
        for t in range(steps):
            count += 1 if mask[sample * steps + t] else 0
        out[e] = y[e] * (float32(steps) / float32(max(count, 1)))
        e += cuda.gridsize(1)


# ---- the family


def _check(kernel, g, large, small, **like_small):
    """The window's numbers as kernels take them; large and small are (name, array) of x's shape and of y's."""
    whole_window(kernel, g)
    n = len(large[1]) if large[1].shape else 0
    expect(kernel, *large, (n, *g.inside, g.channels))
    for name, array in (small, *like_small.items()):
        expect(kernel, name, array, (n, *g.out, g.channels))
    return g[:13]


def _by_winners(kernel, g, winners, small, large):
    """The one of two GPU kernels for winners of that type."""
    wanted = "uint8" if g.kernel_h * g.kernel_w <= 256 else "int32"
    if winners is not None and winners.dtype not in (np.dtype(wanted), np.dtype("int32")):
        raise TypeError(f"{kernel}: winners of a window of this size must be {wanted}, got {winners.dtype}")
    return small if winners is None or winners.dtype == np.uint8 else large


def max_pool2d(x, g, *, out, winners=None, activation=None):
    """out = a(max over the window), a ReLU or nothing; winners: the tap of the first maximum."""
    relu = wants_relu("max_pool2d", activation)
    numbers = _check("max_pool2d", g, ("x", x), ("out", out), winners=winners)
    one = _by_winners("max_pool2d", g, winners, max_kernel, max_of_large)
    launch_each(one, out.size, x, out, winners, out.size, int(winners is not None), int(relu), *numbers)


def max_pool2d_grad(dy, winners, g, *, out, y=None, activation=None):
    """dx[place] = Σ dy of the windows that this place won, after ReLU of those whose y > 0"""
    if relu := wants_relu("max_pool2d_grad", activation):
        needs_y("max_pool2d_grad", y)
    numbers = _check("max_pool2d_grad", g, ("out", out), ("dy", dy), winners=winners, y=y)
    one = _by_winners("max_pool2d_grad", g, winners, max_grad_kernel, max_grad_of_large)
    launch_each(one, out.size, dy, winners, y, out, out.size, int(relu), *numbers)


def average_pool2d(x, g, *, out):
    """out = mean over the window's places inside the image"""
    launch_each(average_kernel, out.size, x, out, out.size, *_check("average_pool2d", g, ("x", x), ("out", out)))


def average_pool2d_grad(dy, g, *, out):
    """dx[place] = Σ dy / count over the windows that hold this place"""
    numbers = _check("average_pool2d_grad", g, ("out", out), ("dy", dy))
    launch_each(average_grad_kernel, out.size, dy, out, out.size, *numbers)


def _image(kernel, name, x, **few):
    """(samples, places, channels) of whole images, and of arrays that have a number a channel."""
    if len(x.shape) != 4:
        raise ValueError(f"{kernel}: {name} must be images (N, height, width, channels), got shape {x.shape}")
    n, h, w, channels = x.shape
    for own, array in few.items():
        expect(kernel, own, array, (n, channels))
    return n, h * w, channels


def _over_images(one, samples, places, channels, *arrays, wants=()):
    """Start blocks of 32 channels and 8 rows of threads; of fewer channels and more rows where there are no 32."""
    wide = min(TILE, 1 << (channels - 1).bit_length())
    rows = min(THREADS // wide, 1 << (places - 1).bit_length())
    tiles = -(-channels // wide)
    launch(one, samples * tiles, (wide, rows), *arrays, places, channels, tiles, *wants)


def global_max_pool2d(x, *, out, winners=None):
    """out[n, c] = max over x[n, :, :, c]; winners: the place of the first maximum."""
    sizes = _image("global_max_pool2d", "x", x, out=out, winners=winners)
    if out.size:
        if not x.size:
            raise ValueError(f"global_max_pool2d: images of shape {x.shape} have no places to take a maximum of")
        _over_images(image_max_kernel, *sizes, x, out, winners, wants=(int(winners is not None),))


def global_max_pool2d_grad(dy, winners, *, out):
    """dx[n, place, c] = dy[n, c] where the place won, else 0"""
    _, places, channels = _image("global_max_pool2d_grad", "out", out, dy=dy, winners=winners)
    launch_each(image_max_grad_kernel, out.size, dy, winners, out, out.size, places, channels)


def global_average_pool2d(x, *, out):
    """out[n, c] = mean of x[n, :, :, c]"""
    sizes = _image("global_average_pool2d", "x", x, out=out)
    if out.size:
        if not x.size:
            raise ValueError(f"global_average_pool2d: images of shape {x.shape} have no places to take a mean of")
        _over_images(image_mean_kernel, *sizes, x, out)


def global_average_pool2d_grad(dy, *, out):
    """dx[n, h, w, c] = dy[n, c] / (H W)"""
    _, places, channels = _image("global_average_pool2d_grad", "out", out, dy=dy)
    launch_each(image_mean_grad_kernel, out.size, dy, out, out.size, places, channels)


def mean_of_counted(y, mask, *, out):
    """out[n, c] = y[n, c] T / Σ_t mask[n, t]; out may be y."""
    if len(mask.shape) != 2 or len(y.shape) != 2 or len(y) != len(mask):
        raise ValueError(f"mean_of_counted: expected y (N, C) and mask (N, T), got shapes {y.shape} and {mask.shape}")
    expect("mean_of_counted", "out", out, y.shape)
    launch_each(counted_kernel, y.size, y, viewed(mask, np.uint8), out, y.size, y.shape[1], mask.shape[1])
