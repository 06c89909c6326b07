"""What the threads of a block make of one number each, in an order set by the block's size alone."""

import math

from numba import cuda, float32

from npdl.kernels.cuda.kernel import device


@device
def fold_sum(s):
    """s[0] = Σ s[i] over the block's threads, whose number is a power of two: i and i + half, again and again."""
    half = cuda.blockDim.x // 2
    cuda.syncthreads()
    while half > 0:
        if cuda.threadIdx.x < half:
            s[cuda.threadIdx.x] += s[cuda.threadIdx.x + half]
        half //= 2
        cuda.syncthreads()


@device
def fold_max(s):
    """s[0] = max s[i] over the block's threads, whose number is a power of two; NaN if one is."""
    half = cuda.blockDim.x // 2
    cuda.syncthreads()
    while half > 0:
        if cuda.threadIdx.x < half:
            other = s[cuda.threadIdx.x + half]
            if other > s[cuda.threadIdx.x] or other != other:
                s[cuda.threadIdx.x] = other
        half //= 2
        cuda.syncthreads()


@device
def fold_lanes(s, wide):
    """s[j] = Σ s[j + i · wide] over the block's threads, halves again and again."""
    half = cuda.blockDim.x // 2
    cuda.syncthreads()
    while half >= wide:
        if cuda.threadIdx.x < half:
            s[cuda.threadIdx.x] += s[cuda.threadIdx.x + half]
        half //= 2
        cuda.syncthreads()


@device
def fold_pair(s, z):
    """`fold_sum` of two arrays with the barriers of one."""
    half = cuda.blockDim.x // 2
    cuda.syncthreads()
    while half > 0:
        if cuda.threadIdx.x < half:
            s[cuda.threadIdx.x] += s[cuda.threadIdx.x + half]
            z[cuda.threadIdx.x] += z[cuda.threadIdx.x + half]
        half //= 2
        cuda.syncthreads()


@device
def fold_lane_pair(s, z, wide):
    """`fold_lanes` of two arrays."""
    half = cuda.blockDim.x // 2
    cuda.syncthreads()
    while half >= wide:
        if cuda.threadIdx.x < half:
            s[cuda.threadIdx.x] += s[cuda.threadIdx.x + half]
            z[cuda.threadIdx.x] += z[cuda.threadIdx.x + half]
        half //= 2
        cuda.syncthreads()


@device
def own_max(x, start, n, step, t, threads):
    """The largest x[start + i step] with i < n of thread t, whose i are t, t + threads, and so on; NaN if one is."""
    top = float32(-math.inf)
    i = t
    while i < n:
        v = x[start + i * step]
        if v > top or v != v:
            top = v
        i += threads
    return top


def threads_for(count, most=256):
    """A power of two from 32 to `most`: threads of a block that share `count` elements."""
    return min(most, max(32, 1 << (count - 1).bit_length()))
