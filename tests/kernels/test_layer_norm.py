"""Normalization of rows: the reference against loops and slopes, the compiled kernels against the reference."""

import math

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import layer_norm as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import layer_norm as cpu

TOLERANCE = {"float32": 3e-6, "float64": 1e-14}
# Features around 16 lanes, vectors of 2 to 16, pieces of 4096; rows around sets of 1, 2 and 4 and blocks.
SHAPES = [
    (1, 1), (2, 2), (3, 5), (7, 15), (4, 16), (9, 17), (5, 33), (2, 3, 100), (131, 128), (1025, 31), (6, 1024),
    (5, 1025), (3, 4096), (2, 4097), (3, 10001), (0, 5),
]  # fmt: skip
EPSILON = 1e-3


def layer(kernels, x, gamma, beta):
    out, mean, inverse = np.full_like(x, np.nan), *np.full((2, *x.shape[:-1]), np.nan, x.dtype)
    kernels.layer_norm(x, gamma, beta, EPSILON, out=out, mean=mean, inverse=inverse)
    return out, mean, inverse


def layer_grad(kernels, dy, x, mean, inverse, gamma):
    dx, (dgamma, dbeta) = np.full_like(x, np.nan), np.full((2, x.shape[-1]), np.nan, x.dtype)
    kernels.layer_norm_grad(dy, x, mean, inverse, gamma, dx=dx, dgamma=dgamma, dbeta=dbeta)
    return dx, dgamma, dbeta


def rms(kernels, x, gamma):
    out, inverse = np.full_like(x, np.nan), np.full(x.shape[:-1], np.nan, x.dtype)
    kernels.rms_norm(x, gamma, EPSILON, out=out, inverse=inverse)
    return out, inverse


def rms_grad(kernels, dy, x, inverse, gamma):
    dx, dgamma = np.full_like(x, np.nan), np.full(x.shape[-1:], np.nan, x.dtype)
    kernels.rms_norm_grad(dy, x, inverse, gamma, dx=dx, dgamma=dgamma)
    return dx, dgamma


def unit(kernels, x):
    out, inverse = np.full_like(x, np.nan), np.full(x.shape[:-1], np.nan, x.dtype)
    kernels.unit_norm(x, out=out, inverse=inverse)
    return out, inverse


def unit_grad(kernels, dy, x, inverse):
    dx = np.full_like(x, np.nan)
    kernels.unit_norm_grad(dy, x, inverse, dx=dx)
    return (dx,)


def operands(rng, shape, dtype="float64"):
    x, dy = 3 + 2 * rng.standard_normal(shape), rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[-1]))
    return [a.astype(dtype) for a in (x, dy, gamma, beta)]


def wide(*arrays):
    return [None if a is None else a.astype("float64") for a in arrays]


def test_reference_values(rng):
    x, _, gamma, beta = operands(rng, (2, 3, 4))
    y, mean, inverse = layer(reference, x, gamma, beta)
    by_square, by_length = rms(reference, x, gamma)[0], unit(reference, x)[0]
    for place in np.ndindex(2, 3):
        row = x[place].tolist()
        m = sum(row) / 4
        v = sum((value - m) ** 2 for value in row) / 4
        square = sum(value**2 for value in row)
        np.testing.assert_allclose([mean[place], inverse[place]], [m, (v + EPSILON) ** -0.5], rtol=1e-13)
        expected = [g * (value - m) / (v + EPSILON) ** 0.5 + b for value, g, b in zip(row, gamma, beta)]
        np.testing.assert_allclose(y[place], expected, rtol=1e-12)
        expected = [g * value / (square / 4 + EPSILON) ** 0.5 for value, g in zip(row, gamma)]
        np.testing.assert_allclose(by_square[place], expected, rtol=1e-12)
        np.testing.assert_allclose(by_length[place], [value / square**0.5 for value in row], rtol=1e-12)


@pytest.mark.parametrize("with_gamma", (True, False))
@pytest.mark.parametrize("kind", ("layer", "rms", "unit"))
def test_reference_gradients_are_the_slopes(rng, kind, with_gamma):
    x, dy, gamma, beta = operands(rng, (5, 3))
    x[4] *= 1e-3  # below ε
    gamma, beta = (gamma, beta) if with_gamma else (None, None)

    def loss(x, gamma, beta):
        y = {"layer": lambda: layer(reference, x, gamma, beta), "rms": lambda: rms(reference, x, gamma)}
        return (dy * y.get(kind, lambda: unit(reference, x))()[0]).sum()

    if kind == "layer":
        gradients = layer_grad(reference, dy, x, *layer(reference, x, gamma, beta)[1:], gamma)
    elif kind == "rms":
        gradients = rms_grad(reference, dy, x, rms(reference, x, gamma)[1], gamma)
    else:
        gradients = unit_grad(reference, dy, x, unit(reference, x)[1])
    for position, gradient in enumerate(gradients):
        for i in np.ndindex(gradient.shape):
            up, down = ([None if a is None else a.copy() for a in (x, gamma, beta)] for _ in range(2))
            if up[position] is None:
                continue
            up[position][i] += 1e-7
            down[position][i] -= 1e-7
            assert abs((loss(*up) - loss(*down)) / 2e-7 - gradient[i]) < 1e-5 * (1 + abs(gradient[i]))


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("with_gamma", (True, False))
def test_cpu(rng, shape, dtype, with_gamma):
    x, dy, gamma, beta = operands(rng, shape, dtype)
    gamma, beta = (gamma, beta) if with_gamma else (None, None)
    x64, dy64, gamma64, beta64 = wide(x, dy, gamma, beta)

    def close(got, expected):
        for g, e in zip(got, expected, strict=True):
            assert np.isfinite(g).all()
            assert np.abs(g - e).max(initial=0) <= TOLERANCE[dtype] * (0.3 + np.abs(e).max(initial=0))

    got, expected = layer(cpu, x, gamma, beta), layer(reference, x64, gamma64, beta64)
    close(got, expected)
    gradients = layer_grad(cpu, dy, x, *got[1:], gamma)
    close(gradients, layer_grad(reference, dy64, x64, *expected[1:], gamma64))
    got, expected = rms(cpu, x, gamma), rms(reference, x64, gamma64)
    close(got, expected)
    close(rms_grad(cpu, dy, x, got[1], gamma), rms_grad(reference, dy64, x64, expected[1], gamma64))
    got, expected = unit(cpu, x), unit(reference, x64)
    close(got, expected)
    close(unit_grad(cpu, dy, x, got[1]), unit_grad(reference, dy64, x64, expected[1]))


KERNELS = [reference, pytest.param("cpu", marks=needs_compiled)]


@pytest.fixture(params=KERNELS, ids=("reference", "cpu"))
def kernels(request):
    return cpu if request.param == "cpu" else request.param


@pytest.mark.parametrize("shape", [(5, 33), (3, 2, 5000)], ids=str)
def test_in_place_and_in_part(kernels, rng, shape):
    """out may be x and dx dy; what is not asked for is not needed for the rest."""
    x, dy, gamma, beta = operands(rng, shape, "float32")
    y, mean, inverse = layer(kernels, x, gamma, beta)
    own = x.copy()
    kernels.layer_norm(own, gamma, beta, EPSILON, out=own)
    np.testing.assert_array_equal(own, y)
    dx, dgamma, dbeta = layer_grad(kernels, dy, x, mean, inverse, gamma)
    own, alone = dy.copy(), np.full_like(gamma, np.nan)
    kernels.layer_norm_grad(own, x, mean, inverse, gamma, dx=own)
    np.testing.assert_array_equal(own, dx)
    kernels.layer_norm_grad(dy, x, mean, inverse, gamma, dx=own, add=x)
    np.testing.assert_array_equal(own, dx + x)
    kernels.layer_norm_grad(dy, x, mean, inverse, gamma, dbeta=alone)
    np.testing.assert_array_equal(alone, dbeta)
    kernels.layer_norm_grad(dy, x, mean, inverse, gamma, dgamma=alone)
    np.testing.assert_array_equal(alone, dgamma)
    y, inverse = rms(kernels, x, gamma)
    own = x.copy()
    kernels.rms_norm(own, gamma, EPSILON, out=own)
    np.testing.assert_array_equal(own, y)
    dx, dgamma = rms_grad(kernels, dy, x, inverse, gamma)
    own = dy.copy()
    kernels.rms_norm_grad(own, x, inverse, gamma, dx=own)
    np.testing.assert_array_equal(own, dx)
    kernels.rms_norm_grad(dy, x, inverse, gamma, dgamma=alone)
    np.testing.assert_array_equal(alone, dgamma)
    y, inverse = unit(kernels, x)
    own = x.copy()
    kernels.unit_norm(own, out=own)
    np.testing.assert_array_equal(own, y)
    dx, own = unit_grad(kernels, dy, x, inverse)[0], dy.copy()
    kernels.unit_norm_grad(own, x, inverse, dx=own)
    np.testing.assert_array_equal(own, dx)


@needs_compiled
@pytest.mark.parametrize("features", (3, 128, 5000))
def test_a_large_mean_does_not_cost_the_variance(rng, features):
    """Mean 1e3, deviation 1 in float32: what is off is x itself, by up to 3e-5."""
    x = (1e3 + rng.standard_normal((50, features))).astype("float32")
    y, _, inverse = layer(cpu, x, None, None)
    expected, _, right = layer(reference, x.astype("float64"), None, None)
    np.testing.assert_allclose(inverse, right, rtol=3e-7)
    deviations = 1 / right.max()
    assert np.abs(y - expected).max() < 4e-5 * max(1, 1 / deviations) * right.max() * deviations + 1e-4 * right.max()


@needs_compiled
def test_rows_of_equal_numbers():
    for value in (0.0, 0.1, 1e3, 3e-20):
        x = np.full((5, 777), value, "float32")
        y, mean, inverse = layer(cpu, x, None, None)
        assert np.abs(y).max() <= 1e-4 * max(value, 1) and np.allclose(mean, value, rtol=1e-7)
        np.testing.assert_allclose(inverse, EPSILON**-0.5, rtol=1e-4)


def test_rows_of_no_length(kernels):
    """Below 1e-6 the length counts as 1e-6, and as a constant in the gradient."""
    x = np.array([[0.0, 0.0], [1e-7, 0.0], [0.0, 2e-6]], "float32")
    y, inverse = unit(kernels, x)
    np.testing.assert_allclose(y, [[0, 0], [0.1, 0], [0, 1]], rtol=1e-6)
    (dx,) = unit_grad(kernels, np.ones_like(x), x, inverse)
    np.testing.assert_allclose(dx, [[1e6, 1e6], [1e6, 1e6], [5e5, 0]], rtol=1e-5, atol=0.2)


def test_a_nan_stays_in_its_row(kernels, rng):
    x, _, gamma, beta = operands(rng, (9, 40), "float32")
    x[4, 17] = np.nan
    for y in (layer(kernels, x, gamma, beta)[0], rms(kernels, x, gamma)[0], unit(kernels, x)[0]):
        assert np.isnan(y[4]).all() and np.isfinite(np.delete(y, 4, axis=0)).all()


@needs_compiled
def test_bits_do_not_depend_on_threads_and_build(rng, same_bits):
    def run(arrays):
        x, dy, gamma, beta = arrays
        out = [*layer(cpu, x, gamma, beta)]
        out += [*layer_grad(cpu, dy, x, *out[1:], gamma), *rms(cpu, x, gamma)]
        out += [*rms_grad(cpu, dy, x, out[-1], gamma), *unit(cpu, x)]
        return [*out, *unit_grad(cpu, dy, x, out[-1])]

    for shape, dtype in (((2000, 70), "float32"), ((37, 9000), "float32"), ((300, 131), "float64")):
        arrays = operands(rng, shape, dtype)
        same_bits(cpu, lambda arrays=arrays: run(arrays))


@needs_compiled
@pytest.mark.parametrize("features", (7, 128, 5000))
def test_a_row_does_not_depend_on_its_batch(rng, features):
    x, dy, gamma, beta = operands(rng, (11, features), "float32")
    y, mean, inverse = layer(cpu, x, gamma, beta)
    dx = layer_grad(cpu, dy, x, mean, inverse, gamma)[0]
    for i in range(11):
        part = slice(i, i + 1)
        np.testing.assert_array_equal(layer(cpu, x[part], gamma, beta)[0], y[part])
        alone = layer_grad(cpu, dy[part], x[part], mean[part], inverse[part], gamma)[0]
        np.testing.assert_array_equal(alone, dx[part])
        np.testing.assert_array_equal(rms(cpu, x[part], gamma)[0], rms(cpu, x, gamma)[0][part])


@needs_compiled
def test_sums_over_many_rows_keep_their_digits(rng):
    x, dy, gamma, beta = operands(rng, (200_000, 3), "float32")
    _, mean, inverse = layer(cpu, x, gamma, beta)
    _, dgamma, dbeta = layer_grad(cpu, dy + 1, x, mean, inverse, gamma)
    np.testing.assert_allclose(dbeta, (dy + 1).sum(axis=0, dtype="float64"), rtol=1e-5)
    right = layer_grad(reference, *wide(dy + 1, x, mean, inverse, gamma))[1]
    np.testing.assert_allclose(dgamma, right, atol=1e-5 * math.sqrt(200_000) * 10)


@needs_compiled
def test_wrong_calls_raise():
    x, row, of_rows = np.zeros((2, 3), "float32"), np.zeros(3, "float32"), np.zeros(2, "float32")
    with pytest.raises(
        ValueError, match=r"layer_norm: x must be \(..., D\) with at least one feature, got shape \(3, 0\)"
    ):
        cpu.layer_norm(np.zeros((3, 0), "float32"), None, None, 0.1, out=np.zeros((3, 0), "float32"))
    with pytest.raises(ValueError, match=r"unit_norm: x must be \(..., D\)"):
        cpu.unit_norm(np.zeros((), "float32"), out=np.zeros((), "float32"))
    with pytest.raises(ValueError, match=r"layer_norm: gamma must have shape \(3,\), got \(2,\)"):
        cpu.layer_norm(x, of_rows, row, 0.1, out=x)
    with pytest.raises(ValueError, match=r"layer_norm: mean must have shape \(2,\), got \(3,\)"):
        cpu.layer_norm(x, row, row, 0.1, out=x, mean=row)
    with pytest.raises(ValueError, match=r"rms_norm: out must have shape \(2, 3\), got \(6,\)"):
        cpu.rms_norm(x, row, 0.1, out=x.ravel())
    with pytest.raises(ValueError, match="layer_norm_grad: add must"):
        cpu.layer_norm_grad(x, x, of_rows, of_rows, row, dx=x, add=row)
    with pytest.raises(TypeError, match="layer_norm_grad: mean must be a NumPy array, got NoneType"):
        cpu.layer_norm_grad(x, x, None, of_rows, row, dx=x)
    with pytest.raises(TypeError, match="unit_norm_grad: inverse must be a NumPy array, got NoneType"):
        cpu.unit_norm_grad(x, x, None, dx=x)
    with pytest.raises(TypeError, match="rms_norm_grad: dgamma must be float32, got float64"):
        cpu.rms_norm_grad(x, x, of_rows, row, dgamma=np.zeros(3))
    with pytest.raises(TypeError, match="layer_norm works in float32 or float64, got x of int32"):
        cpu.layer_norm(x.astype("int32"), None, None, 0.1, out=x.astype("int32"))
