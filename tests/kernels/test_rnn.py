"""Compiled recurrent kernels against the reference in float64; the same bits for any threads and batch."""

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cpu import compiled
from npdl.kernels.reference import rnn as reference

if not compiled():
    pytest.skip("installed without compiled kernels", allow_module_level=True)

from npdl.kernels.cpu import build, matmul
from npdl.kernels.cpu import rnn as cpu

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
SIZES = [(1, 1, 1), (3, 2, 5), (2, 33, 31), (4, 3, 33), (2, 5, 65), (1, 12, 64), (0, 2, 3), (3, 0, 4)]
CLOSE = {"float32": 3e-5, "float64": 1e-12}


def arguments(kind, sizes, dtype, rng, masked, dropped, acts, reset_after=True):
    """(inputs, in place and out) of a forward and, as a function of what came out, of a backward."""
    steps, rows, units = sizes
    g = GATES[kind]

    def draw(*shape):
        return rng.normal(size=shape).astype(dtype)

    states = {"h": np.zeros((steps + 1, rows, units), dtype)}
    states["h"][0] = draw(rows, units)
    if kind == "lstm":
        states["c"] = states["h"][:, ::-1].copy()
    options = {"mask": rng.random((steps, rows)) < 0.6} if masked else {}
    if dropped:
        options["keep"] = (rng.random((rows, units)) < 0.5).astype(dtype) * dtype(2)
        options["dropped"] = np.full((steps, rows, units), np.nan, dtype)
    extra = {}
    if kind == "gru":
        acts, states["inner"] = [*acts, reset_after], np.full((steps, rows, units), np.nan, dtype)
        extra = {"bias": draw(g * units)} if reset_after else {}
    R = draw(units, g * units) / dtype(np.sqrt(units))
    z, dy, dlast = draw(steps, rows, g * units), draw(steps, rows, units), draw(rows, units)
    return R, z, dy, dlast, acts, states, options, extra


def run(kernels, kind, R, z, dy, dlast, acts, states, options, extra, over=False):
    """Everything that a forward and a backward write, by name; with `over` dz is z."""
    z, states, options = z.copy(), {k: v.copy() for k, v in states.items()}, {k: v.copy() for k, v in options.items()}
    getattr(kernels, kind)(z, R, *acts, **states, **options, **extra)
    out = {"dz": z if over else np.full_like(z, np.nan), "dh": dlast.copy()}
    if kind == "lstm":
        out["dc"] = dlast * dlast.dtype.type(0.5)
    if kind == "gru":
        out["dinner"] = np.full(dy.shape, np.nan, dy.dtype)
    if kind != "gru":
        backward = {k: v for k, v in options.items() if k != "dropped"}
    else:
        backward = options
    getattr(kernels, f"{kind}_grad")(dy, R, z, *states.values(), *acts, **out, **backward)
    dropped = {"dropped": options["dropped"]} if "dropped" in options else {}
    return {"z": z, **states, **dropped, **out}


def compare(found, expected, bound):
    for name, values in expected.items():
        assert np.isfinite(found[name]).all(), name
        scale = max(1.0, float(np.max(np.abs(values), initial=0)))
        assert np.max(np.abs(found[name] - values), initial=0) <= bound * scale, name


def wide(case):
    return [
        x.astype("float64") if isinstance(x, np.ndarray) else
        {k: v.astype("float64") if v.dtype != bool else v for k, v in x.items()} if isinstance(x, dict) else x
        for x in case
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["simple_rnn", "lstm", "gru", "gru before"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_the_reference(kind, dtype, rng):
    kind, before = kind.split()[0], "before" in kind
    pairs = [(activations.tanh, activations.sigmoid), (activations.gelu, activations.tanh),
             (activations.relu, activations.ReLU(0.1, 2.0)), (activations.linear, activations.gelu)]  # fmt: skip
    for number, sizes in enumerate(SIZES):
        for masked, dropped in ((False, False), (True, False), (True, True)):
            acts = pairs[number % len(pairs)][: 1 if kind == "simple_rnn" else 2]
            case = arguments(kind, sizes, dtype, rng, masked, dropped, acts, not before)
            compare(run(cpu, kind, *case), run(reference, kind, *wide(case)), CLOSE[np.dtype(dtype).name])


@pytest.mark.parametrize("kind", ["simple_rnn", "lstm", "gru", "gru before"])
def test_many_units(kind, rng):
    """More than one block of the sum over k, forward and backward, and several threads: the same bits."""
    kind, before = kind.split()[0], "before" in kind
    acts = (activations.tanh, activations.sigmoid)[: 1 if kind == "simple_rnn" else 2]
    case = arguments(kind, (2, 35, 289), np.float32, rng, True, False, acts, not before)
    found = {}
    for threads in (1, 2, 3):
        build.set_num_threads(threads)
        found[threads] = run(cpu, kind, *case)
    compare(found[1], run(reference, kind, *wide(case)), 1e-4)
    for name, values in found[1].items():
        for threads in (2, 3):
            assert values.tobytes() == found[threads][name].tobytes(), name


@pytest.mark.parametrize("kind", ["simple_rnn", "lstm", "gru", "gru before"])
def test_a_sample_does_not_see_the_others(kind, rng):
    kind, before = kind.split()[0], "before" in kind
    acts = (activations.tanh, activations.sigmoid)[: 1 if kind == "simple_rnn" else 2]
    R, z, dy, dlast, acts, states, options, extra = arguments(
        kind, (4, 37, 40), np.float32, rng, True, True, acts, not before
    )
    whole = run(cpu, kind, R, z, dy, dlast, acts, states, options, extra)
    for n in (0, 31, 36):

        def one(x, n=n):
            return x[n : n + 1] if x.ndim == 2 and x.shape == dlast.shape else x[:, n : n + 1].copy()

        alone = run(cpu, kind, R, one(z), one(dy), one(dlast), acts, {k: one(v) for k, v in states.items()},
                    {k: one(v) for k, v in options.items()}, extra)  # fmt: skip
        for name, values in whole.items():
            assert one(values).tobytes() == alone[name].tobytes(), name


@pytest.mark.parametrize("kind", ["simple_rnn", "lstm", "gru", "gru before"])
@pytest.mark.parametrize("names", [("tanh", "sigmoid"), ("gelu", "silu")], ids="-".join)
def test_gradient_of_the_gates_in_their_place(kind, names, rng):
    """dz may be z: inside fit nobody reads the gates again."""
    kind, before = kind.split()[0], "before" in kind
    acts = tuple(getattr(activations, name) for name in names)[: 1 if kind == "simple_rnn" else 2]
    case = arguments(kind, (5, 4, 37), np.float32, rng, True, True, acts, not before)
    for kernels in (cpu, reference):
        apart, over = (run(kernels, kind, *case, over=over) for over in (False, True))
        for name in ("dz", "dh"):
            assert apart[name].tobytes() == over[name].tobytes(), name


def with_inputs(kernels, R, W, b, x, dy, dlast, h, c, mask, keep_gates=True):
    """z, h, c and the gradients of an LSTM that makes x W + b itself; without the gates h and c alone."""
    acts, h, c = (activations.tanh, activations.sigmoid), h.copy(), c.copy()
    z = np.full((*x.shape[:2], R.shape[1]), np.nan, x.dtype)
    y = np.full((x.shape[1], x.shape[0], len(R)), np.nan, x.dtype)
    kernels.lstm(z, R, *acts, h=h, c=c, mask=mask, x=x, W=W, b=b, y=y, keep_gates=keep_gates)
    assert y.tobytes() == h[1:].swapaxes(0, 1).tobytes()
    if not keep_gates:
        return {"h": h, "c": c}
    out = {"dz": np.full_like(z, np.nan), "dh": dlast.copy(), "dc": dlast.copy(), "dx": np.full_like(x, np.nan)}
    kernels.lstm_grad(dy, R, z, h, c, *acts, **out, mask=mask, W=W)
    return {"z": z, "h": h, "c": c, **out}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [*SIZES, (2, 35, 250)], ids=str)
def test_lstm_of_inputs(dtype, sizes, rng):
    """Against the reference; for any threads, samples and with the gates or without the same bits."""
    (steps, rows, units), acts = sizes, (activations.tanh, activations.sigmoid)
    width = {1: 1, 31: 70, 33: 16, 250: 41}.get(units, 9)
    R, _, dy, dlast, _, states, options, _ = arguments("lstm", sizes, dtype, rng, units % 2 == 1, False, acts)
    x, W, b = (rng.normal(size=s).astype(dtype) / 4 for s in ((steps, rows, width), (width, 4 * units), 4 * units))
    case = [R, W, None if units == 5 else b, x, dy, dlast, states["h"], states["c"], options.get("mask")]
    found = {}
    for threads in (1, 2, 3):
        build.set_num_threads(threads)
        found[threads] = with_inputs(cpu, *case)
    wider = [a.astype("float64") if a is not None and a.dtype != bool else a for a in case]
    compare(found[1], with_inputs(reference, *wider), 1e-4 if dtype == np.float32 else 1e-12)
    alone = [a[:, :1].copy() if a is not None and a.ndim > 1 and a.shape[1] == rows else a for a in case[3:]]
    alone[2] = case[5][:1].copy()
    others = with_inputs(cpu, *case, keep_gates=False)
    for name, values in found[1].items():
        assert all(values.tobytes() == found[n][name].tobytes() for n in (2, 3)), name
        assert name not in others or values.tobytes() == others[name].tobytes(), name
    for name, values in (with_inputs(cpu, *case[:3], *alone) if rows else {}).items():
        whole = found[1][name]
        assert (whole[:1] if whole.ndim == 2 else whole[:, :1]).tobytes() == values.tobytes(), name


def test_no_last_gradient_of_the_sequence(rng):
    """dy None is dy = 0: only the last state has a gradient."""
    R, z, dy, dlast, acts, states, _, _ = arguments(
        "lstm", (3, 4, 5), np.float64, rng, False, False, (activations.tanh, activations.sigmoid)
    )
    cpu.lstm(z, R, *acts, **states)
    found = []
    for gradient in (None, np.zeros_like(dy)):
        out = {"dz": np.empty_like(z), "dh": dlast.copy(), "dc": dlast.copy()}
        cpu.lstm_grad(gradient, R, z, states["h"], states["c"], *acts, **out)
        found.append(out)
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name])


def test_recurrent_gradient_of_gru(rng):
    h, reset, dinner = (rng.normal(size=(3, 4, 5)) for _ in range(3))
    dz = rng.normal(size=(3, 4, 15))
    for kernels in (cpu, reference):
        out = np.empty((5, 15))
        kernels.gru_dkernel(h, reset, dz, dinner, out=out)
        np.testing.assert_allclose(out[:, :10], np.einsum("tnu,tnv->uv", h, dz[..., :10]), rtol=1e-12)
        np.testing.assert_allclose(out[:, 10:], np.einsum("tnu,tnv->uv", reset, dinner), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(3, 4, 5, 9, 36), (9, 33, 3, 130, 520), (35, 61, 1, 17, 513), (0, 2, 3, 128, 512)])
def test_gradients_of_the_kernels(dtype, sizes, rng):
    """Few columns and many; more than a block of rows, and than are packed at a time; the same bits for any threads."""
    steps, rows, width, units, columns = sizes
    x, h, dz = (rng.normal(size=(steps, rows, size)).astype(dtype) for size in (width, units, columns))
    found = {}
    for threads in (1, 2, 3):
        build.set_num_threads(threads)
        outs = {"dW": np.full((width, columns), np.nan, dtype), "dR": np.full((units, columns), np.nan, dtype)}
        outs["sums"] = np.full(columns, np.nan, dtype)
        cpu.rnn_dkernels(x, h, dz, **outs)
        found[threads] = outs
    expected = {name: np.full(a.shape, np.nan) for name, a in outs.items()}
    reference.rnn_dkernels(*(a.astype("float64") for a in (x, h, dz)), **expected)
    np.testing.assert_allclose(expected["dR"], np.einsum("tnu,tnc->uc", h, dz, dtype="float64"), atol=1e-9)
    compare(found[1], expected, 1e-5 if dtype == np.float32 else 1e-13)
    alone = np.full(columns, np.nan, dtype)
    matmul.sum_rows(dz, out=alone)
    assert alone.tobytes() == found[1]["sums"].tobytes()
    for name, values in found[1].items():
        assert all(values.tobytes() == found[n][name].tobytes() for n in (2, 3)), name


def test_steps(rng):
    x = rng.normal(size=(2, 3, 4))
    for kernels in (cpu, reference):
        for reverse in (False, True):
            out, back = np.empty((3, 2, 4)), np.empty_like(x)
            kernels.to_steps(x, reverse, out=out)
            np.testing.assert_array_equal(out[0], x[:, -1] if reverse else x[:, 0])
            kernels.from_steps(out, reverse, out=back)
            np.testing.assert_array_equal(back, x)
        mask = np.array([[False, True], [True, False], [False, False]])
        out = np.empty_like(mask)
        kernels.seen(mask, out=out)
        np.testing.assert_array_equal(out, [[False, True], [True, True], [True, True]])


def test_wrong_calls(rng):
    z, R, h = np.zeros((2, 3, 4)), np.zeros((4, 4)), np.zeros((3, 3, 4))
    with pytest.raises(
        ValueError, match=r"lstm: z must be \(T, N, 4 U\) and R \(U, 4 U\), got \(2, 3, 4\) and \(4, 4\)"
    ):
        cpu.lstm(z, R, activations.tanh, activations.sigmoid, h=h, c=h)
    x, acts = np.zeros((2, 3, 5), "f4"), (activations.tanh, activations.sigmoid)
    gates, S, states = np.zeros((2, 3, 16), "f4"), np.zeros((4, 16), "f4"), np.zeros((2, 3, 3, 4), "f4")
    with pytest.raises(ValueError, match=r"lstm: W must have shape \(5, 16\), got \(4, 16\)"):
        cpu.lstm(gates, S, *acts, h=states[0], c=states[1], x=x, W=S)
    with pytest.raises(ValueError, match=r"lstm_grad: dx must have shape \(2, 3, 4\), got \(3, 2, 4\)"):
        ends = {"dh": states[0, 0], "dc": states[1, 0]}
        cpu.lstm_grad(None, S, gates, *states, *acts, dz=gates, **ends, W=S, dx=np.zeros((3, 2, 4), "f4"))
    with pytest.raises(ValueError, match=r"rnn_dkernels: h must have shape \(2, 3, 4\), got \(3, 2, 4\)"):
        cpu.rnn_dkernels(x, np.zeros((3, 2, 4), "f4"), gates, dW=S, dR=S)
    with pytest.raises(ValueError, match=r"rnn_dkernels: dW must have shape \(5, 16\), got \(4, 16\)"):
        cpu.rnn_dkernels(x, np.zeros((2, 3, 4), "f4"), gates, dW=S, dR=S)
    with pytest.raises(ValueError, match=r"rnn_dkernels: x, h and dz must be \(\.\.\., columns\), got \(4,\)"):
        cpu.rnn_dkernels(np.zeros(4, "f4"), S, S, dW=S, dR=S)
    with pytest.raises(ValueError, match=r"simple_rnn: h must have shape \(3, 3, 4\), got \(2, 3, 4\)"):
        cpu.simple_rnn(z, R, activations.tanh, h=h[:2])
    with pytest.raises(ValueError, match=r"activation must be an elementwise one of npdl\.activations, got Softmax"):
        cpu.simple_rnn(z, R, activations.softmax, h=h)
    with pytest.raises(ValueError, match=r"mask must have shape \(2, 3\)"):
        cpu.simple_rnn(z, R, activations.tanh, h=h, mask=np.ones((3, 2), bool))


@pytest.mark.parametrize("kernels", (reference, cpu))
def test_a_masked_step_that_is_no_number_touches_no_other(kernels, rng):
    """Of GRU, whose gradient of the recurrent part is made from the gates of the masked step."""
    steps, rows, units = 4, 2, 3
    z, R, bias = rng.normal(size=(steps, rows, 9)), rng.normal(size=(units, 9)), rng.normal(size=9)
    mask = np.ones((steps, rows), bool)
    z[2, 0], mask[2, 0] = np.nan, False
    h, inner, dz = np.zeros((steps + 1, rows, units)), np.zeros((steps, rows, units)), np.zeros_like(z)
    kernels.gru(z, R, activations.tanh, activations.sigmoid, True, h=h, inner=inner, bias=bias, mask=mask)
    dh, dinner = np.zeros((rows, units)), np.full((steps, rows, units), np.nan)
    kernels.gru_grad(
        np.ones((steps, rows, units)), R, z, h, inner, activations.tanh, activations.sigmoid, True,
        dz=dz, dh=dh, dinner=dinner, mask=mask,
    )  # fmt: skip
    assert np.isfinite(dinner).all() and np.isfinite(dz).all() and np.isfinite(dh).all()
