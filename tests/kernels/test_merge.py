"""Kernels that merge: the reference against the definition, the compiled kernel against the reference."""

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


COMBINED = {"subtract": np.subtract, "multiply": np.multiply, "maximum": np.maximum, "minimum": np.minimum}
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0])


def test_references_of_two_arrays():
    a, b = np.repeat(SPECIAL, len(SPECIAL)), np.tile(SPECIAL, len(SPECIAL))
    for name, function in COMBINED.items():
        out = np.empty_like(a)
        with np.errstate(invalid="ignore"):
            getattr(reference, name)(a, b, out=out)
            np.testing.assert_array_equal(out, function(a, b))
    out, rest = np.empty(3), np.empty(3)
    reference.match_grad(np.array([5.0, 6, 7]), np.array([1.0, 2, 3]), np.array([1.0, 0, 3]), out=out, rest=rest)
    assert out.tolist() == [5, 0, 7] and rest.tolist() == [0, 6, 0]
    reference.scale(np.array([1.0, -2, 3]), 0.5, out=out)
    assert out.tolist() == [0.5, -1, 1.5]
    y = np.zeros((2, 5))
    reference.put_part(np.ones((2, 2)), 1, 3, out=y)
    assert y.tolist() == [[0, 0, 0, 1, 1]] * 2
    reference.take_part(y, 1, 2, out=(x := np.empty((2, 2))))
    assert x.tolist() == [[0, 1]] * 2


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_cpu_of_two_arrays(rng, dtype):
    """The same bits as the reference: one rounding each."""
    special = np.repeat(SPECIAL, len(SPECIAL)).astype(dtype), np.tile(SPECIAL, len(SPECIAL)).astype(dtype)
    pairs = [rng.integers(-3, 4, (2, *shape)).astype(dtype) / 3 for shape in SHAPES]
    for a, b in [special, *pairs]:
        for name in COMBINED:
            out, expected = np.full_like(a, 7), np.empty_like(a)
            with np.errstate(invalid="ignore"):
                getattr(reference, name)(a, b, out=expected)
            getattr(cpu, name)(a, b, out=out)
            np.testing.assert_array_equal(out, expected)
            same = b.copy()
            getattr(cpu, name)(a, same, out=same)
            assert same.tobytes() == out.tobytes()
        out, expected, rest, left = (np.full_like(a, 7) for _ in range(4))
        cpu.scale(a, 1 / 3, out=out)
        reference.scale(a, 1 / 3, out=expected)
        np.testing.assert_array_equal(out, expected)
        dy = np.arange(a.size, dtype=dtype).reshape(a.shape) + 1
        cpu.match_grad(dy, a, b, out=out, rest=rest)
        reference.match_grad(dy, a, b, out=expected, rest=left)
        assert out.tobytes() == expected.tobytes() and rest.tobytes() == left.tobytes()
        cpu.match_grad(dy, a, b, out=out, rest=dy)
        assert dy.tobytes() == left.tobytes()


@needs_compiled
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cpu_parts(rng, axis):
    y = rng.standard_normal((7, 8, 9)).astype("float32")
    for start, count in ((0, 3), (2, 5), (6, 1), (0, 7), (3, 0)):
        sizes = [count if at == axis else size for at, size in enumerate(y.shape)]
        out, expected = np.full(sizes, np.nan, "float32"), np.empty(sizes, "float32")
        cpu.take_part(y, axis, start, out=out)
        reference.take_part(y, axis, start, out=expected)
        assert out.tobytes() == expected.tobytes()
        whole, there = y + 1, y + 1
        cpu.put_part(out, axis, start, out=whole)
        reference.put_part(out, axis, start, out=there)
        assert whole.tobytes() == there.tobytes()


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bits_of_two_arrays(rng, dtype, same_bits):
    a, b, c = rng.integers(-9, 9, (3, 5, 12345)).astype(dtype) / 7

    def compute():
        out = [np.empty_like(a) for _ in range(7)]
        for name, one in zip(COMBINED, out):
            getattr(cpu, name)(a, b, out=one)
        cpu.scale(a, 0.1, out=out[4])
        cpu.match_grad(c, a, b, out=out[5], rest=out[6])
        return tuple(out)

    same_bits(cpu, compute)


@needs_compiled
def test_wrong_calls_of_two_arrays():
    a = np.zeros((2, 3), "float32")
    for name in COMBINED:
        with pytest.raises(ValueError, match=rf"{name}: b must have shape \(2, 3\), got \(3,\)"):
            getattr(cpu, name)(a, a[0], out=a)
        with pytest.raises(TypeError, match=f"{name}: out must be float32, got float64"):
            getattr(cpu, name)(a, a, out=a.astype("float64"))
    with pytest.raises(ValueError, match=r"match_grad: rest must have shape \(2, 3\), got \(6,\)"):
        cpu.match_grad(a, a, a, out=a, rest=np.zeros(6, "float32"))
    with pytest.raises(ValueError, match=r"scale: out must have shape \(2, 3\), got \(1, 3\)"):
        cpu.scale(a, 2, out=a[:1])
    with pytest.raises(ValueError, match=r"put_part: x must have shape \(2, 2\), got \(2, 3\)"):
        cpu.put_part(a, 1, 1, out=a.copy())
    with pytest.raises(ValueError, match=r"take_part: y of shape \(2, 3\) has no axis 2 with a place 0"):
        cpu.take_part(a, 2, 0, out=a.copy())
