"""Random reductions over a tensor's numbers, and the optimizers that need them."""

import numpy as np

from fuzzing.update import segments_of
from npdl.kernels.cpu import layerwise, update
from npdl.kernels.reference import layerwise as ref_layerwise
from npdl.kernels.reference import update as ref_update


def fuzz_clip(case):
    n = case.note(n=case.size(40000))
    segments, x, limit = segments_of(case, n), case.numbers(n), np.array([case.pick(0.1, 1.0)])
    got, expected = case.out(n), x.copy()
    got[...] = x
    case.run(update.clip, got, segments, limit)
    ref_update.clip(expected, segments, limit)
    case.equal("p", got, expected)


def fuzz_clip_norm(case):
    n = case.note(n=case.size(40000))
    segments, x, hyper = segments_of(case, n), case.numbers(n), np.array([case.pick(0.1, 1.0, 30.0), case.whole(0, 1)])
    got, expected = case.out(n), x.astype("float64")
    got[...] = x
    case.run(layerwise.clip_norm, got, segments, hyper)
    ref_layerwise.clip_norm(expected, segments, hyper)
    case.close("g", got, expected, 8)


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
