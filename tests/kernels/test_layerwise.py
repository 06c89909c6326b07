"""Sums over tensors, LAMB and Adafactor: compiled against reference, threads, wrong calls."""

import numpy as np
import pytest

import npdl
from npdl.kernels.cpu import layerwise as cpu
from npdl.kernels.cpu.update import BLOCK
from npdl.kernels.reference import layerwise as reference

SIZES = [1, 7, 8, 9, 0, 100, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 13]
DTYPES = ("float32", "float64")


def many_segments():
    rows, start = [], 3
    for i, size in enumerate(SIZES):
        rows.append((start, start + size, 1 / (i + 1), 0.01 * (i % 3), i != 5))
        start += size + i % 4
    return np.array(rows, np.float64), start + 5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", ("dot", "sum_abs", "max_abs"))
def test_sums(rng, kernel, dtype):
    segments, n = many_segments()
    arrays = [rng.standard_normal(n).astype(dtype) for _ in range(2 if kernel == "dot" else 1)]
    want, results = np.ones(len(segments)), []
    getattr(reference, kernel)(*arrays, segments, out=want)
    assert want[4] == want[5] == 0  # empty, frozen
    for threads in (1, 2, 3):
        npdl.set_num_threads(threads)
        got = np.ones(len(segments))
        getattr(cpu, kernel)(*arrays, segments, out=got)
        results.append(got)
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("together", (0, 1))
def test_clip_norm(rng, together):
    segments, n = many_segments()
    start = rng.standard_normal(n)
    norms = np.array([np.linalg.norm(start[int(a) : int(b)]) * on for a, b, _, _, on in segments])
    limit = np.sqrt((norms**2).sum()) / 2 if together else norms[5:].mean()
    for dtype in DTYPES:
        results = []
        for kernels in (reference, cpu):
            g = start.astype(dtype)
            kernels.clip_norm(g, segments, np.array([limit, together]))
            results.append(g)
            for (a, b, *_, on), norm in zip(segments, norms, strict=True):
                wanted = start[int(a) : int(b)] * (0.5 if together and on else min(1, limit / norm) if norm else 1)
                np.testing.assert_allclose(g[int(a) : int(b)], wanted, rtol=1e-5)
        np.testing.assert_allclose(*results, rtol=1e-6)  # the order of the sums differs
        untouched = np.ones(n, bool)
        for a, b, *_ in segments:
            untouched[int(a) : int(b)] = False
        np.testing.assert_array_equal(results[1][untouched], start.astype(dtype)[untouched])


@pytest.mark.parametrize("kernels", (reference, cpu))
def test_sums_of_whole_numbers_are_exact(kernels):
    x, out = np.arange(-5.0, 6), np.zeros(1)
    segments = np.array([[1, 10, 1, 0, 1.0]])
    for kernel, arrays, want in (("dot", (x, x), 60), ("sum_abs", (x,), 20), ("max_abs", (x,), 4)):
        getattr(kernels, kernel)(*arrays, segments, out=out)
        assert out[0] == want


@pytest.mark.parametrize("kernels", (reference, cpu))
def test_wrong_sums(kernels):
    x, segments = np.ones(4), np.array([[0, 4, 1, 0, 1.0]])
    with pytest.raises(ValueError, match=r"dot: y must be flat and as long as p, \(4,\), got shape \(3,\)"):
        kernels.dot(x, np.ones(3), segments, out=np.zeros(1))
    with pytest.raises(
        ValueError, match=r"max_abs: out must be a writeable .* float64 of shape \(1,\), .* got float32"
    ):
        kernels.max_abs(x, segments, out=np.zeros(1, "float32"))
    with pytest.raises(ValueError, match=r"sum_abs: segment 0 must lie in p\[0:4\]"):
        kernels.sum_abs(x, np.array([[0, 5, 1, 0, 1.0]]), out=np.zeros(1))


def lamb(kernels, arrays, g, segments, t):
    hyper = np.array([0.1, 0.9, 0.99, 1 - 0.9**t, 1 - 0.99**t, 1e-6, t % 2])
    kernels.lamb(arrays[0], g, *arrays[1:], segments, hyper)


SHAPES = np.array([[1, 0, 21, 0], [1, 5, 7, 21], [3, 4, 2, 33], [1, 0, 0, 51], [1, 300, 130, 51], [1, 6, 6, 481]])


def adafactor_segments():
    rows, start = [], 2
    for i, (count, height, width, _) in enumerate(SHAPES.tolist()):
        size = count * max(height, 1) * width
        rows.append((start, start + size, 1 / (i + 1), 0.01 * (i % 3), i != 5))
        start += size + i % 3
    return np.array(rows, np.float64), start + 1


def adafactor(kernels, arrays, g, segments, t):
    hyper = np.array([0.1, min(0.1, t**-0.5), t**-0.8, 1e-7, 1e-3, 1.0])
    kernels.adafactor(arrays[0], g, arrays[1], SHAPES, segments, hyper)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("step", "make", "state"), ((lamb, many_segments, (None, None)), (adafactor, adafactor_segments, (493,)))
)
def test_steps(rng, step, make, state, dtype):
    segments, n = make()
    start = [rng.standard_normal(n).astype(dtype), *(np.zeros(size or n, dtype) for size in state)]
    gradients = [rng.standard_normal(n).astype(dtype) for _ in range(3)]
    results = []
    for kernels, threads in ((reference, 1), (cpu, 1), (cpu, 2), (cpu, 3)):
        npdl.set_num_threads(threads)
        arrays = [array.copy() for array in start]
        for t, g in enumerate(gradients, 1):
            step(kernels, arrays, g, segments, t)
        results.append(arrays)
    trained = np.zeros(n, bool)
    for begin, stop, _, _, trainable in segments:
        trained[int(begin) : int(stop)] = trainable
    for want, got, two, three, before in zip(*results, start):
        np.testing.assert_allclose(got, want, rtol=100 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(got, two)
        np.testing.assert_array_equal(got, three)
        if len(got) == n:
            np.testing.assert_array_equal(got[~trained], before[~trained])
            assert (got[trained] != before[trained]).mean() > 0.99


@pytest.mark.parametrize("kernels", (reference, cpu))
def test_lamb_of_zeros_takes_the_step_as_it_is(kernels):
    for p, g, want in ((np.zeros(3), np.ones(3), -0.1 / (1 + 1e-6)), (np.ones(3), np.zeros(3), 1.0)):
        m, v, p = np.zeros(3), np.zeros(3), p.copy()
        kernels.lamb(p, g, m, v, np.array([[0, 3, 1, 0, 1.0]]), np.array([0.1, 0.9, 0.99, 0.1, 0.01, 1e-6, 0]))
        np.testing.assert_allclose(p, want, rtol=1e-12)


@pytest.mark.parametrize("kernels", (reference, cpu))
def test_wrong_adafactor(kernels):
    p, hyper, segments = np.ones(6), np.array([0.1, 0.1, 0.5, 1e-7, 1e-3, 1.0]), np.array([[0, 6, 1, 0, 1.0]])
    for factors, shapes, error, message in (
        (np.zeros(5), [[1, 2, 2, 0]], ValueError, r"1 matrices 2 by 2 do not fill p\[0:6\]"),
        (np.zeros(5), [[1, 2, 3, 1]], ValueError, "their 5 numbers from 1 on lie outside factors of 5"),
        (np.zeros(5, "float32"), [[1, 2, 3, 0]], TypeError, "factors must be flat, contiguous and float64 like p"),
        (
            np.zeros(5),
            [[1.0, 2, 3, 0]],
            ValueError,
            r"shapes must be C-contiguous int64 of shape \(1, 4\), got float64",
        ),
    ):
        with pytest.raises(error, match=message):
            kernels.adafactor(p, p, factors, np.array(shapes), segments, hyper)
