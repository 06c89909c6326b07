"""matmul and sum_rows: the reference against sums written out, the compiled kernels against the reference."""

import itertools

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cpu import compiled
from npdl.kernels.reference import matmul as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import activation as cpu_activation
    from npdl.kernels.cpu import matmul as cpu
    from npdl.kernels.cpu import merge

TOLERANCE = {"float32": 1e-5, "float64": 1e-13}
# Around every build's tile: 4, 6, 8 and 12 rows, vectors of 2 to 16 numbers, panels of two; k around the block of 256.
ROWS = (1, 2, 3, 5, 6, 7, 11, 12, 13, 97, 200)
COLUMNS = (1, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 65, 257)
INNER = (1, 2, 31, 255, 256, 257, 600)
BOTH = list(itertools.product((False, True), repeat=2))


def close(got, expected, dtype):
    assert np.isfinite(got).all()
    if expected.size:
        assert np.abs(got - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max()


def operands(rng, m, n, k, dtype, transpose_a=False, transpose_b=False):
    a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
    b = rng.standard_normal((n, k) if transpose_b else (k, n)).astype(dtype)
    return a, b


class Cube(activations.Activation):
    """A user's own: y = z³"""

    def __call__(self, z):
        return z**3


@pytest.mark.parametrize(("transpose_a", "transpose_b"), BOTH)
def test_reference_is_the_sum(rng, transpose_a, transpose_b):
    a, b = operands(rng, 4, 3, 5, "float64", transpose_a, transpose_b)
    bias, out, z = rng.standard_normal(3), np.empty((4, 3)), np.empty((4, 3))
    expected = np.empty((4, 3))
    for i, j in itertools.product(range(4), range(3)):
        terms = ((a[k, i] if transpose_a else a[i, k]) * (b[j, k] if transpose_b else b[k, j]) for k in range(5))
        expected[i, j] = sum(terms) + bias[j]
    reference.matmul(
        a, b, out=out, bias=bias, z=z, activation=activations.tanh, transpose_a=transpose_a, transpose_b=transpose_b
    )
    np.testing.assert_allclose(z, expected, rtol=1e-13)
    np.testing.assert_allclose(out, np.tanh(expected), rtol=1e-13)


def test_reference_flattens_leading_axes(rng):
    x, w, dz = rng.standard_normal((2, 3, 4)), rng.standard_normal((4, 5)), rng.standard_normal((2, 3, 5))
    y, dw, db = np.empty((2, 3, 5)), np.empty((4, 5)), np.empty(5)
    reference.matmul(x, w, out=y)
    np.testing.assert_allclose(y, np.einsum("ntd,du->ntu", x, w), rtol=1e-12)
    reference.matmul(x, dz, out=dw, transpose_a=True)
    np.testing.assert_allclose(dw, np.einsum("ntd,ntu->du", x, dz), rtol=1e-12)
    reference.sum_rows(dz, out=db)
    np.testing.assert_allclose(db, np.einsum("ntu->u", dz), rtol=1e-12)


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize(("transpose_a", "transpose_b"), BOTH)
def test_every_tail_of_the_tile(rng, dtype, transpose_a, transpose_b):
    for m, n, k in itertools.product(ROWS, COLUMNS, INNER):
        if (m + 3 * n + 5 * k) % 4:  # a quarter of all combinations
            continue
        a, b = operands(rng, m, n, k, dtype, transpose_a, transpose_b)
        out, expected = np.full((m, n), np.nan, dtype), np.empty((m, n), dtype)
        cpu.matmul(a, b, out=out, transpose_a=transpose_a, transpose_b=transpose_b)
        reference.matmul(a, b, out=expected, transpose_a=transpose_a, transpose_b=transpose_b)
        close(out, expected, dtype)


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize(
    "activation",
    (
        None, activations.linear, activations.relu, activations.ReLU(0.1, 1.0, 0.2), activations.leaky_relu,
        activations.elu, activations.gelu, activations.GELU(True), activations.sigmoid, activations.tanh,
        activations.softmax, Cube(),
    ),
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("m", (1, 13))
def test_epilogue(rng, dtype, activation, m):
    a, b = operands(rng, m, 19, 300, dtype)
    a /= 16
    bias = rng.standard_normal(19).astype(dtype)
    for with_bias, with_z in itertools.product((False, True), repeat=2):
        got, expected = ({name: np.full((m, 19), np.nan, dtype) for name in ("out", "z")} for _ in range(2))
        for kernel, arrays in ((cpu, got), (reference, expected)):
            kernel.matmul(
                a, b, out=arrays["out"], z=arrays["z"] if with_z else None,
                bias=bias if with_bias else None, activation=activation,
            )  # fmt: skip
        close(got["out"], expected["out"], dtype)
        if with_z:
            close(got["z"], expected["z"], dtype)


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("activation", (None, activations.gelu, activations.GELU(True), activations.softmax), ids=str)
@pytest.mark.parametrize(
    ("m", "n", "k", "turned"),
    ((13, 35, 300, "b"), (1, 40, 70, ""), (1, 37, 600, ""), (13, 19, 0, ""), (30, 33, 5000, "a"), (7, 5, 1, "")),
)
def test_what_is_added_and_multiplied(rng, dtype, activation, m, n, k, turned):
    """Tiles, a single row, no sum at all, partial sums, an outer product; each with every part of the epilogue."""
    turn = {"transpose_a": turned == "a", "transpose_b": turned == "b"}
    a, b = operands(rng, m, n, k, dtype, **turn)
    a /= np.sqrt(max(k, 1)).astype(dtype)
    bias, add, times = (rng.standard_normal(shape).astype(dtype) for shape in (n, (m, n), (m, n)))
    keeps = activation is not None and activation.keeps_slope
    for chosen in itertools.product((False, True), repeat=4):
        given = {name: x for name, x, on in zip(("bias", "add", "times"), (bias, add, times), chosen) if on}
        names = ("out", "z", "slope") if keeps else ("out", "z")
        got, expected = ({name: np.full((m, n), np.nan, dtype) for name in names} for _ in range(2))
        for kernel, arrays in ((cpu, got), (reference, expected)):
            outputs = arrays if chosen[3] else {"out": arrays["out"]}
            kernel.matmul(a, b, activation=activation, **given, **turn, **outputs)
        for name in names if chosen[3] else ("out",):
            close(got[name], expected[name], dtype)


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize(
    ("m", "n", "k"),
    (
        (5, 3, 7),
        (130, 70, 1),
        (200, 64, 256),
        (100, 600, 300),
        (13, 100, 700),
        (20, 300, 5000),
        (3, 70, 0),
        (0, 70, 9),
        (1, 64, 5),
        (1, 70, 300),
    ),
)
@pytest.mark.parametrize("transpose_a", (False, True))
def test_sums_of_the_rows(rng, dtype, m, n, k, transpose_a):
    """In one task and many, one part and many, of few columns and none: the bits of sum_rows, and none other of out."""
    a, b = operands(rng, m, n, k, dtype, transpose_a)
    out, plain, sums, total = np.empty((m, n), dtype), np.empty((m, n), dtype), *np.full((2, n), np.nan, dtype)
    cpu.matmul(a, b, out=out, sums=sums, transpose_a=transpose_a)
    cpu.matmul(a, b, out=plain, transpose_a=transpose_a)
    cpu.sum_rows(b, out=total)
    np.testing.assert_array_equal(out, plain)
    np.testing.assert_array_equal(sums, total)


@needs_compiled
def test_an_epilogue_has_the_bits_of_kernels_one_by_one(rng):
    """Of a product, then add, multiply and the activation."""
    a, b = operands(rng, 25, 70, 300, "float32")
    add, times = rng.standard_normal((2, 25, 70)).astype("f4")
    out, plain, z, slope, ones = (np.ones((25, 70), "f4") for _ in range(5))
    for activation in (activations.gelu, activations.GELU(True)):
        cpu.matmul(a, b, out=out, add=add, times=times, activation=activation, slope=slope)
        cpu.matmul(a, b, out=z)
        merge.add(z, add, out=z)
        merge.multiply(z, times, out=z)
        cpu_activation.activation(z, activation, out=plain)
        np.testing.assert_array_equal(out, plain)
        cpu_activation.activation_grad(ones, z, activation, out=plain)
        np.testing.assert_array_equal(slope, plain)


@needs_compiled
def test_empty_sums_and_empty_results():
    out, bias = np.full((3, 4), np.nan, "f4"), np.arange(4, dtype="f4")
    cpu.matmul(np.empty((3, 0), "f4"), np.empty((0, 4), "f4"), out=out, bias=bias)
    np.testing.assert_array_equal(out, np.tile(bias, (3, 1)))
    cpu.matmul(np.empty((0, 3), "f4"), np.empty((0, 4), "f4"), out=out, transpose_a=True)
    np.testing.assert_array_equal(out, np.zeros((3, 4)))
    cpu.matmul(np.empty((0, 5), "f4"), np.empty((5, 4), "f4"), out=np.empty((0, 4), "f4"))
    total = np.full(4, np.nan, "f4")
    cpu.sum_rows(np.empty((0, 4), "f4"), out=total)
    np.testing.assert_array_equal(total, np.zeros(4))


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("shape", ((5, 3), (100, 30), (300, 20)))
def test_long_sums_over_the_batch(rng, dtype, shape):
    """So many rows that the sum is cut into parts; they are added in order, and are as exact as the whole."""
    a, b = operands(rng, *shape, 10_001, dtype, transpose_a=True)
    out = np.full(shape, np.nan, dtype)
    cpu.matmul(a, b, out=out, transpose_a=True)
    close(out, a.astype("float64").T @ b.astype("float64"), dtype)


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize(("n", "k"), ((10, 600), (130, 257), (1, 30)))
@pytest.mark.parametrize("transpose_b", (False, True))
def test_a_row_does_not_depend_on_the_batch(rng, dtype, n, k, transpose_b):
    a, b = operands(rng, 101, n, k, dtype, transpose_b=transpose_b)
    bias = rng.standard_normal(n).astype(dtype)
    whole = np.empty((101, n), dtype)
    call = {"bias": bias, "activation": activations.tanh, "transpose_b": transpose_b}
    cpu.matmul(a, b, out=whole, **call)
    for start, stop in ((0, 1), (5, 6), (100, 101), (3, 16), (20, 21), (7, 70)):
        part = np.empty((stop - start, n), dtype)
        cpu.matmul(a[start:stop], b, out=part, **call)
        np.testing.assert_array_equal(part, whole[start:stop])


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("shape", ((1, 1), (255, 10), (256, 5), (257, 16), (1000, 67), (513, 1), (2, 3, 130)))
def test_sum_rows(rng, dtype, shape):
    x = rng.standard_normal(shape).astype(dtype)
    out, expected = np.full(shape[-1], np.nan, dtype), np.empty(shape[-1], dtype)
    cpu.sum_rows(x, out=out)
    reference.sum_rows(x, out=expected)
    np.testing.assert_allclose(
        out, expected, rtol=0, atol=TOLERANCE[dtype] * np.abs(x).sum(axis=tuple(range(x.ndim - 1))).max()
    )


@needs_compiled
def test_non_finite_numbers_stay_in_their_rows_and_columns(rng):
    a, b = operands(rng, 14, 19, 40, "float32")
    a[3, 7], b[11, 2] = np.nan, np.inf
    out, total = np.empty((14, 19), "f4"), np.empty(19, "f4")
    cpu.matmul(a, b, out=out)
    bad = ~np.isfinite(out)
    assert bad[3].all() and bad[:, 2].all() and bad.sum() == 14 + 19 - 1
    cpu.sum_rows(out, out=total)
    assert np.isnan(total).all()
    cpu.sum_rows(np.delete(out, 3, axis=0), out=total)
    assert (~np.isfinite(total)).sum() == 1


@needs_compiled
def test_read_only_inputs(rng):
    a, b = operands(rng, 3, 4, 5, "float32")
    bias, out = np.zeros(4, "f4"), np.empty((3, 4), "f4")
    for array in (a, b, bias):
        array.flags.writeable = False
    cpu.matmul(a, b, out=out, bias=bias)
    np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-6)


@needs_compiled
def test_wrong_calls_raise():
    a, b, out = np.zeros((3, 5), "f4"), np.zeros((5, 4), "f4"), np.zeros((3, 4), "f4")
    with pytest.raises(ValueError, match=r"matmul: a \(5, 3\) times b \(5, 4\) does not give out \(3, 4\)"):
        cpu.matmul(np.zeros((5, 3), "f4"), b, out=out)
    with pytest.raises(ValueError, match=r"matmul: a \(3, 5\) transposed times"):
        cpu.matmul(a, b, out=out, transpose_a=True)
    with pytest.raises(ValueError, match=r"matmul: bias must have shape \(4,\), got \(3,\)"):
        cpu.matmul(a, b, out=out, bias=np.zeros(3, "f4"))
    with pytest.raises(ValueError, match=r"matmul: z must have shape \(3, 4\), got \(4, 3\)"):
        cpu.matmul(a, b, out=out, z=np.zeros((4, 3), "f4"))
    for name in ("add", "times", "slope"):
        with pytest.raises(ValueError, match=rf"matmul: {name} must have shape \(3, 4\), got \(4, 3\)"):
            cpu.matmul(a, b, out=out, activation=activations.gelu, **{name: np.zeros((4, 3), "f4")})
    for turned, of in ((b, 3), (np.zeros((4, 5), "f4"), 4)):
        with pytest.raises(ValueError, match=r"sums must have shape \(4,\), and b is not transposed then"):
            cpu.matmul(a, turned, out=out, sums=np.zeros(of, "f4"), transpose_b=of == 4)
    with pytest.raises(ValueError, match="slope is of activations that keep it, such as GELU, got activation=ReLU"):
        cpu.matmul(a, b, out=out, activation=activations.relu, slope=np.zeros((3, 4), "f4"))
    with pytest.raises(TypeError, match="matmul: b must be float32, got float64; convert it by astype"):
        cpu.matmul(a, b.astype("f8"), out=out)
    with pytest.raises(TypeError, match="matmul works in float32 or float64, got out of int32"):
        cpu.matmul(a, b, out=out.astype("i4"))
    with pytest.raises(TypeError, match="matmul: a must be float32, got >f4"):
        cpu.matmul(a.astype(">f4"), b, out=out)
    with pytest.raises(TypeError, match=r"matmul: b must be a C-contiguous NumPy array.*pass np\.ascontiguousarray"):
        cpu.matmul(a, np.asfortranarray(b), out=out)
    frozen = np.zeros((3, 4), "f4")
    frozen.flags.writeable = False
    with pytest.raises(TypeError, match="matmul: out must be a writable C-contiguous NumPy array"):
        cpu.matmul(a, b, out=frozen)
    with pytest.raises(ValueError, match=r"sum_rows: out must have shape \(5,\), got \(4,\)"):
        cpu.sum_rows(a, out=np.zeros(4, "f4"))


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_sum_rows_of_every_width(rng, dtype):
    """Around a vector, the width below which rows are folded, the rows in a block and in a fold."""
    heights, widths = (1, 15, 16, 17, 255, 256, 273, 1030), (1, 2, 5, 10, 16, 20, 63, 64, 65, 130)
    for rows, columns in itertools.product(heights, widths):
        x = rng.standard_normal((rows, columns)).astype(dtype)
        out = np.full(columns, np.nan, dtype)
        cpu.sum_rows(x, out=out)
        close(out, x.astype("float64").sum(axis=0), dtype)
