"""A loss that looks at several outputs of a functional model at once: fit, by hand, arithmetic, files, errors."""

import numpy as np
import pytest

import npdl
from npdl import Model, layers, load_model, losses
from npdl.data import Mapped, batches
from npdl.optimizers import SGD

N = 12


def encoder():
    return npdl.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(3)], name="encoder")


def triplets(loss=None, metrics=None, **compiled):
    """One encoder called three times."""
    net, inputs = encoder(), [layers.Input((4,), name=name) for name in ("a", "p", "n")]
    model = Model(inputs, [net(x) for x in inputs], seed=0, dtype="float64")
    model.compile(SGD(0.5), loss or losses.TripletMarginLoss(margin=2.0), metrics=metrics, **compiled)
    return model


def samples(rng, count=3):
    return tuple(rng.normal(size=(N, 4)) for _ in range(count))


def test_triplets_without_targets(rng):
    """The step is the one by hand, and the loss its formula; no y, and no y with weights."""
    x, w = samples(rng), rng.random(N)
    w[3:5] = 0
    model, by_hand = triplets(), triplets()
    loss = losses.TripletMarginLoss(margin=2.0)
    value = loss.forward(None, tuple(by_hand.forward(x, training=True)), w)
    by_hand.backward(list(loss.backward()))
    SGD(0.5).step(by_hand)
    assert model.fit(x, batch_size=N, shuffle=False, sample_weight=w, verbose=0).history["loss"] == [value]
    np.testing.assert_array_equal(model.store.data, by_hand.store.data)
    a, p, n = triplets().predict(x)
    near, far = (np.sqrt(((a - b + 1e-6) ** 2).sum(1)) for b in (p, n))
    want = np.maximum(near - far + 2, 0)
    assert triplets().evaluate(dict(zip("apn", x)), verbose=0) == pytest.approx(want.mean(), rel=1e-12)
    assert value == pytest.approx((w * want).sum() / np.count_nonzero(w), rel=1e-12)
    assert triplets().train_on_batch(x) == pytest.approx(want.mean(), rel=1e-12)
    assert triplets().gradient_check(x, None).ok


def test_generators_and_maps_give_them_too(rng):
    x = samples(rng)
    found = []
    for data in (
        x,
        [x],
        [(x,)],
        [(x, None)],
        Mapped(lambda x, y, place: (x, y), x),
        batches(x, batch_size=N, dtype="float64", shuffle=False),
    ):
        model = triplets()
        model.fit(data, batch_size=N, shuffle=False, verbose=0)
        found.append(model.store.data.copy())
    for data in found[1:]:
        np.testing.assert_array_equal(data, found[0])


def test_metrics_look_at_all_outputs(rng):
    def nearer(y_true, y_pred):
        a, p, n = y_pred
        return ((a - p) ** 2).sum(1) < ((a - n) ** 2).sum(1)

    x = samples(rng)
    model = triplets(metrics=[nearer])
    a, p, n = model.predict(x)
    found = model.evaluate(x, verbose=0, batch_size=5, return_dict=True)
    assert found["nearer"] == pytest.approx((((a - p) ** 2).sum(1) < ((a - n) ** 2).sum(1)).mean())
    with pytest.raises(ValueError, match=r"metrics: 'mae' looks at one output, and encoder stands for 3"):
        triplets(metrics=["mae"]).evaluate(x, verbose=0)


def pairs(loss):
    net, inputs = encoder(), [layers.Input((4,), name=name) for name in ("left", "right")]
    model = Model(inputs, [net(x) for x in inputs], seed=1, dtype="float64")
    model.compile(SGD(0.5), loss)
    return model


@pytest.mark.parametrize("shape", ((N,), (N, 1)))
def test_pairs_with_labels(rng, shape):
    x, y = samples(rng, 2), rng.integers(0, 2, shape)
    model = pairs("contrastive_loss")
    a, b = model.predict(x)
    d, t = np.sqrt(((a - b) ** 2).sum(1)), y.reshape(-1)
    want = (t * d**2 + (1 - t) * np.maximum(1 - d, 0) ** 2).mean()
    assert model.evaluate(list(x), y, verbose=0) == pytest.approx(want, rel=1e-12)
    history = model.fit(x, y, epochs=30, batch_size=6, validation_split=0.25, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0] and len(history["val_loss"]) == 30
    assert model.gradient_check(x, y).ok


def mixture(loss_weights=None):
    """A mean and a variance for one loss, a class for another."""
    x = layers.Input((4,))
    h = layers.Dense(6, activation="tanh")(x)
    outputs = {
        "mean": layers.Dense(2)(h),
        "label": layers.Dense(3)(h),
        "variance": layers.Dense(2, activation="softplus")(h),
    }
    model = Model(x, outputs, seed=0, dtype="float64")
    scce = losses.SparseCategoricalCrossentropy(from_logits=True)
    chosen = {("mean", "variance"): losses.GaussianNLLLoss(), "label": scce}
    model.compile(SGD(0.1), chosen, loss_weights=loss_weights, metrics={"label": "accuracy"})
    return model


def test_beside_another_loss(rng, tmp_path):
    x, y = rng.normal(size=(N, 4)), {"mean": rng.normal(size=(N, 2)), "label": rng.integers(0, 3, N)}
    model = mixture({"mean": 0.5})
    found, p = model.evaluate(x, y, verbose=0, return_dict=True), model.predict(x)
    v, e = p["variance"], (p["mean"] - y["mean"]) ** 2
    nll = ((np.log(v) + e / v) / 2).mean()
    log_p = p["label"] - np.log(np.exp(p["label"]).sum(1, keepdims=True))
    ce = -log_p[np.arange(N), y["label"]].mean()
    want = {
        "loss": 0.5 * nll + ce,
        "mean_loss": nll,
        "label_loss": ce,
        "label_accuracy": (log_p.argmax(1) == y["label"]).mean(),
    }
    assert found == pytest.approx(want, rel=1e-10)
    assert model.gradient_check(x, y).ok
    assert model.evaluate(x, list(y.values()), verbose=0) == pytest.approx(list(want.values()), rel=1e-10)
    weights = {"mean": rng.random(N), "label": rng.random(N)}
    model.fit(x, y, sample_weight=weights, epochs=2, verbose=0)
    model.save(tmp_path / "m.npdl")
    other = load_model(tmp_path / "m.npdl")
    for each in (model, other):
        each.fit(x, y, sample_weight=weights, epochs=2, batch_size=5, verbose=0)
    np.testing.assert_array_equal(model.store.data, other.store.data)


class Distance:
    """A loss of the user's own of two outputs."""

    outputs, name = ("a", "b"), "distance"

    def forward(self, y_true, y_pred, sample_weight=None):
        a, b = y_pred
        self.saved = a - b
        return float((self.saved**2).sum() / len(a))

    def backward(self):
        da = 2 * self.saved / len(self.saved)
        return da, -da


class WrongDistance(Distance):
    def backward(self):
        return self.saved, -self.saved


def test_a_loss_of_your_own(rng):
    x, y = samples(rng, 2), np.zeros((N, 1))
    model = pairs(Distance())
    a, b = model.predict(x)
    assert model.train_on_batch(x, y) == pytest.approx(((a - b) ** 2).sum() / N, rel=1e-12)
    with pytest.raises(ValueError, match="the backward of WrongDistance does not agree with central differences"):
        pairs(WrongDistance()).fit(x, y, verbose=0)


def test_accumulation_is_the_big_batch(rng):
    x, w = samples(rng), rng.random(N)
    w[::3] = 0
    big, small = triplets(), triplets()
    small.compile(SGD(0.5, gradient_accumulation_steps=3), losses.TripletMarginLoss(margin=2.0))
    big.fit(x, sample_weight=w, batch_size=N, shuffle=False, verbose=0)
    small.fit(x, sample_weight=w, batch_size=5, shuffle=False, verbose=0)
    np.testing.assert_allclose(small.store.data, big.store.data, rtol=1e-12, atol=1e-14)


def test_what_cannot_be(rng):
    for loss, text in (
        (
            losses.ContrastiveLoss(),
            r"ContrastiveLoss looks at 2 outputs \(a, b\), got 3: .* name them in a tuple, e.g. loss=",
        ),
        (
            {("encoder", "x"): losses.ContrastiveLoss()},
            r"loss names the output 'x' which is not there; the model's outputs",
        ),
        (
            {("encoder", "encoder_1"): "contrastive_loss", "encoder": "mse"},
            r"loss names the output 'encoder' twice; the model's outputs are 'encoder', 'encoder_1', 'encoder_2'",
        ),
        (
            {("encoder", "encoder_1"): "mse"},
            r"MeanSquaredError looks at 1 outputs \(y_pred\), got 2: 'encoder', 'encoder_1'",
        ),
    ):
        with pytest.raises(ValueError, match=text):
            triplets(loss)
    with pytest.raises(ValueError, match="y is missing: training and evaluation need targets"):
        pairs("contrastive_loss").fit(samples(rng, 2), verbose=0)
    x = layers.Input((4,))
    model = Model(x, [layers.Dense(2)(x), layers.Dense(3)(x)])
    model.compile("sgd", "contrastive_loss")
    with pytest.raises(
        ValueError, match=r"ContrastiveLoss: the outputs must have one shape, got \(None, 2\), \(None, 3\)"
    ):
        model.fit(rng.normal(size=(N, 4)), np.ones(N), verbose=0)
    steps = layers.Input((3, 4))
    masked = layers.Masking()(steps)
    model = Model(steps, [layers.Dense(2)(masked), layers.Dense(2)(masked)])
    model.compile("sgd", "contrastive_loss")
    with pytest.raises(ValueError, match=r"a loss of 2 outputs compares whole samples, and dense comes with a mask"):
        model.fit(rng.normal(size=(N, 3, 4)), np.ones(N), verbose=0)
