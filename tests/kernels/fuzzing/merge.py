"""Random sums, products and joined arrays."""

import numpy as np

from fuzzing.case import SMOOTH, reference_of, wide
from npdl.kernels.cpu import merge
from npdl.kernels.reference import merge as ref_merge


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
