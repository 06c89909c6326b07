"""Losses for classes and regions: documented values, what is ignored, weights of classes, errors."""

import numpy as np
import pytest

from npdl import Sequential, layers, losses

ROWS, SURE = [[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]


def check(loss, y, shape):
    losses.validate(losses.get(loss), np.asarray(y), shape)


def test_documented_values():
    """As in Keras' documentation, and by hand."""
    focal = losses.CategoricalFocalCrossentropy(from_logits=False)
    expected = 0.25 * (0.05**2 * -np.log(0.95) + 0.9**2 * -np.log(0.1)) / 2
    assert focal.forward(ROWS, SURE) == pytest.approx(expected, rel=1e-5)
    assert losses.CategoricalHinge().forward([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]) == pytest.approx(1.4)
    assert losses.CosineSimilarity().forward([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]) == pytest.approx(-0.5)
    t = np.array([[[[1.0], [1.0]], [[0.0], [0.0]]], [[[1.0], [1.0]], [[0.0], [0.0]]]])
    p = np.array([[[[0.0], [1.0]], [[0.0], [1.0]]], [[[0.4], [0.0]], [[0.0], [0.9]]]])
    assert losses.Dice(axis=(1, 2, 3)).forward(t, p) == pytest.approx((0.5 + 0.75757575) / 2, rel=1e-6)
    assert losses.Dice().forward(t, p) == losses.Dice(axis=[1, 2, 3]).forward(t, p)
    assert losses.Tversky().forward(t, p) == pytest.approx(losses.Dice().forward(t, p), rel=1e-6)
    many = losses.Tversky(alpha=1.0, beta=0.0).forward([[1.0, 0.0]], [[1.0, 1.0]])
    assert many == pytest.approx(0.5) and losses.Tversky(0.0, 1.0).forward([[1.0, 0.0]], [[1.0, 1.0]]) == 0
    last = losses.Dice(axis=-1).forward(t[..., 0], p[..., 0])
    assert last == pytest.approx(np.mean([1 / 3, 1, 1 - 0.8 / 2.4, 1]), rel=1e-6)


def test_focal_without_focus_is_cross_entropy(rng):
    t, z = np.eye(4)[rng.integers(0, 4, 6)], rng.normal(size=(6, 4))
    for logits in (True, False):
        y = z if logits else np.exp(z)
        plain = losses.CategoricalCrossentropy(logits, 0.1)
        focal = losses.CategoricalFocalCrossentropy(1.0, 0, logits, 0.1)
        assert focal.forward(t, y) == pytest.approx(plain.forward(t, y), rel=1e-13)
        np.testing.assert_allclose(focal.backward(), plain.backward(), rtol=1e-11, atol=1e-15)
    sparse = losses.SparseCategoricalFocalCrossentropy(from_logits=True)
    whole = losses.CategoricalFocalCrossentropy(from_logits=True)
    assert sparse.forward(t.argmax(1), z) == whole.forward(t, z)
    assert sparse.forward(t.argmax(1)[:, None], z) == whole.forward(t, z)


def test_ignored_positions_change_nothing(rng):
    """Of one long batch the same as of the positions that count alone."""
    y, z = rng.integers(0, 4, (5, 6)), rng.normal(size=(5, 6, 4))
    y[rng.uniform(size=y.shape) < 0.4] = -1
    y[2] = -1
    live = y != -1
    for logits in (True, False):
        p = z if logits else np.exp(z)
        loss, plain = losses.SparseCategoricalCrossentropy(logits, -1), losses.SparseCategoricalCrossentropy(logits)
        assert loss.forward(y, p) == pytest.approx(plain.forward(y[live], p[live]), rel=1e-13)
        dy = loss.backward()
        assert not dy[~live].any()
        np.testing.assert_allclose(dy[live], plain.backward(), rtol=1e-12, atol=1e-16)
        wild = p.copy()
        wild[~live] = 1e300
        with np.errstate(all="ignore"):
            assert loss.forward(y, wild) == loss.forward(y, p)
        assert loss.forward(np.full((5, 6), -1), p) == 0 and not loss.backward().any()
    total = count = 0.0
    for rows in (slice(0, 2), slice(2, 5)):
        loss.forward(y[rows], p[rows])
        total, count = total + loss.total, count + loss.count
    assert total / count == pytest.approx(loss.forward(y, p), rel=1e-13)
    assert loss.forward(np.zeros((5, 6), int), p) == plain.forward(np.zeros((5, 6), int), p)


def test_ignored_labels_in_fit(rng):
    x, y = rng.normal(size=(30, 4, 3)).astype("float32"), rng.integers(0, 5, (30, 4))
    y[:, 2:] = -1
    model = Sequential([layers.Dense(5)], seed=0)
    model.compile("sgd", losses.SparseCategoricalCrossentropy(ignore_class=-1))
    history = model.fit(x, y, epochs=1, batch_size=7, verbose=0)
    short = Sequential([layers.Dense(5)], seed=0)
    short.compile("sgd", "sparse_categorical_crossentropy")
    expected = short.fit(x[:, :2], y[:, :2], epochs=1, batch_size=7, verbose=0)
    assert history.history["loss"][0] == pytest.approx(expected.history["loss"][0], rel=1e-5)
    for one, other in zip(model.get_weights(), short.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_every_loss_of_one_output_trains(rng):
    x = rng.normal(size=(16, 3)).astype("float32")
    for name, y, last in (
        ("log_cosh", x, layers.Dense(3)),
        ("poisson_nll_loss", abs(x), layers.Dense(3)),
        ("hinge", np.sign(x), layers.Dense(3)),
        ("binary_focal_crossentropy", x > 0, layers.Dense(3, activation="sigmoid")),
        ("sparse_categorical_focal_crossentropy", x.argmax(1), layers.Dense(3, activation="softmax")),
        ("categorical_generalized_cross_entropy", x.argmax(1), layers.Dense(3, activation="softmax")),
        ("multi_margin_loss", x.argmax(1), layers.Dense(3)),
        ("cross_entropy_loss", x.argmax(1), layers.Dense(3)),
        ("dice", x > 0, layers.Dense(3, activation="sigmoid")),
        ("cosine_similarity", x, layers.Dense(3)),
    ):
        model = Sequential([last], seed=0)
        model.compile("adam", name)
        history = model.fit(x, np.asarray(y, "float32"), epochs=8, verbose=0).history["loss"]
        assert history[-1] < history[0], name


def test_arguments():
    for make, text in (
        (
            lambda: losses.NLLLoss([1.0, -1.0]),
            r"NLLLoss: weight must be a number or one number a class, .* got \[1.0, -1",
        ),
        (lambda: losses.BCEWithLogitsLoss(pos_weight=[[1.0]]), "pos_weight must be a number or one number a class"),
        (lambda: losses.CrossEntropyLoss(label_smoothing=2), "label_smoothing must lie between 0 and 1, got 2"),
        (lambda: losses.MultiMarginLoss(3), "MultiMarginLoss: p must be 1 or 2, got p=3; pass p=1"),
        (lambda: losses.CategoricalFocalCrossentropy(gamma=-1), "gamma must be a number of at least 0, got gamma=-1"),
        (
            lambda: losses.SparseCategoricalCrossentropy(True, 0.5),
            "ignore_class must be a whole number or None, got 0.5",
        ),
        (lambda: losses.CosineSimilarity(axis=1), "vectors lie along the last axis, axis=-1, got axis=1; move it last"),
        (lambda: losses.Tversky(alpha=-1), "Tversky: alpha must be a number of at least 0, got alpha=-1"),
        (lambda: losses.Dice(axis=1).forward(np.ones((2, 3, 4)), np.ones((2, 3, 4))), r"axis must name the last axes"),
        (
            lambda: losses.Dice(axis=(0, 1)).forward(np.ones((2, 3)), np.ones((2, 3))),
            r"e\.g\. axis=\(1,\), got \[0, 1\]",
        ),
    ):
        with pytest.raises(ValueError, match=text):
            make()


def test_targets():
    for loss, y, shape, text in (
        (
            losses.NLLLoss([1.0, 2.0]),
            [0],
            (1, 3),
            "weight has 2 numbers, the outputs have 3 classes; pass one number a",
        ),
        (losses.NLLLoss(), [0, 3], (2, 3), "label 3 at row 1 is outside 0 to 2"),
        (losses.SparseCategoricalCrossentropy(True, -1), [-1, -2], (2, 3), "label -2 at row 1 is outside 0 to 2"),
        (
            losses.CrossEntropyLoss(),
            [[0.0, 1.0, 0.0]],
            (1, 3),
            "one number a class, expected one integer label a sample",
        ),
        (losses.BCEWithLogitsLoss([1.0]), [[0, 1]], (1, 2), "weight has 1 numbers, the outputs have 2 classes"),
        (losses.BCEWithLogitsLoss(), [[2]], (1, 1), "targets must lie between 0 and 1, got 2 at row 0"),
        (losses.MultiMarginLoss(), [3], (1, 3), "label 3 at row 0 is outside 0 to 2"),
        (losses.CategoricalHinge(), [0, 1], (2, 3), r"expected one-hot rows \(2, 3\); for integer labels pass npdl"),
        (losses.CategoricalHinge(), [[0]], (1, 1), r"needs one output a class, .* \(1, 1\); end it with Dense"),
        (
            losses.CategoricalFocalCrossentropy(),
            [0, 1],
            (2, 3),
            'loss="sparse_categorical_focal_crossentropy", or pass',
        ),
        (
            losses.CategoricalFocalCrossentropy([1.0]),
            [[0, 1]],
            (1, 2),
            "alpha has 1 numbers, the outputs have 2 classes",
        ),
        (
            losses.CategoricalFocalCrossentropy(),
            [[0, 7]],
            (1, 2),
            "targets of the classes must lie between 0 and 1, got 7",
        ),
        (losses.SparseCategoricalFocalCrossentropy(), [2], (1, 2), "label 2 at row 0 is outside 0 to 1"),
    ):
        with pytest.raises(ValueError, match=text):
            losses.validate(loss, np.array(y), shape)


def test_names():
    for name in (
        "categorical_focal_crossentropy", "categorical_hinge", "cosine_similarity", "dice", "tversky", "ctc",
        "nll_loss",
        "triplet_margin_loss", "margin_ranking_loss", "gaussian_nll_loss", "cosine_embedding_loss", "contrastive_loss",
    ):  # fmt: skip
        assert losses.get(name).name == name
