"""Losses of elements, rows, pairs and triplets, and CTC, on the stand-in against the reference."""

import numpy as np
import pytest

from npdl.kernels.cuda import ctc, element_loss, loss, pair_loss, row_loss, triplets
from npdl.kernels.cuda.element_formulas import FORMULAS as ELEMENTS
from npdl.kernels.reference.element_loss import FORMULAS as TABLE
from npdl.kernels.reference.pair_loss import FORMULAS as PAIRS
from npdl.kernels.reference.row_loss import FORMULAS as ROWS

RNG = np.random.default_rng(0)
SCALE = np.array([0.5, 0, 1], "float32")


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


def shares(*shape):
    p = RNG.random(shape).astype("float32") + np.float32(1e-2)
    return p / p.sum(-1, keepdims=True)


def either(*shape):
    return (RNG.random(shape) < 0.5).astype("float32")


SHARES = ("kl_divergence", "generalized", "kl_logarithms", "binary_focal", "squared_logarithmic", "percentage")
PLAIN = ("huber", "smooth_l1", "squared", "absolute", "log_cosh", "quantile")
CONSTANTS = {
    "huber": (0.7,), "smooth_l1": (0.7,), "quantile": (0.3,), "poisson": (1e-3, 1), "poisson_log": (0, 1),
    "kl_divergence": (7,), "kl_logarithms": (0,), "generalized": (7, 0.7), "hinge_embedding": (0.5,),
    "contrastive_distance": (0.8,), "binary_focal_logits": (0.1, 2, 0.25, 0.75), "binary_focal": (0.1, 2, 0.25, 0.75),
}  # fmt: skip


def element_inputs(formula, *shape):
    if formula in ("poisson", "poisson_log"):
        return 3 * np.abs(floats(*shape)), np.abs(floats(*shape)) + np.float32(0.1)
    if formula in SHARES:
        return shares(*shape), np.float32(0.9) * shares(*shape)  # not 1, near which float32 is coarse
    if formula in (*PLAIN, "soft_margin"):
        return floats(*shape), floats(*shape)
    return either(*shape), floats(*shape)


def test_every_formula_is_here():
    assert set(ELEMENTS) == {*TABLE, "binary", "binary_logits"}


@pytest.mark.parametrize("formula", TABLE)
def test_elements(compare, formula):
    for shape in ((3, 1), (3, 300)):
        t, y = element_inputs(formula, *shape)
        given = formula, t, y, CONSTANTS.get(formula, ())
        compare("element_loss", "element_loss", *given, out={"out": (3,)}, rtol=2e-5, atol=1e-6)
        compare("element_loss", "element_loss_grad", *given, SCALE, out={"out": shape}, rtol=1e-4, atol=1e-6)


def test_logarithms_as_targets(compare):
    t, y = np.log(shares(3, 7)), np.log(shares(3, 7))
    compare("element_loss", "element_loss", "kl_logarithms", t, y, (1,), out={"out": (3,)}, rtol=2e-5)
    compare("element_loss", "element_loss_grad", "kl_logarithms", t, y, (1,), SCALE, out={"out": (3, 7)}, rtol=2e-5)


def test_not_a_number_stays(device):
    t, y, ones = device.from_host(shares(1, 2)), np.array([[np.nan, 0.5]], "float32"), np.ones(1, "float32")
    for formula in TABLE:
        if formula == "kl_logarithms":
            continue  # its derivative does not depend on p
        out = device.alloc((1, 2), "float32")
        four = (*CONSTANTS.get(formula, ()), 0.0, 0.0, 0.0, 0.0)[:4]
        element_loss.element_loss_grad(formula, t, device.from_host(y), four, device.from_host(ones), out=out)
        np.testing.assert_array_equal(np.isnan(device.to_host(out)), [[True, False]], err_msg=formula)


ROW_CONSTANTS = {
    "multi_margin": (1, 0.8), "focal_logits": (2.0, 0.1), "focal": (2.0, 0.1), "tversky": (0.3, 0.7, 1e-3),
}  # fmt: skip


@pytest.mark.parametrize("formula", ROWS)
def test_rows(compare, formula):
    for shape in ((3, 1), (3, 7), (3, 2, 40), (3, 300)):
        y = floats(*shape) if formula not in ("focal", "tversky") else shares(*shape)
        t = shares(*shape) if formula in ("focal", "focal_logits", "cosine", "categorical_hinge") else either(*shape)
        weights = {"multi_margin": (shape[-1],), "weighted_binary": (2, shape[-1])}.get(formula)
        weights = (shape[-1],) if formula.startswith("focal") else weights
        given = formula, t, y, ROW_CONSTANTS.get(formula, ()), None if weights is None else shares(*weights)
        outs = {"out": (3,), "dy": shape}
        compare("row_loss", "row_loss", *given, out=outs, scale=SCALE, rtol=2e-5, atol=2e-6)
        compare("row_loss", "row_loss_grad", *given, SCALE, out={"out": shape}, rtol=5e-5, atol=2e-6)


def test_squared_margins_without_weights(compare):
    t, y = np.eye(7, dtype="float32")[[3, 0, 6]], floats(3, 7)
    compare("row_loss", "row_loss", "multi_margin", t, y, (2, 1.0), None, out={"out": (3,)}, rtol=1e-5)
    given = "multi_margin", np.zeros_like(t), y, (2, 1.0), None, np.ones(3, "float32")
    compare("row_loss", "row_loss_grad", *given, out={"out": (3, 7)}, rtol=1e-5)


PAIR_CONSTANTS = {
    "margin_ranking": (0.3,), "gaussian": (1e-3, 0.9), "cosine_embedding": (0.2,), "contrastive": (3.0,),
}  # fmt: skip


@pytest.mark.parametrize("formula", PAIRS)
def test_pairs(compare, formula):
    for shape in ((3, 1), (3, 5, 7), (3, 300)):
        a, b = floats(*shape), floats(*shape)
        if formula == "gaussian":
            b = np.abs(b)
            b[0, 0] = 0
        t = floats(*shape) if formula in pair_loss.WHOLE else np.array([1, 0, 0], "float32")
        if formula == "margin_ranking":
            t = np.sign(t)
        given = formula, t, a, b, PAIR_CONSTANTS[formula]
        compare("pair_loss", "pair_loss", *given, out={"out": (3,)}, rtol=2e-5, atol=2e-6)
        for scale in (SCALE, SCALE[::-1].copy()):
            compare("pair_loss", "pair_loss_grad", *given, scale, out={"da": shape, "db": shape}, rtol=5e-5, atol=5e-6)


@pytest.mark.parametrize(
    "constants", ((1.0, 2.0, 1e-6, 0), (3.0, 2.0, 1e-6, 1), (3.0, 1.0, 0.0, 1), (0.5, 3.0, 1e-6, 1))
)
def test_triplet_margin(compare, constants):
    for shape in ((3, 1), (3, 5, 7), (3, 300)):
        arrays = floats(*shape), floats(*shape), floats(*shape)
        compare("pair_loss", "triplet_margin", *arrays, constants, out={"out": (3,)}, rtol=2e-5, atol=1e-5)
        outs = {"da": shape, "dp": shape, "dn": shape}
        compare("pair_loss", "triplet_margin_grad", *arrays, constants, SCALE, out=outs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("root, factor", ((True, 1.0), (False, 0.5)))
@pytest.mark.parametrize("n, kinds", ((1, 1), (5, 2), (6, 1), (35, 4)))
def test_semi_hard(compare, root, factor, n, kinds):
    e, labels = floats(n, 3), RNG.integers(0, kinds, n)
    scale = RNG.random(n).astype("float32") * (np.arange(n) != 1)
    given = labels.astype("int32"), e, 0.7, root, factor
    compare("triplets", "semi_hard", *given, out={"out": (n,)}, rtol=2e-5, atol=1e-5)
    compare("triplets", "semi_hard_grad", *given, scale, out={"out": e.shape}, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n, kinds, diagonal", ((1, 1, True), (5, 2, False), (6, 1, True), (35, 4, False)))
def test_circle(compare, n, kinds, diagonal):
    e, labels = floats(n, 3), RNG.integers(0, kinds, n)
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    scale = RNG.random(n).astype("float32") * (np.arange(n) != 1)
    given = labels.astype("int32"), e @ e.T, 7.0, 0.3, diagonal
    compare("triplets", "circle", *given, out={"out": (n,)}, rtol=2e-5, atol=1e-5)
    compare("triplets", "circle_grad", *given, scale, out={"out": (n, n)}, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples, frames, classes, width", ((3, 1, 2, 1), (3, 9, 5, 3), (3, 40, 300, 7), (3, 5, 4, 0)))
def test_ctc(compare, samples, frames, classes, width):
    blank = classes - 1
    labels = RNG.integers(0, classes, (samples, width))
    if width:
        labels[0] = 0  # the same again and again: blanks between
        labels[1] = blank  # none
    z = floats(samples, frames, classes)
    given = labels.astype("int32"), z, blank
    outs = {"out": (samples,), "dy": z.shape}
    # of 40 frames ln α is near −230, where the neighbours of a float32 are 1.5e-5 apart
    compare("ctc", "ctc", *given, out=outs, scale=np.ones(samples, "float32"), rtol=3e-4, atol=1e-5)
    compare("ctc", "ctc_grad", *given, SCALE, out={"out": z.shape}, rtol=3e-4, atol=1e-5)


def test_alignments_in_many_threads(compare):
    """More states than threads."""
    labels = RNG.integers(0, 4, (2, 90)).astype("int32")
    compare("ctc", "ctc", labels, floats(2, 200, 5), 4, out={"out": (2,)}, rtol=2e-5)


@pytest.mark.parametrize(
    "error, message, call",
    (
        (ValueError, "mean_squared_error: y_true must", lambda o: loss.mean_squared_error(o(2, 3), o(2, 4), out=o(2))),
        (ValueError, "mean_absolute_error: out must", lambda o: loss.mean_absolute_error(o(2, 3), o(2, 3), out=o(3))),
        (ValueError, "huber_grad: scale must", lambda o: loss.huber_grad(o(2, 3), o(2, 3), 1.0, o(3), out=o(2, 3))),
        (ValueError, "at least one element a sample", lambda o: loss.huber(o(2, 0), o(2, 0), 1.0, out=o(2))),
        (ValueError, "weighted_sum: weights must", lambda o: loss.weighted_sum(o(2), o(3), out=o(1))),
        (
            ValueError, "categorical_cross_entropy: y_true must",
            lambda o: loss.categorical_cross_entropy(o(2, 3), o(2, 4), True, 0.0, out=o(2)),
        ),
        (
            ValueError, r"y_pred must be \(N, ..., classes\) with at least one class",
            lambda o: loss.categorical_cross_entropy(o(2), o(2), True, 0.0, out=o(2)),
        ),
        (
            ValueError, "categorical_cross_entropy: dy must",
            lambda o: loss.categorical_cross_entropy(o(2, 3), o(2, 3), True, 0.0, out=o(2), scale=o(2), dy=o(2, 4)),
        ),
        (
            ValueError, "categorical_cross_entropy_grad: scale must",
            lambda o: loss.categorical_cross_entropy_grad(o(2, 3), o(2, 3), True, 0.0, o(3), out=o(2, 3)),
        ),
        (
            TypeError, "labels must be int32 or int64, got float32; convert them by astype",
            lambda o: loss.sparse_categorical_cross_entropy(o(2), o(2, 4), True, out=o(2)),
        ),
        (
            ValueError, "sparse_categorical_cross_entropy: labels must",
            lambda o: loss.sparse_categorical_cross_entropy(o(3), o(2, 4), True, out=o(2)),
        ),
        (
            ValueError, "element_loss: y_true must",
            lambda o: element_loss.element_loss("squared", o(2, 3), o(2, 4), (), out=o(2)),
        ),
        (
            ValueError, r"y_pred must be \(N, ..., C\)",
            lambda o: row_loss.row_loss("cosine", o(2), o(2), (), None, out=o(2)),
        ),
        (
            ValueError, "row_loss: weights must",
            lambda o: row_loss.row_loss("focal", o(2, 3), o(2, 3), (2, 0), o(2), out=o(2)),
        ),
        (
            ValueError, "row_loss: weights must have shape .*, got None",
            lambda o: row_loss.row_loss("focal", o(2, 3), o(2, 3), (2, 0), None, out=o(2)),
        ),
        (
            ValueError, "pair_loss: y_true must",
            lambda o: pair_loss.pair_loss("contrastive", o(3), o(2, 3), o(2, 3), (1,), out=o(2)),
        ),
        (
            ValueError, "triplet_margin: p must",
            lambda o: pair_loss.triplet_margin(o(2, 3), o(2, 4), o(2, 3), (1, 2, 0, 0), out=o(2)),
        ),
        (
            ValueError, "at least one number a sample",
            lambda o: pair_loss.pair_loss("contrastive", o(3), o(3, 0), o(3, 0), (1,), out=o(3)),
        ),
        (ValueError, "semi_hard: labels must", lambda o: triplets.semi_hard(o(3), o(2, 3), 1.0, True, 1.0, out=o(2))),
        (ValueError, "circle: s must", lambda o: triplets.circle(o(2), o(2, 3), 1.0, 0.4, False, out=o(2))),
        (ValueError, r"labels must be \(2, U\), a row a sample", lambda o: ctc.ctc(o(3, 2), o(2, 3, 4), 0, out=o(2))),
        (ValueError, "blank must be a class, 0 to 3, got 4", lambda o: ctc.ctc(o(2, 2), o(2, 3, 4), 4, out=o(2))),
        (ValueError, "y_pred must be logits", lambda o: ctc.ctc(o(2, 2), o(2, 3), 0, out=o(2))),
    ),
)  # fmt: skip
def test_wrong_calls(device, error, message, call):
    with pytest.raises(error, match=message):
        call(lambda *shape: device.zeros(shape, "float32"))
