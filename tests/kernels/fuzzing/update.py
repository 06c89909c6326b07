"""Random optimizer steps."""

import numpy as np

from npdl.kernels.cpu import update
from npdl.kernels.reference import update as ref_update


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
        "ftrl": [0.1, -0.5, 0.1, 0.2, case.pick(0.0, 0.3), case.pick(0.0, 0.5), case.whole(0, 1)],
        "schedule_free": [0.1, 0.5, 0.9, 0.99, 0.1, 1e-7, 0.25, case.whole(0, 1)],
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
