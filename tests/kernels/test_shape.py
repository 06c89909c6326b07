"""Moving numbers: the reference against the definition, the cpu's kernels against the reference, every kind of size."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import shape as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import shape as cpu

DTYPES = ["float32", "float64"]
CALLS = [  # kernel, shape of the input, argument, shape of the output
    ("permute", (0, 3, 4), (0, 2, 1), (0, 4, 3)),
    ("permute", (3, 1, 5), (0, 2, 1), (3, 5, 1)),
    ("permute", (2, 33, 65), (0, 2, 1), (2, 65, 33)),
    ("permute", (2, 3, 70, 9), (0, 2, 3, 1), (2, 70, 9, 3)),
    ("permute", (4, 7, 5, 3), (2, 3, 0, 1), (5, 3, 4, 7)),
    ("permute", (2, 3, 4, 2, 3, 5), (5, 0, 4, 1, 3, 2), (5, 2, 3, 3, 2, 4)),
    ("crop", (2, 9, 5), ((2, 3),), (2, 4, 5)),
    ("crop", (3, 7, 8, 3), ((0, 0), (1, 2)), (3, 7, 5, 3)),
    ("crop", (2, 300, 40, 17), ((1, 0), (0, 1)), (2, 299, 39, 17)),
    ("crop", (1, 4, 5, 6, 2), ((1, 1), (2, 0), (0, 3)), (1, 2, 3, 3, 2)),
    ("pad", (2, 4, 5), ((2, 3),), (2, 9, 5)),
    ("pad", (3, 7, 5, 3), ((0, 0), (1, 2)), (3, 7, 8, 3)),
    ("pad", (2, 299, 39, 17), ((1, 0), (0, 1)), (2, 300, 40, 17)),
    ("pad", (1, 2, 3, 3, 2), ((1, 1), (2, 0), (0, 3)), (1, 4, 5, 6, 2)),
    ("pad", (0, 2, 3), ((1, 1),), (0, 4, 3)),
    ("repeat", (2, 4, 5), (3,), (2, 12, 5)),
    ("repeat", (2, 5, 4, 1), (2, 3), (2, 10, 12, 1)),
    ("repeat", (2, 50, 40, 17), (2, 2), (2, 100, 80, 17)),
    ("repeat", (1, 2, 3, 4, 3), (2, 1, 4), (1, 4, 3, 16, 3)),
    ("repeat", (0, 2, 3), (2,), (0, 4, 3)),
    ("repeat_grad", (2, 12, 5), (3,), (2, 4, 5)),
    ("repeat_grad", (2, 10, 12, 1), (2, 3), (2, 5, 4, 1)),
    ("repeat_grad", (3, 20, 30, 67), (4, 3), (3, 5, 10, 67)),
    ("repeat_grad", (2, 100, 80, 17), (2, 2), (2, 50, 40, 17)),
    ("repeat_grad", (1, 4, 3, 16, 3), (2, 1, 4), (1, 2, 3, 4, 3)),
    ("repeat_grad", (0, 4, 3), (2,), (0, 2, 3)),
]


def test_reference():
    x = np.arange(6.0).reshape(1, 2, 3)
    out = np.empty((1, 3, 2))
    reference.permute(x, (0, 2, 1), out=out)
    assert out.tolist() == [[[0, 3], [1, 4], [2, 5]]]
    out = np.empty((1, 1, 3))
    reference.crop(x, ((1, 0),), out=out)
    assert out.tolist() == [[[3, 4, 5]]]
    out = np.empty((1, 3, 5))
    reference.pad(x, ((0, 1), (1, 1)), out=out)
    assert out.tolist() == [[[0, 0, 1, 2, 0], [0, 3, 4, 5, 0], [0, 0, 0, 0, 0]]]
    out = np.empty((1, 4, 3))
    reference.repeat(x, (2,), out=out)
    assert out.tolist() == [[[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]]]
    small = np.empty((1, 2, 1))
    reference.repeat_grad(x, (1, 3), out=small)
    assert small.tolist() == [[[3], [12]]]


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "given", "argument", "made"), CALLS)
def test_cpu(kernel, given, argument, made, dtype, rng):
    x = rng.standard_normal(given).astype(dtype)
    expected, out = np.full(made, np.nan), np.full(made, np.nan, dtype)
    getattr(reference, kernel)(x.astype("float64"), argument, out=expected)
    getattr(cpu, kernel)(x, argument, out=out)
    if kernel == "repeat_grad":
        np.testing.assert_allclose(out, expected, rtol=0, atol={"float32": 1e-5, "float64": 1e-13}[dtype])
    else:
        np.testing.assert_array_equal(out, expected.astype(dtype))


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits(dtype, rng, same_bits):
    x = rng.standard_normal((5, 24, 36, 30)).astype(dtype)

    def compute():
        results = []
        for kernel, argument, shape in (
            ("permute", (0, 3, 1, 2), (5, 30, 24, 36)),
            ("pad", ((1, 2), (0, 3)), (5, 27, 39, 30)),
            ("crop", ((1, 2), (0, 3)), (5, 21, 33, 30)),
            ("repeat", (2, 3), (5, 48, 108, 30)),
            ("repeat_grad", (3, 4), (5, 8, 9, 30)),
        ):
            results.append(np.empty(shape, dtype))
            getattr(cpu, kernel)(x, argument, out=results[-1])
        return results

    same_bits(cpu, compute)
