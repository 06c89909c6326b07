"""Convolutions on the stand-in against the reference: products of columns, and channels by themselves."""

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cuda import conv
from npdl.kernels.geometry import transposed_window, window

RNG = np.random.default_rng(0)
IMAGES = {  # shape of a sample, kernel, strides, padding, dilation, filters, groups
    "plain": ((9, 7, 3), (3, 3), (1, 1), "valid", (1, 1), 5, 1),
    "same": ((8, 11, 4), (3, 4), (1, 1), "same", (1, 1), 33, 1),
    "strides": ((10, 9, 2), (3, 2), (2, 3), "same", (1, 1), 6, 1),
    "dilation": ((9, 12, 2), (3, 2), (2, 1), "same", (2, 3), 4, 1),
    "far dilation": ((4, 5, 2), (3, 3), (1, 1), "same", (7, 1), 3, 1),
    "many columns": ((6, 7, 9), (3, 3), (1, 1), "same", (1, 1), 7, 1),
    "groups": ((6, 5, 6), (3, 3), (1, 2), "same", (1, 1), 8, 2),
    "1x1": ((5, 6, 7), (1, 1), (1, 1), "valid", (1, 1), 9, 1),
    "1x1, strides": ((5, 6, 7), (1, 1), (2, 2), "same", (1, 1), 9, 1),
    "1x1, groups": ((5, 6, 4), (1, 1), (1, 1), "valid", (1, 1), 6, 2),
    "whole image": ((4, 5, 3), (4, 5), (1, 1), "valid", (1, 1), 6, 1),
    "depthwise": ((9, 8, 35), (3, 3), (2, 1), "same", (1, 2), 35, 35),
    "depthwise, 2 filters each": ((6, 5, 3), (2, 3), (1, 1), "valid", (1, 1), 6, 3),
}
VOLUMES = {
    "plain": ((4, 6, 5, 2), (2, 3, 2), (1, 1, 1), "valid", (1, 1, 1), 5, 1),
    "all": ((5, 4, 6, 4), (3, 2, 3), (2, 1, 2), "same", (1, 2, 1), 6, 2),
    "depthwise": ((4, 5, 3, 3), (3, 2, 2), (2, 1, 1), "same", (1, 1, 2), 6, 3),
}


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


def arrays(g, n, inside, out, kernel):
    return floats(n, *inside, g.channels), floats(*kernel, g.channels // g.groups, g.filters), floats(*out)


def check(compare, axes, geometry, n=3, rtol=1e-5, atol=2e-5):
    sample, kernel, *_ = geometry
    g = window(*geometry)
    x, w, dz = arrays(g, n, sample[:-1], (n, *g.out[-axes:], g.filters), kernel)
    near = {"rtol": rtol, "atol": atol}
    name = f"conv{axes}d"
    compare("conv", name, x, w, g, out={"out": dz.shape}, **near)
    compare("conv", f"{name}_dx", dz, w, g, out={"out": x.shape}, **near)
    compare("conv", f"{name}_dkernel", x, dz, g, out={"out": w.shape}, **near)
    compare("conv", f"{name}_transpose", dz, w, g, out={"out": x.shape}, bias=floats(g.channels), **near)


@pytest.mark.parametrize("geometry", IMAGES.values(), ids=IMAGES)
def test_images(compare, geometry):
    check(compare, 2, geometry)


@pytest.mark.parametrize("geometry", VOLUMES.values(), ids=VOLUMES)
def test_volumes(compare, geometry):
    check(compare, 3, geometry)


@pytest.mark.parametrize("name", ("many columns", "groups", "all"))
def test_slabs(compare, monkeypatch, name):
    """One sample a slab, or two and a rest of one."""
    geometry, axes = (VOLUMES[name], 3) if name in VOLUMES else (IMAGES[name], 2)
    g = window(*geometry)
    sample = np.prod(g.out) * np.prod(geometry[1]) * g.channels // g.groups
    for limit in (1, 2 * sample + 1):
        monkeypatch.setattr(conv, "MOST_COLUMNS", int(limit))
        check(compare, axes, geometry, n=5)


@pytest.mark.parametrize("channels, kernel, filters", ((1, 5, 10), (3, 3, 16), (3, 4, 17), (7, 3, 15), (8, 3, 1)))
def test_without_columns(compare, device, launches, channels, kernel, filters):
    """Few channels and filters: no columns are laid out, with tiles that are full and that are not."""
    g = window((9, 8, channels), (kernel, kernel), (1, 1), "same", (1, 1), filters)
    x, w, y = floats(3, 9, 8, channels), floats(kernel, kernel, channels, filters), (3, 9, 8, filters)
    compare("conv", "conv2d", x, w, g, out={"out": y}, rtol=1e-5, atol=2e-5)
    x, w, y = device.from_host(x), device.from_host(w), device.alloc(y, "float32")
    few = kernel * kernel * channels <= 64 and filters <= 16
    assert ("implicit_kernel" in launches(lambda: conv.conv2d(x, w, g, out=y))) == few


def test_slabs_follow_from_shapes_alone(monkeypatch):
    g = conv._volume(window((8, 8, 2), (3, 3), (1, 1), "same", (1, 1), 4))
    monkeypatch.setattr(conv, "MOST_COLUMNS", 3 * 64 * 18)
    assert conv._slabs(7, g) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert conv._slabs(0, g) == []


@pytest.mark.parametrize("activation", (None, activations.relu, activations.gelu, activations.softmax))
@pytest.mark.parametrize("name", ("same", "groups", "depthwise"))
def test_epilogue(compare, name, activation):
    g = window(*IMAGES[name])
    x, w, y = arrays(g, 2, IMAGES[name][0][:-1], (2, *g.out, g.filters), IMAGES[name][1])
    outs = {"out": y.shape, "z": y.shape}
    compare("conv", "conv2d", x, w, g, out=outs, bias=floats(g.filters), activation=activation, rtol=1e-5, atol=2e-5)


def test_many_places_of_a_depthwise_kernel(compare):
    """More places than one part of the sum takes."""
    g = window((40, 30, 3), (3, 3), (1, 1), "same", (1, 1), 3, 3)
    x, dz = floats(2, 40, 30, 3), floats(2, 40, 30, 3)
    compare("conv", "conv2d_dkernel", x, dz, g, out={"out": (3, 3, 1, 3)}, rtol=1e-5, atol=2e-4)


def test_transposed_window(compare):
    g = transposed_window((5, 4, 6), (3, 3), (2, 2), "same", None, (1, 1), 4)
    x, w = floats(2, 5, 4, 6), floats(3, 3, 4, 6)
    outs = {"out": (2, *g.inside, 4), "z": (2, *g.inside, 4)}
    compare("conv", "conv2d_transpose", x, w, g, out=outs, activation=activations.tanh, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", ("strides", "far dilation", "1x1, strides"))
def test_columns_by_themselves(compare, name):
    g = window(*IMAGES[name][:5])
    x, cols = floats(3, *IMAGES[name][0]), floats(3, *g.out, np.prod(IMAGES[name][1]) * g.channels)
    compare("conv", "im2col", x, g, out={"out": cols.shape})
    compare("conv", "col2im", cols, g, out={"out": x.shape})


@pytest.mark.parametrize("n, channels", ((0, 3), (2, 0)))
def test_nothing_to_multiply(compare, n, channels):
    g = window((4, 4, channels), (3, 3), (1, 1), "same", (1, 1), 5)
    x, w, dz = arrays(g, n, (4, 4), (n, 4, 4, 5), (3, 3))
    compare("conv", "conv2d", x, w, g, out={"out": dz.shape}, bias=floats(5))
    compare("conv", "conv2d_dx", dz, w, g, out={"out": x.shape})
    compare("conv", "conv2d_dkernel", x, dz, g, out={"out": w.shape})


G, V = window(*IMAGES["plain"]), window(*VOLUMES["plain"])


@pytest.mark.parametrize(
    "message, call",
    (
        (r"conv2d: x must have shape \(2, 9, 7, 3\)", lambda o: conv.conv2d(o(2, 9, 7, 4), o(), G, out=o())),
        (r"conv2d: w must have shape \(3, 3, 3, 5\)", lambda o: conv.conv2d(X(o), o(5), G, out=Y(o))),
        (r"conv2d: out must have", lambda o: conv.conv2d(X(o), W(o), G, out=o(2, 7, 5, 4))),
        (r"conv2d: bias must have shape \(5,\)", lambda o: conv.conv2d(X(o), W(o), G, out=Y(o), bias=o(3))),
        (r"conv2d: z must have", lambda o: conv.conv2d(X(o), W(o), G, out=Y(o), z=o(3))),
        (r"conv2d_dx: dz must have", lambda o: conv.conv2d_dx(o(2), W(o), G, out=X(o))),
        (r"conv2d_dkernel: out must have", lambda o: conv.conv2d_dkernel(X(o), Y(o), G, out=o(3))),
        (r"conv2d_transpose: bias must have shape \(3,\)",
         lambda o: conv.conv2d_transpose(Y(o), W(o), G, out=X(o), bias=o(5))),
        (r"im2col: out must have 945 elements", lambda o: conv.im2col(o(1, 9, 7, 3), G, out=o(629))),
        (r"col2im: cols must have 945 elements", lambda o: conv.col2im(o(5), G, out=o(1, 9, 7, 3))),
        (r"3 channels and 5 filters cannot be cut into 2",
         lambda o: conv.conv2d(X(o), W(o), G._replace(groups=2), out=Y(o))),
        (r"must be at least 1", lambda o: conv.conv2d(X(o), W(o), G._replace(stride_h=0), out=Y(o))),
    ),
)  # fmt: skip
def test_wrong_shapes(device, message, call):
    with pytest.raises(ValueError, match=message):
        call(lambda *shape: device.from_host(np.ones(shape, "float32")))


def test_wrong_windows(device):
    x = device.zeros((2, 9, 7, 3), "float32")
    with pytest.raises(TypeError, match="conv3d: the window must be a Window3D, got Window2D"):
        conv.conv3d(x, x, G, out=x)
    with pytest.raises(TypeError, match="conv2d_dx: the window must be a Window2D, got Window3D"):
        conv.conv2d_dx(x, x, V, out=x)


def X(o):
    return o(2, 9, 7, 3)


def W(o):
    return o(3, 3, 3, 5)


def Y(o):
    return o(2, 7, 5, 5)
