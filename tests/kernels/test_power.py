"""power and power_grad against more digits."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import power as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import power as cpu

WIDER = {"float32": np.float64, "float64": np.longdouble}
EXPONENTS = [*range(3, 11), 13, 16, 31, 64, 65, 1, 2, 0.5, 1.7, -0.75]


@needs_compiled
@pytest.mark.parametrize("dtype", WIDER)
@pytest.mark.parametrize("p", EXPONENTS)
def test_errors_in_ulps(p, dtype, rng):
    """Of whole powers p / 2 of squaring and less than one of rounding; of others what e^(p ln x) loses."""
    x = (rng.uniform(0.3, 3, 999) * rng.choice([-1, 1], 999)).astype(dtype)
    dy = rng.uniform(1, 2, 999).astype(dtype)
    wide, wide_dy, eps = x.astype(WIDER[dtype]), dy.astype(WIDER[dtype]), np.finfo(dtype).eps
    exact = np.abs(wide) ** WIDER[dtype](p)
    slope = wide_dy * WIDER[dtype](p) * np.abs(wide) ** WIDER[dtype](p - 1) * np.sign(wide)
    y, dx = np.empty_like(x), np.empty_like(x)
    cpu.power(x, p, out=y)
    cpu.power_grad(dy, x, p, out=dx)
    most = p / 2 + 2 if p == int(p) and 0 < p <= 64 else 2 + 6 * abs(p)
    assert np.max(np.abs(y - exact) / (exact * eps)) < most
    assert np.max(np.abs(dx - slope) / np.abs(slope * eps)) < most + 2


@pytest.mark.parametrize("kernels", [reference, pytest.param("cpu", marks=needs_compiled)], ids=["reference", "cpu"])
@pytest.mark.parametrize("p", [1, 2, 3, 7, 0.5])
def test_at_the_ends(kernels, p):
    """0 has no slope; what is out of range is ∞, and a NaN stays one."""
    kernels = cpu if kernels == "cpu" else kernels
    x = np.array([0.0, -0.0, 1.0, -1.0, np.inf, np.nan], "float32")
    y, dx = np.empty_like(x), np.empty_like(x)
    kernels.power(x, p, out=y)
    np.testing.assert_array_equal(y, [0, 0, 1, 1, np.inf, np.nan])
    kernels.power_grad(np.ones_like(x[:4]), x[:4], p, out=dx[:4])
    np.testing.assert_array_equal(dx[:4], [0, 0, p, -p])
    huge, out = np.array([-1e20], "float32"), np.empty(1, "float32")
    with np.errstate(over="ignore"):
        kernels.power(huge, p, out=out)
    assert out[0] == np.inf if p > 1 else out[0] > 1e9
