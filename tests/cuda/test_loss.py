"""Losses on the stand-in against the reference."""

import numpy as np
import pytest
from numba import cuda, float32

from npdl.kernels.cuda.kernel import Floats, launch
from npdl.kernels.cuda.kernel import kernel as gpu_kernel
from npdl.kernels.cuda.reduction import fold_max

RNG = np.random.default_rng(0)


def floats(*shape, scale=1.0):
    return (scale * RNG.standard_normal(shape)).astype("float32")


def probabilities(*shape):
    p = RNG.random(shape).astype("float32") + 1e-3
    return p / p.sum(-1, keepdims=True)


@pytest.mark.parametrize("classes", (1, 2, 10, 257, 1000))
@pytest.mark.parametrize("kind", (True, False, None))
@pytest.mark.parametrize("positions", ((), (3,), (5, 60)))
def test_sparse_cross_entropy(compare, classes, kind, positions):
    n = 3
    y = floats(n, *positions, classes, scale=3) if kind else probabilities(n, *positions, classes)
    if kind is None:
        y = np.log(y)
    labels = RNG.integers(0, classes, (n, *positions))
    scale = np.array([0.5, 0, 1], "float32")
    compare(
        "loss", "sparse_categorical_cross_entropy", labels, y, kind, out={"out": (n,), "dy": y.shape}, scale=scale,
        rtol=1e-5,
    )  # fmt: skip
    compare(
        "loss", "sparse_categorical_cross_entropy_grad", labels.astype("int32"), y, kind, scale, out={"out": y.shape},
        weights=probabilities(classes), ignore=0, rtol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize("logits", (True, False))
@pytest.mark.parametrize("shape", ((2, 10), (3, 7, 33)))
def test_cross_entropy(compare, logits, shape):
    y = floats(*shape, scale=3) if logits else probabilities(*shape)
    t, scale = probabilities(*shape), np.array([0.5, 0, 1][: shape[0]], "float32")
    outs = {"out": (shape[0],), "dy": shape}
    compare("loss", "categorical_cross_entropy", t, y, logits, 0.1, out=outs, scale=scale, rtol=1e-5)
    compare("loss", "categorical_cross_entropy_grad", t, y, logits, 0.0, scale, out={"out": shape}, rtol=1e-5)


@pytest.mark.parametrize("name", ("mean_squared_error", "mean_absolute_error", "huber", "binary_cross_entropy"))
@pytest.mark.parametrize("shape", ((3,), (3, 1), (3, 300), (3, 5, 7)))
def test_elementwise(compare, name, shape):
    y, t, scale = floats(*shape), floats(*shape), np.array([0.5, 0, 1], "float32")
    for more in {"huber": ((0.7,),), "binary_cross_entropy": ((True, 0.1), (False, 0.0))}.get(name, ((),)):
        p, q = y, t
        if name == "binary_cross_entropy":
            q = (t > 0).astype("float32")
            p = y if more[0] else 1 / (1 + np.exp(-y))
        compare("loss", name, q, p, *more, out={"out": (3,)}, rtol=1e-5)
        compare("loss", f"{name}_grad", q, p, *more, scale, out={"out": shape}, rtol=1e-5)


def test_weighted_sum_keeps_what_additions_lose(device):
    from npdl.kernels.cuda.loss import weighted_sum

    values = floats(100_003)
    values[5], weights = np.nan, np.ones(100_003, "float32")
    weights[5] = 0
    out = device.zeros((1,), "float64")
    weighted_sum(device.from_host(values), device.from_host(weights), out=out)
    values[5] = 0
    np.testing.assert_allclose(device.to_host(out)[0], values.astype("float64").sum(), rtol=1e-6)
    values[5] = np.inf
    weights[5] = 1
    weighted_sum(device.from_host(values), device.from_host(weights), out=out)
    assert device.to_host(out)[0] == np.inf


@pytest.mark.parametrize("kind", (True, False, None))
def test_a_label_that_is_no_class_gives_nan(device, kind):
    from npdl.kernels.cuda.loss import sparse_categorical_cross_entropy

    y, labels, ones = probabilities(3, 4), np.array([4, -1, 2]), np.ones(3, "float32")
    out, dy = device.zeros((3,), "float32"), device.zeros((3, 4), "float32")
    given = [device.from_host(array) for array in (labels, y)]
    sparse_categorical_cross_entropy(*given, kind, out=out, scale=device.from_host(ones), dy=dy)
    np.testing.assert_array_equal(np.isnan(device.to_host(out)), [True, True, False])
    np.testing.assert_array_equal(np.isnan(device.to_host(dy)).all(-1), [True, True, False])


@pytest.mark.parametrize("order", (1, -1))
def test_the_largest_keeps_nan(device, order):
    @gpu_kernel
    def largest(x: Floats, out: Floats):
        s = cuda.shared.array(8, float32)
        s[cuda.threadIdx.x] = x[cuda.threadIdx.x]
        fold_max(s)
        if cuda.threadIdx.x == 0:
            out[0] = s[0]

    device.driver.order = order
    out = device.zeros((1,), "float32")
    for place in range(8):
        x = np.arange(8, dtype="float32")
        x[place] = np.nan
        launch(largest, 1, 8, device.from_host(x), out)
        assert np.isnan(device.to_host(out)[0]), place


@pytest.mark.parametrize("name", ("categorical_cross_entropy_grad", "sparse_categorical_cross_entropy_grad"))
def test_a_gradient_alone_takes_no_means(device, launches, name):
    from npdl.kernels.cuda import loss

    y, scale = device.from_host(probabilities(3, 5, 4)), device.from_host(np.ones(3, "float32"))
    sparse = name.startswith("sparse")
    target = device.from_host(RNG.integers(0, 4, (3, 5)) if sparse else probabilities(3, 5, 4))
    given, out = (target, y, False, *(() if sparse else (0.0,)), scale), device.zeros((3, 5, 4), "float32")
    names = launches(lambda: getattr(loss, name)(*given, out=out))
    assert names and "sample_means" not in names
