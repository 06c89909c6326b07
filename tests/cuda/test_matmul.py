"""Products' epilogues, sums over rows and merging on the stand-in against the reference."""

import numpy as np
import pytest

from npdl import activations
from npdl.devices.cuda.device import CudaDevice
from npdl.devices.cuda.stand_in import StandIn
from npdl.kernels.cuda import activation, matmul, merge

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
    if activation is activations.gelu:
        outs["slope"] = (2, 5, 10)
    more = {"add": floats(2, 5, 10), "times": floats(2, 5, 10)}
    compare("matmul", "matmul", a, b, out=outs, bias=bias, activation=activation, rtol=1e-5, atol=1e-5, **more)


def test_sums_beside_a_product(compare):
    compare("matmul", "matmul", floats(9, 4), floats(9, 35), out={"out": (4, 35), "sums": (35,)}, transpose_a=True)


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


def test_an_epilogue_is_one_launch():
    """Bias, activation and its slope behind a product; a sum of two with its activation."""
    device = CudaDevice("stand-in", None, StandIn())
    x, w, bias, out, slope = (device.from_host(floats(*shape)) for shape in ((3, 4), (4, 5), (5,), (3, 5), (3, 5)))
    matmul.matmul(x, w, out=out, bias=bias, activation=activations.relu, slope=slope)
    assert device.driver.launched == {"epilogue": 1}
    merge.add(out, slope, out=out, activation=activations.relu)
    assert device.driver.launched == {"epilogue": 2}


@pytest.mark.parametrize(
    "message, call",
    (
        (r"add: b must have shape \(4,\), got \(8,\)", lambda o: merge.add(o(4), o(8), out=o(4))),
        (r"maximum: out must have", lambda o: merge.maximum(o(4), o(4), out=o(2, 2))),
        (r"match_grad: rest must have", lambda o: merge.match_grad(o(4), o(4), o(4), out=o(4), rest=o(3))),
        (r"put_part: out of shape \(2, 4\) has no 3 places", lambda o: merge.put_part(o(2, 3), 1, 2, out=o(2, 4))),
        (r"take_part: out must have", lambda o: merge.take_part(o(2, 3), 1, 0, out=o(1, 3))),
        (r"matmul: bias must have", lambda o: matmul.matmul(o(2, 3), o(3, 4), out=o(2, 4), bias=o(9))),
        (r"matmul: out must have", lambda o: matmul.matmul(o(2, 3), o(3, 4), out=o(3, 4))),
        (r"matmul: a and b must agree", lambda o: matmul.matmul(o(2, 3), o(3, 4), out=o(3, 4), transpose_a=True)),
        (r"sum_rows: out must have", lambda o: matmul.sum_rows(o(5, 3), out=o(7))),
        (r"activation: out must have", lambda o: activation.activation(o(4), activations.relu, out=o(8))),
        (r"activation_grad: saved", lambda o: activation.activation_grad(o(4), o(3), activations.relu, out=o(4))),
        (r"glu: out must have", lambda o: activation.glu(o(2, 4), 1, out=o(2, 4))),
        (r"glu_grad: axis 1 of x must have an even", lambda o: activation.glu_grad(o(2, 1), o(2, 3), 1, out=o(2, 3))),
        (r"prelu: alpha must have", lambda o: activation.prelu(o(2, 4), o(3), out=o(2, 4))),
        (r"prelu_grad: dx must have", lambda o: activation.prelu_grad(o(4), o(4), o(), dx=o(3), dalpha=o(4))),
    ),
)
def test_wrong_shapes(device, message, call):
    with pytest.raises(ValueError, match=message):
        call(lambda *shape: device.from_host(np.ones(shape, "float32")))
