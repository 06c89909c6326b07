"""TextVectorization: texts as numbers."""

import string

import numpy as np

from npdl.layers import arguments
from npdl.layers.lookup import Lookup
from npdl.layers.on_host import strings

STRIPPED = str.maketrans("", "", string.punctuation)
STANDARDS = {
    "lower_and_strip_punctuation": lambda text: text.lower().translate(STRIPPED),
    "lower": str.lower,
    "strip_punctuation": lambda text: text.translate(STRIPPED),
}
SPLITS = {"whitespace": str.split, "character": list}


class TextVectorization(Lookup):
    """Texts as rows of numbers, on the host, before the model.

        each text is standardized, split into words, and the words and phrases of several words (ngrams) looked up:
        int         y[n, t] = the number of token t: 0 padding behind the last one, 1 an unknown token, then the
                    vocabulary in its order
        multi_hot   y[n, v] = 1 where v is among the tokens of text n, v = 0 the unknown ones
        count       y[n, v] = how often it is;      tf_idf  that times ln(1 + texts / (1 + texts that have v))

    `adapt` takes the vocabulary from texts: the most frequent tokens first. Phrases stand behind all words of their
    text. `Embedding(vectorize.vocabulary_size(), ..., mask_zero=True)` leaves the padding out.

    Shapes: N texts, as (N,), (N, 1) or one string · y int32 (N, T), T the most tokens of a text, or float32 (N, V); of
    one string without the first axis.

    Args:
        max_tokens: the size of the vocabulary at most, padding and unknown tokens counted; None is any.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function text -> text.
        split: "whitespace", "character", None for texts that are one token each, or a function text -> list of words.
        ngrams: n for phrases of up to n words beside them, or a tuple of lengths.
        output_mode: "int", "multi_hot", "count" or "tf_idf".
        output_sequence_length: T; longer texts are cut off, shorter ones filled up.
        pad_to_max_tokens: V is max_tokens, however small the vocabulary.
        vocabulary: a list or array of tokens, or the path of a file with one a line.
        idf_weights: of "tf_idf" with a given vocabulary, one a token; unknown ones have their mean.
        sparse, ragged: False.
        encoding: of bytes and of the file.

    Raises:
        ValueError: arguments that do not go together, a vocabulary with a token twice.
        TypeError: no texts; a layer inside a model.
        RuntimeError: it has no vocabulary.

    >>> vectorize = TextVectorization()
    >>> vectorize.adapt(["foo bar", "bar baz", "baz bada boom"])
    >>> vectorize.get_vocabulary()
    ['', '[UNK]', 'baz', 'bar', 'foo', 'boom', 'bada']
    >>> vectorize(["Foo, qux! Bar.", "qux baz"])
    array([[4, 1, 3],
           [1, 2, 0]], dtype=int32)
    """

    def __init__(
        self, max_tokens=None, standardize="lower_and_strip_punctuation", split="whitespace", ngrams=None,
        output_mode="int", output_sequence_length=None, pad_to_max_tokens=False, vocabulary=None, idf_weights=None,
        sparse=False, ragged=False, encoding="utf-8", **base,
    ):  # fmt: skip
        for name, value, known in (("standardize", standardize, STANDARDS), ("split", split, SPLITS)):
            if value is not None and not callable(value):
                arguments.one_of(self, name, value, known)
        arguments.one_of(self, "output_mode", output_mode, ("int", "multi_hot", "count", "tf_idf"))
        self.standardize, self.split, self.encoding = standardize, split, encoding
        self.ngrams = ngrams if ngrams is None or isinstance(ngrams, int) else tuple(ngrams)
        widths = (1,) if ngrams is None else (ngrams,) if isinstance(ngrams, int) else ngrams
        self._widths = [arguments.whole(self, "ngrams", width, "ngrams=2") for width in widths]
        if isinstance(ngrams, int):
            self._widths = list(range(1, ngrams + 1))
        if output_sequence_length is not None:
            arguments.whole(self, "output_sequence_length", output_sequence_length, "output_sequence_length=100")
            if output_mode != "int":
                raise ValueError(
                    f'TextVectorization has output_sequence_length with output_mode="int", got {output_mode!r}; '
                    "leave it out"
                )
        self.output_sequence_length = output_sequence_length
        mask = "" if output_mode == "int" else None
        super().__init__(
            max_tokens, 1, mask, "[UNK]", vocabulary, idf_weights, False, output_mode, pad_to_max_tokens, sparse, **base
        )
        self.demand_dense(ragged=ragged)

    def documents(self, data):
        texts = strings(self, data)
        if texts.ndim > 2 or (texts.ndim == 2 and texts.shape[1] != 1):
            raise ValueError(
                f"{self.name} reads texts of shape (N,) or (N, 1), got {texts.shape}; pass texts.reshape(-1)"
            )
        return [self._tokens(text) for text in texts.reshape(-1).tolist()]

    def _tokens(self, text):
        if self.standardize is not None:
            text = STANDARDS.get(self.standardize, self.standardize)(text)
        words = [text] if self.split is None else SPLITS.get(self.split, self.split)(text)
        if self._widths == [1]:
            return words
        return [" ".join(words[i : i + n]) for n in self._widths for i in range(len(words) - n + 1)]

    def encode(self, inputs):
        texts = self.documents(inputs)
        lengths = [len(tokens) for tokens in texts]
        ids = self.numbers_of([token for tokens in texts for token in tokens])
        rows = np.repeat(np.arange(len(texts)), lengths)
        if self.output_mode != "int":
            y = self.bags(rows, ids, len(texts), self.depth())
        else:
            length = self.output_sequence_length or max(lengths, default=0)
            places = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths).astype(np.int64)
            y, kept = np.zeros((len(texts), length), np.int32), places < length
            y[rows[kept], places[kept]] = ids[kept]
        return y if np.ndim(inputs) else y[0]
