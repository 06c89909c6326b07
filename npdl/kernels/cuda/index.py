"""Where things lie: the whole numbers that kernels count places with, for them to call."""

from numba import int64, uint32

from npdl.kernels.cuda.kernel import device

BEYOND = 1 << 32


@device
def over(a, b):
    """a // b of whole numbers from 0 to below 2³²: one division of 32 bits, where Numba makes one of 64."""
    return int64(uint32(a) // uint32(b))


@device
def remainder(a, b):
    """a % b of a whole number from 0 on and one from 1 to below 2³¹: by 32 bits where a has no more."""
    return int64(uint32(a) % uint32(b)) if a < BEYOND else int64(a % b)


@device
def which(reached, stride, count):
    """Which of `count` windows, `stride` places apart, starts at the place `reached`; −1 where none does."""
    if reached < 0:
        return -1
    i = int64(reached) if stride == 1 else over(reached, stride)
    return i if i * stride == reached and i < count else -1


@device
def shown(start, taps, dilation, size):
    """How many taps of a window that starts at the place `start` fall on the `size` places of an axis."""
    count = 0
    for tap in range(taps):
        at = start + tap * dilation
        if at >= 0 and at < size:
            count += 1
    return count
