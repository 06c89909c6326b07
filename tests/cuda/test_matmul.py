"""Products' epilogues, sums over rows and merging on the stand-in against the reference."""

import numpy as np
import pytest

from npdl import activations

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


@pytest.mark.parametrize("transpose_a, transpose_b", ((0, 0), (1, 0), (0, 1), (1, 1)))
def test_transposes(compare, transpose_a, transpose_b):
    a, b = floats(*((7, 33) if transpose_a else (33, 7))), floats(*((65, 7) if transpose_b else (7, 65)))
    turned = {"transpose_a": bool(transpose_a), "transpose_b": bool(transpose_b)}
    compare("matmul", "matmul", a, b, out={"out": (33, 65)}, rtol=1e-5, **turned)


@pytest.mark.parametrize("activation", (None, activations.relu, activations.gelu, activations.softmax))
def test_epilogue(compare, activation):
    a, b, bias = floats(2, 5, 12), floats(12, 10), floats(10)
    outs = {"out": (2, 5, 10), "z": (2, 5, 10)}
    compare("matmul", "matmul", a, b, out=outs, bias=bias, activation=activation, rtol=1e-5)


@pytest.mark.parametrize("rows", (0, 1, 7, 256, 257, 5000))
@pytest.mark.parametrize("width", (1, 31, 100))
def test_sum_rows(compare, rows, width):
    compare("matmul", "sum_rows", floats(rows, width), out={"out": (width,)}, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ("add", "subtract", "multiply", "maximum", "minimum"))
def test_pairs(compare, name):
    a, b = floats(3, 700), floats(3, 700)
    a[0, :3], b[0, 2:5] = np.nan, np.nan
    compare("merge", name, a, b, out={"out": a.shape})


def test_parts(compare):
    x, whole = floats(4, 3, 5), floats(4, 7, 5)
    compare("merge", "put_part", x, 1, 2, out={"out": whole})
    compare("merge", "take_part", whole, 1, 3, out={"out": (4, 3, 5)})
    compare("merge", "take_part", whole, 2, 4, out={"out": (4, 7, 1)})
    compare("merge", "match_grad", x, floats(4, 3, 5), x, out={"out": x.shape, "rest": x.shape})
    compare("merge", "scale", x, 0.3, out={"out": x.shape})
