"""Batch normalization: the reference against loops and slopes, the compiled kernels against the reference."""

import itertools

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cpu import compiled
from npdl.kernels.reference import norm as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import activation as cpu_activation
    from npdl.kernels.cpu import merge as cpu_merge
    from npdl.kernels.cpu import norm as cpu

TOLERANCE = {"float32": 1e-5, "float64": 1e-13}
# Rows around blocks of 256; channels around vectors of 2 to 16, four of them, and 512 a task.
SHAPES = [(1, 1), (2, 5), (7, 3), (255, 16), (256, 17), (257, 33), (1000, 64), (70, 1025), (4, 9, 8, 130), (2, 3, 2)]
EPSILON = 1e-3


def statistics(kernels, x):
    mean, variance = np.full(x.shape[-1], np.nan, x.dtype), np.full(x.shape[-1], np.nan, x.dtype)
    kernels.batch_norm_statistics(x, mean=mean, variance=variance)
    return mean, variance


def normalised(kernels, x, mean, variance, gamma, beta, **activation):
    out = np.full_like(x, np.nan)
    kernels.batch_norm(x, mean, variance, gamma, beta, EPSILON, out=out, **activation)
    return out


def gradients(kernels, name, dy, x, mean, variance, gamma, **relu):
    dx, dgamma, dbeta = np.full_like(x, np.nan), np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    getattr(kernels, name)(dy, x, mean, variance, gamma, EPSILON, dx=dx, dgamma=dgamma, dbeta=dbeta, **relu)
    return dx, dgamma, dbeta


def operands(rng, shape, dtype="float64"):
    x, dy = 3 + 2 * rng.standard_normal(shape), rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[-1]))
    return [a.astype(dtype) for a in (x, dy, gamma, beta)]


def wide(*arrays):
    return [None if a is None else a.astype("float64") for a in arrays]


def test_reference_statistics_and_values(rng):
    x, _, gamma, beta = operands(rng, (2, 3, 4))
    rows = x.reshape(-1, 4).tolist()
    mean, variance = statistics(reference, x)
    y = normalised(reference, x, mean, variance, gamma, beta)
    for c in range(4):
        column = [row[c] for row in rows]
        m = sum(column) / 6
        v = sum((value - m) ** 2 for value in column) / 6
        np.testing.assert_allclose([mean[c], variance[c]], [m, v], rtol=1e-13)
        expected = [gamma[c] * (value - m) / (v + EPSILON) ** 0.5 + beta[c] for value in column]
        np.testing.assert_allclose(y.reshape(-1, 4)[:, c], expected, rtol=1e-12)


@pytest.mark.parametrize("activation", (None, activations.relu), ids=repr)
@pytest.mark.parametrize("frozen", (False, True))
@pytest.mark.parametrize("with_gamma", (True, False))
def test_reference_gradients_are_the_slopes(rng, frozen, with_gamma, activation):
    x, dy, gamma, beta = operands(rng, (5, 3))
    gamma = gamma if with_gamma else None
    mean, variance = statistics(reference, x)
    z = normalised(reference, x, mean, variance, gamma, beta)
    y = normalised(reference, x, mean, variance, gamma, beta, activation=activation)
    np.testing.assert_array_equal(y, z if activation is None else (z + abs(z)) / 2)
    assert 0 < (z > 0).sum() < z.size and abs(z).min() > 1e-4

    def loss(x, gamma, beta):
        at = (mean, variance) if frozen else statistics(reference, x)
        return (dy * normalised(reference, x, *at, gamma, beta, activation=activation)).sum()

    name = "batch_norm_frozen_grad" if frozen else "batch_norm_grad"
    relu = {} if activation is None else {"beta": beta, "activation": activation}
    dx, dgamma, dbeta = gradients(reference, name, dy, x, mean, variance, gamma, **relu)
    for position, gradient in enumerate((dx, dgamma, dbeta)):
        if position == 1 and gamma is None:
            continue
        for i in np.ndindex(gradient.shape):
            up, down = ([None if a is None else a.copy() for a in (x, gamma, beta)] for _ in range(2))
            up[position][i] += 1e-6
            down[position][i] -= 1e-6
            assert abs((loss(*up) - loss(*down)) / 2e-6 - gradient[i]) < 1e-7


def test_reference_in_place(rng):
    x, dy, gamma, _ = operands(rng, (6, 3))
    mean, variance = statistics(reference, x)
    for name in ("batch_norm_grad", "batch_norm_frozen_grad"):
        dx, own = gradients(reference, name, dy, x, mean, variance, gamma)[0], dy.copy()
        getattr(reference, name)(own, x, mean, variance, gamma, EPSILON, dx=own)
        np.testing.assert_array_equal(own, dx)


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cpu(rng, shape, dtype):
    x, dy, gamma, beta = operands(rng, shape, dtype)

    def close(got, expected):
        assert np.isfinite(got).all()
        assert np.abs(got - expected).max() <= TOLERANCE[dtype] * (0.1 + np.abs(expected).max())

    mean, variance = statistics(cpu, x)
    for got, expected in zip((mean, variance), statistics(reference, x.astype("float64"))):
        close(got, expected)
    for g, b in itertools.product((gamma, None), (beta, None)):
        y = normalised(cpu, x, mean, variance, g, b)
        close(y, normalised(reference, *wide(x, mean, variance, g, b)))
        own = x.copy()
        cpu.batch_norm(own, mean, variance, g, b, EPSILON, out=own)
        assert own.tobytes() == y.tobytes()
    for name, g in itertools.product(("batch_norm_grad", "batch_norm_frozen_grad"), (gamma, None)):
        got = gradients(cpu, name, dy, x, mean, variance, g)
        for a, b in zip(got, gradients(reference, name, *wide(dy, x, mean, variance, g))):
            close(a, b)
        own, dgamma, dbeta = dy.copy(), np.empty_like(mean), np.empty_like(mean)
        kernel = getattr(cpu, name)
        kernel(dy, x, mean, variance, g, EPSILON, dgamma=dgamma)
        kernel(dy, x, mean, variance, g, EPSILON, dbeta=dbeta)
        kernel(own, x, mean, variance, g, EPSILON, dx=own)
        assert [a.tobytes() for a in (own, dgamma, dbeta)] == [a.tobytes() for a in got]


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cpu_with_relu(rng, shape, dtype):
    """To the last bit what batch_norm and a ReLU of its own give, one after the other, NaN and signed zeros too."""
    relu = activations.relu
    x, dy, gamma, beta = operands(rng, shape, dtype)
    x.flat[0] = dy.flat[-1] = np.nan
    if x.size > 7:
        gamma[-1], beta[-1] = -0.0, 0.0  # z = 0 and z = -0 in the last channel
    mean, variance = statistics(cpu, np.nan_to_num(x))
    for g, b in itertools.product((gamma, None), (beta, None)):
        y = normalised(cpu, x, mean, variance, g, b)
        cpu_activation.activation(y, relu, out=y)
        assert normalised(cpu, x, mean, variance, g, b, activation=relu).tobytes() == y.tobytes()
        own = x.copy()
        cpu.batch_norm(own, mean, variance, g, b, EPSILON, out=own, activation=relu)
        assert own.tobytes() == y.tobytes()
        dz = np.empty_like(dy)
        cpu_activation.activation_grad(dy, y, relu, out=dz)
        for name in ("batch_norm_grad", "batch_norm_frozen_grad"):
            expected = gradients(cpu, name, dz, x, mean, variance, g)
            got = gradients(cpu, name, dy, x, mean, variance, g, beta=b, activation=relu)
            assert [a.tobytes() for a in got] == [a.tobytes() for a in expected], name
            own, kernel = dy.copy(), getattr(cpu, name)
            kernel(own, x, mean, variance, g, EPSILON, dx=own, beta=b, activation=relu)
            assert own.tobytes() == got[0].tobytes()


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cpu_at_the_end_of_a_residual_block(rng, shape, dtype):
    """To the last bit what batch_norm, a sum and a ReLU of their own give one after the other, and their gradients."""
    relu = activations.relu
    x, dy, gamma, beta = operands(rng, shape, dtype)
    shortcut = rng.standard_normal(shape).astype(dtype)
    mean, variance = statistics(cpu, x)
    plain = normalised(cpu, x, mean, variance, gamma, beta)
    for activation in (None, relu):
        y = np.empty_like(x)
        cpu_merge.add(plain, shortcut, out=y, activation=activation)
        joined = {"activation": activation, "shortcut": shortcut}
        assert normalised(cpu, x, mean, variance, gamma, beta, **joined).tobytes() == y.tobytes()
        exact = {"activation": activation, "shortcut": shortcut.astype("float64")}
        right = normalised(reference, *wide(x, mean, variance, gamma, beta), **exact)
        assert np.abs(y - right).max() <= TOLERANCE[dtype] * (1 + np.abs(right).max())
    dz = np.empty_like(dy)
    cpu_activation.activation_grad(dy, y, relu, out=dz)
    for name in ("batch_norm_grad", "batch_norm_frozen_grad"):
        expected = gradients(cpu, name, dz, x, mean, variance, gamma)
        own = dy.copy()
        got = gradients(cpu, name, own, x, mean, variance, gamma, y=y, dz=own)
        assert [a.tobytes() for a in (*got, own)] == [a.tobytes() for a in (*expected, dz)], name
        got, exact = np.empty_like(dy), np.empty(shape)
        getattr(cpu, name)(dy, x, mean, variance, gamma, EPSILON, y=y, dz=got)  # nobody reads the other gradients
        arguments = wide(dy, x, mean, variance, gamma)
        getattr(reference, name)(*arguments, EPSILON, y=y.astype("float64"), dz=exact)
        assert got.tobytes() == dz.tobytes() == exact.astype(dtype).tobytes()


@pytest.mark.parametrize("kernels", (reference, cpu) if compiled() else (reference,), ids=lambda one: one.__name__)
def test_y_and_dz_go_together(kernels):
    x, mean = np.zeros((4, 3)), np.ones(3)
    with pytest.raises(ValueError, match="batch_norm_grad: y and dz go together, got y alone; pass both or neither"):
        kernels.batch_norm_grad(x, x, mean, mean, None, EPSILON, y=x)
    with pytest.raises(ValueError, match="batch_norm_frozen_grad: y and dz go together, got dz alone"):
        kernels.batch_norm_frozen_grad(x, x, mean, mean, None, EPSILON, dz=x.copy())


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ("batch_norm_grad", "batch_norm_frozen_grad"))
def test_cpu_gradients_with_relu(rng, name, dtype):
    x, dy, gamma, beta = operands(rng, (300, 37), dtype)
    mean, variance = statistics(cpu, x)
    near = abs(normalised(reference, *wide(x, mean, variance, gamma, beta))) < 100 * TOLERANCE[dtype]
    dy[near] = 0  # there rounding decides
    for g, b in itertools.product((gamma, None), (beta, None)):
        got = gradients(cpu, name, dy, x, mean, variance, g, beta=b, activation=activations.relu)
        arguments = wide(dy, x, mean, variance, g, b)
        expected = gradients(reference, name, *arguments[:5], beta=arguments[5], activation=activations.relu)
        for a, e in zip(got, expected):
            assert np.abs(a - e).max() <= TOLERANCE[dtype] * (0.1 + np.abs(e).max())


@needs_compiled
def test_statistics_far_from_zero(rng):
    """No digits are lost where the mean is thousands of times the deviation."""
    x = (1e4 + rng.standard_normal((5000, 20))).astype("float32")
    mean, variance = statistics(cpu, x)
    exact = x.astype("float64")
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(variance, exact.var(0), rtol=1e-6)


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_no_rows(dtype):
    x, mean, gamma = np.empty((0, 3), dtype), np.zeros(3, dtype), np.ones(3, dtype)
    assert normalised(cpu, x, mean, gamma, gamma, mean).shape == (0, 3)
    for name in ("batch_norm_grad", "batch_norm_frozen_grad"):
        _, dgamma, dbeta = gradients(cpu, name, x, x, mean, gamma, gamma)
        assert not dgamma.any() and not dbeta.any()
    with pytest.raises(ValueError, match=r"batch_norm_statistics: x must have at least one row, got shape \(0, 3\)"):
        statistics(cpu, x)


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_nan_stays_in_its_channel(rng, dtype):
    x, dy, gamma, beta = operands(rng, (300, 20), dtype)
    x[260, 7] = np.nan
    mean, variance = statistics(cpu, x)
    y = normalised(cpu, x, mean, variance, gamma, beta)
    dx, dgamma, _ = gradients(cpu, "batch_norm_grad", dy, x, mean, variance, gamma)
    others = np.arange(20) != 7
    for a in (mean, variance, y, dx, dgamma):
        assert np.isnan(a[..., 7]).all() and np.isfinite(a[..., others]).all()


@pytest.mark.parametrize("kernels", [reference, pytest.param("cpu", marks=needs_compiled)], ids=["reference", "cpu"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_moving_average(rng, kernels, dtype):
    kernels = cpu if kernels == "cpu" else kernels
    value, average = rng.standard_normal(37).astype(dtype), rng.standard_normal(37).astype(dtype)
    expected = 0.99 * average.astype("float64") + 0.01 * value
    kernels.moving_average(value, 0.99, out=average)
    np.testing.assert_allclose(average, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bits_do_not_depend_on_threads_and_build(rng, dtype, same_bits):
    cases = [operands(rng, shape, dtype) for shape in ((700, 45), (260, 1030), (3, 7))]

    def compute():
        for x, dy, gamma, beta in cases:
            mean, variance = statistics(cpu, x)
            yield from (mean, variance, normalised(cpu, x, mean, variance, gamma, beta))
            yield normalised(cpu, x, mean, variance, gamma, beta, activation=activations.relu)
            for name in ("batch_norm_grad", "batch_norm_frozen_grad"):
                yield from gradients(cpu, name, dy, x, mean, variance, gamma)
                yield from gradients(cpu, name, dy, x, mean, variance, gamma, beta=beta, activation=activations.relu)

    same_bits(cpu, lambda: list(compute()))


@needs_compiled
def test_bits_do_not_depend_on_the_batch(rng):
    x, _, gamma, beta = operands(rng, (300, 33), "float32")
    mean, variance = statistics(cpu, x)
    y = normalised(cpu, x, mean, variance, gamma, beta)
    assert normalised(cpu, x[290:].copy(), mean, variance, gamma, beta).tobytes() == y[290:].tobytes()


@needs_compiled
def test_wrong_calls_raise(rng):
    x, mean = np.zeros((4, 3), "float32"), np.zeros(3, "float32")
    with pytest.raises(ValueError, match=r"batch_norm_statistics: variance must have shape \(3,\), got \(4,\)"):
        cpu.batch_norm_statistics(x, mean=mean, variance=np.zeros(4, "float32"))
    with pytest.raises(ValueError, match=r"batch_norm: gamma must have shape \(3,\), got \(2,\)"):
        cpu.batch_norm(x, mean, mean, np.zeros(2, "float32"), None, EPSILON, out=x)
    with pytest.raises(ValueError, match=r"batch_norm_grad: dy must have shape \(4, 3\), got \(3, 4\)"):
        cpu.batch_norm_grad(np.zeros((3, 4), "float32"), x, mean, mean, None, EPSILON)
    with pytest.raises(TypeError, match="batch_norm_frozen_grad: dx must be float32, got float64"):
        cpu.batch_norm_frozen_grad(x, x, mean, mean, None, EPSILON, dx=np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"batch_norm: x must be \(\.\.\., C\) with at least one channel"):
        cpu.batch_norm(mean, mean, mean, None, None, EPSILON, out=mean)
    with pytest.raises(TypeError, match="batch_norm: mean must be a NumPy array, got NoneType"):
        cpu.batch_norm(x, None, mean, None, None, EPSILON, out=x)
    with pytest.raises(TypeError, match="batch_norm_grad: variance must be a NumPy array, got NoneType"):
        cpu.batch_norm_grad(x, x, mean, None, None, EPSILON)
    with pytest.raises(ValueError, match=r"moving_average: value must have shape \(3,\), got \(4, 3\)"):
        cpu.moving_average(x, 0.9, out=mean)


@pytest.mark.parametrize("kernels", [reference, pytest.param("cpu", marks=needs_compiled)], ids=["reference", "cpu"])
@pytest.mark.parametrize("activation", (activations.tanh, activations.ReLU(max_value=6), "relu"), ids=repr)
def test_other_activations_are_refused(kernels, activation):
    kernels = cpu if kernels == "cpu" else kernels
    x, mean = np.zeros((4, 3), "float32"), np.zeros(3, "float32")
    text = r"activation must be None, linear or the plain ReLU, got .*; run it afterwards, by the activation kernel"
    with pytest.raises(ValueError, match=f"batch_norm: {text}"):
        kernels.batch_norm(x, mean, mean, None, None, EPSILON, out=x, activation=activation)
    for name in ("batch_norm_grad", "batch_norm_frozen_grad"):
        with pytest.raises(ValueError, match=f"{name}: {text}"):
            getattr(kernels, name)(x, x, mean, mean, None, EPSILON, activation=activation)
