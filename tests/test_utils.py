"""to_categorical, pad_sequences."""

import numpy as np
import pytest

from npdl import utils
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


SEQUENCES = [[1, 2, 3], [4], [], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, [[0, 1, 2, 3], [0, 0, 0, 4], [0, 0, 0, 0], [5, 6, 7, 8]]),
        ({"padding": "post"}, [[1, 2, 3, 0], [4, 0, 0, 0], [0, 0, 0, 0], [5, 6, 7, 8]]),
        ({"maxlen": 2}, [[2, 3], [0, 4], [0, 0], [7, 8]]),
        ({"maxlen": 2, "truncating": "post", "value": -1}, [[1, 2], [-1, 4], [-1, -1], [5, 6]]),
        ({"maxlen": 5, "padding": "post", "value": 9}, [[1, 2, 3, 9, 9], [4] + [9] * 4, [9] * 5, [5, 6, 7, 8, 9]]),
        ({"maxlen": 0}, [[], [], [], []]),
    ],
)
def test_pad_sequences(options, rows):
    padded = utils.pad_sequences(SEQUENCES, **options)
    assert padded.dtype == "int32" and padded.tolist() == rows


def test_pad_sequences_of_vectors():
    padded = utils.pad_sequences([np.ones((2, 3)), np.zeros((0, 3)), np.full((1, 3), 2.0)], dtype="float32", value=0.5)
    assert padded.shape == (3, 2, 3) and padded.dtype == "float32"
    assert padded[2].tolist() == [[0.5] * 3, [2] * 3] and (padded[1] == 0.5).all()
    assert utils.pad_sequences([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: utils.pad_sequences([1, 2]), TypeError, r"takes a list of sequences, got \[1, 2\]; pass e.g."),
        (
            lambda: utils.pad_sequences([[1]], padding="left"),
            ValueError,
            r'padding must be "pre" or "post", got \'left\'',
        ),
        (lambda: utils.pad_sequences([[1]], truncating=1), ValueError, r'truncating must be "pre" or "post", got 1'),
        (
            lambda: utils.pad_sequences([[1]], maxlen=-1),
            ValueError,
            r"maxlen must be a whole number of at least 0, got -1",
        ),
        (
            lambda: utils.pad_sequences([[[1, 2]], [[1]]]),
            ValueError,
            r"steps of sequence 1 have shape \(1,\), .* \(2,\)",
        ),
    ],
)
def test_sequences_that_cannot_be_padded(call, error, text):
    with pytest.raises(error, match=text):
        call()
