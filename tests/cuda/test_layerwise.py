"""Sums over tensors, LAMB and Adafactor on the stand-in, against the reference; several pieces a tensor."""

import numpy as np
import pytest

from npdl.kernels.cuda import layerwise as kernels
from npdl.kernels.reference import layerwise as reference

# start, stop, scale, decay, trainable: matrices, a stack of them, vectors, frozen, empty; gaps between them
SEGMENTS = np.array(
    [
        [0, 12000, 1, 0, 1],
        [12000, 12005, 0.5, 0.1, 1],
        [12008, 12032, 1, 0.3, 1],
        [12036, 12045, 1, 0.1, 0],
        [12048, 12048, 1, 0, 1],
        [12048, 12059, 2, 0, 1],
    ]
)
SHAPES = np.array(
    [[1, 300, 40, 0], [1, 0, 5, 340], [3, 4, 2, 345], [1, 3, 3, 363], [1, 0, 0, 369], [1, 0, 11, 369]], np.int64
)
LENGTH, FACTORS = 12064, 380


def floats(n):
    return np.random.default_rng(n).standard_normal(n).astype("float32")


@pytest.fixture
def both_orders(device):
    """run(call): the results of call(arrays on the device) for threads in both orders, which must be equal."""

    def run(call, *arrays):
        found = []
        for order in (1, -1):
            device.driver.order = order
            given = [device.from_host(array) for array in arrays]
            more = call(*given)
            found.append([device.to_host(array) for array in given] + ([] if more is None else [more]))
        for up, down in zip(*found, strict=True):
            np.testing.assert_array_equal(up, down)
        return found[0]

    return run


@pytest.mark.parametrize("name, several", (("dot", 2), ("sum_abs", 1), ("max_abs", 1)))
def test_sums(both_orders, name, several):
    arrays = [floats(LENGTH), floats(LENGTH)[::-1].copy()][:several]
    if name == "max_abs":
        arrays[0][3] = np.nan

    def call(*arrays, of=kernels):
        out = np.full(len(SEGMENTS), np.nan)
        getattr(of, name)(*arrays, SEGMENTS, out=out)
        return out

    np.testing.assert_allclose(both_orders(call, *arrays)[-1], call(*arrays, of=reference), rtol=1e-12)


@pytest.mark.parametrize("limit, together", ((3.0, 0), (30.0, 1), (1e9, 1)))
def test_clip_norm(both_orders, limit, together):
    def call(g, of=kernels):
        of.clip_norm(g, SEGMENTS, np.array([limit, together]))

    start = floats(LENGTH)
    call(wanted := start.astype("float64"), of=reference)
    (found,) = both_orders(call, start)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert (found != start).any() == (limit < 1e9)


@pytest.mark.parametrize("decoupled", (0, 1))
def test_lamb(both_orders, decoupled):
    def call(p, g, m, v, of=kernels):
        for t in (1, 2, 3):
            hyper = np.array([0.05, 0.9, 0.99, 1 - 0.9**t, 1 - 0.99**t, 1e-7, decoupled])
            of.lamb(p, g, m, v, SEGMENTS, hyper)

    start = floats(LENGTH), floats(LENGTH)[::-1].copy(), np.zeros(LENGTH, "f4"), np.zeros(LENGTH, "f4")
    start[0][12048:12059] = 0  # a tensor of length 0 takes its whole step
    wanted = [array.astype("float64") for array in start]
    call(*wanted, of=reference)
    for found, want in zip(both_orders(call, *start), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


def test_adafactor(both_orders):
    def call(p, g, factors, of=kernels):
        for t in (1, 2, 3):
            hyper = np.array([0.05, 0.04, t**-0.8, 1e-30, 1e-3, 1.0])
            of.adafactor(p, g, factors, SHAPES, SEGMENTS, hyper)

    start = floats(LENGTH), floats(LENGTH)[::-1].copy(), np.zeros(FACTORS, "f4")
    wanted = [array.astype("float64") for array in start]
    call(*wanted, of=reference)
    for found, want in zip(both_orders(call, *start), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


def test_nothing_to_do(device, launches):
    frozen, x, out = np.array([[0, 4, 1, 0, 0.0]]), device.from_host(np.ones(4, "float32")), np.ones(1)
    factored = np.array([[1, 0, 4, 0]]), frozen, np.array([0.1, 0.1, 1, 1e-30, 1e-3, 1.0])
    assert not launches(lambda: kernels.dot(x, x, frozen, out=out)) and out[0] == 0
    assert not launches(lambda: kernels.lamb(x, x, x, x, frozen, np.array([0.1, 0.9, 0.9, 1, 1, 1e-7, 0])))
    assert not launches(lambda: kernels.adafactor(x, x, x, *factored))


def test_wrong_calls(device):
    x, short = (device.from_host(np.ones(n, "float32")) for n in (4, 3))
    segments = np.array([[0, 4, 1, 0, 1.0]])
    with pytest.raises(ValueError, match=r"dot: y must be flat and as long as p, \(4,\), got shape \(3,\)"):
        kernels.dot(x, short, segments, out=np.zeros(1))
    with pytest.raises(ValueError, match="sum_abs: out must be a writeable C-contiguous array of float64"):
        kernels.sum_abs(x, segments, out=np.zeros(2))
    with pytest.raises(ValueError, match=r"adafactor: 1 matrices 2 by 3 do not fill p\[0:4\]"):
        hyper = np.array([0.1, 0.1, 1, 1e-30, 1e-3, 1.0])
        kernels.adafactor(x, x, x, np.array([[1, 2, 3, 0]]), segments, hyper)
