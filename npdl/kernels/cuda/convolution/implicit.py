"""Convolution as a product of matrices of which one is never laid out: implicit im2col, tile by tile in shared memory.

    y[place, f] = Σ_k cols[place, k] W[k, f]        k = (p, q, c), cols[place, k] read from x where it lies

The product behind im2col reads and writes cols, which is as many times x as a window has places. Where channels and
filters are few, as in a first layer, that is most of the work, and this kernel leaves it out.
"""

from numba import cuda, float32

from npdl.kernels.cuda.index import over
from npdl.kernels.cuda.kernel import Floats, Int, Long, kernel, launch

TILE = 16
"""A block's tile of y, places and filters, and of k: a thread for each element."""
MOST_FILTERS, MOST_COLUMNS = 16, 64
"""One tile of filters, so that x is read once, and few of k: beyond, the library's product makes up for cols."""


@kernel
def implicit_kernel(
    x: Floats, w: Floats, y: Floats, places: Long, filters: Int,
    in_h: Int, in_w: Int, channels: Int, kernel_h: Int, kernel_w: Int, stride_h: Int, stride_w: Int,
    pad_h: Int, pad_w: Int, dilation_h: Int, dilation_w: Int, out_h: Int, out_w: Int,
):  # fmt: skip
    """A block makes 16 places of 16 filters, thread (tx, ty) filter tx of place ty.

    It goes along k in tiles of 16. Of each, its threads first fetch 16 x 16 numbers of cols and of W into shared
    memory, neighbouring threads neighbouring k, which mostly lie side by side in x; then each multiplies a row of the
    one by a column of the other. A number that was fetched once is used 16 times.
    """
    cols = cuda.shared.array((16, 17), float32)
    weights = cuda.shared.array((16, 16), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    f = cuda.blockIdx.y * 16 + tx
    place = cuda.blockIdx.x * 16 + ty
    line = over(place, out_w)
    sample = over(line, out_h)
    left = (place - line * out_w) * stride_w - pad_w
    top = (line - sample * out_h) * stride_h - pad_h
    width = kernel_h * kernel_w * channels
    total = float32(0)
    start = 0
    while start < width:
        tap = over(start + tx, channels)
        p = over(tap, kernel_w)
        at_h = top + p * dilation_h
        at_w = left + (tap - p * kernel_w) * dilation_w
        inside = at_h >= 0 and at_h < in_h and at_w >= 0 and at_w < in_w
        value = float32(0)
        if inside and start + tx < width and place < places:
            value = x[((sample * in_h + at_h) * in_w + at_w) * channels + start + tx - tap * channels]
        cols[ty, tx] = value
        weight = float32(0)
        if start + ty < width and f < filters:
            weight = w[(start + ty) * filters + f]
        weights[ty, tx] = weight
        cuda.syncthreads()
        for i in range(16):
            total += cols[ty, i] * weights[i, tx]
        cuda.syncthreads()
        start += 16
    if place < places and f < filters:
        y[place * filters + f] = total


def is_small(g):
    """Whether this kernel is the one to take, by a `Window2D`."""
    taps = g.kernel_h * g.kernel_w
    return g.groups == 1 and taps > 1 and g.filters <= MOST_FILTERS and taps * g.channels <= MOST_COLUMNS


def forward(x, w, g, out):
    """y, without bias."""
    places = out.size // g.filters
    blocks = (-(-places // TILE), -(-g.filters // TILE))
    launch(implicit_kernel, blocks, (TILE, TILE), x, w, out, places, g.filters, *g[:13])
