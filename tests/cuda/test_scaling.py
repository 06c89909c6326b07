"""A loss scale on the device: the host's rule to the last bit, and kernels behind a guard."""

import numpy as np
import pytest

from npdl.devices import NotInGraph
from npdl.devices.cuda.scale import DeviceScale
from npdl.kernels.cuda import matmul, merge, scaling
from npdl.optimizers.loss_scale import LARGEST, SMALLEST, LossScale

SEGMENTS = np.array(
    [(0, 5, 1, 0, 1), (16, 16, 1, 0, 1), (16, 40, 1, 0, 0), (48, 9000, 1, 0, 1), (9001, 9003, 1, 0, 1)], float
)


@pytest.mark.parametrize("scale", (2.0**10, 1000.3, LARGEST / 2, SMALLEST * 2))
def test_it_counts_as_the_host(device, scale):
    rng, host, there = np.random.default_rng(0), LossScale(scale, dynamic_growth_steps=2), DeviceScale(device.driver)
    host.good, host.skipped, steps = 1, 7, 3
    there.write(host.scale, steps, host.good, host.skipped)
    for bad in (0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0):
        g = rng.standard_normal(9003).astype("float32")
        if bad:
            g[rng.choice([0, 4, 48, 4144, 8999, 9001, 9002])] = rng.choice([np.nan, np.inf, -np.inf])
        expected, array = g.copy(), device.from_host(g)
        for start, stop, *_, trained in SEGMENTS.astype(int):
            if trained:
                with np.errstate(all="ignore"):
                    expected[start:stop] = g[start:stop] * np.float32(1 / host.scale)
        there.unscale(array, SEGMENTS)
        if not bad:
            np.testing.assert_array_equal(device.to_host(array), expected)
        assert device.to_host(there.guard)[0] == bad
        x = device.from_host(g)
        there.multiply(x)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(device.to_host(x), g * np.float32(host.scale))
        there.advance(host.dynamic_growth_steps, SMALLEST, LARGEST)
        host.count(not bad)
        steps += not bad
        assert there.read() == (np.float32(host.scale), steps, host.good, host.skipped)


def test_gradients_of_frozen_weights_need_not_be_finite(device):
    there, g = DeviceScale(device.driver), np.ones(9003, "float32")
    g[20] = g[41] = g[9000] = np.inf
    there.write(4.0, 0, 0, 0)
    there.unscale(device.from_host(g), SEGMENTS)
    assert device.to_host(there.guard)[0] == 0


def test_the_table_of_the_steps_that_there_were(device):
    """Of the last three the one that the device counts, which is not the last that was sent."""
    there, places = DeviceScale(device.driver), 3
    ring, out = device.zeros((places * 32,), "uint8"), device.zeros((32,), "uint8")
    for sent, steps in ((6, 6), (7, 6), (8, 7), (9, 7), (10, 10)):
        there.write(1.0, steps, 0, 0)
        scaling.choose(device.from_host(np.array([sent, 0, 0, 0, *[100 * sent] * 8], "int32").view("uint8")), ring, out,
                       there.counts, places)  # fmt: skip
        assert (device.to_host(out).view("int32") == 100 * steps).all()


def test_kernels_behind_a_guard(device):
    guard, x = device.zeros((1,), "int32"), device.from_host(np.ones(5, "float32"))
    for closed in (0, 1):
        device.write(guard, np.array([closed], "int32"))
        with device.driver.guarded(guard):
            merge.add(x, x, out=x)
        assert device.to_host(x).tolist() == [2.0] * 5
    square = device.zeros((2, 2), "float32")
    with pytest.raises(NotInGraph, match="a product of matrices"), device.driver.guarded(guard):
        matmul.matmul(square, square, out=square)
    merge.add(x, x, out=x)
    assert device.to_host(x).tolist() == [4.0] * 5
