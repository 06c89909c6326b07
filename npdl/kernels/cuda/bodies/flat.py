"""What is done to whole flat arrays beside the updates: sums of two, clipping."""

import functools

from numba import cuda


@functools.cache
def combine(reads_p):
    @cuda.jit
    def kernel(pieces, scalars, p, g):
        piece = cuda.blockIdx.x
        while piece < pieces.shape[0]:
            stop, row = pieces[piece, 1], pieces[piece, 2]
            a, b = scalars[row, 0], scalars[row, 1]
            i = pieces[piece, 0] + cuda.threadIdx.x
            while i < stop:
                p[i] = a * p[i] + b * g[i] if reads_p else b * g[i]
                i += cuda.blockDim.x
            piece += cuda.gridDim.x

    return kernel


@cuda.jit
def clip(pieces, scalars, p):
    piece = cuda.blockIdx.x
    while piece < pieces.shape[0]:
        stop, row = pieces[piece, 1], pieces[piece, 2]
        low, high = scalars[row, 0], scalars[row, 1]
        i = pieces[piece, 0] + cuda.threadIdx.x
        while i < stop:
            x = p[i]
            x = low if x < low else x
            p[i] = high if x > high else x
            i += cuda.blockDim.x
        piece += cuda.gridDim.x
