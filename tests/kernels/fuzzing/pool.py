"""Random poolings over windows and whole images."""

import numpy as np

from fuzzing.case import reference_of, wide
from fuzzing.conv import random_window
from npdl import activations
from npdl.kernels.cpu import pool
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
