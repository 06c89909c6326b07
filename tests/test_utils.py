"""to_categorical."""

import numpy as np
import pytest

from npdl.utils import to_categorical


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float32, bool])
def test_dtypes(dtype):
    y = to_categorical(np.array([1, 0, 1], dtype))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, [[0, 1], [1, 0], [0, 1]])


def test_shapes():
    """As Keras': one axis is added, a last axis of one is dropped before."""
    for given, expected in (
        ((4,), (4, 3)),
        ((4, 1), (4, 3)),
        ((2, 5), (2, 5, 3)),
        ((2, 5, 1), (2, 5, 3)),
        ((), (3,)),
        ((1,), (1, 3)),
    ):
        y = to_categorical(np.full(given, 2), 3)
        assert y.shape == expected
        assert y[..., 2].all() and not y[..., :2].any()


def test_every_number():
    x = np.random.default_rng(0).integers(0, 7, (3, 4, 5))
    y = to_categorical(x, 9)
    np.testing.assert_array_equal(y.argmax(-1), x)
    np.testing.assert_array_equal(y.sum(-1), 1)


def test_empty():
    assert to_categorical([], 3).shape == (0, 3)
    with pytest.raises(ValueError, match=r"got no class numbers; pass num_classes, e\.g\. num_classes=10"):
        to_categorical([])


@pytest.mark.parametrize(
    ("x", "classes", "message"),
    [
        ([0, 3], 3, r"class numbers lie in 0 \.\.\. 2, got 3; number the classes from 0 .* or pass num_classes"),
        ([-1, 0], None, r"lie in 0 \.\.\. 0, got -1"),
        ([5, 6, 7, 8, 9, 10, 11], 2, r"got 5, 6, 7, 8, 9; number"),
    ],
)
def test_outside(x, classes, message):
    with pytest.raises(ValueError, match=message):
        to_categorical(x, classes)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (["cat", "dog"], r"needs whole numbers, got dtype <U3, e\.g\. \['cat'\]; number the classes by np\.unique"),
        ([0.5, 1.0], r"got dtype float64, e\.g\. \[0\.5\]"),
        ([np.nan], r"e\.g\. \[nan\]"),
        ([np.inf], r"e\.g\. \[inf\]"),
        ([None], "got dtype object"),
    ],
)
def test_not_numbers(x, message):
    with pytest.raises(TypeError, match=message):
        to_categorical(x)
