"""penalty, penalty_grad and constrain: the reference against central differences, compiled kernels against it."""

import numpy as np
import pytest

from npdl import constraints, regularizers
from npdl.kernels.cpu import compiled
from npdl.kernels.reference import regularize as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import regularize as cpu

DTYPES = ("float32", "float64")


class Cubes(regularizers.Regularizer):
    """A user's own: r = Σ |x|³"""

    def __call__(self, x):
        return (np.abs(x) ** 3).sum()

    def gradient(self, x):
        return 3 * x * np.abs(x)


class Halved(constraints.Constraint):
    """A user's own: half of it"""

    def __call__(self, w):
        return w / 2


REGULARIZERS = [
    regularizers.L1(), regularizers.L2(0.3), regularizers.L1L2(0.2, 0.1), Cubes(),
    regularizers.OrthogonalRegularizer(0.5), regularizers.OrthogonalRegularizer(0.5, "columns"),
]  # fmt: skip
CONSTRAINTS = [
    constraints.NonNeg(), constraints.MaxNorm(0.7), constraints.UnitNorm(axis=1), constraints.MaxNorm(1.5, axis=[0, 1]),
    constraints.MinMaxNorm(0.5, 1.0, 0.25), constraints.MinMaxNorm(1.0, 2.0, axis=-1), constraints.UnitNorm([0, 2]),
    Halved(),
]  # fmt: skip
SHAPES = [(1, 1, 1), (3, 5, 7), (2, 600, 3), (5, 1, 65), (7, 33, 1), (0, 4, 3)]


def value(kernels, x, fn):
    out = np.full(1, np.nan)
    kernels.penalty(x, fn, out=out)
    return out[0]


def gradient(kernels, x, fn, start, scale=1.0):
    out = start.copy()
    kernels.penalty_grad(x, fn, out=out, scale=scale)
    return out


def constrained(kernels, w, fn):
    out = np.full_like(w, np.nan)
    kernels.constrain(w, fn, out=out)
    return out


@pytest.mark.parametrize("fn", REGULARIZERS, ids=repr)
def test_reference_gradient(rng, fn, step=1e-6):
    x = rng.standard_normal((4, 3))
    dx = gradient(reference, x, fn, np.ones_like(x), 2.0)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        slope = 1 + 2 * (value(reference, up, fn) - value(reference, down, fn)) / (2 * step)
        assert abs(dx[i] - slope) < 1e-7


def test_reference_values():
    x = np.array([[3.0, -4.0], [0.0, 2.0]])
    assert value(reference, x, regularizers.L1(0.5)) == 4.5
    assert value(reference, x, regularizers.L2(0.5)) == 14.5
    assert value(reference, x, regularizers.L1L2(1, 1)) == 38
    assert value(reference, x, regularizers.OrthogonalRegularizer(1.0)) == pytest.approx(0.8)
    assert value(reference, x, regularizers.OrthogonalRegularizer(1.0, "columns")) == pytest.approx(4 / np.sqrt(20))
    np.testing.assert_array_equal(constrained(reference, x, constraints.NonNeg()), [[3, 0], [0, 2]])
    np.testing.assert_allclose(constrained(reference, x, constraints.MaxNorm(2.5, 1)), [[1.5, -2], [0, 2]], rtol=1e-6)
    np.testing.assert_allclose(constrained(reference, x, constraints.UnitNorm(1)), [[0.6, -0.8], [0, 1]], rtol=1e-6)
    half = constrained(reference, x, constraints.MinMaxNorm(0, 1, 0.5, axis=1))  # norms 5 and 2 become 3 and 1.5
    np.testing.assert_allclose(half, [[1.8, -2.4], [0, 1.5]], rtol=1e-6)


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fn", REGULARIZERS, ids=repr)
def test_penalties(rng, fn, dtype):
    tolerance = 3e-6 if dtype == "float32" else 1e-14
    matrix = isinstance(fn, regularizers.OrthogonalRegularizer)
    for shape in [(2, 2), (5, 37), (70, 3)] if matrix else [*SHAPES, (50000,)]:
        x, start = rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape).astype(dtype)
        exact = value(reference, x.astype("float64"), fn)
        assert abs(value(cpu, x, fn) - exact) <= tolerance * max(exact, 1)
        expected = gradient(reference, x.astype("float64"), fn, start.astype("float64"), 0.25)
        got = gradient(cpu, x, fn, start, 0.25)
        assert np.abs(got - expected).max(initial=0) <= 10 * tolerance * max(np.abs(expected).max(initial=0), 1)


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fn", CONSTRAINTS, ids=repr)
def test_constraints(rng, fn, dtype):
    for shape in SHAPES:
        w = rng.standard_normal(shape).astype(dtype)
        got, expected = constrained(cpu, w, fn), constrained(reference, w.astype("float64"), fn)
        assert np.abs(got - expected).max(initial=0) < (1e-5 if dtype == "float32" else 1e-13)
        own = w.copy()
        cpu.constrain(own, fn, out=own)
        assert own.tobytes() == got.tobytes()
    zeros = np.zeros((3, 4, 5), dtype)
    assert not constrained(cpu, zeros, fn).any()


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_threads_and_build(rng, dtype, same_bits):
    w, flat = rng.standard_normal((3, 700, 31)).astype(dtype), rng.standard_normal(70001).astype(dtype)

    def compute():
        for fn in REGULARIZERS[:3]:
            yield np.array(value(cpu, flat, fn))
            yield gradient(cpu, flat, fn, flat)
        for fn in CONSTRAINTS[:-1]:
            yield constrained(cpu, w, fn)

    same_bits(cpu, lambda: list(compute()))


@needs_compiled
def test_wrong_calls_raise():
    x, small = np.zeros((2, 3)), np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"penalty: out must have shape \(1,\), got \(2, 3\)"):
        cpu.penalty(x, regularizers.L2(), out=x)
    with pytest.raises(TypeError, match="penalty: out must be float64, got float32"):
        cpu.penalty(x, regularizers.L2(), out=np.zeros(1, "float32"))
    with pytest.raises(ValueError, match=r"penalty_grad: out must have shape \(2, 3\), got \(3, 2\)"):
        cpu.penalty_grad(x, regularizers.L2(), out=small)
    with pytest.raises(ValueError, match=r"constrain: out must have shape \(2, 3\), got \(3, 2\)"):
        cpu.constrain(x, constraints.NonNeg(), out=small)
    with pytest.raises(ValueError, match=r"MaxNorm\(.*\) needs axis to be some of 0 ... 1 for a weight of 2 axes"):
        cpu.constrain(x, constraints.MaxNorm(axis=2), out=x)
    with pytest.raises(ValueError, match=r"needs a matrix of two rows at least, got a weight of shape \(4,\)"):
        cpu.penalty(np.zeros(4), regularizers.OrthogonalRegularizer(), out=np.zeros(1))
