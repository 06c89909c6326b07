"""Numbers moved, repeated, extended and pooled into bins on the stand-in against the reference."""

import numpy as np
import pytest

from npdl.kernels.cuda import adaptive_pool, extend, shape

RNG = np.random.default_rng(0)


def floats(*sizes):
    return RNG.standard_normal(sizes).astype("float32")


@pytest.mark.parametrize(
    "sizes, axes",
    (
        ((5, 4), (1, 0)),
        ((70, 33), (1, 0)),
        ((3, 9, 65), (0, 2, 1)),
        ((2, 3, 40, 8), (2, 3, 0, 1)),
        ((2, 5, 1, 7), (0, 3, 2, 1)),
        ((2, 3, 4, 5, 2, 2), (0, 1, 4, 2, 5, 3)),
        ((9, 10, 11), (2, 1, 0)),
        ((4, 6), (0, 1)),
        ((1, 1), (1, 0)),
        ((0, 6), (1, 0)),
    ),
)
def test_permute(compare, sizes, axes):
    compare("shape", "permute", floats(*sizes), axes, out={"out": tuple(sizes[a] for a in axes)})


@pytest.mark.parametrize("many, turned", ((64, True), (7, False)))
def test_large_matrices_go_in_tiles(device, launches, many, turned):
    x, out = device.from_host(floats(2, many, 9)), device.alloc((2, 9, many), "float32")
    assert ("transpose_kernel" in launches(lambda: shape.permute(x, (0, 2, 1), out=out))) == turned


@pytest.mark.parametrize(
    "sizes, margins",
    (
        ((2, 7, 3), ((2, 1),)),
        ((3, 5, 6, 4), ((0, 2), (3, 0))),
        ((1, 4, 5, 6, 2), ((1, 1), (0, 0), (2, 2))),
        ((2, 3, 4), ((0, 0),)),
        ((0, 3, 4), ((1, 0),)),
        ((2, 3, 4), ((1, 1), (2, 0))),
    ),
)
def test_margins(compare, sizes, margins):
    sides = (0, *map(sum, margins), *(0,) * (len(sizes) - len(margins) - 1))
    large = tuple(n + more for n, more in zip(sizes, sides))
    compare("shape", "pad", floats(*sizes), margins, out={"out": large})
    compare("shape", "crop", floats(*large), margins, out={"out": sizes})


@pytest.mark.parametrize(
    "sizes, times",
    (((3, 1, 5), (7,)), ((2, 3, 4, 5), (2, 3)), ((2, 3, 2, 4, 3), (1, 3, 2)), ((300, 1), (4,)), ((0, 2, 3), (2,))),
)
def test_repeat(compare, sizes, times):
    large = (sizes[0], *(n * t for n, t in zip(sizes[1:], times)), *sizes[len(times) + 1 :])
    compare("shape", "repeat", floats(*sizes), times, out={"out": large})
    compare("shape", "repeat_grad", floats(*large), times, out={"out": sizes})


@pytest.mark.parametrize(
    "mode, margins",
    (
        ("reflect", (3, 2)), ("reflect", (4, 4)), ("reflect", (0, 1)), ("replicate", (7, 2)), ("replicate", (0, 9)),
        ("circular", (5, 5)), ("circular", (1, 3)),
    ),
)  # fmt: skip
@pytest.mark.parametrize("axis", (0, 1, 2))
def test_extend(compare, mode, margins, axis):
    sizes = [3, 2, 4]
    sizes[axis] = 5
    large = [n + sum(margins) * (a == axis) for a, n in enumerate(sizes)]
    compare("extend", "extend", floats(*sizes), axis, margins, mode, out={"out": tuple(large)})
    compare("extend", "extend_grad", floats(*large), axis, margins, mode, out={"out": tuple(sizes)})


@pytest.mark.parametrize("places, bins", ((10, 3), (7, 7), (3, 7), (12, 4), (50, 1), (1, 1)))
def test_bins(compare, places, bins):
    x = RNG.integers(-2, 3, (3, places, 37)).astype("float32")
    x[0, places // 2, :3] = np.nan
    winners = np.zeros((3, bins, 37), "int32")
    compare("adaptive_pool", "adaptive_max_pool", x, out={"out": winners.shape, "winners": winners})
    compare("adaptive_pool", "adaptive_max_pool", x, out={"out": winners.shape})
    winners = RNG.integers(0, places, winners.shape).astype("int32")
    for o in range(bins):  # a winner lies in its bin
        winners[:, o] = np.clip(winners[:, o], o * places // bins, -(-(o + 1) * places // bins) - 1)
    compare("adaptive_pool", "adaptive_max_pool_grad", floats(*winners.shape), winners, out={"out": x.shape})
    compare("adaptive_pool", "adaptive_average_pool", floats(*x.shape), out={"out": winners.shape})
    compare("adaptive_pool", "adaptive_average_pool_grad", floats(*winners.shape), out={"out": x.shape})


@pytest.mark.parametrize(
    "message, call",
    (
        (r"permute: axes must be those of x", lambda o: shape.permute(o(2, 3), (0, 0), out=o(2, 3))),
        (r"permute: out must have shape \(3, 2\)", lambda o: shape.permute(o(2, 3), (1, 0), out=o(2, 3))),
        (r"crop: margins must be pairs of numbers from 0", lambda o: shape.crop(o(2, 3), ((-1, 0),), out=o(2, 4))),
        (r"crop: \(2, 3\) and x of shape \(2, 3\) must differ", lambda o: shape.crop(o(2, 3), ((1, 0),), out=o(2, 3))),
        (r"pad: \(2, 3\) and out of shape \(3, 4\) must", lambda o: shape.pad(o(2, 3), ((1, 0),), out=o(3, 4))),
        (r"repeat: times must be numbers from 1", lambda o: shape.repeat(o(2, 3), (0,), out=o(2, 3))),
        (r"repeat: \(2, 5\) is not \(2, 3\) with its", lambda o: shape.repeat(o(2, 3), (2,), out=o(2, 5))),
        (r"repeat_grad: at most three axes",
         lambda o: shape.repeat_grad(o(1, 1, 1, 1, 1), (1,) * 4, out=o(1, 1, 1, 1, 1))),
        (r"extend: axis must be one of 2 axes", lambda o: extend.extend(o(2, 3), 2, (1, 1), "reflect", out=o(2, 5))),
        (r"extend: mode must be one of", lambda o: extend.extend(o(2, 3), 1, (1, 1), "mirror", out=o(2, 5))),
        (r"extend: reflect margins of 3 places", lambda o: extend.extend(o(2, 3), 1, (3, 0), "reflect", out=o(2, 6))),
        (r"extend: out must have", lambda o: extend.extend(o(2, 3), 1, (1, 0), "reflect", out=o(2, 5))),
        (r"extend_grad: dy must have", lambda o: extend.extend_grad(o(2, 9), 1, (1, 0), "circular", out=o(2, 5))),
        (r"adaptive_max_pool: x and out must be \(N, places, C\)",
         lambda o: adaptive_pool.adaptive_max_pool(o(2, 3), out=o(2, 3))),
        (r"adaptive_average_pool: out must have",
         lambda o: adaptive_pool.adaptive_average_pool(o(2, 5, 3), out=o(2, 2, 4))),
        (r"adaptive_max_pool_grad: winners must have",
         lambda o: adaptive_pool.adaptive_max_pool_grad(o(2, 2, 3), o(2), out=o(2, 5, 3))),
        (r"adaptive_average_pool: 0 places cannot be pooled into 2 bins",
         lambda o: adaptive_pool.adaptive_average_pool(o(2, 0, 3), out=o(2, 2, 3))),
    ),
)  # fmt: skip
def test_wrong_arguments(device, message, call):
    with pytest.raises(ValueError, match=message):
        call(lambda *sizes: device.from_host(np.ones(sizes, "float32")))
