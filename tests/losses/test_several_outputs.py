"""Losses of several outputs, and CTC: values by hand, kinks, errors."""

import math

import numpy as np
import pytest

from npdl import losses

ONE = np.ones((2, 3))


def test_by_hand():
    a, b = np.array([[3.0, 4.0], [0.0, 0.0]]), np.zeros((2, 2))
    loss = losses.ContrastiveLoss(margin=7.0)
    assert loss.forward([1, 1], (a, b)) == (25 + 0) / 2
    assert loss.forward([0, 0], (a, b)) == (4 + 49) / 2
    da, db = loss.backward()
    np.testing.assert_allclose(da, [[-1.2, -1.6], [0, 0]], rtol=1e-15)  # at distance 0 there is no direction
    np.testing.assert_array_equal(da, -db)
    assert loss.forward([[1.0], [0.0]], (a, b)) == loss.forward([1, 0], (a, b))
    loss = losses.GaussianNLLLoss(full=True)
    assert loss.forward([[1.0]], ([[3.0]], [[2.0]])) == pytest.approx((math.log(2) + 2 + math.log(2 * math.pi)) / 2)
    loss = losses.GaussianNLLLoss(eps=0.5)
    loss.forward([[1.0]], ([[3.0]], [[0.1]]))
    mean, variance = loss.backward()
    assert mean.tolist() == [[4.0]] and variance.tolist() == [[0.0]]
    loss = losses.MarginRankingLoss(1.0)
    assert loss.forward([[1.0], [1.0]], ([[3.0], [2.0]], [[1.0], [1.0]])) == 0
    assert not any(part.any() for part in loss.backward())
    loss = losses.TripletMarginLoss(margin=1.0, eps=0.0)
    assert loss.forward(None, (a, a, b)) == (0 + 1) / 2  # 0 − 5 + 1 and 0 − 0 + 1
    assert not any(np.isnan(part).any() for part in loss.backward())
    loss = losses.CosineEmbeddingLoss(margin=0.5)
    value = loss.forward([1, -1], (np.array([[1.0, 0], [1, 1]]), np.array([[1.0, 1], [1, 0]])))
    assert value == pytest.approx((1 - math.sqrt(0.5) + math.sqrt(0.5) - 0.5) / 2)


def test_wrong_outputs():
    loss = losses.MarginRankingLoss()
    for p, text in (
        (ONE, r"MarginRankingLoss takes y_pred as a tuple \(a, b\), got ndarray"),
        ((ONE,), r"takes y_pred as a tuple \(a, b\), got 1 of them"),
        ((ONE, ONE.astype("float32")), r"all in one of them, got b in float32; pass b\.astype"),
        ((ONE.astype(int), ONE.astype(int)), "takes outputs in float32 or float64, .* got a in int64"),
    ):
        with pytest.raises(TypeError, match=text):
            loss.forward(ONE, p)
    with pytest.raises(ValueError, match=r"the outputs must have one shape, got \(2, 3\), \(2, 4\)"):
        loss.forward(ONE, (ONE, np.ones((2, 4))))
    with pytest.raises(ValueError, match=r"y has shape \(2,\), the outputs have \(2, 3\)"):
        loss.forward([1, 1], (ONE, ONE))
    with pytest.raises(ValueError, match=r"takes 2 outputs \(a, b\), got \(2, 3\); end the model with that many"):
        losses.validate(loss, ONE, (2, 3))
    with pytest.raises(ValueError, match=r"takes 3 outputs \(anchor, positive, negative\)"):
        losses.validate(losses.TripletMarginLoss(), ONE, ((2, 3), (2, 3)))
    with pytest.raises(TypeError, match=r"takes y_pred as a tuple \(anchor, positive, negative\), got 2 of them"):
        losses.TripletMarginLoss().forward(None, (ONE, ONE))


def test_wrong_targets():
    pair = (ONE, ONE)
    for loss, y, text in (
        (losses.MarginRankingLoss(), 0 * ONE, r"targets must be -1 or 1, got 0\.0 at row 0; targets of 0 and 1 become"),
        (losses.CosineEmbeddingLoss(), [1, 0], "CosineEmbeddingLoss: targets must be -1 or 1, got 0 at row 1"),
        (losses.CosineEmbeddingLoss(), [1], "y has 1 rows and the outputs have 2"),
        (losses.CosineEmbeddingLoss(), ONE, r"y has shape \(2, 3\), the outputs have \(2, 1\)"),
        (losses.ContrastiveLoss(), [1, -1], "targets must lie between 0 and 1, got -1 at row 1; 1 means alike"),
    ):
        with pytest.raises(ValueError, match=text):
            loss.forward(y, pair)


def test_arguments():
    for make, text in (
        (lambda: losses.ContrastiveLoss(0), "ContrastiveLoss: margin must be a number above 0, got margin=0"),
        (lambda: losses.TripletMarginLoss(p=0.5), "TripletMarginLoss: p must be a number of at least 1, got p=0.5"),
        (lambda: losses.GaussianNLLLoss(eps=0), "eps must be a number above 0, got eps=0; pass e.g. eps=1"),
        (lambda: losses.MarginRankingLoss(float("nan")), "margin must be a number, got margin=nan"),
    ):
        with pytest.raises(ValueError, match=text):
            make()


def test_ctc_targets():
    loss, z = losses.CTC(), np.zeros((2, 3, 4))
    for y, shape, text in (
        (
            [[1, 2], [1, 1]],
            (2, 2, 4),
            r"row 1 of y needs 3 frames \(its labels, and one between equals\), the outputs have 2",
        ),
        ([[1, 0], [0, 1]], (2, 3, 4), "row 1 of y has a label after a 0, which ends it; move the padding to the end"),
        ([[1, 4], [1, 0]], (2, 3, 4), "label 4 at row 0, position 1 is outside 0 to 3"),
        ([1, 2], (2, 3, 4), r"y has shape \(2,\), expected \(N, labels\), rows padded with 0 at the end"),
        ([[1], [2]], (2, 4), r"needs logits \(N, frames, classes\), the outputs have shape \(2, 4\)"),
    ):
        with pytest.raises(ValueError, match=text):
            losses.validate(loss, np.array(y), shape)
    losses.validate(loss, np.array([[1, 1], [1, 0]]), (None, None, 4))
    with pytest.raises(ValueError, match=r"CTC compares whole samples, .* one weight a sample \(N,\), and let no mask"):
        loss.forward([[1], [2]], z, np.ones((2, 3)))
    assert loss.forward([[0, 0], [0, 0]], z) == pytest.approx(3 * math.log(4))
