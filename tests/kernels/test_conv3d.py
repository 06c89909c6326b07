"""Convolution of volumes, and transposed: the reference against sums written out, the compiled kernels against it."""

import itertools

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cpu import compiled
from npdl.kernels.geometry import window, window2d
from npdl.kernels.reference import conv as reference

needs_compiled = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import build
    from npdl.kernels.cpu import conv as cpu

TOLERANCE = {"float32": 1e-5, "float64": 1e-13}
# (D, H, W, C), kernel, strides, padding, dilation, filters, groups
SMALL = [
    ((2, 3, 4, 2), (2, 2, 3), (1, 1, 1), "valid", (1, 1, 1), 3, 1),
    ((4, 3, 3, 3), (3, 2, 1), (2, 1, 3), "same", (1, 1, 1), 4, 1),
    ((5, 4, 2, 4), (2, 3, 2), (3, 2, 1), "same", (2, 1, 1), 6, 2),
    ((3, 2, 1, 1), (1, 1, 1), (2, 1, 1), "valid", (1, 1, 1), 1, 1),
    ((1, 2, 3, 2), (3, 3, 3), (1, 2, 1), "same", (1, 1, 2), 2, 2),
]
LARGE = [  # where the compiled kernels change their way
    ((6, 13, 15, 3), (3, 3, 3), (1, 1, 1), "same", (1, 1, 1), 33, 1),  # more pixels than a task has
    ((20, 1, 9, 5), (3, 1, 3), (1, 1, 1), "same", (1, 1, 1), 17, 1),  # windows of one row, parts of rows
    ((3, 4, 3, 100), (3, 3, 3), (1, 1, 1), "same", (1, 1, 1), 20, 1),  # long sums
    ((5, 6, 7, 40), (2, 3, 1), (2, 1, 1), "same", (1, 1, 1), 300, 2),  # several tasks of filters
]


def places(g):
    """Every (output, tap) with the place that it reads inside the volume."""
    for i, t in itertools.product(np.ndindex(*g.out), np.ndindex(g.kernel_d, g.kernel_h, g.kernel_w)):
        strides, pads = (g.stride_d, g.stride_h, g.stride_w), (g.pad_front, g.pad_top, g.pad_left)
        dilation = (g.dilation_d, g.dilation_h, g.dilation_w)
        at = tuple(o * s - p + k * d for o, s, p, k, d in zip(i, strides, pads, t, dilation))
        if all(0 <= n < size for n, size in zip(at, g.inside)):
            yield i, t, at


def written_out(x, w, dz, g):
    y, dx, dw = np.zeros(dz.shape), np.zeros(x.shape), np.zeros(w.shape)
    c, f = g.channels // g.groups, g.filters // g.groups
    for (i, t, at), group in itertools.product(places(g), range(g.groups)):
        cs, fs = slice(group * c, (group + 1) * c), slice(group * f, (group + 1) * f)
        i, at = (slice(None), *i), (slice(None), *at)
        y[i][:, fs] += x[at][:, cs] @ w[t][:, fs]
        dx[at][:, cs] += dz[i][:, fs] @ w[t][:, fs].T
        dw[t][:, fs] += x[at][:, cs].T @ dz[i][:, fs]
    return {"y": y, "dx": dx, "dw": dw, "transposed": dx}


def run(kernels, x, w, dz, g):
    out = {name: np.full(like.shape, np.nan, x.dtype) for name, like in (("y", dz), ("dx", x), ("dw", w))}
    out["transposed"] = np.full_like(x, np.nan)
    kernels.conv3d(x, w, g, out=out["y"])
    kernels.conv3d_dx(dz, w, g, out=out["dx"])
    kernels.conv3d_dkernel(x, dz, g, out=out["dw"])
    kernels.conv3d_transpose(dz, w, g, out=out["transposed"])
    return out


def arrays(rng, g, n, dtype="float64"):
    x, dz = rng.standard_normal((n, *g.inside, g.channels)), rng.standard_normal((n, *g.out, g.filters))
    w = rng.standard_normal((g.kernel_d, g.kernel_h, g.kernel_w, g.channels // g.groups, g.filters))
    return [a.astype(dtype) for a in (x, w / np.sqrt(w.size / g.filters), dz)]


def close(got, expected, dtype):
    for name, value in got.items():
        assert np.abs(value - expected[name]).max() <= TOLERANCE[dtype] * max(np.abs(expected[name]).max(), 1), name


@pytest.mark.parametrize("geometry", SMALL, ids=str)
def test_reference_is_the_definition(geometry, rng):
    g = window(*geometry)
    x, w, dz = arrays(rng, g, 2)
    close(run(reference, x, w, dz, g), written_out(x, w, dz, g), "float64")


@needs_compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("geometry", SMALL + LARGE, ids=str)
def test_compiled_is_the_reference(geometry, dtype, rng):
    """The same bits for any number of threads, and for a volume alone."""
    g = window(*geometry)
    x, w, dz = arrays(rng, g, 3, dtype)
    expected = run(reference, *(a.astype("float64") for a in (x, w, dz)), g)
    build.set_num_threads(1)
    got = run(cpu, x, w, dz, g)
    close(got, expected, dtype)
    for threads in (2, 3):
        build.set_num_threads(threads)
        for name, value in run(cpu, x, w, dz, g).items():
            assert value.tobytes() == got[name].tobytes(), name
    alone = run(cpu, x[1:2].copy(), w, dz[1:2].copy(), g)
    for name in ("y", "dx", "transposed"):
        assert alone[name].tobytes() == got[name][1:2].tobytes(), name


@pytest.mark.parametrize("kernels", [reference, pytest.param("cpu", marks=needs_compiled)])
@pytest.mark.parametrize("activation", [None, activations.relu, activations.gelu, activations.softmax])
def test_endings(kernels, activation, rng):
    """Bias, activation and pre-activation; of channels that fill vectors and of such that do not."""
    kernels = cpu if kernels == "cpu" else kernels
    flat = window2d((5, 6, 19), (3, 3), (2, 2), "same", (1, 1), 5)
    for name, g in (("conv3d", window(*SMALL[0])), ("conv3d_transpose", window(*SMALL[1])), ("conv2d_transpose", flat)):
        x = rng.standard_normal((2, *g.inside, g.channels))
        taps = [getattr(g, size) for size in g._fields if size.startswith("kernel")]
        w = rng.standard_normal((*taps, g.channels, g.filters))
        dz = rng.standard_normal((2, *g.out, g.filters))
        given, like = (x, dz) if name == "conv3d" else (dz, x)
        bias, plain, out, z = rng.standard_normal(like.shape[-1]), *(np.full(like.shape, np.nan) for _ in range(3))
        kernel = getattr(kernels, name)
        kernel(given, w, g, out=plain)
        kernel(given, w, g, out=out, bias=bias, activation=activation, z=z)
        np.testing.assert_allclose(z, plain + bias, rtol=1e-12, atol=1e-14)
        expected = z if activation is None else activation(z)
        np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-12)


@needs_compiled
def test_errors():
    g = window((4, 4, 4, 2), (3, 3, 3), (1, 1, 1), "same", (1, 1, 1), 6)
    x, w, y = np.zeros((2, 4, 4, 4, 2)), np.zeros((3, 3, 3, 2, 6)), np.zeros((2, 4, 4, 4, 6))
    with pytest.raises(ValueError, match=r"conv3d: w must have shape \(3, 3, 3, 2, 6\), got \(3, 3, 3, 6, 2\)"):
        cpu.conv3d(x, w.reshape(3, 3, 3, 6, 2), g, out=y)
    with pytest.raises(ValueError, match=r"conv3d_dx: dz must have shape"):
        cpu.conv3d_dx(y[:1], w, g, out=x)
    with pytest.raises(ValueError, match=r"conv3d_dkernel: out must have shape"):
        cpu.conv3d_dkernel(x, y, g, out=w[:2])
    with pytest.raises(ValueError, match=r"conv3d_transpose: bias must have shape \(2,\), got \(6,\)"):
        cpu.conv3d_transpose(y, w, g, out=x, bias=np.zeros(6))
    with pytest.raises(ValueError, match=r"conv3d: z must have shape"):
        cpu.conv3d(x, w, g, out=y, z=x)
    with pytest.raises(ValueError, match=r"conv3d: bias must have shape \(6,\)"):
        cpu.conv3d(x, w, g, out=y, bias=np.zeros(2))
    with pytest.raises(TypeError, match=r"conv3d: the window must be a Window3D, got Window2D"):
        cpu.conv3d(x, w, window2d((4, 4, 2), (3, 3), (1, 1), "same"), out=y)
    with pytest.raises(ValueError, match=r"conv3d: kernel, strides and dilation must be at least 1"):
        cpu.conv3d(x, w, g._replace(stride_d=0), out=y)
    with pytest.raises(TypeError, match=r"conv3d: x must be float64, got float32"):
        cpu.conv3d(x.astype("float32"), w, g, out=y)
    flat = window2d((4, 4, 2), (3, 3), (1, 1), "same", filters=6)
    with pytest.raises(ValueError, match=r"conv2d_transpose: x must have shape \(2, 4, 4, 6\), got \(2, 4, 4, 2\)"):
        cpu.conv2d_transpose(x[:, 0].copy(), w[0], flat, out=x[:, 0].copy())
