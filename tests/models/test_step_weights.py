"""Weights of steps and pixels, of classes at each step, and of several outputs. PyTorch: test_training_torch.py."""

import numpy as np
import pytest

from npdl import Model, Sequential, layers, losses

N, T, C = 6, 5, 4


def make_data(rng):
    """Steps of 3 numbers, their classes, and weights of which some are 0."""
    weights = rng.random((N, T)) + 0.5
    weights[rng.random((N, T)) < 0.3] = 0
    return rng.normal(size=(N, T, 3)), rng.integers(0, C, (N, T)), weights


def tagger(*before, metrics=(), **compiled):
    model = Sequential([*before, layers.Dense(C)], seed=0, dtype="float64")
    model.build((T, 3))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics, weighted_metrics=metrics, **compiled)
    return model


def log_probabilities(model, x):
    z = model.predict(x)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def gradient(model, x, y, w, **given):
    """dL/dW of one training step of SGD, and the loss."""
    before = model.layers[-1].params["kernel"].copy()
    model.optimizer.learning_rate = 1.0
    loss = model.train_on_batch(x, y, sample_weight=w, return_dict=True, **given)["loss"]
    return before - model.layers[-1].params["kernel"], loss


def test_each_step_counts_by_its_weight(rng):
    x, y, w = make_data(rng)
    model = tagger(metrics=["accuracy"])
    log_p, live = log_probabilities(model, x), np.count_nonzero(w)
    losses_of_steps = -np.take_along_axis(log_p, y[..., None], -1)[..., 0]
    want = (w * losses_of_steps).sum() / live
    right = log_p.argmax(-1) == y
    found = model.evaluate(x, y, batch_size=4, sample_weight=w, verbose=0, return_dict=True)
    assert list(found.values()) == pytest.approx([want, right.mean(), (w * right).sum() / w.sum()], rel=1e-12)
    assert model.test_on_batch(x, y, w)[0] == pytest.approx(want, rel=1e-12)
    dz = (np.exp(log_p) - np.eye(C)[y]) * w[..., None] / live
    slope, loss = gradient(model, x, y, w)
    assert loss == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(slope, np.einsum("ntd,ntc->dc", x, dz), rtol=1e-12, atol=1e-14)


def test_what_a_weight_of_0_leaves_out_changes_no_bit(rng):
    x, y, w = make_data(rng)
    other_x, other_y = np.where(w[..., None] > 0, x, rng.normal(size=x.shape) * 1e6), np.where(w > 0, y, (y + 1) % C)
    one, two = gradient(tagger(), x, y, w), gradient(tagger(), other_x, other_y, w)
    np.testing.assert_array_equal(one[0], two[0])
    assert one[1] == two[1] and np.abs(one[0]).max() > 0


@pytest.mark.parametrize("weights", ("samples", "steps"))
def test_masks_are_multiplied_with_the_weights(rng, weights):
    """As if the steps that count were samples of a model without sequences."""
    x, y, w = make_data(rng)
    x[2, 3:] = x[4, 1:] = 0
    w = w if weights == "steps" else w[:, 0] + 0.1
    masked, counts = tagger(layers.Masking()), (x != 0).any(-1)
    slope, loss = gradient(masked, x, y, w)
    flat = Sequential([layers.Dense(C)], seed=0, dtype="float64")
    flat.build((3,))
    flat.compile("sgd", "sparse_categorical_crossentropy")
    flat.set_weights([*tagger(layers.Masking()).get_weights()])
    steps = np.broadcast_to(w.reshape(N, -1), (N, T))[counts]
    expected, value = gradient(flat, x[counts], y[counts], steps)
    np.testing.assert_allclose(slope, expected, rtol=1e-12, atol=1e-14)
    assert loss == pytest.approx(value, rel=1e-12)


def test_each_step_has_the_weight_of_its_class(rng):
    x, y, w = make_data(rng)
    table = np.array([1.0, 0.0, 3.0, 0.5])
    classes = {1: 0.0, 2: 3.0, 3: 0.5}
    for given, whole in ((None, table[y]), (w, w * table[y]), (w[:, 0], w[:, :1] * table[y])):
        one = gradient(tagger(), x, y, given, class_weight=classes)
        two = gradient(tagger(), x, y, whole)
        np.testing.assert_array_equal(one[0], two[0])
    rows = tagger()
    rows.compile("sgd", losses.CategoricalCrossentropy(from_logits=True))
    np.testing.assert_allclose(
        gradient(rows, x, np.eye(C)[y], None, class_weight=classes)[0],
        gradient(tagger(), x, y, table[y])[0],
        rtol=1e-12,
    )
    history = tagger().fit(x, y, class_weight=classes, batch_size=4, shuffle=False, verbose=0, epochs=1).history
    assert np.isfinite(history["loss"]).all()


def test_pixels(rng):
    """A map of outputs (N, H, W, 1) with a weight for each pixel; a metric without weights sees whole images."""
    x, y = rng.normal(size=(3, 4, 5, 2)), rng.integers(0, 2, (3, 4, 5, 1)).astype("float64")
    w, seen = rng.random((3, 4, 5)), []
    w[0, 1] = 0

    def shape(y_true, y_pred):
        seen.append(y_pred.shape)
        return np.ones(len(y_pred))

    model = Sequential([layers.Conv2D(1, 3, padding="same", activation="sigmoid")], seed=0, dtype="float64")
    model.build((4, 5, 2))
    model.compile("sgd", "binary_crossentropy", metrics=[shape])
    p = model.predict(x)
    values = -(y * np.log(p) + (1 - y) * np.log(1 - p))[..., 0]
    found = model.evaluate(x, y, sample_weight=w, verbose=0)[0]
    assert found == pytest.approx((w * values).sum() / np.count_nonzero(w), rel=1e-9)
    assert seen == [(3, 4, 5, 1)]
    assert model.gradient_check(x, y, sample_weight=w).ok


@pytest.mark.parametrize("form", (dict, list, tuple))
def test_several_outputs_have_weights_of_their_own(rng, form):
    x, y, w = make_data(rng)
    z = rng.normal(size=(N, 1))
    sequence = layers.Input((T, 3), name="sequence")
    tags = layers.Dense(C, name="tags")(sequence)
    score = layers.Dense(1, name="score")(layers.GlobalAveragePooling1D()(sequence))
    model = Model(sequence, [tags, score], seed=0, dtype="float64")
    model.compile("sgd", {"tags": losses.SparseCategoricalCrossentropy(from_logits=True), "score": "mse"})
    parts, targets = {"tags": w, "score": w[:, 0]}, {"tags": y, "score": z}
    if form is not dict:
        parts, targets = form(parts.values()), form(targets.values())
    found = model.evaluate(x, targets, sample_weight=parts, verbose=0, return_dict=True)
    logits, numbers = model.predict(x)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    values = -np.take_along_axis(log_p, y[..., None], -1)[..., 0]
    assert found["tags_loss"] == pytest.approx((w * values).sum() / np.count_nonzero(w), rel=1e-12)
    squares = (w[:, 0] * (numbers - z)[:, 0] ** 2).sum() / np.count_nonzero(w[:, 0])
    assert found["score_loss"] == pytest.approx(squares, rel=1e-12)
    model.fit(x, targets, sample_weight=parts, batch_size=4, verbose=0)


def test_weights_that_do_not_go_with_the_outputs(rng):
    x, y, w = make_data(rng)
    for given, text in (
        (
            w[:, :3],
            r"sample_weight has shape \(6, 3\), expected one weight a row, \(6,\), or the leading axes of y, .* 5\)",
        ),
        (-w, r"must be finite and not negative, got -.* at row \d, step \d; a weight of 0"),
        (w[:, :1], r"expected one weight a row: \(6,\)"),
    ):
        with pytest.raises(ValueError, match=text):
            tagger().fit(x, y, sample_weight=given, verbose=0)
    regression = Sequential([layers.Dense(2)], seed=0)
    regression.compile("sgd", "mse")
    with pytest.raises(
        ValueError, match=r"outputs of dense are \(N, 2\), .* end the model with layers.Reshape\(\(2, 1\)"
    ):
        regression.fit(x[:, 0], x[:, 0, :2], sample_weight=np.ones((N, 2)), verbose=0)
    with pytest.raises(ValueError, match=r"Dice compares whole samples, .* pass one weight a sample \(N,\)"):
        model = tagger()
        model.compile("sgd", "dice")
        model.fit(x, np.eye(C)[y], sample_weight=w, verbose=0)
    with pytest.raises(
        ValueError, match=r"one class a step, labels \(N, T\) or one-hot rows \(N, T, C\), got y of shape"
    ):
        model = tagger()
        model.compile("sgd", "mse")
        model.fit(x, rng.normal(size=(N, T, C)), class_weight={0: 1.0}, verbose=0)
    with pytest.raises(ValueError, match=r"has shape \(6, 3\) and the mask of the outputs \(6, 5\); pass one weight"):
        losses.step_weights(np.ones((6, 5), bool), np.ones((6, 3)))
