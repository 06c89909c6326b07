"""Losses for numbers: values by hand and by scikit-learn, extremes, errors."""

import numpy as np
import pytest

from npdl import losses

sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn")


def test_scikit_learn(rng):
    t, p = rng.uniform(0.1, 5, (50, 1)), rng.uniform(0.1, 5, (50, 1))
    for loss, right in (
        (losses.Quantile(0.8), sklearn_metrics.mean_pinball_loss(t, p, alpha=0.8)),
        (losses.MeanSquaredLogarithmicError(), sklearn_metrics.mean_squared_log_error(t, p)),
        (losses.MeanAbsolutePercentageError(), 100 * sklearn_metrics.mean_absolute_percentage_error(t, p)),
        (losses.Hinge(), sklearn_metrics.hinge_loss(np.where(t[:, 0] > 2, 1, -1), p)),
    ):
        y = np.where(t > 2, 1.0, -1.0) if isinstance(loss, losses.Hinge) else t
        assert loss.forward(y, p) == pytest.approx(right, rel=1e-12)


def test_documented_values():
    """Examples as in Keras' documentation, and by hand."""
    y, p = [[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]]
    for loss, expected in (
        (losses.LogCosh(), 0.2168904),
        (losses.MeanSquaredLogarithmicError(), 0.2402265),
        (losses.Poisson(), 0.75),
        (losses.SquaredHinge(), 2.25),
        (losses.Hinge(), 1.25),
    ):
        assert loss.forward(y, p) == pytest.approx(expected, rel=1e-6), loss
    y, p = [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]
    assert losses.KLDivergence().forward(y, p) == pytest.approx(0.458, abs=5e-4)
    assert losses.Hinge().forward(y, p) == pytest.approx(1.3)
    assert losses.SquaredHinge().forward(y, p) == pytest.approx(1.86)
    focal = losses.BinaryFocalCrossentropy(gamma=2, from_logits=True)
    assert focal.forward([[0, 1, 0, 0]], [[-18.6, 0.51, 2.94, -12.8]]) == pytest.approx(0.691, abs=5e-4)
    focal = losses.BinaryFocalCrossentropy(True, gamma=2, from_logits=True)
    assert focal.forward([[0, 1, 0, 0]], [[-18.6, 0.51, 2.94, -12.8]]) == pytest.approx(0.51, abs=5e-3)
    gce = losses.CategoricalGeneralizedCrossEntropy(0.5)
    value = gce.forward([0, 1], [[0.64, 0.36], [0.75, 0.25]])
    assert value == pytest.approx(((1 - 0.8) / 0.5 + (1 - 0.5) / 0.5) / 2)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_log_cosh_keeps_its_digits(dtype):
    loss = losses.LogCosh()
    e = np.array([[1e-6], [-1e-3], [0.5], [1.0], [-30.0], [1e4]], dtype)
    wide = np.abs(e.astype("float64"))
    right = wide**2 / 2 * (wide < 1e-2) - wide**4 / 12 * (wide < 1e-2)
    right += np.where(wide < 1e-2, 0, np.log(np.cosh(np.minimum(wide, 30))) + np.maximum(wide - 30, 0))
    for one, expected in zip(e, right[:, 0], strict=True):
        assert loss.forward([[0.0]], one[None]) == pytest.approx(expected, rel=4 * float(np.finfo(dtype).eps) + 1e-11)


def test_kinks_and_clips():
    for loss in (losses.Quantile(0.3), losses.MeanAbsolutePercentageError(), losses.SmoothL1Loss(0)):
        assert loss.forward([[2.0]], [[2.0]]) == 0
        assert loss.backward().tolist() == [[0.0]]
    loss = losses.MeanAbsolutePercentageError()
    assert loss.forward([[0.0]], [[1e-7]]) == pytest.approx(100)
    loss = losses.MeanSquaredLogarithmicError()
    assert loss.forward([[0.0]], [[-3.0]]) == 0 and loss.backward().tolist() == [[0.0]]
    loss = losses.KLDivergence()
    loss.forward([[0.5, 0.5, 0.0]], [[0.0, 1.5, 0.5]])
    assert loss.backward()[0, :2].tolist() == [0, 0]
    loss = losses.BinaryFocalCrossentropy(from_logits=True, gamma=0.5)
    assert loss.forward([[1.0, 0.0]], [[1e4, -1e4]]) == 0 and loss.backward().tolist() == [[0, 0]]
    assert loss.forward([[0.0, 1.0]], [[1e4, -1e4]]) == pytest.approx(1e4)
    np.testing.assert_allclose(loss.backward(), [[0.5, -0.5]])
    loss = losses.BinaryFocalCrossentropy(from_logits=False)
    assert np.isfinite(loss.forward([[0.0, 1.0]], [[1.0, 0.0]]))
    assert loss.backward().tolist() == [[0, 0]]


def test_focal_without_focus_is_binary_cross_entropy(rng):
    t, z = rng.uniform(size=(6, 3)), rng.normal(size=(6, 3))
    plain, focal = losses.BinaryCrossentropy(True, 0.1), losses.BinaryFocalCrossentropy(gamma=0, from_logits=True)
    focal.label_smoothing = 0.1
    assert focal.forward(t, z) == pytest.approx(plain.forward(t, z), rel=1e-14)
    np.testing.assert_allclose(focal.backward(), plain.backward(), rtol=1e-13, atol=1e-16)


def test_arguments():
    for make, text in (
        (lambda: losses.Quantile(1.0), r"Quantile needs q between 0 and 1, got q=1\.0; pass e\.g\. Quantile\(0\.9\)"),
        (lambda: losses.SmoothL1Loss(-1), "SmoothL1Loss: beta must be a number of at least 0, got beta=-1; pass e"),
        (lambda: losses.PoissonNLLLoss(eps=-1), "PoissonNLLLoss: eps must be a number of at least 0, got eps=-1"),
        (lambda: losses.HingeEmbeddingLoss("1"), "margin must be a number, got margin='1'; pass e.g. margin=1"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(0), "needs q above 0 and at most 1, got q=0; pass"),
        (lambda: losses.BinaryFocalCrossentropy(gamma=-1), "gamma must be a number of at least 0, got gamma=-1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=text):
            make()


def test_targets():
    for loss, y, text in (
        ("hinge", [[2.0], [3.0]], 'Hinge: targets must be -1 or 0 or 1, got 2.0 at row 0; .*loss="categorical_hinge"'),
        ("squared_hinge", [[1], [3]], "SquaredHinge: targets must be -1 or 0 or 1, got 3 at row 1"),
        ("soft_margin_loss", [[1], [0]], r"SoftMarginLoss: targets must be -1 or 1, got 0 at row 1; .* 2 \* y - 1"),
        ("hinge_embedding_loss", [[0], [1]], "HingeEmbeddingLoss: targets must be -1 or 1, got 0 at row 0"),
        ("binary_focal_crossentropy", [[2], [1]], "targets must lie between 0 and 1, got 2 at row 0"),
    ):
        with pytest.raises(ValueError, match=text):
            losses.validate(losses.get(loss), np.array(y), (2, 1))
    with pytest.raises(ValueError, match="targets of the classes must lie between 0 and 1, got 2 at row 0, position 1"):
        losses.validate(losses.get("kld"), np.array([[0, 2]]), (1, 2))
    gce = losses.get("categorical_generalized_cross_entropy")
    with pytest.raises(ValueError, match="label 3 at row 1 is outside 0 to 2, the model has 3 outputs"):
        losses.validate(gce, np.array([0, 3]), (2, 3))
    with pytest.raises(ValueError, match="prepare needs the outputs' shape to make one-hot rows; pass output_shape"):
        gce.prepare(np.array([0, 1]), np.float32)
    assert gce.prepare(np.array([[0], [2]]), np.float32, (2, 3)).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_names():
    for name, kind in (
        ("mape", losses.MeanAbsolutePercentageError), ("MSLE", losses.MeanSquaredLogarithmicError),
        ("logcosh", losses.LogCosh), ("kld", losses.KLDivergence), ("KLD", losses.KLDivergence),
        ("pinball", losses.Quantile), ("poisson", losses.Poisson), ("hinge", losses.Hinge),
        ("SmoothL1Loss", losses.SmoothL1Loss),
    ):  # fmt: skip
        assert type(losses.get(name)) is kind
