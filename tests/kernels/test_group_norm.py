"""Group normalization: the reference against loops and slopes, the compiled kernels against the reference."""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import group_norm as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import group_norm as cpu

TOLERANCE = {"float32": 5e-6, "float64": 2e-14}
# Positions around blocks of 256; channels around vectors of 2 to 16 and four of them; few samples and many.
SHAPES = [
    ((1, 1, 1), 1), ((3, 1, 6), 3), ((2, 5, 3), 1), ((2, 255, 16), 4), ((3, 256, 17), 17), ((4, 257, 33), 3),
    ((1, 700, 64), 32), ((1, 400, 130), 13), ((90, 9, 14), 7), ((0, 4, 6), 2),
]  # fmt: skip
EPSILON = 1e-3


def normalised(kernels, x, groups, gamma, beta):
    out, mean, inverse = np.full_like(x, np.nan), *np.full((2, len(x), groups), np.nan, x.dtype)
    kernels.group_norm(x, groups, gamma, beta, EPSILON, out=out, mean=mean, inverse=inverse)
    return out, mean, inverse


def gradients(kernels, dy, x, groups, mean, inverse, gamma):
    dx, (dgamma, dbeta) = np.full_like(x, np.nan), np.full((2, x.shape[-1]), np.nan, x.dtype)
    kernels.group_norm_grad(dy, x, groups, mean, inverse, gamma, dx=dx, dgamma=dgamma, dbeta=dbeta)
    return dx, dgamma, dbeta


def operands(rng, shape, dtype="float64"):
    x, dy = 3 + 2 * rng.standard_normal(shape), rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[-1]))
    return [a.astype(dtype) for a in (x, dy, gamma, beta)]


def wide(*arrays):
    return [None if a is None else a.astype("float64") for a in arrays]


def test_reference_values(rng):
    x, _, gamma, beta = operands(rng, (2, 3, 6))
    y, mean, inverse = normalised(reference, x, 3, gamma, beta)
    for n in range(2):
        for g in range(3):
            values = [x[n, p, c] for p in range(3) for c in (2 * g, 2 * g + 1)]
            m = sum(values) / 6
            v = sum((value - m) ** 2 for value in values) / 6
            np.testing.assert_allclose([mean[n, g], inverse[n, g]], [m, (v + EPSILON) ** -0.5], rtol=1e-13)
            for p in range(3):
                for c in (2 * g, 2 * g + 1):
                    expected = gamma[c] * (x[n, p, c] - m) / (v + EPSILON) ** 0.5 + beta[c]
                    assert abs(y[n, p, c] - expected) < 1e-12


@pytest.mark.parametrize("groups", (1, 2, 4))
@pytest.mark.parametrize("with_gamma", (True, False))
def test_reference_gradients_are_the_slopes(rng, groups, with_gamma):
    x, dy, gamma, beta = operands(rng, (2, 3, 4))
    gamma, beta = (gamma, beta) if with_gamma else (None, None)

    def loss(x, gamma, beta):
        return (dy * normalised(reference, x, groups, gamma, beta)[0]).sum()

    found = gradients(reference, dy, x, groups, *normalised(reference, x, groups, gamma, beta)[1:], gamma)
    for position, gradient in enumerate(found):
        for i in np.ndindex(gradient.shape):
            up, down = ([None if a is None else a.copy() for a in (x, gamma, beta)] for _ in range(2))
            if up[position] is None:
                continue
            up[position][i] += 1e-6
            down[position][i] -= 1e-6
            assert abs((loss(*up) - loss(*down)) / 2e-6 - gradient[i]) < 1e-7


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("shape", "groups"), SHAPES, ids=str)
@pytest.mark.parametrize("with_gamma", (True, False))
def test_cpu(rng, shape, groups, dtype, with_gamma):
    x, dy, gamma, beta = operands(rng, shape, dtype)
    gamma, beta = (gamma, beta) if with_gamma else (None, None)

    def close(got, expected):
        for g, e in zip(got, expected, strict=True):
            assert np.isfinite(g).all()
            assert np.abs(g - e).max(initial=0) <= TOLERANCE[dtype] * (0.3 + np.abs(e).max(initial=0))

    got = normalised(cpu, x, groups, gamma, beta)
    x64, dy64, gamma64, beta64 = wide(x, dy, gamma, beta)
    expected = normalised(reference, x64, groups, gamma64, beta64)
    close(got, expected)
    found = gradients(cpu, dy, x, groups, *got[1:], gamma)
    close(found, gradients(reference, dy64, x64, groups, *wide(*got[1:]), gamma64))
    own = x.copy()
    cpu.group_norm(own, groups, gamma, beta, EPSILON, out=own)
    np.testing.assert_array_equal(own, got[0])
    own, alone = dy.copy(), np.full(shape[-1], np.nan, dtype)
    cpu.group_norm_grad(own, x, groups, *got[1:], gamma, dx=own)
    np.testing.assert_array_equal(own, found[0])
    cpu.group_norm_grad(dy, x, groups, *got[1:], gamma, dbeta=alone)
    np.testing.assert_array_equal(alone, found[2])


@needs_compiled
@pytest.mark.parametrize("groups", (1, 8, 32))
def test_a_large_mean_does_not_cost_the_variance(rng, groups):
    x = (1e3 + rng.standard_normal((2, 700, 32))).astype("float32")
    inverse = normalised(cpu, x, groups, None, None)[2]
    np.testing.assert_allclose(inverse, normalised(reference, *wide(x), groups, None, None)[2], rtol=3e-7)


@needs_compiled
def test_bits_do_not_depend_on_threads_build_and_batch(rng, same_bits):
    cases = [((5, 300, 70), 7, "float32"), ((1, 900, 96), 24, "float32"), ((300, 9, 10), 10, "float64")]
    for shape, groups, dtype in cases:
        x, dy, gamma, beta = operands(rng, shape, dtype)

        def run(x=x, dy=dy, gamma=gamma, beta=beta, groups=groups):
            out = normalised(cpu, x, groups, gamma, beta)
            return [*out, *gradients(cpu, dy, x, groups, *out[1:], gamma)]

        same_bits(cpu, run)
        y, mean, inverse, dx = run()[:4]
        for i in range(min(shape[0], 5)):
            one = slice(i, i + 1)
            np.testing.assert_array_equal(normalised(cpu, x[one], groups, gamma, beta)[0], y[one])
            alone = gradients(cpu, dy[one], x[one], groups, mean[one], inverse[one], gamma)[0]
            np.testing.assert_array_equal(alone, dx[one])


@needs_compiled
def test_wrong_calls_raise():
    x, row, of_groups = np.zeros((2, 3, 4), "float32"), np.zeros(4, "float32"), np.zeros((2, 2), "float32")
    with pytest.raises(ValueError, match=r"group_norm: x must be \(N, P, C\) with at least one .* got shape \(2, 12\)"):
        cpu.group_norm(x.reshape(2, 12), 2, row, row, 0.1, out=x)
    for groups in (3, 0, -1, 8, 1.5):
        with pytest.raises(ValueError, match=r"groups must be a whole number that divides 4 channels, got "):
            cpu.group_norm(x, groups, row, row, 0.1, out=x)
    with pytest.raises(ValueError, match=r"group_norm: mean must have shape \(2, 2\), got \(4,\)"):
        cpu.group_norm(x, 2, row, row, 0.1, out=x, mean=row)
    with pytest.raises(ValueError, match=r"group_norm_grad: dgamma must have shape \(4,\), got \(2, 2\)"):
        cpu.group_norm_grad(x, x, 2, of_groups, of_groups, row, dgamma=of_groups)
    with pytest.raises(TypeError, match="group_norm_grad: inverse must be a NumPy array, got NoneType"):
        cpu.group_norm_grad(x, x, 2, of_groups, None, row, dx=x)
