"""Winograd convolution: against sums in float64, on every tail; its error; the same bits however the work is cut."""

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cpu import compiled
from npdl.kernels.geometry import window2d
from npdl.kernels.reference import conv as reference

if not compiled():
    pytest.skip("installed without compiled kernels", allow_module_level=True)

from npdl.kernels.cpu import build, conv

TOLERANCE = {"float32": 5e-6, "float64": 1e-14}


class Winograd:
    """The kernels of npdl.kernels.cpu.conv, by Winograd's algorithm even where the rule chooses the direct one."""

    @staticmethod
    def conv2d(x, w, g, *, out, bias=None, activation=None, z=None):
        code, constants, after = conv.epilogue(activation)
        conv.lib.winograd("conv2d", x, w, out, len(x), g, bias, z, code, constants)
        conv.finish(after, out)

    @staticmethod
    def conv2d_dx(dz, w, g, *, out):
        conv.lib.winograd("conv2d_dx", dz, w, out, len(out), g)

    @staticmethod
    def conv2d_dkernel(x, dz, g, *, out):
        conv.lib.winograd("conv2d_dkernel", x, dz, out, len(x), g)


def geometry(height, width, channels, filters, padding="same"):
    return window2d((height, width, channels), (3, 3), (1, 1), padding, (1, 1), filters, 1)


def arrays(rng, g, n, dtype):
    """x, w and dz, so scaled that all results are of order 1"""
    x, dz = rng.standard_normal((n, g.in_h, g.in_w, g.channels)), rng.standard_normal((n, g.out_h, g.out_w, g.filters))
    w = rng.standard_normal((3, 3, g.channels, g.filters)) / np.sqrt(9 * g.channels)
    return x.astype(dtype), w.astype(dtype), dz.astype(dtype)


def run(kernels, x, w, dz, g, **epilogue):
    y, dx, dw = np.full_like(dz, np.nan), np.full_like(x, np.nan), np.full_like(w, np.nan)
    kernels.conv2d(x, w, g, out=y, **epilogue)
    kernels.conv2d_dx(dz, w, g, out=dx)
    kernels.conv2d_dkernel(x, dz, g, out=dw)
    return {"y": y, "dx": dx, "dw": dw}


def expected(x, w, dz, g, **epilogue):
    """The same by the reference, in float64."""
    epilogue = {name: v.astype("f8") if isinstance(v, np.ndarray) else v for name, v in epilogue.items()}
    return run(reference, x.astype("f8"), w.astype("f8"), dz.astype("f8"), g, **epilogue)


def close(got, right, tolerance):
    """Norm-wise, and no single number three times as far off."""
    for name, value in got.items():
        assert np.isfinite(value).all(), name
        error = np.abs(value - right[name])
        assert np.linalg.norm(error) <= tolerance * np.linalg.norm(right[name]), name
        assert error.max() <= 3 * tolerance * np.abs(right[name]).max(), name


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("padding", ("same", "valid"))
@pytest.mark.parametrize(
    "size", ((1, 1), (2, 3), (3, 3), (4, 4), (5, 7), (6, 6), (7, 7), (8, 9), (14, 14), (13, 17)), ids=str
)
def test_sizes_of_the_image(rng, size, padding, dtype):
    if padding == "valid" and min(size) < 3:
        size = (size[0] + 2, size[1] + 2)
    g = geometry(*size, 20, 18, padding)
    x, w, dz = arrays(rng, g, 3, dtype)
    bias = rng.standard_normal(18).astype(dtype)
    close(run(Winograd, x, w, dz, g, bias=bias), expected(x, w, dz, g, bias=bias), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("channels", (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 64, 65, 70))
def test_numbers_of_channels(rng, channels, dtype):
    for g in (geometry(5, 6, channels, 71 - channels), geometry(4, 5, channels, channels)):
        x, w, dz = arrays(rng, g, 2, dtype)
        close(run(Winograd, x, w, dz, g), expected(x, w, dz, g), TOLERANCE[dtype])


@pytest.mark.parametrize("pads", ((0, 2), (2, 0), (1, 3), (5, 4)), ids=str)
def test_any_padding(rng, pads):
    """Padding that "same" and "valid" never give; also windows that lie wholly outside the image."""
    g = geometry(6, 7, 18, 20)._replace(pad_top=pads[0], pad_left=pads[1], out_h=9, out_w=11)
    x, w, dz = arrays(rng, g, 2, "float64")
    close(run(Winograd, x, w, dz, g), expected(x, w, dz, g), TOLERANCE["float64"])


@pytest.mark.parametrize("channels", (64, 256, 512))
def test_error_grows_slowly_with_the_channels(rng, channels):
    for g in (geometry(8, 8, channels, 48), geometry(8, 8, 48, channels)):
        x, w, dz = arrays(rng, g, 2, "float32")
        close(run(Winograd, x, w, dz, g), expected(x, w, dz, g), 2.5e-6)


@pytest.mark.parametrize(("images", "filters"), ((11, 33), (30, 33), (30, 90), (4, 180)))
def test_long_sums_over_the_batch(rng, images, filters):
    """Several block sums of tiles, the last one short; an image's tiles fall into two of them. With few filters they
    fall into parts, and a part may have several; with more of them a task makes half of the places."""
    g = geometry(19, 22, 20, filters)
    x, w, dz = arrays(rng, g, images, "float32")
    close(run(Winograd, x, w, dz, g), expected(x, w, dz, g), 5e-6)


@pytest.mark.parametrize("activation", (activations.relu, activations.gelu, activations.softmax), ids=str)
def test_epilogue(rng, activation):
    g = geometry(6, 5, 20, 34)
    x, w, dz = arrays(rng, g, 2, "float32")
    bias = rng.standard_normal(34).astype("f4")
    got = {name: np.full_like(dz, np.nan) for name in ("out", "z")}
    Winograd.conv2d(x, w, g, bias=bias, activation=activation, **got)
    right = {name: np.empty(dz.shape) for name in ("out", "z")}
    reference.conv2d(x.astype("f8"), w.astype("f8"), g, bias=bias.astype("f8"), activation=activation, **right)
    close(got, right, 5e-6)


SHAPES = (
    (5, 7, 16, 17), (14, 14, 40, 32), (8, 8, 64, 96), (4, 4, 300, 64),
    (17, 26, 16, 17),  # many block sums in parts
    (24, 26, 48, 64),  # the same, half of the places at a time
    (7, 6, 150, 230),  # many weights
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_threads_and_builds_give_the_same_bits(rng, same_bits, shape, dtype):
    g = geometry(*shape)
    x, w, dz = arrays(rng, g, 14, dtype)
    bias = rng.standard_normal(g.filters).astype(dtype)
    same_bits(conv, lambda: run(Winograd, x, w, dz, g, bias=bias, activation=activations.tanh).values())


@pytest.mark.parametrize("threads", (1, 2, 3))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_image_does_not_depend_on_the_batch(rng, shape, threads):
    before = build.get_num_threads()
    build.set_num_threads(threads)
    g = geometry(*shape)
    x, w, dz = arrays(rng, g, 30, "float32")
    whole = run(Winograd, x, w, dz, g)
    for start, stop in ((0, 1), (2, 3), (3, 16), (29, 30)):
        part = run(Winograd, x[start:stop], w, dz[start:stop], g)
        for name in ("y", "dx"):
            np.testing.assert_array_equal(part[name], whole[name][start:stop], err_msg=name)
    build.set_num_threads(before)


def test_what_lies_outside_the_image_is_not_read(rng):
    """An image inside a larger array of NaN gives what it gives alone."""
    g = geometry(6, 7, 19, 21)
    x, w, dz = arrays(rng, g, 1, "float32")
    alone = run(Winograd, x, w, dz, g)

    def surrounded(array):
        room = np.full(array.size + 512, np.nan, "f4")
        room[256:-256] = array.ravel()
        return room[256:-256].reshape(array.shape)

    inside = run(Winograd, surrounded(x), surrounded(w), surrounded(dz), g)
    for name, value in inside.items():
        np.testing.assert_array_equal(value, alone[name], err_msg=name)


@pytest.mark.parametrize("wrong", (np.nan, np.inf, -np.inf))
def test_what_is_not_a_number_is_seen(rng, wrong):
    """It spoils every output that depends on it, at most the whole tiles that do, and no other image."""
    g = geometry(12, 12, 20, 18)
    x, w, dz = arrays(rng, g, 2, "float32")
    clean = run(Winograd, x, w, dz, g)
    x[0, 5, 6, 3] = dz[0, 5, 6, 3] = wrong
    got = run(Winograd, x, w, dz, g)
    for name in ("y", "dx"):
        assert not np.isfinite(got[name][0, 4:7, 5:8]).any(), name
        np.testing.assert_array_equal(got[name][1], clean[name][1], err_msg=name)
        np.testing.assert_array_equal(got[name][0, 8:], clean[name][0, 8:], err_msg=name)
    assert not np.isfinite(got["dw"][:, :, 3]).any()
    assert not np.isfinite(got["dw"][..., 3]).any()


def test_an_empty_batch(rng):
    g = geometry(4, 4, 16, 32)
    x, w, dz = arrays(rng, g, 0, "float32")
    got = run(conv, x, w, dz, g)
    assert got["y"].shape == (0, 4, 4, 32)
    np.testing.assert_array_equal(got["dw"], np.zeros(w.shape))


def test_the_rule_depends_on_the_shape(rng):
    """Where the rule holds the public kernels give Winograd's bits at any batch size; elsewhere they do not."""
    cases = {
        True: ((8, 8, 64, 64), (16, 16, 16, 16), (7, 6, 32, 20)),
        False: ((8, 8, 3, 64), (8, 8, 64, 8), (2, 2, 32, 32)),
    }
    for fast, shape in [(fast, shape) for fast, shapes in cases.items() for shape in shapes]:
        g = geometry(*shape)
        for n in (1, 9):
            x, w, dz = arrays(rng, g, n, "float32")
            mine, theirs = run(conv, x, w, dz, g), run(Winograd, x, w, dz, g)
            for name in ("y", "dx"):
                assert np.array_equal(mine[name], theirs[name]) == fast, (shape, n, name)
