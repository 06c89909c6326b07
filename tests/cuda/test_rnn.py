"""Recurrent layers on the stand-in against the reference, step by step the same arrays."""

import importlib

import numpy as np
import pytest

from npdl import activations
from npdl.kernels.cuda import rnn

RNG = np.random.default_rng(0)
SOFTSIGN = {"activation": activations.softsign, "recurrent_activation": activations.softsign}
"""Whose derivatives need z; the usual ones, which need y, are those of test_sequence_training.py."""
SIZES = ((0, 3, 2), (4, 1, 1), (3, 9, 33))  # steps, samples, units
OPTIONS = ("", "mask", "keep", "mask keep", "dropped")


def floats(*shape):
    return (0.5 * RNG.standard_normal(shape)).astype("float32")


def options(which, steps, samples, units):
    """(mask, keep and dropped's shape) as arguments of a forward kernel."""
    made = {}
    if "mask" in which:
        made["mask"] = RNG.random((steps, samples)) < 0.6
    if "keep" in which:
        made["keep"] = (RNG.random((samples, units)) < 0.7).astype("float32") / np.float32(0.7)
    return made


def first(state, steps):
    """(T + 1, N, U): what is there before the first step, and rubbish."""
    return np.concatenate([state[None], np.full((steps, *state.shape), np.nan, "float32")])


def run(name, out, **given):
    """The reference in float64, rounded: what backward gets."""
    wide = {key: np.array(value, np.float64) for key, value in out.items()}
    given = {k: v.astype(np.float64) if getattr(v, "dtype", None) == np.float32 else v for k, v in given.items()}
    getattr(importlib.import_module("npdl.kernels.reference.rnn"), name)(**wide, **given)
    return {key: value.astype("float32") for key, value in wide.items()}


def check(compare, name, gates, states, sizes, which, more, inner=False, takes_dropped=False):
    """A kernel and its gradient."""
    steps, samples, units = sizes
    R, given = floats(units, gates * units), options(which, *sizes)
    out = {"z": floats(steps, samples, gates * units)}
    out.update({state: first(floats(samples, units), steps) for state in states})
    if inner:
        out["inner"] = np.full(sizes, np.nan, "float32")
    if "keep" in which or "dropped" in which:
        out["dropped"] = np.full(sizes, np.nan, "float32")
    compare("rnn", name, R=R, **given, **more, out=out, rtol=2e-5, atol=2e-5)
    saved = run(name, out, R=R, **given, **more)
    dropped = saved.pop("dropped", None)
    if takes_dropped:
        given["dropped"] = dropped
    more = {key: value for key, value in more.items() if key != "bias"}
    grads = {"dz": saved["z"].shape, **{f"d{state}": floats(samples, units) for state in states}}
    if inner:
        grads["dinner"] = sizes
    for dy in (floats(*sizes), None):
        compare("rnn", f"{name}_grad", dy=dy, R=R, **saved, **given, **more, out=grads, rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("which", OPTIONS)
def test_simple_rnn(compare, sizes, which):
    check(compare, "simple_rnn", 1, ["h"], sizes, which, {"activation": activations.softsign})


def test_no_activation(compare):
    check(compare, "simple_rnn", 1, ["h"], (3, 2, 5), "", {"activation": activations.linear})


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("which", OPTIONS)
def test_lstm(compare, sizes, which):
    check(compare, "lstm", 4, ["h", "c"], sizes, which, SOFTSIGN)


def test_lstm_of_inputs(compare):
    steps, samples, units = sizes = (3, 4, 5)
    R, W, x = floats(units, 4 * units), floats(7, 4 * units), floats(steps, samples, 7)
    out = {"z": (steps, samples, 4 * units), **{name: first(floats(samples, units), steps) for name in "hc"}}
    more = {"R": R, "W": W, **SOFTSIGN}
    shown = {"y": (samples, steps, units)}
    compare("rnn", "lstm", x=x, b=floats(4 * units), **more, out={**out, **shown}, rtol=2e-5, atol=2e-5)
    saved = {"z": floats(*out["z"]), "h": floats(steps + 1, samples, units), "c": floats(steps + 1, samples, units)}
    grads = {"dz": out["z"], "dh": floats(samples, units), "dc": floats(samples, units), "dx": x.shape}
    compare("rnn", "lstm_grad", dy=floats(*sizes), **saved, **more, out=grads, rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("which", OPTIONS)
@pytest.mark.parametrize("reset_after", (True, False))
def test_gru(compare, sizes, which, reset_after):
    more = {**SOFTSIGN, "reset_after": reset_after}
    if reset_after and which != "mask":
        more["bias"] = floats(3 * sizes[2])
    check(compare, "gru", 3, ["h"], sizes, which, more, inner=True, takes_dropped=True)


@pytest.mark.parametrize("shape", ((1, 1, 1), (3, 5, 33), (0, 2, 4)), ids=str)
def test_gru_dkernel(compare, shape):
    units = shape[-1]
    given = floats(*shape), floats(*shape), floats(*shape[:-1], 3 * units), floats(*shape)
    compare("rnn", "gru_dkernel", *given, out={"out": (units, 3 * units)}, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", ((1, 1, 1), (3, 5, 33), (0, 2, 4)), ids=str)
def test_rnn_dkernels(compare, shape):
    units, columns = shape[-1], 4 * shape[-1]
    given = floats(*shape[:-1], 7), floats(*shape), floats(*shape[:-1], columns)
    out = {"dW": (7, columns), "dR": (units, columns), "sums": (columns,)}
    compare("rnn", "rnn_dkernels", *given, out=out, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reverse", (False, True))
@pytest.mark.parametrize("shape", ((1, 1, 1), (3, 5, 7), (2, 300), (0, 4, 2)), ids=str)
def test_exchanges(compare, reverse, shape):
    turned = (shape[1], shape[0], *shape[2:])
    compare("rnn", "to_steps", floats(*shape), reverse, out={"out": turned})
    compare("rnn", "from_steps", floats(*shape), reverse, out={"out": turned})


def test_exchanges_of_other_types(device):
    for x in (RNG.random((3, 5)) < 0.5, RNG.integers(0, 9, (3, 5)), RNG.integers(0, 9, (3, 5)).astype("int32")):
        out = device.alloc((5, 3), x.dtype)
        rnn.to_steps(device.from_host(x), True, out=out)
        np.testing.assert_array_equal(device.to_host(out), x[:, ::-1].T)


def test_seen(device):
    mask = RNG.random((7, 300)) < 0.2
    out = device.alloc(mask.shape, "bool")
    rnn.seen(device.from_host(mask), out=out)
    np.testing.assert_array_equal(device.to_host(out), np.logical_or.accumulate(mask))


@pytest.mark.parametrize("reset_after", (True, False))
def test_a_masked_step_that_is_no_number(device, reset_after):
    """Its gradient is that of the state, untouched."""
    z = np.full((1, 2, 6), np.nan, "float32")
    z[0, 1] = 0.5
    arrays = {"dy": None, "R": floats(2, 6), "z": z, "h": floats(2, 2, 2), "inner": floats(1, 2, 2)}
    given = {key: value if value is None else device.from_host(value) for key, value in arrays.items()}
    out = {"dz": (1, 2, 6), "dinner": (1, 2, 2)}
    out = {key: device.alloc(shape, "float32") for key, shape in out.items()}
    dh, mask = device.from_host(np.ones((2, 2), "float32")), device.from_host(np.array([[False, True]]))
    rnn.gru_grad(**given, **SOFTSIGN, reset_after=reset_after, **out,
                 dh=dh, mask=mask)  # fmt: skip
    np.testing.assert_array_equal(device.to_host(dh)[0], [1, 1])
    np.testing.assert_array_equal(device.to_host(out["dz"])[0, 0], np.zeros(6))
    assert np.isfinite(device.to_host(dh)).all()


TANH = activations.tanh


@pytest.mark.parametrize(
    "error, message, call",
    (
        (ValueError, r"z must be \(T, N, 1 U\) and R", lambda o: rnn.simple_rnn(o(2, 3, 4), o(5, 5), TANH, h=o(3, 4))),
        (ValueError, "simple_rnn: h must have", lambda o: rnn.simple_rnn(o(2, 3, 4), o(4, 4), TANH, h=o(2, 3, 4))),
        (ValueError, "lstm: c must have", lambda o: rnn.lstm(o(2, 3, 8), o(2, 8), TANH, TANH, h=o(3, 3, 2), c=o(3, 2))),
        (
            ValueError, "gru: only reset_after=True has a bias",
            lambda o: rnn.gru(o(2, 3, 6), o(2, 6), TANH, TANH, False, h=o(3, 3, 2), inner=o(2, 3, 2), bias=o(6)),
        ),
        (
            ValueError, "activation must be an elementwise one",
            lambda o: rnn.simple_rnn(o(2, 3, 4), o(4, 4), activations.softmax, h=o(3, 3, 4)),
        ),
        (ValueError, "gru_dkernel: dz must", lambda o: rnn.gru_dkernel(*[o(5, 2)] * 4, out=o(2, 6))),
        (ValueError, "to_steps: out must", lambda o: rnn.to_steps(o(5, 2), False, out=o(5, 2))),
        (ValueError, "seen: out must", lambda o: rnn.seen(o(5, 2), out=o(2, 5))),
    ),
)  # fmt: skip
def test_wrong_calls(device, error, message, call):
    with pytest.raises(error, match=message):
        call(lambda *shape: device.from_host(np.ones(shape, "float32")))
