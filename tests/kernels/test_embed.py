"""Embedding: the reference against the definition, the compiled kernels against the reference."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import embed as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import embed as cpu

DTYPES = ["float32", "float64"]
SIZES = [
    ((0,), 3, 4),
    ((5,), 1, 1),
    ((4, 3), 7, 9),
    ((700,), 5, 64),
    ((3, 90), 1000, 65),
    ((33,), 40, 200),
    ((9,), 6, 0),
]


def test_reference():
    table, ids = np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([2, 0, 2])
    out = np.empty((3, 2))
    reference.embedding(ids, table, out=out)
    assert out.tolist() == [[5, 6], [1, 2], [5, 6]]
    reference.embedding_grad(np.array([[1.0, 2], [3, 4], [5, 6]]), ids, out=out)
    assert out.tolist() == [[3, 4], [0, 0], [6, 8]]
    mask = np.empty(3, bool)
    reference.not_zero(ids, out=mask)
    assert mask.tolist() == [True, False, True]


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["int32", "int64"])
@pytest.mark.parametrize(("shape", "rows", "width"), SIZES)
def test_cpu(shape, rows, width, kind, dtype, rng):
    ids = rng.integers(0, rows, shape).astype(kind)
    table, dy = rng.standard_normal((rows, width)).astype(dtype), rng.standard_normal((*shape, width)).astype(dtype)
    expected, out = np.empty_like(dy), np.full_like(dy, np.nan)
    reference.embedding(ids, table, out=expected)
    cpu.embedding(ids, table, out=out)
    np.testing.assert_array_equal(out, expected)
    expected, out = np.empty_like(table), np.full_like(table, np.nan)
    reference.embedding_grad(dy, ids, out=expected)
    cpu.embedding_grad(dy, ids, out=out)
    np.testing.assert_array_equal(out, expected)  # one order, so the same bits
    mask = np.empty(shape, bool)
    cpu.not_zero(ids, out=mask)
    np.testing.assert_array_equal(mask, ids != 0)


@needs_compiled
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits(dtype, rng, same_bits):
    tables = [rng.standard_normal((300, width)).astype(dtype) for width in (33, 130, 400)]
    ids = np.minimum(rng.geometric(0.05, (40, 50)), 299).astype("int32")  # some far more often than others

    def compute():
        results = []
        for table in tables:
            y, grad = np.empty((*ids.shape, table.shape[1]), dtype), np.empty_like(table)
            cpu.embedding(ids, table, out=y)
            cpu.embedding_grad(y, ids, out=grad)
            results += [y, grad]
        return results

    same_bits(cpu, compute)


@needs_compiled
def test_wrong_calls():
    table, ids, out = np.zeros((3, 2), "float32"), np.array([[0, 1], [2, 3]]), np.zeros((2, 2, 2), "float32")
    for kernels in (cpu, reference):
        with pytest.raises(IndexError, match=r"embedding: ids\[1, 1\] is 3, expected 0 to 2"):
            kernels.embedding(ids, table, out=out)
        with pytest.raises(IndexError, match=r"embedding_grad: ids\[0, 0\] is -1, expected 0 to 2"):
            kernels.embedding_grad(out, ids - 1, out=table)
    with pytest.raises(ValueError, match=r"embedding: out must have shape \(2, 2, 2\), got \(2, 2\)"):
        cpu.embedding(ids, table, out=out[0])
    with pytest.raises(TypeError, match="embedding: ids must be int32 or int64, got float64; convert it by astype"):
        cpu.embedding(ids.astype(float), table, out=out)
    with pytest.raises(TypeError, match="embedding: out must be float32, got float64"):
        cpu.embedding(ids, table, out=out.astype(float))
