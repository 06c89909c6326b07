"""Pooling into bins; formulas: npdl/kernels/reference/adaptive_pool.py, code: kernels/adaptive.h."""

from npdl.kernels.cpu.build import lib


def adaptive_max_pool(x, *, out, winners=None):
    """out[n, o, c] = max over bin o; winners: the place of the first maximum."""
    lib.adaptive_pool("adaptive_max_pool", 0, "x", x, "out", out, winners)


def adaptive_max_pool_grad(dy, winners, *, out):
    """dx[place] = Σ dy of the bins that this place won"""
    if winners is None:
        raise TypeError("adaptive_max_pool_grad: winners must be the array that adaptive_max_pool wrote, got None")
    lib.adaptive_pool("adaptive_max_pool_grad", 1, "out", out, "dy", dy, winners)


def adaptive_average_pool(x, *, out):
    """out[n, o, c] = mean over bin o"""
    lib.adaptive_pool("adaptive_average_pool", 2, "x", x, "out", out, None)


def adaptive_average_pool_grad(dy, *, out):
    """dx[place] = Σ dy / size over the bins that hold this place"""
    lib.adaptive_pool("adaptive_average_pool_grad", 3, "out", out, "dy", dy, None)
