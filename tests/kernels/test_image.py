"""Pixels: the reference against the definition, the cpu's kernels against the reference."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import image as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import image as cpu

CLOSE = {"float32": 2e-6, "float64": 1e-14}
DTYPES = ["float32", "float64"]


@pytest.mark.parametrize(
    ("fill_mode", "expected"),
    [
        ("constant", [9, 9, 9, 1, 2, 3, 9, 9, 9, 9]),
        ("nearest", [1, 1, 1, 1, 2, 3, 3, 3, 3, 3]),
        ("reflect", [3, 2, 1, 1, 2, 3, 3, 2, 1, 1]),
        ("wrap", [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]),
    ],
)
def test_fill_modes(fill_mode, expected):
    x, out = np.array([1.0, 2, 3]).reshape(1, 1, 3, 1), np.empty((1, 1, 10, 1))
    for kernels in (reference, cpu) if compiled() else (reference,):
        for interpolation in ("nearest", "bilinear"):
            out[...] = np.nan
            kernels.affine_sample(
                x, np.array([[1.0, 0, -3, 0, 1, 0]]), out=out,
                interpolation=interpolation, fill_mode=fill_mode, fill_value=9,
            )  # fmt: skip
            assert out.ravel().tolist() == expected
        kernels.affine_sample(x, np.array([[1.0, 0, -2.5, 0, 1, 0]]), out=out, fill_mode=fill_mode, fill_value=9)
        np.testing.assert_allclose(out.ravel()[:9], (np.array(expected)[:-1] + expected[1:]) / 2)


def maps(n, rng, size):
    return np.ascontiguousarray(rng.normal([1, 0, 0, 0, 1, 0], [0.5, 0.5, size, 0.5, 0.5, size], size=(n, 6)))


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill_mode", reference.FILL_MODES)
@pytest.mark.parametrize("interpolation", reference.INTERPOLATIONS)
def test_affine(interpolation, fill_mode, dtype, rng):
    for n, h, w, c, made in (
        (3, 7, 5, 3, (6, 9)),
        (2, 1, 1, 1, (3, 2)),
        (1, 60, 90, 17, (70, 40)),
        (0, 3, 3, 2, (3, 3)),
    ):
        x, t = rng.normal(size=(n, h, w, c)).astype(dtype), maps(n, rng, h)
        how = {"interpolation": interpolation, "fill_mode": fill_mode}
        y, expected = (np.full((n, *made, c), np.nan, dtype) for _ in range(2))
        cpu.affine_sample(x, t, out=y, fill_value=0.5, **how)
        reference.affine_sample(x, t, out=expected, fill_value=0.5, **how)
        np.testing.assert_allclose(y, expected, rtol=0, atol=CLOSE[dtype] * 4)
        dy = rng.normal(size=y.shape).astype(dtype)
        dx, expected = (np.full(x.shape, np.nan, dtype) for _ in range(2))
        cpu.affine_sample_grad(dy, t, out=dx, **how)
        reference.affine_sample_grad(dy, t, out=expected, **how)
        np.testing.assert_allclose(dx, expected, rtol=0, atol=CLOSE[dtype] * (1 + np.abs(expected).max(initial=0)) * 30)
        if dtype == "float64":  # the transpose: <A x, dy> = <x, Aᵀ dy>
            cpu.affine_sample(x, t, out=y, **how)
            np.testing.assert_allclose(np.sum(y * dy), np.sum(x * dx), rtol=1e-9, atol=1e-9)


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        ((4, 5, 6, 3), (1, 1, 1, 3)), ((4, 5, 6, 3), ()), ((4, 50, 60, 3), (4, 1, 1, 1)),
        ((4, 50, 60, 3), (4, 1, 1, 3)), ((3, 7, 300), (7, 1)),
        ((3, 7, 300), (300,)), ((5, 20000), (5, 1)), ((5, 20000), (20000,)), ((6,), (6,)),
        ((6,), ()), ((0, 4), (4,)), ((3, 1, 1, 2), (3, 1, 1, 2)), ((40000, 3), (3,)),
    ],
)  # fmt: skip
def test_rescale(shape, parameters, dtype, rng):
    x, scale, offset, center = (rng.normal(size=s).astype(dtype) for s in (shape, *[parameters] * 3))
    got, expected = np.full(shape, np.nan, dtype), np.full(shape, np.nan)
    cpu.rescale(x, scale, offset, out=got, center=center, low=-1, high=1.5)
    reference.rescale(*(a.astype("float64") for a in (x, scale, offset)), out=expected, center=center, low=-1, high=1.5)
    np.testing.assert_allclose(got, expected, rtol=0, atol=CLOSE[dtype])
    variance = scale * scale
    for invert in (False, True):
        cpu.standardize(x, center, variance, 0.5, out=got, invert=invert)
        reference.standardize(x.astype("float64"), center, variance, 0.5, out=expected, invert=invert)
        np.testing.assert_allclose(got, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype] * 4)
        cpu.standardize_grad(x, variance, 0.5, out=got, invert=invert)
        reference.standardize_grad(x.astype("float64"), variance, 0.5, out=expected, invert=invert)
        np.testing.assert_allclose(got, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype])


@needs_compiled
def test_not_a_number_stays():
    x, out = np.array([[np.nan, np.inf, -np.inf]]), np.empty((1, 3))
    cpu.rescale(x, 1.0, 0.0, out=out, low=0, high=1)
    np.testing.assert_array_equal(out, [[np.nan, 1, 0]])


def test_erase_and_clip_grad(rng):
    x = rng.normal(size=(3, 4, 5, 2))
    boxes = np.array([[1, 3, 0, 2], [0, 0, 0, 0], [3, 4, 4, 5]])
    for kernels in (reference, cpu) if compiled() else (reference,):
        for fill in (7.0, [1.0, 2.0], x + 1):
            out, expected = np.empty_like(x), x.copy()
            kernels.erase(x, boxes, fill, out=out)
            expected[0, 1:3, :2] = np.broadcast_to(fill, x.shape)[0, 1:3, :2]
            expected[2, 3, 4] = np.broadcast_to(fill, x.shape)[2, 3, 4]
            np.testing.assert_array_equal(out, expected)
        kernels.clip_grad(np.ones_like(x), x, -0.5, 0.5, out=out)
        np.testing.assert_array_equal(out, np.abs(x) < 0.5)


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits(dtype, rng, same_bits):
    x, dy = rng.standard_normal((5, 40, 50, 3)).astype(dtype), rng.standard_normal((5, 33, 47, 3)).astype(dtype)
    t = maps(5, rng, 20)

    def compute():
        results = [np.empty_like(dy), np.empty_like(x), np.empty_like(x), np.empty_like(x)]
        cpu.affine_sample(x, t, out=results[0], fill_mode="reflect")
        cpu.affine_sample_grad(dy, t, out=results[1], fill_mode="wrap")
        cpu.rescale(x, x[:, :1, :1], x[:, :1, :1], out=results[2], center=0.3, high=1)
        cpu.standardize(x, x[0, 0, 0], abs(x[0, 0]), 1e-3, out=results[3])
        return results

    same_bits(cpu, compute)


@needs_compiled
def test_wrong_calls():
    x, out, t = np.zeros((2, 4, 4, 3)), np.zeros((2, 8, 8, 3)), np.zeros((2, 6))
    with pytest.raises(ValueError, match=r"affine_sample: x must be images .* got \(4, 4\)"):
        cpu.affine_sample(np.zeros((4, 4)), t, out=out)
    with pytest.raises(ValueError, match=r"affine_sample: transforms must have shape \(2, 6\), got \(2, 8\)"):
        cpu.affine_sample(x, np.zeros((2, 8)), out=out)
    with pytest.raises(ValueError, match=r"affine_sample_grad: fill_mode must be one of constant, .* got 'mirror'"):
        cpu.affine_sample_grad(out, t, out=x, fill_mode="mirror")
    with pytest.raises(TypeError, match="transforms must be float64, got float32"):
        cpu.affine_sample(x, t.astype("float32"), out=out)
    with pytest.raises(ValueError, match="nothing can be taken from images of shape"):
        cpu.affine_sample(np.zeros((2, 0, 4, 3)), t, out=out)
    with pytest.raises(ValueError, match=r"rescale: .*scale of shape \(2,\).* must broadcast against x of shape"):
        cpu.rescale(x, np.ones(2), 0.0, out=np.empty_like(x))
    with pytest.raises(ValueError, match=r"erase: boxes must have shape \(2, 4\)"):
        cpu.erase(x, np.zeros((2, 3), int), 0.0, out=np.empty_like(x))
    far = np.array([[1e300, 0, 0, 0, np.nan, -1e300]] * 2)
    cpu.affine_sample(x, far, out=out, fill_mode="reflect")  # places that no integer holds
    assert not out.any()
