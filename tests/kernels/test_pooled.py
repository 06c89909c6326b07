"""Max-pooling on the way: the bits of the two layers one after the other, and the reference in float64."""

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cpu import compiled

if not compiled():
    pytest.skip("installed without compiled kernels", allow_module_level=True)

from npdl.kernels.cpu import build, conv, matmul, norm, pool, pooled
from npdl.kernels.geometry import window2d
from npdl.kernels.reference import pooled as reference

# images, height, width, channels, filters, kernel, padding
CONVOLUTIONS = {
    "direct": (3, 9, 11, 3, 5, 3, "same"),
    "a band a task": (2, 40, 32, 3, 64, 3, "same"),
    "many filters": (3, 7, 7, 4, 300, 3, "valid"),
    "two blocks of taps": (3, 9, 8, 20, 33, 5, "valid"),
    "images side by side": (40, 8, 7, 3, 6, 3, "valid"),
    "1x1": (2, 2, 3, 4, 4, 1, "same"),
    "no window": (2, 1, 3, 4, 4, 1, "same"),
    "no image": (0, 6, 6, 3, 4, 3, "same"),
    "winograd": (3, 13, 10, 17, 64, 3, "same"),
    "winograd, dW by halves": (9, 16, 16, 64, 64, 3, "same"),
    "winograd, many weights": (3, 7, 9, 180, 190, 3, "same"),
}
ACTIVATIONS = pytest.mark.parametrize("activation", (None, activations.relu), ids=("linear", "relu"))
TYPES = pytest.mark.parametrize("dtype", ("float32", "float64"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def numbers(rng, dtype, *shape):
    """With zeros of either sign, and ties, among them."""
    x = rng.standard_normal(shape).astype(dtype)
    x[:, : shape[1] // 3] = -0.0
    return x


def same(got, expected):
    assert [array.tobytes() for array in got] == [array.tobytes() for array in expected]


def pooling_of(z, activation):
    """(out, winners) of `max_pool2d`, 4 behind ReLU where there is no gradient; what it says itself."""
    out = np.full((len(z), z.shape[1] // 2, z.shape[2] // 2, z.shape[3]), np.nan, z.dtype)
    winners = np.full(out.shape, 9, "uint8")
    if out.size:
        g = window2d(z.shape[1:], (2, 2), (2, 2), "valid")
        pool.max_pool2d(z, g, out=out, winners=winners, activation=activation)
    return out, winners if activation is None else np.where(out > 0, winners, 4).astype("uint8"), winners


def gradient_of(dy, winners, y, z, activation):
    """dz of `max_pool2d_grad`."""
    dz = np.zeros_like(z)
    if dy.size:
        g = window2d(z.shape[1:], (2, 2), (2, 2), "valid")
        pool.max_pool2d_grad(dy, winners, g, out=dz, y=y, activation=activation)
    return dz


def like(*arrays):
    return [np.full_like(array, np.nan if array.dtype.kind == "f" else 9) for array in arrays]


@TYPES
@ACTIVATIONS
@pytest.mark.parametrize("sizes", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_gives_the_bits_of_both_layers(rng, sizes, activation, dtype):
    n, height, width, channels, filters, kernel, padding = sizes
    g = window2d((height, width, channels), (kernel, kernel), (1, 1), padding, filters=filters)
    x, w = numbers(rng, dtype, n, height, width, channels), numbers(rng, dtype, kernel, kernel, channels, filters)
    bias, z = rng.standard_normal(filters).astype(dtype), np.empty((n, g.out_h, g.out_w, filters), dtype)
    conv.conv2d(x, w, g, out=z, bias=bias)
    y, winners, taps = pooling_of(z, activation)
    dy = numbers(rng, dtype, *y.shape)
    dz = gradient_of(dy, taps, y, z, activation)
    db, dw = np.empty(filters, dtype), np.empty_like(w)
    matmul.sum_rows(dz.reshape(-1, filters), out=db)
    conv.conv2d_dkernel(x, dz, g, out=dw)
    before = build.get_num_threads()
    try:
        for threads in (1, 2, 3):
            build.set_num_threads(threads)
            got, places = like(y, winners)
            pooled.conv2d_pooled(x, w, g, out=got, bias=bias, winners=places, activation=activation)
            same((got, places), (y, winners))
            pooled.conv2d_pooled(x, w, g, out=got, bias=bias, activation=activation)
            made, sums, alone, weights = like(dz, db, db, dw)
            pooled.unpool(dy, winners, g.out, out=made, sums=sums)
            pooled.unpool(dy, winners, g.out, sums=alone)
            pooled.conv2d_pooled_dkernel(x, dy, winners, g, out=weights)
            same((got, made, sums, alone, weights), (y, dz, db, db, dw))
            if n:
                pooled.conv2d_pooled(x[:1], w, g, out=got[:1], bias=bias, activation=activation)
                same((got[:1],), (y[:1],))
    finally:
        build.set_num_threads(before)


@TYPES
@ACTIVATIONS
@pytest.mark.parametrize("shape", ((3, 9, 11, 5), (2, 8, 8, 64), (5, 7, 10, 97), (2, 3, 2, 530), (2, 1, 4, 3)))
def test_a_normalization_gives_the_bits_of_both_layers(rng, shape, activation, dtype):
    x, channels = numbers(rng, dtype, *shape), shape[-1]
    mean, variance, gamma, beta = rng.standard_normal((4, channels)).astype(dtype)
    norm.batch_norm_statistics(x, mean=mean, variance=variance)
    z = np.empty_like(x)
    norm.batch_norm(x, mean, variance, gamma, beta, 1e-3, out=z)
    y, winners, taps = pooling_of(z, activation)
    dy = numbers(rng, dtype, *y.shape)
    dz = gradient_of(dy, taps, y, z, activation)
    before = build.get_num_threads()
    try:
        for threads in (1, 2, 3):
            build.set_num_threads(threads)
            got, places = like(y, winners)
            given = {"winners": places, "activation": activation}
            pooled.batch_norm_pooled(x, mean, variance, gamma, beta, 1e-3, out=got, **given)
            same((got, places), (y, winners))
            for frozen, grad in ((False, norm.batch_norm_grad), (True, norm.batch_norm_frozen_grad)):
                expected = like(x, gamma, beta)
                got = like(*expected)
                names = ("dx", "dgamma", "dbeta")
                grad(dz, x, mean, variance, gamma, 1e-3, **dict(zip(names, expected, strict=True)))
                made = dict(zip(names, got, strict=True))
                pooled.batch_norm_pooled_grad(dy, winners, x, mean, variance, gamma, 1e-3, frozen=frozen, **made)
                same(got, expected)
    finally:
        build.set_num_threads(before)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@ACTIVATIONS
def test_against_the_reference(rng, activation):
    g = window2d((9, 8, 17), (3, 3), (1, 1), "same", filters=20)
    x, w, bias = rng.standard_normal((3, 9, 8, 17)), rng.standard_normal((3, 3, 17, 20)), rng.standard_normal(20)
    gamma, beta, mean, variance = rng.standard_normal((4, 17))
    narrow = {id(a): a.astype("float32") for a in (x, w, bias, gamma, beta, mean, variance)}
    variance *= variance
    narrow[id(variance)] = variance.astype("float32")

    def both(name, arguments, outs, winners=None, **given):
        expected, got = ([np.full(shape, np.nan, t) for shape in outs.values()] for t in ("float64", "float32"))
        getattr(reference, name)(*arguments, **dict(zip(outs, expected, strict=True)), **given)
        some = [narrow.get(id(a), a.astype("float32") if getattr(a, "dtype", None) == "float64" else a)
                for a in arguments]  # fmt: skip
        given = {k: narrow.get(id(v), v.astype("float32") if hasattr(v, "astype") else v) for k, v in given.items()}
        getattr(pooled, name)(*some, **dict(zip(outs, got, strict=True)), **given)
        for a, b in zip(got, expected, strict=True):
            close(a, b)
        return expected

    shape = (3, 4, 4, 20)
    (y,) = both("conv2d_pooled", (x, w, g), {"out": shape}, bias=bias, activation=activation)
    winners = np.empty(shape, "uint8")
    reference.conv2d_pooled(x, w, g, out=y, bias=bias, activation=activation, winners=winners)
    dy = rng.standard_normal(shape)
    both("unpool", (dy, winners, (9, 8)), {"out": (3, 9, 8, 20), "sums": (20,)})
    both("conv2d_pooled_dkernel", (x, dy, winners, g), {"out": w.shape})
    numbers_, shape = (x, mean, variance, gamma), (3, 4, 4, 17)
    (y,) = both("batch_norm_pooled", (*numbers_, beta, 1e-3), {"out": shape}, activation=activation)
    winners = np.empty(shape, "uint8")
    reference.batch_norm_pooled(*numbers_, beta, 1e-3, out=y, activation=activation, winners=winners)
    outs = {"dx": x.shape, "dgamma": (17,), "dbeta": (17,)}
    for frozen in (False, True):
        both("batch_norm_pooled_grad", (dy[..., :17].copy(), winners, *numbers_, 1e-3), outs, frozen=frozen)


def test_wrong_calls_are_refused():
    x, y, w = np.ones((2, 6, 6, 4), "float32"), np.ones((2, 3, 3, 4), "float32"), np.ones((3, 3, 4, 4), "float32")
    winners, c = np.zeros(y.shape, "uint8"), np.ones(4, "float32")
    g = window2d((6, 6, 4), (3, 3), (1, 1), "same", filters=4)
    grouped = window2d((6, 6, 4), (3, 3), (1, 1), "same", filters=4, groups=2)
    refused = (
        (r"conv2d_pooled: g must have one group, got 2; run the convolution, then max_pool2d",
         lambda: pooled.conv2d_pooled(x, w, grouped, out=y)),
        (r"conv2d_pooled: out must have shape \(2, 3, 3, 4\)", lambda: pooled.conv2d_pooled(x, w, g, out=x)),
        (r"conv2d_pooled: w must have shape", lambda: pooled.conv2d_pooled(x, w[:2], g, out=y)),
        (r"conv2d_pooled: activation must be None, linear or the plain ReLU",
         lambda: pooled.conv2d_pooled(x, w, g, out=y, activation=activations.tanh)),
        (r"conv2d_pooled_dkernel: dy must have shape",
         lambda: pooled.conv2d_pooled_dkernel(x, x, winners, g, out=w)),
        (r"unpool: out must have shape \(2, 7, 6, 4\)", lambda: pooled.unpool(y, winners, (7, 6), out=x)),
        (r"unpool: dy must be \(N, H // 2, W // 2, C\)", lambda: pooled.unpool(c, winners, (6, 6), out=x)),
        (r"batch_norm_pooled: x must be \(N, H, W, C\)",
         lambda: pooled.batch_norm_pooled(x[0], c, c, c, c, 1e-3, out=y)),
        (r"batch_norm_pooled_grad: dx must have shape",
         lambda: pooled.batch_norm_pooled_grad(y, winners, x, c, c, c, 1e-3, dx=y)),
    )  # fmt: skip
    for message, call in refused:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="winners must be uint8"):
        pooled.unpool(y, y, (6, 6), out=x)
