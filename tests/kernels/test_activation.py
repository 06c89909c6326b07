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
    activations.softmax,
]
SHAPES = [(1, 1, 1), (3, 5, 7), (2, 9, 33), (5, 1, 40), (0, 4, 3), (2, 1, 20000), (2, 9000, 3)]


class Cube(activations.Activation):
    """A user's own: y = z³"""

    def __call__(self, z):
        return z**3

    def derivative(self, y):
        return 3 * np.cbrt(y) ** 2


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
        (activations.softmax, lambda z: special.softmax(z, axis=-1)),
        (activations.Softmax(0), lambda z: special.softmax(z, axis=0)),
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
@pytest.mark.parametrize("fn", [*FUNCTIONS, activations.Softmax(0), activations.Softmax(1)], ids=repr)
def test_cpu(rng, fn, dtype):
    for shape in SHAPES:
        if fn == activations.Softmax(0) and not shape[0]:
            continue
        z, dy = (4 * rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape).astype(dtype)
        y = forward(cpu, z, fn)
        assert np.abs(y - forward(reference, z.astype("float64"), fn)).max(initial=0) < TOLERANCE[dtype]
        saved = y if fn.needs == "y" else z
        dz = backward(cpu, dy, saved, fn)
        expected = backward(reference, dy.astype("float64"), saved.astype("float64"), fn)
        assert np.abs(dz - expected).max(initial=0) < TOLERANCE[dtype]
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
    }  # fmt: skip
    for fn, (top, bottom) in limits.items():
        y = forward(cpu, z, fn)
        assert np.isnan(y[0]), fn
        np.testing.assert_array_equal(y[1:3], [top, bottom])
        if fn.needs == "z":
            slope = backward(cpu, np.ones_like(z), z, fn)
            assert np.isnan(slope[0])
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
        for fn in [*FUNCTIONS, activations.Softmax(0), activations.Softmax(1)]:
            y = forward(cpu, z, fn)
            yield y
            yield backward(cpu, dy, y if fn.needs == "y" else z, fn)
        yield forward(cpu, wide, activations.softmax)
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
    frozen = np.zeros((2, 3), "float32")
    frozen.flags.writeable = False
    with pytest.raises(TypeError, match="out must be a writable"):
        cpu.activation(x, activations.relu, out=frozen)


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
}
ULPS = {  # stated in kernels/elementary.h
    "exp": (0.9, 1.0), "expm1_negative": (0.9, 1.2), "log": (0.9, 0.8), "log1p": (0.9, 0.9), "tanh": (1.4, 1.5),
    "sigmoid": (2.3, 2.3), "normal": (6.2, 3.8),
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
