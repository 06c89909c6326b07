"""Philox4x32-10 for kernels to call: four random words from a counter and a key, the same as on the CPU.

A round's two products have 64 bits, of which it takes the halves: one instruction each on a GPU (mul.wide.u32). Numba
makes 64 bits of what it adds and combines; `uint32` cuts it back, which costs nothing.
"""

import math

from numba import float32, uint32, uint64

from npdl.kernels.cuda.kernel import device
from npdl.kernels.reference.philox import LOW, MULTIPLIER_0, MULTIPLIER_1, ROUNDS, SHIFT, WEYL_0, WEYL_1


@device
def philox(step, sample, group, k0, k1):
    """Words 4 · group ... 4 · group + 3 of a sample: those of the counter (step, sample, group, 0)."""
    return rounds_from(0, step, sample, group, k0, k1)


@device
def rounds_from(turn, step, sample, group, k0, k1):
    """`philox`, where `turn` is 0. A kernel that does not say so by a number keeps the compiler from making the keys of
    all rounds ahead, and from holding them in twenty registers while it does something else."""
    c0, c1, c2, c3 = uint32(step), uint32(sample), uint32(group), uint32(0)
    while turn < ROUNDS:
        a = MULTIPLIER_0 * uint64(c0)
        b = MULTIPLIER_1 * uint64(c2)
        c0, c1 = uint32((b >> SHIFT) ^ uint64(c1) ^ uint64(k0)), uint32(b & LOW)
        c2, c3 = uint32((a >> SHIFT) ^ uint64(c3) ^ uint64(k1)), uint32(a & LOW)
        k0, k1 = uint32(k0 + WEYL_0), uint32(k1 + WEYL_1)
        turn += 1
    return c0, c1, c2, c3


@device
def word_of(step, sample, element, k0, k1):
    """One word alone: that of an element."""
    return word_from(0, step, sample, element, k0, k1)


@device
def word_from(turn, step, sample, element, k0, k1):
    """`word_of` by `rounds_from`."""
    w0, w1, w2, w3 = rounds_from(turn, step, sample, element // 4, k0, k1)
    rest = element % 4
    return w0 if rest == 0 else (w1 if rest == 1 else (w2 if rest == 2 else w3))


@device
def normal(word):
    """A normally distributed number: the upper bit is its sign, the others k make p = (k + ½) 2⁻³², |z| = −Φ⁻¹(p).

    Wichura's algorithm AS 241, PPND7, of whose three cases the third does not occur: p is 2⁻³³ at least.
    """
    p = (float32(word & uint32(0x7FFFFFFF)) + float32(0.5)) * float32(2.0**-32)
    q = float32(0.5) - p
    if q <= float32(0.425):
        r = float32(0.180625) - q * q
        above = ((float32(59.109374720) * r + float32(159.29113202)) * r + float32(50.434271938)) * r
        below = ((float32(67.187563600) * r + float32(78.757757664)) * r + float32(17.895169469)) * r
        z = q * (above + float32(3.3871327179)) / (below + float32(1))
    else:
        r = math.sqrt(-math.log(p)) - float32(1.6)
        above = ((float32(0.17023821103) * r + float32(1.3067284816)) * r + float32(2.7568153900)) * r
        below = (float32(0.12021132975) * r + float32(0.73700164250)) * r
        z = (above + float32(1.4234372777)) / (below + float32(1))
    return -z if word >> uint32(31) else z
