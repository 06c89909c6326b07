"""Max-pooling together with the layer before it, on the stand-in against the reference."""

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.geometry import window2d
from npdl.kernels.reference import pooled as reference

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


@pytest.mark.parametrize("activation", (None, activations.relu))
def test_convolution(compare, activation):
    g = window2d((7, 6, 3), (3, 3), (1, 1), "same", filters=5)
    x, w, bias, y = floats(2, 7, 6, 3), floats(3, 3, 3, 5), floats(5), floats(2, 3, 3, 5)
    winners = np.zeros(y.shape, "uint8")
    given = {"activation": activation}
    compare("pooled", "conv2d_pooled", x, w, g, out={"out": y.shape, "winners": winners}, bias=bias, **given)
    reference.conv2d_pooled(x, w, g, out=y, bias=bias, winners=winners, **given)
    dy = floats(*y.shape)
    compare("pooled", "unpool", dy, winners, (7, 6), out={"out": (2, 7, 6, 5), "sums": (5,)})
    compare("pooled", "unpool", dy, winners, (7, 6), out={"sums": (5,)})
    compare("pooled", "conv2d_pooled_dkernel", x, dy, winners, g, out={"out": w.shape}, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("frozen", (False, True))
def test_batch_normalization(compare, frozen):
    x, mean, gamma, beta, y = floats(2, 5, 6, 3), floats(3), floats(3), floats(3), floats(2, 2, 3, 3)
    variance, winners, given = floats(3) ** 2, np.zeros(y.shape, "uint8"), {"activation": activations.relu}
    numbers = (x, mean, variance, gamma)
    outs = {"out": y.shape, "winners": winners}
    compare("pooled", "batch_norm_pooled", *numbers, beta, 1e-3, out=outs, rtol=1e-5, **given)
    reference.batch_norm_pooled(*numbers, beta, 1e-3, out=y, winners=winners, **given)
    outs = {"dx": x.shape, "dgamma": (3,), "dbeta": (3,)}
    given = {"frozen": frozen}
    dy = floats(*y.shape)
    compare("pooled", "batch_norm_pooled_grad", dy, winners, *numbers, 1e-3, out=outs, rtol=1e-4, atol=1e-4, **given)
