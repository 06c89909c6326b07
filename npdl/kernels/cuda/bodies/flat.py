"""What is done to whole flat arrays beside the updates: sums of two, clipping."""

from numba import cuda, float32

from npdl.kernels.cuda.kernel import Floats, Int, Longs, kernel, variants
from npdl.kernels.cuda.wide import load, store


@variants((False,), (True,))
def combine(reads_p):
    @kernel
    def update(pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats, g: Floats):
        w = cuda.local.array(4, float32)
        d = cuda.local.array(4, float32)
        piece = 3 * cuda.blockIdx.x
        start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
        a, b = scalars[at], scalars[at + 1]
        fours = wide != 0 and start % 4 == 0
        i = start + 4 * cuda.threadIdx.x
        while i < stop:
            if reads_p:
                load(p, i, stop, fours, w)
            load(g, i, stop, fours, d)
            for k in range(4):
                w[k] = a * w[k] + b * d[k] if reads_p else b * d[k]
            store(p, i, stop, fours, w)
            i += 4 * cuda.blockDim.x

    return update


@kernel
def clip(pieces: Longs, scalars: Floats, width: Int, wide: Int, p: Floats):
    w = cuda.local.array(4, float32)
    piece = 3 * cuda.blockIdx.x
    start, stop, at = pieces[piece], pieces[piece + 1], pieces[piece + 2] * width
    low, high = scalars[at], scalars[at + 1]
    fours = wide != 0 and start % 4 == 0
    i = start + 4 * cuda.threadIdx.x
    while i < stop:
        load(p, i, stop, fours, w)
        for k in range(4):
            w[k] = low if w[k] < low else w[k]
            w[k] = high if w[k] > high else w[k]
        store(p, i, stop, fours, w)
        i += 4 * cuda.blockDim.x
