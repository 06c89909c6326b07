"""Images resized, scaled, standardised, moved and erased on the stand-in against the reference."""

import numpy as np
import pytest

from npdl.kernels.cuda import image, interpolate
from npdl.kernels.taps import METHODS, image_taps, neighbours

RNG = np.random.default_rng(0)


def floats(*sizes):
    return RNG.standard_normal(sizes).astype("float32")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "made, antialias, aspect", (((9, 4), False, None), ((3, 11), True, "crop"), ((5, 5), True, "pad"))
)
def test_resize(compare, method, made, antialias, aspect):
    rows, columns = image_taps((7, 6), made, method, antialias, aspect)
    near = {"rtol": 1e-5, "atol": 1e-5}
    compare("interpolate", "interpolate", floats(2, 7, 6, 3), rows, columns, out={"out": (2, *made, 3)}, **near)
    compare("interpolate", "interpolate_grad", floats(2, *made, 3), rows, columns, out={"out": (2, 7, 6, 3)}, **near)


def test_sums_of_neighbours(compare):
    rows, columns = neighbours(40, 2, 1), neighbours(7, 0, 0)
    compare("interpolate", "interpolate", floats(3, 40, 7, 2), rows, columns, out={"out": (3, 40, 7, 2)}, rtol=1e-5)


X = floats(3, 5, 6, 4)
SHIFTS = [[[[0.3]]], [[[-2.0]]], [[[5.0]]]]  # of each image, from the host


@pytest.mark.parametrize(
    "parameters",
    (
        (2.0, -1.0, {}),
        (0.5, 3, {"low": -0.2, "high": 0.7}),
        ([1.0, 2.0, 3.0, 4.0], 0.5, {}),
        (1.0, SHIFTS, {"low": 0, "high": 1}),
        (SHIFTS, floats(3, 1, 1, 4), {"center": floats(3, 1, 1, 4)}),
        (floats(6, 1), floats(5, 1, 4), {"center": floats(5, 6, 4)}),
        ([[2.0]], floats(3, 5, 6, 4), {}),
    ),
)
def test_rescale(compare, parameters):
    scale, offset, given = parameters
    for n in (3, 1):  # a batch of one draws its numbers anew, too
        of_few = [p[:n] if np.ndim(p) == 4 else p for p in (scale, offset)]
        few = {name: p[:n] if np.ndim(p) == 4 else p for name, p in given.items()}
        compare("image", "rescale", X[:n], *of_few, out={"out": (n, 5, 6, 4)}, rtol=1e-5, **few)


def test_numbers_of_samples_do_not_pile_up(device):
    """Those of a step take the room of the step before."""
    x = device.from_host(X)
    rooms = None
    for step in range(5):
        delta = np.full((3, 1, 1, 1), float(step))
        image.rescale(x, 1.0, delta, out=(y := device.alloc(X.shape, "float32")))
        np.testing.assert_array_equal(device.to_host(y), X + np.float32(step))
        rooms = rooms or len(device.driver._own.rooms)
    assert len(device.driver._own.rooms) == rooms


def test_rescale_in_place_keeps_nan(device):
    x = device.from_host(np.array([np.nan, 1, 9], "float32"))
    image.rescale(x, 2.0, 0.0, out=x, low=0, high=5)
    np.testing.assert_array_equal(device.to_host(x), np.array([np.nan, 2, 5], "float32"))


@pytest.mark.parametrize("invert", (False, True))
@pytest.mark.parametrize("shape", ((1, 1, 4), (5, 1, 1), (1, 1, 1), (5, 6, 4)))
def test_standardize(compare, shape, invert):
    mean, variance = floats(*shape), np.abs(floats(*shape))
    variance.reshape(-1)[0] = 0
    dy = floats(*X.shape)
    for array, name, given in ((X, "standardize", (mean, variance)), (dy, "standardize_grad", (variance,))):
        compare("image", name, array, *given, 0.1, out={"out": X.shape}, rtol=1e-5, atol=1e-5, invert=invert)


def test_clip_grad(compare):
    y = np.clip(X, -0.5, 0.8)
    y[0, 0, 0, 0] = np.nan
    compare("image", "clip_grad", floats(*X.shape), y, -0.5, np.float32(0.8), out={"out": X.shape})


MAPS = [[0.803, 0.33, -2.13, -0.413, 1.1, 0.734], [-1, 0, 6, 0, 1, 0], [1.7, -0.21, 3.345, 0.1, 0.6, -9.93]]
"""None takes a pixel to the middle between two but the mirror, which takes all to pixels."""


@pytest.mark.parametrize("interpolation", ("nearest", "bilinear"))
@pytest.mark.parametrize("fill_mode", ("constant", "nearest", "reflect", "wrap"))
def test_affine(compare, interpolation, fill_mode):
    how = {"interpolation": interpolation, "fill_mode": fill_mode, "rtol": 1e-5, "atol": 1e-5}
    x, dy = floats(3, 6, 7, 2), floats(3, 8, 5, 2)
    compare("image", "affine_sample", x, MAPS, out={"out": dy.shape}, fill_value=0.7, **how)
    compare("image", "affine_sample_grad", dy, MAPS, out={"out": x.shape}, **how)


def test_far_away_places_are_counted_exactly(compare):
    """Float32 would round a column of 2²⁴ and a fraction."""
    far = [[1.0, 0, (1 << 24) + 0.25, 0, 1.0, -(1 << 24) - 0.75]]
    compare("image", "affine_sample", floats(1, 6, 7, 1), far, out={"out": (1, 6, 7, 1)}, fill_mode="wrap", rtol=1e-5)


@pytest.mark.parametrize("fill", (0.5, [2.0], [1.0, 2.0, 3.0, 4.0], floats(3, 5, 6, 4)))
def test_erase(compare, fill):
    boxes = [[1, 3, 2, 6], [0, 0, 0, 0], [0, 5, 0, 6]]
    compare("image", "erase", X, boxes, fill, out={"out": X.shape})


FAR = [[1.0, 0, 1e30, 0, 1, 0]]
ROWS, COLUMNS = image_taps((7, 6), (3, 3), "bilinear")


@pytest.mark.parametrize(
    "message, call",
    (
        (r"interpolate: x must be images", lambda o: interpolate.interpolate(o(2, 3), ROWS, COLUMNS, out=o(1))),
        (r"interpolate: x must have shape \(2, 7, 6, 1\)",
         lambda o: interpolate.interpolate(o(2, 7, 7, 1), ROWS, COLUMNS, out=o(2, 3, 3, 1))),
        (r"interpolate_grad: out must have shape \(2, 7, 6, 1\)",
         lambda o: interpolate.interpolate_grad(o(2, 3, 3, 1), ROWS, COLUMNS, out=o(2, 3, 3, 1))),
        (r"rescale: center of shape \(\), scale of shape \(3,\), offset of shape \(\) must broadcast",
         lambda o: image.rescale(o(2, 4), [1.0, 2, 3], 0.0, out=o(2, 4))),
        (r"rescale: out must have", lambda o: image.rescale(o(2, 4), 1.0, 0.0, out=o(2, 5))),
        (r"clip_grad: y must have", lambda o: image.clip_grad(o(2), o(3), 0, 1, out=o(2))),
        (r"standardize: mean of shape \(3,\), variance of shape \(4,\) must",
         lambda o: image.standardize(o(2, 4), o(3), o(4), 0.1, out=o(2, 4))),
        (r"affine_sample: x must be images", lambda o: image.affine_sample(o(2), FAR, out=o(2))),
        (r"affine_sample: interpolation must be one of nearest, bilinear",
         lambda o: image.affine_sample(o(1, 2, 2, 1), FAR, out=o(1, 2, 2, 1), interpolation="cubic")),
        (r"affine_sample: transforms must have shape \(2, 6\)",
         lambda o: image.affine_sample(o(2, 2, 2, 1), FAR, out=o(2, 2, 2, 1))),
        (r"affine_sample: transforms must keep all places within 536870912 pixels",
         lambda o: image.affine_sample(o(1, 2, 2, 1), FAR, out=o(1, 2, 2, 1))),
        (r"affine_sample: nothing can be taken from images of shape \(1, 0, 2, 1\)",
         lambda o: image.affine_sample(o(1, 0, 2, 1), FAR, out=o(1, 2, 2, 1))),
        (r"erase: fill must be a number, one a channel, or like x",
         lambda o: image.erase(o(1, 2, 2, 3), [[0] * 4], [1, 2], out=o(1, 2, 2, 3))),
        (r"erase: boxes must have shape \(1, 4\)",
         lambda o: image.erase(o(1, 2, 2, 3), [[0] * 3], 0, out=o(1, 2, 2, 3))),
    ),
)  # fmt: skip
def test_wrong_arguments(device, message, call):
    with pytest.raises(ValueError, match=message):
        call(lambda *sizes: device.from_host(np.ones(sizes, "float32")))
