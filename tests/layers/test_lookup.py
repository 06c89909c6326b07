"""The layers that turn strings, numbers and texts into whole numbers, on the host."""

import copy
import json
import math

import numpy as np
import pytest

import npdl
from npdl import layers

LETTERS = ["a", "b", "c", "d"]
ROWS = [["a", "c", "d", "d"], ["d", "z", "b", "z"]]


def test_strings_as_numbers():
    layer = layers.StringLookup(vocabulary=LETTERS)
    y = layer([["a", "c", "d"], ["d", "z", "b"]])
    assert y.tolist() == [[1, 3, 4], [4, 0, 2]] and y.dtype == np.int32
    assert layer(np.array([b"a", b"z"])).tolist() == [1, 0]
    assert layer(np.array(["d", "a"], object)).tolist() == [4, 1]
    assert layer("b").shape == () and layer("b") == 2
    masked = layers.StringLookup(vocabulary=LETTERS, mask_token="", num_oov_indices=2)
    assert masked.get_vocabulary() == ["", "[UNK]", "[UNK]", *LETTERS] and masked.vocabulary_size() == 7
    assert masked.get_vocabulary(include_special_tokens=False) == LETTERS
    assert masked(["", "a", "d"]).tolist() == [0, 3, 6]
    places = masked([str(n) for n in range(50)])
    assert set(places) == {1, 2} and masked(["7"]) == places[7]  # by a hash of the string alone


def test_the_way_back():
    back = layers.StringLookup(vocabulary=LETTERS, invert=True)
    assert back([[1, 3, 4], [4, 0, 9]]).tolist() == [["a", "c", "d"], ["d", "[UNK]", "[UNK]"]]
    numbers = layers.IntegerLookup(vocabulary=[12, 36, 1138, 42], invert=True)([[1, 3, 4], [4, 0, 2]])
    assert numbers.tolist() == [[12, 1138, 42], [42, -1, 36]] and numbers.dtype == np.int64


def test_adapt_takes_the_most_frequent_first():
    layer = layers.StringLookup()
    layer.adapt([["a", "c", "d"], ["d", "z", "b"]])
    assert layer.get_vocabulary() == ["[UNK]", "d", "z", "c", "b", "a"]
    layer.adapt(lambda: iter([(np.array(["x", "y"]), 1), np.array([["y", "[UNK]"]])]))  # batches; it begins anew
    assert layer.get_vocabulary() == ["[UNK]", "y", "x"]
    few = layers.StringLookup(max_tokens=3, mask_token="")
    few.adapt([["a", "", "", "", "b", "b"]])
    assert few.get_vocabulary() == ["", "[UNK]", "b"]


def test_whole_numbers():
    layer = layers.IntegerLookup()
    layer.adapt([[12, 1138, 42], [42, 1000, 36]])
    assert layer.get_vocabulary() == [-1, 42, 1138, 1000, 36, 12]
    assert layer([[12, 1138, 42], [42, 1000, 36]]).tolist() == [[5, 2, 1], [1, 3, 4]]
    two = layers.IntegerLookup(vocabulary=[12, 36, 1138, 42], num_oov_indices=2)
    assert two([[12, 1138, 42], [37, 1000, 36]]).tolist() == [[2, 4, 5], [1, 0, 3]]
    hashed = layers.IntegerLookup(vocabulary=[1], num_oov_indices=4, oov_method="farmhash")
    places = hashed(np.arange(2, 402, 4))  # of which the remainders are all one
    assert np.bincount(places).min() > 10
    salted = layers.IntegerLookup(vocabulary=[1], num_oov_indices=4, oov_method="farmhash", salt=[1, 2])
    assert (salted(np.arange(2, 402, 4)) != places).any()


def test_output_modes():
    """The values of Keras' documentation."""
    hot = layers.StringLookup(vocabulary=LETTERS, output_mode="one_hot")
    np.testing.assert_array_equal(hot([*LETTERS, "z"]), np.eye(5)[[1, 2, 3, 4, 0]])
    assert hot(ROWS).shape == (2, 4, 5) and hot([["a"]]).shape == (1, 5) and hot(ROWS).dtype == np.float32
    multi = layers.StringLookup(vocabulary=LETTERS, output_mode="multi_hot")
    assert multi(ROWS).tolist() == [[0, 1, 0, 1, 1], [1, 0, 1, 0, 1]]
    assert multi(LETTERS).tolist() == [0, 1, 1, 1, 1]  # one sample
    count = layers.StringLookup(vocabulary=LETTERS, output_mode="count", max_tokens=7, pad_to_max_tokens=True)
    assert count(ROWS).tolist() == [[0, 1, 0, 1, 2, 0, 0], [2, 0, 1, 0, 1, 0, 0]]
    weighted = layers.StringLookup(
        vocabulary=LETTERS, idf_weights=[0.25, 0.75, 0.6, 0.4], output_mode="tf_idf"
    )  # fmt: skip
    np.testing.assert_allclose(weighted(ROWS), [[0, 0.25, 0, 0.6, 0.8], [1, 0, 0.75, 0, 0.4]], rtol=1e-6)
    learnt = layers.StringLookup(output_mode="tf_idf")
    learnt.adapt(["a", "b", "b"])  # three documents
    np.testing.assert_allclose(learnt.idf_weights, [math.log(1 + 3 / 3), math.log(1 + 3 / 2)])
    masked = layers.StringLookup(vocabulary=LETTERS, mask_token="", output_mode="count")
    assert masked([["", "a", ""]]).tolist() == [[0, 1, 0, 0, 0]]


def test_vocabularies(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n", encoding="utf-8")
    assert layers.StringLookup(vocabulary=tmp_path / "words.txt").vocabulary == ["a", "b"]
    assert layers.StringLookup(vocabulary=["[UNK]", "a"]).vocabulary == ["a"]
    assert layers.StringLookup(vocabulary=np.array(["a", "b"])).vocabulary == ["a", "b"]
    assert layers.TextVectorization(vocabulary=["", "[UNK]", "a"])("a b").tolist() == [2, 1]


TEXTS = ["The cat sat; the cat ran.", "A dog sat!", "the dog's cat?", "Birds"]


def test_texts():
    layer = layers.TextVectorization()
    layer.adapt(TEXTS)
    assert layer.get_vocabulary()[:4] == ["", "[UNK]", "the", "cat"]
    y = layer(["the CAT, flew", "cat"])
    assert y.tolist() == [[2, 3, 1], [3, 0, 0]] and y.dtype == np.int32
    assert layer([["cat"], ["the cat"]]).tolist() == [[3, 0], [2, 3]] and layer("cat").tolist() == [3]
    assert layer([""]).shape == (1, 0)
    long = layers.TextVectorization(output_sequence_length=2, vocabulary=["a", "b"])
    assert long(["a", "b a b"]).tolist() == [[2, 0], [3, 2]]


def test_how_texts_are_cut():
    def vocabulary(**options):
        layer = layers.TextVectorization(**options)
        layer.adapt(["Ab c. Ab", "c!"])
        return sorted(layer.get_vocabulary(include_special_tokens=False))

    assert vocabulary() == ["ab", "c"]
    assert vocabulary(standardize="lower") == ["ab", "c!", "c."]
    assert vocabulary(standardize="strip_punctuation") == ["Ab", "c"]
    assert vocabulary(standardize=None) == ["Ab", "c!", "c."]
    assert vocabulary(standardize=lambda text: text.upper()) == ["AB", "C!", "C."]
    assert vocabulary(split="character") == [" ", "a", "b", "c"]
    assert vocabulary(split=None) == ["ab c ab", "c"]
    assert vocabulary(split=lambda text: text.split("b")) == [" c a", "a", "c"]
    assert vocabulary(ngrams=2) == ["ab", "ab c", "c", "c ab"]
    assert vocabulary(ngrams=(3,)) == ["ab c ab"]
    order = layers.TextVectorization(ngrams=2, vocabulary=["a", "b", "a b"])
    assert order(["a b a"]).tolist() == [[2, 3, 2, 4, 1]]  # words, then pairs


@pytest.mark.parametrize("ngrams", (1, 2))
def test_bags_are_those_of_scikit_learn(ngrams):
    text = pytest.importorskip("sklearn.feature_extraction.text", reason="compares with scikit-learn")
    words = text.CountVectorizer(token_pattern=r"\S+", ngram_range=(1, ngrams))
    clean = [text.lower().translate(str.maketrans("", "", ".,;!?'")) for text in TEXTS]
    expected = words.fit_transform(clean).toarray()
    layer = layers.TextVectorization(output_mode="count", ngrams=ngrams)
    layer.adapt(TEXTS)
    columns = [words.vocabulary_[token] for token in layer.get_vocabulary()[1:]]
    np.testing.assert_array_equal(layer(TEXTS)[:, 1:], expected[:, columns])
    assert (layer(TEXTS)[:, 0] == 0).all()
    layer = layers.TextVectorization(output_mode="tf_idf", ngrams=ngrams)
    layer.adapt(TEXTS)
    weights = [math.log(1 + 4 / (1 + n)) for n in (expected > 0).sum(axis=0)]
    np.testing.assert_allclose(layer(TEXTS)[:, 1:], (expected * weights)[:, columns], rtol=1e-6)
    assert layer(["unseen"])[0, 0] == pytest.approx(np.mean(weights))


def test_discretization():
    data = [[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]]
    layer = layers.Discretization(num_bins=4, epsilon=0.01)
    layer.adapt(np.array(data))
    assert layer(data).tolist() == [[0, 2, 3, 2], [1, 3, 3, 1]]  # Keras' documentation
    layer.adapt(row for row in data)
    np.testing.assert_allclose(layer.bin_boundaries, [0, 0.5, 1.3])
    hot = layers.Discretization([0.0, 1.0, 2.0], output_mode="one_hot")
    np.testing.assert_array_equal(hot([[-1.0], [1.0], [2.5]]), np.eye(4)[[0, 2, 3]])
    count = layers.Discretization([0.0, 1.0, 2.0], output_mode="count")
    assert count(data).tolist() == [[1, 1, 1, 1], [0, 2, 1, 1]]
    values = np.random.default_rng(0).normal(size=(1000, 1))
    layer = layers.Discretization(num_bins=8)
    layer.adapt(values)
    right = np.quantile(values, np.arange(1, 8) / 8, method="interpolated_inverted_cdf")
    np.testing.assert_allclose(layer.bin_boundaries, right, rtol=1e-12)
    assert np.bincount(layer(values).ravel()).tolist() == pytest.approx([125] * 8, abs=1)


def test_hashing():
    layer = layers.Hashing(3)
    tokens = [[str(n)] for n in range(100)]
    y = layer(tokens)
    assert np.bincount(y.ravel(), minlength=3).min() > 20 and layer(tokens[5:6]) == y[5]
    assert (layers.Hashing(3, salt=[1, 2])(tokens) != y).any()
    masked = layers.Hashing(3, mask_value="")([["", "a", "b"]])
    assert masked[0, 0] == 0 and set(masked[0, 1:]) <= {1, 2}
    assert layers.Hashing(4, output_mode="multi_hot")(np.arange(10).reshape(2, 5)).shape == (2, 4)


def test_crossed_features():
    layer = layers.HashedCrossing(50)
    a, b = np.array(["A", "B", "A", "B", "A"]), np.array([101, 101, 101, 102, 102])
    y = layer((a, b))
    assert y[0] == y[2] and len(set(y)) == 4 and y.shape == (5,)
    hot = layers.HashedCrossing(50, output_mode="one_hot")
    np.testing.assert_array_equal(hot((a[:, None], b[:, None])), np.eye(50)[y])


def adapted(layer, data):
    layer.adapt(data)
    return layer


@pytest.mark.parametrize(
    ("layer", "data"),
    (
        (adapted(layers.TextVectorization(ngrams=2, output_mode="tf_idf"), TEXTS), TEXTS),
        (adapted(layers.TextVectorization(max_tokens=5, output_sequence_length=3), TEXTS), TEXTS),
        (layers.StringLookup(vocabulary=LETTERS, mask_token=""), ROWS),
        (adapted(layers.IntegerLookup(), [[3, 4]]), [[4, 5]]),
        (adapted(layers.Discretization(num_bins=3), [1.0, 2.0, 5.0]), [0.0, 3.0]),
        (layers.Hashing(5, salt=3), ROWS),
        (layers.HashedCrossing(7), ROWS),
    ),
)
def test_configurations_keep_what_was_learnt(layer, data):
    config = json.loads(json.dumps(layer.get_config()))
    for other in (type(layer).from_config(config), copy.deepcopy(layer)):
        assert other.get_config() == layer.get_config()
        np.testing.assert_array_equal(other(data), layer(data))


def test_keras_configurations():
    text = {
        "name": "text_vectorization", "trainable": True,
        "dtype": {"class_name": "DTypePolicy", "config": {"name": "string"}},
        "max_tokens": 10, "standardize": "lower_and_strip_punctuation", "split": "whitespace", "ngrams": None,
        "output_mode": "int", "output_sequence_length": 4, "pad_to_max_tokens": False, "sparse": False, "ragged": False,
        "vocabulary": ["", "[UNK]", "a"], "idf_weights": None, "encoding": "utf-8", "vocabulary_size": 3,
    }  # fmt: skip
    assert layers.TextVectorization.from_config(text)("a b").tolist() == [2, 1, 0, 0]
    integer = {
        "dtype": "int64", "invert": False, "max_tokens": None, "num_oov_indices": 1, "oov_token": -1,
        "mask_token": None,
        "output_mode": "int", "sparse": False, "pad_to_max_tokens": False, "idf_weights": None, "vocabulary": [5, 6],
        "vocabulary_size": 3, "vocabulary_dtype": "int64", "oov_method": "floormod", "salt": None,
    }  # fmt: skip
    assert layers.IntegerLookup.from_config(integer)([6]).tolist() == [2]
    bins = {"bin_boundaries": [0.0, 1.0], "num_bins": None, "epsilon": 0.01, "output_mode": "int", "sparse": False}
    assert layers.Discretization.from_config(bins)([0.5]).tolist() == [1]


def test_a_model_learns_from_texts():
    texts, y = ["good fine", "bad", "good", "bad awful"] * 8, np.tile([[1.0], [0.0]], (16, 1))
    vectorize = adapted(layers.TextVectorization(), texts)
    model = npdl.Sequential(
        [
            layers.Input((None,)),
            layers.Embedding(vectorize.vocabulary_size(), 4, mask_zero=True),
            layers.LSTM(4),
            layers.Dense(1, "sigmoid"),
        ],
        seed=0,
    )
    model.compile(npdl.optimizers.Adam(0.05), "binary_crossentropy")
    model.fit(vectorize(texts), y, epochs=10, verbose=0)
    assert ((model.predict(vectorize(["fine good good", "awful"])) > 0.5) == [[1], [0]]).all()


def test_a_model_cannot_hold_one():
    message = r"TextVectorization works on data before .* call it first: x = text_vectorization\(data\), then fit"
    for make in (
        lambda layer: npdl.Sequential([layer, layers.Dense(1)]),
        lambda layer: layer(layers.Input((1,))),
        lambda layer: layers.Residual([layer]),
    ):
        with pytest.raises(TypeError, match=message):
            make(layers.TextVectorization())


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: layers.StringLookup(output_mode="ids"), ValueError, 'StringLookup knows output_mode="int" or'),
        (lambda: layers.StringLookup(num_oov_indices=-1), ValueError, "needs num_oov_indices .* got -1"),
        (lambda: layers.StringLookup(invert=True, output_mode="count"), ValueError, "with invert=True reads numbers"),
        (lambda: layers.StringLookup(pad_to_max_tokens=True), ValueError, "needs max_tokens"),
        (lambda: layers.StringLookup(max_tokens=1), ValueError, "max_tokens=1, of which 1 are special"),
        (lambda: layers.StringLookup(sparse=True), ValueError, "makes arrays, got sparse=True"),
        (lambda: layers.StringLookup(vocabulary=["a", "a"]), ValueError, r"each once, .* \['a'\] among them"),
        (lambda: layers.StringLookup(vocabulary=[]), ValueError, "at least one token"),
        (lambda: layers.StringLookup(vocabulary=LETTERS, max_tokens=3), ValueError, r"pass vocabulary\[:2\]"),
        (lambda: layers.StringLookup(vocabulary=LETTERS, output_mode="tf_idf"), ValueError, "idf_weights belong to"),
        (lambda: layers.StringLookup()(["a"]), RuntimeError, r"has no vocabulary; call adapt\(data\) first"),
        (lambda: layers.StringLookup(vocabulary=["a"])([1.5]), TypeError, r"reads strings, got float64"),
        (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"]), ValueError, "'b' is not in the voc"),
        (lambda: layers.StringLookup(vocabulary=["a"], invert=True)(["b"]), TypeError, "reads whole numbers"),
        (lambda: layers.IntegerLookup(vocabulary=[1])([1.5]), TypeError, r"reads whole numbers, got dtype float64"),
        (lambda: layers.TextVectorization(standardize="upper"), ValueError, "TextVectorization knows standardize="),
        (lambda: layers.TextVectorization(ngrams=0), ValueError, "needs ngrams to be a whole number"),
        (lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3), ValueError, "leave it out"),
        (lambda: layers.TextVectorization(ragged=True), ValueError, "makes arrays, got ragged=True"),
        (lambda: layers.TextVectorization(vocabulary=["a"])([["a", "b"]]), ValueError, r"texts.reshape\(-1\)"),
        (lambda: layers.Discretization(), ValueError, r"needs bin_boundaries, or num_bins and adapt\(data\)"),
        (lambda: layers.Discretization([2.0, 1.0]), ValueError, "bin_boundaries that rise"),
        (lambda: layers.Discretization([1.0]).adapt([1.0]), ValueError, "pass num_bins=10 instead"),
        (lambda: layers.Discretization(num_bins=3).adapt([np.nan]), ValueError, "NaN or infinity"),
        (lambda: layers.Discretization(num_bins=3)([1.0]), RuntimeError, "has no boundaries"),
        (lambda: layers.Discretization([1.0])(["a"]), TypeError, "reads numbers"),
        (lambda: layers.Hashing(0), ValueError, "Hashing needs num_bins"),
        (
            lambda: layers.HashedCrossing(5)([["a"]]),
            ValueError,
            r"crosses two .* got 1 of shapes \[\(1,\)\]; pass e.g.",
        ),
        (lambda: layers.HashedCrossing(5)((["a"], ["b", "c"])), ValueError, r"shapes \[\(1,\), \(2,\)\]"),
    ],
)
def test_wrong_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()
