"""What holds for every loss: its gradient by central differences, weights, dtypes, devices, threads, configs."""

import copy

import numpy as np
import pytest

from npdl import devices, losses, testing
from npdl.kernels.cpu import build

ROWS = ((1, 3), (5, 2), (4, 1), (3, 2, 4), (2, 3, 2, 2))
CLASSES = ((1, 3), (5, 2), (3, 2, 4), (4, 7))


def numbers(rng, shape):
    return rng.normal(size=shape)


def counts(rng, shape):
    return rng.integers(0, 5, shape).astype("float64")


def above_zero(rng, shape):
    return rng.uniform(0.2, 3, shape)


def yes_no(rng, shape):
    return rng.integers(0, 2, shape).astype("float64")


def signs(rng, shape):
    return 2 * yes_no(rng, shape) - 1


def shares(rng, shape):
    return rng.uniform(0.05, 0.95, shape)


def labels(rng, shape):
    return rng.integers(0, shape[-1], shape[:-1])


def labels_and_ignored(rng, shape):
    return np.where(rng.uniform(size=shape[:-1]) < 0.3, -1, labels(rng, shape))


def one_hot(rng, shape):
    return np.eye(shape[-1])[labels(rng, shape)]


def a_sign_a_sample(rng, shape):
    return signs(rng, shape[:1])


def alike(rng, shape):
    return yes_no(rng, (shape[0], 1))


def nothing(rng, shape):
    return np.zeros(shape[0])


def pair(rng, shape):
    return rng.normal(size=shape), rng.normal(size=shape)


def mean_and_variance(rng, shape):
    return rng.normal(size=shape), rng.uniform(0.3, 2, shape)


def triplet(rng, shape):
    return *pair(rng, shape), rng.normal(size=shape)


def label_rows(rng, shape):
    """Up to two labels, which 3 frames have room for, then 0."""
    rows = np.where(rng.uniform(size=(shape[0], 3)) < 0.3, 0, rng.integers(1, shape[-1], (shape[0], 3)))
    rows[:, 2] = 0
    rows[rows[:, 0] == 0] = 0
    return rows


WEIGHTS = [0.5, 2.0, 1.0, 0.0, 3.0]
FIVE = ((1, 5), (6, 5), (3, 2, 5))
CASES = {
    "smooth l1": (losses.SmoothL1Loss(0.6), numbers, numbers, ROWS),
    "smooth l1, beta 0": (losses.SmoothL1Loss(0), numbers, numbers, ROWS),
    "log cosh": (losses.LogCosh(), numbers, numbers, ROWS),
    "msle": (losses.MeanSquaredLogarithmicError(), above_zero, above_zero, ROWS),
    "mape": (losses.MeanAbsolutePercentageError(), above_zero, numbers, ROWS),
    "quantile": (losses.Quantile(0.3), numbers, numbers, ROWS),
    "poisson": (losses.Poisson(), counts, above_zero, ROWS),
    "poisson nll": (losses.PoissonNLLLoss(full=True), counts, numbers, ROWS),
    "poisson nll of means": (losses.PoissonNLLLoss(False, eps=0.1), counts, above_zero, ROWS),
    "kl divergence": (losses.KLDivergence(), shares, shares, CLASSES),
    "generalized": (losses.CategoricalGeneralizedCrossEntropy(0.7), labels, shares, CLASSES),
    "kl of logarithms": (losses.KLDivLoss(), above_zero, numbers, ROWS),
    "kl of logarithms, both": (losses.KLDivLoss(True), numbers, numbers, ROWS),
    "hinge": (losses.Hinge(), yes_no, numbers, ROWS),
    "squared hinge": (losses.SquaredHinge(), signs, numbers, ROWS),
    "soft margin": (losses.SoftMarginLoss(), signs, numbers, ROWS),
    "hinge embedding": (losses.HingeEmbeddingLoss(0.8), signs, numbers, ROWS),
    "binary focal": (losses.BinaryFocalCrossentropy(True, 0.3, 1.5, False, 0.1), yes_no, shares, ROWS),
    "binary focal, logits": (losses.BinaryFocalCrossentropy(gamma=0.5, from_logits=True), shares, numbers, ROWS),
    "categorical focal": (losses.CategoricalFocalCrossentropy(WEIGHTS, 1.5, False, 0.1), one_hot, shares, FIVE),
    "categorical focal, logits": (losses.CategoricalFocalCrossentropy(0.3, 0.5, True), shares, numbers, CLASSES),
    "sparse focal": (losses.SparseCategoricalFocalCrossentropy(from_logits=True), labels, numbers, CLASSES),
    "sparse, ignored": (losses.SparseCategoricalCrossentropy(True, -1), labels_and_ignored, numbers, CLASSES),
    "sparse, ignored class": (losses.SparseCategoricalCrossentropy(False, 1), labels, shares, CLASSES),
    "nll": (losses.NLLLoss(WEIGHTS, -1), labels_and_ignored, numbers, FIVE),
    "cross-entropy": (losses.CrossEntropyLoss(WEIGHTS, -1), labels_and_ignored, numbers, FIVE),
    "cross-entropy, smooth": (losses.CrossEntropyLoss(WEIGHTS, -1, 0.2), labels_and_ignored, numbers, FIVE),
    "bce": (losses.BCEWithLogitsLoss(WEIGHTS, 2.0), shares, numbers, FIVE),
    "multi-label": (losses.MultiLabelSoftMarginLoss(), yes_no, numbers, ROWS),
    "multi-margin": (losses.MultiMarginLoss(1, 0.7, WEIGHTS), labels, numbers, FIVE),
    "multi-margin, square": (losses.MultiMarginLoss(2), labels, numbers, CLASSES),
    "multi-label margin": (losses.MultiLabelMarginLoss(), yes_no, numbers, CLASSES),
    "categorical hinge": (losses.CategoricalHinge(), one_hot, numbers, CLASSES),
    "cosine": (losses.CosineSimilarity(), numbers, numbers, CLASSES),
    "dice": (losses.Dice(), yes_no, shares, ROWS),
    "tversky": (losses.Tversky(0.7, 0.2, axis=(-1,)), shares, shares, ROWS),
    "margin ranking": (losses.MarginRankingLoss(0.4), signs, pair, ROWS),
    "gaussian": (losses.GaussianNLLLoss(True), numbers, mean_and_variance, ROWS),
    "cosine embedding": (losses.CosineEmbeddingLoss(-0.2), a_sign_a_sample, pair, CLASSES),
    "contrastive": (losses.ContrastiveLoss(2.0), alike, pair, ROWS),
    "contrastive distances": (losses.ContrastiveLoss(2.0), yes_no, above_zero, ROWS),
    "triplet": (losses.TripletMarginLoss(0.9), nothing, triplet, ROWS),
    "triplet, swap": (losses.TripletMarginLoss(0.9, swap=True), nothing, triplet, ROWS),
    "triplet, cubes": (losses.TripletMarginLoss(p=3.0), nothing, triplet, ROWS),
    "ctc": (losses.CTC(), label_rows, numbers, ((1, 3, 2), (4, 5, 3), (3, 4, 6))),
}


def each(part, function):
    """function of an array, or of each array of a tuple."""
    return tuple(map(function, part)) if isinstance(part, tuple) else function(part)


def parts(part):
    return part if isinstance(part, tuple) else (part,)


def case(name, device="cpu"):
    loss, target, output, shapes = CASES[name]
    loss = copy.copy(loss)
    loss.attach(devices.get(device))
    return loss, target, output, shapes


def host(loss, dy):
    return each(dy, lambda a: np.array(loss.device.to_host(a)))


def equal(a, b):
    assert len(parts(a)) == len(parts(b))
    for one, other in zip(parts(a), parts(b), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("device", ("cpu", "reference"))
@pytest.mark.parametrize("name", CASES)
def test_central_differences(name, device):
    loss, target, output, shapes = case(name, device)
    for number, shape in enumerate(shapes):
        rng = np.random.default_rng(number)
        t, p = target(rng, shape), output(rng, shape)
        w = rng.uniform(0.5, 2, shape[0]) if number % 2 else None
        loss.forward(t, p, w)
        dy, h = host(loss, loss.backward()), 1e-5
        for place, slope in enumerate(parts(dy)):
            numeric = np.empty(slope.shape)
            for index in np.ndindex(slope.shape):
                ends = []
                for sign in (1, -1):
                    q = each(p, np.copy)
                    parts(q)[place][index] += sign * h
                    ends.append(loss.forward(t, q, w))
                numeric[index] = (ends[0] - ends[1]) / (2 * h)
            assert np.abs(slope - numeric).max() < 1e-6 * max(1.0, np.abs(numeric).max()), shape


@pytest.mark.parametrize("name", CASES)
def test_loss_check_agrees(name):
    loss, target, output, shapes = case(name)
    rng = np.random.default_rng(12)
    t, p = target(rng, shapes[2]), output(rng, shapes[2])
    testing.loss_check(loss, t, p).raise_if_wrong()


@pytest.mark.parametrize("device", ("cpu", "reference", "strict"))
@pytest.mark.parametrize("name", CASES)
def test_dtypes_and_devices(name, device):
    loss, target, output, shapes = case(name, device)
    for shape in shapes[1:3]:
        rng = np.random.default_rng(1)
        t, p = target(rng, shape), output(rng, shape)
        before = each(p, np.copy)
        w = rng.uniform(0.5, 2, shape[0])
        wide = loss.forward(t, p, w)
        slope = host(loss, loss.backward())
        narrow = each(p, lambda a: loss.device.from_host(a.astype("float32")))
        value, at_once = loss.forward_backward(t, narrow, w)
        dy = host(loss, at_once)
        assert type(value) is float and value == pytest.approx(wide, rel=1e-4, abs=1e-6)
        assert value == loss.forward(t, narrow, w)
        equal(dy, host(loss, loss.backward()))
        for one, other in zip(parts(dy), parts(slope), strict=True):
            assert one.dtype == np.float32 and one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-5 * max(1, np.abs(other).max()))
        equal(p, before)


@pytest.mark.parametrize("device", ("cpu", "reference"))
@pytest.mark.parametrize("name", CASES)
def test_rows_of_weight_zero_change_no_bit(name, device):
    loss, target, output, shapes = case(name, device)
    for shape in shapes[-2:]:
        shape = (6, *shape[1:])
        rng = np.random.default_rng(3)
        t, p = target(rng, shape), output(rng, shape)
        w = np.array([1.0, 0.0, 2.0, 0.0, 0.5, 0.0])
        live = w != 0
        value = loss.forward(t, p, w)
        dy = host(loss, loss.backward())
        other = t.copy()
        other[~live] = target(np.random.default_rng(99), (3, *shape[1:]))
        for odd in (1e30, -1e30, 0.0):
            wild = each(p, np.copy)
            for part in parts(wild):
                part[~live] = odd
            with np.errstate(all="ignore"):  # the value of such a row may be anything; it is not used
                assert loss.forward(other, wild, w) == value
                equal(host(loss, loss.backward()), dy)
        some = tuple(part[live] for part in p) if isinstance(p, tuple) else p[live]
        assert value == pytest.approx(loss.forward(t[live], some, w[live]), rel=1e-14)
        alone = host(loss, loss.backward())
        for whole, own in zip(parts(dy), parts(alone), strict=True):
            np.testing.assert_array_equal(whole[~live], 0)
            np.testing.assert_array_equal(whole[live], own)
    assert loss.forward(t, p, np.zeros(6)) == 0.0 and loss.total == 0 == loss.count
    assert not any(part.any() for part in parts(host(loss, loss.backward())))


@pytest.mark.parametrize("name", CASES)
def test_a_batch_in_parts_and_on_threads(name):
    """Each sample's bits are its own; the totals add up."""
    loss, target, output, shapes = case(name)
    shape = (40, *shapes[-1][1:-1], 5 if shapes is FIVE else 37)
    rng = np.random.default_rng(5)
    t, p, w = target(rng, shape), output(rng, shape), rng.integers(0, 3, 40)
    whole = loss.forward(t, p, w)
    count, dy = loss.count, host(loss, loss.backward())
    total = found = 0
    for rows in (slice(0, 1), slice(1, 28), slice(28, 40)):
        some = tuple(part[rows] for part in p) if isinstance(p, tuple) else p[rows]
        loss.forward(t[rows], some, w[rows])
        total, found = total + loss.total, found + loss.count
    assert found == pytest.approx(count, rel=1e-14) and total / found == pytest.approx(whole, rel=1e-13)
    threads = build.get_num_threads()
    try:
        for number in (1, 2, 3):
            build.set_num_threads(number)
            assert loss.forward(t, p, w) == whole
            equal(host(loss, loss.backward()), dy)
    finally:
        build.set_num_threads(threads)


@pytest.mark.parametrize("name", CASES)
def test_memory(name):
    """The same bits in a workspace, and where buffers hold NaN before they are written."""
    loss, target, output, shapes = case(name)
    workspace = devices.Workspace(loss.device)
    for n in (5, 2):
        shape = (n, *shapes[2][1:])
        rng = np.random.default_rng(7)
        t, w = target(rng, shape), rng.integers(0, 2, n)
        p = each(output(rng, shape), lambda a: a.astype("float32"))
        for weights in (w, None):
            value = loss.forward(t, p, weights)
            total, dy = loss.total, host(loss, loss.backward())
            sizes = each(p, lambda a: a.shape)
            prepared = loss.device.from_host(loss.prepare(t, np.float32, sizes))
            devices.set_debug(True)
            try:
                assert loss.forward(t, p, weights) == value
                equal(host(loss, loss.backward()), dy)
                with devices.use_workspace(workspace):
                    assert loss.forward(prepared, p, weights) == value and loss.total == total
                    equal(host(loss, loss.backward()), dy)
                    again, at_once = loss.forward_backward(prepared, p, weights)
                    assert again == value
                    equal(host(loss, at_once), dy)
            finally:
                devices.set_debug(False)


@pytest.mark.parametrize("name", CASES)
def test_configs(name):
    loss = CASES[name][0]
    for again in (losses.get(losses.serialize(loss)), type(loss).from_config(loss.get_config())):
        assert type(again) is type(loss) and again.get_config() == loss.get_config() and repr(again) == repr(loss)
    with pytest.raises(ValueError, match=r'reduction=\'sum\' is not there; .*"sum_over_batch_size"'):
        type(loss).from_config({**loss.get_config(), "reduction": "sum"})
    with pytest.raises(RuntimeError, match=r"call forward\(y_true, y_pred\) before backward\(\)"):
        type(loss).from_config(loss.get_config()).backward()


@pytest.mark.parametrize("name", CASES)
def test_nan_is_seen(name):
    loss, target, output, shapes = case(name)
    shape = (3, *shapes[-1][1:])
    rng = np.random.default_rng(8)
    t, p = target(rng, shape), output(rng, shape)
    parts(p)[0][1] = np.nan
    if name == "multi-label margin":
        t[:, ..., 0], t[:, ..., 1] = 1, 0
    if t.dtype.kind == "i":
        t[:] = t[0] if name == "ctc" else 0
    assert np.isnan(loss.forward(t, p))
    if name in ("nll", "kl of logarithms", "kl of logarithms, both"):  # whose slope does not depend on their outputs
        return
    dy = host(loss, loss.backward())
    assert all(np.isnan(part[1]).any() and np.isfinite(part[[0, 2]]).all() for part in parts(dy)[:1])
