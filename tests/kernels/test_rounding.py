"""Rounding to 16 bits: reference and compiled against NumPy's float16, and the upper half of float32."""

import numpy as np
import pytest

from npdl import devices
from npdl.kernels.reference import rounding as reference

kernels = devices.get("cpu").kernels
NAMES = ("round_bfloat16", "round_float16")


def awkward():
    """float32 of every exponent, with the digits around each digit that is lost: ties, their neighbours, subnormals."""
    exponents = np.arange(256, dtype=np.uint32) << 23
    digits = [0, 1, 2, (1 << 23) - 1, (1 << 23) - 2]
    for place in range(8, 17):
        tie = 1 << place
        digits += [k * tie + d for k in (1, 2, 3, 5, 7) for d in (-1, 0, 1)]
    for lost in (13, 16):  # the last digits that stay, and half a unit more
        digits += [(1 << 23) - (k << (lost - 1)) + d for k in (1, 2, 3) for d in (-1, 0, 1)]
    bits = (exponents[:, None] | (np.array(digits, np.uint32) & np.uint32(0x7FFFFF))).reshape(-1)
    return np.concatenate([bits, bits | np.uint32(1 << 31)]).view(np.float32)


def by_numpy(name, x):
    with np.errstate(over="ignore", invalid="ignore"):
        if name == "round_float16":
            return x.astype(np.float16).astype(np.float32)
        bits = x.view(np.uint32)
        upper = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
        return np.where(np.isnan(x), x, upper.view(np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_every_exponent_bit_for_bit(name):
    x = awkward()
    expected = by_numpy(name, x)
    for call in (getattr(reference, name), getattr(kernels, name)):
        out = np.empty_like(x)
        call(x, out=out)
        nan = np.isnan(x)
        np.testing.assert_array_equal(np.isnan(out), nan)
        np.testing.assert_array_equal(out.view(np.uint32)[~nan], expected.view(np.uint32)[~nan])
        call(out, out=out)  # a rounded number is its own, and in place
        np.testing.assert_array_equal(out.view(np.uint32)[~nan], expected.view(np.uint32)[~nan])


@pytest.mark.parametrize("name", NAMES)
def test_float64_and_odd_sizes(name):
    rng = np.random.default_rng(0)
    for n in (0, 1, 7, 17, 16385):
        x = rng.standard_normal(n) * 2.0 ** rng.integers(-160, 160, n)
        out, expected = np.empty_like(x), np.empty_like(x)
        getattr(kernels, name)(x, out=out)
        getattr(reference, name)(x, out=expected)
        np.testing.assert_array_equal(out, expected)
        if name == "round_float16":
            with np.errstate(over="ignore"):
                np.testing.assert_array_equal(out, x.astype(np.float16).astype(np.float64))


def test_the_tables_figures():
    largest, least = {"round_bfloat16": 3.3895314e38, "round_float16": 65504.0}, {"round_bfloat16": 2.0**-133}
    for name in NAMES:
        kernel, out = getattr(kernels, name), np.empty(4, np.float32)
        top, bottom = np.float32(largest[name]), np.float32(least.get(name, 2.0**-24))
        kernel(np.array([top, np.nextafter(top, np.float32(np.inf)), bottom, bottom / 2], np.float32), out=out)
        np.testing.assert_array_equal(out, [top, top, bottom, 0])
    out = np.empty(3, np.float32)
    kernels.round_float16(np.float32([65519.996, 65520, -1e9]), out=out)
    np.testing.assert_array_equal(out, [65504, np.inf, -np.inf])


def test_a_product_of_two_rounded_numbers_is_exact_in_float32():
    rng = np.random.default_rng(1)
    for name in NAMES:
        a, b = (rng.standard_normal(10000).astype(np.float32) for _ in range(2))
        for x in (a, b):
            getattr(kernels, name)(x, out=x)
        np.testing.assert_array_equal(np.float64(a * b), np.float64(a) * np.float64(b))


def test_shapes_are_compared():
    with pytest.raises(ValueError, match=r"round_float16: out must have shape \(3,\), got \(2,\)"):
        kernels.round_float16(np.zeros(3, np.float32), out=np.zeros(2, np.float32))
    with pytest.raises(ValueError, match=r"round_bfloat16: out must have shape \(3,\), got \(2,\)"):
        kernels.round_bfloat16(np.zeros(3, np.float32), out=np.zeros(2, np.float32))
