"""Losses against PyTorch, live: values and gradients in float64."""

import numpy as np
import pytest

from npdl import devices, losses

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch

F = torch.nn.functional
SHAPES = ((1, 1), (1, 3), (6, 1), (9, 4), (3, 5, 2), (1, 2, 3), (2, 3, 4, 5))


def numbers(rng, shape):
    return rng.normal(size=shape)


def yes_no(rng, shape):
    return rng.integers(0, 2, shape).astype("float64")


def soft_yes_no(rng, shape):
    return rng.uniform(size=shape)


def one_hot(rng, shape):
    return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]


def soft(rng, shape):
    """Rows that need not sum to 1."""
    return rng.uniform(size=shape)


def labels(rng, shape):
    return rng.integers(0, shape[-1], shape[:-1])


def probabilities(rng, shape):
    """Some of them certain, or beyond the clip."""
    special = rng.choice([0.0, 1.0, 1e-9, 0.5], shape)
    return np.where(rng.uniform(size=shape) < 0.3, special, rng.uniform(0.01, 0.99, shape))


def classes_second(a):
    return torch.movedim(a, -1, 1)


def smooth(t, s, classes):
    return t * (1 - s) + s / classes


def normalised(p):
    return torch.clamp(p / p.sum(-1, keepdim=True), 1e-7, 1 - 1e-7)


def binary(s):
    """As Keras defines it from probabilities: clipped first."""
    return lambda t, p: F.binary_cross_entropy(torch.clamp(p, 1e-7, 1 - 1e-7), smooth(t, s, 2), reduction="none")


def categorical(s):
    return lambda t, p: -(smooth(t, s, t.shape[-1]) * torch.log(normalised(p))).sum(-1)


def categorical_logits(s):
    return lambda t, z: F.cross_entropy(classes_second(z), classes_second(t), reduction="none", label_smoothing=s)


CASES = {
    "mse": (losses.MeanSquaredError(), numbers, numbers, lambda t, p: F.mse_loss(p, t, reduction="none")),
    "mae": (losses.MeanAbsoluteError(), numbers, numbers, lambda t, p: F.l1_loss(p, t, reduction="none")),
    "huber": (losses.Huber(), numbers, numbers, lambda t, p: F.huber_loss(p, t, reduction="none")),
    "huber 0.4": (losses.Huber(0.4), numbers, numbers, lambda t, p: F.huber_loss(p, t, reduction="none", delta=0.4)),
    "binary logits": (
        losses.BinaryCrossentropy(True), yes_no, numbers,
        lambda t, z: F.binary_cross_entropy_with_logits(z, t, reduction="none"),
    ),
    "binary logits smooth": (
        losses.BinaryCrossentropy(True, 0.3), soft_yes_no, numbers,
        lambda t, z: F.binary_cross_entropy_with_logits(z, smooth(t, 0.3, 2), reduction="none"),
    ),
    "binary": (losses.BinaryCrossentropy(False), yes_no, probabilities, binary(0.0)),
    "binary smooth": (losses.BinaryCrossentropy(False, 0.3), soft_yes_no, probabilities, binary(0.3)),
    "categorical logits": (losses.CategoricalCrossentropy(True), one_hot, numbers, categorical_logits(0.0)),
    "categorical logits soft": (losses.CategoricalCrossentropy(True, 0.2), soft, numbers, categorical_logits(0.2)),
    "categorical": (losses.CategoricalCrossentropy(False), one_hot, probabilities, categorical(0.0)),
    "categorical smooth": (losses.CategoricalCrossentropy(False, 0.2), soft, probabilities, categorical(0.2)),
    "sparse logits": (
        losses.SparseCategoricalCrossentropy(True), labels, numbers,
        lambda t, z: F.cross_entropy(classes_second(z), t, reduction="none"),
    ),
    "sparse": (
        losses.SparseCategoricalCrossentropy(False), labels, probabilities,
        lambda t, p: -torch.log(normalised(p)).gather(-1, t[..., None]),
    ),
}  # fmt: skip


def expected(function, t, p, w):
    """Value and gradient by autograd; the mean is over the samples of non-zero weight."""
    t, p = torch.from_numpy(t), torch.from_numpy(p.copy()).requires_grad_()
    rows = function(t, p).reshape(len(p), -1).mean(1)
    w = torch.ones(len(p), dtype=torch.float64) if w is None else torch.from_numpy(w)
    value = (w * rows).sum() / max(int((w != 0).sum()), 1)
    value.backward()
    return value.item(), p.grad.numpy()


def relative(a, b):
    return np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("weights", ["none", "some", "zeros"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name, weights, device):
    loss, target, output, function = CASES[name]
    loss.attach(devices.get(device))
    for number, shape in enumerate(SHAPES):
        if shape[-1] == 1 and name.split()[0] in ("categorical", "sparse"):
            continue
        rng = np.random.default_rng(number)
        t, p = target(rng, shape), output(rng, shape)
        if name.split()[0] in ("categorical", "sparse") and output is probabilities:
            p[..., 0] += 0.1  # a row of zeros has no sum to divide by
        w = None if weights == "none" else rng.uniform(0.1, 3, shape[0])
        if weights == "zeros":
            w[::2] = 0
        value, grad = expected(function, t, p, w)
        assert loss.forward(t, p, w) == pytest.approx(value, rel=1e-9, abs=1e-300), shape
        dy = loss.backward()
        assert relative(dy, grad) < 1e-9 or (not grad.any() and not dy.any()), shape


def test_where_the_error_is_zero():
    """|e| has no slope there: both say 0."""
    t = np.array([[1.0, 2.0, 3.0]])
    for name in ("mae", "huber", "mse"):
        loss, _, _, function = CASES[name]
        loss.attach(devices.get("cpu"))
        value, grad = expected(function, t, t + [0, 1, 0], None)
        assert loss.forward(t, t + [0, 1, 0]) == pytest.approx(value)
        np.testing.assert_allclose(loss.backward(), grad, rtol=1e-15)
