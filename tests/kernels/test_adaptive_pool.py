"""Pooling into bins: the reference against bins written out, the compiled kernels against it."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import adaptive_pool as reference

if compiled():
    from npdl.kernels.cpu import adaptive_pool as cpu
    from npdl.kernels.cpu import build

NAMES = ("adaptive_max_pool", "adaptive_max_pool_grad", "adaptive_average_pool", "adaptive_average_pool_grad")
SIZES = [(1, 1, 1, 1), (2, 7, 3, 5), (3, 4, 9, 17), (2, 600, 1, 33), (40, 30, 12, 16), (0, 3, 2, 2)]


def run(kernels, x, dy):
    y, mean, winners = np.full_like(dy, np.nan), np.full_like(dy, np.nan), np.full(dy.shape, -1, "int32")
    dx, spread = np.full_like(x, np.nan), np.full_like(x, np.nan)
    kernels.adaptive_max_pool(x, out=y, winners=winners)
    kernels.adaptive_max_pool_grad(dy, winners, out=dx)
    kernels.adaptive_average_pool(x, out=mean)
    kernels.adaptive_average_pool_grad(dy, out=spread)
    return {"y": y, "winners": winners, "dx": dx, "mean": mean, "spread": spread}


@pytest.mark.parametrize(("rows", "places", "bins", "channels"), SIZES)
def test_reference_is_the_definition(rows, places, bins, channels, rng):
    x, dy = rng.normal(size=(rows, places, channels)), rng.normal(size=(rows, bins, channels))
    got, dx, spread = run(reference, x, dy), np.zeros(x.shape), np.zeros(x.shape)
    for o in range(bins):
        held = [i for i in range(places) if (i + 1) * bins > o * places and i * bins < (o + 1) * places]
        np.testing.assert_array_equal(got["y"][:, o], x[:, held].max(axis=1))
        np.testing.assert_allclose(got["mean"][:, o], x[:, held].mean(axis=1), rtol=1e-12)
        for i in held:
            spread[:, i] += dy[:, o] / len(held)
            dx[:, i] += dy[:, o] * (x[:, i] == got["y"][:, o])
    np.testing.assert_allclose(got["dx"], dx, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got["spread"], spread, rtol=1e-12, atol=1e-14)


@pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "places", "bins", "channels"), SIZES)
def test_compiled_is_the_reference(rows, places, bins, channels, dtype, rng):
    x, dy = (rng.normal(size=(rows, n, channels)).astype(dtype) for n in (places, bins))
    x[rng.random(x.shape) < 0.1] = np.nan
    build.set_num_threads(1)
    got, expected = run(cpu, x, dy), run(reference, x, dy)
    for name, value in got.items():
        if name in ("y", "winners"):
            np.testing.assert_array_equal(value, expected[name])
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-5 if dtype == "float32" else 1e-13)
    build.set_num_threads(3)
    for name, value in run(cpu, x, dy).items():
        assert value.tobytes() == got[name].tobytes(), name


@pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
def test_errors():
    x, y, winners = np.zeros((2, 5, 3)), np.zeros((2, 2, 3)), np.zeros((2, 2, 3), "int32")
    with pytest.raises(ValueError, match=r"adaptive_max_pool: x must be \(rows, places, channels\) and out .*, got"):
        cpu.adaptive_max_pool(x[:1], out=y)
    with pytest.raises(ValueError, match=r"adaptive_average_pool_grad: out must be .* and dy \(rows, bins, channels\)"):
        cpu.adaptive_average_pool_grad(y[..., 0], out=x)
    with pytest.raises(ValueError, match=r"adaptive_average_pool: at least one place and one bin, got 5 and 0"):
        cpu.adaptive_average_pool(x, out=y[:, :0])
    with pytest.raises(TypeError, match=r"adaptive_max_pool: winners must be int32, got int64"):
        cpu.adaptive_max_pool(x, out=y, winners=winners.astype("int64"))
    with pytest.raises(TypeError, match=r"adaptive_max_pool_grad: winners must be the array .*, got None"):
        cpu.adaptive_max_pool_grad(y, None, out=x)
    with pytest.raises(TypeError, match=r"adaptive_average_pool: out must be float64, got float32"):
        cpu.adaptive_average_pool(x, out=y.astype("float32"))
    wrong = np.full((2, 2, 3), 9, "int32")  # numbers of no place are left out
    cpu.adaptive_max_pool_grad(y + 1, wrong, out=x)
    assert not x.any()
