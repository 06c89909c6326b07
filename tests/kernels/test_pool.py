"""Pooling: the reference against loops over every window, the compiled kernels against the reference."""

import itertools

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cpu import compiled
from npdl.kernels.geometry import window2d
from npdl.kernels.reference import pool as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import activation as cpu_activation
    from npdl.kernels.cpu import pool as cpu

TOLERANCE = {"float32": 1e-5, "float64": 1e-13}
KERNELS = ["reference", pytest.param("cpu", marks=needs_compiled)]


def package(kernels):
    return cpu if kernels == "cpu" else reference


def windows(channels):
    """Windows of many sizes, strides, paddings and dilations over several images."""
    sizes, kernels, strides = ((7, 9), (1, 1), (8, 4)), ((2, 2), (3, 2), (1, 1), (5, 4)), ((1, 1), (2, 2), (3, 1))
    for size, kernel, stride, padding, dilation in itertools.product(
        sizes, kernels, strides, ("valid", "same"), ((1, 1), (2, 3))
    ):
        if padding == "same" or all((k - 1) * d < s for k, d, s in zip(kernel, dilation, size)):
            yield window2d((*size, channels), kernel, stride, padding, dilation)


def places(g, i, j):
    """(tap, row, column) of window (i, j) inside the image, in order."""
    for p, q in itertools.product(range(g.kernel_h), range(g.kernel_w)):
        row = i * g.stride_h - g.pad_top + p * g.dilation_h
        column = j * g.stride_w - g.pad_left + q * g.dilation_w
        if 0 <= row < g.in_h and 0 <= column < g.in_w:
            yield p * g.kernel_w + q, row, column


def images(rng, g, n, dtype="float64", nan=0.0):
    """Whole numbers, so that there are ties, and some NaN."""
    x = np.round(2 * rng.standard_normal((n, g.in_h, g.in_w, g.channels))).astype(dtype)
    x[rng.uniform(size=x.shape) < nan] = np.nan
    return x


def max_pool(kernels, x, g, **activation):
    y = np.full((len(x), g.out_h, g.out_w, g.channels), 99, x.dtype)
    winners = np.full(y.shape, 99, np.uint8 if g.kernel_h * g.kernel_w <= 256 else np.int32)
    kernels.max_pool2d(x, g, out=y, winners=winners, **activation)
    return y, winners


def filled(shape, dtype):
    return np.full(shape, np.nan, dtype)


def gradient(kernels, name, arguments, g, dtype, n, **relu):
    dx = filled((n, g.in_h, g.in_w, g.channels), dtype)
    getattr(kernels, name)(*arguments, g, out=dx, **relu)
    return dx


def average_pool(kernels, x, g):
    y = filled((len(x), g.out_h, g.out_w, g.channels), x.dtype)
    kernels.average_pool2d(x, g, out=y)
    return y


def test_reference_over_every_window(rng):
    for g in windows(channels=2):
        x = images(rng, g, 2, nan=0.05)
        y, winners = max_pool(reference, x, g)
        dy = rng.standard_normal(y.shape)
        dx = gradient(reference, "max_pool2d_grad", (dy, winners), g, "float64", 2)
        clean = np.nan_to_num(x)
        average = average_pool(reference, clean, g)
        d_average = gradient(reference, "average_pool2d_grad", (dy,), g, "float64", 2)
        expected_dx, expected_average = np.zeros_like(x), np.zeros_like(x)
        for n, i, j, c in np.ndindex(y.shape):
            best, top = 0, -np.inf
            inside = list(places(g, i, j))
            for tap, row, column in inside:
                value = x[n, row, column, c]
                if tap == inside[0][0] or value > top or (np.isnan(value) and not np.isnan(top)):
                    best, top, at = tap, value, (n, row, column, c)
            assert winners[n, i, j, c] == best
            assert y[n, i, j, c] == top or (np.isnan(top) and np.isnan(y[n, i, j, c]))
            values = [clean[n, row, column, c] for _, row, column in inside]
            assert abs(average[n, i, j, c] - (sum(values) / len(values) if values else 0)) < 1e-12
            if inside:
                expected_dx[at] += dy[n, i, j, c]
            for _, row, column in inside:
                expected_average[n, row, column, c] += dy[n, i, j, c] / len(inside)
        np.testing.assert_allclose(dx, expected_dx, atol=1e-12)
        np.testing.assert_allclose(d_average, expected_average, atol=1e-12)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_ties_padding_and_nan(kernels, dtype):
    """The first maximum wins, padding never does, the first NaN beats every number."""
    x = np.array([[-1, -1, -5], [-1, np.nan, np.nan], [-3, np.nan, -np.inf]], dtype).reshape(1, 3, 3, 1)
    y, winners = max_pool(package(kernels), x, window2d((3, 3, 1), (2, 2), (2, 2), "same"))
    np.testing.assert_array_equal(y[0, ..., 0], [[np.nan, np.nan], [np.nan, -np.inf]])
    np.testing.assert_array_equal(winners[0, ..., 0], [[3, 2], [1, 0]])
    ones = np.full((1, 3, 3, 1), -7, dtype)
    y, winners = max_pool(package(kernels), ones, window2d((3, 3, 1), (3, 3), (1, 1), "same"))
    assert (y == -7).all()
    np.testing.assert_array_equal(winners[0, ..., 0], [[4, 3, 3], [1, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_window_of_more_than_256_taps(kernels, rng):
    g = window2d((20, 20, 3), (17, 16), (1, 2), "valid")
    x = rng.standard_normal((2, 20, 20, 3)).astype("float32")
    y, winners = max_pool(package(kernels), x, g)
    assert winners.dtype == np.int32 and winners.max() > 255
    dx = gradient(package(kernels), "max_pool2d_grad", (np.ones_like(y), winners), g, "float32", 2)
    assert dx.sum() == y.size
    assert (x[dx > 0] >= y.min()).all()


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("channels", (1, 3, 8, 16, 35))
def test_cpu(rng, channels, dtype):
    for g in windows(channels):
        x = images(rng, g, 3, dtype, nan=0.03)
        x.flags.writeable = False
        y, winners = max_pool(cpu, x, g)
        expected, expected_winners = max_pool(reference, x, g)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(winners, expected_winners)
        only = np.empty_like(y)
        cpu.max_pool2d(x, g, out=only)
        np.testing.assert_array_equal(only, y)
        dy = rng.standard_normal(y.shape).astype(dtype)
        for name, arguments in (("max_pool2d_grad", (dy, winners)), ("average_pool2d_grad", (dy,))):
            got, expected = (gradient(kernels, name, arguments, g, dtype, 3) for kernels in (cpu, reference))
            np.testing.assert_allclose(got, expected, rtol=0, atol=10 * TOLERANCE[dtype])
        x = np.nan_to_num(x)
        np.testing.assert_allclose(average_pool(cpu, x, g), average_pool(reference, x, g), atol=TOLERANCE[dtype])


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (2, 3)], ids=str)
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_windows_side_by_side(rng, padding, kernel, dtype):
    """Images that windows fill and images with rest rows and columns, channels around a vector's width."""
    for channels in (1, 2, 5, 7, 8, 9, 10, 15, 16, 17, 20, 33):
        for size in ((6, 6), (7, 6), (6, 8), (8, 11), (2, 3), (6, 48)):
            if size[0] < kernel[0] or size[1] < kernel[1]:
                continue
            g = window2d((*size, channels), kernel, kernel, padding)
            x = images(rng, g, 2, dtype, nan=0.03)
            y, winners = max_pool(cpu, x, g)
            expected, expected_winners = max_pool(reference, x, g)
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(winners, expected_winners)
            dy = rng.standard_normal(y.shape).astype(dtype)
            got, expected = (gradient(k, "max_pool2d_grad", (dy, winners), g, dtype, 2) for k in (cpu, reference))
            np.testing.assert_array_equal(got, expected)
            got, expected = (gradient(k, "average_pool2d_grad", (dy,), g, dtype, 2) for k in (cpu, reference))
            np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[dtype])


def test_reference_with_relu(rng):
    """ReLU after pooling is pooling after ReLU, but for the winners; the gradient is the slope."""
    for g in windows(channels=2):
        x = rng.standard_normal((2, g.in_h, g.in_w, 2)) - 1
        y, winners = max_pool(reference, x, g, activation=activations.relu)
        z, plain = max_pool(reference, x, g)
        np.testing.assert_array_equal(y, np.where(z > 0, z, 0))
        np.testing.assert_array_equal(winners, plain)
        dy = rng.standard_normal(y.shape)
        dx = gradient(reference, "max_pool2d_grad", (dy, winners), g, "float64", 2, y=y, activation=activations.relu)
        step = 1e-7 * rng.choice([-1, 1], x.shape)
        up, down = (max_pool(reference, x + s, g, activation=activations.relu)[0] for s in (step, -step))
        np.testing.assert_allclose(((up - down) * dy).sum() / 2e-7, (dx * step).sum() / 1e-7, atol=1e-6)


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("channels", (1, 10, 16, 20, 35))
def test_cpu_with_relu(rng, channels, dtype):
    """To the last bit what pooling and a ReLU of its own give, one after the other, NaN and signed zeros too."""
    relu = activations.relu
    for g in windows(channels):
        x = images(rng, g, 3, dtype, nan=0.03)
        x[x == 0] *= rng.choice([-1, 1], (x == 0).sum())
        y, winners = max_pool(cpu, x, g)
        cpu_activation.activation(y, relu, out=y)
        got, got_winners = max_pool(cpu, x, g, activation=relu)
        assert (got.tobytes(), got_winners.tobytes()) == (y.tobytes(), winners.tobytes())
        only = np.empty_like(y)
        cpu.max_pool2d(x, g, out=only, activation=relu)
        assert only.tobytes() == y.tobytes()
        dy = rng.standard_normal(y.shape).astype(dtype)
        dz = np.empty_like(dy)
        cpu_activation.activation_grad(dy, y, relu, out=dz)
        expected = gradient(cpu, "max_pool2d_grad", (dz, winners), g, dtype, 3)
        got = gradient(cpu, "max_pool2d_grad", (dy, winners), g, dtype, 3, y=y, activation=relu)
        assert got.tobytes() == expected.tobytes()
        expected = gradient(reference, "max_pool2d_grad", (dy, winners), g, dtype, 3, y=y, activation=relu)
        np.testing.assert_allclose(got, expected, rtol=0, atol=10 * TOLERANCE[dtype])


def global_pools(kernels, x, dy):
    """max, winners, its gradient, average, its gradient"""
    shape, clean = (x.shape[0], x.shape[3]), np.nan_to_num(x)
    top, winners, mean = filled(shape, x.dtype), np.full(shape, 99, np.int32), filled(shape, x.dtype)
    d_top, d_mean = filled(x.shape, x.dtype), filled(x.shape, x.dtype)
    kernels.global_max_pool2d(x, out=top, winners=winners)
    kernels.global_max_pool2d_grad(dy, winners, out=d_top)
    kernels.global_average_pool2d(clean, out=mean)
    kernels.global_average_pool2d_grad(dy, out=d_mean)
    return top, winners, d_top, mean, d_mean


def test_reference_over_whole_images(rng):
    x, dy = images(rng, window2d((4, 3, 5), (1, 1), (1, 1), "valid"), 2, nan=0.05), rng.standard_normal((2, 5))
    top, winners, d_top, mean, d_mean = global_pools(reference, x, dy)
    assert np.isnan(x).any()
    for n, c in np.ndindex(2, 5):
        values = x[n, :, :, c].ravel().tolist()
        best = max(range(12), key=lambda k: (np.isnan(values[k]), 0 if np.isnan(values[k]) else values[k]))
        assert winners[n, c] == best
        np.testing.assert_array_equal(top[n, c], values[best])
        expected = np.zeros(12)
        expected[best] = dy[n, c]
        np.testing.assert_array_equal(d_top[n, :, :, c].ravel(), expected)
        np.testing.assert_allclose(mean[n, c], sum(np.nan_to_num(values)) / 12)
        np.testing.assert_allclose(d_mean[n, :, :, c], dy[n, c] / 12)


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(0, 2, 2, 3), (3, 1, 1, 1), (3, 20, 17, 5), (2, 3, 4, 40), (5, 8, 8, 16)], ids=str)
def test_cpu_over_whole_images(rng, shape, dtype):
    n, h, w, c = shape
    x = images(rng, window2d((h, w, c), (1, 1), (1, 1), "valid"), n, dtype, nan=0.01)
    dy = rng.standard_normal((n, c)).astype(dtype)
    got, expected = global_pools(cpu, x, dy), global_pools(reference, x, dy)
    for a, b in zip(got[:3], expected[:3]):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(got[3:], expected[3:]):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("kernels", KERNELS)
def test_no_images(kernels):
    g = window2d((4, 4, 3), (2, 2), (2, 2), "valid")
    x = np.empty((0, 4, 4, 3), "float32")
    y, winners = max_pool(package(kernels), x, g)
    assert y.shape == (0, 2, 2, 3)
    assert gradient(package(kernels), "max_pool2d_grad", (y, winners), g, "float32", 0).shape == x.shape
    assert average_pool(package(kernels), x, g).shape == y.shape


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bits_do_not_depend_on_threads_and_build(rng, dtype, same_bits):
    cases = [window2d((13, 11, 19), (3, 3), (2, 2), "same"), window2d((24, 24, 10), (2, 2), (2, 2), "valid")]
    inputs = [rng.standard_normal((17, g.in_h, g.in_w, g.channels)).astype(dtype) for g in cases]

    def compute():
        for g, x in zip(cases, inputs):
            y, winners = max_pool(cpu, x, g)
            yield from (y, winners, average_pool(cpu, x, g))
            yield gradient(cpu, "max_pool2d_grad", (y, winners), g, dtype, len(x))
            relu = {"activation": activations.relu}
            y, winners = max_pool(cpu, x, g, **relu)
            yield from (y, winners, gradient(cpu, "max_pool2d_grad", (y, winners), g, dtype, len(x), y=y, **relu))
            yield gradient(cpu, "average_pool2d_grad", (y,), g, dtype, len(x))
            yield from global_pools(cpu, x, x[:, 0, 0].copy())

    same_bits(cpu, lambda: list(compute()))


@needs_compiled
def test_bits_do_not_depend_on_the_batch(rng):
    g = window2d((9, 9, 6), (3, 3), (2, 2), "same")
    x = rng.standard_normal((5, 9, 9, 6)).astype("float32")
    y, winners = max_pool(cpu, x, g)
    dx = gradient(cpu, "max_pool2d_grad", (y, winners), g, "float32", 5)
    one = max_pool(cpu, x[3:4], g)
    assert (one[0].tobytes(), one[1].tobytes()) == (y[3].tobytes(), winners[3].tobytes())
    assert gradient(cpu, "max_pool2d_grad", one, g, "float32", 1).tobytes() == dx[3].tobytes()
    assert average_pool(cpu, x[3:4], g).tobytes() == average_pool(cpu, x, g)[3].tobytes()


@needs_compiled
def test_wrong_calls_raise():
    g = window2d((4, 4, 3), (2, 2), (2, 2), "valid")
    x, y = np.zeros((2, 4, 4, 3), "float32"), np.zeros((2, 2, 2, 3), "float32")
    winners = np.zeros(y.shape, np.uint8)
    with pytest.raises(ValueError, match=r"max_pool2d: x must have shape \(2, 4, 4, 3\), got \(2, 2, 2, 3\)"):
        cpu.max_pool2d(y, g, out=y)
    with pytest.raises(ValueError, match=r"max_pool2d: winners must have shape \(2, 2, 2, 3\), got \(2, 4, 4, 3\)"):
        cpu.max_pool2d(x, g, out=y, winners=np.zeros(x.shape, np.uint8))
    with pytest.raises(TypeError, match="max_pool2d: winners must be uint8, got int32"):
        cpu.max_pool2d(x, g, out=y, winners=winners.astype(np.int32))
    with pytest.raises(ValueError, match=r"max_pool2d_grad: y must have shape \(2, 2, 2, 3\), got \(2, 4, 4, 3\)"):
        cpu.max_pool2d_grad(y, winners, g, out=x, y=x, activation=activations.relu)
    with pytest.raises(TypeError, match="max_pool2d_grad: winners must be a NumPy array, got NoneType"):
        cpu.max_pool2d_grad(y, None, g, out=x)
    with pytest.raises(ValueError, match=r"average_pool2d_grad: dy must have shape \(2, 2, 2, 3\)"):
        cpu.average_pool2d_grad(x, g, out=x)
    with pytest.raises(ValueError, match="max_pool2d_grad: window, strides and dilation must be at least 1"):
        cpu.max_pool2d_grad(y, winners, g._replace(stride_h=0), out=x)
    with pytest.raises(ValueError, match=r"max_pool2d: pad_left must be a whole number, got 0\.5"):
        cpu.max_pool2d(x, g._replace(pad_left=0.5), out=y)
    with pytest.raises(ValueError, match=r"global_max_pool2d: out must have shape \(2, 3\), got \(3, 2\)"):
        cpu.global_max_pool2d(x, out=np.zeros((3, 2), "float32"))
    with pytest.raises(ValueError, match=r"images \(N, H, W, C\) of at least one place, got shape \(2, 0, 4, 3\)"):
        cpu.global_average_pool2d(x[:, :0].copy(), out=np.zeros((2, 3), "float32"))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("activation", (activations.tanh, activations.ReLU(max_value=6), "relu"), ids=repr)
def test_other_activations_are_refused(kernels, activation):
    g = window2d((4, 4, 3), (2, 2), (2, 2), "valid")
    x, y = np.zeros((2, 4, 4, 3), "float32"), np.zeros((2, 2, 2, 3), "float32")
    text = r"activation must be None, linear or the plain ReLU, got .*; run it afterwards, by the activation kernel"
    with pytest.raises(ValueError, match=f"max_pool2d: {text}"):
        package(kernels).max_pool2d(x, g, out=y, activation=activation)
    with pytest.raises(ValueError, match=f"max_pool2d_grad: {text}"):
        package(kernels).max_pool2d_grad(y, y.astype("uint8"), g, out=x, y=y, activation=activation)


@pytest.mark.parametrize("kernels", KERNELS)
def test_behind_relu_the_gradient_needs_y(kernels):
    g = window2d((4, 4, 3), (2, 2), (2, 2), "valid")
    dx, dy = np.zeros((2, 4, 4, 3), "float32"), np.zeros((2, 2, 2, 3), "float32")
    with pytest.raises(ValueError, match="max_pool2d_grad: behind ReLU it needs the pooled output; pass y="):
        package(kernels).max_pool2d_grad(dy, dy.astype("uint8"), g, out=dx, activation=activations.relu)


@needs_compiled
def test_a_winner_outside_the_image_is_passed_over():
    """Whatever the winners hold, nothing is written out of bounds."""
    g = window2d((4, 4, 1), (2, 2), (2, 2), "valid")
    dx = gradient(
        cpu, "max_pool2d_grad", (np.ones((1, 2, 2, 1)), np.full((1, 2, 2, 1), 200, np.uint8)), g, "float64", 1
    )
    assert not dx.any()
    dx = filled((1, 2, 2, 3), "float64")
    cpu.global_max_pool2d_grad(np.ones((1, 3)), np.array([[-1, 4, 2**31 - 1]], np.int32), out=dx)
    assert not dx.any()
