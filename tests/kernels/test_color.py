"""Colours: the reference's gradient against differences, the cpu's kernels against the reference."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import color as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import build
    from npdl.kernels.cpu import color as cpu

CLOSE = {"float32": 4e-6, "float64": 1e-14}
RANGES = {"hsv": (-0.5, 1.5), "gray": (-np.inf, np.inf), "solarize": (-1, 1), "posterize": (0, 1)}


def numbers_for(way, n, rng):
    if way == "posterize":
        return np.stack([2.0 ** rng.integers(0, 8, n), np.zeros(n)], axis=1)
    return np.stack([rng.uniform(-1.5, 1.5, n), rng.uniform(0, 3, n)], axis=1)


@pytest.mark.parametrize("way", reference.WAYS)
def test_gradient_is_that_of_the_formula(way, rng):
    x, dy, dx = rng.normal(0.5, 1, (4, 5, 3)), rng.normal(size=(4, 5, 3)), np.empty((4, 5, 3))
    numbers, moved = numbers_for(way, 4, rng), rng.normal(size=x.shape)
    reference.recolor_grad(dy, x, way, numbers, *RANGES[way], out=dx)
    up, down = np.empty_like(x), np.empty_like(x)
    reference.recolor(x + 1e-6 * moved, way, numbers, *RANGES[way], out=up)
    reference.recolor(x - 1e-6 * moved, way, numbers, *RANGES[way], out=down)
    np.testing.assert_allclose((dy * (up - down)).sum() / 2e-6, (dx * moved).sum(), rtol=1e-7, atol=1e-8)


@needs_compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", reference.WAYS)
def test_cpu(way, dtype, rng):
    for shape in ((2, 7, 5, 3), (3, 3), (1, 61, 47, 3), (2, 40, 50, 3), (0, 4, 3), (2, 0, 3)):
        x, dy = (rng.normal(0.5, 1, shape).astype(dtype) for _ in range(2))
        x[..., :1].round(out=x[..., :1])  # ties
        numbers = numbers_for(way, shape[0], rng)
        for name, given in (("recolor", (x,)), ("recolor_grad", (dy, x))):
            found = []
            for threads in (1, 2, 3):
                build.set_num_threads(threads)
                found.append(np.full(shape, np.nan, dtype))
                getattr(cpu, name)(*given, way, numbers, *RANGES[way], out=found[-1])
            assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
            right = np.full(shape, np.nan, dtype)
            getattr(reference, name)(*given, way, numbers, *RANGES[way], out=right)
            np.testing.assert_allclose(found[0], right, rtol=0, atol=CLOSE[dtype] * (5 if name == "recolor" else 100))


@needs_compiled
def test_wrong_arguments():
    x, numbers = np.zeros((2, 4, 3)), np.zeros((2, 2))
    with pytest.raises(ValueError, match="recolor: way must be one of hsv, gray, solarize, posterize, got 'sepia'"):
        cpu.recolor(x, "sepia", numbers, 0, 1, out=x)
    with pytest.raises(ValueError, match=r"recolor: x must have red, green and blue as its last axis, got shape \(2"):
        cpu.recolor(np.zeros((2, 3, 4)), "hsv", numbers, 0, 1, out=x)
    with pytest.raises(ValueError, match=r"recolor: numbers must have shape \(2, 2\), got \(2, 3\)"):
        cpu.recolor(x, "hsv", np.zeros((2, 3)), 0, 1, out=x)
    with pytest.raises(ValueError, match=r"recolor_grad: dy must have shape \(2, 4, 3\), got \(4, 3\)"):
        cpu.recolor_grad(x[0], x, "hsv", numbers, 0, 1, out=x)
