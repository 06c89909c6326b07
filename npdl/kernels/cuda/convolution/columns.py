"""im2col and col2im: windows laid out as the rows of a matrix, and added up again.

An image is a volume of depth 1 here: one kernel for both. `columns` and `gather` take a group of the channels alone,
`own` of them from `first` on, for a matrix (N·OD·OH·OW, KD·KH·KW·own).
"""

from numba import cuda, float32

from npdl.kernels.cuda.index import over, which
from npdl.kernels.cuda.kernel import Floats, Int, Long, kernel, launch_each


@kernel
def columns_kernel(
    x: Floats, cols: Floats, n: Long, first: Int, own: Int,
    in_d: Int, in_h: Int, in_w: Int, channels: Int, kernel_d: Int, kernel_h: Int, kernel_w: Int,
    stride_d: Int, stride_h: Int, stride_w: Int, pad_d: Int, pad_h: Int, pad_w: Int,
    dilation_d: Int, dilation_h: Int, dilation_w: Int, out_d: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """cols[line·OW + j, (o, p, q, c)] = x[n, d·stride_d − pad_d + o·dilation_d, ..., first + c], 0 outside.

    A thread takes one column k = (o, p, q, c) of one line (n, d, i), finds once what that means, and walks along j.
    Neighbouring threads have neighbouring k: they write neighbours, and along (q, c) they read neighbours.
    """
    width = kernel_d * kernel_h * kernel_w * own
    e = cuda.grid(1)
    while e < n:
        line = e // width
        k = e - line * width
        tap = over(k, own)
        o = over(tap, kernel_h * kernel_w)
        p = over(tap, kernel_w) - o * kernel_h
        q = tap - (o * kernel_h + p) * kernel_w
        plane = over(line, out_h)
        sample = over(plane, out_d)
        h = (line - plane * out_h) * stride_h - pad_h + p * dilation_h
        d = (plane - sample * out_d) * stride_d - pad_d + o * dilation_d
        inside = d >= 0 and d < in_d and h >= 0 and h < in_h
        row = ((sample * in_d + d) * in_h + h) * in_w
        left = q * dilation_w - pad_w
        for j in range(out_w):
            w = j * stride_w + left
            value = float32(0)
            if inside and w >= 0 and w < in_w:
                value = x[(row + w) * channels + first + k - tap * own]
            cols[(line * out_w + j) * width + k] = value
        e += cuda.gridsize(1)


@kernel
def gather_kernel(
    cols: Floats, dx: Floats, n: Long, first: Int, own: Int,
    in_d: Int, in_h: Int, in_w: Int, channels: Int, kernel_d: Int, kernel_h: Int, kernel_w: Int,
    stride_d: Int, stride_h: Int, stride_w: Int, pad_d: Int, pad_h: Int, pad_w: Int,
    dilation_d: Int, dilation_h: Int, dilation_w: Int, out_d: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """dx[n, d, h, w, first + c] = Σ of the places of cols that show it.

    A thread makes one element: it asks each tap which window reads this place by it. So no two threads write to one
    place, and a sum's order is that of the taps.
    """
    e = cuda.grid(1)
    while e < n:
        place = e // own
        c = e - place * own
        line = over(place, in_w)
        w = place - line * in_w + pad_w
        plane = over(line, in_h)
        h = line - plane * in_h + pad_h
        sample = over(plane, in_d)
        d = plane - sample * in_d + pad_d
        total = float32(0)
        for o in range(kernel_d):
            there = which(d - o * dilation_d, stride_d, out_d)
            for p in range(kernel_h if there >= 0 else 0):
                i = which(h - p * dilation_h, stride_h, out_h)
                for q in range(kernel_w if i >= 0 else 0):
                    j = which(w - q * dilation_w, stride_w, out_w)
                    if j >= 0:
                        row = ((sample * out_d + there) * out_h + i) * out_w + j
                        tap = (o * kernel_h + p) * kernel_w + q
                        total += cols[(row * kernel_d * kernel_h * kernel_w + tap) * own + c]
        dx[place * channels + first + c] = total
        e += cuda.gridsize(1)


def columns(x, g, group, cols):
    """im2col of one of the groups of channels, by a `Window3D`."""
    own = g.channels // g.groups
    width = g.kernel_d * g.kernel_h * g.kernel_w * own
    lines = len(x) * g.out_d * g.out_h
    launch_each(columns_kernel, lines * width, x, cols, lines * width, group * own, own, *g[:19])


def gather(cols, g, group, dx):
    """col2im of one of the groups of channels."""
    own = g.channels // g.groups
    count = dx.size // max(g.channels, 1) * own
    launch_each(gather_kernel, count, cols, dx, count, group * own, own, *g[:19])
