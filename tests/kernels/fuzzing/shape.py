"""Random moves of numbers: axes, sums, margins, bins, interpolation."""

import numpy as np

from fuzzing.case import reference_of, wide
from fuzzing.pool import ties_and_nans
from npdl.kernels.cpu import adaptive_pool, einsum, extend, interpolate, pool, shape
from npdl.kernels.reference import adaptive_pool as ref_adaptive_pool
from npdl.kernels.reference import einsum as ref_einsum
from npdl.kernels.reference import extend as ref_extend
from npdl.kernels.reference import interpolate as ref_interpolate
from npdl.kernels.reference import shape as ref_shape
from npdl.kernels.taps import METHODS, taps


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
