"""class_weight: a weight for each row from its class."""

import numpy as np
import pytest

from npdl import losses


def test_class_weights():
    expected = [1.0, 5.0, 0.0, 5.0]
    for y in ([0, 1, 2, 1], [[0], [1], [2], [1]], [0.0, 1.0, 2.0, 1.0], np.eye(3)[[0, 1, 2, 1]]):
        w = losses.class_weights(y, {1: 5.0, 2: 0})
        assert w.dtype == np.float64 and w.tolist() == expected
    assert losses.class_weights([True, False], {1: 2.0}).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("y", "weights", "error", "text"),
    [
        ([0, 1], [1.0, 2.0], TypeError, r"class_weight must be a dict class -> weight, got \[1\.0, 2\.0\]"),
        ([0, 1], {"a": 1.0}, ValueError, "class_weight's keys are class numbers from 0, got 'a'"),
        ([0, 1], {-1: 1.0}, ValueError, "keys are class numbers from 0, got -1"),
        ([0, 1], {True: 1.0}, ValueError, "keys are class numbers from 0, got True"),
        ([0, 1], {0: -1.0}, ValueError, r"class_weight\[0\] must be finite and not negative, got -1\.0"),
        ([0, 1], {0: np.nan}, ValueError, r"class_weight\[0\] must be finite"),
        ([0, 1], {0: "big"}, ValueError, r"class_weight\[0\] must be finite"),
        ([0, 0.5], {0: 1.0}, ValueError, "needs whole class labels, got fractions; pass sample_weight"),
        ([[0.2, 0.2]], {0: 1.0}, ValueError, r"one class a sample, .* got y of shape \(1, 2\); pass sample_weight"),
        (np.zeros((2, 3, 4)), {0: 1.0}, ValueError, r"got y of shape \(2, 3, 4\); pass sample_weight"),
        (np.eye(3), {3: 1.0}, ValueError, "has the key 3, the classes are 0 to 2; remove it"),
        (["a"], {0: 1.0}, TypeError, "class_weight: expected an array of numbers, got text"),
    ],
)
def test_wrong_class_weights(y, weights, error, text):
    with pytest.raises(error, match=text):
        losses.class_weights(y, weights)


def test_class_weights_know_the_classes_where_told():
    with pytest.raises(ValueError, match="has the key 7, the classes are 0 to 2"):
        losses.class_weights([0, 1], {7: 1.0}, num_classes=3)
