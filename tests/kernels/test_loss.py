"""Losses: the reference against SciPy and central differences, the compiled kernels against the reference."""

import itertools

import numpy as np
import pytest
from scipy import special

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import loss as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import loss as cpu

TOLERANCE = {"float32": 5e-6, "float64": 1e-13}
KERNELS = ["reference", pytest.param("cpu", marks=needs_compiled)]


def package(kernels):
    return cpu if kernels == "cpu" else reference


def cases(rng, shape, dtype="float64"):
    """(name, arguments before scale and out) of every loss on samples of that shape (N, ...)."""
    t, z = rng.uniform(size=shape).astype(dtype), 3 * rng.standard_normal(shape).astype(dtype)
    p = rng.uniform(0.01, 0.99, shape).astype(dtype)
    for name, extra in (("mean_squared_error", ()), ("mean_absolute_error", ()), ("huber", (0.7,))):
        yield name, (t, z, *extra)
    for smoothing, (logits, y) in itertools.product((0.0, 0.2), ((True, z), (False, p))):
        yield "binary_cross_entropy", (t, y, logits, smoothing)
        yield "categorical_cross_entropy", (t, y, logits, smoothing)
    labels = rng.integers(0, shape[-1], shape[:-1])
    for kind, (logits, y) in itertools.product((np.int32, np.int64), ((True, z), (False, p))):
        if len(shape) > 1:
            yield "sparse_categorical_cross_entropy", (labels.astype(kind), y, logits)


def value(kernels, name, arguments):
    y_pred = arguments[1]
    out = np.full(len(y_pred), np.nan, y_pred.dtype)
    getattr(kernels, name)(*arguments, out=out)
    return out


def slope(kernels, name, arguments, scale):
    out = np.full_like(arguments[1], np.nan)
    getattr(kernels, name + "_grad")(*arguments, scale, out=out)
    return out


def wide(arguments):
    return tuple(a.astype("float64") if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arguments)


# ---- the reference

CLIP = 1e-7


def formula(name, arguments):
    """The same losses another way."""
    t, p, *rest = arguments
    n = len(p)
    if name == "mean_squared_error":
        return ((t - p) ** 2).reshape(n, -1).sum(1) / p[0].size
    if name == "mean_absolute_error":
        return np.abs(t - p).reshape(n, -1).sum(1) / p[0].size
    if name == "huber":
        return special.huber(rest[0], t - p).reshape(n, -1).sum(1) / p[0].size
    if name == "binary_cross_entropy":
        logits, smoothing = rest
        t = t * (1 - smoothing) + smoothing / 2
        p = special.expit(p) if logits else np.clip(p, CLIP, 1 - CLIP)
        return -(special.xlogy(t, p) + special.xlogy(1 - t, 1 - p)).reshape(n, -1).mean(1)
    if name == "sparse_categorical_cross_entropy":
        t, smoothing = np.eye(p.shape[-1])[t], 0
    else:
        smoothing = rest[1]
    t = t * (1 - smoothing) + smoothing / t.shape[-1]
    log_p = special.log_softmax(p, -1) if rest[0] else np.log(np.clip(p / p.sum(-1, keepdims=True), CLIP, 1 - CLIP))
    return -(t * log_p).sum(-1).reshape(n, -1).mean(1)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 5), (2, 1)], ids=str)
def test_reference(rng, shape):
    """Values against SciPy's functions, gradients against central differences of these."""
    for name, arguments in cases(rng, shape):
        np.testing.assert_allclose(value(reference, name, arguments), formula(name, arguments), rtol=1e-12, atol=1e-15)
        scale = rng.uniform(0.5, 2, len(arguments[1]))
        gradient = slope(reference, name, arguments, scale)
        for i in np.ndindex(arguments[1].shape):
            up, down = arguments[1].copy(), arguments[1].copy()
            up[i] += 1e-6
            down[i] -= 1e-6
            loss = [(scale * formula(name, (arguments[0], y, *arguments[2:]))).sum() for y in (up, down)]
            assert abs((loss[0] - loss[1]) / 2e-6 - gradient[i]) < 1e-7, (name, arguments[2:])


@pytest.mark.parametrize("kernels", KERNELS)
def test_by_hand(kernels):
    """Numbers that a reader can check."""
    kernels = package(kernels)
    t, p = np.array([[0.0, 1.0]]), np.array([[2.0, 1.5]])
    one = np.ones(1)
    np.testing.assert_allclose(value(kernels, "mean_squared_error", (t, p)), (4 + 0.25) / 2)
    np.testing.assert_allclose(slope(kernels, "mean_squared_error", (t, p), one), [[2, 0.5]])
    np.testing.assert_allclose(value(kernels, "mean_absolute_error", (t, p)), 1.25)
    np.testing.assert_allclose(slope(kernels, "mean_absolute_error", (t, p), one), [[0.5, 0.5]])
    np.testing.assert_array_equal(slope(kernels, "mean_absolute_error", (t, t), one), [[0, 0]])
    np.testing.assert_allclose(value(kernels, "huber", (t, p, 1.0)), (1.5 + 0.125) / 2)
    np.testing.assert_allclose(slope(kernels, "huber", (t, p, 1.0), one), [[0.5, 0.25]])
    zero = np.zeros((1, 2))
    np.testing.assert_allclose(value(kernels, "binary_cross_entropy", (t, zero, True, 0.0)), np.log(2))
    np.testing.assert_allclose(slope(kernels, "binary_cross_entropy", (t, zero, True, 0.0), one), [[0.25, -0.25]])
    np.testing.assert_allclose(value(kernels, "categorical_cross_entropy", (t, zero, True, 0.0)), np.log(2))
    labels = np.array([1])
    np.testing.assert_allclose(
        slope(kernels, "sparse_categorical_cross_entropy", (labels, zero, True), one), [[0.5, -0.5]]
    )
    np.testing.assert_allclose(
        value(kernels, "sparse_categorical_cross_entropy", (labels, np.array([[1.0, 3.0]]), False)), np.log(4 / 3)
    )


# ---- the compiled kernels


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (5, 3), (64, 10), (3, 2, 5), (7, 1000), (3, 5000), (2, 3, 4100), (4097, 1), (700, 40), (9, 17, 33)],
    ids=str,
)
def test_cpu(rng, shape, dtype):
    for name, arguments in cases(rng, shape, dtype):
        scale = rng.uniform(0.5, 2, shape[0]).astype(dtype)
        scale[::3] = 0
        got, expected = value(cpu, name, arguments), value(reference, name, wide(arguments))
        assert (np.abs(got - expected) <= TOLERANCE[dtype] * (1 + np.abs(expected))).all(), (name, arguments[2:])
        got = slope(cpu, name, arguments, scale)
        expected = slope(reference, name, wide(arguments), scale.astype("float64"))
        assert (np.abs(got - expected) <= TOLERANCE[dtype] * (1 + np.abs(expected))).all(), (name, arguments[2:])
        assert not got[::3].any()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_samples_of_one_number(kernels, dtype):
    """y_pred (N,): one element a sample."""
    t, p = np.array([1, 2, 3], dtype), np.array([1, 0, 6], dtype)
    np.testing.assert_allclose(value(package(kernels), "mean_squared_error", (t, p)), [0, 4, 9])
    scale = np.array([1, 0, 0.5], dtype)
    np.testing.assert_allclose(slope(package(kernels), "mean_squared_error", (t, p), scale), [0, 0, 3])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_scale_of_zero_gives_zero_whatever_the_row_holds(kernels, dtype, rng):
    for shape in ((3, 4), (3, 2, 4), (3, 1)):
        for name, arguments in cases(rng, shape, dtype):
            arguments[1][1] = np.nan
            if arguments[0].dtype.kind == "f":
                arguments[0][1] = np.inf
            scale = np.array([1, 0, 1], dtype)
            gradient = slope(package(kernels), name, arguments, scale)
            assert gradient[1].tobytes() == np.zeros_like(gradient[1]).tobytes(), name
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_extremes_stay_finite(kernels, dtype):
    """Logits of ±10⁴, probabilities of 0 and 1."""
    kernels = package(kernels)
    one, eps = np.ones(2, dtype), np.finfo(dtype).eps
    z = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]], dtype)
    t = np.array([[0, 1, 0], [1, 0, 0]], dtype)
    for name, target, rest in (
        ("binary_cross_entropy", t, (True, 0.0)), ("categorical_cross_entropy", t, (True, 0.0)),
        ("sparse_categorical_cross_entropy", np.array([1, 0]), (True,)),
    ):  # fmt: skip
        assert (value(kernels, name, (target, z, *rest)) > 1000).all()
        assert np.abs(slope(kernels, name, (target, z, *rest), one)).max() <= 1
    p = np.array([[1, 0, 0], [0, 1, 0]], dtype)
    worst = -np.log(1e-7)
    for name, target, rest, expected in (
        ("binary_cross_entropy", t, (False, 0.0), 2 / 3 * worst),
        ("categorical_cross_entropy", t, (False, 0.0), worst),
        ("sparse_categorical_cross_entropy", np.array([1, 0]), (False,), worst),
    ):
        # 1 − 10⁻⁷ is not a float32: its nearest lies 2⁻²³ below 1
        np.testing.assert_allclose(value(kernels, name, (target, p, *rest)), expected, rtol=2 * eps / 1e-7 + 1e-6)
        assert np.isfinite(slope(kernels, name, (target, p, *rest), one)).all()


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gradient_where_probabilities_are_clipped(dtype):
    """Clipped probabilities have no gradient of their own, but take part in their sum."""
    p = np.array([[1, 0, 3], [0.5, 0.5, 0]], dtype)
    t, one = np.array([[0.5, 0.25, 0.25], [0, 0, 1]], dtype), np.ones(2, dtype)
    for name, arguments in (
        ("categorical_cross_entropy", (t, p, False, 0.0)), ("categorical_cross_entropy", (t, p, False, 0.3)),
        ("sparse_categorical_cross_entropy", (np.array([1, 2]), p, False)),
        ("sparse_categorical_cross_entropy", (np.array([2, 0]), p, False)),
        ("binary_cross_entropy", (t, np.minimum(p, 1), False, 0.0)),
    ):  # fmt: skip
        expected = slope(reference, name, wide(arguments), np.ones(2))
        np.testing.assert_allclose(slope(cpu, name, arguments, one), expected, rtol=TOLERANCE[dtype], atol=1e-7)


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_nan_stays_in_its_sample(rng, dtype):
    for shape in ((3, 20), (3, 2, 7)):
        for name, arguments in cases(rng, shape, dtype):
            arguments[1][1].flat[2] = np.nan
            others = [0, 2]
            loss = value(cpu, name, arguments)
            gradient = slope(cpu, name, arguments, np.ones(3, dtype))
            assert np.isfinite(loss[others]).all() and np.isfinite(gradient[others]).all(), name
            assert np.isnan(gradient[1]).any(), name
            if name != "sparse_categorical_cross_entropy" or arguments[2]:
                assert np.isnan(loss[1]), name


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_weighted_sum(kernels, dtype, rng):
    values, weights = rng.standard_normal(1000).astype(dtype), rng.uniform(size=1000).astype(dtype)
    weights[::7] = 0
    out = np.full(1, np.nan)
    expected = sum(float(v) * float(w) for v, w in zip(values, weights))
    values[::7] = np.nan
    package(kernels).weighted_sum(values, weights, out=out)
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    package(kernels).weighted_sum(values[:0], weights[:0], out=out)
    assert out[0] == 0


@pytest.mark.parametrize("kernels", KERNELS)
def test_no_samples(kernels, rng):
    for shape in ((0, 3), (0, 2, 3)):
        for name, arguments in cases(rng, shape):
            assert value(package(kernels), name, arguments).shape == (0,)
            assert slope(package(kernels), name, arguments, np.empty(0)).shape == shape


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bits_do_not_depend_on_threads_build_and_batch(rng, dtype, same_bits):
    everything = [
        case for shape in ((500, 10), (400, 7, 33), (3, 9000), (20000, 1)) for case in cases(rng, shape, dtype)
    ]

    def compute():
        for name, arguments in everything:
            yield value(cpu, name, arguments)
            yield slope(cpu, name, arguments, np.full(len(arguments[1]), 0.37, dtype))

    same_bits(cpu, lambda: list(compute()))
    for name, arguments in everything:
        alone = tuple(a[2:3] if isinstance(a, np.ndarray) else a for a in arguments)
        assert value(cpu, name, alone)[0] == value(cpu, name, arguments)[2]
        scale = np.full(len(arguments[1]), 0.37, dtype)
        assert slope(cpu, name, alone, scale[:1]).tobytes() == slope(cpu, name, arguments, scale)[2].tobytes()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_loss_and_gradient_in_one_pass(rng, dtype, kernels):
    for shape in ((5, 3), (1, 10), (300, 4), (7, 5, 33), (2, 9000)):
        for name, arguments in cases(rng, shape, dtype):
            if "categorical" not in name:
                continue
            scale = np.where(np.arange(len(arguments[1])) % 3 == 1, 0, 0.37).astype(dtype)
            out, dy = np.empty(shape[0], dtype), np.empty(shape, dtype)
            getattr(package(kernels), name)(*arguments, out=out, scale=scale, dy=dy)
            assert out.tobytes() == value(package(kernels), name, arguments).tobytes()
            assert dy.tobytes() == slope(package(kernels), name, arguments, scale).tobytes()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("label", (-1, 3))
def test_labels_outside_the_classes(kernels, label):
    labels, z = np.array([0, 2, label]), np.zeros((3, 3), "float32")
    with pytest.raises(ValueError, match=f"labels must be 0 to 2, got {label}"):
        value(package(kernels), "sparse_categorical_cross_entropy", (labels, z, True))
    with pytest.raises(ValueError, match=f"labels must be 0 to 2, got {label}"):
        slope(package(kernels), "sparse_categorical_cross_entropy", (labels, z, True), np.ones(3, "float32"))


@needs_compiled
def test_wrong_calls_raise():
    p, out, labels = np.zeros((4, 3), "float32"), np.zeros(4, "float32"), np.zeros(4, "int64")
    with pytest.raises(TypeError, match="cross_entropy: scale must be a NumPy array, got NoneType"):
        cpu.sparse_categorical_cross_entropy(labels, p, True, out=out, dy=p.copy())
    with pytest.raises(ValueError, match=r"cross_entropy: dy must have shape \(4, 3\), got \(4,\)"):
        cpu.sparse_categorical_cross_entropy(labels, p, True, out=out, scale=out, dy=out)
    with pytest.raises(ValueError, match=r"huber: y_true must have shape \(4, 3\), got \(4,\)"):
        cpu.huber(out, p, 1.0, out=out)
    with pytest.raises(ValueError, match=r"mean_squared_error: out must have shape \(4,\), got \(4, 3\)"):
        cpu.mean_squared_error(p, p, out=p)
    with pytest.raises(ValueError, match=r"mean_squared_error_grad: scale must have shape \(4,\), got \(4, 1\)"):
        cpu.mean_squared_error_grad(p, p, np.zeros((4, 1), "float32"), out=p)
    with pytest.raises(TypeError, match="mean_absolute_error: y_true must be float32, got float64"):
        cpu.mean_absolute_error(p.astype("float64"), p, out=out)
    with pytest.raises(ValueError, match="at least one element a sample"):
        cpu.mean_squared_error(p[:, :0].copy(), p[:, :0].copy(), out=out)
    with pytest.raises(ValueError, match=r"y_pred must be \(N, \.\.\., classes\) with at least one class"):
        cpu.categorical_cross_entropy(out, out, True, 0.0, out=out)
    with pytest.raises(
        ValueError, match=r"sparse_categorical_cross_entropy: labels must have shape \(4,\), got \(3,\)"
    ):
        cpu.sparse_categorical_cross_entropy(labels[:3], p, True, out=out)
    with pytest.raises(TypeError, match="labels must be int32 or int64, got uint8; convert them by astype"):
        cpu.sparse_categorical_cross_entropy(labels.astype("uint8"), p, True, out=out)
    with pytest.raises(ValueError, match=r"weighted_sum: out must have shape \(1,\)"):
        cpu.weighted_sum(out, out, out=np.zeros(2))
    with pytest.raises(TypeError, match="weighted_sum: out must be float64, got float32"):
        cpu.weighted_sum(out, out, out=out[:1])
