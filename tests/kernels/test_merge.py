"""add: the reference against the definition, the compiled kernel against the reference."""

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cpu import compiled
from npdl.kernels.reference import merge as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import merge as cpu

TOLERANCE = {"float32": 2e-6, "float64": 5e-14}
SHAPES = [(0,), (1,), (3, 5), (7,), (8,), (9,), (2, 16), (17,), (63,), (5, 13, 4), (16384,), (16385,), (3, 16384)]


class Cube(activations.Activation):
    """A user's own: y = z³"""

    def __call__(self, z):
        return z**3


FUNCTIONS = [None, activations.linear, activations.relu, activations.gelu, activations.softmax, Cube()]


def test_reference():
    out, z = np.empty(3), np.empty(3)
    reference.add(np.array([1.0, -2, 3]), np.array([4.0, -5, -6]), out=out, activation=activations.relu, z=z)
    assert out.tolist() == [5, 0, 0] and z.tolist() == [5, -7, -3]
    reference.add(np.array([1.0, -2, 3]), np.array([4.0, -5, -6]), out=out)
    assert out.tolist() == [5, -7, -3]


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("fn", FUNCTIONS, ids=repr)
def test_cpu(rng, fn, dtype):
    for shape in SHAPES:
        a, b = rng.standard_normal((2, *shape)).astype(dtype)
        if fn == activations.softmax and len(shape) < 2:
            continue
        expected, out, z = (np.full_like(a, np.nan) for _ in range(3))
        reference.add(a.astype("float64"), b.astype("float64"), out=expected, activation=fn)
        cpu.add(a, b, out=out, activation=fn)
        np.testing.assert_allclose(out, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        again = np.full_like(a, np.nan)
        cpu.add(a, b, out=again, activation=fn, z=z)
        assert again.tobytes() == out.tobytes() and z.tobytes() == (a + b).tobytes()
        for own in (0, 1):
            both = [a.copy(), b.copy()]
            cpu.add(*both, out=both[own], activation=fn)
            assert both[own].tobytes() == out.tobytes() and both[1 - own].tobytes() == (b, a)[own].tobytes()


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_cpu_is_the_sum_and_then_the_activation(dtype, rng):
    """To the last bit, for not-a-number, infinities and zeros of both signs too."""
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0], dtype)
    a, b = np.repeat(special, len(special)), np.tile(special, len(special))
    y, z, out = np.empty_like(a), np.empty_like(a), np.empty_like(a)
    with np.errstate(invalid="ignore"):
        cpu.add(a, b, out=y, activation=activations.relu, z=z)
        cpu.add(a, b, out=out, activation=activations.relu)
        np.testing.assert_array_equal(z, a + b)
    assert out.tobytes() == y.tobytes()
    assert np.isnan(out[np.isnan(z)]).all() and (out[z < 0] == 0).all()


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bits(rng, dtype, same_bits):
    a, b = rng.standard_normal((2, 5, 12345)).astype(dtype)

    def compute():
        out = np.empty_like(a), np.empty_like(a)
        cpu.add(a, b, out=out[0])
        cpu.add(a, b, out=out[1], activation=activations.relu)
        return out

    same_bits(cpu, compute)


@needs_compiled
def test_wrong_calls():
    a = np.zeros((2, 3), "float32")
    with pytest.raises(ValueError, match=r"add: b must have shape \(2, 3\), got \(3,\)"):
        cpu.add(a, a[0], out=a)
    with pytest.raises(ValueError, match=r"add: out must have shape \(2, 3\), got \(2, 4\)"):
        cpu.add(a, a, out=np.zeros((2, 4), "float32"))
    with pytest.raises(ValueError, match=r"add: z must have shape \(2, 3\), got \(6,\)"):
        cpu.add(a, a, out=a, z=np.zeros(6, "float32"))
    with pytest.raises(TypeError, match="add: b must be float32, got float64; convert it by astype"):
        cpu.add(a, a.astype("float64"), out=a)
