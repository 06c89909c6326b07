"""Random poolings over windows and whole images."""

import numpy as np

from fuzzing.case import reference_of, wide
from fuzzing.conv import random_window
from npdl import activations
from npdl.kernels.cpu import conv, norm, pool, pooled
from npdl.kernels.geometry import window2d
from npdl.kernels.reference import matmul as ref_matmul
from npdl.kernels.reference import pool as ref_pool


def ties_and_nans(case, x):
    """Few values, each many times, and now and then a NaN or an infinity."""
    x[...] = case.rng.integers(-2, 3, x.shape)
    kind = case.note(values=case.pick("ties", "nan", "infinite"))
    if kind != "ties":
        x[case.rng.random(x.shape) < 0.05] = np.nan if kind == "nan" else -np.inf
    return x


def fuzz_max_pool2d(case):
    g, n = random_window(case, grouped=False)
    g = g._replace(filters=g.channels)
    x = case.numbers(n, g.in_h, g.in_w, g.channels)
    if case.whole(0, 1):
        ties_and_nans(case, x)
    shape = (n, g.out_h, g.out_w, g.channels)
    taps = "uint8" if g.kernel_h * g.kernel_w <= 256 else "int32"
    out, winners = case.out(*shape), case.pick(None, case.out(*shape, dtype=taps, fill=255))
    case.run(pool.max_pool2d, x, g, out=out, winners=winners)
    expected, places = np.empty(shape, case.dtype), np.empty(shape, taps)
    ref_pool.max_pool2d(x, g, out=expected, winners=places)
    case.equal("out", out, expected)
    if winners is not None:
        case.equal("winners", winners, places)
    relu = case.out(*shape)
    case.run(pool.max_pool2d, x, g, out=relu, activation=activations.relu)
    case.equal("out behind ReLU", relu, np.where(out < 0, 0, out))
    dy, dx, same = case.numbers(*shape), case.out(*x.shape), case.out(*x.shape)
    case.run(pool.max_pool2d_grad, dy, places, g, out=dx, y=relu, activation=activations.relu)
    case.run(pool.max_pool2d_grad, np.where(relu > 0, dy, case.dtype.type(0)), places, g, out=same)
    case.equal("dx behind ReLU", dx, same)
    case.run(pool.max_pool2d_grad, dy, places, g, out=dx)
    expected = reference_of(ref_pool.max_pool2d_grad, {"out": x.shape}, *wide(dy), places, g)["out"]
    size = reference_of(ref_pool.max_pool2d_grad, {"out": x.shape}, *wide(abs(dy)), places, g)["out"]
    case.close("dx", dx, expected, g.kernel_h * g.kernel_w, size)


fuzz_max_pool2d_grad = fuzz_max_pool2d


def fuzz_average_pool2d(case):
    g, n = random_window(case, grouped=False)
    g = g._replace(filters=g.channels)
    shape = (n, g.out_h, g.out_w, g.channels)
    x, dy = case.numbers(n, g.in_h, g.in_w, g.channels), case.numbers(*shape)
    out, dx = case.out(*shape), case.out(*x.shape)
    case.run(pool.average_pool2d, x, g, out=out)
    case.run(pool.average_pool2d_grad, dy, g, out=dx)
    length = g.kernel_h * g.kernel_w
    for got, kernel, of in ((out, ref_pool.average_pool2d, x), (dx, ref_pool.average_pool2d_grad, dy)):
        expected = reference_of(kernel, {"out": got.shape}, *wide(of), g)["out"]
        size = reference_of(kernel, {"out": got.shape}, *wide(abs(of)), g)["out"]
        case.close(kernel.__name__, got, expected, length, size)


fuzz_average_pool2d_grad = fuzz_average_pool2d


def fuzz_global_max_pool2d(case):
    n, h, w, c = case.note(shape=(case.whole(0, 5), case.size(30), case.size(30), case.size(90)))
    x = case.numbers(n, h, w, c)
    if case.whole(0, 1):
        ties_and_nans(case, x)
    out, winners = case.out(n, c), case.out(n, c, dtype="int32", fill=-1)
    case.run(pool.global_max_pool2d, x, out=out, winners=winners)
    expected, places = np.empty((n, c), case.dtype), np.empty((n, c), "int32")
    ref_pool.global_max_pool2d(x, out=expected, winners=places)
    case.equal("out", out, expected)
    case.equal("winners", winners, places)
    dy, dx, right = case.numbers(n, c), case.out(n, h, w, c), np.empty((n, h, w, c), case.dtype)
    case.run(pool.global_max_pool2d_grad, dy, winners, out=dx)
    ref_pool.global_max_pool2d_grad(dy, places, out=right)
    case.equal("dx", dx, right)


fuzz_global_max_pool2d_grad = fuzz_global_max_pool2d


def fuzz_global_average_pool2d(case):
    n, h, w, c = case.note(shape=(case.whole(0, 5), case.size(30), case.size(30), case.size(90)))
    x, dy, out, dx = case.numbers(n, h, w, c), case.numbers(n, c), case.out(n, c), case.out(n, h, w, c)
    case.run(pool.global_average_pool2d, x, out=out)
    case.run(pool.global_average_pool2d_grad, dy, out=dx)
    case.close("out", out, x.mean(axis=(1, 2), dtype="float64"), h * w, abs(x).mean(axis=(1, 2), dtype="float64"))
    case.close("dx", dx, np.broadcast_to(dy.astype("float64").reshape(n, 1, 1, c) / (h * w), dx.shape), 1)


fuzz_global_average_pool2d_grad = fuzz_global_average_pool2d


def pooling_after(case, z, fn):
    """What the layers one by one make of whole images z: (out, winners, dy, dz)."""
    shape = (len(z), z.shape[1] // 2, z.shape[2] // 2, z.shape[3])
    out, winners, dy = case.out(*shape), case.out(*shape, dtype="uint8", fill=255), case.numbers(*shape)
    dz = case.out(*z.shape, fill=0)
    if out.size:
        g = window2d(z.shape[1:], (2, 2), (2, 2), "valid")
        case.run(pool.max_pool2d, z, g, out=out, winners=winners, activation=fn)
        case.run(pool.max_pool2d_grad, dy, winners, g, out=dz, y=out, activation=fn)
        if fn is not None:
            winners[~(out > 0)] = 4
    return out, winners, dy, dz


def fuzz_conv2d_pooled(case):
    """The bits of the layers one by one."""
    g, n = random_window(case, grouped=False)
    fn, bias = case.pick(None, activations.relu), case.pick(None, case.numbers(g.filters))
    case.note(activation=fn, bias=bias is not None)
    x, w = case.numbers(n, g.in_h, g.in_w, g.channels), case.numbers(g.kernel_h, g.kernel_w, g.channels, g.filters)
    z, dw, given = case.out(n, g.out_h, g.out_w, g.filters), case.out(*w.shape), {"activation": fn}
    case.run(conv.conv2d, x, w, g, out=z, bias=bias)
    y, winners, dy, dz = pooling_after(case, z, fn)
    out, places = case.out(*y.shape), case.pick(None, case.out(*y.shape, dtype="uint8", fill=255))
    case.run(pooled.conv2d_pooled, x, w, g, out=out, bias=bias, winners=places, **given)
    case.equal("out", out, y)
    if places is not None:
        case.equal("winners", places, winners)
    case.run(conv.conv2d_dkernel, x, dz, g, out=dw)
    again = case.out(*w.shape)
    case.run(pooled.conv2d_pooled_dkernel, x, dy, winners, g, out=again)
    case.equal("dW", again, dw)
    whole, sums = case.pick(None, case.out(*z.shape)), case.out(g.filters)
    case.run(pooled.unpool, dy, winners, g.out, out=whole, sums=sums)
    if whole is not None:
        case.equal("dz", whole, dz)
    expected = reference_of(ref_matmul.sum_rows, {"out": sums.shape}, *wide(dz))["out"]
    size = reference_of(ref_matmul.sum_rows, {"out": sums.shape}, *wide(abs(dz)))["out"]
    case.close("sums", sums, expected, dz.size // max(g.filters, 1), size)


fuzz_conv2d_pooled_dkernel = fuzz_unpool = fuzz_conv2d_pooled


def fuzz_batch_norm_pooled(case):
    """The bits of the layers one by one."""
    n, h, w, c = case.note(shape=(case.whole(1, 5), case.size(30), case.size(30), case.size(90)))
    x, mean, gamma, beta = case.numbers(n, h, w, c), case.numbers(c), case.numbers(c), case.numbers(c)
    variance, fn, frozen = abs(case.numbers(c)), case.pick(None, activations.relu), case.pick(False, True)
    case.note(activation=fn, frozen=frozen)
    z, numbers = case.out(n, h, w, c), (x, mean, variance, gamma)
    case.run(norm.batch_norm, *numbers, beta, 1e-3, out=z)
    y, winners, dy, dz = pooling_after(case, z, fn)
    out, places = case.out(*y.shape), case.out(*y.shape, dtype="uint8", fill=255)
    case.run(pooled.batch_norm_pooled, *numbers, beta, 1e-3, out=out, winners=places, activation=fn)
    case.equal("out", out, y)
    case.equal("winners", places, winners)
    grad = norm.batch_norm_frozen_grad if frozen else norm.batch_norm_grad
    expected, got = ({"dx": case.out(*x.shape), "dgamma": case.out(c), "dbeta": case.out(c)} for _ in range(2))
    case.run(grad, dz, *numbers, 1e-3, **expected)
    case.run(pooled.batch_norm_pooled_grad, dy, winners, *numbers, 1e-3, frozen=frozen, **got)
    for name, array in got.items():
        case.equal(name, array, expected[name])


fuzz_batch_norm_pooled_grad = fuzz_batch_norm_pooled
