"""A loss scale as numba.cuda kernels: whether a step is skipped, and what the next scale is, is settled on the device.

The rule is that of npdl/optimizers/loss_scale.py. `numbers` are two float32, the scale and 1 / scale; `counts` are
int32: whether a gradient of this step is not finite, the steps of the optimizer, the good ones since the scale changed,
and the skipped ones. The optimizer's kernels stand behind the first as their guard (`driver.guarded`).

What these read of the host is a table a step, which depends on how many steps there were, and that only the device
knows. So the host sends the table for as many as there are if none was skipped; the device keeps the last ones in a
ring, each where its number says, and takes the one of its own count.
"""

from numba import cuda, float32

from npdl.kernels.cuda.kernel import THREADS, Float, Floats, Int, Ints, Long, Longs, kernel, launch, launch_each
from npdl.kernels.cuda.memory import viewed
from npdl.kernels.cuda.update import pieces_of
from npdl.kernels.cuda.wide import aligned, load, store

BAD, STEPS, GOOD, SKIPPED = range(4)
"""Places of `counts`."""


@kernel
def multiply_kernel(x: Floats, numbers: Floats, n: Long):
    """x = scale · x"""
    i = cuda.grid(1)
    while i < n:
        x[i] *= numbers[0]
        i += cuda.gridsize(1)


@kernel
def unscale_kernel(pieces: Longs, g: Floats, numbers: Floats, counts: Ints, wide: Int):
    """g = g / scale, and says where it is not finite: x − x is 0 of what is. A block for each piece."""
    v = cuda.local.array(4, float32)
    start, stop = pieces[3 * cuda.blockIdx.x], pieces[3 * cuda.blockIdx.x + 1]
    fours = wide != 0 and start % 4 == 0
    inverse = numbers[1]
    bad = False
    i = start + 4 * cuda.threadIdx.x
    while i < stop:
        load(g, i, stop, fours, v)
        for k in range(4):
            bad = bad or v[k] - v[k] != float32(0)
            v[k] = v[k] * inverse
        store(g, i, stop, fours, v)
        i += 4 * cuda.blockDim.x
    if bad:
        counts[BAD] = 1


@kernel
def choose_kernel(sent: Ints, ring: Ints, out: Ints, counts: Ints, words: Int, places: Int):
    """ring[sent[0]] = sent[4 ...], out = ring[steps], rows of `words` numbers; places go round."""
    i = cuda.grid(1)
    while i < words:
        ring[sent[0] % places * words + i] = sent[4 + i]
        out[i] = ring[counts[STEPS] % places * words + i]
        i += cuda.gridsize(1)


@kernel
def advance_kernel(numbers: Floats, counts: Ints, growth: Int, smallest: Float, largest: Float):
    """What a step changes, one thread; the scale stays between `smallest` and `largest`, and 1 / scale as it does."""
    if counts[BAD] != 0:
        halved = numbers[0] / float32(2)
        counts[GOOD] = 0
        counts[SKIPPED] += 1
        if halved < smallest:
            halved = smallest
            numbers[1] = float32(1) / smallest
        else:
            numbers[1] *= float32(2)
        numbers[0] = halved
    else:
        counts[STEPS] += 1
        counts[GOOD] += 1
        if counts[GOOD] == growth:
            counts[GOOD] = 0
            if numbers[0] > largest / float32(2):
                numbers[0] = largest
                numbers[1] = float32(1) / largest
            else:
                numbers[0] *= float32(2)
                numbers[1] /= float32(2)
    counts[BAD] = 0


# ---- on the host


def multiply(x, numbers):
    """x = scale · x"""
    launch_each(multiply_kernel, x.size, x, numbers, x.size)


def unscale(g, segments, numbers, counts):
    """g = g / scale in the segments, and counts[BAD] = 1 where g is not finite; it is then of no use."""
    pieces = pieces_of(g.memory.driver, "unscale", segments, g.shape[0])
    if len(pieces):
        launch(unscale_kernel, len(pieces), THREADS, pieces, g, numbers, counts, aligned(g))


def choose(sent, ring, out, counts, places):
    """The table `out` of this step, from the one that was sent and those in the ring of so many places."""
    words = out.size // 4
    sent, ring, out = (viewed(array, "int32") for array in (sent, ring, out))
    launch_each(choose_kernel, words, sent, ring, out, counts, words, places)


def advance(numbers, counts, growth, smallest, largest):
    """Count a step, and change the scale as that asks; `growth`: good steps until it is doubled."""
    launch(advance_kernel, 1, 1, numbers, counts, growth, smallest, largest)
