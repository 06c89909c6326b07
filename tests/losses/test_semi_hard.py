"""TripletSemiHardLoss: by central differences, against triplets found one by one, and what holds for every loss."""

import numpy as np
import pytest

import npdl
from npdl import devices, layers, losses
from npdl.kernels.cpu import build

LABELS = np.array([0, 1, 0, 2, 1, 0, 2, 2, 0])


def by_hand(labels, e, margin, metric):
    """The mean over the pairs of one label, as TensorFlow Addons defines it."""
    if metric == "angular":
        e = e / np.linalg.norm(e, axis=1, keepdims=True)
        d = 1 - e @ e.T
    else:
        d = np.linalg.norm(e[:, None] - e, axis=2) ** (1 if metric == "L2" else 2)
    terms = []
    for a, own in enumerate(labels):
        others = d[a, labels != own]
        for p in np.flatnonzero(labels == own):
            if p != a:
                beyond = others[others > d[a, p]]
                terms.append(max(d[a, p] - (beyond.min() if len(beyond) else others.max()) + margin, 0))
    return np.mean(terms)


@pytest.mark.parametrize("device", ["cpu", "reference", "strict"])
@pytest.mark.parametrize("metric", ["L2", "squared-L2", "angular"])
def test_triplets_of_a_batch(metric, device, rng):
    loss = losses.TripletSemiHardLoss(0.7, metric)
    loss.attach(devices.get(device))
    e = rng.normal(size=(9, 4))
    assert loss.forward(LABELS, e) == pytest.approx(by_hand(LABELS, e, 0.7, metric), rel=1e-12)
    dy, h = loss.device.to_host(loss.backward()), 1e-6
    for index in np.ndindex(e.shape):
        ends = []
        for sign in (1, -1):
            moved = e.copy()
            moved[index] += sign * h
            ends.append(by_hand(LABELS, moved, 0.7, metric))
        assert dy[index] == pytest.approx((ends[0] - ends[1]) / (2 * h), abs=1e-7)
    assert loss.forward(LABELS[:, None], e.astype("float32")) == pytest.approx(loss.forward(LABELS, e), rel=1e-5)


@pytest.mark.parametrize("labels", [LABELS * 2**32, LABELS * 1e10, -LABELS.astype("float32"), LABELS[:, None] << 40])
def test_labels_of_any_size(labels, rng):
    loss, e = losses.TripletSemiHardLoss(0.7), rng.normal(size=(9, 4))
    assert loss.forward(labels, e) == loss.forward(LABELS, e) > 0


def test_weights_and_threads(rng):
    loss, e = losses.TripletSemiHardLoss(), rng.normal(size=(40, 9)).astype("float32")
    labels, w = rng.integers(0, 5, 40), rng.integers(0, 3, 40).astype("float32")
    results = []
    for threads in (1, 2, 3):
        build.set_num_threads(threads)
        results.append((loss.forward(labels, e, w), loss.backward().tobytes()))
    assert results[0] == results[1] == results[2]
    each = [loss.forward(labels, e, np.eye(40)[n]) for n in range(40)]
    assert results[0][0] == pytest.approx((w * each).sum() / np.count_nonzero(w), rel=1e-5)


def test_batches_without_triplets():
    loss = losses.TripletSemiHardLoss()
    for labels in ([3, 3, 3], [0, 1, 2]):
        assert loss.forward(labels, np.ones((3, 2))) == 0 and not loss.backward().any()
    assert np.isnan(loss.forward([0, 0, 1], np.float64([[1.0], [np.nan], [2.0]])))
    assert np.isnan(loss.forward([0, 0, 1, 2], np.float64([[1.0], [5.0], [np.nan], [2.0]])))


def test_training(rng):
    """Rows of one label come near each other."""
    centres, labels = rng.normal(size=(4, 6)), rng.integers(0, 4, 64)
    x = (centres[labels] + 0.8 * rng.normal(size=(64, 6))).astype("float32")
    model = npdl.Sequential([layers.Dense(16, activation="relu"), layers.Dense(3), layers.UnitNormalization()], seed=0)
    model.compile("adam", "triplet_semi_hard_loss")
    history = model.fit(x, labels, epochs=30, batch_size=32, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


def test_wrong_calls():
    with pytest.raises(ValueError, match=r'TripletSemiHardLoss knows distance_metric="L2" and .* got \'cosine\''):
        losses.TripletSemiHardLoss(distance_metric="cosine")
    loss = losses.TripletSemiHardLoss()
    with pytest.raises(ValueError, match=r"needs embeddings \(N, D\), the outputs have shape \(2, 3, 4\)"):
        loss.forward([0, 1], np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match="whole numbers"):
        loss.forward([0.5, 1.0], np.zeros((2, 3)))
    again = losses.get(losses.serialize(losses.TripletSemiHardLoss(0.3, "angular")))
    assert again.margin == 0.3 and again.distance_metric == "angular"
