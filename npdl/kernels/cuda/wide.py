"""Four neighbours at a time: a thread that moves 16 bytes by one instruction comes nearer to the memory's speed.

    v = cuda.local.array(4, float32)            four registers: indices are known when it is compiled
    i = 4 * cuda.grid(1)
    while i < n:
        load(x, i, n, wide, v)
        for k in range(4):
            v[k] = ...
        store(out, i, n, wide, v)
        i += 4 * cuda.gridsize(1)

The instruction wants an address that is a multiple of 16. So `wide` says whether all arrays begin at one, which
`aligned` finds out on the host, and i is a multiple of 4; where `wide` is 0, and at the end, numbers are moved one by
one. The lanes behind the end hold 0 and are computed in vain.
"""

from numba import float32

from npdl.kernels.cuda.kernel import builtin, device, launch_each

BYTES = 16


@builtin
def load4(x, i, to):
    """to = x[i : i + 4]"""
    to[0] = x[i]
    to[1] = x[i + 1]
    to[2] = x[i + 2]
    to[3] = x[i + 3]


@builtin
def store4(x, i, numbers):
    """x[i : i + 4] = numbers"""
    x[i] = numbers[0]
    x[i + 1] = numbers[1]
    x[i + 2] = numbers[2]
    x[i + 3] = numbers[3]


@device
def load(x, i, stop, wide, to):
    """to = x[i : i + 4], with zeros from `stop` on"""
    if wide and i + 4 <= stop:
        load4(x, i, to)
    else:
        for k in range(4):
            to[k] = x[i + k] if i + k < stop else float32(0)


@device
def store(x, i, stop, wide, numbers):
    """x[i : i + 4] = numbers, nothing from `stop` on"""
    if wide and i + 4 <= stop:
        store4(x, i, numbers)
    else:
        for k in range(4):
            if i + k < stop:
                x[i + k] = numbers[k]


# ---- on the host


def aligned(*arrays):
    """1 where every array begins at a multiple of 16 bytes, else 0; None is an array that is not read."""
    return int(all(array is None or array.address % BYTES == 0 for array in arrays))


def launch_fours(kernel, count, *arguments):
    """`launch_each` for a kernel whose threads take four of `count` elements at a time."""
    launch_each(kernel, -(-count // 4), *arguments)
