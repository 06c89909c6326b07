"""Pooling on the stand-in against the reference."""

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cuda import pool
from npdl.kernels.geometry import window
from npdl.kernels.reference import pool as reference

RNG = np.random.default_rng(0)
WINDOWS = {
    "2x2": ((8, 10, 5), (2, 2), (2, 2), "valid", (1, 1)),
    "a rest": ((9, 7, 3), (2, 2), (2, 2), "valid", (1, 1)),
    "overlapping": ((7, 9, 2), (3, 2), (1, 1), "same", (1, 1)),
    "gaps": ((9, 8, 2), (2, 2), (3, 4), "same", (1, 1)),
    "dilation": ((9, 8, 3), (3, 2), (2, 1), "same", (2, 3)),
    "nothing inside": ((2, 2, 1), (2, 2), (1, 1), "same", (5, 5)),
    "large": ((17, 18, 1), (17, 17), (1, 1), "valid", (1, 1)),
}


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


def some_equal(*shape):
    """Numbers with ties, infinity and NaN among them."""
    x = RNG.integers(-2, 3, shape).astype("float32")
    x.reshape(-1)[RNG.integers(0, x.size, max(x.size // 40, 1))] = np.nan
    x.reshape(-1)[RNG.integers(0, x.size, max(x.size // 40, 1))] = -np.inf
    return x


@pytest.mark.parametrize("activation", (None, activations.relu))
@pytest.mark.parametrize("geometry", WINDOWS.values(), ids=WINDOWS)
def test_maximum(compare, geometry, activation):
    g, x = window(*geometry), some_equal(3, *geometry[0])
    shape = (3, *g.out, g.channels)
    winners = np.zeros(shape, "uint8" if g.kernel_h * g.kernel_w <= 256 else "int32")
    compare("pool", "max_pool2d", x, g, out={"out": shape, "winners": winners}, activation=activation)
    compare("pool", "max_pool2d", x, g, out={"out": shape}, activation=activation)
    y = np.empty(shape, "float32")
    reference.max_pool2d(x, g, out=y, winners=winners, activation=activation)
    given = {"y": y, "activation": activation}
    compare("pool", "max_pool2d_grad", floats(*shape), winners, g, out={"out": x.shape}, **given)


def test_winners_may_be_wide(compare):
    g, x = window(*WINDOWS["2x2"]), floats(2, 8, 10, 5)
    compare("pool", "max_pool2d", x, g, out={"out": (2, 4, 5, 5), "winners": np.zeros((2, 4, 5, 5), "int32")})


@pytest.mark.parametrize("geometry", WINDOWS.values(), ids=WINDOWS)
def test_mean(compare, geometry):
    g = window(*geometry)
    shape = (3, *g.out, g.channels)
    compare("pool", "average_pool2d", floats(3, *geometry[0]), g, out={"out": shape})
    compare("pool", "average_pool2d_grad", floats(*shape), g, out={"out": (3, *geometry[0])})


@pytest.mark.parametrize("shape", ((2, 3, 5, 1), (1, 1, 1, 3), (3, 20, 15, 33), (5, 2, 2, 64), (0, 2, 2, 3)))
def test_whole_images(compare, shape):
    few = shape[0], shape[3]
    x = some_equal(*shape) if shape[0] else floats(*shape)
    winners = np.zeros(few, "int32")
    compare("pool", "global_max_pool2d", x, out={"out": few, "winners": winners})
    compare("pool", "global_max_pool2d", x, out={"out": few})
    winners[...] = x.reshape(shape[0], shape[1] * shape[2], shape[3]).argmax(axis=1)
    compare("pool", "global_max_pool2d_grad", floats(*few), winners, out={"out": shape})
    compare("pool", "global_average_pool2d", floats(*shape), out={"out": few})
    compare("pool", "global_average_pool2d_grad", floats(*few), out={"out": shape})


def test_means_of_those_that_count(compare):
    mask = RNG.random((4, 7)) < 0.5
    mask[1], mask[2] = False, True
    compare("pool", "mean_of_counted", floats(4, 300), mask, out={"out": (4, 300)})


G = window(*WINDOWS["2x2"])


@pytest.mark.parametrize(
    "message, call",
    (
        (r"max_pool2d: x must have shape \(2, 8, 10, 5\)", lambda o: pool.max_pool2d(o(2, 8, 10, 4), G, out=o(1))),
        (r"max_pool2d: out must have", lambda o: pool.max_pool2d(o(2, 8, 10, 5), G, out=o(2, 4, 5, 4))),
        (r"max_pool2d_grad: winners must have", lambda o: pool.max_pool2d_grad(Y(o), o(3), G, out=o(2, 8, 10, 5))),
        (r"max_pool2d_grad: behind ReLU it needs the pooled output",
         lambda o: pool.max_pool2d_grad(Y(o), Y(o), G, out=o(2, 8, 10, 5), activation=activations.relu)),
        (r"max_pool2d: activation must be None, linear or the plain ReLU",
         lambda o: pool.max_pool2d(o(2, 8, 10, 5), G, out=Y(o), activation=activations.tanh)),
        (r"average_pool2d: out must have", lambda o: pool.average_pool2d(o(2, 8, 10, 5), G, out=o(2))),
        (r"average_pool2d_grad: dy must have", lambda o: pool.average_pool2d_grad(o(2), G, out=o(2, 8, 10, 5))),
        (r"global_max_pool2d: x must be images", lambda o: pool.global_max_pool2d(o(2, 3), out=o(2, 3))),
        (r"global_max_pool2d: images of shape \(2, 0, 3, 4\) have no places",
         lambda o: pool.global_max_pool2d(o(2, 0, 3, 4), out=o(2, 4))),
        (r"global_average_pool2d: out must have", lambda o: pool.global_average_pool2d(o(2, 3, 3, 4), out=o(2, 5))),
        (r"global_average_pool2d: images of shape", lambda o: pool.global_average_pool2d(o(2, 0, 3, 4), out=o(2, 4))),
        (r"mean_of_counted: expected y \(N, C\) and mask", lambda o: pool.mean_of_counted(o(2, 3), o(3, 4), out=o(1))),
    ),
)  # fmt: skip
def test_wrong_arguments(device, message, call):
    with pytest.raises(ValueError, match=message):
        call(lambda *shape: device.from_host(np.ones(shape, "float32")))


def test_winners_of_a_wrong_type(device):
    x = device.zeros((2, 8, 10, 5), "float32")
    y = device.zeros((2, 4, 5, 5), "float32")
    with pytest.raises(TypeError, match="winners of a window of this size must be uint8, got float32"):
        pool.max_pool2d(x, G, out=y, winners=y)


def Y(o):
    return o(2, 4, 5, 5)
