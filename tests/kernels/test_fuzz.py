"""Random calls of every compiled kernel against the reference kernels in float64.

    pytest tests/kernels/test_fuzz.py                           2,000 cases, the same ones every time
    NPDL_FUZZ=50000 pytest tests/kernels/test_fuzz.py            that many
    NPDL_FUZZ=50000 NPDL_FUZZ_SEED=70000 pytest ...              from that seed on: other cases

A failing case names its seed and its arguments; NPDL_FUZZ=1 with that seed runs it alone. Outputs lie between guard
numbers and start as NaN, inputs start at any multiple of their number's size, and the number of threads is drawn too.
The tolerance comes from the sum that an element is: see `close`.
"""

import functools
import os

import numpy as np
import pytest

from npdl import activations, constraints, regularizers
from npdl.devices.registry import FAMILIES
from npdl.kernels.cpu import compiled
from npdl.kernels.geometry import window, window2d
from npdl.kernels.taps import METHODS, taps

if not compiled():
    pytest.skip("installed without compiled kernels", allow_module_level=True)

from npdl.kernels.cpu import (
    activation,
    adaptive_pool,
    attention,
    build,
    conv,
    ctc,
    dropout,
    einsum,
    element_loss,
    embed,
    extend,
    group_norm,
    image,
    interpolate,
    layer_norm,
    layerwise,
    loss,
    mask,
    matmul,
    merge,
    norm,
    pair_loss,
    pool,
    position,
    power,
    regularize,
    rnn,
    row_loss,
    shape,
    triplets,
    update,
)
from npdl.kernels.reference import activation as ref_activation
from npdl.kernels.reference import adaptive_pool as ref_adaptive_pool
from npdl.kernels.reference import attention as ref_attention
from npdl.kernels.reference import conv as ref_conv
from npdl.kernels.reference import ctc as ref_ctc
from npdl.kernels.reference import dropout as ref_dropout
from npdl.kernels.reference import einsum as ref_einsum
from npdl.kernels.reference import element_loss as ref_element_loss
from npdl.kernels.reference import embed as ref_embed
from npdl.kernels.reference import extend as ref_extend
from npdl.kernels.reference import group_norm as ref_group_norm
from npdl.kernels.reference import image as ref_image
from npdl.kernels.reference import interpolate as ref_interpolate
from npdl.kernels.reference import layer_norm as ref_layer_norm
from npdl.kernels.reference import layerwise as ref_layerwise
from npdl.kernels.reference import loss as ref_loss
from npdl.kernels.reference import mask as ref_mask
from npdl.kernels.reference import matmul as ref_matmul
from npdl.kernels.reference import merge as ref_merge
from npdl.kernels.reference import norm as ref_norm
from npdl.kernels.reference import pair_loss as ref_pair_loss
from npdl.kernels.reference import pool as ref_pool
from npdl.kernels.reference import power as ref_power
from npdl.kernels.reference import rnn as ref_rnn
from npdl.kernels.reference import row_loss as ref_row_loss
from npdl.kernels.reference import shape as ref_shape
from npdl.kernels.reference import triplets as ref_triplets
from npdl.kernels.reference import update as ref_update

FIRST_SEED = int(os.environ.get("NPDL_FUZZ_SEED", "1"))
GUARD = 37
ELEMENTWISE = [
    activations.linear, activations.relu, activations.ReLU(0.1, 6.0, 0.5), activations.leaky_relu, activations.ELU(1.7),
    activations.gelu, activations.GELU(approximate=True), activations.sigmoid, activations.tanh, activations.selu,
    activations.CELU(0.7), activations.silu, activations.mish, activations.softplus, activations.log_sigmoid,
    activations.softsign, activations.squareplus,
]  # fmt: skip
SMOOTH = [
    fn for fn in ELEMENTWISE if fn.code not in (2,)
]  # a jump or a kink at a threshold other than 0 is no epilogue


class Case:
    """The arguments of one random call, and what is wrong with its results."""

    def __init__(self, kernel, seed):
        self.rng = np.random.default_rng(seed)
        self.kernel, self.seed = kernel, seed
        self.dtype = np.dtype(self.pick("float32", "float64"))
        self.eps = np.finfo(self.dtype).eps
        self.threads = self.whole(1, 3)
        self.facts, self.guarded = {}, []

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def whole(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def note(self, **facts):
        """Keep arguments for the message of a failure; returns the last."""
        self.facts.update(facts)
        return [*facts.values()][-1]

    def size(self, largest=300):
        """More often small than large, often odd."""
        return self.whole(1, self.pick(3, 9, 17, 33, 70, largest))

    def place(self, values):
        """The same array, at an address that is a multiple of its number's size and of no more."""
        flat = np.empty(values.size + 1, values.dtype)[self.whole(0, 1) :][: values.size]
        flat[...] = values.ravel()
        return flat.reshape(values.shape)

    def numbers(self, *shape, scale=1.0):
        return self.place((scale * self.rng.standard_normal(shape)).astype(self.dtype))

    def shares(self, *shape):
        """From 0.001 to 1"""
        return self.place(self.rng.uniform(0.001, 1, shape).astype(self.dtype))

    def out(self, *shape, dtype=None, fill=np.nan):
        """An output between guard numbers."""
        dtype = np.dtype(dtype or self.dtype)
        size = int(np.prod(shape))
        memory = np.full(size + 2 * GUARD, 77, dtype)
        inside = memory[GUARD : GUARD + size]
        inside[...] = fill
        self.guarded.append(memory)
        return inside.reshape(shape)

    def fail(self, what):
        raise AssertionError(
            f"{self.kernel}: {what}\n  {self.dtype}, {self.threads} threads, {self.facts}\n"
            f"  again: NPDL_FUZZ=1 NPDL_FUZZ_SEED={self.seed} pytest tests/kernels/test_fuzz.py -k '[{self.kernel}]'"
        )

    def run(self, kernel, *args, **kwargs):
        """Call it; neither the guards nor the inputs may change."""
        arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray)]
        inputs = [a for a in arrays if not any(np.shares_memory(a, memory) for memory in self.guarded)]
        before = [a.tobytes() for a in inputs]
        build.set_num_threads(self.threads)
        kernel(*args, **kwargs)
        for memory in self.guarded:
            if (memory[:GUARD] != 77).any() or (memory[-GUARD:] != 77).any():
                self.fail("wrote outside an output")
        if [a.tobytes() for a in inputs] != before:
            self.fail("changed an input")

    def equal(self, name, got, expected):
        if not np.array_equal(got, expected, equal_nan=got.dtype.kind == "f"):
            self.fail(f"{name} differs at {np.argwhere(got != expected)[:3].tolist()}")

    def close(self, name, got, expected, length, scale=None):
        """Within the rounding of a sum of `length` products whose absolute values add up to `scale`.

        Errors of single additions are independent: they grow with √length, 8 times that is never reached by chance. The
        constant covers what is fixed (activations, transforms of Winograd's kind, which spread an error over a tile:
        hence the largest `scale` counts for all elements)."""
        expected = np.asarray(expected)
        top = max(np.abs(x).max(initial=0) for x in (expected, 0 if scale is None else scale)) + 1e-30
        bound = 8 * self.eps * (np.sqrt(length) + 8) * top
        wrong = ~(np.abs(got - expected) <= bound)  # a NaN is wrong
        if wrong.any():
            at = tuple(np.argwhere(wrong)[0].tolist())
            self.fail(f"{name}{list(at)} is {got[at]!r}, expected {expected[at]!r} ± {bound:.2g}; {wrong.sum()} such")


def wide(*arrays):
    return [None if a is None else a.astype("float64") for a in arrays]


def reference_of(kernel, shapes, *args, **kwargs):
    """What a reference kernel gives for outputs of these shapes (name -> shape), in float64."""
    outs = {name: np.empty(shape) for name, shape in shapes.items()}
    kernel(*args, **kwargs, **outs)
    return outs


# ---- one function a kernel or pair


def fuzz_matmul(case):
    m, n, k = case.pick(0, case.size(), case.size()), case.size(), case.size(3000)
    ta, tb = bool(case.whole(0, 1)), bool(case.whole(0, 1))
    case.note(m=m, n=n, k=k, transpose_a=ta, transpose_b=tb)
    a, b = case.numbers(*((k, m) if ta else (m, k))), case.numbers(*((n, k) if tb else (k, n)))
    fn, bias = case.pick(None, *SMOOTH, activations.softmax), case.pick(None, case.numbers(n))
    case.note(activation=fn, bias=bias is not None)
    out, z = case.out(m, n), case.pick(None, case.out(m, n))
    case.run(matmul.matmul, a, b, out=out, bias=bias, activation=fn, z=z, transpose_a=ta, transpose_b=tb)
    a64, b64, bias64 = wide(a, b, bias)
    expected = {"out": np.empty((m, n)), "z": np.empty((m, n))}
    ref_matmul.matmul(a64, b64, bias=bias64, activation=fn, transpose_a=ta, transpose_b=tb, **expected)
    scale = abs(a64.T if ta else a64) @ abs(b64.T if tb else b64) + (0 if bias is None else abs(bias64))
    case.close("out", out, expected["out"], k, scale)
    if z is not None:
        case.close("z", z, expected["z"], k, scale)
    if not ta and m:
        row = case.out(1, n)
        case.run(matmul.matmul, case.place(a[m - 1 :]), b, out=row, bias=bias, activation=fn, transpose_b=tb)
        case.equal("the last row alone", row, out[m - 1 :])


def fuzz_sum_rows(case):
    rows, columns = case.whole(0, 4) * case.size(3000), case.size()
    case.note(rows=rows, columns=columns)
    x, out = case.numbers(rows, columns), case.out(columns)
    case.run(matmul.sum_rows, x, out=out)
    case.close("out", out, x.sum(axis=0, dtype="float64"), rows, abs(x).sum(axis=0, dtype="float64"))


def random_window(case, grouped=True):
    kernel, strides = (case.whole(1, 5), case.whole(1, 5)), (case.whole(1, 3), case.whole(1, 3))
    dilation = (case.whole(1, 3), case.whole(1, 3)) if case.whole(0, 3) == 0 else (1, 1)
    if case.whole(0, 2) == 0:
        kernel, strides, dilation = (3, 3), (1, 1), (1, 1)
    if not grouped and case.whole(0, 9) == 0:
        kernel, dilation = (case.whole(15, 18), 17), (1, 1)  # on both sides of 256 taps
    groups = case.whole(2, 5) if grouped and case.whole(0, 3) == 0 else 1
    channels, filters = (case.pick(1, 2, 3, 5, 7, 8, 16, 17, 31, 33, 64, 65, 80) for _ in range(2))
    if groups > 1:
        channels, filters = groups * case.whole(1, 9), groups * case.whole(1, 17)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    padding = case.pick("same", "valid")
    h, w = (case.whole(span if padding == "valid" else 1, span + case.pick(3, 9, 16)) for span in spans)
    arguments = ((h, w, channels), kernel, strides, padding, dilation, filters, groups)
    g = window2d(*case.note(window=arguments))
    return g, case.note(images=case.pick(0, 1, 2, 3, 5, 8, 33))


def conv_arrays(case):
    g, n = random_window(case)
    x, dz = case.numbers(n, g.in_h, g.in_w, g.channels), case.numbers(n, g.out_h, g.out_w, g.filters)
    return g, n, x, case.numbers(g.kernel_h, g.kernel_w, g.channels // g.groups, g.filters), dz


def fuzz_conv2d(case):
    g, n, x, w, dz = conv_arrays(case)
    fn, bias = case.pick(None, *SMOOTH, activations.softmax), case.pick(None, case.numbers(g.filters))
    case.note(activation=fn, bias=bias is not None)
    out, z = case.out(*dz.shape), case.pick(None, case.out(*dz.shape))
    case.run(conv.conv2d, x, w, g, out=out, bias=bias, activation=fn, z=z)
    x64, w64, bias64 = wide(x, w, bias)
    expected = reference_of(ref_conv.conv2d, {"out": dz.shape, "z": dz.shape}, x64, w64, g, bias=bias64, activation=fn)
    size = reference_of(ref_conv.conv2d, {"out": dz.shape}, abs(x64), abs(w64), g)["out"]
    if bias is not None:
        size = size + abs(bias64)
    length = w.size // g.filters
    case.close("out", out, expected["out"], length, size)
    if z is not None:
        case.close("z", z, expected["z"], length, size)
    if n:
        one = case.out(1, *dz.shape[1:])
        case.run(conv.conv2d, case.place(x[n - 1 :]), w, g, out=one, bias=bias, activation=fn)
        case.equal("the last image alone", one, out[n - 1 :])


def fuzz_conv2d_dx(case):
    g, n, x, w, dz = conv_arrays(case)
    out = case.out(*x.shape)
    case.run(conv.conv2d_dx, dz, w, g, out=out)
    dz64, w64 = wide(dz, w)
    expected = reference_of(ref_conv.conv2d_dx, {"out": x.shape}, dz64, w64, g)["out"]
    size = reference_of(ref_conv.conv2d_dx, {"out": x.shape}, abs(dz64), abs(w64), g)["out"]
    case.close("dx", out, expected, w.size // (g.channels // g.groups), size)
    if n:
        one = case.out(1, *x.shape[1:])
        case.run(conv.conv2d_dx, case.place(dz[n - 1 :]), w, g, out=one)
        case.equal("the last image alone", one, out[n - 1 :])


def fuzz_conv2d_dkernel(case):
    g, n, x, w, dz = conv_arrays(case)
    out = case.out(*w.shape)
    case.run(conv.conv2d_dkernel, x, dz, g, out=out)
    x64, dz64 = wide(x, dz)
    expected = reference_of(ref_conv.conv2d_dkernel, {"out": w.shape}, x64, dz64, g)["out"]
    size = reference_of(ref_conv.conv2d_dkernel, {"out": w.shape}, abs(x64), abs(dz64), g)["out"]
    case.close("dW", out, expected, n * g.out_h * g.out_w, size)


def fuzz_conv2d_transpose(case, arrays=None):
    g, n, x, w, dz = conv_arrays(case) if arrays is None else arrays
    name = "conv2d_transpose" if arrays is None else "conv3d_transpose"
    kernel, reference = getattr(conv, name), getattr(ref_conv, name)
    fn, bias = case.pick(None, *SMOOTH, activations.softmax), case.pick(None, case.numbers(g.channels))
    case.note(activation=fn, bias=bias is not None)
    out, z = case.out(*x.shape), case.pick(None, case.out(*x.shape))
    case.run(kernel, dz, w, g, out=out, bias=bias, activation=fn, z=z)
    dz64, w64, bias64 = wide(dz, w, bias)
    expected = reference_of(reference, {"out": x.shape, "z": x.shape}, dz64, w64, g, bias=bias64, activation=fn)
    size = reference_of(reference, {"out": x.shape}, abs(dz64), abs(w64), g)["out"]
    if bias is not None:
        size = size + abs(bias64)
    length = w.size // (g.channels // g.groups)
    case.close("out", out, expected["out"], length, size)
    if z is not None:
        case.close("z", z, expected["z"], length, size)
    if n:
        one = case.out(1, *x.shape[1:])
        case.run(kernel, case.place(dz[n - 1 :]), w, g, out=one, bias=bias, activation=fn)
        case.equal("the last sample alone", one, out[n - 1 :])


def volume_arrays(case):
    kernel, strides = (tuple(case.whole(1, 3) for _ in range(3)) for _ in range(2))
    dilation = tuple(case.whole(1, 3) for _ in range(3)) if case.whole(0, 3) == 0 else (1, 1, 1)
    groups = case.whole(2, 4) if case.whole(0, 3) == 0 else 1
    channels, filters = (groups * case.pick(1, 2, 3, 8, 17) for _ in range(2))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    padding = case.pick("same", "valid")
    sizes = [case.whole(span if padding == "valid" else 1, span + case.pick(2, 6)) for span in spans]
    g = window(*case.note(window=((*sizes, channels), kernel, strides, padding, dilation, filters, groups)))
    n = case.note(volumes=case.pick(0, 1, 2, 3, 5))
    x, dz = case.numbers(n, *g.inside, channels), case.numbers(n, *g.out, filters)
    return g, n, x, case.numbers(*kernel, channels // groups, filters), dz


def fuzz_conv3d(case):
    g, n, x, w, dz = volume_arrays(case)
    fn, bias = case.pick(None, *SMOOTH, activations.softmax), case.pick(None, case.numbers(g.filters))
    case.note(activation=fn, bias=bias is not None)
    out, z = case.out(*dz.shape), case.pick(None, case.out(*dz.shape))
    case.run(conv.conv3d, x, w, g, out=out, bias=bias, activation=fn, z=z)
    x64, w64, bias64 = wide(x, w, bias)
    expected = reference_of(ref_conv.conv3d, {"out": dz.shape, "z": dz.shape}, x64, w64, g, bias=bias64, activation=fn)
    size = reference_of(ref_conv.conv3d, {"out": dz.shape}, abs(x64), abs(w64), g)["out"]
    if bias is not None:
        size = size + abs(bias64)
    length = w.size // g.filters
    case.close("out", out, expected["out"], length, size)
    if z is not None:
        case.close("z", z, expected["z"], length, size)
    if n:
        one = case.out(1, *dz.shape[1:])
        case.run(conv.conv3d, case.place(x[n - 1 :]), w, g, out=one, bias=bias, activation=fn)
        case.equal("the last volume alone", one, out[n - 1 :])


def fuzz_conv3d_transpose(case):
    fuzz_conv2d_transpose(case, volume_arrays(case))


def fuzz_conv3d_dx(case):
    g, _, x, w, dz = volume_arrays(case)
    out = case.out(*x.shape)
    case.run(conv.conv3d_dx, dz, w, g, out=out)
    dz64, w64 = wide(dz, w)
    expected = reference_of(ref_conv.conv3d_dx, {"out": x.shape}, dz64, w64, g)["out"]
    size = reference_of(ref_conv.conv3d_dx, {"out": x.shape}, abs(dz64), abs(w64), g)["out"]
    case.close("dx", out, expected, w.size // (g.channels // g.groups), size)


def fuzz_conv3d_dkernel(case):
    g, _, x, w, dz = volume_arrays(case)
    out = case.out(*w.shape)
    case.run(conv.conv3d_dkernel, x, dz, g, out=out)
    x64, dz64 = wide(x, dz)
    expected = reference_of(ref_conv.conv3d_dkernel, {"out": w.shape}, x64, dz64, g)["out"]
    size = reference_of(ref_conv.conv3d_dkernel, {"out": w.shape}, abs(x64), abs(dz64), g)["out"]
    case.close("dW", out, expected, dz.size // g.filters, size)


def fuzz_im2col(case):
    g, _, x, _, dz = conv_arrays(case)
    shape = (*dz.shape[:3], g.kernel_h * g.kernel_w * g.channels)
    out = case.out(*shape)
    case.run(conv.im2col, x, g, out=out)
    expected = np.empty(shape, case.dtype)
    ref_conv.im2col(x, g, out=expected)
    case.equal("cols", out, expected)


def fuzz_col2im(case):
    g, _, x, _, dz = conv_arrays(case)
    cols, out = case.numbers(*dz.shape[:3], g.kernel_h * g.kernel_w * g.channels), case.out(*x.shape)
    case.run(conv.col2im, cols, g, out=out)
    (cols64,) = wide(cols)
    expected = reference_of(ref_conv.col2im, {"out": x.shape}, cols64, g)["out"]
    size = reference_of(ref_conv.col2im, {"out": x.shape}, abs(cols64), g)["out"]
    case.close("x", out, expected, g.kernel_h * g.kernel_w, size)


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


def fuzz_activation(case):
    fn = case.note(
        activation=case.pick(
            *ELEMENTWISE, *(kind(axis) for kind in (activations.Softmax, activations.LogSoftmax) for axis in (0, 1, -1))
        )
    )
    rows = fn.code in (9, 10)
    lowest = int(rows and fn.axis == 0)  # a softmax of nothing is an error
    shape = case.note(shape=(case.whole(lowest, 4), case.size(), case.size(2000)))
    z, dy = case.numbers(*shape, scale=case.pick(1, 4, 30)), case.numbers(*shape)
    y, dz = case.out(*shape), case.out(*shape)
    case.run(activation.activation, z, fn, out=y)
    z64, dy64, y64 = wide(z, dy, y)
    expected = reference_of(ref_activation.activation, {"out": shape}, z64, fn)["out"]
    # e^z is as exact as z: an error of ½ ulp of z − max z is an error of that size in the exponent
    length = shape[1] + shape[2] if rows else 1
    case.close("y", y, expected, length, max(1, abs(z64).max(initial=0)))
    saved, saved64 = (z, z64) if fn.needs == "z" else (y, y64)
    case.run(activation.activation_grad, dy, saved, fn, out=dz)
    expected = reference_of(ref_activation.activation_grad, {"out": shape}, dy64, saved64, fn)["out"]
    size = np.abs(dy64).max(initial=0) * max(1, abs(saved64).max(initial=0))
    case.close("dz", dz, expected, length, size)
    same = case.out(*shape)
    same[...] = z
    case.run(activation.activation, same, fn, out=same)
    case.equal("y in place", same, y)


fuzz_activation_grad = fuzz_activation


def fuzz_glu(case):
    axis, half = case.note(axis=case.pick(0, 1, 2, -1)), [case.size(40), case.size(40), case.size(90)]
    whole = [2 * n if a == axis % 3 else n for a, n in enumerate(half)]
    x, dy, y, dx = case.numbers(*whole, scale=case.pick(1, 30)), case.numbers(*half), case.out(*half), case.out(*whole)
    case.run(activation.glu, x, axis, out=y)
    case.run(activation.glu_grad, dy, x, axis, out=dx)
    x64, dy64 = wide(x, dy)
    case.close("y", y, reference_of(ref_activation.glu, {"out": half}, x64, axis)["out"], 1)
    expected = reference_of(ref_activation.glu_grad, {"out": whole}, dy64, x64, axis)["out"]
    case.close("dx", dx, expected, 1, abs(x64).max() * abs(dy64).max())


fuzz_glu_grad = fuzz_glu


def fuzz_prelu(case):
    shape = case.note(shape=(case.whole(0, 9), case.size(), case.size(90)))
    x, dy, alpha = case.numbers(*shape), case.numbers(*shape), case.numbers(*shape[1:])
    y, dx, dalpha = (case.out(*shape) for _ in range(3))
    case.run(activation.prelu, x, alpha, out=y)
    case.run(activation.prelu_grad, dy, x, alpha, dx=dx, dalpha=dalpha)
    case.equal("y", y, np.where(x > 0, x, alpha * x))
    case.equal("dx", dx, np.where(x > 0, dy, alpha * dy))
    case.equal("dalpha", dalpha, np.where(x > 0, 0, dy * x))


fuzz_prelu_grad = fuzz_prelu


def fuzz_penalty(case):
    fn = case.note(fn=regularizers.L1L2(case.pick(0, 0.5), case.pick(0, 0.25)))
    x = case.numbers(case.size(40), case.size(3000))
    out, dx = case.out(1, dtype="float64"), case.out(*x.shape, fill=0.5)
    case.run(regularize.penalty, x, fn, out=out)
    case.close("out", out, fn(x), x.size, fn(x))
    case.run(regularize.penalty_grad, x, fn, out=dx, scale=0.25)
    case.close("dx", dx, 0.5 + 0.25 * fn.gradient(x.astype("float64")), 1)


fuzz_penalty_grad = fuzz_penalty


def fuzz_constrain(case):
    axis = case.pick(0, 1, 2, -1, [0, 1], [0, 2], [1, 2])
    limits = constraints.MaxNorm(1.5, axis), constraints.MinMaxNorm(0.5, 2, 0.5, axis), constraints.UnitNorm(axis)
    fn = case.note(fn=case.pick(*limits, constraints.NonNeg()))
    w = case.numbers(case.size(40), case.size(40), case.size(90))
    out = case.out(*w.shape)
    case.run(regularize.constrain, w, fn, out=out)
    case.close("out", out, fn(w.astype("float64")), w.size, 1)


def fuzz_add(case):
    fn = case.note(activation=case.pick(None, *SMOOTH))
    shape = case.note(shape=(case.whole(0, 4), case.size(), case.size(2000)))
    a, b = case.numbers(*shape, scale=case.pick(1, 4, 30)), case.numbers(*shape)
    y, z = case.out(*shape), case.pick(None, case.out(*shape))
    case.run(merge.add, a, b, out=y, activation=fn, z=z)
    a64, b64 = wide(a, b)
    expected = reference_of(ref_merge.add, {"out": shape, "z": shape}, a64, b64, activation=fn)
    terms = max(1, abs(a64).max(initial=0) + abs(b64).max(initial=0))
    case.close("y", y, expected["out"], 2, terms)
    if z is not None:
        case.equal("z", z, a + b)
    same = case.out(*shape)
    same[...] = b
    case.run(merge.add, a, same, out=same, activation=fn)
    case.equal("y in place", same, y)


def fuzz_two(case, kernel):
    """subtract, multiply, maximum, minimum: one rounding, the reference's bits."""
    shape = case.note(shape=(case.whole(0, 4), case.size(), case.size(2000)))
    a, b = case.numbers(*shape, scale=case.pick(1, 30)), case.numbers(*shape)
    y, expected = case.out(*shape), np.empty(shape, case.dtype)
    case.run(getattr(merge, kernel), a, b, out=y)
    getattr(ref_merge, kernel)(a, b, out=expected)
    case.equal("y", y, expected)


def fuzz_scale(case):
    shape = case.note(shape=(case.whole(0, 4), case.size(2000)))
    a, factor, y, expected = (
        case.numbers(*shape),
        case.pick(1, -1, 1 / 3),
        case.out(*shape),
        np.empty(shape, case.dtype),
    )
    case.run(merge.scale, a, factor, out=y)
    ref_merge.scale(a, factor, out=expected)
    case.equal("y", y, expected)


def fuzz_match_grad(case):
    shape = case.note(shape=(case.whole(0, 4), case.size(2000)))
    dy, x = case.numbers(*shape), case.numbers(*shape)
    y = case.place(np.where(case.rng.random(shape) < 0.5, x, 0).astype(case.dtype))
    out, rest, expected, left = (
        case.out(*shape),
        case.out(*shape),
        np.empty(shape, case.dtype),
        np.empty(shape, case.dtype),
    )
    case.run(merge.match_grad, dy, x, y, out=out, rest=rest)
    ref_merge.match_grad(dy, x, y, out=expected, rest=left)
    case.equal("out", out, expected)
    case.equal("rest", rest, left)


def fuzz_part(case, kernel):
    sizes, axis = [case.size(20) for _ in range(case.whole(1, 4))], 0
    axis = case.note(sizes=sizes, axis=case.whole(0, len(sizes) - 1))
    start = case.note(start=case.whole(0, sizes[axis] - 1))
    small = [case.whole(0, n - start) if at == axis else n for at, n in enumerate(sizes)]
    if kernel == "take_part":
        y, out = case.numbers(*sizes), case.out(*small)
        case.run(merge.take_part, y, axis, start, out=out)
        ref_merge.take_part(y, axis, start, out=(expected := np.empty(small, case.dtype)))
    else:
        x, out, expected = case.numbers(*small), case.out(*sizes, fill=3), np.full(sizes, 3, case.dtype)
        case.run(merge.put_part, x, axis, start, out=out)
        ref_merge.put_part(x, axis, start, out=expected)
    case.equal("out", out, expected)


def fuzz_batch_norm(case):
    rows, c, far = case.size(3000), case.size(700), case.pick(0, 0, 30)
    case.note(rows=rows, channels=c, mean=far)
    x, dy = case.numbers(rows, c), case.numbers(rows, c)
    x += case.dtype.type(far)
    gamma, beta = case.pick((None, None), (case.numbers(c), case.numbers(c)))
    mean, variance, out = case.out(c), case.out(c), case.out(rows, c)
    case.run(norm.batch_norm_statistics, x, mean=mean, variance=variance)
    x64, dy64, gamma64, beta64 = wide(x, dy, gamma, beta)
    expected = reference_of(ref_norm.batch_norm_statistics, {"mean": c, "variance": c}, x64)
    case.close("mean", mean, expected["mean"], 1, abs(x64))
    case.close(
        "variance", variance, expected["variance"], 256, expected["variance"].max() + abs(x64).max() ** 2 * case.eps
    )
    epsilon, (mean64, variance64) = 1e-3, wide(mean, variance)
    case.run(norm.batch_norm, x, mean, variance, gamma, beta, epsilon, out=out)
    right = reference_of(ref_norm.batch_norm, {"out": x.shape}, x64, mean64, variance64, gamma64, beta64, epsilon)[
        "out"
    ]
    case.close("y", out, right, 1, abs(right).max() + 1)
    relu = case.out(rows, c)
    case.run(norm.batch_norm, x, mean, variance, gamma, beta, epsilon, out=relu, activation=activations.relu)
    case.equal("y behind ReLU", relu, np.where(out < 0, 0, out))
    masked = np.where(relu > 0, dy, case.dtype.type(0))
    shapes = {"dx": x.shape, "dgamma": c, "dbeta": c}
    for kernel, ref in (
        (norm.batch_norm_grad, ref_norm.batch_norm_grad),
        (norm.batch_norm_frozen_grad, ref_norm.batch_norm_frozen_grad),
    ):
        got = {name: case.out(*np.atleast_1d(shape)) for name, shape in shapes.items()}
        case.run(kernel, dy, x, mean, variance, gamma, epsilon, **got)
        right = reference_of(ref, shapes, dy64, x64, mean64, variance64, gamma64, epsilon)
        sums = np.abs(dy64).sum(axis=0).max() * (1 + abs((x64 - mean64) / np.sqrt(variance64 + epsilon)).max())
        largest = (1 if gamma is None else abs(gamma64).max()) / np.sqrt(variance64.min() + epsilon)
        case.close("dgamma", got["dgamma"], right["dgamma"], rows, sums)
        case.close("dbeta", got["dbeta"], right["dbeta"], rows, sums)
        case.close("dx", got["dx"], right["dx"], rows, largest * (abs(dy64).max() + sums / np.sqrt(rows)))
        both = [{name: case.out(*np.atleast_1d(shape)) for name, shape in shapes.items()} for _ in range(2)]
        fused = {"beta": beta, "activation": activations.relu}
        case.run(kernel, masked, x, mean, variance, gamma, epsilon, **both[0])
        case.run(kernel, dy, x, mean, variance, gamma, epsilon, **both[1], **fused)
        for name in shapes:
            case.equal(f"{name} behind ReLU", both[1][name], both[0][name])


fuzz_batch_norm_statistics = fuzz_batch_norm_grad = fuzz_batch_norm_frozen_grad = fuzz_batch_norm


def fuzz_moving_average(case):
    n, momentum = case.note(n=case.size(3000)), case.pick(0.0, 0.9, 0.99, 1.0)
    value, out = case.numbers(n), case.out(n)
    out[...] = case.numbers(n)
    expected = out.astype("float64") * momentum + (1 - momentum) * value
    case.run(norm.moving_average, value, momentum, out=out)
    case.close("out", out, expected, 1, abs(expected).max() + abs(value).max())


def row_operands(case):
    """x, dy, gamma, beta, the arguments, and those in float64 of a normalization of rows"""
    rows, d, far = case.pick(0, case.size(), case.size(3000)), case.size(5000), case.pick(0, 0, 30)
    case.note(rows=rows, features=d, mean=far)
    x, dy = case.numbers(rows, d), case.numbers(rows, d)
    x += case.dtype.type(far)
    gamma, beta = case.pick((None, None), (case.numbers(d), case.numbers(d)))
    return x, dy, gamma, beta, wide(x, dy, gamma, beta)


def close_rows(case, got, right, x, dy, gamma, inverse):
    """Compare the gradients of a normalization of rows; right: in float64."""
    d, far = x.shape[1], abs(x).max(initial=0) * inverse.max(initial=0)
    sums = np.abs(dy).sum(axis=0).max(initial=0) * (1 + far)
    g = (1 if gamma is None else abs(gamma).max()) * abs(dy).max(initial=0) * inverse.max(initial=0)
    for name in got:
        length, scale = (d, g * (1 + far) ** 2) if name == "dx" else (len(x), sums)
        case.close(name, got[name], right[name], length, scale)


def fuzz_layer_norm(case):
    x, dy, gamma, beta, (x64, dy64, gamma64, beta64) = row_operands(case)
    (rows, d), epsilon = x.shape, case.pick(1e-3, 1e-6)
    outs = {"out": x.shape, "mean": (rows,), "inverse": (rows,)}
    got = {name: case.out(*shape) for name, shape in outs.items()}
    case.run(layer_norm.layer_norm, x, gamma, beta, epsilon, **got)
    right = reference_of(ref_layer_norm.layer_norm, outs, x64, gamma64, beta64, epsilon)
    case.close("mean", got["mean"], right["mean"], 1, abs(x64).max(initial=0))
    steep = right["inverse"].max(initial=0)  # what an error of half an ulp in x becomes
    case.close("inverse", got["inverse"], right["inverse"], d, steep * (1 + abs(x64).max(initial=0) * steep))
    scale = (1 + abs(right["out"]).max(initial=0)) * (1 + abs(x64).max(initial=0) * steep)
    case.close("y", got["out"], right["out"], d, scale)
    outs, mean, inverse = {"dx": x.shape, "dgamma": (d,), "dbeta": (d,)}, got["mean"], got["inverse"]
    got = {name: case.out(*shape) for name, shape in outs.items()}
    case.run(layer_norm.layer_norm_grad, dy, x, mean, inverse, gamma, **got)
    right = reference_of(ref_layer_norm.layer_norm_grad, outs, dy64, x64, *wide(mean, inverse), gamma64)
    close_rows(case, got, right, x64 - mean.astype("float64")[:, None], dy64, gamma64, inverse)
    if rows:
        alone, last = case.out(1, d), (mean[rows - 1 :], inverse[rows - 1 :])
        case.run(layer_norm.layer_norm_grad, case.place(dy[rows - 1 :]), x[rows - 1 :], *last, gamma, dx=alone)
        case.equal("dx of the last row alone", alone, got["dx"][rows - 1 :])


def fuzz_rms_norm(case):
    x, dy, gamma, _, (x64, dy64, gamma64, _) = row_operands(case)
    (rows, d), epsilon = x.shape, case.pick(1e-3, 1e-6)
    outs = {"out": x.shape, "inverse": (rows,)}
    got = {name: case.out(*shape) for name, shape in outs.items()}
    case.run(layer_norm.rms_norm, x, gamma, epsilon, **got)
    right = reference_of(ref_layer_norm.rms_norm, outs, x64, gamma64, epsilon)
    case.close("inverse", got["inverse"], right["inverse"], d)
    case.close("y", got["out"], right["out"], d)
    outs, inverse = {"dx": x.shape, "dgamma": (d,)}, got["inverse"]
    got = {name: case.out(*shape) for name, shape in outs.items()}
    case.run(layer_norm.rms_norm_grad, dy, x, inverse, gamma, **got)
    right = reference_of(ref_layer_norm.rms_norm_grad, outs, dy64, x64, *wide(inverse), gamma64)
    close_rows(case, got, right, x64, dy64, gamma64, inverse)


def fuzz_unit_norm(case):
    x, dy, _, _, (x64, dy64, _, _) = row_operands(case)
    outs = {"out": x.shape, "inverse": x.shape[:1]}
    got = {name: case.out(*shape) for name, shape in outs.items()}
    case.run(layer_norm.unit_norm, x, **got)
    right = reference_of(ref_layer_norm.unit_norm, outs, x64)
    case.close("inverse", got["inverse"], right["inverse"], x.shape[1])
    case.close("y", got["out"], right["out"], x.shape[1])
    inverse, dx = got["inverse"], case.out(*x.shape)
    case.run(layer_norm.unit_norm_grad, dy, x, inverse, dx=dx)
    right = reference_of(ref_layer_norm.unit_norm_grad, {"dx": x.shape}, dy64, x64, *wide(inverse))
    close_rows(case, {"dx": dx}, right, x64, dy64, None, inverse)


fuzz_layer_norm_grad, fuzz_rms_norm_grad, fuzz_unit_norm_grad = fuzz_layer_norm, fuzz_rms_norm, fuzz_unit_norm


def fuzz_group_norm(case):
    groups, width = case.size(40), case.whole(1, case.pick(1, 3, 40))
    n, positions, far = case.whole(0, 6), case.size(700), case.pick(0, 0, 30)
    case.note(samples=n, positions=positions, groups=groups, width=width, mean=far)
    shape, c = (n, positions, groups * width), groups * width
    x, dy, epsilon = case.numbers(*shape), case.numbers(*shape), 1e-3
    x += case.dtype.type(far)
    gamma, beta = case.pick((None, None), (case.numbers(c), case.numbers(c)))
    x64, dy64, gamma64, beta64 = wide(x, dy, gamma, beta)
    outs = {"out": shape, "mean": (n, groups), "inverse": (n, groups)}
    got = {name: case.out(*size) for name, size in outs.items()}
    case.run(group_norm.group_norm, x, groups, gamma, beta, epsilon, **got)
    right = reference_of(ref_group_norm.group_norm, outs, x64, groups, gamma64, beta64, epsilon)
    top, steep = abs(x64).max(initial=0), right["inverse"].max(initial=0)
    case.close("mean", got["mean"], right["mean"], 1, top)
    case.close("inverse", got["inverse"], right["inverse"], 256, steep * (1 + top * steep))
    case.close("y", got["out"], right["out"], 256, (1 + abs(right["out"]).max(initial=0)) * (1 + top * steep))
    outs, mean, inverse = {"dx": shape, "dgamma": (c,), "dbeta": (c,)}, got["mean"], got["inverse"]
    got = {name: case.out(*size) for name, size in outs.items()}
    case.run(group_norm.group_norm_grad, dy, x, groups, mean, inverse, gamma, **got)
    right = reference_of(ref_group_norm.group_norm_grad, outs, dy64, x64, groups, *wide(mean, inverse), gamma64)
    far = np.abs(x64.reshape(n, positions, groups, width) - mean.reshape(n, 1, groups, 1)).max(initial=0) * steep
    g = (1 if gamma is None else abs(gamma64).max()) * abs(dy64).max(initial=0) * steep
    sums = np.abs(dy64).sum(axis=(0, 1)).max(initial=0) * (1 + far)
    for name, scale in (("dx", g * (1 + far) ** 2), ("dgamma", sums), ("dbeta", sums)):
        case.close(name, got[name], right[name], positions * max(width, n), scale)
    if n:
        alone, last = case.out(1, *shape[1:]), slice(n - 1, n)
        arrays = case.place(dy[last]), x[last], groups, mean[last], inverse[last], gamma
        case.run(group_norm.group_norm_grad, *arrays, dx=alone)
        case.equal("dx of the last sample alone", alone, got["dx"][last])


fuzz_group_norm_grad = fuzz_group_norm


def noise_operands(case):
    """x, and the key and step of its random numbers"""
    shape = case.note(shape=(case.whole(0, 6), *(case.size(40) for _ in range(case.whole(0, 3)))))
    return case.numbers(*shape), (case.whole(0, 2**32 - 1), case.whole(0, 2**32 - 1)), case.whole(0, 2**32 - 1)


def fuzz_dropouts(case):
    x, key, step = noise_operands(case)
    alpha = case.kernel != "dropout"
    rate, noise = case.pick(0.0, 0.1, 0.5, 0.999, *(() if alpha else (1.0,))), None
    if x.ndim > 1 and case.whole(0, 1):
        noise = tuple(case.pick(1, size) for size in x.shape[1:])
    case.note(rate=rate, noise_shape=noise)
    out, expected = case.out(*x.shape), np.empty_like(x)
    case.run(getattr(dropout, case.kernel), x, rate, key, step, out=out, noise_shape=noise)
    getattr(ref_dropout, case.kernel)(x, rate, key, step, out=expected, noise_shape=noise)
    case.equal("out", out, expected)


def fuzz_gaussian(case):
    x, key, step = noise_operands(case)
    stddev, out = case.note(stddev=case.pick(0.0, 0.1, 3.0)), case.out(*x.shape)
    case.run(getattr(dropout, case.kernel), x, stddev, key, step, out=out)
    right = reference_of(getattr(ref_dropout, case.kernel), {"out": x.shape}, *wide(x), stddev, key, step)["out"]
    case.close("out", out, right, 1, (1 + abs(x).max(initial=0)) * (1 + 6 * stddev))


fuzz_dropout = fuzz_alpha_dropout = fuzz_alpha_dropout_grad = fuzz_dropouts
fuzz_gaussian_dropout = fuzz_gaussian_noise = fuzz_gaussian


def loss_shape(case):
    return case.note(shape=(case.whole(1, 40), *(case.size(90) for _ in range(case.whole(0, 2)))))


def loss_scale(case, n):
    """The weights of n samples, some of them 0."""
    return case.place((case.shares(n) * (case.rng.random(n) < 0.8)).astype(case.dtype))


def check_loss(case, name, arguments, shape, top):
    """A loss and its gradient; `arguments(dtype)` are those of both."""
    samples, count = shape[0], int(np.prod(shape[1:]))
    out, dp, scale = case.out(samples), case.out(*shape), loss_scale(case, samples)
    case.run(getattr(loss, name), *arguments(case.dtype), out=out)
    case.run(getattr(loss, f"{name}_grad"), *arguments(case.dtype), scale, out=dp)
    expected = reference_of(getattr(ref_loss, name), {"out": samples}, *arguments("float64"))["out"]
    case.close("loss", out, expected, 64, max(abs(expected).max(), top))
    gradient = getattr(ref_loss, f"{name}_grad")
    expected = reference_of(gradient, {"out": shape}, *arguments("float64"), *wide(scale))["out"]
    case.close("gradient", dp, expected, count, max(abs(expected).max(), top / count))
    if (dp[scale == 0] != 0).any():
        case.fail("the gradient of a sample of weight 0 is not 0")


def fuzz_elementwise_loss(case):
    name, shape = case.kernel.removesuffix("_grad"), loss_shape(case)
    t, p, extra = case.numbers(*shape), case.numbers(*shape), ()
    if name == "huber":
        extra = (case.pick(0.5, 1.0),)
    if name == "binary_cross_entropy":
        logits = bool(case.whole(0, 1))
        t, p = case.shares(*shape), case.numbers(*shape, scale=5) if logits else case.place(case.shares(*shape) * 0.999)
        extra = (logits, case.pick(0.0, 0.1))
    case.note(extra=extra)
    top = max(abs(t).max(), abs(p).max()) ** 2
    check_loss(case, name, lambda dtype: (t.astype(dtype), p.astype(dtype), *extra), shape, top)


def fuzz_element_loss(case):
    """Every formula, on numbers that each can take: t and p from 0.001 to 1."""
    shape, formula = loss_shape(case), case.pick(*ref_element_loss.FORMULAS)
    t, p, scale = case.shares(*shape), case.place(case.shares(*shape) * 0.999), loss_scale(case, shape[0])
    constants = {
        "huber": (0.5,), "smooth_l1": (0.25,), "quantile": (0.3,), "poisson": (0.01, 1.0), "poisson_log": (0.0, 1.0),
        "kl_divergence": (3.0,), "generalized": (3.0, 0.7), "hinge_embedding": (0.4,), "contrastive_distance": (0.4,),
        "binary_focal_logits": (0.1, 1.7, 0.3, 0.7), "binary_focal": (0.1, 1.7, 0.3, 0.7),
        "kl_logarithms": (float(case.pick(0, 1)),),
    }.get(case.note(formula=formula), ())  # fmt: skip
    out, dp, count = case.out(shape[0]), case.out(*shape), int(np.prod(shape[1:]))
    case.run(element_loss.element_loss, formula, t, p, constants, out=out)
    case.run(element_loss.element_loss_grad, formula, t, p, constants, scale, out=dp)
    value, slope = ref_element_loss.element_loss, ref_element_loss.element_loss_grad
    expected = reference_of(value, {"out": shape[:1]}, formula, *wide(t, p), constants)["out"]
    case.close("loss", out, expected, 64, max(abs(expected).max(), 10))
    expected = reference_of(slope, {"out": shape}, formula, *wide(t, p), constants, *wide(scale))["out"]
    case.close("gradient", dp, expected, 8, max(abs(expected).max(), 10 / count))
    if (dp[scale == 0] != 0).any():
        case.fail("the gradient of a sample of weight 0 is not 0")


fuzz_element_loss_grad = fuzz_element_loss


def fuzz_row_loss(case):
    """Every formula of rows; t and p from 0.001 to 1, so that no kink of a hinge is near."""
    shape, formula = (*loss_shape(case), case.size(90)), case.pick(*ref_row_loss.FORMULAS)
    t, p, scale = case.shares(*shape), case.shares(*shape), loss_scale(case, shape[0])
    if formula == "multi_label_margin":
        t = case.place((t > 0.6).astype(t.dtype))
    if formula in ("multi_margin", "categorical_hinge"):
        t = case.place((case.rng.integers(0, shape[-1], shape[:-1])[..., None] == np.arange(shape[-1])).astype(t.dtype))
    constants = {
        "multi_margin": (case.pick(1, 2), 1.5), "focal_logits": (1.7, 0.1), "focal": (1.7, 0.1),
        "tversky": (0.7, 0.2, 1e-3),
    }.get(case.note(formula=formula), ())  # fmt: skip
    weights = {"multi_margin": shape[-1:], "weighted_binary": (2, shape[-1])}.get(formula)
    weights = shape[-1:] if formula.startswith("focal") else weights
    weights = None if weights is None else case.shares(*weights)
    out, dp, both, again = case.out(shape[0]), case.out(*shape), case.out(shape[0]), case.out(*shape)
    case.run(row_loss.row_loss, formula, t, p, constants, weights, out=out)
    case.run(row_loss.row_loss_grad, formula, t, p, constants, weights, scale, out=dp)
    case.run(row_loss.row_loss, formula, t, p, constants, weights, out=both, scale=scale, dy=again)
    case.equal("the loss at once", both, out)
    case.equal("the gradient at once", again, dp)
    arguments = formula, *wide(t, p), constants, *wide(weights)
    expected = reference_of(ref_row_loss.row_loss, {"out": shape[:1]}, *arguments)["out"]
    top = 10 * (shape[-1] if formula == "multi_label_margin" else 1)  # which has as many terms a class
    case.close("loss", out, expected, shape[-1], max(abs(expected).max(), top))
    expected = reference_of(ref_row_loss.row_loss_grad, {"out": shape}, *arguments, *wide(scale))["out"]
    case.close("gradient", dp, expected, shape[-1], abs(expected).max() + 10)
    if (dp[scale == 0] != 0).any():
        case.fail("the gradient of a sample of weight 0 is not 0")


def fuzz_pair_loss(case):
    """Every formula of two outputs."""
    shape, formula = (*loss_shape(case), case.size(90)), case.pick(*ref_pair_loss.FORMULAS)
    a, b, scale = case.numbers(*shape), case.shares(*shape), loss_scale(case, shape[0])
    t = case.shares(*(shape if formula in pair_loss.WHOLE else shape[:1]))
    if formula == "cosine_embedding":
        t = case.place(np.sign(t - 0.5).astype(t.dtype))
    constants = (0.01, 0.9) if case.note(formula=formula) == "gaussian" else (-1.5,) if "cosine" in formula else (40.0,)
    out, da, db = case.out(shape[0]), case.out(*shape), case.out(*shape)
    case.run(pair_loss.pair_loss, formula, t, a, b, constants, out=out)
    case.run(pair_loss.pair_loss_grad, formula, t, a, b, constants, scale, da=da, db=db)
    arguments = formula, *wide(t, a, b), constants
    expected = reference_of(ref_pair_loss.pair_loss, {"out": shape[:1]}, *arguments)["out"]
    case.close("loss", out, expected, a[0].size, max(abs(expected).max(), 10))
    slopes = reference_of(ref_pair_loss.pair_loss_grad, {"da": shape, "db": shape}, *arguments, *wide(scale))
    for name, got in (("da", da), ("db", db)):
        case.close(name, got, slopes[name], a[0].size, abs(slopes[name]).max() + 100)
        if (got[scale == 0] != 0).any():
            case.fail("the gradient of a sample of weight 0 is not 0")


def fuzz_triplet_margin(case):
    shape = (*loss_shape(case), case.size(90))
    a, p, n, scale = *(case.numbers(*shape) for _ in range(3)), loss_scale(case, shape[0])
    constants = case.note(constants=(100.0, case.pick(1.0, 2.0, 3.0), 1e-3, 0.0))
    out, da, dp, dn = case.out(shape[0]), *(case.out(*shape) for _ in range(3))
    case.run(pair_loss.triplet_margin, a, p, n, constants, out=out)
    case.run(pair_loss.triplet_margin_grad, a, p, n, constants, scale, da=da, dp=dp, dn=dn)
    arguments = *wide(a, p, n), constants
    expected = reference_of(ref_pair_loss.triplet_margin, {"out": shape[:1]}, *arguments)["out"]
    case.close("loss", out, expected, a[0].size, 100 + 4 * a[0].size)
    outs = dict.fromkeys(("da", "dp", "dn"), shape)
    slopes = reference_of(ref_pair_loss.triplet_margin_grad, outs, *arguments, *wide(scale))
    for name, got in (("da", da), ("dp", dp), ("dn", dn)):
        case.close(name, got, slopes[name], a[0].size, 10)


def fuzz_semi_hard(case):
    """On a grid of places, so that no distance is nearly another one, with a margin that none is near."""
    shape = case.note(shape=(case.whole(1, 12), case.size(40)))
    e = case.place(case.rng.permutation(np.arange(shape[0] * shape[1]) % 97).reshape(shape).astype(case.dtype) ** 2)
    labels = case.place(case.rng.integers(0, case.pick(1, 2, 4), shape[0]).astype("int32"))
    root, scale, out, de = bool(case.whole(0, 1)), loss_scale(case, shape[0]), case.out(shape[0]), case.out(*shape)
    case.note(root=root)
    case.run(triplets.semi_hard, labels, e, 0.3, root, 0.5, out=out)
    case.run(triplets.semi_hard_grad, labels, e, 0.3, root, 0.5, scale, out=de)
    arguments = labels, *wide(e), 0.3, root, 0.5
    expected = reference_of(ref_triplets.semi_hard, {"out": shape[:1]}, *arguments)["out"]
    far = np.abs(np.subtract.outer(e.astype("float64"), e)).max() ** (1 if root else 2) * shape[1] * shape[0] * 4
    case.close("loss", out, expected, shape[0] * shape[1], max(abs(expected).max(), far))
    expected = reference_of(ref_triplets.semi_hard_grad, {"out": shape}, *arguments, *wide(scale))["out"]
    case.close("gradient", de, expected, shape[0] * shape[1], far + 10)


fuzz_semi_hard_grad = fuzz_semi_hard


def fuzz_power(case):
    shape, p = case.note(shape=(case.whole(0, 4), case.size(2000))), case.pick(1, 2, 0.5, 3, 1.7, -0.75)
    x, dy, out, dx = case.shares(*shape), case.numbers(*shape), case.out(*shape), case.out(*shape)
    x *= np.where(case.rng.uniform(size=shape) < 0.5, -1, 1).astype(x.dtype)
    if case.note(exponent=p) > 0:
        x[case.rng.uniform(size=shape) < 0.1] = 0
    case.run(power.power, x, p, out=out)
    case.run(power.power_grad, dy, x, p, out=dx)
    with np.errstate(divide="ignore"):
        expected = reference_of(ref_power.power, {"out": shape}, *wide(x), p)["out"]
        slope = reference_of(ref_power.power_grad, {"out": shape}, *wide(dy, x), p)["out"]
    case.close("y", out, expected, 8)
    case.close("dx", dx, slope, 8)


fuzz_power_grad = fuzz_power


def fuzz_ctc(case):
    samples, frames, classes, width = case.whole(1, 4), case.size(40), case.whole(2, 20), case.whole(0, 12)
    case.note(shape=(samples, frames, classes), width=width)
    labels = case.place(case.rng.integers(0, classes, (samples, width)).astype("int32"))
    z, scale, out = case.numbers(samples, frames, classes, scale=3), loss_scale(case, samples), case.out(samples)
    dz, both, again = case.out(*z.shape), case.out(samples), case.out(*z.shape)
    case.run(ctc.ctc, labels, z, 0, out=out)
    case.run(ctc.ctc_grad, labels, z, 0, scale, out=dz)
    case.run(ctc.ctc, labels, z, 0, out=both, scale=scale, dy=again)
    case.equal("the loss at once", both, out)
    case.equal("the gradient at once", again, dz)
    with np.errstate(invalid="ignore"):
        expected = reference_of(ref_ctc.ctc, {"out": (samples,)}, labels, *wide(z), 0)["out"]
        slope = reference_of(ref_ctc.ctc_grad, {"out": z.shape}, labels, *wide(z), 0, *wide(scale))["out"]
    if not np.array_equal(np.isinf(out), np.isinf(expected)):
        case.fail("infinite at other samples")
    live = np.isfinite(expected)
    case.close("loss", out[live], expected[live], frames * frames, max(abs(expected[live]).max(initial=0), 10))
    case.close("gradient", dz, slope, frames * frames, max(abs(expected[live]).max(initial=0), 10))


fuzz_row_loss_grad, fuzz_pair_loss_grad, fuzz_triplet_margin_grad, fuzz_ctc_grad = (
    fuzz_row_loss, fuzz_pair_loss, fuzz_triplet_margin, fuzz_ctc,
)  # fmt: skip


def fuzz_cross_entropy(case):
    shape, logits = (*loss_shape(case), case.size(90)), bool(case.whole(0, 1))
    case.note(shape=shape, from_logits=logits)
    p = case.numbers(*shape, scale=5) if logits else case.shares(*shape)
    if "sparse" in case.kernel:
        labels = case.rng.integers(0, shape[-1], shape[:-1]).astype(case.pick("int32", "int64"))
        name, rest = "sparse_categorical_cross_entropy", lambda dtype: (labels, p.astype(dtype), logits)
        logits = case.note(from_logits=case.pick(logits, None))
    else:
        t, smoothing = case.shares(*shape), case.note(smoothing=case.pick(0.0, 0.1))
        t /= t.sum(axis=-1, keepdims=True)
        name, rest = "categorical_cross_entropy", lambda dtype: (t.astype(dtype), p.astype(dtype), logits, smoothing)
    check_loss(case, name, rest, shape, 40)


def fuzz_weighted_sum(case):
    n = case.note(n=case.whole(0, 1) * case.size(3000))
    values, weights, out = case.numbers(n), loss_scale(case, n), case.out(1, dtype="float64")
    values[weights == 0] = np.nan
    case.run(loss.weighted_sum, values, weights, out=out)
    live = weights != 0
    terms = values[live].astype("float64") * weights[live]
    if not abs(out[0] - terms.sum()) <= 1e-15 * (n + 8) * (abs(terms).sum() + 1e-30):
        case.fail(f"out is {out[0]!r}, expected {terms.sum()!r}")


def segments_of(case, n):
    ends = np.sort(case.rng.integers(0, n + 1, 2 * case.whole(0, 4))).reshape(-1, 2)
    segments = np.array([[a, b, case.pick(1.0, 0.5), case.pick(0.0, 0.01), case.whole(0, 1)] for a, b in ends])
    segments = segments.reshape(-1, 5)
    case.note(segments=segments.tolist())
    return segments


def fuzz_update(case):
    """Bit for bit as the reference, and nothing outside the segments."""
    n, kernel = case.note(n=case.size(40000)), case.kernel
    segments = segments_of(case, n)
    count = {"sgd": 1, "adam": 2, "adamw": 2, "rmsprop": 3, "lion": 1, "adagrad": 1, "muon": 1, "combine": 0}.get(
        kernel, 2
    )
    optional = {"sgd": (0,), "rmsprop": (1, 2)}.get(kernel, ())
    state = [None if i in optional and case.whole(0, 1) else abs(case.numbers(n)) for i in range(count)]
    case.note(state=[s is not None for s in state])
    hyper = {
        "sgd": [0.1, 0.9, case.whole(0, 1), case.whole(0, 1)],
        "adam": [0.1, 0.9, 0.99, 0.1, 0.01, 1e-7],
        "adamw": [0.1, 0.9, 0.99, 0.1, 0.01, 1e-7],
        "rmsprop": [0.1, 0.9, 0.5, 1e-7, case.whole(0, 1)],
        "adamax": [0.1, 0.9, 0.99, 0.1, 1e-7, case.whole(0, 1)],
        "nadam": [0.1, 0.9, 0.99, 0.4, 0.7, 0.01, 1e-7, case.whole(0, 1)],
        "lion": [0.1, 0.9, 0.99],
        "adagrad": [0.1, 1e-7, case.whole(0, 1)],
        "adadelta": [0.1, 0.9, 1e-6, case.whole(0, 1)],
        "rprop": [0.1, 0.5, 1.2, 1e-6, 50, case.whole(0, 1)],
        "muon": [0.9, case.whole(0, 1)],
        "combine": [case.pick(0.0, 0.9), 0.1],
    }[kernel]
    p, g, hyper = case.numbers(n), case.numbers(n), np.array(hyper, "float64")
    results = []
    for module, run in ((update, case.run), (ref_update, lambda kernel, *args: kernel(*args))):
        arrays = [None if a is None else case.out(n) for a in (p, *state)]
        for array, a in zip(arrays, (p, *state)):
            if a is not None:
                array[...] = a
        run(getattr(module, kernel), arrays[0], g, *arrays[1:], segments, hyper)
        results.append(arrays)
    for name, got, expected in zip(("p", "state 0", "state 1", "state 2"), *results):
        if got is not None:
            case.equal(name, got, expected)


def fuzz_shape(case, kernel):
    """The input is what `make` says, the output of the reference's shape."""
    axes = case.whole(1, 3)
    sizes = [case.whole(0, 4), *(case.whole(1, case.pick(3, 9, 30)) for _ in range(axes)), case.size(70)]
    if kernel == "permute":
        argument = tuple(map(int, case.rng.permutation(len(sizes))))
        made = [sizes[axis] for axis in argument]
    elif kernel in ("repeat", "repeat_grad"):
        argument = tuple(case.whole(1, 4) for _ in range(axes))
        made = [sizes[0], *(n * times for n, times in zip(sizes[1:], argument)), sizes[-1]]
    else:
        argument = tuple((case.whole(0, 3), case.whole(0, 3)) for _ in range(axes))
        made = [sizes[0], *(n + sum(both) for n, both in zip(sizes[1:], argument)), sizes[-1]]
    if kernel in ("repeat_grad", "crop"):
        sizes, made = made, sizes
    case.note(shape=sizes, argument=argument)
    x, out = case.numbers(*sizes), case.out(*made)
    case.run(getattr(shape, kernel), x, argument, out=out)
    expected = reference_of(getattr(ref_shape, kernel), {"out": made}, x.astype("float64"), argument)["out"]
    if kernel != "repeat_grad":
        case.equal("out", out, expected.astype(case.dtype))
        return
    scale = reference_of(ref_shape.repeat_grad, {"out": made}, abs(x).astype("float64"), argument)["out"]
    case.close("out", out, expected, int(np.prod(argument)), scale)


def fuzz_einsum(case):
    """Letters in one, two or three of the parts at random, each part in an order of its own."""
    groups = [list(group) for group in ("ab", "cd", "ef", "gh")]  # each, rows, summed, columns
    each, rows, summed, columns = (group[: case.whole(0, 2)] for group in groups)
    parts = [each + rows + summed, each + summed + columns, each + rows + columns]
    a, b, c = ("".join(map(str, case.rng.permutation(part))) if case.whole(0, 1) else "".join(part) for part in parts)
    sizes = {x: case.size(40) if x in "ceg" else case.whole(1, 4) for x in "abcdefgh"}
    bias_axes = case.whole(0, len(c))
    case.note(equation=f"{a},{b}->{c}", sizes=sizes, bias_axes=bias_axes)
    x, w = (case.numbers(*(sizes[one] for one in part)) for part in (a, b))
    made = [sizes[one] for one in c]
    bias = case.numbers(*(n if case.whole(0, 3) else 1 for n in made[len(c) - bias_axes :])) if bias_axes else None
    out = case.out(*made)
    case.run(einsum.einsum, x, w, f"{a},{b}->{c}", out=out, bias=bias)
    expected, scale = (
        reference_of(ref_einsum.einsum, {"out": made}, *some, f"{a},{b}->{c}", bias=top)["out"]
        for *some, top in (wide(x, w, bias), wide(abs(x), abs(w), None if bias is None else abs(bias)))
    )
    length = int(np.prod([sizes[one] for one in a if one in b and one not in c]))
    case.close("out", out, expected, length, scale)


def fuzz_sum_to(case):
    shape = [case.whole(0, 3), *(case.whole(1, case.pick(3, 40)) for _ in range(case.whole(0, 3)))]
    made = [n if case.whole(0, 1) else 1 for n in shape][case.whole(0, len(shape)) :]
    made = [max(n, 1) for n in made] if shape[0] == 0 and len(made) == len(shape) else made
    case.note(shape=shape, made=made)
    x, out = case.numbers(*shape), case.out(*made)
    case.run(einsum.sum_to, x, out=out)
    expected, scale = (reference_of(ref_einsum.sum_to, {"out": made}, one)["out"] for one in wide(x, abs(x)))
    case.close("out", out, expected, x.size, scale)


def fuzz_mean_of_counted(case):
    rows, channels, steps = case.whole(0, 9), case.size(), case.size(40)
    case.note(rows=rows, channels=channels, steps=steps)
    y, mask, out = (
        case.numbers(rows, channels),
        case.place(case.rng.random((rows, steps)) < 0.5),
        case.out(rows, channels),
    )
    case.run(pool.mean_of_counted, y, mask, out=out)
    count = np.maximum(mask.sum(axis=1, keepdims=True), 1)
    case.close("out", out, y * (steps / count), 1)


def extended(case):
    """x's shape, the longer one, and the other arguments."""
    shape = [case.whole(0, 4), *(case.size(20) for _ in range(case.whole(1, 3)))]
    axis, mode = case.whole(1, len(shape) - 1), case.pick(*ref_extend.MODES)
    most = {"reflect": shape[axis] - 1, "replicate": 9, "circular": shape[axis]}[mode]
    margins = (case.whole(0, most), case.whole(0, most))
    longer = [*shape[:axis], shape[axis] + sum(margins), *shape[axis + 1 :]]
    case.note(shape=shape, axis=axis, margins=margins, mode=mode)
    return shape, longer, (axis, margins, mode)


def fuzz_extend(case):
    shape, longer, arguments = extended(case)
    x, out, expected = case.numbers(*shape), case.out(*longer), np.empty(longer, case.dtype)
    case.run(extend.extend, x, *arguments, out=out)
    ref_extend.extend(x, *arguments, out=expected)
    case.equal("out", out, expected)


def fuzz_extend_grad(case):
    shape, longer, arguments = extended(case)
    dy, out = case.numbers(*longer), case.out(*shape)
    case.run(extend.extend_grad, dy, *arguments, out=out)
    expected, size = (
        reference_of(ref_extend.extend_grad, {"out": shape}, one, *arguments)["out"] for one in wide(dy, abs(dy))
    )
    case.close("dx", out, expected, 1, size)


def bins(case):
    """Rows, places, bins, channels."""
    return case.note(bins=(case.whole(0, 5), case.pick(case.whole(1, 9), 700), case.size(40), case.size(70)))


def fuzz_adaptive_max_pool(case):
    rows, places, outputs, channels = bins(case)
    x = ties_and_nans(case, case.numbers(rows, places, channels))
    out, winners = case.out(rows, outputs, channels), case.out(rows, outputs, channels, dtype="int32", fill=-1)
    case.run(adaptive_pool.adaptive_max_pool, x, out=out, winners=case.pick(None, winners))
    expected, first = np.empty(out.shape, case.dtype), np.empty(out.shape, "int32")
    ref_adaptive_pool.adaptive_max_pool(x, out=expected, winners=first)
    case.equal("out", out, expected)
    if (winners >= 0).any():
        case.equal("winners", winners, first)


def fuzz_adaptive_max_pool_grad(case):
    rows, places, outputs, channels = bins(case)
    x, dy = case.numbers(rows, places, channels), case.numbers(rows, outputs, channels)
    y, winners, out = np.empty_like(dy), np.empty(dy.shape, "int32"), case.out(*x.shape)
    ref_adaptive_pool.adaptive_max_pool(x, out=y, winners=winners)
    case.run(adaptive_pool.adaptive_max_pool_grad, dy, winners, out=out)
    expected = reference_of(ref_adaptive_pool.adaptive_max_pool_grad, {"out": x.shape}, *wide(dy), winners)["out"]
    case.close("dx", out, expected, outputs // places + 2, abs(dy).max(initial=0) * (outputs // places + 2))


def fuzz_adaptive_average_pool(case):
    rows, places, outputs, channels = bins(case)
    x, out = case.numbers(rows, places, channels), case.out(rows, outputs, channels)
    case.run(adaptive_pool.adaptive_average_pool, x, out=out)
    reference = ref_adaptive_pool.adaptive_average_pool
    expected = reference_of(reference, {"out": out.shape}, *wide(x))["out"]
    case.close("out", out, expected, 1, reference_of(reference, {"out": out.shape}, abs(*wide(x)))["out"])


def fuzz_adaptive_average_pool_grad(case):
    rows, places, outputs, channels = bins(case)
    dy, out = case.numbers(rows, outputs, channels), case.out(rows, places, channels)
    case.run(adaptive_pool.adaptive_average_pool_grad, dy, out=out)
    reference = ref_adaptive_pool.adaptive_average_pool_grad
    expected = reference_of(reference, {"out": out.shape}, *wide(dy))["out"]
    size = reference_of(reference, {"out": out.shape}, abs(*wide(dy)))["out"]
    case.close("dx", out, expected, outputs // places + 2, size)


def fuzz_interpolate(case, kernel="interpolate"):
    n, height, width, channels = case.whole(0, 3), case.size(40), case.size(40), case.size(40)
    method, antialias = case.pick(*METHODS), bool(case.whole(0, 1))
    made = case.size(40), case.size(40)
    case.note(sizes=(n, height, width, channels), made=made, method=method, antialias=antialias)
    rows, columns = (taps(*both, method, antialias) for both in zip((height, width), made))
    sizes, made = (n, height, width, channels), (n, *made, channels)
    if kernel == "interpolate_grad":
        sizes, made = made, sizes
    x, out = case.numbers(*sizes), case.out(*made)
    case.run(getattr(interpolate, kernel), x, rows, columns, out=out)
    positive = [part._replace(weight=abs(part.weight)) for part in (rows, columns)]
    expected, scale = (
        reference_of(getattr(ref_interpolate, kernel), {"out": made}, one.astype("float64"), *both)["out"]
        for one, both in ((x, (rows, columns)), (abs(x), positive))
    )
    case.close("out", out, expected, len(rows.place) // rows.places + len(columns.place) // columns.places + 4, scale)


def fuzz_interpolate_grad(case):
    fuzz_interpolate(case, "interpolate_grad")


def images(case):
    """(x, maps, height and width of the result, how to sample)"""
    shape = [case.whole(0, 3), *(case.size(40) for _ in range(3))]
    maps = case.place(case.rng.normal([1, 0, 0, 0, 1, 0], [1, 1, shape[2], 1, 1, shape[1]], size=(shape[0], 6)))
    how = {"interpolation": case.pick(*ref_image.INTERPOLATIONS), "fill_mode": case.pick(*ref_image.FILL_MODES)}
    made = case.size(40), case.size(40)
    case.note(shape=shape, made=made, **how)
    return shape, maps, (shape[0], *made, shape[3]), how


def fuzz_affine_sample(case):
    shape, maps, made, how = images(case)
    x, out, value = case.numbers(*shape), case.out(*made), case.pick(0.0, 2.5)
    case.run(image.affine_sample, x, maps, out=out, fill_value=value, **how)
    right = np.empty_like(out)  # in the same type: a weight is the rounded distance of two numbers of float64
    ref_image.affine_sample(x, maps, out=right, fill_value=value, **how)
    case.close("out", out, right, 4, 1 + abs(x).max(initial=0))


def fuzz_affine_sample_grad(case):
    shape, maps, made, how = images(case)
    dy, out = case.numbers(*made), case.out(*shape)
    case.run(image.affine_sample_grad, dy, maps, out=out, **how)
    right, scale = np.empty_like(out), np.empty_like(out)
    ref_image.affine_sample_grad(dy, maps, out=right, **how)
    ref_image.affine_sample_grad(abs(dy), maps, out=scale, **how)
    case.close("out", out, right, 4 * made[1] * made[2], scale)


def broadcast(case):
    """(x, parameters that broadcast against it)"""
    shape = [case.whole(0, 3), *(case.size(60) for _ in range(case.whole(0, 3)))]
    small = [case.pick(1, n) for n in shape][case.whole(0, len(shape)) :]
    case.note(shape=shape, parameters=small)
    return case.numbers(*shape), [case.numbers(*small) for _ in range(3)]


def fuzz_rescale(case):
    x, (scale, offset, center) = broadcast(case)
    low, high = case.pick((-np.inf, np.inf), (-0.5, 1.0))
    out = case.out(*x.shape)
    case.run(image.rescale, x, scale, offset, out=out, center=center, low=low, high=high)
    some = wide(x, scale, offset)
    right = reference_of(ref_image.rescale, {"out": x.shape}, *some, center=center, low=low, high=high)["out"]
    case.close("out", out, right, 3, (abs(x) + abs(center)) * abs(scale) + abs(offset))


def fuzz_standardize(case):
    x, (mean, variance, _) = broadcast(case)
    x, invert, out = case.numbers(*x.shape), bool(case.whole(0, 1)), case.out(*x.shape)
    variance[...] = variance * variance
    case.run(image.standardize, x, mean, variance, 0.1, out=out, invert=invert)
    right = reference_of(ref_image.standardize, {"out": x.shape}, *wide(x, mean, variance), 0.1, invert=invert)["out"]
    case.close("out", out, right, 4, (abs(x) + abs(mean)) * 10)


def fuzz_standardize_grad(case):
    dy, (variance, *_) = broadcast(case)
    invert, out = bool(case.whole(0, 1)), case.out(*dy.shape)
    variance[...] = variance * variance
    case.run(image.standardize_grad, dy, variance, 0.1, out=out, invert=invert)
    right = reference_of(ref_image.standardize_grad, {"out": dy.shape}, *wide(dy, variance), 0.1, invert=invert)["out"]
    case.close("out", out, right, 4, abs(dy) * 10)


def fuzz_clip_grad(case):
    shape = case.note(shape=[case.size() for _ in range(case.whole(1, 3))])
    dy, y, out = case.numbers(*shape), case.numbers(*shape), case.out(*shape)
    case.run(image.clip_grad, dy, y, -0.5, 1.0, out=out)
    case.equal("out", out, np.where((y > -0.5) & (y < 1), dy, 0).astype(case.dtype))


def fuzz_erase(case):
    n, h, w, c = case.note(shape=[case.whole(0, 4), *(case.size(20) for _ in range(3))])
    rows, columns = (np.sort(case.rng.integers(0, size + 1, (n, 2)), axis=1) for size in (h, w))
    x, out = case.numbers(n, h, w, c), case.out(n, h, w, c)
    fill = case.pick(0.5, list(range(c)), case.numbers(n, h, w, c))
    case.run(image.erase, x, np.concatenate([rows, columns], axis=1), fill, out=out)
    i, j = np.arange(h)[None, :, None, None], np.arange(w)[None, None, :, None]
    low, high, left, right = (part[:, None, None, None] for part in (*rows.T, *columns.T))
    case.equal("out", out, np.where((i >= low) & (i < high) & (j >= left) & (j < right), fill, x).astype(case.dtype))


def fuzz_count_ids(case):
    count, most = case.size(50), case.pick(None, 1)
    ids = case.place(case.rng.integers(0, count, (case.size(40), case.whole(0, 9))).astype(case.pick("int32", "int64")))
    case.note(shape=ids.shape, count=count, most=most)
    out = case.out(len(ids), count)
    case.run(embed.count_ids, ids, out=out, most=most)
    right = (ids[:, :, None] == np.arange(count)).sum(axis=1)
    case.equal("out", out, (np.minimum(right, most) if most else right).astype(case.dtype))
    weights, sums, dw = case.numbers(*ids.shape), case.out(len(ids), count), case.out(*ids.shape)
    case.run(embed.count_ids, ids, out=sums, weights=weights)
    right = ((ids[:, :, None] == np.arange(count)) * wide(weights)[0][:, :, None]).sum(axis=1)
    case.close("sums", sums, right, 9, 9 * abs(weights).max(initial=0))
    case.run(embed.count_ids_grad, sums, ids, out=dw)
    case.equal("dw", dw, sums[np.arange(len(ids))[:, None], ids])


fuzz_count_ids_grad = fuzz_count_ids


def indices(case):
    """(numbers, rows and columns of a table, ids of any number of axes)."""
    rows, width = case.size(), case.size()
    shape = [case.whole(0, 4) for _ in range(case.whole(1, 2))] + [case.size(200)]
    case.note(shape=shape, rows=rows, width=width)
    return rows, width, case.place(case.rng.integers(0, rows, shape).astype(case.pick("int32", "int64")))


def fuzz_embedding(case):
    rows, width, ids = indices(case)
    table, out = case.numbers(rows, width), case.out(*ids.shape, width)
    case.run(embed.embedding, ids, table, out=out)
    case.equal("out", out, table[ids])


def fuzz_embedding_grad(case):
    rows, width, ids = indices(case)
    dy, out = case.numbers(*ids.shape, width), case.out(rows, width)
    case.run(embed.embedding_grad, dy, ids, out=out)
    dy64 = dy.astype("float64")
    expected, scale = (
        reference_of(ref_embed.embedding_grad, {"out": (rows, width)}, one, ids)["out"] for one in (dy64, abs(dy64))
    )
    case.close("out", out, expected, ids.size, scale)


def fuzz_not_zero(case):
    _, _, ids = indices(case)
    out = case.out(*ids.shape, dtype="bool", fill=False)
    embed.not_zero(ids, out=out)
    case.equal("out", out, ids != 0)


def fuzz_mask(case, kernel):
    shape = case.note(shape=[case.whole(0, 3), *(case.size(20) for _ in range(case.whole(0, 2)))])
    a, b = (case.place(case.rng.random(shape) < 0.6) for _ in range(2))
    x = ties_and_nans(case, case.numbers(*shape, case.size()))
    y, wide_y = case.numbers(*x.shape), case.numbers(*shape, case.size())
    inputs = {
        "masking": (x, case.pick(0.0, 2.0)), "mask_rows": (x, a), "both": (a, b),
        "choose": (a, *case.pick((x, y), (None, y), (x, None))), "fill": (1.5,), "copy": (x,),
        "times": (x, case.pick(y, 0.5)), "join": (x, wide_y), "part": (np.concatenate([x, wide_y], axis=-1),),
    }[kernel]  # fmt: skip
    if kernel in ("masking", "both"):
        outs = {"out": case.out(*shape, dtype="bool", fill=False)}
        getattr(mask, kernel)(*inputs, **outs)
    else:
        width = x.shape[-1] + (wide_y.shape[-1] if kernel == "join" else 0)
        outs = {"out": case.out(*shape, width)}
        if kernel == "part":
            outs = {"a": case.out(*x.shape), "b": case.out(*wide_y.shape)}
        case.run(getattr(mask, kernel), *inputs, **outs)
    expected = {name: np.empty_like(out) for name, out in outs.items()}
    getattr(ref_mask, kernel)(*inputs, **expected)
    for name, out in outs.items():
        case.equal(name, out, expected[name])


RNN_GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def fuzz_rnn(case, kernel):
    """A forward, and its gradients: both are looked at whichever of the two is asked for."""
    kind = kernel.removesuffix("_grad")
    steps, rows, units = sizes = case.note(sizes=(case.whole(0, 4), case.whole(0, 2) * case.size(40), case.size()))
    acts = [case.pick(*SMOOTH) for _ in range(1 if kind == "simple_rnn" else 2)]
    case.note(activations=acts)
    extra, options = {}, {}
    if kind == "gru":
        acts.append(case.note(reset_after=bool(case.whole(0, 1))))
        extra = {"bias": case.numbers(3 * units)} if acts[-1] and case.whole(0, 1) else {}
    if case.whole(0, 1):
        options["mask"] = case.place(case.rng.random((steps, rows)) < 0.7)
    if case.note(keep=case.whole(0, 1)):
        options["keep"] = case.place((case.rng.random((rows, units)) < 0.7).astype(case.dtype))
    R = case.numbers(units, RNN_GATES[kind] * units, scale=0.5 / np.sqrt(units))
    z, dy = case.numbers(steps, rows, RNN_GATES[kind] * units), case.pick(None, case.numbers(*sizes))
    first, last = case.numbers(rows, units), case.numbers(rows, units)
    results = []
    for wide_ in (False, True):
        module = ref_rnn if wide_ else rnn
        names = ("h", "c") if kind == "lstm" else ("h", "inner") if kind == "gru" else ("h",)
        shapes = {"h": (steps + 1, rows, units), "c": (steps + 1, rows, units), "inner": sizes}

        def new(*shape, wide_=wide_):
            return np.full(shape, np.nan) if wide_ else case.out(*shape)

        def given(x, wide_=wide_):
            return x.astype("float64") if wide_ and isinstance(x, np.ndarray) and x.dtype != bool else x

        def filled(values, new=new):
            array = new(*values.shape)
            array[...] = values
            return array

        states = {name: new(*shapes[name]) for name in names}
        for name in names[: 2 if kind == "lstm" else 1]:
            states[name][0] = first
        gates, dropped = filled(z), {"dropped": new(*sizes)} if "keep" in options else {}
        common = {name: given(value) for name, value in options.items()}
        call = {**states, **common, **dropped, **{name: given(value) for name, value in extra.items()}}
        run_ = (lambda f, *a, **k: f(*a, **k)) if wide_ else case.run
        run_(getattr(module, kind), gates, given(R), *acts, **call)
        outs = {"dz": new(*z.shape), "dh": filled(last)}
        outs.update({"dc": filled(last)} if kind == "lstm" else {"dinner": new(*sizes)} if kind == "gru" else {})
        common.update(dropped if kind == "gru" else {})
        run_(getattr(module, f"{kind}_grad"), given(dy), given(R), gates, *states.values(), *acts, **outs, **common)
        results.append({"z": gates, **states, **dropped, **outs})
    for name, found in results[0].items():
        case.close(name, found, results[1][name], 40 * (steps + 1) * (units + 40))


def fuzz_gru_dkernel(case):
    steps, rows, units = case.note(sizes=(case.whole(0, 3), case.size(100), case.size(80)))
    h, reset, dinner = (case.numbers(steps, rows, units) for _ in range(3))
    dz, out = case.numbers(steps, rows, 3 * units), case.out(units, 3 * units)
    case.run(rnn.gru_dkernel, h, reset, dz, dinner, out=out)
    expected, scale = (
        reference_of(ref_rnn.gru_dkernel, {"out": out.shape}, *wide(*arrays))["out"]
        for arrays in ((h, reset, dz, dinner), map(abs, (h, reset, dz, dinner)))
    )
    case.close("out", out, expected, steps * rows, scale)


def fuzz_steps(case, kernel):
    n, t = case.whole(0, 5), case.whole(0, 5)
    x = case.numbers(n, t, *(case.size() for _ in range(case.whole(0, 2))))
    reverse, out = bool(case.whole(0, 1)), case.out(t, n, *x.shape[2:])
    case.run(getattr(rnn, kernel), x, reverse, out=out)
    expected = np.empty_like(out)
    getattr(ref_rnn, kernel)(x, reverse, out=expected)
    case.equal("out", out, expected)


def fuzz_seen(case):
    mask_ = case.rng.random((case.whole(0, 6), case.size(9))) < 0.4
    out = np.empty_like(mask_)
    rnn.seen(mask_, out=out)
    case.equal("out", out, np.cumsum(mask_, axis=0) > 0)


def fuzz_attention(case):
    n, t, s, groups, each = case.whole(0, 3), case.size(90), case.size(90), case.whole(1, 3), case.whole(1, 3)
    d, e = case.size(70), case.size(70)
    shapes = {"q": (n, t, groups * each, d), "k": (n, s, groups, d), "v": (n, s, groups, e)}
    shapes["out"] = (*shapes["q"][:3], e)
    how = {"causal": bool(case.whole(0, 1)), "rate": case.pick(0.0, 0.0, 0.4), "key": (3, case.whole(0, 2**32 - 1))}
    for name, sizes in (("query_mask", (n, t)), ("key_mask", (n, s)), ("value_mask", (n, s)), ("mask", (n, t, s))):
        how[name] = case.place(case.rng.random(sizes) < 0.8) if case.whole(0, 2) == 0 else None
    case.note(
        shapes=shapes, how={name: value if np.isscalar(value) else value is not None for name, value in how.items()}
    )
    q, k, v, dout = (case.numbers(*shape) for shape in shapes.values())
    out, gradients = case.out(*shapes["out"]), {f"d{name}": case.out(*shapes[name]) for name in "qkv"}
    case.run(attention.attention, q, k, v, 1 / d, out=out, **how)
    case.run(attention.attention_grad, dout, q, k, v, 1 / d, **gradients, **how)
    right = reference_of(ref_attention.attention, {"out": out.shape}, *wide(q, k, v), 1 / d, **how)
    like = {f"d{name}": shapes[name] for name in "qkv"}
    right.update(reference_of(ref_attention.attention_grad, like, *wide(dout, q, k, v), 1 / d, **how))
    top = 1 + max(abs(a).max(initial=0) for a in (q, k, v, dout))
    for name, got in {"out": out, **gradients}.items():
        case.close(name, got, right[name], s + d + e + t * each, top**4)


fuzz_attention_grad = fuzz_attention


def fuzz_positions(case):
    n, t, d = case.whole(0, 3), case.size(90), 2 * case.size(40)
    case.note(shape=(n, t, d))
    x, positions, out = case.numbers(n, t, d), case.numbers(t, d), case.out(n, t, d)
    if case.kernel == "add_positions":
        case.run(position.add_positions, x, positions, out=out)
        case.equal("out", out, x + positions)
        return
    how, angles = (case.pick(1, 100, 10000),), np.arange(t)[:, None] * np.ones(d // 2)
    angles = angles * how[0] ** (-np.arange(d // 2) * 2.0 / d)
    if case.kernel == "sine_positions":
        case.run(position.sine_positions, *how, out=out)
        right = np.broadcast_to(np.stack([np.sin(angles), np.cos(angles)], -1).reshape(t, d), (n, t, d))
    else:
        case.run(position.rotate, x[:, :, None], *how, 1.0, out=out[:, :, None])
        turned = (x[..., : d // 2] + 1j * x[..., d // 2 :]) * np.exp(1j * angles)
        right = np.concatenate([turned.real, turned.imag], -1)
    case.close("out", out, right, 4, 1 + 2 * abs(x).max(initial=0))


fuzz_add_positions = fuzz_sine_positions = fuzz_rotate = fuzz_positions


def fuzz_clip(case):
    n = case.note(n=case.size(40000))
    segments, x, limit = segments_of(case, n), case.numbers(n), np.array([case.pick(0.1, 1.0)])
    got, expected = case.out(n), x.copy()
    got[...] = x
    case.run(update.clip, got, segments, limit)
    ref_update.clip(expected, segments, limit)
    case.equal("p", got, expected)


def fuzz_reduction(case):
    n = case.note(n=case.size(40000))
    segments, x, kernel = segments_of(case, n), case.numbers(n), case.kernel
    arrays = (x, case.numbers(n)) if kernel == "dot" else (x,)
    out, expected, scale = case.out(len(segments), dtype="float64"), np.zeros(len(segments)), np.zeros(len(segments))
    case.run(getattr(layerwise, kernel), *arrays, segments, out=out)
    getattr(ref_layerwise, kernel)(*arrays, segments, out=expected)
    getattr(ref_layerwise, kernel)(*map(abs, arrays), segments, out=scale)
    if not (abs(out - expected) <= 1e-13 * scale).all():
        case.fail(f"out is {out}, expected {expected}")


def fuzz_layerwise(case):
    """LAMB and Adafactor: near the reference in float64, nothing outside the segments."""
    count, kernel = case.whole(1, 4), case.kernel
    shapes, rows, at, start = [], [], 0, 0
    for _ in range(count):
        matrices, height, width = case.whole(1, 3), case.pick(0, case.size(40)), case.size(300)
        matrices = matrices if height else 1
        size = matrices * max(height, 1) * width
        shapes.append([matrices, height, width, at])
        rows.append([start, start + size, case.pick(1.0, 0.5), case.pick(0.0, 0.01), case.whole(0, 1)])
        at, start = at + matrices * (height + width), start + size + case.whole(0, 5)
    segments, shapes = np.array(rows, "float64"), np.array(shapes)
    case.note(segments=rows, shapes=shapes.tolist())
    if kernel == "lamb":
        hyper, state, more = [0.1, 0.9, 0.99, 0.1, 0.01, 1e-6, case.whole(0, 1)], [start, start], ()
    else:
        hyper, state, more = [0.1, 0.05, 0.2, 1e-3, 1e-3, 1.0], [at], (shapes,)
    g, hyper = case.numbers(start), np.array(hyper, "float64")
    values = [case.numbers(start), *(abs(case.numbers(size)) for size in state)]
    arrays, wanted = [case.out(len(a)) for a in values], [a.astype("float64") for a in values]
    for array, a in zip(arrays, values):
        array[...] = a
    case.run(getattr(layerwise, kernel), arrays[0], g, *arrays[1:], *more, segments, hyper)
    getattr(ref_layerwise, kernel)(wanted[0], g.astype("float64"), *wanted[1:], *more, segments, hyper)
    for name, got, expected in zip(("p", "state 0", "state 1"), arrays, wanted):
        case.close(name, got, expected, 40)


FUZZ = {name: globals().get(f"fuzz_{name}") for family in FAMILIES for name in FAMILIES[family]}
for _name in FAMILIES["loss"]:
    if _name != "weighted_sum":
        FUZZ[_name] = fuzz_cross_entropy if "categorical" in _name else fuzz_elementwise_loss
for _name in FAMILIES["mask"]:
    FUZZ[_name] = functools.partial(fuzz_mask, kernel=_name)
for _name in ("simple_rnn", "lstm", "gru"):
    FUZZ[_name] = FUZZ[f"{_name}_grad"] = functools.partial(fuzz_rnn, kernel=_name)
for _name in ("to_steps", "from_steps"):
    FUZZ[_name] = functools.partial(fuzz_steps, kernel=_name)
for _name in FAMILIES["shape"]:
    FUZZ[_name] = functools.partial(fuzz_shape, kernel=_name)
for _name in FAMILIES["layerwise"]:
    FUZZ[_name] = fuzz_layerwise if _name in ("lamb", "adafactor") else fuzz_reduction
for _name in FAMILIES["update"]:
    FUZZ[_name] = FUZZ[_name] or fuzz_update
for _name in ("subtract", "multiply", "maximum", "minimum"):
    FUZZ[_name] = functools.partial(fuzz_two, kernel=_name)
for _name in ("put_part", "take_part"):
    FUZZ[_name] = functools.partial(fuzz_part, kernel=_name)

CASES = max(1, int(os.environ.get("NPDL_FUZZ", "2000")) // len(FUZZ))


def test_every_kernel_has_a_function_here():
    """So that a new kernel is not forgotten."""
    assert [name for name, function in FUZZ.items() if function is None] == []


@pytest.mark.parametrize("kernel", [name for name, function in FUZZ.items() if function])
def test_fuzz(kernel):
    for seed in range(FIRST_SEED, FIRST_SEED + CASES):
        FUZZ[kernel](Case(kernel, seed))
