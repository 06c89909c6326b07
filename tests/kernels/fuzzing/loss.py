"""Random losses."""

import numpy as np

from fuzzing.case import reference_of, wide
from npdl.kernels.cpu import ctc, element_loss, loss, pair_loss, power, rounding, row_loss, triplets
from npdl.kernels.reference import ctc as ref_ctc
from npdl.kernels.reference import element_loss as ref_element_loss
from npdl.kernels.reference import loss as ref_loss
from npdl.kernels.reference import pair_loss as ref_pair_loss
from npdl.kernels.reference import power as ref_power
from npdl.kernels.reference import rounding as ref_rounding
from npdl.kernels.reference import row_loss as ref_row_loss
from npdl.kernels.reference import triplets as ref_triplets


def loss_shape(case):
    return case.note(shape=(case.whole(1, 40), *(case.size(90) for _ in range(case.whole(0, 2)))))


def loss_scale(case, n):
    """The weights of n samples, some of them 0."""
    return case.place((case.shares(n) * (case.rng.random(n) < 0.8)).astype(case.dtype))


def check_loss(case, name, arguments, shape, top):
    """A loss and its gradient; `arguments(dtype)` are those of both."""
    samples, count = shape[0], int(np.prod(shape[1:]))
    out, dp, scale = case.out(samples), case.out(*shape), loss_scale(case, samples)
    case.run(getattr(loss, name), *arguments(case.dtype), out=out)
    case.run(getattr(loss, f"{name}_grad"), *arguments(case.dtype), scale, out=dp)
    expected = reference_of(getattr(ref_loss, name), {"out": samples}, *arguments("float64"))["out"]
    case.close("loss", out, expected, 64, max(abs(expected).max(), top))
    gradient = getattr(ref_loss, f"{name}_grad")
    expected = reference_of(gradient, {"out": shape}, *arguments("float64"), *wide(scale))["out"]
    case.close("gradient", dp, expected, count, max(abs(expected).max(), top / count))
    if (dp[scale == 0] != 0).any():
        case.fail("the gradient of a sample of weight 0 is not 0")


def fuzz_elementwise_loss(case):
    name, shape = case.kernel.removesuffix("_grad"), loss_shape(case)
    t, p, extra = case.numbers(*shape), case.numbers(*shape), ()
    if name == "huber":
        extra = (case.pick(0.5, 1.0),)
    if name == "binary_cross_entropy":
        logits = bool(case.whole(0, 1))
        t, p = case.shares(*shape), case.numbers(*shape, scale=5) if logits else case.place(case.shares(*shape) * 0.999)
        extra = (logits, case.pick(0.0, 0.1))
    case.note(extra=extra)
    top = max(abs(t).max(), abs(p).max()) ** 2
    check_loss(case, name, lambda dtype: (t.astype(dtype), p.astype(dtype), *extra), shape, top)


def fuzz_element_loss(case):
    """Every formula, on numbers that each can take: t and p from 0.001 to 1."""
    shape, formula = loss_shape(case), case.pick(*ref_element_loss.FORMULAS)
    t, p, scale = case.shares(*shape), case.place(case.shares(*shape) * 0.999), loss_scale(case, shape[0])
    constants = {
        "huber": (0.5,), "smooth_l1": (0.25,), "quantile": (0.3,), "poisson": (0.01, 1.0), "poisson_log": (0.0, 1.0),
        "kl_divergence": (3.0,), "generalized": (3.0, 0.7), "hinge_embedding": (0.4,), "contrastive_distance": (0.4,),
        "binary_focal_logits": (0.1, 1.7, 0.3, 0.7), "binary_focal": (0.1, 1.7, 0.3, 0.7),
        "kl_logarithms": (float(case.pick(0, 1)),),
    }.get(case.note(formula=formula), ())  # fmt: skip
    out, dp, count = case.out(shape[0]), case.out(*shape), int(np.prod(shape[1:]))
    case.run(element_loss.element_loss, formula, t, p, constants, out=out)
    case.run(element_loss.element_loss_grad, formula, t, p, constants, scale, out=dp)
    value, slope = ref_element_loss.element_loss, ref_element_loss.element_loss_grad
    expected = reference_of(value, {"out": shape[:1]}, formula, *wide(t, p), constants)["out"]
    case.close("loss", out, expected, 64, max(abs(expected).max(), 10))
    expected = reference_of(slope, {"out": shape}, formula, *wide(t, p), constants, *wide(scale))["out"]
    case.close("gradient", dp, expected, 8, max(abs(expected).max(), 10 / count))
    if (dp[scale == 0] != 0).any():
        case.fail("the gradient of a sample of weight 0 is not 0")


fuzz_element_loss_grad = fuzz_element_loss


def fuzz_row_loss(case):
    """Every formula of rows; t and p from 0.001 to 1, so that no kink of a hinge is near."""
    shape, formula = (*loss_shape(case), case.size(90)), case.pick(*ref_row_loss.FORMULAS)
    t, p, scale = case.shares(*shape), case.shares(*shape), loss_scale(case, shape[0])
    if formula == "multi_label_margin":
        t = case.place((t > 0.6).astype(t.dtype))
    if formula in ("multi_margin", "categorical_hinge"):
        t = case.place((case.rng.integers(0, shape[-1], shape[:-1])[..., None] == np.arange(shape[-1])).astype(t.dtype))
    constants = {
        "multi_margin": (case.pick(1, 2), 1.5), "focal_logits": (1.7, 0.1), "focal": (1.7, 0.1),
        "tversky": (0.7, 0.2, 1e-3),
    }.get(case.note(formula=formula), ())  # fmt: skip
    weights = {"multi_margin": shape[-1:], "weighted_binary": (2, shape[-1])}.get(formula)
    weights = shape[-1:] if formula.startswith("focal") else weights
    weights = None if weights is None else case.shares(*weights)
    out, dp, both, again = case.out(shape[0]), case.out(*shape), case.out(shape[0]), case.out(*shape)
    case.run(row_loss.row_loss, formula, t, p, constants, weights, out=out)
    case.run(row_loss.row_loss_grad, formula, t, p, constants, weights, scale, out=dp)
    case.run(row_loss.row_loss, formula, t, p, constants, weights, out=both, scale=scale, dy=again)
    case.equal("the loss at once", both, out)
    case.equal("the gradient at once", again, dp)
    arguments = formula, *wide(t, p), constants, *wide(weights)
    expected = reference_of(ref_row_loss.row_loss, {"out": shape[:1]}, *arguments)["out"]
    top = 10 * (shape[-1] if formula == "multi_label_margin" else 1)  # which has as many terms a class
    case.close("loss", out, expected, shape[-1], max(abs(expected).max(), top))
    expected = reference_of(ref_row_loss.row_loss_grad, {"out": shape}, *arguments, *wide(scale))["out"]
    case.close("gradient", dp, expected, shape[-1], abs(expected).max() + 10)
    if (dp[scale == 0] != 0).any():
        case.fail("the gradient of a sample of weight 0 is not 0")


def fuzz_pair_loss(case):
    """Every formula of two outputs."""
    shape, formula = (*loss_shape(case), case.size(90)), case.pick(*ref_pair_loss.FORMULAS)
    a, b, scale = case.numbers(*shape), case.shares(*shape), loss_scale(case, shape[0])
    t = case.shares(*(shape if formula in pair_loss.WHOLE else shape[:1]))
    if formula == "cosine_embedding":
        t = case.place(np.sign(t - 0.5).astype(t.dtype))
    constants = (0.01, 0.9) if case.note(formula=formula) == "gaussian" else (-1.5,) if "cosine" in formula else (40.0,)
    out, da, db = case.out(shape[0]), case.out(*shape), case.out(*shape)
    case.run(pair_loss.pair_loss, formula, t, a, b, constants, out=out)
    case.run(pair_loss.pair_loss_grad, formula, t, a, b, constants, scale, da=da, db=db)
    arguments = formula, *wide(t, a, b), constants
    expected = reference_of(ref_pair_loss.pair_loss, {"out": shape[:1]}, *arguments)["out"]
    case.close("loss", out, expected, a[0].size, max(abs(expected).max(), 10))
    slopes = reference_of(ref_pair_loss.pair_loss_grad, {"da": shape, "db": shape}, *arguments, *wide(scale))
    for name, got in (("da", da), ("db", db)):
        case.close(name, got, slopes[name], a[0].size, abs(slopes[name]).max() + 100)
        if (got[scale == 0] != 0).any():
            case.fail("the gradient of a sample of weight 0 is not 0")


def fuzz_triplet_margin(case):
    shape = (*loss_shape(case), case.size(90))
    a, p, n, scale = *(case.numbers(*shape) for _ in range(3)), loss_scale(case, shape[0])
    constants = case.note(constants=(100.0, case.pick(1.0, 2.0, 3.0), 1e-3, 0.0))
    out, da, dp, dn = case.out(shape[0]), *(case.out(*shape) for _ in range(3))
    case.run(pair_loss.triplet_margin, a, p, n, constants, out=out)
    case.run(pair_loss.triplet_margin_grad, a, p, n, constants, scale, da=da, dp=dp, dn=dn)
    arguments = *wide(a, p, n), constants
    expected = reference_of(ref_pair_loss.triplet_margin, {"out": shape[:1]}, *arguments)["out"]
    case.close("loss", out, expected, a[0].size, 100 + 4 * a[0].size)
    outs = dict.fromkeys(("da", "dp", "dn"), shape)
    slopes = reference_of(ref_pair_loss.triplet_margin_grad, outs, *arguments, *wide(scale))
    for name, got in (("da", da), ("dp", dp), ("dn", dn)):
        case.close(name, got, slopes[name], a[0].size, 10)


def fuzz_semi_hard(case):
    """On a grid of places, so that no distance is nearly another one, with a margin that none is near."""
    shape = case.note(shape=(case.whole(1, 12), case.size(40)))
    e = case.place(case.rng.permutation(np.arange(shape[0] * shape[1]) % 97).reshape(shape).astype(case.dtype) ** 2)
    labels = case.place(case.rng.integers(0, case.pick(1, 2, 4), shape[0]).astype("int32"))
    root, scale, out, de = bool(case.whole(0, 1)), loss_scale(case, shape[0]), case.out(shape[0]), case.out(*shape)
    case.note(root=root)
    case.run(triplets.semi_hard, labels, e, 0.3, root, 0.5, out=out)
    case.run(triplets.semi_hard_grad, labels, e, 0.3, root, 0.5, scale, out=de)
    arguments = labels, *wide(e), 0.3, root, 0.5
    expected = reference_of(ref_triplets.semi_hard, {"out": shape[:1]}, *arguments)["out"]
    far = np.abs(np.subtract.outer(e.astype("float64"), e)).max() ** (1 if root else 2) * shape[1] * shape[0] * 4
    case.close("loss", out, expected, shape[0] * shape[1], max(abs(expected).max(), far))
    expected = reference_of(ref_triplets.semi_hard_grad, {"out": shape}, *arguments, *wide(scale))["out"]
    case.close("gradient", de, expected, shape[0] * shape[1], far + 10)


def fuzz_circle(case):
    n, diagonal = case.note(n=case.whole(0, 40)), bool(case.whole(0, 1))
    labels = case.place(case.rng.integers(0, case.pick(1, 2, 4), n).astype("int32"))
    s = case.place(case.rng.uniform(-1, 1.01, (n, n)).astype(case.dtype))
    given, scale, out, ds = (4.0, 0.3, diagonal), loss_scale(case, n), case.out(n), case.out(n, n)
    case.note(diagonal=diagonal)
    case.run(triplets.circle, labels, s, *given, out=out)
    case.run(triplets.circle_grad, labels, s, *given, scale, out=ds)
    expected = reference_of(ref_triplets.circle, {"out": (n,)}, labels, *wide(s), *given)["out"]
    case.close("loss", out, expected, n + 40, 10 * (n + 1))
    expected = reference_of(ref_triplets.circle_grad, {"out": (n, n)}, labels, *wide(s), *given, *wide(scale))["out"]
    case.close("gradient", ds, expected, n + 40, 10 * (n + 1))


fuzz_semi_hard_grad, fuzz_circle_grad = fuzz_semi_hard, fuzz_circle


def fuzz_power(case):
    shape, p = case.note(shape=(case.whole(0, 4), case.size(2000))), case.pick(1, 2, 0.5, 3, 10, 1.7, -0.75)
    x, dy, out, dx = case.shares(*shape), case.numbers(*shape), case.out(*shape), case.out(*shape)
    x *= np.where(case.rng.uniform(size=shape) < 0.5, -1, 1).astype(x.dtype)
    if case.note(exponent=p) > 0:
        x[case.rng.uniform(size=shape) < 0.1] = 0
    case.run(power.power, x, p, out=out)
    case.run(power.power_grad, dy, x, p, out=dx)
    with np.errstate(divide="ignore"):
        expected = reference_of(ref_power.power, {"out": shape}, *wide(x), p)["out"]
        slope = reference_of(ref_power.power_grad, {"out": shape}, *wide(dy, x), p)["out"]
    case.close("y", out, expected, 8)
    case.close("dx", dx, slope, 8)


fuzz_power_grad = fuzz_power


def fuzz_rounding(case, kernel):
    shape = case.note(shape=(case.whole(0, 4), case.size(3000)))
    x, out = case.numbers(*shape, scale=case.pick(1e-7, 1e-4, 1, 3e4)), case.out(*shape)
    case.run(getattr(rounding, kernel), x, out=out)
    case.equal("out", out, reference_of(getattr(ref_rounding, kernel), {"out": shape}, x)["out"].astype(case.dtype))


def fuzz_ctc(case):
    samples, frames, classes, width = case.whole(1, 4), case.size(40), case.whole(2, 20), case.whole(0, 12)
    case.note(shape=(samples, frames, classes), width=width)
    labels = case.place(case.rng.integers(0, classes, (samples, width)).astype("int32"))
    z, scale, out = case.numbers(samples, frames, classes, scale=3), loss_scale(case, samples), case.out(samples)
    dz, both, again = case.out(*z.shape), case.out(samples), case.out(*z.shape)
    case.run(ctc.ctc, labels, z, 0, out=out)
    case.run(ctc.ctc_grad, labels, z, 0, scale, out=dz)
    case.run(ctc.ctc, labels, z, 0, out=both, scale=scale, dy=again)
    case.equal("the loss at once", both, out)
    case.equal("the gradient at once", again, dz)
    with np.errstate(invalid="ignore"):
        expected = reference_of(ref_ctc.ctc, {"out": (samples,)}, labels, *wide(z), 0)["out"]
        slope = reference_of(ref_ctc.ctc_grad, {"out": z.shape}, labels, *wide(z), 0, *wide(scale))["out"]
    if not np.array_equal(np.isinf(out), np.isinf(expected)):
        case.fail("infinite at other samples")
    live = np.isfinite(expected)
    case.close("loss", out[live], expected[live], frames * frames, max(abs(expected[live]).max(initial=0), 10))
    case.close("gradient", dz, slope, frames * frames, max(abs(expected[live]).max(initial=0), 10))


fuzz_row_loss_grad, fuzz_pair_loss_grad, fuzz_triplet_margin_grad, fuzz_ctc_grad = (
    fuzz_row_loss, fuzz_pair_loss, fuzz_triplet_margin, fuzz_ctc,
)  # fmt: skip


def fuzz_cross_entropy(case):
    shape, logits = (*loss_shape(case), case.size(90)), bool(case.whole(0, 1))
    case.note(shape=shape, from_logits=logits)
    p = case.numbers(*shape, scale=5) if logits else case.shares(*shape)
    if "sparse" in case.kernel:
        labels = case.rng.integers(0, shape[-1], shape[:-1]).astype(case.pick("int32", "int64"))
        name, rest = "sparse_categorical_cross_entropy", lambda dtype: (labels, p.astype(dtype), logits)
        logits = case.note(from_logits=case.pick(logits, None))
    else:
        t, smoothing = case.shares(*shape), case.note(smoothing=case.pick(0.0, 0.1))
        t /= t.sum(axis=-1, keepdims=True)
        name, rest = "categorical_cross_entropy", lambda dtype: (t.astype(dtype), p.astype(dtype), logits, smoothing)
    check_loss(case, name, rest, shape, 40)


def fuzz_weighted_sum(case):
    n = case.note(n=case.whole(0, 1) * case.size(3000))
    values, weights, out = case.numbers(n), loss_scale(case, n), case.out(1, dtype="float64")
    values[weights == 0] = np.nan
    case.run(loss.weighted_sum, values, weights, out=out)
    live = weights != 0
    terms = values[live].astype("float64") * weights[live]
    if not abs(out[0] - terms.sum()) <= 1e-15 * (n + 8) * (abs(terms).sum() + 1e-30):
        case.fail(f"out is {out[0]!r}, expected {terms.sum()!r}")
