"""Kernels of element, row, pair and triplet losses and of CTC: bits, calls that are wrong, no samples at all.

Their values are compared with the reference in test_fuzz.py, with PyTorch and central differences in tests/losses.
"""

import numpy as np
import pytest

from npdl.kernels.cpu import compiled
from npdl.kernels.reference import ctc as ref_ctc
from npdl.kernels.reference import element_loss as ref_element
from npdl.kernels.reference import pair_loss as ref_pair
from npdl.kernels.reference import row_loss as ref_row

pytestmark = pytest.mark.skipif(not compiled(), reason="installed without compiled kernels")
if compiled():
    from npdl.kernels.cpu import ctc, element_loss, loss, pair_loss, row_loss
    from npdl.kernels.cpu.build import lib

SHAPES = ((300, 10), (40, 7, 33), (3, 9000))
CONSTANTS = {
    "huber": (0.5,), "smooth_l1": (0.5,), "quantile": (0.3,), "poisson": (0.01, 1.0), "poisson_log": (0.0, 1.0),
    "kl_divergence": (3.0,), "generalized": (3.0, 0.7), "hinge_embedding": (0.4,), "contrastive_distance": (0.4,),
    "binary_focal_logits": (0.1, 1.7, 0.3, 0.7), "binary_focal": (0.1, 1.7, 0.3, 0.7), "multi_margin": (2, 0.5),
    "focal_logits": (1.7, 0.1), "focal": (1.7, 0.1), "tversky": (0.7, 0.2, 1e-3), "margin_ranking": (0.3,),
    "gaussian": (0.1, 0.9), "kl_logarithms": (1.0,), "cosine_embedding": (0.1,), "contrastive": (9.0,),
}  # fmt: skip


def shares(rng, shape, dtype, count):
    return [rng.uniform(0.01, 0.99, shape).astype(dtype) for _ in range(count)]


def elements(formula, t, p, scale):
    out, dp = np.empty(len(p), p.dtype), np.empty_like(p)
    element_loss.element_loss(formula, t, p, CONSTANTS.get(formula, ()), out=out)
    element_loss.element_loss_grad(formula, t, p, CONSTANTS.get(formula, ()), scale, out=dp)
    return out, dp


def rows(formula, t, p, scale):
    out, dp, weights = np.empty(len(p), p.dtype), np.empty_like(p), None
    if row_loss.WEIGHTS.get(formula):
        weights = np.linspace(0.5, 1, row_loss.WEIGHTS[formula] * p.shape[-1]).astype(p.dtype)
        weights = weights.reshape((-1, p.shape[-1])[-row_loss.WEIGHTS[formula] :])
    row_loss.row_loss(formula, t, p, CONSTANTS.get(formula, ()), weights, out=out, scale=scale, dy=dp)
    return out, dp


def pairs(formula, t, a, b, scale):
    out, da, db = np.empty(len(a), a.dtype), np.empty_like(a), np.empty_like(a)
    t = t if formula in pair_loss.WHOLE else t.reshape(len(t), -1)[:, 0].round().copy()
    pair_loss.pair_loss(formula, t, a, b, CONSTANTS[formula], out=out)
    pair_loss.pair_loss_grad(formula, t, a, b, CONSTANTS[formula], scale, da=da, db=db)
    return out, da, db


def triplets(power, a, p, n, scale):
    out, da, dp, dn = np.empty(len(a), a.dtype), np.empty_like(a), np.empty_like(a), np.empty_like(a)
    pair_loss.triplet_margin(a, p, n, (1.0, power, 1e-6, 1.0), out=out)
    pair_loss.triplet_margin_grad(a, p, n, (1.0, power, 1e-6, 1.0), scale, da=da, dp=dp, dn=dn)
    return out, da, dp, dn


def alignments(labels, z, scale):
    out, dz = np.empty(len(z), z.dtype), np.empty_like(z)
    ctc.ctc(labels, z, 0, out=out, scale=scale, dy=dz)
    return out, dz


def families(rng, dtype):
    """(module whose build is exchanged, function, arguments whose first axis is that of the samples)"""
    for shape in SHAPES:
        scale = np.full(shape[0], 0.37, dtype)
        t, p, n = shares(rng, shape, dtype, 3)
        for formula in ref_element.FORMULAS:
            yield loss, lambda *a, f=formula: elements(f, *a), (t, p, scale)
        for formula in ref_row.FORMULAS:
            yield row_loss, lambda *a, f=formula: rows(f, *a), (t, p, scale)
        for formula in ref_pair.FORMULAS:
            yield pair_loss, lambda *a, f=formula: pairs(f, *a), (t, p, n, scale)
        for power in (1.0, 2.0, 3.0):
            yield pair_loss, lambda *a, q=power: triplets(q, *a), (t, p, n, scale)
    labels = rng.integers(0, 9, (6, 21)).astype("int32")
    yield ctc, alignments, (labels, rng.normal(size=(6, 60, 9)).astype(dtype), np.full(6, 0.37, dtype))


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_bits_do_not_depend_on_threads_build_and_batch(rng, dtype, same_bits):
    everything = list(families(rng, dtype))
    for module in (loss, row_loss, pair_loss, ctc):
        cases = [(function, arguments) for one, function, arguments in everything if one is module]
        same_bits(module, lambda: [array for function, arguments in cases for array in function(*arguments)])  # noqa: B023
    for _, function, arguments in everything:
        alone = function(*(a[2:3].copy() for a in arguments))
        for one, whole in zip(alone, function(*arguments), strict=True):
            assert one.tobytes() == whole[2:3].tobytes()


def test_no_samples():
    none, empty = np.empty((0, 3)), np.empty(0)
    element_loss.element_loss("squared", none, none, (), out=empty)
    element_loss.element_loss_grad("squared", none, none, (), empty, out=none)
    row_loss.row_loss("cosine", none, none, (), None, out=empty, scale=empty, dy=none)
    pair_loss.pair_loss("gaussian", none, none, none, (0.1, 0.0), out=empty)
    pair_loss.pair_loss_grad("contrastive", empty, none, none, (0.1,), empty, da=none, db=none)
    pair_loss.triplet_margin(none, none, none, (1.0, 2.0, 0.0, 0.0), out=empty)
    pair_loss.triplet_margin_grad(none, none, none, (1.0, 2.0, 0.0, 0.0), empty, da=none, dp=none, dn=none)
    ctc.ctc(np.empty((0, 2), "int32"), np.empty((0, 4, 3)), 0, out=empty)


@pytest.mark.parametrize("kernels", ("cpu", "reference"))
def test_ctc_by_hand(kernels):
    """Two frames, labels "1": the alignments 11, 01, 10. Labels "1 1" need three; no labels: only blanks."""
    kernel = ctc.ctc if kernels == "cpu" else ref_ctc.ctc
    p = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    out, dz = np.empty(3), np.empty((3, 2, 3))
    labels = np.array([[1, 0], [1, 1], [0, 0]], "int32")
    kernel(labels, np.log([p] * 3), 0, out=out, scale=np.ones(3), dy=dz)
    one = 0.5 * 0.1 + 0.2 * 0.1 + 0.5 * 0.6
    np.testing.assert_allclose(out, [-np.log(one), np.inf, -np.log(0.2 * 0.6)], rtol=1e-14)
    share = np.array([[0.02, 0.35, 0], [0.3, 0.07, 0]]) / one
    np.testing.assert_allclose(dz[0], p - share, rtol=1e-13, atol=1e-15)
    assert not dz[1].any()
    np.testing.assert_allclose(dz[2], p - [[1, 0, 0], [1, 0, 0]], rtol=1e-13)


def test_wrong_calls_raise():
    p, out = np.zeros((4, 3), "float32"), np.zeros(4, "float32")
    with pytest.raises(ValueError, match=r"element_loss: y_true must have shape \(4, 3\), got \(4,\)"):
        element_loss.element_loss("squared", out, p, (), out=out)
    with pytest.raises(KeyError):
        element_loss.element_loss("cubed", p, p, (), out=out)
    with pytest.raises(ValueError, match=r"row_loss: weights must have shape \(2, 3\), got \(3,\)"):
        row_loss.row_loss("weighted_binary", p, p, (), np.ones(3, "float32"), out=out)
    with pytest.raises(TypeError, match="row_loss: weights must be a NumPy array, got NoneType"):
        row_loss.row_loss("focal", p, p, (2.0, 0.0), None, out=out)
    with pytest.raises(ValueError, match=r"row_loss: y_pred must be \(N, \.\.\., C\) with at least one number a row"):
        row_loss.row_loss("cosine", out, out, (), None, out=out)
    with pytest.raises(ValueError, match=r"row_loss_grad: scale must have shape \(4,\), got \(3,\)"):
        row_loss.row_loss_grad("cosine", p, p, (), None, out[:3], out=p.copy())
    with pytest.raises(ValueError, match=r"pair_loss: b must have shape \(4, 3\), got \(4,\)"):
        pair_loss.pair_loss("gaussian", p, p, out, (0.1, 0.0), out=out)
    with pytest.raises(ValueError, match=r"pair_loss: y_true must have shape \(4,\), got \(4, 3\)"):
        pair_loss.pair_loss("contrastive", p, p, p, (1.0,), out=out)
    with pytest.raises(ValueError, match=r"triplet_margin_grad: dn must have shape \(4, 3\), got \(4,\)"):
        pair_loss.triplet_margin_grad(p, p, p, (1.0, 2.0, 0.0, 0.0), out, da=p.copy(), dp=p.copy(), dn=out)
    with pytest.raises(ValueError, match=r"a must be .* with at least one number a sample"):
        pair_loss.triplet_margin(p[:, :0].copy(), p, p, (1.0, 2.0, 0.0, 0.0), out=out)
    z, labels = np.zeros((4, 5, 3), "float32"), np.zeros((4, 2), "int32")
    with pytest.raises(ValueError, match=r"ctc: y_pred must be logits \(N, frames, classes\)"):
        ctc.ctc(labels, p, 0, out=out)
    with pytest.raises(ValueError, match=r"ctc: labels must be \(4, U\), a row a sample, got \(3, 2\)"):
        ctc.ctc(labels[:3], z, 0, out=out)
    with pytest.raises(ValueError, match="ctc: blank must be a class, 0 to 2, got 3"):
        ctc.ctc(labels, z, 3, out=out)
    with pytest.raises(ValueError, match="ctc: labels must be 0 to 2, got 7 in sample 0"):
        ctc.ctc(labels + np.int32(7), z, 0, out=out)
    with pytest.raises(TypeError, match="ctc: labels must be int32, got int64"):
        ctc.ctc(labels.astype("int64"), z, 0, out=out)
    assert set(lib.ELEMENT_LOSSES) >= set(ref_element.FORMULAS)
    assert set(lib.ROW_LOSSES) == set(ref_row.FORMULAS) and set(lib.PAIR_LOSSES) == set(ref_pair.FORMULAS)
