"""Random normalizations, and noise."""

import numpy as np

from fuzzing.case import reference_of, wide
from npdl import activations
from npdl.kernels.cpu import dropout, group_norm, layer_norm, norm
from npdl.kernels.reference import dropout as ref_dropout
from npdl.kernels.reference import group_norm as ref_group_norm
from npdl.kernels.reference import layer_norm as ref_layer_norm
from npdl.kernels.reference import norm as ref_norm


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
    shortcut, joined = case.numbers(rows, c), case.out(rows, c)
    with_relu = {"activation": activations.relu, "shortcut": shortcut}
    case.run(norm.batch_norm, x, mean, variance, gamma, beta, epsilon, out=joined, **with_relu)
    case.equal("y of a residual block", joined, np.where(out + shortcut < 0, 0, out + shortcut))
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
        dz, counted = case.out(rows, c), np.where(joined > 0, dy, case.dtype.type(0))
        case.run(kernel, counted, x, mean, variance, gamma, epsilon, **both[0])
        case.run(kernel, dy, x, mean, variance, gamma, epsilon, **both[1], y=joined, dz=dz)
        case.equal("dz", dz, counted)
        for name in shapes:
            case.equal(f"{name} of a residual block", both[1][name], both[0][name])


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
