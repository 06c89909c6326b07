"""Random recurrences."""

import numpy as np

from fuzzing.case import SMOOTH, reference_of, wide
from npdl.kernels.cpu import rnn
from npdl.kernels.reference import rnn as ref_rnn

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
    inputs = {}
    if kind == "lstm" and case.note(inputs=case.whole(0, 1)):
        width = case.size(40)
        inputs = {"x": case.numbers(steps, rows, width), "b": case.pick(None, case.numbers(4 * units))}
        inputs["W"] = case.numbers(width, 4 * units, scale=0.5 / np.sqrt(width))
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
        run_(getattr(module, kind), gates, given(R), *acts, **call, **{k: given(v) for k, v in inputs.items()})
        outs = {"dz": new(*z.shape), "dh": filled(last)}
        outs.update({"dc": filled(last)} if kind == "lstm" else {"dinner": new(*sizes)} if kind == "gru" else {})
        common.update(dropped if kind == "gru" else {})
        if inputs:
            outs["dx"], common["W"] = new(*inputs["x"].shape), given(inputs["W"])
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


def fuzz_rnn_dkernels(case):
    """Few columns, which are products of their own, and many."""
    steps, rows, width, units = case.note(sizes=(case.whole(0, 3), case.size(150), case.size(40), case.size(60)))
    columns = case.note(columns=case.whole(500, 600) if case.whole(0, 1) else case.size(130))
    x, h, dz = (case.numbers(steps, rows, size) for size in (width, units, columns))
    shapes = {"dW": (width, columns), "dR": (units, columns), "sums": (columns,)}
    outs = {name: case.out(*shape) for name, shape in shapes.items()}
    case.run(rnn.rnn_dkernels, x, h, dz, **outs)
    expected, scales = (
        reference_of(ref_rnn.rnn_dkernels, shapes, *wide(*arrays)) for arrays in ((x, h, dz), map(abs, (x, h, dz)))
    )
    for name, found in outs.items():
        case.close(name, found, expected[name], steps * rows, scales[name])


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
