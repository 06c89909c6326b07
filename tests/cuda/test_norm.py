"""Batch, group and row normalization on the stand-in against the reference."""

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cuda import group_norm, layer_norm, norm
from npdl.kernels.cuda.channels import tiling

RNG = np.random.default_rng(0)
EPSILON = 1e-3
NEAR = {"rtol": 1e-5, "atol": 1e-5}


def floats(*shape, shift=0.0):
    return (RNG.standard_normal(shape) + shift).astype("float32")


def moments(x):
    rows = x.reshape(-1, x.shape[-1]).astype("float64")
    return rows.mean(axis=0).astype("float32"), rows.var(axis=0).astype("float32")


def test_parts_follow_the_shape():
    assert tiling(128, 32) == (5, 1, 128, 1)
    assert tiling(129, 33) == (5, 2, 65, 2)
    assert tiling(5, 1) == (0, 1, 5, 1)
    _, tiles, part, parts = tiling(3_000_000, 64)
    assert tiles * parts <= 1056 and (parts - 1) * part < 3_000_000 <= parts * part
    assert tiling(10**8, 3, each=8, most=65535)[3] <= 65535


@pytest.mark.parametrize("shape", ((1, 1), (7, 3), (2, 67, 2, 33), (513, 32), (300, 100), (5000, 1)), ids=str)
def test_batch_norm(compare, shape):
    x, dy, channels = floats(*shape, shift=3), floats(*shape), shape[-1:]
    gamma, beta = floats(*channels, shift=1), floats(*channels)
    mean, variance = moments(x)
    compare("norm", "batch_norm_statistics", x, out={"mean": channels, "variance": channels}, **NEAR)
    compare("norm", "batch_norm", x, mean, variance, gamma, beta, EPSILON, out={"out": shape}, **NEAR)
    outs = {"dx": shape, "dgamma": channels, "dbeta": channels}
    size = {"rtol": 1e-5, "atol": 1e-5 * np.sqrt(x.size / channels[0])}
    for name in ("batch_norm_grad", "batch_norm_frozen_grad"):
        compare("norm", name, dy, x, mean, variance, gamma, EPSILON, out=outs, **size)


@pytest.mark.parametrize("name", ("batch_norm_grad", "batch_norm_frozen_grad"))
def test_batch_norm_behind_relu(compare, name):
    shape, channels = (3, 50, 9), (9,)
    x, dy, shortcut = floats(*shape, shift=-1), floats(*shape), floats(*shape)
    gamma, beta = floats(9), floats(9)
    mean, variance = moments(x)
    given = (x, mean, variance, gamma, beta, EPSILON)
    compare("norm", "batch_norm", *given, out={"out": shape}, activation=activations.relu, **NEAR)
    both = {"activation": activations.relu, "shortcut": shortcut}
    compare("norm", "batch_norm", *given, out={"out": shape}, **both, **NEAR)
    outs = {"dx": shape, "dgamma": channels, "dbeta": channels}
    given = (dy, x, mean, variance, gamma, EPSILON)
    compare("norm", name, *given, out=outs, beta=beta, activation=activations.relu, rtol=1e-5, atol=1e-4)
    y = np.maximum(shortcut, 0)
    compare("norm", name, *given, out={**outs, "dz": shape}, beta=beta, y=y, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ("batch_norm_grad", "batch_norm_frozen_grad"))
def test_batch_norm_in_part(compare, name):
    """Without γ and β, with some of the gradients, and of no rows."""
    x, dy = floats(20, 5), floats(20, 5)
    mean, variance = moments(x)
    compare("norm", "batch_norm", x, mean, variance, None, None, EPSILON, out={"out": x.shape}, **NEAR)
    for outs in ({"dx": x.shape}, {"dgamma": (5,)}, {"dbeta": (5,)}, {}):
        compare("norm", name, dy, x, mean, variance, None, EPSILON, out=outs, **NEAR)
    outs = {"dx": (0, 5), "dgamma": (5,), "dbeta": (5,)}
    compare("norm", name, floats(0, 5), floats(0, 5), mean, variance, None, EPSILON, out=outs)


def test_batch_norm_in_place(device):
    x, shortcut = floats(40, 6), floats(40, 6)
    mean, variance = moments(x)
    small = [device.from_host(a) for a in (mean, variance, floats(6), floats(6))]
    apart, here, there = (device.from_host(a) for a in (x, x, shortcut))
    norm.batch_norm(here, *small, EPSILON, out=apart, shortcut=there)
    norm.batch_norm(here, *small, EPSILON, out=there, shortcut=there)
    np.testing.assert_array_equal(device.to_host(there), device.to_host(apart))
    dy = floats(40, 6)
    ends = []
    for same in (False, True):
        given = device.from_host(dy)
        dx = given if same else device.alloc(dy.shape, "float32")
        dgamma = device.alloc((6,), "float32")
        norm.batch_norm_grad(given, here, *small[:3], EPSILON, dx=dx, dgamma=dgamma)
        ends.append((device.to_host(dx), device.to_host(dgamma)))
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_moving_average(compare):
    compare("norm", "moving_average", floats(300), 0.99, out={"out": floats(300)})


def test_a_constant_far_from_zero(compare):
    """The variance is of differences from the mean: those of large numbers do not cancel."""
    x = floats(600, 3) + np.float32(1000)
    compare("norm", "batch_norm_statistics", x, out={"mean": (3,), "variance": (3,)}, rtol=1e-4)


@pytest.mark.parametrize("shape, groups", (((3, 5, 6), 2), ((2, 300, 40), 40), ((4, 1, 33), 3), ((1, 7, 8), 1)))
def test_group_norm(compare, shape, groups):
    x, dy = floats(*shape, shift=2), floats(*shape)
    gamma, beta, own = floats(shape[2], shift=1), floats(shape[2]), (shape[0], groups)
    outs = {"out": shape, "mean": own, "inverse": own}
    compare("group_norm", "group_norm", x, groups, gamma, beta, EPSILON, out=outs, **NEAR)
    compare("group_norm", "group_norm", x, groups, None, None, EPSILON, out={"out": shape}, **NEAR)
    parts = x.reshape(*shape[:2], groups, -1).astype("float64")
    mean, variance = parts.mean(axis=(1, 3)), parts.var(axis=(1, 3))
    mean, inverse = mean.astype("float32"), (1 / np.sqrt(variance + EPSILON)).astype("float32")
    outs = {"dx": shape, "dgamma": shape[2:], "dbeta": shape[2:]}
    compare("group_norm", "group_norm_grad", dy, x, groups, mean, inverse, gamma, out=outs, rtol=1e-5, atol=1e-4)
    compare("group_norm", "group_norm_grad", dy, x, groups, mean, inverse, None, out={"dx": shape}, **NEAR)


def test_group_norm_of_no_samples(compare):
    x, own = floats(0, 3, 4), floats(0, 2)
    compare("group_norm", "group_norm", x, 2, None, None, EPSILON, out={"out": x.shape})
    outs = {"dx": x.shape, "dgamma": (4,), "dbeta": (4,)}
    compare("group_norm", "group_norm_grad", x, x, 2, own, own, None, out=outs)


@pytest.mark.parametrize("shape", ((1, 1), (5, 31), (2, 3, 257), (400, 33), (0, 4), (700,)), ids=str)
def test_rows(compare, shape):
    x, dy, rows = floats(*shape, shift=1), floats(*shape), shape[:-1]
    gamma, beta = floats(shape[-1], shift=1), floats(shape[-1])
    wide = x.astype("float64")
    mean = np.asarray(wide.mean(axis=-1), "float32")
    inverse = np.asarray(1 / np.sqrt(wide.var(axis=-1) + EPSILON), "float32")
    out = {"out": shape}
    compare("layer_norm", "layer_norm", x, gamma, beta, EPSILON, out={**out, "mean": rows, "inverse": rows}, **NEAR)
    compare("layer_norm", "rms_norm", x, gamma, EPSILON, out={**out, "inverse": rows}, **NEAR)
    compare("layer_norm", "unit_norm", x, out={**out, "inverse": rows}, **NEAR)
    size = {"rtol": 1e-5, "atol": 1e-4}
    outs = {"dx": shape, "dgamma": shape[-1:]}
    both = {**outs, "dbeta": shape[-1:]}
    compare("layer_norm", "layer_norm_grad", dy, x, mean, inverse, gamma, out=both, **size)
    compare("layer_norm", "rms_norm_grad", dy, x, inverse, gamma, out=outs, **size)
    length = np.asarray(1 / np.sqrt((wide * wide).sum(axis=-1)), "float32")
    compare("layer_norm", "unit_norm_grad", dy, x, length, out={"dx": shape}, **size)


def test_rows_in_part(compare):
    x, dy, mean, inverse = floats(6, 10), floats(6, 10), floats(6), floats(6)
    compare("layer_norm", "layer_norm", x, None, None, EPSILON, out={"out": x.shape}, **NEAR)
    compare("layer_norm", "layer_norm_grad", dy, x, mean, inverse, None, out={"dx": x.shape}, **NEAR)
    compare("layer_norm", "layer_norm_grad", dy, x, mean, inverse, None, out={"dx": x.shape}, add=x, **NEAR)
    compare("layer_norm", "layer_norm_grad", dy, x, mean, inverse, None, out={"dbeta": (10,)}, **NEAR)
    compare("layer_norm", "rms_norm", x, None, EPSILON, out={"out": x.shape}, **NEAR)
    x[0] = 0
    compare("layer_norm", "unit_norm", x, out={"out": x.shape, "inverse": (6,)}, **NEAR)
    inverse[0] = 1e6
    compare("layer_norm", "unit_norm_grad", dy, x, inverse, out={"dx": x.shape}, **NEAR)


@pytest.mark.parametrize(
    "message, call",
    (
        (r"batch_norm: out must have shape \(4, 2\), got \(2, 4\)",
         lambda o: norm.batch_norm(o(4, 2), o(2), o(2), None, None, 0.1, out=o(2, 4))),
        (r"batch_norm: gamma must have", lambda o: norm.batch_norm(o(4, 2), o(2), o(2), o(4), None, 0.1, out=o(4, 2))),
        (r"batch_norm: activation must be None, linear or the plain ReLU",
         lambda o: norm.batch_norm(o(4, 2), o(2), o(2), None, None, 0.1, out=o(4, 2), activation=activations.tanh)),
        (r"batch_norm_grad: y and dz go together, got y alone",
         lambda o: norm.batch_norm_grad(o(4, 2), o(4, 2), o(2), o(2), None, 0.1, y=o(4, 2))),
        (r"batch_norm_frozen_grad: dy must have",
         lambda o: norm.batch_norm_frozen_grad(o(4), o(4, 2), o(2), o(2), None, 0.1)),
        (r"batch_norm_statistics: x must have at least one row, got shape \(0, 2\)",
         lambda o: norm.batch_norm_statistics(o(0, 2), mean=o(2), variance=o(2))),
        (r"batch_norm_statistics: x must be \(..., C\) with at least one channel, got shape \(3,\)",
         lambda o: norm.batch_norm_statistics(o(3), mean=o(2), variance=o(2))),
        (r"moving_average: out must have", lambda o: norm.moving_average(o(4), 0.9, out=o(3))),
        (r"group_norm: groups must be a whole number that divides 4 channels, got 3",
         lambda o: group_norm.group_norm(o(2, 3, 4), 3, None, None, 0.1, out=o(2, 3, 4))),
        (r"group_norm: x must be \(N, P, C\)",
         lambda o: group_norm.group_norm(o(3, 4), 1, None, None, 0.1, out=o(3, 4))),
        (r"group_norm_grad: mean must have shape \(2, 2\), got \(2,\)",
         lambda o: group_norm.group_norm_grad(o(2, 3, 4), o(2, 3, 4), 2, o(2), o(2, 2), None)),
        (r"layer_norm: x must be \(..., D\) with at least one feature, got shape \(3, 0\)",
         lambda o: layer_norm.layer_norm(o(3, 0), None, None, 0.1, out=o(3, 0))),
        (r"layer_norm_grad: mean must have shape \(3,\), got \(2,\)",
         lambda o: layer_norm.layer_norm_grad(o(3, 2), o(3, 2), o(2), o(3), None)),
        (r"rms_norm: gamma must have", lambda o: layer_norm.rms_norm(o(3, 2), o(3), 0.1, out=o(3, 2))),
        (r"unit_norm_grad: dx must have", lambda o: layer_norm.unit_norm_grad(o(3, 2), o(3, 2), o(3), dx=o(2, 3))),
    ),
)  # fmt: skip
def test_wrong_shapes(device, message, call):
    with pytest.raises(ValueError, match=message):
        call(lambda *shape: device.from_host(np.ones(shape, "float32")))
