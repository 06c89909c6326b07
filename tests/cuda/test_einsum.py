"""Products of axes with letters, and sums along axes, on the stand-in against the reference."""

import numpy as np
import pytest

from npdl.kernels.cuda import einsum as kernels

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


SIZES = {"a": 3, "b": 17, "c": 5, "d": 2, "e": 16, "n": 9}


@pytest.mark.parametrize(
    "equation",
    (
        "ab,bc->ac", "abe,ed->abd", "ba,bc->ac", "ab,cb->ac",  # as they lie
        "dab,dbc->dac", "nab,nbc->nac",  # two products, nine
        "abc,ecd->abed", "abc,abed->ecd", "abc,acd->abd", "ba,c->cab", "abc,abc->abc", "abc,abc->b",
    ),
)  # fmt: skip
def test_einsum(compare, equation):
    left, right, out = (tuple(SIZES[x] for x in part) for part in equation.replace("->", ",").split(","))
    a, b = floats(*left), floats(*right)
    compare("einsum", "einsum", a, b, equation, out={"out": out}, rtol=1e-5, atol=1e-5)
    for bias in (floats(*out[-1:]), floats(*out), floats(*(1 if i else n for i, n in enumerate(out)))):
        compare("einsum", "einsum", a, b, equation, out={"out": out}, bias=bias, rtol=1e-5, atol=1e-5)


def test_nothing_to_sum(compare):
    compare("einsum", "einsum", floats(3, 0), floats(0, 4), "ab,bc->ac", out={"out": (3, 4)})
    compare("einsum", "einsum", floats(0, 2), floats(2, 4), "ab,bc->ac", out={"out": (0, 4)})


@pytest.mark.parametrize(
    "shape, out",
    (
        ((4, 5), (5,)), ((4, 5), (4, 1)), ((4, 5), (1, 1)), ((4, 5), ()), ((4, 5), (4, 5)), ((300, 7, 3), (7, 3)),
        ((6, 7, 8), (6, 1, 8)), ((6, 7, 8), (1, 7, 1)), ((2, 700), (2, 1)), ((0, 3), (3,)), ((3, 1, 2), (1, 1, 2)),
    ),
    ids=str,
)  # fmt: skip
def test_sum_to(compare, shape, out):
    compare("einsum", "sum_to", floats(*shape), out={"out": out}, rtol=1e-5, atol=1e-5)


def test_wrong_shapes(device):
    def x(*shape):
        return device.zeros(shape, "float32")

    for message, call in (
        (r"einsum: out must have shape \(2, 4\)", lambda: kernels.einsum(x(2, 3), x(3, 4), "ab,bc->ac", out=x(4, 2))),
        (r"einsum: a must have", lambda: kernels.einsum(x(2, 3), x(4, 4), "ab,bc->ac", out=x(2, 4))),
        (r"einsum: each letter must be in two", lambda: kernels.einsum(x(2, 3), x(3), "ab,b->", out=x())),
        (
            r"sum_to: out of shape \(3,\) does not broadcast to x of shape \(2, 4\)",
            lambda: kernels.sum_to(x(2, 4), out=x(3)),
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
