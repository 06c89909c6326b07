"""Margins that go on with what lies inside: the reference against NumPy's pad, the compiled kernels against it."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import extend as reference

if compiled():
    from npdl.kernels.cpu import build
    from npdl.kernels.cpu import extend as cpu

NUMPY = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
CASES = [((2, 5, 3), 1, (4, 2)), ((3, 4, 1, 17), 1, (0, 3)), ((1, 2, 6, 5), 2, (1, 0)), ((40, 300, 2), 1, (7, 9))]


@pytest.mark.parametrize("mode", NUMPY)
@pytest.mark.parametrize(("shape", "axis", "margins"), CASES)
def test_reference_is_numpys(shape, axis, margins, mode, rng):
    """And the gradient its adjoint: <extend(x), dy> = <x, extend_grad(dy)>."""
    x = rng.normal(size=shape)
    expected = np.pad(x, [margins if a == axis else (0, 0) for a in range(x.ndim)], mode=NUMPY[mode])
    y, dx = np.full(expected.shape, np.nan), np.full(shape, np.nan)
    reference.extend(x, axis, margins, mode, out=y)
    np.testing.assert_array_equal(y, expected)
    dy = rng.normal(size=y.shape)
    reference.extend_grad(dy, axis, margins, mode, out=dx)
    np.testing.assert_allclose((y * dy).sum(), (x * dx).sum(), rtol=1e-10)


@pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", NUMPY)
@pytest.mark.parametrize(("shape", "axis", "margins"), CASES)
def test_compiled_is_the_reference(shape, axis, margins, mode, dtype, rng):
    longer = tuple(n + sum(margins) * (a == axis) for a, n in enumerate(shape))
    x, dy = rng.normal(size=shape).astype(dtype), rng.normal(size=longer).astype(dtype)
    results = []
    for threads, kernels in ((1, reference), (1, cpu), (3, cpu)):
        build.set_num_threads(threads)
        y, dx = np.full_like(dy, np.nan), np.full_like(x, np.nan)
        kernels.extend(x, axis, margins, mode, out=y)
        kernels.extend_grad(dy, axis, margins, mode, out=dx)
        results.append((y, dx))
    (y, dx), (y1, dx1), (y3, dx3) = results
    np.testing.assert_array_equal(y1, y)
    np.testing.assert_allclose(dx1, dx, rtol=0, atol=1e-5 if dtype == "float32" else 1e-13)
    assert y1.tobytes() == y3.tobytes() and dx1.tobytes() == dx3.tobytes()


@pytest.mark.parametrize(
    "kernels", [reference, pytest.param("cpu", marks=pytest.mark.skipif(not compiled(), reason=""))]
)
def test_errors(kernels):
    kernels = cpu if kernels == "cpu" else kernels
    x, y = np.zeros((2, 3, 4)), np.zeros((2, 6, 4))
    with pytest.raises(ValueError, match="extend: mode must be one of 'reflect', 'replicate', 'circular', got 'wrap'"):
        kernels.extend(x, 1, (1, 2), "wrap", out=y)
    with pytest.raises(ValueError, match=r"extend: reflect margins of 3 places are .* from 0 to 2, got \(3, 0\)"):
        kernels.extend(x, 1, (3, 0), "reflect", out=y)
    with pytest.raises(ValueError, match=r"extend_grad: circular margins of 3 places .* from 0 to 3, got \(-1, 4\)"):
        kernels.extend_grad(y, 1, (-1, 4), "circular", out=x)


@pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
def test_wrong_shapes():
    x, y = np.zeros((2, 3, 4)), np.zeros((2, 6, 4))
    with pytest.raises(ValueError, match=r"extend: out must have shape \(2, 5, 4\), got \(2, 6, 4\)"):
        cpu.extend(x, 1, (1, 1), "reflect", out=y)
    with pytest.raises(ValueError, match=r"extend_grad: dy must have shape \(2, 3, 5\), got \(2, 6, 4\)"):
        cpu.extend_grad(y, 2, (1, 0), "reflect", out=x)
    with pytest.raises(ValueError, match=r"extend: axis must be one of 3 axes, got 3"):
        cpu.extend(x, 3, (1, 1), "reflect", out=y)
    with pytest.raises(TypeError, match=r"extend_grad: out must be float64, got float32"):
        cpu.extend_grad(y, 1, (1, 2), "reflect", out=x.astype("float32"))
    with pytest.raises(TypeError, match=r"extend: x must be C-contiguous"):
        cpu.extend(np.zeros((2, 4, 3)).transpose(0, 2, 1), 1, (1, 2), "reflect", out=y)
