"""Powers, penalties and constraints on the stand-in against the reference."""

import numpy as np
import pytest

from npdl import constraints, regularizers
from npdl.kernels.cuda import power, regularize

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


@pytest.mark.parametrize("exponent", (1, 2, 0.5, 3, -0.75))
def test_power(compare, exponent):
    x, dy = floats(3, 100), floats(3, 100)
    if exponent > 0:
        x[0, :2] = 0
    compare("power", "power", x, exponent, out={"out": x.shape}, rtol=1e-5)
    compare("power", "power_grad", dy, x, exponent, out={"out": x.shape}, rtol=1e-5)


@pytest.mark.parametrize("shape", ((3, 5), (200, 60), (9000, 2)), ids=str)
@pytest.mark.parametrize(
    "fn",
    (
        regularizers.L1L2(0.1, 0.03),
        regularizers.OrthogonalRegularizer(0.5),
        regularizers.OrthogonalRegularizer(0.5, mode="columns"),
    ),
    ids=repr,
)
def test_penalties(compare, fn, shape):
    if shape[0] == 9000 and getattr(fn, "mode", "columns") == "rows":
        shape = shape[::-1]
    x = floats(*shape)
    x[0, 0] = 0
    compare("regularize", "penalty", x, fn, out={"out": np.zeros(1)}, rtol=1e-6)
    for scale in (1.0, 0.25):
        start = floats(*shape)
        compare("regularize", "penalty_grad", x, fn, out={"out": start}, scale=scale, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "fn",
    (
        constraints.NonNeg(), constraints.MaxNorm(1.5), constraints.UnitNorm(axis=[0, 2]),
        constraints.MinMaxNorm(0.5, 1.5, rate=0.7, axis=1),
    ),
    ids=repr,
)  # fmt: skip
def test_constraints(compare, device, fn):
    w = floats(7, 5, 3)
    compare("regularize", "constrain", w, fn, out={"out": w.shape}, rtol=1e-5)
    here = device.from_host(w)
    regularize.constrain(here, fn, out=here)
    np.testing.assert_allclose(device.to_host(here), fn(w), rtol=1e-5, atol=1e-6)


def test_rules_of_your_own_are_refused(device):
    class Mine(regularizers.L2):
        def __call__(self, x):
            return 1.0

    class Other(constraints.NonNeg):
        def __call__(self, w):
            return w

    x, total = device.zeros((2, 2), "float32"), device.zeros((1,), "float64")
    with pytest.raises(TypeError, match=r"regularizer of your own, in NumPy.*model.to\('cpu'\)"):
        regularize.penalty(x, Mine(), out=total)
    with pytest.raises(TypeError, match=r"constraint of your own, in NumPy.*model.to\('cpu'\)"):
        regularize.constrain(x, Other(), out=x)


def test_wrong_shapes(device):
    def x(*shape):
        return device.zeros(shape, "float32")

    for message, call in (
        (r"power: out must have shape \(2,\), got \(3,\)", lambda: power.power(x(2), 3, out=x(3))),
        (r"power_grad: dy must have", lambda: power.power_grad(x(3), x(2), 3, out=x(2))),
        (r"penalty: out must have shape \(1,\)", lambda: regularize.penalty(x(2), regularizers.L2(), out=x(2))),
        (r"penalty_grad: out must", lambda: regularize.penalty_grad(x(2), regularizers.L2(), out=x(3))),
        (r"constrain: out must", lambda: regularize.constrain(x(2), constraints.NonNeg(), out=x(3))),
    ):
        with pytest.raises(ValueError, match=message):
            call()
