"""Random convolutions."""

import numpy as np

from fuzzing.case import SMOOTH, reference_of, wide
from npdl import activations
from npdl.kernels.cpu import conv
from npdl.kernels.geometry import window, window2d
from npdl.kernels.reference import conv as ref_conv


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
