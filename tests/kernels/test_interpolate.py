"""Images resized: taps against their definition, the reference against a matrix, the cpu's kernels against that."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import interpolate as reference
from npdl.kernels.taps import METHODS, taps

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import interpolate as cpu

SHAPES = [  # (N, H, W, C), (H', W')
    ((2, 5, 7, 3), (10, 21)), ((1, 9, 8, 17), (4, 3)), ((3, 1, 1, 2), (5, 4)), ((2, 40, 30, 33), (81, 60)),
    ((2, 20, 17, 5), (7, 40)), ((1, 33, 90, 1), (33, 11)), ((0, 3, 4, 2), (6, 8)), ((1, 300, 2, 16), (7, 2)),
]  # fmt: skip


def matrix(t):
    """out = matrix @ x"""
    full = np.zeros((t.places, t.size))
    for i in range(t.places):
        for p in range(t.start[i], t.start[i + 1]):
            full[i, t.place[p]] += t.weight[p]
    return full


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("size", "places"), [(5, 5), (1, 4), (4, 1), (7, 3), (3, 7), (10, 25), (64, 16)])
def test_taps(size, places, method, antialias):
    full = matrix(taps(size, places, method, antialias))
    np.testing.assert_allclose(full.sum(axis=1), 1, rtol=1e-14)  # a constant image stays what it is
    if method != "nearest":  # which has to choose between two equally near
        np.testing.assert_allclose(full, full[::-1, ::-1], atol=1e-14)
    if size == places:
        np.testing.assert_array_equal(full, np.eye(size))
    np.testing.assert_array_equal(matrix(taps(size, places, method, antialias).transposed()), full.T)


def test_taps_of_known_cases():
    np.testing.assert_allclose(matrix(taps(2, 4, "bilinear")), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_array_equal(matrix(taps(3, 2, "nearest")), [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(matrix(taps(3, 2, "area")), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    np.testing.assert_allclose(matrix(taps(4, 2, "bilinear")), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(
        matrix(taps(4, 2, "bilinear", antialias=True)) * 7, [[3, 3, 1, 0], [0, 1, 3, 3]], atol=1e-14
    )
    np.testing.assert_allclose(matrix(taps(4, 2, "bicubic"))[0] * 17, [9, 9, -1, 0], atol=1e-14)


@pytest.mark.parametrize("a", [3, 5])
def test_lanczos(a):
    """Its definition by NumPy's sinc; stretched where there are fewer places."""
    for size, places, wide in ((20, 33, 1.0), (33, 20, 33 / 20)):
        offset = (np.arange(size) - ((np.arange(places)[:, None] + 0.5) * size / places - 0.5)) / wide
        weight = np.where(np.abs(offset) < a, np.sinc(offset) * np.sinc(offset / a), 0)
        weight /= weight.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(matrix(taps(size, places, f"lanczos{a}", True)), weight, atol=1e-14)


def test_windows():
    """A part of x, and a frame around it, in which there are zeros."""
    inner = matrix(taps(6, 4, "bilinear", window=(2, 3)))
    np.testing.assert_array_equal(inner[:, 2:5], matrix(taps(3, 4, "bilinear")))
    assert not inner[:, [0, 1, 5]].any()
    framed = matrix(taps(3, 4, "bicubic", window=(-2, 6)))
    np.testing.assert_array_equal(framed, matrix(taps(6, 4, "bicubic"))[:, 2:5])
    assert taps(3, 6, "nearest", window=(-3, 6)).start.tolist() == [0, 0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize(("shape", "made"), SHAPES[:4])
@pytest.mark.parametrize("method", METHODS)
def test_reference(shape, made, method, rng):
    x, (n, _, _, c) = rng.normal(size=shape), shape
    rows, columns = (taps(*both, method) for both in zip(shape[1:3], made))
    y, dx = np.full((n, *made, c), np.nan), np.full(shape, np.nan)
    reference.interpolate(x, rows, columns, out=y)
    np.testing.assert_allclose(y, np.einsum("ih,jw,nhwc->nijc", matrix(rows), matrix(columns), x), atol=1e-12)
    dy = rng.normal(size=y.shape)
    reference.interpolate_grad(dy, rows, columns, out=dx)
    np.testing.assert_allclose(dx, np.einsum("ih,jw,nijc->nhwc", matrix(rows), matrix(columns), dy), atol=1e-12)


@needs_compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "made"), SHAPES)
def test_cpu(shape, made, dtype, rng):
    n, c = shape[0], shape[3]
    for method in METHODS:
        rows, columns = (taps(*both, method) for both in zip(shape[1:3], made))
        for kernel, given, out in (("interpolate", shape, (n, *made, c)), ("interpolate_grad", (n, *made, c), shape)):
            x = rng.normal(size=given).astype(dtype)
            got, expected = np.full(out, np.nan, dtype), np.full(out, np.nan)
            getattr(cpu, kernel)(x, rows, columns, out=got)
            getattr(reference, kernel)(x.astype("float64"), rows, columns, out=expected)
            scale = 1 + np.max(np.abs(expected), initial=0)
            np.testing.assert_allclose(got, expected, rtol=0, atol={"float32": 1e-6, "float64": 1e-14}[dtype] * scale)


@needs_compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits(dtype, rng, same_bits):
    x, dy = rng.standard_normal((5, 21, 36, 19)).astype(dtype), rng.standard_normal((5, 42, 30, 19)).astype(dtype)
    rows, columns = taps(21, 42, "bicubic"), taps(36, 30, "bilinear", True)

    def compute():
        y, dx = np.empty_like(dy), np.empty_like(x)
        cpu.interpolate(x, rows, columns, out=y)
        cpu.interpolate_grad(dy, rows, columns, out=dx)
        return [y, dx]

    same_bits(cpu, compute)
    y, alone = np.empty_like(dy), np.empty_like(dy[:1])
    cpu.interpolate(x, rows, columns, out=y)
    cpu.interpolate(x[3:4], rows, columns, out=alone)
    np.testing.assert_array_equal(y[3:4], alone)


@needs_compiled
def test_wrong_calls():
    x, out, t = np.zeros((2, 4, 4, 3)), np.zeros((2, 8, 8, 3)), taps(4, 8, "bilinear")
    with pytest.raises(ValueError, match=r"interpolate: x must be images .* got shape \(4, 4\)"):
        cpu.interpolate(np.zeros((4, 4)), t, t, out=out)
    with pytest.raises(ValueError, match=r"interpolate: out must have shape \(2, 8, 8, 3\), got"):
        cpu.interpolate(x, t, t, out=x)
    with pytest.raises(ValueError, match=r"interpolate_grad: dy must have shape \(2, 8, 8, 3\), got"):
        cpu.interpolate_grad(x, t, t, out=out)
    for wrong in (t._replace(place=t.place + 1), t._replace(start=t.start[::-1].copy())):
        with pytest.raises(ValueError, match="interpolate: rows are no taps from 4 places to 8"):
            cpu.interpolate(x, wrong, t, out=out)
