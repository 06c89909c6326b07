"""What the cells of recurrent layers share: their activations, and the gradient of a state."""

from numba import cuda, float32

from npdl.kernels.checks import LINEAR
from npdl.kernels.cuda.elementary import FORWARD, SLOPES
from npdl.kernels.cuda.kernel import Floats, Int, device, kernel

COMMON = ((8, False), (1, False), (LINEAR, False), (13, True))
"""tanh, ReLU, none and SiLU; whether z is kept for the derivative, or y."""
PAIRS = ((8, False, 7, False), (1, False, 19, False), (13, True, 17, True))
"""Of the activation and of the recurrent one: the usual ones, and the longest formulas."""


@device
def one(saved, p, q, r):
    return float32(1)


def formulas(code):
    """(a, a') as device functions"""
    return FORWARD[code], one if code == LINEAR else SLOPES[code]


@device
def arriving(i, dh, past, extra, keep, has_past, has_extra, has_keep):
    """dh + (past + extra) · keep: the gradient of a state, of what the step after left of it."""
    d = dh[i]
    if has_past:
        through = past[i]
        if has_extra:
            through += extra[i]
        d += through * keep[i] if has_keep else through
    return d


@kernel
def arrive(dh: Floats, past: Floats, extra: Floats, keep: Floats, n: Int, has_extra: Int, has_keep: Int):
    """The gradient of the first state: what is left to do after the last step backward."""
    i = cuda.grid(1)
    while i < n:
        dh[i] = arriving(i, dh, past, extra, keep, True, has_extra, has_keep)
        i += cuda.gridsize(1)
