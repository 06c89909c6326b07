"""Circle: central differences, what is left out of the mean, weights, threads, training, wrong calls."""

import numpy as np
import pytest

import npdl
from npdl import devices, layers, losses
from npdl.kernels.cpu import build

LABELS = np.array([0, 1, 0, 2, 1, 0, 2, 2, 0])


def rows(rng, n, size, dtype="float64"):
    e = rng.normal(size=(n, size))
    return (e / np.linalg.norm(e, axis=1, keepdims=True)).astype(dtype)


def by_hand(labels, e, gamma, margin, remove_diagonal):
    """The mean over the rows that have both kinds of pairs, pair by pair."""
    terms = []
    for a, own in enumerate(labels):
        near, far = [], []
        for b, other in enumerate(labels):
            d = max(1 - e[a] @ e[b], 0)
            if own != other:
                far.append(gamma * max(1 + margin - d, 0) * (1 - margin - d))
            elif a != b or not remove_diagonal:
                near.append(gamma * max(margin + d, 0) * (d - margin))
        if near and far:
            terms.append(np.logaddexp(0, np.logaddexp.reduce(near) + np.logaddexp.reduce(far)))
    return np.mean(terms or [0.0])


@pytest.mark.parametrize("device", ["cpu", "reference", "strict"])
@pytest.mark.parametrize("gamma, margin, remove", [(80.0, 0.4, True), (2.0, 0.25, False), (3.0, -0.2, True)])
def test_pairs_of_a_batch(gamma, margin, remove, device, rng):
    loss = losses.Circle(gamma, margin, remove)
    loss.attach(devices.get(device))
    e = 0.9 * rows(rng, 9, 4)  # shorter than 1, so that no row is at the kink of its own cosine
    assert loss.forward(LABELS, e) == pytest.approx(by_hand(LABELS, e, gamma, margin, remove), rel=1e-12)
    dy, h = loss.device.to_host(loss.backward()), 1e-6
    for index in np.ndindex(e.shape):
        ends = []
        for sign in (1, -1):
            moved = e.copy()
            moved[index] += sign * h
            ends.append(by_hand(LABELS, moved, gamma, margin, remove))
        assert dy[index] == pytest.approx((ends[0] - ends[1]) / (2 * h), abs=1e-6)
    assert loss.forward(LABELS[:, None], e.astype("float32")) == pytest.approx(loss.forward(LABELS, e), rel=1e-4)


def test_weights_and_threads(rng):
    loss, e = losses.Circle(), rows(rng, 40, 9, "float32")
    labels, w = rng.integers(0, 5, 40), rng.integers(0, 3, 40).astype("float32")
    results = []
    for threads in (1, 2, 3):
        build.set_num_threads(threads)
        results.append((loss.forward(labels, e, w), loss.backward().tobytes()))
    assert results[0] == results[1] == results[2]
    each = [loss.forward(labels, e, np.eye(40)[n]) for n in range(40)]
    assert results[0][0] == pytest.approx((w * each).sum() / np.count_nonzero(w), rel=1e-5)


def test_rows_without_both_kinds():
    """Such rows do not count: the mean is over two of the three here, and over none of one label."""
    loss, e = losses.Circle(2.0, 0.25), np.float64([[1, 0], [0.6, 0.8], [0, 1]])
    assert loss.forward([0, 0, 1], e) == pytest.approx(by_hand([0, 0, 1], e, 2.0, 0.25, True), rel=1e-12)
    for labels in ([3, 3, 3], [0, 1, 2]):
        assert loss.forward(labels, e) == 0 and not loss.backward().any()
    assert np.isnan(loss.forward([0, 0, 1], np.float64([[1, 0], [np.nan, 0], [0, 1]])))
    assert loss.forward([0, 1], np.float64([[2, 0], [2, 0]])) == 0  # cosines above 1 count as 1


def test_training(rng):
    """Rows of one label come near each other."""
    centres, labels = rng.normal(size=(4, 6)), rng.integers(0, 4, 64)
    x = (centres[labels] + 0.8 * rng.normal(size=(64, 6))).astype("float32")
    model = npdl.Sequential([layers.Dense(16, activation="relu"), layers.Dense(3), layers.UnitNormalization()], seed=0)
    model.compile("adam", "circle")
    history = model.fit(x, labels, epochs=30, batch_size=32, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]
    assert model.gradient_check(x[:9], labels[:9]).ok


def test_wrong_calls():
    with pytest.raises(ValueError, match="Circle: gamma must be a number, got gamma=nan"):
        losses.Circle(gamma=float("nan"))
    loss = losses.get("Circle")
    with pytest.raises(ValueError, match=r"Circle needs embeddings \(N, D\), the outputs have shape \(2, 3, 4\)"):
        loss.forward([0, 1], np.zeros((2, 3, 4)))
    again = losses.get(losses.serialize(losses.Circle(60, 0.3, remove_diagonal=False)))
    assert (again.gamma, again.margin, again.remove_diagonal) == (60.0, 0.3, False)
