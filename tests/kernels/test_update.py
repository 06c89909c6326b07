"""The updates: closed forms, compiled against reference bit for bit, what must stay untouched, wrong calls."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest

import npdl
from npdl.kernels.cpu import update as cpu
from npdl.kernels.reference import update as reference

DTYPES = ("float32", "float64")
ETA, MU, RHO, LAM, EPS = 0.05, 0.9, 0.8, 0.1, 1e-7
B1, B2 = 0.9, 0.99


def adam_hyper(t):
    return np.array([ETA, B1, B2, 1 - B1**t, 1 - B2**t, EPS])


def rms_hyper(decoupled=0):
    return np.array([ETA, RHO, MU, EPS, decoupled])


def adamax_hyper(t, decoupled=0):
    return np.array([ETA, B1, B2, 1 - B1**t, EPS, decoupled])


def nadam_hyper(t, decoupled=0):
    return np.array([ETA, B1, B2, 0.1, 0.9 / (1 - B1 ** (t + 1)), 1 - B2**t, EPS, decoupled])


def rprop_hyper(decoupled=0):
    return np.array([ETA, 0.5, 1.2, 1e-6, 0.3, decoupled])


def ftrl_hyper(decoupled=0):
    return np.array([ETA, -0.5, 0.02, 0.1, 0.05, 0.3, decoupled])


def free_hyper(t, decoupled=0):
    return np.array([ETA, 0.7, B1, B2, 1 - B2**t, EPS, 1 / t, decoupled])


# name -> (state arrays, call(kernels, p, g, state, segments, t))
VARIANTS = {
    "sgd": (0, lambda k, p, g, s, segments, t: k.sgd(p, g, None, segments, np.array([ETA, 0, 0, 0]))),
    "sgd decoupled": (0, lambda k, p, g, s, segments, t: k.sgd(p, g, None, segments, np.array([ETA, 0, 0, 1.0]))),
    "sgd momentum": (1, lambda k, p, g, s, segments, t: k.sgd(p, g, s[0], segments, np.array([ETA, MU, 0, 0]))),
    "sgd nesterov": (1, lambda k, p, g, s, segments, t: k.sgd(p, g, s[0], segments, np.array([ETA, MU, 1, 1.0]))),
    "adam": (2, lambda k, p, g, s, segments, t: k.adam(p, g, s[0], s[1], segments, adam_hyper(t))),
    "amsgrad": (3, lambda k, p, g, s, segments, t: k.adam(p, g, s[0], s[1], segments, adam_hyper(t), s[2])),
    "adamw": (2, lambda k, p, g, s, segments, t: k.adamw(p, g, s[0], s[1], segments, adam_hyper(t))),
    "rmsprop": (1, lambda k, p, g, s, segments, t: k.rmsprop(p, g, s[0], None, None, segments, rms_hyper())),
    "rmsprop centered": (2, lambda k, p, g, s, segments, t: k.rmsprop(p, g, s[0], s[1], None, segments, rms_hyper(1))),
    "rmsprop momentum": (2, lambda k, p, g, s, segments, t: k.rmsprop(p, g, s[0], None, s[1], segments, rms_hyper())),
    "rmsprop both": (3, lambda k, p, g, s, segments, t: k.rmsprop(p, g, s[0], s[1], s[2], segments, rms_hyper())),
    "adamax": (2, lambda k, p, g, s, segments, t: k.adamax(p, g, *s, segments, adamax_hyper(t))),
    "adamax decoupled": (2, lambda k, p, g, s, segments, t: k.adamax(p, g, *s, segments, adamax_hyper(t, 1))),
    "nadam": (2, lambda k, p, g, s, segments, t: k.nadam(p, g, *s, segments, nadam_hyper(t))),
    "nadam decoupled": (2, lambda k, p, g, s, segments, t: k.nadam(p, g, *s, segments, nadam_hyper(t, 1))),
    "lion": (1, lambda k, p, g, s, segments, t: k.lion(p, g, *s, segments, np.array([ETA, B1, B2]))),
    "adagrad": (1, lambda k, p, g, s, segments, t: k.adagrad(p, g, *s, segments, np.array([ETA, EPS, 0]))),
    "adagrad decoupled": (1, lambda k, p, g, s, segments, t: k.adagrad(p, g, *s, segments, np.array([ETA, EPS, 1.0]))),
    "adadelta": (2, lambda k, p, g, s, segments, t: k.adadelta(p, g, *s, segments, np.array([ETA, RHO, 1e-6, 0]))),
    "adadelta decoupled": (
        2,
        lambda k, p, g, s, segments, t: k.adadelta(p, g, *s, segments, np.array([ETA, RHO, 1e-6, 1.0])),
    ),
    "ftrl": (2, lambda k, p, g, s, segments, t: k.ftrl(p, g, *s, segments, ftrl_hyper())),
    "ftrl decoupled": (2, lambda k, p, g, s, segments, t: k.ftrl(p, g, *s, segments, ftrl_hyper(1))),
    "schedule_free": (2, lambda k, p, g, s, segments, t: k.schedule_free(p, g, *s, segments, free_hyper(t))),
    "schedule_free decoupled": (
        2,
        lambda k, p, g, s, segments, t: k.schedule_free(p, g, *s, segments, free_hyper(t, 1)),
    ),
    "rprop": (2, lambda k, p, g, s, segments, t: k.rprop(p, g, *s, segments, rprop_hyper())),
    "rprop decoupled": (2, lambda k, p, g, s, segments, t: k.rprop(p, g, *s, segments, rprop_hyper(1))),
    "muon": (1, lambda k, p, g, s, segments, t: k.muon(p, g, *s, segments, np.array([MU, 1.0]))),
    "muon plain": (1, lambda k, p, g, s, segments, t: k.muon(p, g, *s, segments, np.array([MU, 0.0]))),
    "combine": (0, lambda k, p, g, s, segments, t: k.combine(p, g, segments, np.array([0.7, 0.3]))),
    "combine without p": (0, lambda k, p, g, s, segments, t: k.combine(p, g, segments, np.array([0, 0.3]))),
}
LASTING = (
    "sgd", "sgd decoupled", "adagrad", "adagrad decoupled", "ftrl", "ftrl decoupled", "schedule_free",
    "schedule_free decoupled", "rprop", "rprop decoupled", "amsgrad", "adamax", "adamax decoupled", "combine",
    "combine without p",
)  # fmt: skip
"""What keeps no running mean, or something beside it that lasts."""
MOVING = [name for name in VARIANTS if not name.startswith(("muon", "combine", "schedule_free"))]
"""What takes steps of a learning rate, and nothing else."""


def one_segment(n, scale=1.0, decay=0.0, trainable=1.0):
    return np.array([[0, n, scale, decay, trainable]])


def run(kernels, variant, p, gradients, segments):
    """(p, state arrays) after one step a gradient, from zero state; p is copied."""
    count, call = VARIANTS[variant]
    p, state = p.copy(), [np.zeros_like(p) for _ in range(count)]
    for t, g in enumerate(gradients, 1):
        call(kernels, p, g, state, segments, t)
    return p, state


def numbers(rng, n, dtype, steps=3):
    return rng.standard_normal(n).astype(dtype), [rng.standard_normal(n).astype(dtype) for _ in range(steps)]


# ---- closed forms for a gradient that stays the same


@pytest.mark.parametrize("kernels", (reference, cpu))
class TestClosedForm:
    T = 7
    g = np.array([2.0, -0.5, 0.0, 1e-3])
    p = np.array([1.0, 2.0, -3.0, 0.5])

    def after(self, kernels, variant, g=None, **segment):
        g = self.g if g is None else g
        return run(kernels, variant, self.p, [g] * self.T, one_segment(4, **segment))[0]

    def test_sgd(self, kernels):
        np.testing.assert_allclose(self.after(kernels, "sgd"), self.p - self.T * ETA * self.g, rtol=1e-14)

    def test_momentum_is_a_geometric_sum(self, kernels):
        velocity = [self.g * (1 - MU**t) / (1 - MU) for t in range(1, self.T + 1)]
        np.testing.assert_allclose(self.after(kernels, "sgd momentum"), self.p - ETA * sum(velocity), rtol=1e-13)
        ahead = [self.g + MU * u for u in velocity]
        np.testing.assert_allclose(self.after(kernels, "sgd nesterov"), self.p - ETA * sum(ahead), rtol=1e-13)

    @pytest.mark.parametrize("variant", ("adam", "adamw"))
    def test_corrected_means_of_a_constant_are_that_constant(self, kernels, variant):
        step = ETA * self.g / (np.abs(self.g) + EPS)
        np.testing.assert_allclose(self.after(kernels, variant), self.p - self.T * step, rtol=1e-12)

    def test_decay_beside_the_gradient_step_shrinks_by_a_factor(self, kernels):
        p = self.after(kernels, "adamw", g=np.zeros(4), decay=LAM)
        np.testing.assert_allclose(p, self.p * (1 - ETA * LAM) ** self.T, rtol=1e-14)

    @pytest.mark.parametrize("variant", ("sgd", "rmsprop", "adam"))
    def test_decay_in_the_gradient_is_a_gradient_of_lambda_p(self, kernels, variant):
        got, _ = run(kernels, variant, self.p, [self.g], one_segment(4, decay=LAM))
        want, _ = run(kernels, variant, self.p, [self.g + LAM * self.p], one_segment(4))
        np.testing.assert_array_equal(got, want)

    def test_rmsprop(self, kernels):
        p = self.p.copy()
        for t in range(1, self.T + 1):
            p -= ETA * self.g / (np.abs(self.g) * np.sqrt(1 - RHO**t) + EPS)
        np.testing.assert_allclose(self.after(kernels, "rmsprop"), p, rtol=1e-12)

    def test_centered_variance_of_the_first_step(self, kernels):
        got, _ = run(kernels, "rmsprop centered", self.p, [self.g], one_segment(4))
        want = self.p - ETA * self.g / (np.abs(self.g) * np.sqrt((1 - RHO) - (1 - RHO) ** 2) + EPS)
        np.testing.assert_allclose(got, want, rtol=1e-12)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_centered_variance_is_never_negative(self, kernels, dtype):
        g = np.linspace(
            0.1, 3, 301, dtype=dtype
        )  # constant gradients: the variance falls to 0, give or take a rounding
        p, _ = run(kernels, "rmsprop centered", np.zeros_like(g), [g] * 400, one_segment(301))
        assert np.isfinite(p).all()

    def test_scale_multiplies_the_learning_rate(self, kernels):
        np.testing.assert_allclose(
            self.after(kernels, "sgd", scale=0.5), self.p - self.T * ETA / 2 * self.g, rtol=1e-14
        )
        decayed = self.after(kernels, "adamw", g=np.zeros(4), scale=0.5, decay=LAM)
        np.testing.assert_allclose(decayed, self.p * (1 - ETA / 2 * LAM) ** self.T, rtol=1e-14)

    @pytest.mark.parametrize("variant", MOVING)
    def test_scale_zero_leaves_the_weights(self, kernels, variant):
        np.testing.assert_array_equal(self.after(kernels, variant, scale=0.0, decay=LAM), self.p)


# ---- the compiled kernels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_compiled_equals_reference_to_the_last_bit(rng, variant, dtype):
    for n in (1, 2, 7, 8, 15, 16, 17, 33, 100, cpu.BLOCK - 1, cpu.BLOCK, cpu.BLOCK + 1, 2 * cpu.BLOCK + 13):
        p, gradients = numbers(rng, n, dtype)
        segments = one_segment(n, 0.7, LAM)
        want, want_state = run(reference, variant, p, gradients, segments)
        got, got_state = run(cpu, variant, p, gradients, segments)
        assert got.dtype == dtype
        for a, b in zip((got, *got_state), (want, *want_state)):
            np.testing.assert_array_equal(a, b, err_msg=f"n = {n}")


def many_segments():
    """Tensors of all sizes with gaps between them, some frozen: small ones share a block, large ones are cut."""
    sizes = [3, 1, 40, cpu.BLOCK - 20, 5, 2 * cpu.BLOCK + 7, 0, 9, cpu.BLOCK, 64]
    rows, start = [], 2
    for i, size in enumerate(sizes):
        rows.append((start, start + size, 1 / (i + 1), 0.01 * (i % 3), i not in (2, 7)))
        start += size + i % 4
    return np.array(rows, np.float64), start + 5


@pytest.mark.parametrize("kernels", (reference, cpu))
@pytest.mark.parametrize("variant", VARIANTS)
def test_gaps_and_frozen_segments_are_not_touched(rng, kernels, variant):
    segments, n = many_segments()
    p, (g, *_) = numbers(rng, n, "float32")
    count, call = VARIANTS[variant]
    before = [p, *(np.abs(rng.standard_normal(n)).astype("float32") for _ in range(count))]
    after = [array.copy() for array in before]
    call(kernels, after[0], g, after[1:], segments, 1)
    trained = np.zeros(n, bool)
    for start, stop, _, _, trainable in segments:
        trained[int(start) : int(stop)] = trainable
    for a, b in zip(after, before):
        np.testing.assert_array_equal(a[~trained], b[~trained])
        assert (a[trained] != b[trained]).mean() > 0.4  # the largest so far may stay


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_threads_do_not_change_a_bit(rng, variant, dtype):
    segments, n = many_segments()
    p, gradients = numbers(rng, n, dtype)
    results = []
    for threads in (1, 2, 3):
        npdl.set_num_threads(threads)
        results.append(run(cpu, variant, p, gradients, segments)[0])
    np.testing.assert_array_equal(results[0], run(reference, variant, p, gradients, segments)[0])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("kernels", (reference, cpu))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in LASTING])
def test_running_means_end_in_zero_and_not_in_subnormal_numbers(rng, kernels, variant, dtype):
    p = rng.standard_normal(40).astype(dtype)
    count, call = VARIANTS[variant]
    tiny, least = np.finfo(dtype).tiny, reference.smallest(np.dtype(dtype).type)
    state = [np.full(40, 3 * least, dtype) for _ in range(count)]
    g = np.zeros(40, dtype)
    g[7] = np.nan
    for t in range(1, 200):
        call(kernels, p, g, state, one_segment(40), t)
        for array in state:
            assert not ((array != 0) & (np.abs(array) < tiny)).any()
    for array in state:
        assert np.isnan(array[7])
        assert (np.delete(array, 7) == 0).all()


@pytest.mark.parametrize("variant", ("sgd", "sgd nesterov", "adam", "amsgrad", "adamw"))
def test_numba_makes_what_is_not_compiled(rng, monkeypatch, variant):
    monkeypatch.setattr(cpu, "UPDATES", {})
    monkeypatch.setattr(cpu, "_compiled", functools.cache(cpu._compiled.__wrapped__))
    p, gradients = numbers(rng, 100, "float32")
    segments = one_segment(100, 0.7, LAM)
    want, want_state = run(reference, variant, p, gradients, segments)
    got, got_state = run(cpu, variant, p, gradients, segments)
    for a, b in zip((got, *got_state), (want, *want_state)):
        np.testing.assert_array_equal(a, b)


def test_without_the_pool(rng, monkeypatch):
    segments, n = many_segments()
    p, gradients = numbers(rng, n, "float32")
    want, _ = run(cpu, "adam", p, gradients, segments)
    monkeypatch.setattr(cpu, "_run_blocks", cpu._one_by_one)
    np.testing.assert_array_equal(run(cpu, "adam", p, gradients, segments)[0], want)


@pytest.mark.parametrize("kernels", (reference, cpu))
def test_nothing_to_do(kernels):
    empty = np.zeros(0, "float32")
    run(kernels, "adam", empty, [empty], np.zeros((0, 5)))
    run(kernels, "adam", empty, [empty], one_segment(0))
    p = np.ones(5, "float32")
    np.testing.assert_array_equal(run(kernels, "adam", p, [p], np.zeros((0, 5)))[0], p)
    np.testing.assert_array_equal(run(kernels, "sgd", p, [p], one_segment(5, trainable=0.0))[0], p)


@pytest.mark.parametrize("kernels", (reference, cpu))
@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "combine without p"])
def test_a_gradient_that_is_not_a_number_stays_with_its_weight(rng, kernels, variant):
    p, gradients = numbers(rng, 40, "float32")
    want, _ = run(kernels, variant, p, gradients, one_segment(40))
    gradients[1][17] = np.nan
    got, _ = run(kernels, variant, p, gradients, one_segment(40))
    assert np.isnan(got[17])
    got[17] = want[17]
    np.testing.assert_array_equal(got, want)


def test_segments_changed_in_place_are_read_anew(rng):
    p, (g, *_) = numbers(rng, 10, "float64")
    segments, hyper = one_segment(10), np.array([0.1, 0, 0, 0])
    q = p.copy()
    cpu.sgd(q, g, None, segments, hyper)
    segments[0, 1] = 4
    q = p.copy()
    cpu.sgd(q, g, None, segments, hyper)
    np.testing.assert_array_equal(q[4:], p[4:])
    assert (q[:4] != p[:4]).all()


# ---- wrong calls


def adam_arguments(**replaced):
    p, g, m, v = (np.ones(8, "float32") for _ in range(4))
    return {"p": p, "g": g, "m": m, "v": v, "segments": one_segment(8), "hyper": adam_hyper(1)} | replaced


@pytest.mark.parametrize("kernels", (reference, cpu))
@pytest.mark.parametrize(
    ("replaced", "error", "message"),
    (
        ({"p": np.ones(8, "int32")}, TypeError, "adam: p must be float32 or float64, got int32"),
        ({"g": np.ones(8)}, TypeError, "adam: g must be float32 like p, got float64"),
        ({"m": np.ones(7, "float32")}, ValueError, r"adam: m must be flat and as long as p, \(8,\), got shape \(7,\)"),
        ({"v": np.ones((8, 1), "float32")}, ValueError, r"v must be flat .* got shape \(8, 1\)"),
        ({"g": np.ones(16, "float32")[::2]}, ValueError, r"g must be contiguous, got strides \(8,\)"),
        ({"segments": np.ones((1, 4))}, ValueError, r"segments must have shape \(rows, 5\).*trainable, got \(1, 4\)"),
        ({"segments": np.ones((1, 5), int)}, TypeError, "segments must be a C-contiguous array of float64, got int64"),
        ({"segments": one_segment(9)}, ValueError, r"segment 0 must lie in p\[0:8\].* got start 0, stop 9"),
        ({"segments": np.array([[-1, 3, 1, 0, 1.0]])}, ValueError, "got start -1, stop 3"),
        ({"segments": np.array([[0, 4, 1, 0, 1.0], [3, 8, 1, 0, 0]])}, ValueError, r"segment 1 must lie in p\[4:8\]"),
        ({"segments": np.full((1, 5), np.nan)}, ValueError, "got start nan"),
        ({"hyper": np.ones(5)}, ValueError, r"hyper must have shape \(6\), learning_rate beta_1 .*, got \(5,\)"),
        ({"hyper": np.ones(6, "float32")}, TypeError, "hyper must be a C-contiguous array of float64, got float32"),
    ),
)
def test_wrong_calls_raise(kernels, replaced, error, message):
    with pytest.raises(error, match=message):
        kernels.adam(**adam_arguments(**replaced))


def test_read_only_arrays_are_not_written():
    for name in ("p", "m", "v"):
        fixed = np.ones(8, "float32")
        fixed.flags.writeable = False
        with pytest.raises(ValueError, match=f"adam: {name} is written to, and is read-only"):
            cpu.adam(**adam_arguments(**{name: fixed}))
    fixed = np.ones(8, "float32")
    fixed.flags.writeable = False
    cpu.adam(**adam_arguments(g=fixed))


# ---- Numba's cache

FIRST_UPDATE = """
import sys
import numpy as np
import npdl
assert "numba" not in sys.modules
optimizer = npdl.optimizers.Adagrad(0.5, initial_accumulator_value=0.0, epsilon=0.0)
layer = npdl.layers.Dense(2).init((3,), seed=0)
assert "numba" not in sys.modules
layer.grads["bias"][...] = 1
optimizer.step(layer)
assert "numba" in sys.modules
assert layer.params["bias"].tolist() == [-0.5, -0.5]
from npdl.kernels.cpu import update
code = update._compiled("adagrad", np.dtype("float32"), (True, True, True))
print(code.cache_hits)
"""


def test_first_update_is_silent_and_the_next_process_finds_its_code(tmp_path):
    for hits in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-P", "-W", "error", "-c", FIRST_UPDATE],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, hits, "")
    assert list(tmp_path.rglob("*.nbi"))


def test_where_no_cache_can_be_written_the_code_is_compiled_anew(rng, monkeypatch):
    from numba.core import caching

    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    monkeypatch.setattr(cpu, "_compiled", cpu._compiled.__wrapped__)
    p, gradients = numbers(rng, 20, "float32")
    got, _ = run(cpu, "lion", p, gradients, one_segment(20))
    np.testing.assert_array_equal(got, run(reference, "lion", p, gradients, one_segment(20))[0])


@pytest.mark.parametrize("kernels", (reference, cpu))
@pytest.mark.parametrize(
    ("name", "missing"),
    [
        *(("sgd", missing) for missing in ("p", "g")),
        *((name, missing) for name in ("adam", "adamw") for missing in ("p", "g", "m", "v")),
        *(("rmsprop", missing) for missing in ("p", "g", "v")),
        *(("lion", missing) for missing in ("p", "g", "m")),
        ("adagrad", "v"),
    ],
)
def test_only_arrays_that_may_be_left_out_are(kernels, name, missing):
    given, hyper = {
        "sgd": (("p", "g", "velocity"), np.array([ETA, MU, 0, 0])),
        "adam": (("p", "g", "m", "v"), adam_hyper(1)),
        "adamw": (("p", "g", "m", "v"), adam_hyper(1)),
        "rmsprop": (("p", "g", "v", "mean", "velocity"), rms_hyper()),
        "lion": (("p", "g", "m"), np.array([ETA, B1, B2])),
        "adagrad": (("p", "g", "v"), np.array([ETA, EPS, 0])),
    }[name]
    arrays = {array: None if array == missing else np.ones(8, "float32") for array in given}
    with pytest.raises(TypeError, match=f"{name}: {missing} must be an array like p, got None"):
        getattr(kernels, name)(**arrays, segments=one_segment(8), hyper=hyper)


def test_arrays_that_are_not_aligned_are_refused():
    crooked = np.zeros(33, "uint8")[1:].view("float32")
    with pytest.raises(ValueError, match=r"adam: g is not aligned in memory.*pass g\.copy\(\)"):
        cpu.adam(**adam_arguments(g=crooked))
