"""The updates on the stand-in, against the CPU's and the reference."""

import threading

import numpy as np
import pytest

from npdl.devices.cuda.kept import Kept
from npdl.kernels.cpu import update as cpu
from npdl.kernels.cuda import update as kernels
from npdl.kernels.cuda.kernel import launch
from npdl.kernels.cuda.merge import scale_kernel
from npdl.kernels.reference import update as reference

ETA, MU, RHO, EPS = 0.05, 0.9, 0.8, 1e-7
B1, B2 = 0.9, 0.99

# start, stop, scale, decay, trainable: several pieces, one piece, part of one, frozen, empty; gaps between them
SEGMENTS = np.array(
    [
        [0, 21, 1, 0, 1],
        [24, 32, 0.5, 0.1, 1],
        [33, 34, 1, 0.3, 1],
        [36, 45, 1, 0.1, 0],
        [48, 48, 1, 0, 1],
        [48, 59, 2, 0, 1],
    ]
)
LENGTH = 64


def adam_hyper(t):
    return np.array([ETA * (1 + t), B1, B2, 1 - B1**t, 1 - B2**t, EPS])


def rms_hyper(decoupled=0):
    return np.array([ETA, RHO, MU, EPS, decoupled])


def numbers(*values):
    return np.array(values, np.float64)


# name -> (state arrays, call(kernels, p, g, state, segments, t))
VARIANTS = {
    "sgd": (0, lambda k, p, g, s, t: k.sgd(p, g, None, SEGMENTS, numbers(ETA, 0, 0, 0))),
    "sgd momentum": (1, lambda k, p, g, s, t: k.sgd(p, g, s[0], SEGMENTS, numbers(ETA, MU, 0, 1))),
    "sgd nesterov": (1, lambda k, p, g, s, t: k.sgd(p, g, s[0], SEGMENTS, numbers(ETA, MU, 1, 0))),
    "adam": (2, lambda k, p, g, s, t: k.adam(p, g, *s, SEGMENTS, adam_hyper(t))),
    "amsgrad": (3, lambda k, p, g, s, t: k.adam(p, g, s[0], s[1], SEGMENTS, adam_hyper(t), s[2])),
    "adamw": (2, lambda k, p, g, s, t: k.adamw(p, g, *s, SEGMENTS, adam_hyper(t))),
    "rmsprop": (1, lambda k, p, g, s, t: k.rmsprop(p, g, s[0], None, None, SEGMENTS, rms_hyper())),
    "rmsprop centered": (2, lambda k, p, g, s, t: k.rmsprop(p, g, *s, None, SEGMENTS, rms_hyper(1))),
    "rmsprop momentum": (2, lambda k, p, g, s, t: k.rmsprop(p, g, s[0], None, s[1], SEGMENTS, rms_hyper())),
    "rmsprop both": (3, lambda k, p, g, s, t: k.rmsprop(p, g, *s, SEGMENTS, rms_hyper())),
    "adamax": (2, lambda k, p, g, s, t: k.adamax(p, g, *s, SEGMENTS, numbers(ETA, B1, B2, 1 - B1**t, EPS, t % 2))),
    "nadam": (
        2,
        lambda k, p, g, s, t: k.nadam(p, g, *s, SEGMENTS, numbers(ETA, B1, B2, 0.3, 0.7, 1 - B2**t, EPS, t % 2)),
    ),
    "lion": (1, lambda k, p, g, s, t: k.lion(p, g, *s, SEGMENTS, numbers(ETA, B1, B2))),
    "adagrad": (1, lambda k, p, g, s, t: k.adagrad(p, g, *s, SEGMENTS, numbers(ETA, EPS, t % 2))),
    "adadelta": (2, lambda k, p, g, s, t: k.adadelta(p, g, *s, SEGMENTS, numbers(ETA, RHO, 1e-6, t % 2))),
    "ftrl": (
        2,
        lambda k, p, g, s, t: k.ftrl(p, g, *s, SEGMENTS, numbers(ETA, -0.5 - t % 2, 0.01, 0.1, 0.2, 0.3, t % 2)),
    ),
    "schedule_free": (
        2,
        lambda k, p, g, s, t: k.schedule_free(
            p, g, *s, SEGMENTS, numbers(ETA, 0.5, B1, B2, 1 - B2**t, EPS, 1 / t, t % 2)
        ),
    ),
    "rprop": (2, lambda k, p, g, s, t: k.rprop(p, g, *s, SEGMENTS, numbers(ETA, 0.5, 1.2, 1e-6, 50, t % 2))),
    "muon": (1, lambda k, p, g, s, t: k.muon(p, g, *s, SEGMENTS, numbers(MU, t % 2))),
    "combine": (0, lambda k, p, g, s, t: k.combine(p, g, SEGMENTS, numbers(0.7 * (t % 2), 0.3))),
    "clip": (0, lambda k, p, g, s, t: k.clip(p, SEGMENTS, numbers(1e-3))),
}


@pytest.mark.parametrize("piece", (8, 4096))
@pytest.mark.parametrize("variant", VARIANTS)
def test_three_steps(device, monkeypatch, variant, piece):
    """With state left by steps before: equal but for the last bits, the rest untouched."""
    monkeypatch.setattr(kernels, "PIECE", piece)
    rng = np.random.default_rng(0)
    count, call = VARIANTS[variant]
    start = [rng.standard_normal(LENGTH).astype("f4"), *(rng.random(LENGTH).astype("f4") for _ in range(count))]
    if count > 1 and variant.startswith("rmsprop"):
        start[2] *= np.float32(0.1)
    gradients = [rng.standard_normal(LENGTH).astype("f4") for _ in range(3)]
    on_device = [device.from_host(array) for array in start]
    for t, g in enumerate(gradients, 1):
        call(kernels, on_device[0], device.from_host(g), on_device[1:], t)
    trained = np.zeros(LENGTH, bool)
    for begin, stop, _, _, trainable in SEGMENTS:
        trained[int(begin) : int(stop)] = trainable
    for other in (cpu, reference):
        wanted = [array.copy() for array in start]
        for t, g in enumerate(gradients, 1):
            call(other, wanted[0], g, wanted[1:], t)
        for array, want, before in zip(on_device, wanted, start):
            got = device.to_host(array)
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=2.4e-7)
            np.testing.assert_array_equal(got[~trained], before[~trained])
            assert (got[trained] != before[trained]).mean() > 0.4  # v_max and Rprop's pauses


def test_nothing_to_do(device, launches):
    q = device.from_host(np.ones(4, "float32"))
    for segments in (np.zeros((0, 5)), np.array([[0, 4, 1, 0, 0.0]])):
        assert not launches(lambda segments=segments: kernels.sgd(q, q, None, segments, numbers(ETA, 0, 0, 0)))


def test_plans_are_kept_by_place(device, monkeypatch):
    monkeypatch.setattr(device.driver, "kept", Kept(device.driver, threading.RLock()))
    p = device.from_host(np.ones(4, "float32"))
    for scale in (1.0, 0.5, 0.25):
        kernels.sgd(p, p, None, np.array([[0, 4, scale, 0, 1.0]]), numbers(ETA, 0, 0, 0))
    assert len(device.driver.kept) == 1


def test_sizes_of_a_launch(device):
    p = device.from_host(np.ones(4, "float32"))
    for blocks, threads in ((0, 32), (1, 0), (1, (32, 64))):
        with pytest.raises(ValueError, match=r"scale_kernel: sizes of a grid .* got grid"):
            launch(scale_kernel, blocks, threads, p, 2.0, p, 4)


def test_wrong_calls(device):
    p, g, short = (device.from_host(np.ones(n, "float32")) for n in (4, 4, 3))
    with pytest.raises(ValueError, match=r"sgd: velocity must be flat and as long as p, \(4,\), got shape \(3,\)"):
        kernels.sgd(p, g, short, np.array([[0, 4, 1, 0, 1.0]]), numbers(ETA, MU, 0, 0))
    with pytest.raises(ValueError, match=r"sgd: segment 0 must lie in p\[0:4\]"):
        kernels.sgd(p, g, None, np.array([[0, 5, 1, 0, 1.0]]), numbers(ETA, 0, 0, 0))
