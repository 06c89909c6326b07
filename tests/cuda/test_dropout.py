"""Random masks and noise on the stand-in: the CPU's masks, the reference's numbers."""

import numpy as np
import pytest

from npdl import devices
from npdl.kernels.cuda import dropout as kernels

RNG = np.random.default_rng(0)
KEY, STEP = (0xDEADBEEF, 0x90ABCDEF), 4_000_000_000
SHAPES = ((3, 1), (2, 4), (5, 7), (3, 2, 257), (1, 1030), (4, 0), (0, 3), (5,))


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rate", (0.0, 0.3, 1.0))
def test_dropout(compare, device, shape, rate):
    x = floats(*shape)
    compare("dropout", "dropout", x, rate, KEY, STEP, out={"out": shape})
    here, there = np.empty_like(x), device.alloc(shape, "float32")
    devices.get("cpu").kernels.dropout(np.ones_like(x), rate, KEY, STEP, out=here)
    kernels.dropout(device.from_host(np.ones_like(x)), rate, KEY, STEP, out=there)
    np.testing.assert_array_equal(device.to_host(there), here)


@pytest.mark.parametrize("noise_shape", ((1, 1, 5), (4, 1, 5), (1, 3, 1), (1, 1, 1), (4, 3, 1), (4, 3, 5)), ids=str)
def test_shared_masks(compare, noise_shape):
    x = floats(3, 4, 3, 5)
    for name in ("dropout", "alpha_dropout", "alpha_dropout_grad"):
        compare("dropout", name, x, 0.4, KEY, STEP, out={"out": x.shape}, noise_shape=noise_shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_others(compare, shape):
    x = floats(*shape)
    for name in ("alpha_dropout", "alpha_dropout_grad", "gaussian_dropout", "gaussian_noise"):
        compare("dropout", name, x, 0.25, KEY, STEP, out={"out": shape})


def test_normal_numbers(compare):
    """Of all sizes: 20,000 have some beyond four deviations."""
    zeros = np.zeros((4, 5000), "float32")
    compare("dropout", "gaussian_noise", zeros, 1.0, KEY, STEP, out={"out": zeros.shape})


def test_in_place(device):
    x = floats(6, 10)
    apart, here = device.alloc(x.shape, "float32"), device.from_host(x)
    kernels.alpha_dropout(here, 0.5, KEY, STEP, out=apart)
    kernels.alpha_dropout(here, 0.5, KEY, STEP, out=here)
    np.testing.assert_array_equal(device.to_host(here), device.to_host(apart))


def test_wrong_calls(device):
    def x(*shape):
        return device.zeros(shape, "float32")

    for message, call in (
        (r"dropout: rate must be from 0 to 1, got 2", lambda: kernels.dropout(x(2), 2, KEY, 0, out=x(2))),
        (r"alpha_dropout: rate must be at least 0 and below", lambda: kernels.alpha_dropout(x(2), 1, KEY, 0, out=x(2))),
        (r"dropout: out must have shape \(2,\), got \(3,\)", lambda: kernels.dropout(x(2), 0.5, KEY, 0, out=x(3))),
        (r"dropout: x must be \(N, ...\), got a single number", lambda: kernels.dropout(x(), 0.5, KEY, 0, out=x())),
        (
            r"dropout: noise_shape \(2,\) does not broadcast over samples of shape \(3,\); use 1s in it",
            lambda: kernels.dropout(x(2, 3), 0.5, KEY, 0, out=x(2, 3), noise_shape=(2,)),
        ),
        (r"gaussian_noise: key must be two integers", lambda: kernels.gaussian_noise(x(2), 1.0, (1,), 0, out=x(2))),
    ):
        with pytest.raises(ValueError, match=message):
            call()
