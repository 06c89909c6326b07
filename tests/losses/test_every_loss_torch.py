"""The losses that PyTorch has, live: values and gradients in float64."""

import copy

import numpy as np
import pytest

from npdl import devices, losses

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch

F = torch.nn.functional
FLAT, CLASSES = ((1, 1), (9, 4), (3, 5, 2)), ((1, 3), (9, 5), (3, 6, 4))
FIVE = ((1, 5), (9, 5), (3, 6, 5))
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.0], dtype=torch.float64)
POSITIVE = torch.tensor([1.0, 2.0, 0.5, 4.0, 1.5], dtype=torch.float64)


def numbers(rng, shape):
    return rng.normal(size=shape)


def above_zero(rng, shape):
    return rng.uniform(0.1, 3, shape)


def yes_no(rng, shape):
    return rng.integers(0, 2, shape).astype("float64")


def shares(rng, shape):
    return rng.uniform(0.02, 0.98, shape)


def signs(rng, shape):
    return 2 * yes_no(rng, shape) - 1


def counts(rng, shape):
    return rng.integers(0, 6, shape).astype("float64")


def labels(rng, shape):
    return rng.integers(0, shape[-1], shape[:-1])


def ignored(rng, shape):
    y = np.where(rng.uniform(size=shape[:-1]) < 0.3, -100, labels(rng, shape))
    y.reshape(-1)[0] = 1
    return y


def one_hot(rng, shape):
    return np.eye(shape[-1])[labels(rng, shape)]


def several(count, variance=False):
    def make(rng, shape):
        parts = [rng.normal(size=shape) for _ in range(count)]
        return (parts[0], rng.uniform(0.2, 2, shape)) if variance else tuple(parts)

    return make


def second(z):
    return torch.movedim(z, -1, 1)


def each(function, **options):
    """One of torch.nn.functional's, without its mean."""
    return lambda t, p: function(p, t, reduction="none", **options)


def focal(t, z, alpha=1.0, gamma=2.0):
    p = torch.sigmoid(z)
    return (t * (1 - p) + (1 - t) * p) ** gamma * F.binary_cross_entropy_with_logits(z, t, reduction="none")


def categorical_focal(t, z):
    log_p = F.log_softmax(z, -1)
    return -(0.25 * t * (1 - log_p.exp()) ** 2 * log_p).sum(-1)


def dice(t, p):
    t, p = t.flatten(1), p.flatten(1)
    return 1 - (2 * (t * p).sum(1) + 1e-7) / (t.sum(1) + p.sum(1) + 1e-7)


CASES = {
    "smooth l1": (losses.SmoothL1Loss(0.4), numbers, numbers, FLAT, each(F.smooth_l1_loss, beta=0.4)),
    "poisson log": (losses.PoissonNLLLoss(full=True), counts, numbers, FLAT, each(F.poisson_nll_loss, full=True)),
    "poisson": (
        losses.PoissonNLLLoss(False), counts, above_zero, FLAT, each(F.poisson_nll_loss, log_input=False),
    ),
    "kl": (losses.KLDivergence(), shares, shares, CLASSES, lambda t, p: F.kl_div(p.log(), t, reduction="none").sum(-1)),
    "soft margin": (losses.SoftMarginLoss(), signs, numbers, FLAT, each(F.soft_margin_loss)),
    "hinge embedding": (
        losses.HingeEmbeddingLoss(0.6), signs, numbers, FLAT, each(F.hinge_embedding_loss, margin=0.6),
    ),
    "bce": (
        losses.BCEWithLogitsLoss(WEIGHT.tolist(), POSITIVE.tolist()), shares, numbers, FIVE,
        each(F.binary_cross_entropy_with_logits, weight=WEIGHT, pos_weight=POSITIVE),
    ),
    "multi-label": (
        losses.MultiLabelSoftMarginLoss(WEIGHT.tolist()), yes_no, numbers, FIVE[:2],
        each(F.multilabel_soft_margin_loss, weight=WEIGHT),
    ),
    "multi-margin": (
        losses.MultiMarginLoss(1, 0.8, WEIGHT.tolist()), labels, numbers, FIVE[:2],
        each(F.multi_margin_loss, margin=0.8, weight=WEIGHT),
    ),
    "multi-margin 2": (losses.MultiMarginLoss(2), labels, numbers, CLASSES[:2], each(F.multi_margin_loss, p=2)),
    "cosine": (
        losses.CosineSimilarity(), numbers, numbers, CLASSES, lambda t, p: -F.cosine_similarity(t, p, dim=-1),
    ),
    "binary focal": (losses.BinaryFocalCrossentropy(from_logits=True), yes_no, numbers, FLAT, focal),
    "binary focal of probabilities": (
        losses.BinaryFocalCrossentropy(gamma=1.5, from_logits=False), yes_no, shares, FLAT,
        lambda t, p: focal(t, torch.logit(p), gamma=1.5),
    ),
    "categorical focal": (
        losses.CategoricalFocalCrossentropy(from_logits=True), one_hot, numbers, CLASSES, categorical_focal,
    ),
    "dice": (losses.Dice(), yes_no, shares, FLAT, dice),
    "ranking": (
        losses.MarginRankingLoss(0.3), signs, several(2), FLAT,
        lambda t, p: F.margin_ranking_loss(*p, t, margin=0.3, reduction="none"),
    ),
    "gaussian": (
        losses.GaussianNLLLoss(True), numbers, several(2, True), FLAT,
        lambda t, p: F.gaussian_nll_loss(p[0], t, p[1], full=True, reduction="none"),
    ),
    "cosine embedding": (
        losses.CosineEmbeddingLoss(0.1), lambda rng, shape: signs(rng, shape[:1]), several(2), CLASSES[:2],
        lambda t, p: F.cosine_embedding_loss(*p, t, margin=0.1, reduction="none"),
    ),
    "triplet": (
        losses.TripletMarginLoss(), lambda rng, shape: np.zeros(shape[0]), several(3), CLASSES[:2],
        lambda t, p: F.triplet_margin_loss(*p, reduction="none"),
    ),
    "triplet, swap": (
        losses.TripletMarginLoss(2.0, 3.0, swap=True), lambda rng, shape: np.zeros(shape[0]), several(3), CLASSES[:2],
        lambda t, p: F.triplet_margin_loss(*p, margin=2.0, p=3.0, swap=True, reduction="none"),
    ),
    "triplet, sums": (
        losses.TripletMarginLoss(p=1.0), lambda rng, shape: np.zeros(shape[0]), several(3), CLASSES[:2],
        lambda t, p: F.triplet_margin_loss(*p, p=1.0, reduction="none"),
    ),
}  # fmt: skip


def compare(loss, t, p, w, function):
    """function gives one number a sample or position; the mean is over the samples of non-zero weight."""
    parts = p if isinstance(p, tuple) else (p,)
    tensors = [torch.from_numpy(part.copy()).requires_grad_() for part in parts]
    value = function(torch.from_numpy(t), tuple(tensors) if isinstance(p, tuple) else tensors[0])
    if w is not None:
        value = (torch.from_numpy(w) * value.reshape(len(parts[0]), -1).mean(1)).sum() / np.count_nonzero(w)
    value.backward()
    assert loss.forward(t, p, w) == pytest.approx(value.item(), rel=1e-9)
    dy = loss.backward()
    for own, tensor in zip(dy if isinstance(dy, tuple) else (dy,), tensors, strict=True):
        grad = tensor.grad.numpy()
        assert np.abs(own - grad).max() <= 1e-8 * np.abs(grad).max()


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name, device):
    loss, target, output, shapes, function = CASES[name]
    loss = copy.copy(loss)
    loss.attach(devices.get(device))
    for number, shape in enumerate(shapes):
        rng = np.random.default_rng(number)
        t, p = target(rng, shape), output(rng, shape)
        w = rng.uniform(0.1, 3, shape[0]) if number else np.ones(shape[0])
        if number > 1 or len(shapes) == 2:
            w[1::2] = 0
        compare(loss, t, p, w, function)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_means_over_positions(device):
    """PyTorch's own mean: weights of classes, an ignored label, smoothing."""
    for number, shape in enumerate(FIVE):
        rng = np.random.default_rng(number)
        t, z = ignored(rng, shape), rng.normal(size=shape)
        for weight in (None, WEIGHT):
            given = None if weight is None else weight.tolist()
            cases = [
                (losses.NLLLoss(given), lambda t, z, weight=weight: F.nll_loss(second(z), t, weight)),
                (losses.CrossEntropyLoss(given), lambda t, z, weight=weight: F.cross_entropy(second(z), t, weight)),
                (
                    losses.CrossEntropyLoss(given, label_smoothing=0.2),
                    lambda t, z, weight=weight: F.cross_entropy(second(z), t, weight, label_smoothing=0.2),
                ),
            ]
            if weight is None:
                loss = losses.SparseCategoricalCrossentropy(True, -100)
                cases.append((loss, lambda t, z: F.cross_entropy(second(z), t)))
            for loss, function in cases:
                loss.attach(devices.get(device))
                compare(loss, t, z, None, function)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_ctc(device):
    loss = losses.CTC()
    loss.attach(devices.get(device))
    for number, (samples, frames, classes, width) in enumerate(
        ((1, 1, 2, 1), (4, 12, 5, 6), (3, 40, 30, 20), (5, 70, 9, 33))
    ):
        rng = np.random.default_rng(number)
        rows = rng.integers(1, classes, (samples, width))
        if classes > 2:
            rows[:, 1:] = np.where(rows[:, 1:] == rows[:, :-1], rows[:, :-1] % (classes - 1) + 1, rows[:, 1:])
        if samples > 2:
            rows[0, 2] = rows[0, 1]  # needs a blank between
            rows[1], rows[2, 3:] = 0, 0

        def function(t, z, rows=rows, frames=frames):
            lengths = torch.from_numpy((rows != 0).sum(1))
            frames = torch.full((len(rows),), frames)
            return F.ctc_loss(
                F.log_softmax(z, -1).transpose(0, 1), torch.from_numpy(rows), frames, lengths, reduction="none"
            )

        w = rng.uniform(0.5, 2, samples)
        w[1:2] = 0
        compare(loss, rows, rng.normal(size=(samples, frames, classes)), w, function)
        if samples > 1:
            w[1] = 1
            compare(loss, rows, 3 * rng.normal(size=(samples, frames, classes)), w, function)
