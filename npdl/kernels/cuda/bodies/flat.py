"""What is done to whole flat arrays beside the updates: sums of two, clipping."""

from numba import cuda

from npdl.kernels.cuda.kernel import Floats, Int, Longs, kernel, variants


@variants((False,), (True,))
def combine(reads_p):
    @kernel
    def update(pieces: Longs, scalars: Floats, count: Int, width: Int, p: Floats, g: Floats):
        piece = cuda.blockIdx.x
        while piece < count:
            stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
            a, b = scalars[at], scalars[at + 1]
            i = pieces[3 * piece] + cuda.threadIdx.x
            while i < stop:
                p[i] = a * p[i] + b * g[i] if reads_p else b * g[i]
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return update


@kernel
def clip(pieces: Longs, scalars: Floats, count: Int, width: Int, p: Floats):
    piece = cuda.blockIdx.x
    while piece < count:
        stop, at = pieces[3 * piece + 1], pieces[3 * piece + 2] * width
        low, high = scalars[at], scalars[at + 1]
        i = pieces[3 * piece] + cuda.threadIdx.x
        while i < stop:
            x = p[i]
            x = low if x < low else x
            p[i] = high if x > high else x
            i += cuda.blockDim.x
        piece += cuda.gridDim.x
