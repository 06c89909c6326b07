"""Convolution kernels: the reference against sums written out, the compiled kernels against the reference."""

import itertools

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cpu import compiled
from npdl.kernels.geometry import window2d
from npdl.kernels.reference import conv as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import conv as cpu

TOLERANCE = {"float32": 1e-5, "float64": 1e-13}

# (H, W, C), kernel, strides, padding, dilation, filters, groups
GEOMETRIES = [
    ((5, 7, 4), (3, 3), (1, 1), "same", (1, 1), 6, 1),
    ((5, 7, 4), (3, 3), (1, 1), "valid", (1, 1), 34, 1),
    ((8, 8, 3), (5, 5), (1, 1), "same", (1, 1), 7, 1),
    ((9, 8, 6), (2, 5), (2, 1), "same", (1, 1), 4, 2),
    ((9, 8, 6), (3, 3), (2, 2), "same", (1, 1), 33, 1),
    ((9, 8, 6), (3, 3), (2, 2), "valid", (1, 1), 4, 1),
    ((9, 9, 4), (3, 2), (3, 2), "same", (1, 1), 4, 4),
    ((9, 9, 2), (2, 2), (3, 4), "valid", (1, 1), 4, 1),
    ((7, 6, 5), (1, 1), (1, 1), "same", (1, 1), 3, 1),
    ((7, 6, 5), (1, 1), (2, 2), "same", (1, 1), 3, 1),
    ((9, 9, 4), (3, 3), (1, 1), "same", (2, 3), 4, 1),
    ((9, 9, 4), (3, 3), (1, 1), "valid", (2, 1), 4, 2),
    ((9, 9, 4), (3, 3), (2, 3), "same", (3, 2), 4, 2),
    ((12, 12, 2), (4, 3), (4, 2), "same", (2, 2), 2, 1),
    ((3, 3, 2), (7, 7), (1, 1), "same", (1, 1), 3, 1),
    ((2, 2, 1), (5, 3), (2, 1), "same", (1, 1), 1, 1),
    ((6, 6, 5), (3, 3), (1, 1), "same", (1, 1), 5, 5),
    ((6, 6, 5), (3, 3), (1, 1), "same", (1, 1), 10, 5),
    ((1, 9, 3), (1, 4), (1, 2), "valid", (1, 1), 2, 1),
    ((4, 5, 70), (3, 3), (1, 1), "same", (1, 1), 20, 1),
    ((4, 5, 70), (3, 3), (1, 1), "same", (1, 1), 20, 2),
    ((5, 4, 40), (5, 3), (2, 1), "same", (1, 2), 17, 1),
]
# Where the compiled kernels change their way; too large for sums written out.
LARGE = [
    ((33, 31, 3), (3, 3), (1, 1), "same", (1, 1), 33, 1),  # more pixels than a task or a block has
    ((1, 300, 2), (1, 3), (1, 1), "same", (1, 1), 5, 1),  # a row longer than a block of pixels
    ((300, 1, 2), (3, 1), (1, 1), "same", (1, 1), 18, 1),  # and as many rows as that
    ((8, 8, 16), (3, 3), (2, 2), "same", (1, 1), 32, 1),  # dx in phases
    ((9, 7, 17), (1, 1), (2, 3), "valid", (1, 1), 3, 1),  # phases without a tap
    ((5, 6, 15), (3, 2), (1, 2), "same", (2, 1), 260, 1),  # few channels, two blocks of filters
    ((40, 37, 12), (5, 5), (1, 1), "valid", (1, 1), 10, 1),  # few channels, several bands
    ((17, 9, 1), (5, 5), (3, 2), "same", (1, 1), 20, 1),
    ((6, 5, 80), (3, 3), (1, 1), "same", (1, 1), 40, 2),
    ((6, 5, 64), (3, 3), (2, 1), "same", (1, 1), 96, 8),
    ((6, 5, 64), (1, 1), (1, 1), "same", (1, 1), 300, 4),  # groups in two tasks
    ((12, 11, 70), (3, 3), (1, 1), "same", (1, 1), 70, 70),  # depthwise: four vectors, one, and a tail
    ((12, 11, 67), (3, 5), (2, 1), "same", (1, 2), 67, 67),
    ((7, 8, 35), (3, 3), (2, 2), "same", (1, 1), 70, 35),  # depthwise, two filters a channel
    ((7, 8, 6), (4, 3), (1, 1), "valid", (2, 1), 18, 6),
    ((3, 2, 6), (5, 5), (1, 1), "same", (1, 1), 6, 6),
    ((3, 4, 300), (3, 3), (1, 1), "same", (1, 1), 260, 1),  # few outputs, each a long sum
    ((4, 3, 2100), (1, 1), (2, 1), "valid", (1, 1), 5, 1),
    ((4, 3, 17), (1, 1), (2, 1), "valid", (1, 1), 2100, 1),
]


def arrays(rng, g, n, dtype="float64"):
    """x, w, y's shape"""
    x = rng.standard_normal((n, g.in_h, g.in_w, g.channels)).astype(dtype)
    w = rng.standard_normal((g.kernel_h, g.kernel_w, g.channels // g.groups, g.filters))
    w = (w / np.sqrt(w.size / g.filters)).astype(dtype)  # y of order 1
    return x, w, (n, g.out_h, g.out_w, g.filters)


def places(g):
    """Every (output row and column, tap) with the input row and column that it reads inside the image."""
    for i, j, p, q in itertools.product(*map(range, (g.out_h, g.out_w, g.kernel_h, g.kernel_w))):
        h = i * g.stride_h - g.pad_top + p * g.dilation_h
        w = j * g.stride_w - g.pad_left + q * g.dilation_w
        if 0 <= h < g.in_h and 0 <= w < g.in_w:
            yield i, j, p, q, h, w


def written_out(x, w, dz, g):
    """y, dx and dW by the definition of a convolution and of its gradients, one number of the sum at a time."""
    y, dx, dw = np.zeros(dz.shape), np.zeros(x.shape), np.zeros(w.shape)
    c, f = g.channels // g.groups, g.filters // g.groups
    for (i, j, p, q, h, v), group in itertools.product(places(g), range(g.groups)):
        cs, fs = slice(group * c, (group + 1) * c), slice(group * f, (group + 1) * f)
        y[:, i, j, fs] += x[:, h, v, cs] @ w[p, q][:, fs]
        dx[:, h, v, cs] += dz[:, i, j, fs] @ w[p, q][:, fs].T
        dw[p, q][:, fs] += x[:, h, v, cs].T @ dz[:, i, j, fs]
    return y, dx, dw


def run(kernels, x, w, dz, g, **epilogue):
    """Every kernel of the family: a dictionary of results."""
    n, taps = len(x), g.kernel_h * g.kernel_w
    out = {name: np.full(like.shape, np.nan, x.dtype) for name, like in (("y", dz), ("dx", x), ("dw", w), ("image", x))}
    out["cols"] = np.full((n, g.out_h, g.out_w, taps * g.channels), np.nan, x.dtype)
    kernels.conv2d(x, w, g, out=out["y"], **epilogue)
    kernels.conv2d_dx(dz, w, g, out=out["dx"])
    kernels.conv2d_dkernel(x, dz, g, out=out["dw"])
    kernels.im2col(x, g, out=out["cols"])
    kernels.col2im(out["cols"], g, out=out["image"])
    return out


def close(got, expected, dtype):
    for name, value in got.items():
        assert np.isfinite(value).all(), name
        assert np.abs(value - expected[name]).max() <= TOLERANCE[dtype] * max(np.abs(expected[name]).max(), 1e-3), name


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_reference_is_the_sum(rng, geometry):
    g = window2d(*geometry)
    x, w, shape = arrays(rng, g, 2)
    dz, bias = rng.standard_normal(shape), rng.standard_normal(g.filters)
    got = run(reference, x, w, dz, g, bias=bias)
    y, dx, dw = written_out(x, w, dz, g)
    np.testing.assert_allclose(got["y"], y + bias, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(got["dx"], dx, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(got["dw"], dw, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_reference_im2col_and_its_adjoint(rng, geometry):
    """im2col by its definition; col2im by <im2col(x), c> = <x, col2im(c)>."""
    g = window2d(*geometry)
    x, _, shape = arrays(rng, g, 2)
    expected = np.zeros((*shape[:3], g.kernel_h, g.kernel_w, g.channels))
    for i, j, p, q, h, v in places(g):
        expected[:, i, j, p, q] = x[:, h, v]
    cols = np.full((*shape[:3], g.kernel_h * g.kernel_w * g.channels), np.nan)
    reference.im2col(x, g, out=cols)
    np.testing.assert_array_equal(cols, expected.reshape(cols.shape))
    other, image = rng.standard_normal(cols.shape), np.full(x.shape, np.nan)
    reference.col2im(other, g, out=image)
    np.testing.assert_allclose((cols * other).sum(), (x * image).sum(), rtol=1e-10)


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("geometry", GEOMETRIES + LARGE, ids=str)
@pytest.mark.parametrize("n", (1, 3))
def test_compiled_against_reference(rng, geometry, dtype, n):
    g = window2d(*geometry)
    x, w, shape = arrays(rng, g, n, dtype)
    dz, bias = rng.standard_normal(shape).astype(dtype), rng.standard_normal(g.filters).astype(dtype)
    got, expected = (run(kernels, x, w, dz, g, bias=bias, activation=activations.tanh) for kernels in (cpu, reference))
    close(got, expected, dtype)


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("geometry", [*GEOMETRIES, LARGE[6], LARGE[7]], ids=str)
@pytest.mark.parametrize("n", (16, 37))
def test_images_side_by_side(rng, geometry, dtype, n):
    """Batches that fill the vectors with images, and have some left over."""
    g = window2d(*geometry)
    x, w, shape = arrays(rng, g, n, dtype)
    dz, bias = rng.standard_normal(shape).astype(dtype), rng.standard_normal(g.filters).astype(dtype)
    got, expected = ({name: np.full(shape, np.nan, dtype) for name in ("out", "z")} for _ in range(2))
    got["dx"], expected["dx"] = np.full_like(x, np.nan), np.full_like(x, np.nan)
    for kernels, out in ((cpu, got), (reference, expected)):
        kernels.conv2d(x, w, g, bias=bias, activation=activations.tanh, out=out["out"], z=out["z"])
        kernels.conv2d_dx(dz, w, g, out=out["dx"])
    close(got, expected, dtype)


@needs_compiled
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("n", (9, 40))
@pytest.mark.parametrize(("channels", "filters", "groups"), ((3, 5, 1), (8, 12, 2), (5, 5, 5), (5, 10, 5)))
def test_long_sums_over_the_batch(rng, dtype, n, channels, filters, groups):
    """So many pixels that the kernel's gradient is cut into parts."""
    g = window2d((17, 19, channels), (3, 3), (1, 1), "same", (1, 1), filters, groups)
    x, w, shape = arrays(rng, g, n, dtype)
    dz = rng.standard_normal(shape).astype(dtype)
    got, expected = np.empty_like(w), np.empty(w.shape)
    cpu.conv2d_dkernel(x, dz, g, out=got)
    reference.conv2d_dkernel(x.astype("float64"), dz.astype("float64"), g, out=expected)
    close({"dw": got}, {"dw": expected}, dtype)


@needs_compiled
@pytest.mark.parametrize("geometry", GEOMETRIES + LARGE, ids=str)
@pytest.mark.parametrize("n", (6, 33))
def test_an_image_does_not_depend_on_the_batch(rng, geometry, n):
    g = window2d(*geometry)
    x, w, shape = arrays(rng, g, n, "float32")
    dz, bias = rng.standard_normal(shape).astype("f4"), rng.standard_normal(g.filters).astype("f4")
    whole = run(cpu, x, w, dz, g, bias=bias)
    for i in (0, 2, n - 1):
        alone = run(cpu, x[i : i + 1], w, dz[i : i + 1], g, bias=bias)
        for name in ("y", "dx", "cols", "image"):
            np.testing.assert_array_equal(alone[name][0], whole[name][i], err_msg=name)


@needs_compiled
@pytest.mark.parametrize("activation", (activations.relu, activations.gelu, activations.softmax), ids=str)
def test_epilogue(rng, activation):
    g = window2d((5, 5, 4), (3, 3), (1, 1), "same", (1, 1), 10, 2)
    x, w, shape = arrays(rng, g, 2, "float32")
    bias = rng.standard_normal(10).astype("f4")
    got, expected = ({name: np.full(shape, np.nan, "f4") for name in ("out", "z")} for _ in range(2))
    cpu.conv2d(x, w, g, bias=bias, activation=activation, **got)
    reference.conv2d(x, w, g, bias=bias, activation=activation, **expected)
    close(got, expected, "float32")


@needs_compiled
@pytest.mark.parametrize("n", (1, 9, 40))
@pytest.mark.parametrize("groups", (1, 4))
def test_pads_larger_than_the_window(rng, n, groups):
    """No padding mode gives these; a geometry may."""
    g = window2d((5, 6, 4), (1, 2), (2, 1), "valid", (1, 1), 8, groups)
    g = g._replace(pad_top=3, pad_left=4, out_h=6, out_w=13)
    x, w, shape = arrays(rng, g, n, "float32")
    dz = rng.standard_normal(shape).astype("f4")
    got, expected = run(cpu, x, w, dz, g), written_out(*(array.astype("f8") for array in (x, w, dz)), g)
    close({name: got[name] for name in ("y", "dx", "dw")}, dict(zip(("y", "dx", "dw"), expected)), "float32")


@needs_compiled
@pytest.mark.parametrize(
    "geometry",
    (
        ((6, 7, 3), (5, 3), (1, 2), "same", (1, 1), 4, 1),
        ((6, 7, 17), (3, 3), (1, 1), "same", (1, 1), 4, 1),
        ((6, 7, 5), (3, 3), (1, 1), "same", (1, 1), 10, 5),
    ),
    ids=str,
)
def test_what_lies_outside_the_image_is_not_read(rng, geometry):
    """An image inside a larger array of NaN gives what it gives alone."""
    g = window2d(*geometry)
    x, w, shape = arrays(rng, g, 1, "float32")
    dz = rng.standard_normal(shape).astype("f4")
    alone = run(cpu, x, w, dz, g)

    def surrounded(array):
        room = np.full(array.size + 512, np.nan, "f4")
        room[256:-256] = array.ravel()
        return room[256:-256].reshape(array.shape)

    inside = run(cpu, surrounded(x), surrounded(w), surrounded(dz), g)
    for name, value in inside.items():
        np.testing.assert_array_equal(value, alone[name], err_msg=name)


@needs_compiled
def test_read_only_inputs_and_an_empty_batch(rng):
    g = window2d((4, 4, 2), (3, 3), (2, 1), "same", (1, 1), 3, 1)
    x, w, shape = arrays(rng, g, 0, "float32")
    dz = np.empty(shape, "f4")
    for array in (x, w, dz):
        array.flags.writeable = False
    out = run(cpu, x, w, dz, g)
    assert out["y"].shape == (0, 2, 4, 3)
    np.testing.assert_array_equal(out["dw"], np.zeros(w.shape))


@needs_compiled
def test_wrong_calls_raise(rng):
    g = window2d((5, 5, 4), (3, 3), (1, 1), "same", (1, 1), 6, 2)
    x, w, shape = arrays(rng, g, 2, "float32")
    y = np.zeros(shape, "f4")
    with pytest.raises(ValueError, match=r"conv2d: x must have shape \(2, 5, 5, 4\), got \(2, 5, 4, 5\)"):
        cpu.conv2d(x.reshape(2, 5, 4, 5), w, g, out=y)
    with pytest.raises(ValueError, match=r"conv2d: w must have shape \(3, 3, 2, 6\)"):
        cpu.conv2d(x, np.zeros((3, 3, 4, 6), "f4"), g, out=y)
    with pytest.raises(ValueError, match=r"conv2d: out must have shape \(2, 5, 5, 6\)"):
        cpu.conv2d(x, w, g, out=y[:1])
    with pytest.raises(ValueError, match=r"conv2d: bias must have shape \(6,\)"):
        cpu.conv2d(x, w, g, out=y, bias=np.zeros(5, "f4"))
    with pytest.raises(ValueError, match=r"conv2d_dx: dz must have shape \(2, 5, 5, 6\)"):
        cpu.conv2d_dx(y[:1], w, g, out=np.zeros_like(x))
    with pytest.raises(ValueError, match=r"conv2d_dkernel: out must have shape \(3, 3, 2, 6\)"):
        cpu.conv2d_dkernel(x, y, g, out=np.zeros((3, 3, 4, 6), "f4"))
    with pytest.raises(ValueError, match=r"im2col: out must have 1800 elements"):
        cpu.im2col(x, g, out=np.zeros((2, 5, 5, 9), "f4"))
    with pytest.raises(ValueError, match=r"col2im: cols must have 1800 elements"):
        cpu.col2im(np.zeros((2, 5, 5, 9), "f4"), g, out=np.zeros_like(x))
    with pytest.raises(TypeError, match="conv2d: w must be float32, got float64"):
        cpu.conv2d(x, w.astype("f8"), g, out=y)
    with pytest.raises(TypeError, match="conv2d: x must be a C-contiguous NumPy array"):
        cpu.conv2d(x[:, ::-1], w, g, out=y)
    with pytest.raises(ValueError, match="4 channels and 6 filters cannot be cut into 3 groups"):
        cpu.conv2d(x, w, g._replace(groups=3), out=y)
    with pytest.raises(ValueError, match="strides and dilation must be at least 1"):
        cpu.conv2d(x, w, g._replace(stride_h=0), out=y)
    for wrong in (1.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"conv2d: pad_top must be a whole number, got .*window2d\(\.\.\.\)"):
            cpu.conv2d(x, w, g._replace(pad_top=wrong), out=y)
    with pytest.raises(ValueError, match=r"conv2d: dilation_w must be at most 2147483647, got 4611686018427387904"):
        cpu.conv2d(x, w, g._replace(dilation_w=2**62), out=y)
    crooked = np.zeros(x.nbytes + 1, "uint8")[1:].view("float32").reshape(x.shape)
    with pytest.raises(ValueError, match=r"conv2d: x is not aligned in memory.*pass x\.copy\(\)"):
        cpu.conv2d(crooked, w, g, out=y)
