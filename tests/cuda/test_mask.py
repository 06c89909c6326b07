"""Masks, copies and powers on the stand-in against the reference."""

import numpy as np
import pytest

from npdl.kernels.cuda import mask as kernels

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


@pytest.mark.parametrize("shape", ((1, 1), (3, 5, 40), (300, 2), (3, 0), (0, 4)), ids=str)
def test_masks(compare, shape):
    x, a, b = floats(*shape), floats(*shape), floats(*shape)
    x[1:] = np.where(RNG.random(shape[:-1])[1:, ..., None] < 0.5, 0, x[1:])
    out = {"out": shape}
    for value in (0.0, 0.5, float("nan")):
        compare("mask", "masking", x, value, out={"out": np.empty(shape[:-1], bool)})
    mask = RNG.random(shape[:-1]) < 0.5
    compare("mask", "mask_rows", x, mask, out=out)
    for given in ((a, b), (a, None), (None, b)):
        compare("mask", "choose", mask, *given, out=out)
    compare("mask", "both", mask, RNG.random(mask.shape) < 0.5, out={"out": np.empty(mask.shape, bool)})


@pytest.mark.parametrize("dtype", ("float32", "int32", "int64", "bool", "uint8"))
def test_fill_and_copy(device, dtype):
    x = RNG.integers(0, 2 if dtype == "bool" else 100, 300).astype(dtype)
    out = device.alloc(x.shape, dtype)
    kernels.copy(device.from_host(x), out=out)
    np.testing.assert_array_equal(device.to_host(out), x)
    kernels.fill(1, out=out)
    np.testing.assert_array_equal(device.to_host(out), np.ones(300, dtype))


def test_times_join_and_part(compare):
    x, y, out = floats(3, 7, 5), floats(3, 7, 5), {"out": (3, 7, 5)}
    compare("mask", "times", x, y, out=out)
    compare("mask", "times", x, 0.5, out=out)
    compare("mask", "join", x, floats(3, 7, 2), out={"out": (3, 7, 7)})
    compare("mask", "part", floats(3, 7, 7), out={"a": (3, 7, 3), "b": (3, 7, 4)})


def test_wrong_calls(device):
    def x(*shape, dtype="float32"):
        return device.zeros(shape, dtype)

    for message, call in (
        (r"masking: out must have shape \(2,\), got \(3,\)", lambda: kernels.masking(x(2, 3), 0, out=x(3))),
        (r"mask_rows: mask must have", lambda: kernels.mask_rows(x(2, 3), x(3, dtype="bool"), out=x(2, 3))),
        (r"choose: b must have", lambda: kernels.choose(x(2, dtype="bool"), None, x(2, 4), out=x(2, 3))),
        (r"both: b must have", lambda: kernels.both(x(2, dtype="bool"), x(3, dtype="bool"), out=x(2, dtype="bool"))),
        (r"copy: out must have", lambda: kernels.copy(x(2, 3), out=x(3, 2))),
        (r"times: b must have", lambda: kernels.times(x(2, 3), x(3), out=x(2, 3))),
        (r"join: out must have shape \(2, 5\)", lambda: kernels.join(x(2, 3), x(2, 2), out=x(2, 4))),
        (r"part: x must have shape \(2, 5\)", lambda: kernels.part(x(2, 4), a=x(2, 3), b=x(2, 2))),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="copy: out must be float32 like x, got int32"):
        kernels.copy(x(2), out=x(2, dtype="int32"))
    with pytest.raises(TypeError, match=r"fill: out must be one of float32, .*, got float64"):
        kernels.fill(0, out=x(2, dtype="float64"))
