"""activation and activation_grad: the reference against other formulas, the compiled kernels against the reference, and
the elementary functions against more digits."""

import numpy as np
import pytest
from scipy import special

from npdl import activations
from npdl.kernels.cpu import compiled
from npdl.kernels.reference import activation as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import activation as cpu

TOLERANCE = {"float32": 2e-6, "float64": 5e-14}
FUNCTIONS = [
    activations.linear,
    activations.relu,
    activations.ReLU(0.1, 6.0, 0.5),
    activations.ReLU(max_value=1.0, threshold=-1.0),
    activations.leaky_relu,
    activations.elu,
    activations.ELU(1.7),
    activations.gelu,
    activations.GELU(approximate=True),
    activations.sigmoid,
    activations.tanh,
    activations.relu6,
    activations.selu,
    activations.CELU(0.7),
    activations.silu,
    activations.softplus,
    activations.Softplus(1.7, 2.0),
    activations.Softplus(0.3),
    activations.log_sigmoid,
    activations.softsign,
    activations.mish,
    activations.hard_sigmoid,
    activations.sparse_sigmoid,
    activations.hard_tanh,
    activations.hard_silu,
    activations.HardShrink(0.7),
    activations.soft_shrink,
    activations.tanh_shrink,
    activations.Threshold(0.25, -3.5),
    activations.Squareplus(0.5),
    activations.sparse_plus,
    activations.softmax,
    activations.log_softmax,
    activations.sparsemax,
]
OF_ROWS = [
    kind(axis) for kind in (activations.Softmax, activations.LogSoftmax, activations.Sparsemax) for axis in (0, 1)
]
SHAPES = [(1, 1, 1), (3, 5, 7), (2, 9, 33), (5, 1, 40), (0, 4, 3), (2, 1, 20000), (2, 9000, 3)]


class Cube(activations.Activation):
    """A user's own: y = z³"""

    def __call__(self, z):
        return z**3

    def derivative(self, y):
        return 3 * np.cbrt(y) ** 2


def nearest_probabilities(z):
    """Sparsemax by bisection: Σ max(z − τ, 0) falls with τ."""
    low, high = z.max(-1, keepdims=True) - 1, z.max(-1, keepdims=True)
    for _ in range(60):
        tau = (low + high) / 2
        more = np.maximum(z - tau, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(more, tau, low), np.where(more, high, tau)
    return np.maximum(z - low, 0)


def forward(kernels, z, fn):
    y = np.full_like(z, np.nan)
    kernels.activation(z, fn, out=y)
    return y


def backward(kernels, dy, saved, fn):
    dz = np.full_like(dy, np.nan)
    kernels.activation_grad(dy, saved, fn, out=dz)
    return dz


@pytest.mark.parametrize(
    ("fn", "formula"),
    [
        (activations.linear, lambda z: z),
        (activations.relu, lambda z: (z + abs(z)) / 2),
        (activations.ReLU(0.1, 6.0, 0.5), lambda z: np.where(z < 0.5, 0.1 * (z - 0.5), np.minimum(z, 6))),
        (activations.leaky_relu, lambda z: np.maximum(z, 0.2 * z)),
        (activations.elu, lambda z: np.maximum(z, 0) + special.expm1(np.minimum(z, 0))),
        (activations.gelu, lambda z: z * special.ndtr(z)),
        (activations.GELU(True), lambda z: z * special.expit(2 * np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
        (activations.sigmoid, special.expit),
        (activations.tanh, lambda z: 2 * special.expit(2 * z) - 1),
        (activations.relu6, lambda z: np.minimum(np.maximum(z, 0), 6)),
        (activations.selu, lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * special.expm1(z))),
        (activations.CELU(0.7), lambda z: np.maximum(z, 0) + np.minimum(0.7 * special.expm1(z / 0.7), 0)),
        (activations.silu, lambda z: z * special.expit(z)),
        (activations.softplus, lambda z: -special.log_expit(-z)),
        (activations.log_sigmoid, special.log_expit),
        (activations.softsign, lambda z: z / (1 + abs(z))),
        (activations.mish, lambda z: z * np.tanh(np.log1p(np.exp(z)))),
        (activations.exponential, lambda z: np.expm1(z) + 1),
        (activations.hard_sigmoid, lambda z: np.clip(z + 3, 0, 6) / 6),
        (activations.sparse_sigmoid, lambda z: np.where(z <= -1, 0, np.where(z >= 1, 1, 0.5 * (z + 1)))),
        (activations.hard_tanh, lambda z: np.clip(z, -1, 1)),
        (activations.hard_silu, lambda z: z * np.clip(z + 3, 0, 6) / 6),
        (activations.HardShrink(0.7), lambda z: np.where((z > 0.7) | (z < -0.7), z, 0)),
        (activations.soft_shrink, lambda z: np.sign(z) * np.maximum(abs(z) - 0.5, 0)),
        (activations.tanh_shrink, lambda z: z + 1 - 2 * special.expit(2 * z)),
        (activations.Threshold(0.25, -3.5), lambda z: np.where(z > 0.25, z, -3.5)),
        (activations.squareplus, lambda z: (z + np.sqrt(z * z + 4)) / 2),
        (activations.sparse_plus, lambda z: np.where(z <= -1, 0, np.where(z >= 1, z, (z + 1) ** 2 / 4))),
        (activations.softmax, lambda z: special.softmax(z, axis=-1)),
        (activations.Softmax(0), lambda z: special.softmax(z, axis=0)),
        (activations.log_softmax, lambda z: special.log_softmax(z, axis=-1)),
        (activations.LogSoftmax(0), lambda z: special.log_softmax(z, axis=0)),
        (activations.sparsemax, lambda z: nearest_probabilities(z)),
        (activations.Sparsemax(0), lambda z: nearest_probabilities(z.T).T),
    ],
    ids=lambda value: repr(value) if isinstance(value, activations.Activation) else "",
)
def test_reference(rng, fn, formula):
    """Values against another way to write them, gradients against central differences."""
    z, dy, step = rng.standard_normal((3, 4)) * 3, rng.standard_normal((3, 4)), 1e-6
    y = forward(reference, z, fn)
    np.testing.assert_allclose(y, formula(z), rtol=1e-12, atol=1e-14)
    dz = backward(reference, dy, y if fn.needs == "y" else z, fn)
    for i in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[i] += step
        down[i] -= step
        slope = ((formula(up) - formula(down)) * dy).sum() / (2 * step)
        assert abs(dz[i] - slope) < 1e-7


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("fn", [*FUNCTIONS, activations.exponential, *OF_ROWS], ids=repr)
def test_cpu(rng, fn, dtype):
    for shape in SHAPES:
        if getattr(fn, "axis", None) == 0 and not shape[0]:
            continue
        z, dy = (4 * rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape).astype(dtype)
        y, exact = forward(cpu, z, fn), forward(reference, z.astype("float64"), fn)
        assert (np.abs(y - exact) / np.maximum(abs(exact), 4)).max(initial=0) < TOLERANCE[dtype]
        saved = y if fn.needs == "y" else z
        dz = backward(cpu, dy, saved, fn)
        expected = backward(reference, dy.astype("float64"), saved.astype("float64"), fn)
        assert (np.abs(dz - expected) / np.maximum(abs(expected), 4)).max(initial=0) < TOLERANCE[dtype]
        own = z.copy()
        cpu.activation(own, fn, out=own)
        assert own.tobytes() == y.tobytes()
        own = dy.copy()
        cpu.activation_grad(own, saved, fn, out=own)
        assert own.tobytes() == dz.tobytes()


@pytest.mark.parametrize("kernels", [reference, pytest.param("cpu", marks=needs_compiled)], ids=["reference", "cpu"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_user_function_and_read_only_input(kernels, dtype):
    kernels = cpu if kernels == "cpu" else kernels
    z = np.arange(1, 4, dtype=dtype)
    z.flags.writeable = False
    y = forward(kernels, z, Cube())
    np.testing.assert_allclose(y, [1, 8, 27])
    np.testing.assert_allclose(backward(kernels, z, y, Cube()), [3, 24, 81], rtol=1e-6)
    np.testing.assert_allclose(forward(kernels, z, activations.relu), [1, 2, 3])


@pytest.mark.parametrize("kernels", [reference, pytest.param("cpu", marks=needs_compiled)], ids=["reference", "cpu"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("fn", FUNCTIONS, ids=repr)
def test_huge_values_stay_finite(kernels, fn, dtype):
    kernels = cpu if kernels == "cpu" else kernels
    z = np.array([[-1e4, -100, -30, -1e-30, 0, 1e-30, 30, 100, 1e4]], dtype)
    y = forward(kernels, z, fn)
    assert np.isfinite(y).all()
    assert np.isfinite(backward(kernels, np.ones_like(z), y if fn.needs == "y" else z, fn)).all()


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_cpu_keeps_nan_and_infinity(dtype):
    z = np.array([np.nan, np.inf, -np.inf, 0.0], dtype)
    limits = {
        activations.linear: (np.inf, -np.inf), activations.relu: (np.inf, 0), activations.elu: (np.inf, -1),
        activations.leaky_relu: (np.inf, -np.inf), activations.gelu: (np.inf, 0), activations.tanh: (1, -1),
        activations.GELU(True): (np.inf, 0), activations.sigmoid: (1, 0),
        activations.selu: (np.inf, -1.0507009873554805 * 1.6732632423543772), activations.celu: (np.inf, -1),
        activations.silu: (np.inf, 0), activations.softplus: (np.inf, 0), activations.log_sigmoid: (0, -np.inf),
        activations.softsign: (1, -1), activations.mish: (np.inf, 0), activations.exponential: (np.inf, 0),
        activations.hard_sigmoid: (1, 0), activations.hard_tanh: (1, -1), activations.hard_silu: (np.inf, 0),
        activations.hard_shrink: (np.inf, -np.inf), activations.soft_shrink: (np.inf, -np.inf),
        activations.tanh_shrink: (np.inf, -np.inf), activations.Threshold(1.0, 7.0): (np.inf, 7),
        activations.squareplus: (np.inf, 0), activations.sparse_plus: (np.inf, 0),
    }  # fmt: skip
    for fn, (top, bottom) in limits.items():
        y = forward(cpu, z, fn)
        assert np.isnan(y[0]), fn
        np.testing.assert_allclose(y[1:3], [top, bottom], rtol=2e-7)
        if fn.needs == "z" and fn.name not in ("softsign", "tanh_shrink"):
            slope = backward(cpu, np.ones_like(z), z, fn)
            assert np.isnan(slope[0]) or fn.name == "threshold"
            np.testing.assert_array_equal(slope[1:3], [1, 0])
    rows = np.array([[0, np.nan, 1], [0, 1, 2]], dtype)
    y = forward(cpu, rows, activations.softmax)
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()
    assert np.isnan(forward(cpu, rows.T.copy(), activations.Softmax(0))[:, 0]).all()


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bits_do_not_depend_on_the_batch(rng, dtype):
    z = rng.standard_normal((5, 77)).astype(dtype)
    for fn in FUNCTIONS:
        y = forward(cpu, z, fn)
        assert all(forward(cpu, z[i : i + 1], fn).tobytes() == y[i].tobytes() for i in range(5))


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bits_do_not_depend_on_threads_and_build(rng, dtype, same_bits):
    z, dy = (4 * rng.standard_normal((3, 777, 31))).astype(dtype), rng.standard_normal((3, 777, 31)).astype(dtype)
    wide = z.reshape(7, -1)

    def compute():
        for fn in [*FUNCTIONS, *OF_ROWS]:
            y = forward(cpu, z, fn)
            yield y
            yield backward(cpu, dy, y if fn.needs == "y" else z, fn)
        for fn in (activations.softmax, activations.log_softmax, activations.sparsemax):
            yield forward(cpu, wide, fn)
            yield backward(cpu, dy.reshape(wide.shape), wide, fn)
        for run in (glu_both, prelu_both):
            yield from run(cpu, z, dy)
        for function in cpu.lib.ELEMENTARY:
            out = np.empty_like(z)
            cpu.lib.elementary(function, np.abs(z) / 40 if "log" in function else z, out)
            yield out

    same_bits(cpu, lambda: list(compute()))


@needs_compiled
def test_wrong_calls_raise():
    x, small = np.zeros((2, 3), "float32"), np.zeros((3, 2), "float32")
    with pytest.raises(ValueError, match=r"activation: out must have shape \(2, 3\), got \(3, 2\)"):
        cpu.activation(x, activations.relu, out=small)
    with pytest.raises(ValueError, match=r"activation_grad: saved must have shape \(2, 3\), got \(3, 2\)"):
        cpu.activation_grad(x, small, activations.relu, out=x)
    with pytest.raises(TypeError, match="activation: out must be float32, got float64"):
        cpu.activation(x, activations.relu, out=np.zeros((2, 3)))
    with pytest.raises(TypeError, match="activation works in float32 or float64"):
        cpu.activation(np.zeros(3, "int32"), activations.relu, out=np.zeros(3, "int32"))
    with pytest.raises(TypeError, match="C-contiguous"):
        cpu.activation(np.zeros((3, 2), "float32").T, activations.relu, out=x)
    with pytest.raises(TypeError, match="activation: out must be a NumPy array, got list"):
        cpu.activation(x, activations.relu, out=[[0.0] * 3] * 2)
    with pytest.raises(ValueError, match=r"softmax along axis 2 of an array of shape \(2, 3\)"):
        cpu.activation(x, activations.Softmax(2), out=x)
    with pytest.raises(ValueError, match=r"activation: sparsemax along axis 2 of an array of shape \(2, 3\)"):
        cpu.activation(x, activations.Sparsemax(2), out=x)
    with pytest.raises(ValueError, match=r"glu: axis 1 of x must have an even length, got shape \(2, 3\)"):
        cpu.glu(x, -1, out=x)
    with pytest.raises(ValueError, match=r"glu: out must have shape \(1, 3\), got \(2, 3\)"):
        cpu.glu(x, 0, out=x)
    with pytest.raises(ValueError, match=r"prelu: alpha must have shape \(3,\), got \(3, 2\)"):
        cpu.prelu(x, small, out=x)
    with pytest.raises(ValueError, match=r"prelu_grad: dy must have shape \(2, 3\), got \(3, 2\)"):
        cpu.prelu_grad(small, x, x[0].copy(), dalpha=x)
    frozen = np.zeros((2, 3), "float32")
    frozen.flags.writeable = False
    with pytest.raises(TypeError, match="out must be a writable"):
        cpu.activation(x, activations.relu, out=frozen)


# ---- GLU and PReLU


def glu_both(kernels, x, dy, axis=1):
    """y and dx of the first even number of places along the axis."""
    even = np.ascontiguousarray(np.take(x, range(x.shape[axis] // 2 * 2), axis))
    y = np.full_like(np.take(even, range(even.shape[axis] // 2), axis), np.nan)
    dx, dy = np.full_like(even, np.nan), np.ascontiguousarray(dy[tuple(map(slice, y.shape))])
    kernels.glu(even, axis, out=y)
    kernels.glu_grad(dy, even, axis, out=dx)
    return y, dx


def prelu_both(kernels, x, dy):
    """y, dx and dalpha; alpha is the last sample."""
    y, dx, dalpha = (np.full_like(x, np.nan) for _ in range(3))
    kernels.prelu(x, x[-1], out=y)
    kernels.prelu_grad(dy, x, x[-1], dx=dx, dalpha=dalpha)
    return y, dx, dalpha


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_glu_and_prelu(rng, dtype):
    for shape in [(1, 2, 1), (3, 4, 7), (2, 6, 33), (2, 40000, 1), (0, 4, 3)]:
        x, dy = (3 * rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape).astype(dtype)
        x64, dy64 = x.astype("float64"), dy.astype("float64")
        runs = [(prelu_both, ())] if shape[0] else []
        for run, more in [*runs, (glu_both, (1,)), (glu_both, (0,)), (glu_both, (-1,))]:
            for got, expected in zip(run(cpu, x, dy, *more), run(reference, x64, dy64, *more)):
                assert got.shape == expected.shape
                assert np.abs(got - expected).max(initial=0) < 10 * TOLERANCE[dtype]
    own = x[:1].copy() if len(x) else np.ones((1, 4, 3), dtype)
    expected = prelu_both(cpu, own, own)
    dalpha, y, dx = np.empty_like(own), own.copy(), own.copy()
    cpu.prelu(y, own[-1], out=y)
    cpu.prelu_grad(dx, own, own[-1], dx=dx, dalpha=dalpha)
    assert [a.tobytes() for a in (y, dx, dalpha)] == [a.tobytes() for a in expected]
    cpu.prelu_grad(own, own, own[-1], dalpha=dalpha)
    assert dalpha.tobytes() == expected[2].tobytes()


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sparsemax_of_hard_rows(rng, dtype):
    """Equal numbers, one alone, a long slope: as many turns as there can be."""
    eps = np.finfo(dtype).eps
    for row in (
        np.zeros(37),
        np.r_[5.0, np.zeros(20)],
        np.linspace(-1, 1, 2000),
        0.5 ** np.arange(40.0),
        -1e30 * np.ones(3),
    ):
        z = np.stack([row, row[::-1]]).astype(dtype)
        for fn, array in ((activations.sparsemax, z), (activations.Sparsemax(0), np.ascontiguousarray(z.T))):
            y = forward(cpu, array, fn)
            assert np.abs(y - forward(reference, array.astype("float64"), fn)).max() < 40 * eps
            assert np.abs(y.sum(axis=fn.axis) - 1).max() < 40 * eps * len(row) ** 0.5


@needs_compiled
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("n", [1, 3, 16, 40])
def test_a_bad_number_spoils_its_row(bad, n, rng):
    """As in the reference: all of its row is NaN, no other row changes; −∞ spoils nothing."""
    z = rng.standard_normal((6, n)).astype("float32")
    z[1, n // 2], z[4, 0] = bad, bad
    z[2, 1:] = -np.inf
    for kind in (activations.Softmax, activations.LogSoftmax, activations.Sparsemax):
        y, columns = forward(cpu, z, kind(-1)), forward(cpu, np.ascontiguousarray(z.T), kind(0)).T
        for made in (y, columns):
            assert np.isnan(made[[1, 4]]).all() and not np.isnan(made[[0, 2, 3, 5]]).any()
        np.testing.assert_allclose(y[[0, 3, 5]], forward(reference, z[[0, 3, 5]], kind(-1)), atol=1e-5)
    with np.errstate(invalid="ignore"):
        assert np.isnan(forward(reference, z, activations.sparsemax)[[1, 4]]).all()


def test_softplus_with_a_threshold():
    for fn in (activations.Softplus(2.0, 3.0), activations.get({"class_name": "Softplus", "config": {"beta": 2.0}})):
        z = np.array([-800.0, -1.0, 0.0, 1.4, 1.6, 800.0])
        inside = (2 * z <= 3) | (fn.threshold is None)
        want = np.where(inside, np.logaddexp(0, 2 * z) / 2, z)
        np.testing.assert_allclose(forward(reference, z, fn), want, rtol=1e-12)
        slope = np.where(inside, special.expit(2 * z), 1)
        np.testing.assert_allclose(backward(reference, np.ones_like(z), z, fn), slope, rtol=1e-12)
    with pytest.raises(
        ValueError, match=r"Softplus needs beta above 0 and threshold to be a number or None, got beta=0"
    ):
        activations.Softplus(0)
    with pytest.raises(ValueError, match=r"threshold='20'; pass e\.g\. Softplus\(beta=1\.0, threshold=20\)"):
        activations.Softplus(threshold="20")


# ---- elementary functions

WIDER = {"float32": np.float64, "float64": np.longdouble}
EXACT = {
    "exp": np.exp,
    "expm1_negative": lambda x: np.expm1(np.minimum(x, 0)),
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x < 0, np.exp(-np.abs(x)), 1) / (1 + np.exp(-np.abs(x))),
    "normal": special.ndtr,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}
ULPS = {  # stated in kernels/elementary.h
    "exp": (0.9, 1.0), "expm1_negative": (0.9, 1.2), "log": (0.9, 0.8), "log1p": (0.9, 0.9), "tanh": (1.4, 1.5),
    "sigmoid": (2.3, 2.3), "normal": (2.8, 3.8),
    "softplus": (1.6, 1.6),
}  # fmt: skip


def elementary(function, x):
    out = np.empty_like(x)
    cpu.lib.elementary(function, x, out)
    return out


def ulps(got, exact):
    """|got − exact| in units in the last place of got's type; NaN and infinity must agree."""
    info = np.finfo(got.dtype)
    with np.errstate(over="ignore", under="ignore"):
        rounded = exact.astype(got.dtype)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded))
    finite = np.isfinite(got) & np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    ulp = np.spacing(np.maximum(np.abs(rounded[finite]), info.smallest_normal)).astype(exact.dtype)
    return np.abs(got[finite] - exact[finite]) / ulp


def arguments(function, dtype, rng):
    """Every sign and exponent, and more where the function bends."""
    if dtype == "float32":
        bits = np.arange(2**18) * 2**14 + rng.integers(0, 2**14, 2**18)
        x = bits.astype(np.uint32).view(np.float32)
    else:
        x = np.ldexp(rng.uniform(1, 2, 2**17) * rng.choice([-1, 1], 2**17), rng.integers(-1074, 1024, 2**17))
    x = x[~np.isnan(x)]
    x = np.concatenate([x, rng.uniform(-1, 1, 2**17), rng.uniform(-20, 20, 2**17), rng.uniform(-750, 720, 2**16)])
    x = np.append(x, [0.0, -0.0, np.inf, -np.inf, np.nan]).astype(dtype)
    return x[(x > -1) & (x <= 1)] if function == "log1p" else x


@needs_compiled
@pytest.mark.parametrize("dtype", WIDER)
@pytest.mark.parametrize("function", EXACT)
def test_error_of_elementary_functions(rng, function, dtype):
    x = arguments(function, dtype, rng)
    stated = ULPS[function][dtype == "float64"]
    with np.errstate(all="ignore"):
        if (function, dtype) == ("normal", "float64"):  # SciPy has it in double precision only
            x = x[~np.isnan(x)]
            exact = special.ndtr(x)
            difference = np.abs(elementary(function, x) - exact)
            assert (difference / exact)[x > -20].max() < 1e-13
            assert np.nanmax(difference) < 5e-16
            return
        exact = EXACT[function](x.astype(WIDER[dtype]))
    spare = 0.05 if np.finfo(WIDER[dtype]).nmant > np.finfo(dtype).nmant else 1  # long double may be double
    if not cpu.lib.HAS_FMA:
        spare += 60 if function == "normal" else 0.1
    assert ulps(elementary(function, x), exact).max() < stated + spare


def near_zero(rng):
    x = np.concatenate([rng.uniform(-5.25, 5.25, 2**18), np.arange(-21, 22) / 4]).astype(np.float32)
    return x[np.abs(x) < 5.25]


@needs_compiled
@pytest.mark.skipif(compiled() and not cpu.lib.HAS_FMA, reason="the stated errors are those with FMA")
def test_error_of_the_normal_distribution_within_5_25(rng):
    x = near_zero(rng)
    assert ulps(elementary("normal", x), special.ndtr(x.astype(np.float64))).max() < 1.2


@needs_compiled
def test_normal_distribution_beside_numbers_far_out(rng):
    """A number has the same bits whether or not another beside it lies far out, where another formula is used."""
    x = near_zero(rng)
    edge = np.nextafter(np.float32([5.25, -5.25]), np.float32(0))
    for far in (-6, 5.25, np.inf, np.nan):
        beside = np.insert(np.append(x[: 2**12], edge), 7 * np.arange(500), far).astype(np.float32)
        alone = np.isfinite(beside) & (np.abs(beside) < 5.25)
        np.testing.assert_array_equal(elementary("normal", beside)[alone], elementary("normal", beside[alone]))


@needs_compiled
@pytest.mark.skipif(compiled() and not cpu.lib.HAS_FMA, reason="the stated errors are those with FMA")
@pytest.mark.parametrize("function", ("exp", "tanh"))
def test_error_over_all_of_float32(function, every=61):
    """Every 61st of all 2³² bit patterns, an odd step so that all mantissas take part; every=1 is the whole range."""
    step = 2**24
    for start in range(0, 2**32, step):
        first = start + -start % every
        x = np.arange(first, start + step, every, dtype=np.uint64).astype(np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            exact = EXACT[function](x.astype(np.float64))
        assert ulps(elementary(function, x), exact).max(initial=0) < ULPS[function][0], x[0]


@needs_compiled
@pytest.mark.parametrize("dtype", WIDER)
def test_signs_and_steps_of_elementary_functions(dtype):
    def at(function, *values):
        return elementary(function, np.array(values, dtype))

    tiny = np.finfo(dtype).smallest_subnormal
    np.testing.assert_array_equal(at("exp", 0, -0.0), [1, 1])
    np.testing.assert_array_equal(np.signbit(at("tanh", -0.0, 0.0, -tiny)), [True, False, True])
    np.testing.assert_array_equal(at("tanh", tiny, 30, -30), [tiny, 1, -1])
    np.testing.assert_array_equal(at("expm1_negative", tiny * -1, -1000, 5), [-tiny, -1, 0])
    np.testing.assert_array_equal(at("log", 1, 0, -1), [0, -np.inf, np.nan])
    np.testing.assert_array_equal(at("log1p", 0, tiny, -tiny), [0, tiny, -tiny])
    np.testing.assert_array_equal(at("normal", 0, 40, -40), [0.5, 1, 0])
